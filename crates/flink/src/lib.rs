//! Apache Flink as seen from outside: its REST interface, its configuration file, its memory
//! arithmetic and what differs between its versions.
//!
//! This crate refuses to know Kubernetes, custom resources, processes and reconciliation. It says what
//! Flink answered and how sure that answer is; what to do about it is decided elsewhere.
//!
//! ```text
//!   FlinkRest ──► endpoint (method, path) ──► transport (deadline, body limit) ──► answer | RestError
//!                                                                                   Refused: not applied
//!                                                                                   NotFound: Flink says so
//!                                                                                   UnknownOutcome: look again
//! ```

pub mod configuration_file;
pub mod identifiers;
pub mod limits;
pub mod memory;
pub mod option_value;
pub mod rest;
pub mod version;

pub use identifiers::{IdentifierError, JobId, TriggerId};
pub use rest::{FlinkRest, RestError};
pub use version::FlinkVersion;
