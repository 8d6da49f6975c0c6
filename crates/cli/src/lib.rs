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
pub mod local_path;
pub mod manifest;
pub mod manual;
pub mod output;
pub mod progress;
pub mod read_only;
pub mod restore_points;
pub mod settings;
pub mod table;

use command::{
    apply as apply_command, checkpoint, completion, config, crds, delete, describe, diff,
    doctor as doctor_command, events, explain, get, logs, manual as manual_command, migrate, proxy, rescale,
    restart, restore, resume, rollback, savepoint, status, suspend, top, tree, upgrade, validate, version,
    wait,
};
use connection::ConnectionArgs;
use failure::Failure;

/// The commands of this crate.
#[derive(Clone, Debug, Subcommand)]
#[expect(
    missing_docs,
    reason = "a command is told of by the doc comment of its arguments, which one here would hide"
)]
pub enum Command {
    Apply(apply_command::Args),
    Diff(diff::Args),
    #[command(visible_alias = "ls")]
    Get(get::Args),
    Describe(describe::Args),
    Status(status::Args),
    Tree(tree::Args),
    Top(top::Args),
    Logs(logs::Args),
    Proxy(proxy::Args),
    Explain(explain::Args),
    Delete(delete::Args),
    Suspend(suspend::Args),
    Resume(resume::Args),
    Rescale(rescale::Args),
    Upgrade(upgrade::Args),
    Restore(restore::Args),
    Rollback(rollback::Args),
    Restart(restart::Args),
    Savepoint(savepoint::Args),
    Checkpoint(checkpoint::Args),
    Events(events::Args),
    Wait(wait::Args),
    Doctor(doctor_command::Args),
    Job(job::Args),
    Validate(validate::Args),
    /// Print, compare or install the CustomResourceDefinitions
    ///
    /// Those of the Flink Kubernetes operator, with the fields that drey adds to the status.
    #[command(subcommand)]
    Crds(crds::Command),
    #[command(subcommand)]
    Migrate(migrate::Command),
    #[command(subcommand)]
    Config(config::Command),
    Version(version::Args),
    Completion(completion::Args),
    Manual(manual_command::Args),
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
            | Self::Completion(_)
            | Self::Manual(_) => false,
        }
    }
}

/// Runs a command. `whole` makes the complete command line of the binary, from which the manual is made.
///
/// # Errors
/// Why the command did not succeed.
pub async fn run(
    command: Command,
    connection: &ConnectionArgs,
    whole: fn() -> clap::Command,
) -> Result<(), Failure> {
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
        Command::Manual(args) => manual_command::run(&args, whole()),
    }
}

/// What `drey` prints when it is called without arguments: how things stand, and the next useful command.
///
/// # Errors
/// When standard output does not take it.
pub async fn status(connection: &ConnectionArgs) -> Result<(), Failure> {
    status::overview(connection).await
}
