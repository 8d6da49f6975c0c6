//! `drey migrate`: what changes for those who come from another tool. Refuses to change anything.

mod deployer;
mod heimdall;
mod operator;

use std::path::PathBuf;

use crate::connection::ConnectionArgs;
use crate::failure::Failure;

/// Say what changes when drey takes the place of another tool
///
/// Changes nothing: what is said is for a person to do.
#[derive(Clone, Debug, clap::Subcommand)]
#[expect(
    missing_docs,
    reason = "a command is told of by the doc comment of its arguments, which one here would hide"
)]
pub enum Command {
    Heimdall(HeimdallArgs),
    Deployer(DeployerArgs),
    /// Say which keys and resources of the Java operator are taken over
    ///
    /// Reads its configuration and the resources of a cluster, one by one.
    Operator,
}

/// Say which of Heimdall's settings are taken over
///
/// Its variables are read from the Deployments in FILES, or from the environment.
#[derive(Clone, Debug, clap::Args)]
pub struct HeimdallArgs {
    /// Files with its Deployment; `-` for standard input
    #[arg(value_name = "FILES")]
    pub files: Vec<PathBuf>,
}

/// Translate the lines of a pipeline that call flink-deployer
///
/// Says of each what drey does differently.
#[derive(Clone, Debug, clap::Args)]
pub struct DeployerArgs {
    /// Files of a pipeline, in any format that holds command lines; `-` for standard input
    #[arg(value_name = "FILES", required = true)]
    pub files: Vec<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// A file that cannot be read, or a cluster that does not answer.
pub async fn run(command: &Command, connection: &ConnectionArgs) -> Result<(), Failure> {
    match command {
        Command::Heimdall(args) => heimdall::run(args),
        Command::Deployer(args) => deployer::run(args),
        Command::Operator => operator::run(&connection.connect().await?).await,
    }
}
