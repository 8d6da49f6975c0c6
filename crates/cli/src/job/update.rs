//! Replaces a running job by a new version that goes on from where the old one stopped.
//!
//! ```text
//!   look ─► jar and record into Flink's store ─► plan ─► stop with a savepoint ─► run the next id from it ─► RUNNING
//!    │                                                                                   └─► not: run the old
//!    └─ what an update that was killed has left is gone on with                              jar under the next id
//! ```
//! Every run that follows the old one has its id from the old one's, in one row, and a run begins only when the one before
//! it has ended for good: so never two, whoever else updates, and however often answers are lost.

use std::time::Duration;

use drey_flink::JobId;
use drey_flink::rest::{JobOverview, JobState};

use super::flink::{Session, innermost, read};
use super::identity::{successor, successors};
use super::jar::{keep, place, remove};
use super::limits;
use super::lost::{self, Traces};
use super::names::{JobName, called, is_active};
use super::release::{Release, plan, store};
use super::situation::{Situation, find};
use super::start::{Came, Submission, follow, has_committed, submit};
use super::stop::{self, Stop, savepoint_of_the_end, with_savepoint};
use super::version::{Record, Store};
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
    To {
        /// Under this id.
        job: JobId,
        /// From this savepoint; not known when it was started by an earlier run of the command.
        savepoint: Option<String>,
    },
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
            let run = Run { release, how, old, savepoint: None, attempt: attempt_of(old, job.id), traces };
            run.judge(session, job.id).await
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

fn run_again() -> &'static str {
    "run the same command again: it goes on from here"
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

/// What to do when Flink dies and has forgotten its jobs.
fn when_lost(flags: &str) -> String {
    format!("if Flink is started again and has forgotten its jobs: the same command with {flags}")
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
    let run = Run { release, how, old: old.id, savepoint: Some(savepoint), attempt, traces };
    run.start(session, &jar_id).await
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
    let run = Run { release, how, old: old.id, savepoint: Some(savepoint), attempt, traces };
    run.start(session, &jar_id).await
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

fn ended_with(old: JobId, savepoint: &str) -> String {
    format!("job {old} has ended with the savepoint {savepoint}, and nothing runs")
}

fn by_hand(savepoint: &str) -> String {
    format!("to start from it: `drey job deploy --savepoint-path {savepoint} --file-name …`")
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

/// The first id of the row, from `from` on, that no job has.
fn next_attempt(old: JobId, from: u32, jobs: &[JobOverview]) -> Result<u32, Failure> {
    let is_free = |attempt: &u32| !jobs.iter().any(|job| job.id == successor(old, *attempt));
    (from..limits::ATTEMPTS_MAX).find(is_free).ok_or_else(|| {
        Failure::new(
            Kind::Failed,
            format!("{} runs after job {old} have ended already", limits::ATTEMPTS_MAX),
        )
        .hint("`drey job deploy --savepoint-path` starts a new one")
    })
}

fn attempt_of(old: JobId, job: JobId) -> u32 {
    (0..limits::ATTEMPTS_MAX).find(|attempt| successor(old, *attempt) == job).unwrap_or_default()
}

/// The version that the old job was, when it can be run again.
fn former(store: &Store, old: JobId) -> Option<Record> {
    store.of_job(old).into_iter().find(|record| store.has_jar(record))
}

async fn came_up_anyway(session: &Session, release: &Release, job: JobId) -> Result<Updated, Failure> {
    match follow(session, job, release.timeout).await {
        Came::Running | Came::Finished => Ok(Updated::To { job, savepoint: None }),
        Came::Forgotten => Err(stop::forgotten(job)),
        Came::Not { why, .. } => {
            Err(Failure::new(Kind::Failed, format!("job {job} does not come up: {why}")))
        }
    }
}

/// The start of a new version after its old one has ended.
struct Run<'a> {
    release: &'a Release,
    how: &'a Update,
    old: JobId,
    /// Not known when an earlier run of the command has started the new version.
    savepoint: Option<String>,
    attempt: u32,
    traces: Traces,
}

impl Run<'_> {
    async fn start(&self, session: &Session, jar_id: &str) -> Result<Updated, Failure> {
        let new = successor(self.old, self.attempt);
        session.talk.if_lost(when_lost(&self.flags(&[new])));
        session.talk.say(format!("starting the new version as job {new}"));
        session.talk.stage(
            format!("submitting job {new}"),
            format!("{}; or job {new} was submitted", self.left()),
            run_again(),
        );
        let run = self.release.options.run(new, self.savepoint.clone());
        match submit(session, jar_id, &run, self.release.timeout).await {
            Ok(Submission::Taken) => {}
            Ok(Submission::Before(_) | Submission::Either) => self.is_ours(session, new).await?,
            // Whether it runs is not known, or Flink is away: nothing else may be started.
            Err(failed) if failed.kind() == Kind::Unreachable => return Err(failed),
            Err(failed) => return self.refused(session, new, &failed).await,
        }
        self.judge(session, new).await
    }

    /// What to add to the command if Flink has forgotten these runs, of which each began with the savepoint.
    fn flags(&self, runs: &[JobId]) -> String {
        self.traces.flags(self.old, self.savepoint.as_deref(), runs)
    }

    /// Flink does not know a run any more, or what was before it.
    fn forgotten(&self, session: &Session, job: JobId, runs: &[JobId], left: String) -> Failure {
        session.talk.stage("", left, format!("run the same command again with {}", self.flags(runs)));
        stop::forgotten(job)
    }

    /// Flink has refused the new version. It knows it nevertheless when it failed while it was set up.
    async fn refused(&self, session: &Session, new: JobId, failed: &Failure) -> Result<Updated, Failure> {
        let jobs = read(session, || session.rest.jobs()).await?;
        match jobs.iter().find(|job| job.id == new) {
            Some(job) if is_active(job) => {
                self.is_ours(session, new).await?;
                self.judge(session, new).await
            }
            // It was started again, and its store may be another.
            None if !jobs.iter().any(|job| job.id == self.old) => {
                Err(self.forgotten(session, self.old, &[], self.left()))
            }
            Some(_) | None => {
                let why = innermost(failed.message());
                session.talk.say(format!("Flink refuses the new version: {why}"));
                self.roll_back(session, why).await
            }
        }
    }

    /// Another update may have been quicker: its version is then under the id, and not this one.
    async fn is_ours(&self, session: &Session, new: JobId) -> Result<(), Failure> {
        let version = self.release.version(None);
        let records = store(session).await?.of_job(new);
        if records.iter().all(|record| record.version == version) {
            return Ok(());
        }
        session.talk.stage(
            "",
            format!("job {new} was submitted with the other version; this one was not started"),
            format!("see how it is: `drey job status {new}`; if this version is to follow it, run the same command again"),
        );
        remove(session, |job, ours| job == new && ours == version).await;
        Err(Failure::new(
            Kind::Conflict,
            "another update of the same job ran at the same time, with another version",
        ))
    }

    fn left(&self) -> String {
        match &self.savepoint {
            Some(savepoint) => ended_with(self.old, savepoint),
            None => format!("job {} has ended", self.old),
        }
    }

    async fn judge(&self, session: &Session, new: JobId) -> Result<Updated, Failure> {
        session.talk.stage(format!("waiting for job {new}"), format!("job {new} was submitted"), run_again());
        match follow(session, new, self.release.timeout).await {
            Came::Running | Came::Finished => {
                self.clean_up(session, new, &self.release.version(None)).await;
                Ok(Updated::To { job: new, savepoint: self.savepoint.clone() })
            }
            Came::Forgotten => {
                let left =
                    format!("{}; job {new} was submitted, and may have gone on from there", self.left());
                Err(self.forgotten(session, new, &[new], left))
            }
            Came::Not { job: None, why } => {
                Err(Failure::new(Kind::Unreachable, format!("whether job {new} runs is not known: {why}")))
            }
            Came::Not { job: Some(job), why } => self.give_up(session, &job, &why).await,
        }
    }

    /// What was replaced is not needed any more, nor are versions that did not come up or came too late.
    async fn clean_up(&self, session: &Session, new: JobId, version: &str) {
        // Also what an update before this one was kept from removing.
        let is_in_row = |job: JobId| {
            job == self.old
                || successors(self.old).chain(successors(job)).any(|id| id == job || id == self.old)
        };
        remove(session, |job, ours| if job == new { ours != version } else { is_in_row(job) }).await;
    }

    /// The new version does not come up: it is ended for good, unless what it has done would be lost or repeated.
    async fn give_up(&self, session: &Session, job: &JobOverview, why: &str) -> Result<Updated, Failure> {
        let new = job.id;
        session.talk.say(format!("the new version does not come up: {why}"));
        let does_not =
            || Failure::new(Kind::Failed, format!("the new version, job {new}, does not come up: {why}"));
        if !self.how.roll_back && is_active(job) {
            session.talk.stage(
                "",
                format!("job {new} goes on trying"),
                format!("`drey job status {new}` or `drey job cancel {new}`"),
            );
            return Err(does_not());
        }
        session.talk.stage(
            format!("ending job {new}"),
            format!("job {new} was submitted and does not come up"),
            run_again(),
        );
        let committed = has_committed(session, job).await;
        if committed == Some(false) && is_active(job) {
            stop::cancel(session, new).await?;
        }
        let ended = read(session, || session.rest.job(new)).await?;
        let committed = match (committed, ended.filter(|job| !is_active(job))) {
            (Some(false), Some(ended)) => has_committed(session, &ended).await,
            (committed, _) => committed.filter(|committed| *committed),
        };
        if committed != Some(false) {
            session.talk.stage(
                "",
                format!("job {new} is left as it is"),
                format!("see more: `drey job status {new}`"),
            );
            return Err(does_not().detail(
                "it has completed checkpoints, or Flink does not say: the old version would write the same again",
            ));
        }
        self.roll_back(session, why).await
    }

    /// Runs the old version again from the savepoint that it was stopped with.
    async fn roll_back(&self, session: &Session, why: &str) -> Result<Updated, Failure> {
        let new = successor(self.old, self.attempt);
        let failed =
            Failure::new(Kind::Failed, format!("the new version, job {new}, did not come up: {why}"));
        let savepoint = match &self.savepoint {
            Some(savepoint) => Some(savepoint.clone()),
            None => self.savepoint_of_the_old(session).await?,
        };
        let Some(savepoint) = savepoint else {
            session.talk.stage("", self.left(), "");
            return Err(failed.detail("the savepoint of the old version is not known to Flink any more"));
        };
        session.talk.stage("", ended_with(self.old, &savepoint), by_hand(&savepoint));
        if !self.how.roll_back {
            return Err(failed);
        }
        let before = store(session).await?;
        let Some(former) = former(&before, self.old) else {
            return Err(failed.detail("how the old version was started is not recorded, or its jar is gone"));
        };
        self.run_former(session, failed, &former, &savepoint, &before).await
    }

    async fn savepoint_of_the_old(&self, session: &Session) -> Result<Option<String>, Failure> {
        match read(session, || session.rest.job(self.old)).await? {
            Some(old) => savepoint_of_the_end(session, &old).await,
            None => Ok(None),
        }
    }

    async fn run_former(
        &self,
        session: &Session,
        failed: Failure,
        former: &Record,
        savepoint: &str,
        before: &Store,
    ) -> Result<Updated, Failure> {
        let jobs = read(session, || session.rest.jobs()).await?;
        let again = successor(self.old, next_attempt(self.old, self.attempt + 1, &jobs)?);
        let (flags, new) = (self.flags(&[again]), successor(self.old, self.attempt));
        session.talk.if_lost(when_lost(&flags));
        session.talk.say(format!("running the old version again as job {again}, from {savepoint}"));
        session.talk.stage(
            format!("running the old version again as job {again}"),
            format!("{}; or job {again} was submitted", ended_with(self.old, savepoint)),
            run_again(),
        );
        let record = Record { job: again, follows: true, ..former.clone() };
        keep(session, before, &record).await?;
        let timeout: Duration = self.release.timeout;
        let run = former.options.run(again, Some(savepoint.to_owned()));
        match submit(session, &former.jar_id, &run, timeout).await? {
            Submission::Taken => {}
            Submission::Before(_) | Submission::Either => {
                let records = store(session).await?.of_job(again);
                if records.iter().any(|other| other.version != record.version) {
                    return Err(failed.detail(format!("another update has started job {again} meanwhile")));
                }
            }
        }
        session.talk.stage(
            format!("waiting for job {again}"),
            format!("the old version was submitted as job {again}"),
            format!("see how it is: `drey job status {again}`"),
        );
        match follow(session, again, timeout).await {
            Came::Running | Came::Finished => {
                self.clean_up(session, again, &former.version).await;
                session.talk.stage(
                    "",
                    format!("the old version runs again as job {again}, from {savepoint}"),
                    "",
                );
                Err(failed)
            }
            Came::Forgotten => {
                let left = format!("the old version was submitted again as job {again}, after job {new}");
                Err(self.forgotten(session, again, &[again], left))
            }
            Came::Not { why, .. } => {
                Err(failed.detail(format!("the old version, job {again}, does not come up either: {why}")))
            }
        }
    }
}
