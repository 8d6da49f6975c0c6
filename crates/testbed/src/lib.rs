//! What tests against real processes share. For development only: no other crate of the product depends
//! on it, and it refuses to know how jobs are deployed.

pub mod bench_engine;
pub mod fake_jobmanager;
pub mod fake_launcher;
pub mod kube;
pub mod ledger;
pub mod node;
pub mod node_checks;
pub mod usage;
