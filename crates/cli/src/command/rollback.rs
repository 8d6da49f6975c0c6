//! `drey rollback`.

use clap_complete::engine::ArgValueCandidates;
use drey_api::change::{Action, Particulars};

use super::resume::until_stable;
use super::{WaitArgs, deployment_name};
use crate::change::{ChangeArgs, ask};
use crate::complete;
use crate::connection::Connection;
use crate::failure::Failure;

/// Go back to the last spec that ran well
///
/// Writes the spec that was stable last, `status.reconciliationStatus.lastStableSpec`, over the present one; state is carried
/// over as `upgradeMode` says. What only asks for something once, such as nonces, and whether the job is suspended, stays as
/// it is.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Name of the deployment
    #[arg(add = ArgValueCandidates::new(complete::deployments))]
    pub name: String,
    /// Asking.
    #[command(flatten)]
    pub change: ChangeArgs,
    /// Waiting.
    #[command(flatten)]
    pub wait: WaitArgs,
}

/// Runs the command.
///
/// # Errors
/// Why there is nothing to go back to, or why the job does not run with it.
pub async fn run(args: &Args, connection: &Connection) -> Result<(), Failure> {
    let name = deployment_name(&args.name)?;
    let asked = ask(connection, name, Action::Rollback, &Particulars::default(), &args.change).await?;
    let Some(patched) = asked else { return Ok(()) };
    until_stable(&args.wait, connection, &patched, "rolled back").await
}
