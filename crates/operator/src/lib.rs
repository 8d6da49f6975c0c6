//! The engine as an operator on a cluster: its configuration files, election, probes, metrics, admission and
//! rights.
//!
//! ```text
//!   files ──► OperatorConfiguration ─┬─► Engine, while it leads (Lease) ──► probes :8085, metrics :9999
//!     ▲                              │        ▲
//!     └── read again every interval ─┴────────┘ settings and namespaces
//! ```
//! Architecture invariant: nothing here decides anything about a resource, and nothing here knows where clusters run;
//! the launcher is handed in.

pub mod files;
mod operator;
mod probes;
pub mod rights;
pub mod upstream_metrics;
pub mod webhook;

pub use operator::{METRICS, Means, Operator, OperatorError, Stopped};
