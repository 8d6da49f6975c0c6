//! Replaces a running job by a new version that goes on from where the old one stopped.
//!
//! ```text
//!   look ─► jar and record into Flink's store ─► plan ─► stop with a savepoint ─► run the next id from it ─► RUNNING
//!    │                                                                                   └─► not: run the old
//!    └─ what an update that was killed has left is gone on with                              jar under the next id
//! ```
//! Every run that follows the old one has its id from the old one's, in one row, and a run begins only when the one before
//! it has ended for good: so never two, whoever else updates, and however often answers are lost.

use drey_flink::JobId;
use drey_flink::rest::{JobOverview, JobState};

use super::flink::{Session, read};
use super::identity::{successor, successors};
use super::jar::{keep, place};
use super::lost::{self, Traces};
use super::names::{JobName, called};
use super::next_run::{
    Run, Runs, attempt_of, by_hand, ended_with, former, next_attempt, run_again, when_lost,
};
use super::release::{Release, plan, store};
use super::situation::{Situation, find};
use super::start::{Came, follow, has_committed};
use super::stop::{self, Stop, savepoint_of_the_end, with_savepoint};
use super::version::Store;
use crate::failure::{Failure, Kind};

/// How an update goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// Which job.
    pub name: JobName,
    /// How the old version is stopped.
    pub stop: Stop,
    /// Where the state of the job lies if Flink has forgotten it.
    pub if_lost: Vec<String>,
    /// Without a job of that name, start one.
    pub fallback_to_deploy: bool,
    /// If the new version does not come up, run the old one again.
    pub roll_back: bool,
    /// Ask Flink for the new version's plan before the old one is stopped.
    pub plan: bool,
}

/// What came of an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Updated {
    /// The new version runs.
    To(Runs),
    /// There is no job of that name: it is to be deployed.
    NothingToUpdate {
        /// The state to start from, if Flink has forgotten the job.
        from: Option<String>,
    },
}

/// Updates.
///
/// # Errors
/// The new version does not run; the failure says what does.
pub async fn update(session: &Session, release: &Release, how: &Update) -> Result<Updated, Failure> {
    session.talk.stage("looking", "nothing was changed", "");
    let version = release.version(None);
    let jobs = read(session, || session.rest.jobs()).await?;
    let before = store(session).await?;
    match find(&jobs, &before, &how.name, &version) {
        Situation::Running(old) => replace(session, release, how, &old, &jobs, &before).await,
        Situation::Stopped(old) => go_on(session, release, how, &old, &jobs, &before).await,
        Situation::Started { job, old } => {
            session.talk.say(format!("an earlier run of this update has started {}", called(&job)));
            session.talk.stage("waiting for the job", format!("job {} was submitted", job.id), run_again());
            let Some(old) = old else { return came_up_anyway(session, release, job.id).await };
            let traces = Traces::of(session, job.id, how.stop.directory.as_deref()).await;
            let run = Run {
                release,
                roll_back: how.roll_back,
                old,
                savepoint: None,
                attempt: attempt_of(old, job.id),
                traces,
            };
            run.judge(session, job.id).await.map(Updated::To)
        }
        Situation::NotReady(job) => {
            Err(Failure::new(Kind::Conflict, format!("{} is not RUNNING", called(&job)))
                .hint(format!("see why: `drey job status {}`; it can be updated when it runs", job.id)))
        }
        Situation::Several(jobs) => Err(several(&how.name, &jobs)),
        Situation::Nothing { ended } if how.if_lost.is_empty() => nothing(session, how, &jobs, &ended).await,
        Situation::Nothing { ended } => lost(session, how, &ended).await,
    }
}

fn several(name: &JobName, jobs: &[JobOverview]) -> Failure {
    let message =
        format!("job name with base \"{name}\" has {} instances running. Aborting update", jobs.len());
    let failure =
        jobs.iter().fold(Failure::new(Kind::Conflict, message), |failure, job| failure.detail(called(job)));
    failure.hint("name one by its id, or by its whole name")
}

async fn nothing(
    session: &Session,
    how: &Update,
    jobs: &[JobOverview],
    ended: &[JobOverview],
) -> Result<Updated, Failure> {
    let savepoint = match ended.first() {
        Some(last) => savepoint_of_the_end(session, last).await?.map(|savepoint| (last, savepoint)),
        None => None,
    };
    let known = savepoint
        .map(|(last, savepoint)| format!("{} was stopped with the savepoint {savepoint}", called(last)));
    if how.fallback_to_deploy {
        session
            .talk
            .say(format!("no instance running for job name base \"{}\". Falling back to deploy", how.name));
        known.iter().for_each(|known| {
            session
                .talk
                .say(format!("{known}, which is not used; `--savepoint-path` of `drey job deploy` does"));
        });
        return Ok(Updated::NothingToUpdate { from: None });
    }
    let message = format!("no instance running for job name base \"{}\". Aborting update", how.name);
    let similar = how.name.similar(jobs);
    let failure = Failure::new(Kind::NotFound, message);
    let failure = known.into_iter().fold(failure, Failure::detail);
    Err(if similar.is_empty() {
        failure.hint("start it: `drey job deploy`, or with `--fallback-to-deploy`")
    } else {
        failure.hint(format!(
            "these begin with it: {}; to mean what begins with it: `{}*`",
            similar.join(", "),
            how.name
        ))
    })
}

/// Flink has forgotten the job, as whoever runs the command says: it goes on from the newest state that is left of it.
async fn lost(session: &Session, how: &Update, ended: &[JobOverview]) -> Result<Updated, Failure> {
    if lost::has_high_availability(session).await != Some(false) {
        let message = format!("Flink does not list job `{}`, and may still bring it back", how.name);
        return Err(Failure::new(Kind::Conflict, message)
            .detail("it has high availability, or does not say: `--if-lost` could start a second job")
            .hint("see what runs: `drey job list`; to start it nevertheless: `drey job deploy --savepoint-path`"));
    }
    for earlier in ended {
        if earlier.state == JobState::Finished || has_committed(session, earlier).await != Some(false) {
            let message = format!("{} has ended and is not lost", called(earlier));
            return Err(Failure::new(Kind::Conflict, message)
                .detail("it may have written since what `--if-lost` names was kept")
                .hint("`drey job deploy --savepoint-path` starts from a state that you know"));
        }
    }
    let from = lost::newest(&how.if_lost)?;
    session.talk.say(format!("Flink has forgotten job `{}`; it goes on from {from}", how.name));
    Ok(Updated::NothingToUpdate { from: Some(from) })
}

/// The usual way.
async fn replace(
    session: &Session,
    release: &Release,
    how: &Update,
    old: &JobOverview,
    jobs: &[JobOverview],
    before: &Store,
) -> Result<Updated, Failure> {
    let traces = Traces::of(session, old.id, how.stop.directory.as_deref()).await;
    let flags = traces.flags(old.id, None, &[]);
    session.talk.if_lost(when_lost(&flags));
    let attempt = next_attempt(old.id, 0, jobs)?;
    let prepared = prepare(session, release, how, old, successor(old.id, attempt), before).await;
    let jar_id = known(session, old.id, &flags, prepared).await?;
    session.talk.say(format!("stopping {} with a savepoint", called(old)));
    session.talk.stage(
        format!("stopping job {} with a savepoint", old.id),
        format!(
            "{} is being stopped with a savepoint, or runs on if that fails; the new version is not started",
            called(old)
        ),
        run_again(),
    );
    let stopped = with_savepoint(session, old.id, &how.stop).await;
    let savepoint = known(session, old.id, &flags, stopped).await?;
    session.talk.say(format!("job {} has ended with the savepoint {savepoint}", old.id));
    let run =
        Run { release, roll_back: how.roll_back, old: old.id, savepoint: Some(savepoint), attempt, traces };
    run.start(session, &jar_id).await.map(Updated::To)
}

/// After an update that was killed between the stop and the start, or whose new version did not come up.
async fn go_on(
    session: &Session,
    release: &Release,
    how: &Update,
    old: &JobOverview,
    jobs: &[JobOverview],
    before: &Store,
) -> Result<Updated, Failure> {
    session.talk.stage("looking", format!("{} has ended and nothing runs", called(old)), "");
    let savepoint = savepoint_of_the_end(session, old).await?.ok_or_else(|| {
        Failure::new(
            Kind::Failed,
            format!("{} has ended without a savepoint that Flink still knows", called(old)),
        )
        .hint("`drey job deploy --savepoint-path` starts from one that you know")
    })?;
    session.talk.say(format!(
        "an earlier update has stopped {} with the savepoint {savepoint}; going on from there",
        called(old)
    ));
    session.talk.stage("looking", ended_with(old.id, &savepoint), by_hand(&savepoint));
    for earlier in successors(old.id).filter_map(|id| jobs.iter().find(|job| job.id == id)) {
        if has_committed(session, earlier).await != Some(false) {
            return Err(Failure::new(
                Kind::Conflict,
                format!(
                    "{} may have written since: from the savepoint that would come twice",
                    called(earlier)
                ),
            ));
        }
    }
    session.talk.stage("uploading the new version", ended_with(old.id, &savepoint), run_again());
    let attempt = next_attempt(old.id, 0, jobs)?;
    let jar_id = place(session, before, &release.jar).await?;
    record(session, release, before, successor(old.id, attempt), &jar_id).await?;
    let traces = Traces::of(session, old.id, how.stop.directory.as_deref()).await;
    let run =
        Run { release, roll_back: how.roll_back, old: old.id, savepoint: Some(savepoint), attempt, traces };
    run.start(session, &jar_id).await.map(Updated::To)
}

/// What failed may have failed because Flink was started again and has forgotten the job; then that is what is told.
async fn known<T>(
    session: &Session,
    old: JobId,
    flags: &str,
    outcome: Result<T, Failure>,
) -> Result<T, Failure> {
    let Err(failed) = outcome else { return outcome };
    // Who cannot reach it knows nothing of it.
    let is_known = failed.kind() == Kind::Unreachable || session.rest.job(old).await != Ok(None);
    if is_known {
        return Err(failed);
    }
    let left = "the old version is gone, and the new one was not started";
    session.talk.stage("", left, format!("run the same command again with {flags}"));
    // It may name the savepoint.
    Err(if failed.kind() == Kind::NotFound { failed } else { stop::forgotten(old) })
}

/// Everything before the stop; returns the jar in Flink's store.
async fn prepare(
    session: &Session,
    release: &Release,
    how: &Update,
    old: &JobOverview,
    new: JobId,
    before: &Store,
) -> Result<String, Failure> {
    let runs_on = format!("nothing was changed: {} was left as it is", called(old));
    session.talk.stage("uploading the new version", runs_on.clone(), run_again());
    let jar_id = place(session, before, &release.jar).await?;
    if how.plan {
        session.talk.stage("having Flink plan the new version", runs_on.clone(), "");
        let name = plan(session, &jar_id, &release.options, new).await?;
        if let Some(name) = name.filter(|name| *name != old.name) {
            session.talk.say(format!("the new version is called `{name}`, the old one `{}`", old.name));
        }
    }
    session.talk.stage("recording the update", runs_on, run_again());
    record(session, release, before, new, &jar_id).await?;
    if how.roll_back && former(before, old.id).is_none() {
        session.talk.say(format!(
            "how {} was started is not recorded: if the new version does not come up, the old one is not run again by itself",
            called(old)
        ));
    }
    Ok(jar_id)
}

async fn record(
    session: &Session,
    release: &Release,
    store: &Store,
    job: JobId,
    jar_id: &str,
) -> Result<(), Failure> {
    let version = release.version(None);
    if store.of_job(job).iter().any(|record| record.version != version) {
        session
            .talk
            .say("another update of this job was begun, and has not come to its end; one of them will win");
    }
    if !keep(session, store, &release.record(job, &version, jar_id, true)).await? {
        session.talk.say("the arguments are too long to be recorded: if this is interrupted, the same command cannot go on");
    }
    Ok(())
}

async fn came_up_anyway(session: &Session, release: &Release, job: JobId) -> Result<Updated, Failure> {
    match follow(session, job, release.timeout).await {
        Came::Running | Came::Finished => Ok(Updated::To(Runs { job, savepoint: None })),
        Came::Forgotten => Err(stop::forgotten(job)),
        Came::Not { why, .. } => {
            Err(Failure::new(Kind::Failed, format!("job {job} does not come up: {why}")))
        }
    }
}
