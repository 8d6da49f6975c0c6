//! `drey upgrade`.

use drey_api::change::{Action, Particulars};

use super::resume::until_stable;
use super::{WaitArgs, deployment_name};
use crate::change::{ChangeArgs, ask};
use crate::connection::Connection;
use crate::failure::Failure;

/// Run a job with another image
///
/// Sets `spec.image`; state is carried over as `upgradeMode` says. Anything else of a spec is changed with `drey apply`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Name of the deployment
    pub name: String,
    /// The image, such as `registry.example/team/job:2`
    #[arg(long)]
    pub image: String,
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
/// Why the job does not run with that image.
pub async fn run(args: &Args, connection: &Connection) -> Result<(), Failure> {
    let name = deployment_name(&args.name)?;
    let particulars = Particulars { image: Some(args.image.clone()), ..Particulars::default() };
    let Some(patched) = ask(connection, name, Action::UpgradeImage, &particulars, &args.change).await? else {
        return Ok(());
    };
    until_stable(&args.wait, connection, &patched, "upgraded").await
}
