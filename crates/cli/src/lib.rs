//! The commands of `drey` that talk to a Kubernetes API, whichever it is: that of a cluster or the local
//! one of laptop mode.
//!
//! ```text
//!   arguments ──clap──► Command ──connection──► kube::Client ──► objects ──output──► standard output
//!   files ──manifest──► Document ──judge──► problems with lines        └─failure──► standard error, exit
//! ```
//!
//! Architecture invariant: nothing here knows a Launcher, Flink's REST API or the store of laptop mode.
//! Everything that is shown stands in a spec, a status or an event. One file per command; the doc
//! comment of its arguments is the manual.

use clap::Subcommand;

pub mod age;
pub mod apply;
pub mod command;
pub mod connection;
pub mod deployment;
pub mod exit;
pub mod failure;
pub mod follow;
pub mod jsonpath;
pub mod judge;
pub mod kinds;
pub mod laptop;
pub mod manifest;
pub mod output;
pub mod table;

use command::{
    apply as apply_command, completion, crds, delete, describe, events, get, restart, resume, savepoint,
    status, suspend, validate, version, wait,
};
use connection::ConnectionArgs;
use failure::Failure;

/// The commands of this crate.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Create or change the objects of files
    Apply(apply_command::Args),
    /// List deployments and other objects
    #[command(visible_alias = "ls")]
    Get(get::Args),
    /// Say how a deployment is: what it waits for, what it was restored from, what is next
    Describe(describe::Args),
    /// Delete a deployment
    Delete(delete::Args),
    /// Stop a job and keep its state
    Suspend(suspend::Args),
    /// Run a suspended job again, from the state it was stopped with
    Resume(resume::Args),
    /// Restart a deployment with the same spec
    Restart(restart::Args),
    /// Take a savepoint of a running job and print its path
    Savepoint(savepoint::Args),
    /// List what happened
    Events(events::Args),
    /// Wait until a deployment is in a state
    Wait(wait::Args),
    /// Check files against every rule, without any cluster
    Validate(validate::Args),
    /// Print, compare or install the CustomResourceDefinitions
    #[command(subcommand)]
    Crds(crds::Command),
    /// Print the version
    Version(version::Args),
    /// Print a completion script for a shell
    Completion(completion::Args),
}

impl Command {
    /// Whether failures are to be printed as JSON.
    #[must_use]
    pub fn wants_json(&self) -> bool {
        match self {
            Self::Get(args) => args.output == output::Format::Json,
            Self::Describe(args) => args.output == output::TextOrJson::Json,
            Self::Validate(args) => args.output == output::TextOrJson::Json,
            Self::Version(args) => args.output == output::TextOrJson::Json,
            Self::Savepoint(args) => args.output == output::TextOrJson::Json,
            Self::Apply(_)
            | Self::Crds(_)
            | Self::Delete(_)
            | Self::Suspend(_)
            | Self::Resume(_)
            | Self::Restart(_)
            | Self::Events(_)
            | Self::Wait(_)
            | Self::Completion(_) => false,
        }
    }
}

/// Runs a command. `whole` is the complete command line of the binary, from which completions are made.
///
/// # Errors
/// Why the command did not succeed.
pub async fn run(command: Command, connection: &ConnectionArgs, whole: clap::Command) -> Result<(), Failure> {
    match command {
        Command::Apply(args) => apply_command::run(&args, &connection.connect().await?).await,
        Command::Get(args) => get::run(&args, &connection.connect().await?).await,
        Command::Describe(args) => describe::run(&args, &connection.connect().await?).await,
        Command::Delete(args) => delete::run(&args, &connection.connect().await?).await,
        Command::Suspend(args) => suspend::run(&args, &connection.connect().await?).await,
        Command::Resume(args) => resume::run(&args, &connection.connect().await?).await,
        Command::Restart(args) => restart::run(&args, &connection.connect().await?).await,
        Command::Savepoint(args) => savepoint::run(&args, &connection.connect().await?).await,
        Command::Events(args) => events::run(&args, &connection.connect().await?).await,
        Command::Wait(args) => wait::run(&args, &connection.connect().await?).await,
        Command::Validate(args) => validate::run(&args),
        Command::Crds(command) => crds::run(&command, connection).await,
        Command::Version(args) => version::run(&args),
        Command::Completion(args) => completion::run(&args, whole),
    }
}

/// What `drey` prints when it is called without arguments: how things stand, and the next useful command.
///
/// # Errors
/// When standard output does not take it.
pub async fn status(connection: &ConnectionArgs) -> Result<(), Failure> {
    status::run(connection).await
}
