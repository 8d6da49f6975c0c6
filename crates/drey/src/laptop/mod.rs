//! Laptop mode: the embedded Kubernetes API, the engine and Flink's processes, wired into one.
//!
//! ```text
//!   drey up ── files: lock, store, port, token, kubeconfig
//!      │
//!      ├── stack: ApiServer ◄── kube::Client ── Engine ── LocalLauncher ── processes of Flink
//!      ├── dashboard: the pages, on loopback
//!      ├── resume: what `drey down` stopped
//!      └── display: table or lines        drey down, drey logs: from outside, over kubeconfig and files
//! ```
//! Refuses to decide anything about deployments: that is the engine's.

pub(crate) mod dashboard;
pub(crate) mod definitions;
pub(crate) mod detach;
pub(crate) mod display;
pub(crate) mod down;
pub(crate) mod fetch;
pub(crate) mod files;
pub(crate) mod job_manager;
pub(crate) mod log;
mod log_file;
pub(crate) mod logs;
pub(crate) mod resume;
pub(crate) mod stack;
pub(crate) mod up;
