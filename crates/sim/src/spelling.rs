//! The status as the API server really keeps it: written and read back through the codec of the core, as JSON text. What
//! is not spelt out does not survive here either.

use drey_api::desired::{Desired, Invalid};
use drey_api::kinds::{FlinkDeploymentSpec, FlinkDeploymentStatus};
use drey_api::options::Options;
use drey_core::{Journal, status};

/// The journal after a round through the API server.
///
/// # Errors
/// A sentence about what the codec does not read any more.
pub fn respelt(
    journal: &Journal,
    resource: &drey_core::Resource,
    options: &Options,
) -> Result<Journal, String> {
    let text = serde_json::to_string(&status::write(journal, resource)).map_err(|error| error.to_string())?;
    let written: FlinkDeploymentStatus = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let resolve = |spec: &FlinkDeploymentSpec| -> Result<Desired, Invalid> {
        Ok(crate::user::desired(spec.clone(), options.clone()))
    };
    let read = status::read(&written, &resolve).map_err(|error| error.to_string())?;
    let again = serde_json::to_string(&status::write(&read, resource)).map_err(|error| error.to_string())?;
    if again != text {
        return Err(format!("written {text}, and once read {again}"));
    }
    Ok(read)
}
