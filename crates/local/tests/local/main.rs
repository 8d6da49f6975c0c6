//! Tests of the crate from outside.

mod processes;
#[cfg(feature = "real-flink")]
mod real_flink;
mod support;
