//! Jobs of a Flink that no Kubernetes knows, by its REST interface alone: what flink-deployer did, for pipelines.
//!
//! ```text
//!   arguments ─► command/ ─► deploy, update (─► next_run) ─► start, stop ─► drey-flink ─► Flink
//!                               │  ├─ situation: what there is, purely
//!                               │  └─ identity: ids that are chosen before they are asked for
//!                               ├─ version: the record in Flink's own jar store
//!                               └─ lost: where the state lies when Flink dies and has forgotten its jobs
//! ```
//! Architecture invariant: nothing here knows Kubernetes, and nothing outside of this room knows Flink's REST interface.
//! There is no state but Flink's: whatever ends the process, the same command finds what is left. A POST whose answer is
//! lost is asked again under the same id, or looked for; nothing is started while what was before it may still run.

pub mod command;
pub mod deploy;
pub mod deployer;
pub mod flink;
pub mod identity;
pub mod jar;
pub mod limits;
pub mod lost;
pub mod names;
pub mod next_run;
pub mod release;
pub mod remote;
pub mod s3;
pub mod situation;
pub mod start;
pub mod stop;
pub mod talk;
pub mod update;
pub mod version;

use std::time::Instant;

use clap::Subcommand;

use command::update as update_command;
use command::{
    cancel, deploy as deploy_command, list, logs, savepoint, status, stop as stop_command, terminate,
};
use flink::{FlinkArgs, Session, password};
use talk::{Talk, interruptible};

use crate::failure::Failure;
use crate::output::TextOrJson;

/// Deploy, update and end jobs of a Flink without Kubernetes, by its REST interface
///
/// What flink-deployer did, with its flags and variables. There is no state but Flink's: a command that was cut off is gone on
/// with by running it again.
#[derive(Clone, Debug, clap::Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Args {
    #[command(flatten)]
    pub(crate) flink: FlinkArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Clone, Debug, Subcommand)]
#[expect(
    missing_docs,
    reason = "a command is told of by the doc comment of its arguments, which one here would hide"
)]
pub enum Command {
    #[command(visible_alias = "l")]
    List(list::Args),
    #[command(visible_alias = "d")]
    Deploy(Box<deploy_command::Args>),
    #[command(visible_alias = "u")]
    Update(Box<update_command::Args>),
    #[command(visible_alias = "t")]
    Terminate(terminate::Args),
    Stop(stop_command::Args),
    Cancel(cancel::Args),
    Savepoint(savepoint::Args),
    Status(status::Args),
    Logs(logs::Args),
}

impl Args {
    /// Whether Flink is asked for more than an answer.
    #[must_use]
    pub fn changes_something(&self) -> bool {
        match self.command {
            Command::List(_) | Command::Status(_) | Command::Logs(_) => false,
            Command::Deploy(_)
            | Command::Update(_)
            | Command::Terminate(_)
            | Command::Stop(_)
            | Command::Cancel(_)
            | Command::Savepoint(_) => true,
        }
    }

    /// Whether failures are to be printed as JSON.
    #[must_use]
    pub fn wants_json(&self) -> bool {
        match &self.command {
            Command::List(args) => args.output == TextOrJson::Json,
            Command::Status(args) => args.output == TextOrJson::Json,
            Command::Deploy(args) => args.answer.is_json(),
            Command::Update(args) => args.answer.is_json(),
            Command::Terminate(args) => args.answer.is_json(),
            Command::Stop(args) => args.answer.is_json(),
            Command::Cancel(args) => args.answer.is_json(),
            Command::Savepoint(args) => args.answer.is_json(),
            Command::Logs(_) => false,
        }
    }
}

/// Runs a command.
///
/// # Errors
/// Why it did not succeed, what it left, and how to go on.
pub async fn run(args: &Args) -> Result<(), Failure> {
    let talk = Talk::aloud(str::to_owned);
    let outcome = match args.flink.session(password().as_deref(), talk.clone()) {
        Ok(session) => perform(&args.command, &session).await,
        Err(failure) => Err(failure),
    };
    talk.end();
    outcome
}

/// Runs a command with whoever is to be asked and talked to.
///
/// # Errors
/// As [`run`].
pub async fn perform(command: &Command, session: &Session) -> Result<(), Failure> {
    let began = Instant::now();
    let work = async {
        match command {
            Command::List(args) => list::run(args, session).await,
            Command::Deploy(args) => deploy_command::run(args, session).await,
            Command::Update(args) => update_command::run(args, session).await,
            Command::Terminate(args) => terminate::run(args, session).await,
            Command::Stop(args) => stop_command::run(args, session).await,
            Command::Cancel(args) => cancel::run(args, session).await,
            Command::Savepoint(args) => savepoint::run(args, session).await,
            Command::Status(args) => status::run(args, session).await,
            Command::Logs(args) => logs::run(args, session).await,
        }
    };
    let outcome = interruptible(&session.talk, work).await;
    if outcome.is_ok() && matches!(command, Command::Deploy(_) | Command::Update(_)) {
        session.talk.say(format!("took {}", jar::seconds(began.elapsed())));
    }
    outcome
}
