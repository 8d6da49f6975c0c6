//! `drey job savepoint`.

use drey_flink::rest::{AsyncResult, RestError, SavepointRequest};
use jiff::Timestamp;
use tokio::time::Instant;

use super::stop::StopArgs;
use super::{AnswerArgs, found};
use crate::failure::{Failure, Kind};
use crate::job::flink::{Session, failure};
use crate::job::names::{JobName, called, is_active};
use crate::job::{identity, limits};

/// Take a savepoint of a running job, and print its path
///
/// The job runs on. What of it comes after the savepoint is not in it: to move a job, stop it with `drey job stop`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Name of the job, whole; `NAME*` means any name that begins so; or its id
    pub name: String,
    #[command(flatten)]
    pub(crate) savepoint: StopArgs,
    /// What came of it.
    #[command(flatten)]
    pub(crate) answer: AnswerArgs,
}

/// Runs the command.
///
/// # Errors
/// There is no savepoint.
pub async fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    if args.savepoint.drain {
        return Err(Failure::new(Kind::Usage, "`--drain` ends a job").hint("`drey job stop --drain`"));
    }
    let job = found(session, &JobName::read(&args.name)).await?;
    if !is_active(&job) {
        return Err(Failure::new(Kind::Conflict, format!("{} has ended", called(&job))));
    }
    let stop = args.savepoint.stop();
    let trigger = identity::savepoint(job.id, &identity::unique(Timestamp::now()));
    let request = SavepointRequest { trigger, target_directory: stop.directory.clone(), format: stop.format };
    session.talk.stage(
        "taking a savepoint",
        format!("{} runs on; its savepoint may still be completed by Flink", called(&job)),
        format!("see it with `drey job status {}`", job.id),
    );
    let deadline = Instant::now() + stop.timeout;
    let mut asked = 0;
    loop {
        match session.rest.savepoint_result(job.id, trigger).await {
            Ok(AsyncResult::Completed(path)) => return args.answer.tell(Some(&path), job.id, Some(&path)),
            Ok(AsyncResult::Failed(operation)) => {
                let why = operation.cause.summary();
                let message = format!("failed to create savepoint for job {} due to error: {why}", job.id);
                return Err(Failure::new(Kind::Failed, message));
            }
            Ok(AsyncResult::InProgress) => {}
            Ok(AsyncResult::UnknownTrigger) => {
                asked += 1;
                match session.rest.trigger_savepoint(job.id, &request).await {
                    Ok(()) => {}
                    Err(error @ RestError::UnknownOutcome { .. }) if asked < limits::SENDS_MAX => {
                        session.talk.say(format!("no answer, asked again under the same id: {error}"));
                    }
                    Err(error) => return Err(failure(&error)),
                }
            }
            Err(error) => session.talk.say(format!("no answer about the savepoint: {error}")),
        }
        if Instant::now() >= deadline {
            let seconds = stop.timeout.as_secs();
            let message =
                format!("failed to create savepoint for job \"{}\" within {seconds} seconds", job.id);
            return Err(Failure::new(Kind::Timeout, message));
        }
        tokio::time::sleep(session.pace.look).await;
    }
}
