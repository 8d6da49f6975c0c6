//! The whole engine over the embedded API server in memory, fake JobManagers over HTTP on loopback and a launcher
//! whose clusters are those. Real time, with every interval of the engine shortened.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod faults;
mod faulty_api;
mod isolation;
mod leadership;
mod lease;
mod lifecycle;
mod readers;
mod scope;
mod takeover;
mod watching;
mod world;
