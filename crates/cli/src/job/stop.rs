//! Ends a job, with a savepoint or without, and waits until it has ended.
//!
//! The savepoint is the one that Flink names for this very stop. The id of the stop comes from the job's own id, so that
//! whoever asks again, in this process or in the next, asks for the same stop.

use std::time::Duration;

use drey_flink::JobId;
use drey_flink::rest::{
    AsyncResult, JobOverview, JobState, Refusal, RestError, SavepointFormat, StopRequest,
};
use tokio::time::Instant;

use super::flink::{Session, Silence, failure};
use super::identity;
use super::limits;
use super::names::is_active;
use crate::failure::{Failure, Kind};

/// How a job is stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The directory for the savepoint; Flink's own when `None`.
    pub directory: Option<String>,
    /// Windows and timers fire before, so that the job cannot go on later.
    pub drain: bool,
    /// The form of the savepoint.
    pub format: SavepointFormat,
    /// How long it may take.
    pub timeout: Duration,
}

/// What is known of a stop.
enum Known {
    Completed(String),
    Failed(Failure),
    Going,
    NotAsked,
}

/// Stops the job and returns the savepoint that Flink made for it. The job has ended then.
///
/// # Errors
/// Why there is no savepoint, or why the job still runs.
pub async fn with_savepoint(session: &Session, job: JobId, stop: &Stop) -> Result<String, Failure> {
    let deadline = Instant::now() + stop.timeout;
    let mut attempt = next_attempt(session, job).await?;
    let (mut asked, mut silence) = (0, Silence::of(session));
    let location = loop {
        let answer = known(session, job, attempt).await;
        if answer.is_ok() {
            silence.ends();
        }
        match answer {
            Ok(Known::Completed(location)) => break location,
            // One that failed before this command has asked is not what it was asked for.
            Ok(Known::Failed(_)) if asked == 0 && attempt + 1 < limits::ATTEMPTS_MAX => {
                attempt += 1;
                continue;
            }
            Ok(Known::Failed(failed)) => return Err(failed),
            Ok(Known::Going) => {}
            Ok(Known::NotAsked) => {
                if let Some(location) = ended_before(session, job).await? {
                    break location;
                }
                ask(session, job, attempt, stop, &mut asked).await?;
                continue;
            }
            Err(error) => {
                session.talk.say(format!("no answer about the savepoint, asked again: {error}"));
                silence.goes_on(&error)?;
            }
        }
        if Instant::now() >= deadline {
            return Err(no_savepoint_in_time(job, stop.timeout));
        }
        tokio::time::sleep(session.pace.look).await;
    };
    let ended = ended(session, job, deadline.max(Instant::now() + limits::CANCEL)).await;
    ended.map_err(|failed| failed.detail(format!("its savepoint is {location}")))?;
    Ok(location)
}

fn no_savepoint_in_time(job: JobId, timeout: Duration) -> Failure {
    let message =
        format!("failed to create savepoint for job \"{job}\" within {} seconds", timeout.as_secs());
    Failure::new(Kind::Timeout, message)
        .detail("Flink goes on with it: the job may end later, with its savepoint")
}

/// The first stop that has not failed: one that goes on is waited for, not asked for a second time.
async fn next_attempt(session: &Session, job: JobId) -> Result<u32, Failure> {
    for attempt in 0..limits::ATTEMPTS_MAX {
        match known(session, job, attempt).await.map_err(|error| failure(&error))? {
            Known::Failed(_) => {}
            Known::Completed(_) | Known::Going | Known::NotAsked => return Ok(attempt),
        }
    }
    Err(Failure::new(Kind::Failed, format!("{} stops of job {job} have failed", limits::ATTEMPTS_MAX))
        .hint(format!("see why: `drey job status {job}`")))
}

async fn known(session: &Session, job: JobId, attempt: u32) -> Result<Known, RestError> {
    Ok(match session.rest.savepoint_result(job, identity::stop(job, attempt)).await? {
        AsyncResult::Completed(location) => Known::Completed(location),
        AsyncResult::InProgress => Known::Going,
        AsyncResult::UnknownTrigger => Known::NotAsked,
        AsyncResult::Failed(operation) => {
            let message = format!(
                "failed to create savepoint for job {job} due to error: {}",
                operation.cause.summary()
            );
            let failed = Failure::new(Kind::Failed, message);
            Known::Failed(match operation.savepoint {
                None => failed,
                Some(savepoint) => failed.detail(format!(
                    "a savepoint was completed before: {savepoint}; the job may have gone on since"
                )),
            })
        }
    })
}

/// Asks for the stop. Only what is certainly wrong is an error; all else is looked at.
async fn ask(
    session: &Session,
    job: JobId,
    attempt: u32,
    stop: &Stop,
    asked: &mut usize,
) -> Result<(), Failure> {
    *asked += 1;
    let request = StopRequest {
        trigger: identity::stop(job, attempt),
        target_directory: stop.directory.clone(),
        drain: stop.drain,
        format: stop.format,
    };
    let error = match session.rest.stop_with_savepoint(job, &request).await {
        Ok(()) => return Ok(()),
        Err(error) => error,
    };
    let is_certain = matches!(
        error,
        RestError::NotFound { .. }
            | RestError::Refused {
                refusal: Refusal::Rejected { .. } | Refusal::NoSuchCall { .. } | Refusal::NotSendable { .. },
                ..
            }
    );
    if is_certain || *asked >= limits::SENDS_MAX {
        let why = failure(&error);
        let message = format!("failed to create savepoint for job {job} due to error: {}", why.message());
        return Err(Failure::new(why.kind(), message));
    }
    session.talk.say(format!("no answer to the stop, asked again under the same id: {error}"));
    tokio::time::sleep(session.pace.look).await;
    Ok(())
}

/// The savepoint that the job has ended with, when it has ended before it was asked to.
async fn ended_before(session: &Session, job: JobId) -> Result<Option<String>, Failure> {
    let Some(found) = session.rest.job(job).await.map_err(|error| failure(&error))? else {
        return Err(forgotten(job));
    };
    if is_active(&found) {
        return Ok(None);
    }
    match savepoint_of_the_end(session, &found).await? {
        Some(location) => Ok(Some(location)),
        None => Err(Failure::new(
            Kind::Conflict,
            format!("job {job} has ended as {} without this stop", found.state.word()),
        )),
    }
}

/// The job is gone with its JobManager.
#[must_use]
pub fn forgotten(job: JobId) -> Failure {
    Failure::new(Kind::NotFound, format!("Flink does not know job {job} any more"))
        .detail("a JobManager without high availability forgets its jobs when it dies")
}

/// The savepoint that a job was stopped with, from the record that Flink keeps of the job.
///
/// # Errors
/// Flink does not answer.
pub async fn savepoint_of_the_end(session: &Session, job: &JobOverview) -> Result<Option<String>, Failure> {
    if job.state != JobState::Finished {
        return Ok(None);
    }
    for attempt in 0..limits::ATTEMPTS_MAX {
        match known(session, job.id, attempt).await.map_err(|error| failure(&error))? {
            Known::Completed(location) => return Ok(Some(location)),
            Known::Failed(_) => {}
            Known::Going | Known::NotAsked => break,
        }
    }
    let statistics = session.rest.checkpoints(job.id).await.map_err(|error| failure(&error))?;
    let newest = statistics.and_then(|statistics| {
        let taken = [statistics.latest.completed, statistics.latest.savepoint].into_iter().flatten();
        taken.max_by_key(|checkpoint| checkpoint.id)
    });
    // Only the savepoint of a stop is a job's last state; after any other it may have gone on.
    let last = newest.filter(|newest| newest.checkpoint_type.as_deref() == Some("SYNC_SAVEPOINT"));
    Ok(last.and_then(|last| last.external_path?.location().map(str::to_owned)))
}

/// Cancels the job and waits until it has ended. One that has ended already is left alone.
///
/// # Errors
/// It is not cancelled.
pub async fn cancel(session: &Session, job: JobId) -> Result<(), Failure> {
    let deadline = Instant::now() + limits::CANCEL;
    loop {
        match session.rest.cancel(job).await {
            Ok(()) => break,
            // It ended meanwhile.
            Err(RestError::Refused { refusal: Refusal::Rejected { status: 409, .. }, .. }) => break,
            Err(error @ (RestError::NotFound { .. } | RestError::Refused { .. })) => {
                return Err(not_cancelled(job, &error));
            }
            Err(error) if Instant::now() >= deadline => return Err(not_cancelled(job, &error)),
            Err(error) => {
                session.talk.say(format!("no answer to the cancellation, asked again: {error}"));
                tokio::time::sleep(session.pace.look).await;
            }
        }
    }
    ended(session, job, deadline).await.map(drop)
}

fn not_cancelled(job: JobId, error: &RestError) -> Failure {
    let why = failure(error);
    let message = format!("job \"{job}\" failed to cancel due to: {}", why.message());
    Failure::new(why.kind(), message)
}

/// Waits until the job has ended for good.
async fn ended(session: &Session, job: JobId, deadline: Instant) -> Result<JobState, Failure> {
    let (mut last, mut silence, mut absent) = (String::new(), Silence::of(session), None);
    loop {
        let answer = session.rest.job(job).await;
        if answer.is_ok() {
            silence.ends();
        }
        match answer {
            Ok(Some(found)) if !is_active(&found) => return Ok(found.state),
            Ok(Some(found)) => {
                absent = None;
                found.state.word().clone_into(&mut last);
            }
            Ok(None) => {
                if Instant::now() - *absent.get_or_insert_with(Instant::now) >= session.pace.appear {
                    return Err(forgotten(job));
                }
                "not known to Flink".clone_into(&mut last);
            }
            Err(error) => {
                silence.goes_on(&error)?;
                last = error.to_string();
            }
        }
        if Instant::now() >= deadline {
            return Err(Failure::new(Kind::Timeout, format!("job {job} has not ended: {last}")));
        }
        tokio::time::sleep(session.pace.look).await;
    }
}
