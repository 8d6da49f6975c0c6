//! The log of drey itself.

use drey_cli::failure::{Failure, Kind};

use super::files::Files;

/// The log goes to a file, because the terminal belongs to the table. `DREY_LOG` sets the filter.
///
/// # Errors
/// A filter that is not understood, or a file that cannot be opened.
pub(crate) fn write_to(files: &Files) -> Result<(), Failure> {
    let filter = filter()?;
    let log = files.open_log()?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        // A full disk is told where it stops something, not once for each line of the log.
        .log_internal_errors(false)
        .with_writer(std::sync::Mutex::new(log))
        .try_init()
        .map_err(|error| Failure::new(Kind::Internal, format!("the log cannot be opened: {error}")))
}

/// What is logged: `DREY_LOG`, or the usual.
///
/// # Errors
/// A filter that is not understood.
pub(crate) fn filter() -> Result<tracing_subscriber::EnvFilter, Failure> {
    let filter = std::env::var("DREY_LOG").unwrap_or_else(|_| "info,kube=warn,hyper=warn".to_owned());
    tracing_subscriber::EnvFilter::try_new(&filter).map_err(|error| {
        Failure::new(Kind::Usage, format!("`DREY_LOG={filter}`: {error}"))
            .hint("for example `DREY_LOG=debug`")
    })
}
