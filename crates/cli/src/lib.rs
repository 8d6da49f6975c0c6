//! The commands of `drey` that talk to a Kubernetes API, whichever it is: that of a cluster or the local
//! one of laptop mode.
//!
//! ```text
//!   arguments ──clap──► Command ──connection──► kube::Client ──► objects ──output──► standard output
//!   files ──manifest──► Document ──judge──► problems with lines        └─failure──► standard error, exit
//! ```
//!
//! Architecture invariant: nothing here knows a Launcher or the store of laptop mode. Outside of [`job`], everything that is
//! shown stands in a spec, a status or an event, and Flink's REST interface is not known; [`job`] knows that and no
//! Kubernetes. One file per command; the doc comment of its arguments is the manual.

use clap::Subcommand;

pub mod age;
pub mod apply;
pub mod branches;
pub mod change;
pub mod columns;
pub mod command;
pub mod complete;
pub mod connection;
pub mod deployment;
pub mod differences;
pub mod doctor;
pub mod exit;
pub mod failure;
pub mod follow;
pub mod job;
pub mod jsonpath;
pub mod judge;
pub mod kinds;
pub mod laptop;
pub mod manifest;
pub mod output;
pub mod read_only;
pub mod settings;
pub mod table;

use command::{
    apply as apply_command, checkpoint, completion, config, crds, delete, describe, diff,
    doctor as doctor_command, events, explain, get, logs, migrate, proxy, rescale, restart, restore, resume,
    rollback, savepoint, status, suspend, top, tree, upgrade, validate, version, wait,
};
use connection::ConnectionArgs;
use failure::Failure;

/// The commands of this crate.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Create or change the objects of files
    Apply(apply_command::Args),
    /// Say what `apply` would change, and what becomes of the jobs
    Diff(diff::Args),
    /// List deployments and other objects
    #[command(visible_alias = "ls")]
    Get(get::Args),
    /// Say how a deployment is: what it waits for, what it was restored from, what is next
    Describe(describe::Args),
    /// Say how a deployment is, and wait until it has settled
    Status(status::Args),
    /// Show a deployment with everything that exists for it
    Tree(tree::Args),
    /// Show what deployments take of processors and memory
    Top(top::Args),
    /// Print the logs of a deployment
    Logs(logs::Args),
    /// Bring Flink's REST interface and pages to this machine
    Proxy(proxy::Args),
    /// Say what a field or a configuration key means
    Explain(explain::Args),
    /// Delete a deployment
    Delete(delete::Args),
    /// Stop a job and keep its state
    Suspend(suspend::Args),
    /// Run a suspended job again, from the state it was stopped with
    Resume(resume::Args),
    /// Run a job at another parallelism
    Rescale(rescale::Args),
    /// Run a job with another image or jar
    Upgrade(upgrade::Args),
    /// Start a job from a snapshot of before
    Restore(restore::Args),
    /// Go back to the last spec that ran well
    Rollback(rollback::Args),
    /// Restart a deployment with the same spec
    Restart(restart::Args),
    /// Take a savepoint of a running job and print its path
    Savepoint(savepoint::Args),
    /// Take a checkpoint of a running job
    Checkpoint(checkpoint::Args),
    /// List what happened
    Events(events::Args),
    /// Wait until a deployment is in a state
    Wait(wait::Args),
    /// Find what keeps jobs from running, and say how to mend it
    Doctor(doctor_command::Args),
    /// Deploy, update and end jobs of a Flink without Kubernetes, by its REST interface
    Job(job::Args),
    /// Check files against every rule, without any cluster
    Validate(validate::Args),
    /// Print, compare or install the CustomResourceDefinitions
    #[command(subcommand)]
    Crds(crds::Command),
    /// Say what changes when drey takes the place of another tool
    #[command(subcommand)]
    Migrate(migrate::Command),
    /// Show the settings that count here
    #[command(subcommand)]
    Config(config::Command),
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
            Self::Get(args) => args.output.is_json(),
            Self::Describe(args) => args.output == output::TextOrJson::Json,
            Self::Tree(args) => args.output == output::TextOrJson::Json,
            Self::Top(args) => args.output == output::TextOrJson::Json,
            Self::Doctor(args) => args.output == output::TextOrJson::Json,
            Self::Validate(args) => args.output == output::TextOrJson::Json,
            Self::Version(args) => args.output == output::TextOrJson::Json,
            Self::Savepoint(args) => args.output == output::TextOrJson::Json,
            Self::Job(args) => args.wants_json(),
            Self::Config(command) => command.wants_json(),
            Self::Apply(_)
            | Self::Diff(_)
            | Self::Status(_)
            | Self::Logs(_)
            | Self::Proxy(_)
            | Self::Explain(_)
            | Self::Crds(_)
            | Self::Migrate(_)
            | Self::Delete(_)
            | Self::Suspend(_)
            | Self::Resume(_)
            | Self::Restart(_)
            | Self::Rescale(_)
            | Self::Rollback(_)
            | Self::Upgrade(_)
            | Self::Restore(_)
            | Self::Checkpoint(_)
            | Self::Events(_)
            | Self::Wait(_)
            | Self::Completion(_) => false,
        }
    }
}

/// Runs a command.
///
/// # Errors
/// Why the command did not succeed.
pub async fn run(command: Command, connection: &ConnectionArgs) -> Result<(), Failure> {
    match command {
        Command::Apply(args) => apply_command::run(&args, &connection.connect().await?).await,
        Command::Diff(args) => diff::run(&args, &connection.connect().await?).await,
        Command::Get(args) => get::run(&args, &connection.connect().await?).await,
        Command::Describe(args) => describe::run(&args, &connection.connect().await?).await,
        Command::Status(args) => status::run(&args, connection).await,
        Command::Tree(args) => tree::run(&args, &connection.connect().await?).await,
        Command::Top(args) => top::run(&args, &connection.connect().await?).await,
        Command::Logs(args) => logs::run(&args, &connection.connect().await?).await,
        Command::Proxy(args) => proxy::run(&args, &connection.connect().await?).await,
        Command::Explain(args) => explain::run(&args),
        Command::Delete(args) => delete::run(&args, &connection.connect().await?).await,
        Command::Suspend(args) => suspend::run(&args, &connection.connect().await?).await,
        Command::Resume(args) => resume::run(&args, &connection.connect().await?).await,
        Command::Restart(args) => restart::run(&args, &connection.connect().await?).await,
        Command::Rollback(args) => rollback::run(&args, &connection.connect().await?).await,
        Command::Rescale(args) => rescale::run(&args, &connection.connect().await?).await,
        Command::Upgrade(args) => upgrade::run(&args, &connection.connect().await?).await,
        Command::Restore(args) => restore::run(&args, &connection.connect().await?).await,
        Command::Checkpoint(args) => checkpoint::run(&args, &connection.connect().await?).await,
        Command::Savepoint(args) => savepoint::run(&args, &connection.connect().await?).await,
        Command::Events(args) => events::run(&args, &connection.connect().await?).await,
        Command::Wait(args) => wait::run(&args, &connection.connect().await?).await,
        Command::Doctor(args) => doctor_command::run(&args, &connection.connect().await?).await,
        Command::Job(args) => {
            if args.changes_something() {
                connection.must_allow_changes()?;
            }
            job::run(&args).await
        }
        Command::Migrate(command) => migrate::run(&command, connection).await,
        Command::Config(command) => config::run(&command, connection),
        Command::Validate(args) => validate::run(&args),
        Command::Crds(command) => crds::run(&command, connection).await,
        Command::Version(args) => version::run(&args),
        Command::Completion(args) => completion::run(&args),
    }
}

/// What `drey` prints when it is called without arguments: how things stand, and the next useful command.
///
/// # Errors
/// When standard output does not take it.
pub async fn status(connection: &ConnectionArgs) -> Result<(), Failure> {
    status::overview(connection).await
}
