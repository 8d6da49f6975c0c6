//! Flink clusters as objects of Kubernetes.
//!
//! ```text
//!   Deployment (decided) ──► configuration ──► pod, services, ConfigMaps ──► Objects ──► launcher ──► API server
//! ```
//! The builders are pure: what is decided goes in, the objects come out, as the JSON that is sent to the API server.
//! Pod templates travel as JSON and are merged as such, so that fields newer than any type of ours survive. The
//! builders refuse to know the API server, and whether an object exists already.

pub mod cluster;
pub mod configuration;
pub mod error;
pub mod front;
pub mod launcher;
pub mod logging;
pub mod native;
pub mod pod_template;
pub mod standalone;

mod job_manager;
mod pod;
mod ports;
mod resources;
mod service;
mod settings;
mod task_manager;

pub use cluster::{ClusterIdentity, Objects};
pub use error::BuildError;
pub use launcher::{KubernetesConfig, KubernetesLauncher, Reach};
pub use logging::LoggingFiles;
