//! Starts a job that follows none. A record with its id is in Flink's store before it is submitted, so that whoever
//! deploys the same again, after a lost answer or a kill, finds it.

use drey_flink::JobId;
use drey_flink::rest::JobOverview;

use super::flink::{Session, innermost, read};
use super::identity;
use super::jar::{keep, place, remove};
use super::limits;
use super::lost::life_without_memory;
use super::names::{called, is_active};
use super::release::{Release, store};
use super::start::{Came, Submission, follow, submit};
use super::stop::forgotten;
use super::version::{Record, Store};
use crate::failure::{Failure, Kind};

/// How a deployment goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deployment {
    /// The savepoint to start from.
    pub savepoint_path: Option<String>,
    /// Start another one although the same runs.
    pub again: bool,
}

/// Deploys, and returns the job's id once it runs.
///
/// # Errors
/// It does not run, and what is left.
pub async fn deploy(session: &Session, release: &Release, how: &Deployment) -> Result<JobId, Failure> {
    session.talk.stage("looking", "nothing was submitted", "");
    let version = release.version(how.savepoint_path.as_deref());
    let jobs = read(session, || session.rest.jobs()).await?;
    let before = store(session).await?;
    if let (false, Some(job)) = (how.again, running_already(&jobs, &before, &version)) {
        session
            .talk
            .say(format!("this version was submitted before: {}; `--again` starts another one", called(job)));
        session.talk.stage("waiting for the job", format!("job {} was submitted", job.id), run_again());
        return came_up(session, release, job.id).await;
    }
    session.talk.stage("uploading the jar", "nothing was submitted", run_again());
    let jar_id = place(session, &before, &release.jar).await?;
    let record = intended(session, release, how, &jobs, &before, &version, &jar_id).await?;
    if let Some(job) = submitted(session, release, how, &record).await? {
        return came_up(session, release, job).await;
    }
    session.talk.say(format!("job {} has ended long ago; this one has another id", record.job));
    remove(session, |id, _| id == record.job).await;
    let before = store(session).await?;
    let jar_id = place(session, &before, &release.jar).await?;
    let record = intended(session, release, how, &jobs, &before, &version, &jar_id).await?;
    match submitted(session, release, how, &record).await? {
        Some(job) => came_up(session, release, job).await,
        None => Err(Failure::new(Kind::Conflict, format!("the id {} was given away twice", record.job))),
    }
}

/// Submits it under the id of the record. `None` when Flink has had a job with this id and has forgotten it.
async fn submitted(
    session: &Session,
    release: &Release,
    how: &Deployment,
    record: &Record,
) -> Result<Option<JobId>, Failure> {
    let run = release.options.run(record.job, how.savepoint_path.clone());
    session.talk.stage(
        format!("submitting job {}", record.job),
        format!("job {} may have been submitted", record.job),
        run_again(),
    );
    match submit(session, &record.jar_id, &run, release.timeout).await {
        Ok(Submission::Taken | Submission::Either | Submission::Before(Some(_))) => {}
        Ok(Submission::Before(None)) => return Ok(None),
        Err(failed) if failed.kind() == Kind::Unreachable => return Err(failed),
        Err(failed) => {
            session.talk.stage("", "nothing runs", "");
            remove(session, |id, _| id == record.job).await;
            let message = format!("Flink refuses job {}: {}", record.job, innermost(failed.message()));
            return Err(Failure::new(failed.kind(), message));
        }
    }
    session.talk.stage("waiting for the job", format!("job {} was submitted", record.job), run_again());
    Ok(Some(record.job))
}

fn run_again() -> &'static str {
    "run the same command again: it finds what this one has started"
}

/// The job of this version that may still do something.
fn running_already<'a>(jobs: &'a [JobOverview], store: &Store, version: &str) -> Option<&'a JobOverview> {
    let records = store.records();
    let mut ours = records.iter().filter(|record| record.version == version);
    ours.find_map(|record| jobs.iter().find(|job| job.id == record.job && is_active(job)))
}

/// The record under which it is submitted: one that an earlier run has left, or a new one. Two that deploy the same at the
/// same time agree on the smallest id.
async fn intended(
    session: &Session,
    release: &Release,
    how: &Deployment,
    jobs: &[JobOverview],
    before: &Store,
    version: &str,
    jar_id: &str,
) -> Result<Record, Failure> {
    let since_ms =
        jiff::Timestamp::now().as_millisecond() - limits::RECORD_AGE.as_millis().try_into().unwrap_or(0);
    // A job that an earlier JobManager has run had this id, and its checkpoints are there.
    let life = life_without_memory(session).await;
    let is_of_life = |record: &Record| life.is_none() || record.life.is_none() || record.life == life;
    let fits = |store: &Store, record: &Record| {
        let is_of_this = record.version == version && !record.follows && !how.again && is_of_life(record);
        is_of_this && store.is_since(record, since_ms) && !jobs.iter().any(|job| job.id == record.job)
    };
    if let Some(left) =
        before.records().into_iter().find(|record| fits(before, record) && before.has_jar(record))
    {
        return Ok(left);
    }
    let unique = identity::unique(jiff::Timestamp::now());
    let record = release.record(identity::first(version, &unique), version, jar_id, false);
    let record = Record { life: life.clone(), ..record };
    if !keep(session, before, &record).await? {
        session
            .talk
            .say("the arguments are too long to be recorded; a later update cannot go back to this version");
        return Ok(record);
    }
    let after = store(session).await?;
    Ok(after.records().into_iter().find(|record| fits(&after, record)).unwrap_or(record))
}

async fn came_up(session: &Session, release: &Release, job: JobId) -> Result<JobId, Failure> {
    match follow(session, job, release.timeout).await {
        Came::Running => Ok(job),
        Came::Finished => {
            remove(session, |id, _| id == job).await;
            Ok(job)
        }
        Came::Not { job: Some(found), why } if !is_active(&found) => {
            remove(session, |id, _| id == job).await;
            session.talk.stage("", "", format!("see more: `drey job status {job}`"));
            Err(Failure::new(Kind::Failed, format!("job {job} did not come up: {why}")))
        }
        Came::Not { job: Some(_), why } => {
            session.talk.stage(
                "",
                "it goes on trying",
                format!("`drey job status {job}` or `drey job cancel {job}`"),
            );
            Err(Failure::new(Kind::Failed, format!("job {job} does not come up: {why}")))
        }
        Came::Forgotten => {
            session.talk.stage(
                "",
                "if it has completed a checkpoint, it can go on from there",
                "start it from its newest checkpoint with `--savepoint-path`",
            );
            Err(forgotten(job))
        }
        Came::Not { job: None, why } => {
            session.talk.stage("", format!("job {job} was submitted"), run_again());
            Err(Failure::new(Kind::Unreachable, format!("whether job {job} runs is not known: {why}")))
        }
    }
}
