//! `drey upgrade`.

use clap_complete::engine::ArgValueCandidates;
use drey_api::change::{Action, Particulars};

use super::resume::until_stable;
use super::{WaitArgs, deployment_name};
use crate::change::{ChangeArgs, ask};
use crate::complete;
use crate::connection::Connection;
use crate::failure::Failure;

/// Run a job with another image or jar
///
/// Sets `spec.image` and `spec.job.jarURI`; state is carried over as `upgradeMode` says. Anything else of a spec is
/// changed with `drey apply`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Name of the deployment
    #[arg(add = ArgValueCandidates::new(complete::deployments))]
    pub name: String,
    /// The image, such as `registry.example/team/job:2`
    #[arg(long, required_unless_present = "jar")]
    pub image: Option<String>,
    /// The jar, such as `local:///opt/flink/usrlib/job-2.jar`
    #[arg(long, value_name = "URI")]
    pub jar: Option<String>,
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
/// Why the job does not run with them.
pub async fn run(args: &Args, connection: &Connection) -> Result<(), Failure> {
    let name = deployment_name(&args.name)?;
    let particulars =
        Particulars { image: args.image.clone(), jar: args.jar.clone(), ..Particulars::default() };
    let Some(patched) = ask(connection, name, Action::UpgradeImage, &particulars, &args.change).await? else {
        return Ok(());
    };
    until_stable(&args.wait, connection, &patched, "upgraded").await
}
