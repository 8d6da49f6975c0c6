//! Starts a job under an id that was chosen beforehand, once however often the answer is lost, and waits until it runs.

use std::time::Duration;

use drey_flink::JobId;
use drey_flink::rest::{Doubt, JarRun, JobOverview, JobState, Refusal, RestError};
use tokio::time::Instant;

use super::flink::{Session, Silence, failure};
use super::limits;
use super::lost::life;
use super::names::is_active;
use crate::failure::{Failure, Kind};

/// What came of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submission {
    /// Flink has the job from this submission.
    Taken,
    /// The id belonged to a job before this submission was made.
    Before(Option<JobOverview>),
    /// The id belongs to a job; whether from this submission cannot be told.
    Either,
}

/// Submits until Flink says whether it has the job.
///
/// # Errors
/// The job is not there, and why; or it cannot be told.
pub async fn submit(
    session: &Session,
    jar_id: &str,
    run: &JarRun,
    timeout: Duration,
) -> Result<Submission, Failure> {
    let deadline = Instant::now() + timeout;
    let (mut in_doubt, mut silence) = (0, Silence::of(session));
    let before = life(session).await;
    loop {
        let error = match session.rest.run_jar(jar_id, run).await {
            Ok(id) if id == run.job_id => return Ok(Submission::Taken),
            Ok(id) => return Err(other_id(run.job_id, id)),
            Err(error) => error,
        };
        match answer_of(&error) {
            Answer::Duplicate if in_doubt == 0 => {
                return Ok(Submission::Before(look(session, run.job_id).await.ok().flatten()));
            }
            Answer::Duplicate => return Ok(Submission::Either),
            Answer::Refused => {
                // An earlier request, whose answer was lost, may have been taken.
                if in_doubt == 0 {
                    return Err(failure(&error));
                }
                let appeared = appears(session, run.job_id).await;
                return appeared.map(|_| Submission::Either).ok_or_else(|| not_known(run.job_id, &error));
            }
            Answer::NotReached => silence.goes_on(&error).map_err(|_| not_known(run.job_id, &error))?,
            Answer::Doubtful => {
                silence.ends();
                in_doubt += 1;
                if appears(session, run.job_id).await.is_some() {
                    return Ok(Submission::Either);
                }
            }
        }
        // The one that may have taken it may have run it, and its checkpoints, before it died.
        if in_doubt > 0 && before.is_some() && life(session).await.is_some_and(|now| Some(now) != before) {
            return Err(not_known(run.job_id, &error));
        }
        if Instant::now() >= deadline || in_doubt >= limits::SENDS_MAX {
            return Err(not_known(run.job_id, &error));
        }
        session.talk.say(format!("no answer to the submission, sent again under the same id: {error}"));
        tokio::time::sleep(session.pace.look).await;
    }
}

/// Nothing else may be started in its place.
fn not_known(job: JobId, error: &RestError) -> Failure {
    let why = failure(error);
    Failure::new(
        Kind::Unreachable,
        format!("whether job {job} was submitted is not known: {}", why.message()),
    )
}

/// A Flink that does not take the id that it is given could be asked twice for two jobs.
fn other_id(asked: JobId, got: JobId) -> Failure {
    Failure::new(Kind::Failed, format!("the job was to have the id {asked}, Flink gave it {got}"))
        .hint(format!("see how it is: `drey job status {got}`"))
}

enum Answer {
    /// A job with this id exists or has existed.
    Duplicate,
    /// This request has started nothing.
    Refused,
    /// This request did not get there.
    NotReached,
    /// It may have been taken.
    Doubtful,
}

fn answer_of(error: &RestError) -> Answer {
    let (status, message) = match error {
        RestError::Refused { refusal: Refusal::NotConnected { .. }, .. } => return Answer::NotReached,
        RestError::Refused { refusal: Refusal::Rejected { status, message }, .. }
        | RestError::UnknownOutcome { doubt: Doubt::ServerError { status, message }, .. } => {
            (*status, message)
        }
        RestError::Refused { .. } | RestError::NotFound { .. } => return Answer::Refused,
        RestError::UnknownOutcome { .. } => return Answer::Doubtful,
    };
    // Flink says 400 to whatever its client for submissions throws, 500 to what is thrown before.
    // From 2.3 on a job that is submitted is an application.
    let names = ["DuplicateJobSubmissionException", "DuplicateApplicationSubmissionException"];
    if names.iter().any(|name| message.contains(name)) {
        Answer::Duplicate
    } else if message.contains("Timeout") || status > 500 || status == 408 {
        Answer::Doubtful
    } else {
        Answer::Refused
    }
}

async fn look(session: &Session, job: JobId) -> Result<Option<JobOverview>, RestError> {
    session.rest.job(job).await
}

/// Looks for a job that may be on its way.
async fn appears(session: &Session, job: JobId) -> Option<JobOverview> {
    let deadline = Instant::now() + session.pace.appear;
    loop {
        // No answer says nothing; the next one may.
        if let Ok(Some(found)) = look(session, job).await {
            return Some(found);
        }
        if Instant::now() >= deadline {
            return None;
        }
        tokio::time::sleep(session.pace.look).await;
    }
}

/// What became of a job that was submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Came {
    /// Every task runs.
    Running,
    /// It has ended well.
    Finished,
    /// Flink had it, and does not know it any more.
    Forgotten,
    /// It has not come up.
    Not {
        /// Where it is now; `None` if Flink did not answer.
        job: Option<JobOverview>,
        /// Why, as far as Flink says.
        why: String,
    },
}

/// Waits until every task runs, and goes on running for a moment.
pub async fn follow(session: &Session, job: JobId, timeout: Duration) -> Came {
    let deadline = Instant::now() + timeout;
    let mut watch = Watch::default();
    let (mut last, mut silence, mut absent) = (None, Silence::of(session), None);
    loop {
        let answer = look(session, job).await;
        if answer.is_ok() {
            silence.ends();
        }
        match answer {
            Ok(Some(found)) => {
                absent = None;
                watch.see(&found, Instant::now());
                if watch.said.as_deref() != Some(found.state.word()) {
                    watch.said = Some(found.state.word().to_owned());
                    session.talk.say(format!("job {job}: {}", found.state.word()));
                }
                let verdict = watch.verdict(&found, session.pace.settle, Instant::now());
                last = Some(found);
                match verdict {
                    Verdict::Runs => return Came::Running,
                    Verdict::Ended => return Came::Finished,
                    Verdict::Fails => return not_up(session, job, last, None).await,
                    Verdict::Wait => {}
                }
            }
            Ok(None) => {
                watch.said = None;
                if Instant::now() - *absent.get_or_insert_with(Instant::now) >= session.pace.appear {
                    return Came::Forgotten;
                }
            }
            Err(error) => {
                session.talk.say(format!("no answer about job {job}: {error}"));
                if let Err(away) = silence.goes_on(&error) {
                    return Came::Not { job: None, why: away.message().to_owned() };
                }
            }
        }
        if Instant::now() >= deadline {
            return not_up(session, job, last, Some(timeout)).await;
        }
        tokio::time::sleep(session.pace.look).await;
    }
}

async fn not_up(session: &Session, job: JobId, last: Option<JobOverview>, waited: Option<Duration>) -> Came {
    let cause = match session.rest.exceptions(job).await {
        Ok(exceptions) => exceptions.entries.first().map(|newest| root_cause(&newest.stack_trace)),
        Err(_) => None,
    };
    let state = last.as_ref().map_or("not known to Flink", |job| job.state.word());
    let why = match (waited, cause) {
        (_, Some(cause)) => format!("{state}: {cause}"),
        (Some(waited), None) => format!("{state} after {} s", waited.as_secs()),
        (None, None) => state.to_owned(),
    };
    Came::Not { job: last, why }
}

/// The innermost cause of a stack trace, which is the one that helps.
fn root_cause(stack_trace: &str) -> String {
    let mut causes = stack_trace.lines().filter_map(|line| line.strip_prefix("Caused by: "));
    let innermost = causes.next_back().or_else(|| stack_trace.lines().next()).unwrap_or_default();
    innermost.chars().take(500).collect()
}

/// What has been seen of a job that starts.
#[derive(Debug, Default)]
struct Watch {
    said: Option<String>,
    runs_since: Option<Instant>,
    fails: bool,
    failures: usize,
}

enum Verdict {
    Runs,
    Ended,
    Fails,
    Wait,
}

impl Watch {
    fn see(&mut self, job: &JobOverview, now: Instant) {
        let fails = matches!(job.state, JobState::Failing | JobState::Restarting);
        self.failures += usize::from(fails && !self.fails);
        self.fails = fails;
        let runs = job.state == JobState::Running && job.tasks.total > 0 && job.all_tasks_running();
        self.runs_since = runs.then(|| self.runs_since.unwrap_or(now));
    }

    fn verdict(&self, job: &JobOverview, settle: Duration, now: Instant) -> Verdict {
        if !is_active(job) {
            return if job.state == JobState::Finished { Verdict::Ended } else { Verdict::Fails };
        }
        if self.failures >= limits::FAILURES_MAX {
            return Verdict::Fails;
        }
        match self.runs_since {
            Some(since) if now.duration_since(since) >= settle => Verdict::Runs,
            Some(_) | None => Verdict::Wait,
        }
    }
}

/// Whether a run has completed a checkpoint of its own. What it wrote until then is committed, and would come a second time
/// if the run before it went on from its savepoint. `None` when Flink does not say.
pub async fn has_committed(session: &Session, job: &JobOverview) -> Option<bool> {
    let completed = || async {
        match session.rest.checkpoints(job.id).await {
            Ok(statistics) => Some(statistics.is_some_and(|statistics| statistics.counts.completed > 0)),
            // It has ended before it had any.
            Err(RestError::NotFound { .. }) if !is_active(job) => Some(false),
            Err(_) => None,
        }
    };
    if completed().await? {
        return Some(true);
    }
    // Flink may have answered from memory.
    tokio::time::sleep(session.pace.statistics_age).await;
    completed().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_cause_is_what_helps() {
        let trace = "a.Outer: x\n\tat q\nCaused by: b.Middle: y\n\tat q\nCaused by: c.Inner: z\n\tat q";
        assert_eq!(root_cause(trace), "c.Inner: z");
        assert_eq!(root_cause("a.Outer: x\n\tat q"), "a.Outer: x");
    }

    #[test]
    fn a_job_that_fails_again_and_again_does_not_come_up() {
        use crate::job::names::tests::job;
        let (mut watch, now) = (Watch::default(), Instant::now());
        for _ in 0..limits::FAILURES_MAX {
            for state in ["RUNNING", "RESTARTING", "RESTARTING"] {
                watch.see(&job('1', "a", state), now);
            }
        }
        assert!(matches!(watch.verdict(&job('1', "a", "RESTARTING"), Duration::ZERO, now), Verdict::Fails));
    }

    #[test]
    fn running_counts_when_it_lasts() {
        use crate::job::names::tests::job;
        let (mut watch, now) = (Watch::default(), Instant::now());
        let (running, settle) = (job('1', "a", "RUNNING"), Duration::from_secs(2));
        watch.see(&running, now);
        assert!(matches!(watch.verdict(&running, settle, now), Verdict::Wait));
        watch.see(&job('1', "a", "RESTARTING"), now);
        let later = now + settle;
        watch.see(&running, later);
        assert!(matches!(watch.verdict(&running, settle, later), Verdict::Wait));
        assert!(matches!(watch.verdict(&running, settle, later + settle), Verdict::Runs));
    }
}
