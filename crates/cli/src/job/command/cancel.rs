//! `drey job cancel`.

use drey_flink::rest::{JobOverview, JobState};

use super::{forget, found};
use crate::failure::{Failure, Kind};
use crate::job::flink::Session;
use crate::job::names::{JobName, called, is_active};
use crate::job::stop;
use crate::output::line;

/// Cancel a job, without a savepoint
///
/// What came since its last checkpoint is processed again by whoever goes on from that. `drey job stop` keeps everything.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Name of the job, whole; `NAME*` means any name that begins so; or its id
    pub name: String,
}

/// Runs the command.
///
/// # Errors
/// The job is not cancelled.
pub async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let job = found(session, &JobName::read(&args.name)).await?;
    cancel(session, &job).await?;
    line(&format!("{} {}", job.id, JobState::Canceled.word()))
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
