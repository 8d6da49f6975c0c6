//! The server through its public API: `kube::Client` in process, HTTP, kubectl, and kill -9.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../support/mod.rs"]
mod support;

mod durability;
mod http;
mod in_process;
mod kubectl;
mod ownership;
mod watching;
