//! Tests of drey-api through its public face. One program, so that it is linked once.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod codec;
mod configuration;
mod crd;
mod desired;
mod diff;
mod operator;
mod options;
mod reading;
mod validation;
