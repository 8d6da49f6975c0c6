//! The dashboard over the embedded API server in memory, as browsers and programs reach it: over HTTP on loopback.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod document;
mod fleet;
mod flink_pages;
mod odd;
mod security;
mod stream;
mod world;
mod writes;
