//! `drey job cancel`.

use drey_flink::rest::{JobOverview, JobState};

use super::{AnswerArgs, forget, found};
use crate::failure::{Failure, Kind};
use crate::job::flink::Session;
use crate::job::names::{JobName, called, is_active};
use crate::job::stop;

/// Cancel a job, without a savepoint
///
/// What came since its last checkpoint is processed again by whoever goes on from that. `drey job stop` keeps everything.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Name of the job, whole; `NAME*` means any name that begins so; or its id
    pub name: String,
    /// What came of it.
    #[command(flatten)]
    pub(crate) answer: AnswerArgs,
}

/// Runs the command.
///
/// # Errors
/// The job is not cancelled.
pub async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let job = found(session, &JobName::read(&args.name)).await?;
    cancel(session, &job).await?;
    args.answer.tell(Some(&format!("{} {}", job.id, JobState::Canceled.word())), job.id, None)
}

/// Cancels it. One that is cancelled already is left alone.
///
/// # Errors
/// It has ended otherwise, or does not end.
pub async fn cancel(session: &Session, job: &JobOverview) -> Result<(), Failure> {
    match job.state {
        JobState::Canceled => return Ok(()),
        JobState::Finished | JobState::Failed => {
            return Err(Failure::new(Kind::Conflict, format!("{} has ended already", called(job))));
        }
        _ => debug_assert!(is_active(job)),
    }
    session.talk.stage(
        format!("cancelling job {}", job.id),
        format!("{} is being cancelled", called(job)),
        "run the same command again",
    );
    stop::cancel(session, job.id).await?;
    forget(session, job).await;
    Ok(())
}
