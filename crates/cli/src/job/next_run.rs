//! The run after the old version has ended: the new version under the next id, and the old one again, under the id after that,
//! if the new one does not come up. Refuses to know how the old version was found and stopped.

use std::time::Duration;

use drey_flink::JobId;
use drey_flink::rest::JobOverview;

use super::flink::{Session, innermost, read};
use super::identity::{successor, successors};
use super::jar::{keep, remove};
use super::limits;
use super::lost::Traces;
use super::names::is_active;
use super::release::{Release, store};
use super::start::{Came, Submission, follow, has_committed, submit};
use super::stop::{self, savepoint_of_the_end};
use super::version::{Record, Store};
use crate::failure::{Failure, Kind};

/// A version that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runs {
    /// Under this id.
    pub job: JobId,
    /// From this savepoint; not known when it was started by an earlier run of the command.
    pub savepoint: Option<String>,
}

/// The start of a new version after its old one has ended.
pub(super) struct Run<'a> {
    pub(super) release: &'a Release,
    /// Run the old version again if the new one does not come up.
    pub(super) roll_back: bool,
    pub(super) old: JobId,
    /// Not known when an earlier run of the command has started the new version.
    pub(super) savepoint: Option<String>,
    /// Which of the ids after the old one's.
    pub(super) attempt: u32,
    pub(super) traces: Traces,
}

impl Run<'_> {
    pub(super) async fn start(&self, session: &Session, jar_id: &str) -> Result<Runs, Failure> {
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
    async fn refused(&self, session: &Session, new: JobId, failed: &Failure) -> Result<Runs, Failure> {
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

    pub(super) async fn judge(&self, session: &Session, new: JobId) -> Result<Runs, Failure> {
        session.talk.stage(format!("waiting for job {new}"), format!("job {new} was submitted"), run_again());
        match follow(session, new, self.release.timeout).await {
            Came::Running | Came::Finished => {
                self.clean_up(session, new, &self.release.version(None)).await;
                Ok(Runs { job: new, savepoint: self.savepoint.clone() })
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
    async fn give_up(&self, session: &Session, job: &JobOverview, why: &str) -> Result<Runs, Failure> {
        let new = job.id;
        session.talk.say(format!("the new version does not come up: {why}"));
        let does_not =
            || Failure::new(Kind::Failed, format!("the new version, job {new}, does not come up: {why}"));
        if !self.roll_back && is_active(job) {
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
    async fn roll_back(&self, session: &Session, why: &str) -> Result<Runs, Failure> {
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
        if !self.roll_back {
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
    ) -> Result<Runs, Failure> {
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

pub(super) fn run_again() -> &'static str {
    "run the same command again: it goes on from here"
}

/// What to do when Flink dies and has forgotten its jobs.
pub(super) fn when_lost(flags: &str) -> String {
    format!("if Flink is started again and has forgotten its jobs: the same command with {flags}")
}

pub(super) fn ended_with(old: JobId, savepoint: &str) -> String {
    format!("job {old} has ended with the savepoint {savepoint}, and nothing runs")
}

pub(super) fn by_hand(savepoint: &str) -> String {
    format!("to start from it: `drey job deploy --savepoint-path {savepoint} --file-name …`")
}

/// The first id of the row, from `from` on, that no job has.
pub(super) fn next_attempt(old: JobId, from: u32, jobs: &[JobOverview]) -> Result<u32, Failure> {
    let is_free = |attempt: &u32| !jobs.iter().any(|job| job.id == successor(old, *attempt));
    (from..limits::ATTEMPTS_MAX).find(is_free).ok_or_else(|| {
        Failure::new(
            Kind::Failed,
            format!("{} runs after job {old} have ended already", limits::ATTEMPTS_MAX),
        )
        .hint("`drey job deploy --savepoint-path` starts a new one")
    })
}

pub(super) fn attempt_of(old: JobId, job: JobId) -> u32 {
    (0..limits::ATTEMPTS_MAX).find(|attempt| successor(old, *attempt) == job).unwrap_or_default()
}

/// The version that the old job was, when it can be run again.
pub(super) fn former(store: &Store, old: JobId) -> Option<Record> {
    store.of_job(old).into_iter().find(|record| store.has_jar(record))
}
