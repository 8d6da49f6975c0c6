//! The dashboard's server: the fleet as rows that change under the eyes of whoever looks, one resource in depth, and the
//! pages themselves. Everything comes from the Kubernetes API, and from JobManagers where only they know.
//!
//! ```text
//!   watch ─► row ─► store ─┬─► fleet (query, sort, window) ─► GET fleet
//!                          └─► changes ─► GET stream (SSE)
//!   GET of one object ─► mask ─► detail, timeline, yaml        JobManager ─► checkpoints, exceptions, …
//! ```
//! Architecture invariants: nothing here decides what a deployment should do, and nothing acts on Flink: what a person
//! asks for is a patch of the resource, like everybody else's. No secret leaves the process. One odd resource is one odd
//! row. This crate knows no launchers; what runs is behind [`Clusters`].

mod access;
mod audit;
mod caller;
mod cluster;
mod detail;
mod fleet;
mod heimdall;
mod http;
mod job_manager;
mod key;
mod mask;
mod persons;
mod query;
mod row;
mod server;
mod snapshots;
mod store;
mod tickets;
mod timeline;
mod unmask;
mod vitals;
mod watch;

pub use access::Access;
pub use cluster::{ClusterError, ClusterName, Clusters, Log, LogWanted, Process, Role};
pub use heimdall::Heimdall;
pub use http::{Link, Links, openapi};
pub use ipnet::IpNet;
pub use key::{FleetKind, Key};
pub use persons::Persons;
pub use server::{Dashboard, DashboardConfig, Mode};
