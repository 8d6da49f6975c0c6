//! The built binary as a person uses it, without any Flink: deployments here are created suspended, so
//! that nothing has to be started.

mod bad_input;
mod bare_flink;
mod exit_codes;
mod laptop;
mod offline;
mod support;
mod traces;
