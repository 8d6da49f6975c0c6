//! `drey job stop`.

use std::time::Duration;

use drey_flink::rest::{JobOverview, SavepointFormat};

use super::{AnswerArgs, found};
use crate::failure::{Failure, Kind};
use crate::follow::parse_timeout;
use crate::job::flink::Session;
use crate::job::names::{JobName, called, is_active};
use crate::job::stop::{Stop, savepoint_of_the_end, with_savepoint};

/// Stop a job with a savepoint, and print the savepoint's path
///
/// Sinks commit before the job ends: nothing is lost and nothing comes twice for whoever goes on from that path. A job that
/// was stopped so already is left alone, and the path is printed again.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Name of the job, whole; `NAME*` means any name that begins so; or its id
    pub name: String,
    #[command(flatten)]
    pub(crate) stop: StopArgs,
    /// What came of it.
    #[command(flatten)]
    pub(crate) answer: AnswerArgs,
}

/// How a job is stopped.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct StopArgs {
    /// Directory for the savepoint, as the JobManager sees it; Flink's own without it
    #[arg(long, visible_alias = "sd", value_name = "DIRECTORY")]
    pub savepoint_dir: Option<String>,
    /// Let windows and timers fire before, so that the job cannot go on later
    #[arg(long)]
    pub drain: bool,
    /// How long the savepoint may take
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_timeout)]
    pub savepoint_timeout: Option<Duration>,
    /// Form of the savepoint: readable by every state backend, or quick
    #[arg(long, value_enum, default_value_t)]
    pub savepoint_format: Format,
}

/// How a savepoint is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Readable by every state backend.
    #[default]
    Canonical,
    /// The state backend's own, which is quicker.
    Native,
}

impl From<Format> for SavepointFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Canonical => Self::Canonical,
            Format::Native => Self::Native,
        }
    }
}

impl StopArgs {
    /// How long a savepoint may take unless it is said.
    pub const TIMEOUT: Duration = Duration::from_secs(600);

    pub(crate) fn stop(&self) -> Stop {
        Stop {
            directory: self.savepoint_dir.clone().filter(|directory| !directory.is_empty()),
            drain: self.drain,
            format: self.savepoint_format.into(),
            timeout: self.savepoint_timeout.unwrap_or(Self::TIMEOUT),
        }
    }
}

/// Runs the command.
///
/// # Errors
/// The job is not stopped.
pub async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let job = found(session, &JobName::read(&args.name)).await?;
    let savepoint = stop(session, &job, &args.stop.stop()).await?;
    session.talk.say(format!("job {} is stopped", job.id));
    args.answer.tell(Some(&savepoint), job.id, Some(&savepoint))
}

/// Stops it, or finds how it was stopped.
///
/// # Errors
/// It is not stopped with a savepoint.
pub async fn stop(session: &Session, job: &JobOverview, how: &Stop) -> Result<String, Failure> {
    if !is_active(job) {
        return savepoint_of_the_end(session, job).await?.ok_or_else(|| {
            Failure::new(
                Kind::Conflict,
                format!("{} has ended, and not by a stop with a savepoint", called(job)),
            )
        });
    }
    session.talk.stage(
        format!("stopping job {} with a savepoint", job.id),
        format!("{} is being stopped with a savepoint, or runs on if that fails", called(job)),
        "run the same command again: it asks for the same stop",
    );
    with_savepoint(session, job.id, how).await
}
