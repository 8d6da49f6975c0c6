//! The server through its public API: `kube::Client` in process, HTTP, kubectl, and kill -9.

#[path = "../support/mod.rs"]
mod support;

mod durability;
mod http;
mod in_process;
mod kubectl;
mod ownership;
mod watching;
