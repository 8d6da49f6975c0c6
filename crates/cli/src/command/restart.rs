//! `drey restart`.

use clap_complete::engine::ArgValueCandidates;
use serde_json::json;

use super::resume::until_stable;
use super::suspend::patch;
use super::{WaitArgs, deployment_name};
use crate::complete;
use crate::connection::Connection;
use crate::deployment::View;
use crate::failure::Failure;
use crate::follow::deployments;
use crate::kinds::FlinkKind;

/// Restart a deployment with the same spec
///
/// Raises `spec.restartNonce`; state is carried over as `upgradeMode` says.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Name of the deployment
    #[arg(add = ArgValueCandidates::new(complete::deployments))]
    pub name: String,
    /// Waiting.
    #[command(flatten)]
    pub wait: WaitArgs,
}

/// Runs the command.
///
/// # Errors
/// Why the deployment could not be restarted.
pub async fn run(args: &Args, connection: &Connection) -> Result<(), Failure> {
    let name = deployment_name(&args.name)?;
    let current = fetch(connection, name).await?;
    let nonce = next_nonce(current.spec.restart_nonce);
    let patched = patch(connection, name, &json!({"spec": {"restartNonce": nonce}})).await?;
    until_stable(&args.wait, connection, &patched, "restarted").await
}

/// Any other number does; the next one reads best.
pub(crate) fn next_nonce(current: Option<i64>) -> i64 {
    current.map_or(1, |current| current.checked_add(1).unwrap_or(1))
}

/// The deployment as it is now.
///
/// # Errors
/// When there is none, or it cannot be read.
pub(crate) async fn fetch(connection: &Connection, name: &str) -> Result<View, Failure> {
    let object = FlinkKind::Deployment.object(name);
    let found = deployments(connection).get(name).await;
    View::from_object(found.map_err(|error| Failure::from_kube(&error, &object))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_nonce_differs_from_the_one_before() {
        for nonce in [None, Some(0), Some(7), Some(i64::MAX), Some(i64::MIN)] {
            assert_ne!(Some(next_nonce(nonce)), nonce);
        }
    }
}
