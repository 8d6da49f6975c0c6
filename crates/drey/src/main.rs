//! The binary: picks a face and wires it. The only crate that sees all others.

mod command_line;
#[cfg(feature = "full")]
mod dashboard;
mod faces;
#[cfg(feature = "full")]
mod laptop;
#[cfg(feature = "full")]
mod memory;
#[cfg(feature = "full")]
mod operator;
#[cfg(feature = "full")]
mod reach;
#[cfg(feature = "full")]
mod traces;
#[cfg(feature = "full")]
mod ui;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else: both HTTP clients panic without a provider of cryptography.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        eprintln!("error: a provider of cryptography was installed twice");
        return ExitCode::FAILURE;
    }
    if let Some(answered) = command_line::complete() {
        return answered;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(command_line::run()),
        Err(error) => {
            eprintln!("error: the system gives no threads: {error}");
            ExitCode::FAILURE
        }
    }
}
