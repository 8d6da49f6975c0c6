//! Tests of the crate from outside.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

mod distributions;
#[cfg(feature = "real-flink")]
mod high_availability;
mod processes;
#[cfg(feature = "real-flink")]
mod real_flink;
mod support;
