//! Tests of the crate from outside.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

mod distributions;
mod processes;
#[path = "../support/mod.rs"]
mod support;
