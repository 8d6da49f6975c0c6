//! Tests of the crate from outside.

mod distributions;
#[cfg(feature = "real-flink")]
mod high_availability;
mod processes;
#[cfg(feature = "real-flink")]
mod real_flink;
mod support;
