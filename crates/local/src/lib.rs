//! Flink on this machine: clusters as local processes, and the Flink and the Java that they need.
//!
//! ```text
//!   Launcher ─► launcher ─► one task for each cluster ─► spawn, process_table ─► Flink's own scripts
//!                  │                  │
//!            making, preflight      distribution, java, configuration, command_line
//!                  └── storage (snapshots, results)     state_dir, record (what lies where in .drey)
//! ```
//! A cluster is a directory; what is not written there did not happen. This crate refuses to decide what runs, and
//! to know the API server but for the kubeconfig that it hands to Flink.

mod atomic_file;
mod cluster;
mod command_line;
mod configuration;
pub mod distribution;
pub mod java;
pub mod launcher;
pub mod limits;
mod making;
mod ports;
mod preflight;
mod probe;
pub mod process_table;
pub mod record;
mod root_cause;
mod services;
mod spawn;
pub mod state_dir;
mod storage;
mod supervision;

pub use launcher::{LocalConfig, LocalLauncher};
pub use state_dir::StateDirectory;
