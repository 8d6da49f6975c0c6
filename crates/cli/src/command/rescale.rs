//! `drey rescale`.

use clap_complete::engine::ArgValueCandidates;
use drey_api::change::{Action, Particulars};

use super::resume::until_stable;
use super::{WaitArgs, deployment_name};
use crate::change::{ChangeArgs, ask};
use crate::complete;
use crate::connection::Connection;
use crate::failure::Failure;

/// Run a job at another parallelism
///
/// Sets `spec.job.parallelism`; state is carried over as `upgradeMode` says. With `scheduler-mode: reactive` in standalone
/// mode the number of TaskManagers changes and the job adapts without a restart.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Name of the deployment
    #[arg(add = ArgValueCandidates::new(complete::deployments))]
    pub name: String,
    /// The parallelism, above 0
    #[arg(value_parser = clap::value_parser!(i32).range(1..))]
    pub parallelism: i32,
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
/// Why the job does not run at that parallelism.
pub async fn run(args: &Args, connection: &Connection) -> Result<(), Failure> {
    let name = deployment_name(&args.name)?;
    let particulars = Particulars { parallelism: Some(args.parallelism), ..Particulars::default() };
    let Some(patched) = ask(connection, name, Action::Rescale, &particulars, &args.change).await? else {
        return Ok(());
    };
    let verb = format!("rescaled to {}", args.parallelism);
    until_stable(&args.wait, connection, &patched, &verb).await
}
