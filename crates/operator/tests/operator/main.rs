//! The operator over the embedded API server in memory, with fake JobManagers, real files and real ports.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod rights;
mod running;
