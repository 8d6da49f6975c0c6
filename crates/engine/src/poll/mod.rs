//! Asks every JobManager that has a cluster, each in a lane of its own: at most one poll of it at a time, often while
//! something is under way and seldom at rest. Refuses to decide and to wait for anybody: a lane that changes tells
//! the sink, and nothing else.
//!
//! ```text
//!   lanes ─┬─► prompt queue  ─► prompt_max at once ──► answered within `patience` ──► sink
//!          │                          │ not answered
//!          └─► suspect queue ◄────────┘
//!                    └─► suspect_max at once, up to `call_timeout` each ──► sink
//! ```
//! A JobManager that hangs holds a prompt place for `patience` once, and after that only suspect places, so that any
//! number of hanging ones leaves the others' latency as it was. One that answers slowly is no suspect; it goes on in a
//! suspect place when it has used up its patience.

mod ask;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use drey_core::observed::Rest;
use drey_core::{JobId, Pace, Seen};
use drey_flink::{FlinkRest, TriggerId};
use reqwest::Url;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

use crate::limits::{PollLimits, jittered, on_grid};
use crate::metrics::Metrics;
use crate::object::Key;
use crate::queue::Queue;
use ask::{Question, ask};

/// What is asked of one JobManager, and how often.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    /// Uid of the cluster. The answers are about this one.
    pub(crate) cluster_uid: Arc<str>,
    pub(crate) job_id: JobId,
    pub(crate) operation: Operation,
    /// Number of the intent that the operation belongs to.
    pub(crate) operation_of: i64,
    /// Ask for checkpoints even when nothing is under way.
    pub(crate) checkpoints: bool,
    /// Ask for the counters of the health check.
    pub(crate) health: bool,
    /// Ask for version and revision.
    pub(crate) cluster_info: bool,
    /// It is on record that this JobManager has answered before.
    pub(crate) has_answered: bool,
    /// How old Flink's answer about checkpoints may be.
    pub(crate) statistics_age_max: Duration,
    pub(crate) pace: Pace,
}

/// The asynchronous operation that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// None is open.
    None,
    /// A savepoint, or a stop with one.
    Savepoint(TriggerId),
    Checkpoint(TriggerId),
    /// A disposal, by Flink's own id.
    Disposal(TriggerId),
    /// An operation is open that Flink cannot have heard of from this process.
    NotAsked,
}

/// Hears of polls.
pub(crate) trait Sink: Send + Sync + 'static {
    /// A poll of the cluster `cluster_uid` of `key` is over. `news` is false when nothing in it is worth a step.
    fn polled(&self, key: &Key, cluster_uid: &Arc<str>, rest: Arc<Rest>, news: bool);
}

struct Lane {
    plan: Plan,
    endpoint: Option<Url>,
    /// Since when the pace is what it is.
    pace_since: Instant,
    /// It did not answer in time last time.
    suspect: bool,
    /// Polls without an answer in a row.
    misses: u32,
    ever_reachable: bool,
    /// When the job was first seen to be over.
    over_since: Option<Instant>,
    last: Option<Arc<Rest>>,
}

/// All lanes.
pub(crate) struct Poller {
    lanes: Mutex<HashMap<Key, Lane>>,
    prompt: Queue<Key>,
    suspect: Queue<Key>,
    prompt_places: Arc<Semaphore>,
    suspect_places: Arc<Semaphore>,
    http: reqwest::Client,
    limits: PollLimits,
    metrics: Metrics,
    /// From when the grid of polls at rest counts.
    origin: Instant,
}

/// One poll to be made.
struct Asked {
    plan: Plan,
    endpoint: Option<Url>,
    ever_reachable: bool,
    deadline: Duration,
}

/// What a poll came to.
enum Polled {
    /// The JobManager answered, or certainly does not.
    Over { rest: Box<Rest>, took: Duration },
    /// It did not answer for `patience`, and there is no place for it to go on waiting.
    GaveUp,
}

impl Poller {
    pub(crate) fn new(http: reqwest::Client, limits: PollLimits, metrics: Metrics) -> Poller {
        Poller {
            lanes: Mutex::default(),
            prompt: Queue::new(),
            suspect: Queue::new(),
            prompt_places: Arc::new(Semaphore::new(limits.prompt_max)),
            suspect_places: Arc::new(Semaphore::new(limits.suspect_max)),
            http,
            limits,
            metrics,
            origin: Instant::now(),
        }
    }

    /// Whether the address of this cluster has to be found (again).
    pub(crate) fn needs_endpoint(&self, key: &Key, cluster_uid: &str) -> bool {
        self.lock().get(key).is_none_or(|lane| {
            *lane.plan.cluster_uid != *cluster_uid || lane.endpoint.is_none() || lane.misses > 0
        })
    }

    /// Polls `key` as planned from now on. `endpoint` replaces the known address when there is one.
    pub(crate) fn set(&self, key: &Key, plan: Plan, endpoint: Option<Url>) {
        let now = Instant::now();
        let mut lanes = self.lock();
        let known = lanes.get_mut(key).filter(|lane| lane.plan.cluster_uid == plan.cluster_uid);
        let urgent = match known {
            Some(lane) => {
                let urgent = plan.pace == Pace::Fast && lane.plan != plan;
                if lane.plan.pace != plan.pace {
                    lane.pace_since = now;
                }
                lane.plan = plan;
                lane.endpoint = endpoint.or(lane.endpoint.take());
                urgent
            }
            None => {
                lanes.insert(key.clone(), Lane::new(plan, endpoint, now));
                true
            }
        };
        let suspect = lanes.get(key).is_some_and(|lane| lane.suspect);
        self.metrics.set_polled(lanes.len());
        drop(lanes);
        if urgent {
            self.queue(suspect).move_to(key, now);
        }
    }

    /// Polls `key` at once, because something was done to it.
    pub(crate) fn poke(&self, key: &Key) {
        let suspect = self.lock().get(key).map(|lane| lane.suspect);
        if let Some(suspect) = suspect {
            self.queue(suspect).move_to(key, Instant::now());
        }
    }

    /// Stops polling `key`.
    pub(crate) fn remove(&self, key: &Key) {
        let mut lanes = self.lock();
        lanes.remove(key);
        self.metrics.set_polled(lanes.len());
        drop(lanes);
        self.prompt.forget(key);
        self.suspect.forget(key);
    }

    /// Polls until the future is dropped; polls that are under way then are aborted with `tasks`.
    pub(crate) async fn run(self: Arc<Self>, sink: Arc<dyn Sink>, tasks: &TaskTracker) {
        tokio::join!(self.serve(false, &sink, tasks), self.serve(true, &sink, tasks));
    }

    async fn serve(self: &Arc<Self>, suspect: bool, sink: &Arc<dyn Sink>, tasks: &TaskTracker) {
        let places = if suspect { &self.suspect_places } else { &self.prompt_places };
        loop {
            let key = self.queue(suspect).take().await;
            let place = places.clone().acquire_owned().await.expect("the semaphore is never closed");
            let (poller, sink) = (self.clone(), sink.clone());
            tasks.spawn(async move {
                poller.poll(&key, suspect, place, &*sink).await;
                poller.queue(suspect).give_back(&key);
            });
        }
    }

    async fn poll(&self, key: &Key, suspect: bool, place: OwnedSemaphorePermit, sink: &dyn Sink) {
        let Some(Asked { plan, endpoint, ever_reachable, deadline }) = self.asked(key) else { return };
        let polled = match (Question::new(&plan, ever_reachable), endpoint) {
            (Some(question), Some(endpoint)) => {
                let flink = FlinkRest::new(self.http.clone(), endpoint).with_deadline(deadline);
                self.ask_patiently(&flink, &question, suspect, place).await
            }
            (None, _) | (_, None) => {
                let rest = Rest { ever_reachable, ..Rest::default() };
                Polled::Over { rest: Box::new(rest), took: Duration::ZERO }
            }
        };
        match polled {
            Polled::Over { rest, took } => self.over(key, &plan, *rest, took, sink),
            Polled::GaveUp => self.gave_up(key),
        }
    }

    fn asked(&self, key: &Key) -> Option<Asked> {
        let lanes = self.lock();
        let lane = lanes.get(key)?;
        // Whoever stayed silent for long is given less time, so that many of them still get their turn.
        let deadline = if lane.misses < 2 { self.limits.call_timeout } else { self.limits.call_timeout / 3 };
        Some(Asked {
            plan: lane.plan.clone(),
            endpoint: lane.endpoint.clone(),
            ever_reachable: lane.ever_reachable,
            deadline,
        })
    }

    async fn ask_patiently(
        &self,
        flink: &FlinkRest,
        question: &Question,
        suspect: bool,
        place: OwnedSemaphorePermit,
    ) -> Polled {
        let started = Instant::now();
        let asking = ask(flink, question);
        tokio::pin!(asking);
        let mut place = place;
        if !suspect {
            match timeout(self.limits.patience, &mut asking).await {
                Ok(rest) => return Polled::Over { rest: Box::new(rest), took: started.elapsed() },
                Err(_) => match self.suspect_places.clone().try_acquire_owned() {
                    Ok(other) => place = other,
                    Err(_) => return Polled::GaveUp,
                },
            }
        }
        let rest = asking.await;
        drop(place);
        Polled::Over { rest: Box::new(rest), took: started.elapsed() }
    }

    fn over(&self, key: &Key, plan: &Plan, mut rest: Rest, took: Duration, sink: &dyn Sink) {
        self.metrics.polled(if rest.reachable { "answered" } else { "no_answer" });
        let mut lanes = self.lock();
        let count = lanes.len();
        let Some(lane) = lanes.get_mut(key).filter(|lane| lane.plan.cluster_uid == plan.cluster_uid) else {
            return;
        };
        lane.settle(&mut rest, took);
        let rest = Arc::new(rest);
        let news = lane.last.as_ref().is_none_or(|last| is_news(last, &rest));
        // Slow is not silent: who answers at all is asked in turn with the prompt ones.
        lane.suspect = !rest.reachable && took > self.limits.patience;
        lane.misses = if rest.reachable { 0 } else { lane.misses.saturating_add(1) };
        lane.ever_reachable |= rest.reachable;
        lane.last = Some(rest.clone());
        let (suspect, at) = (lane.suspect, self.next(lane, count, key.seed()));
        drop(lanes);
        self.queue(suspect).add_at(key, at);
        sink.polled(key, &plan.cluster_uid, rest, news);
    }

    /// Asked again among the suspects, and before those that are known to be silent: it may be only slow.
    fn gave_up(&self, key: &Key) {
        self.metrics.polled("given_up");
        if let Some(lane) = self.lock().get_mut(key) {
            lane.suspect = true;
        }
        self.suspect.add_first(key);
    }

    fn next(&self, lane: &Lane, lanes: usize, seed: u64) -> Instant {
        let at = Instant::now() + self.interval(lane, lanes, seed);
        match lane.plan.pace {
            Pace::Fast => at,
            Pace::Slow => on_grid(at, self.origin, self.limits.slow_grid),
        }
    }

    fn interval(&self, lane: &Lane, lanes: usize, seed: u64) -> Duration {
        let limits = &self.limits;
        let base = match lane.plan.pace {
            // What has just changed is looked at often, what has been under way for a minute is not.
            Pace::Fast => (lane.pace_since.elapsed() / 20).clamp(limits.fast_min, limits.fast_max),
            Pace::Slow => {
                let lanes = u32::try_from(lanes).unwrap_or(u32::MAX);
                let fair = Duration::from_secs(1) * lanes / limits.slow_per_second.max(1);
                jittered(fair.clamp(limits.slow_min, limits.slow_max), seed)
            }
        };
        let missed = base.saturating_mul(2_u32.saturating_pow(lane.misses.min(8)));
        match (lane.plan.pace, lane.misses) {
            (_, 0) => base,
            (Pace::Fast, _) => missed.min(limits.fast_max.max(base)),
            (Pace::Slow, _) => missed.min(limits.suspect_interval_max.max(base)),
        }
    }

    fn queue(&self, suspect: bool) -> &Queue<Key> {
        if suspect { &self.suspect } else { &self.prompt }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Lane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lane {
    fn new(plan: Plan, endpoint: Option<Url>, now: Instant) -> Lane {
        Lane {
            plan,
            endpoint,
            pace_since: now,
            suspect: false,
            misses: 0,
            ever_reachable: false,
            over_since: None,
            last: None,
        }
    }
}

impl Lane {
    /// What Flink tells of the checkpoints of a job that has just ended may be from before its end. It counts once the
    /// poll began as long after the end was seen as such an answer may be old.
    fn settle(&mut self, rest: &mut Rest, took: Duration) {
        let over = rest.job.present().is_some_and(|job| job.state.is_terminal());
        if !over {
            // A JobManager that does not answer makes no end undone.
            if rest.job.present().is_some() {
                self.over_since = None;
            }
            return;
        }
        let now = Instant::now();
        let since = *self.over_since.get_or_insert(now);
        let age_max = self.plan.statistics_age_max;
        if !age_max.is_zero() && now.duration_since(since) < age_max + took {
            rest.checkpoints = Seen::Unknown;
        }
    }
}

/// Whether `new` says anything that `old` did not. That checkpoints were not asked for is no news.
fn is_news(old: &Rest, new: &Rest) -> bool {
    let Rest {
        reachable,
        ever_reachable,
        job,
        checkpoints,
        operation,
        operation_of,
        failure,
        health,
        cluster_info,
    } = new;
    *reachable != old.reachable
        || *ever_reachable != old.ever_reachable
        || *job != old.job
        || (!checkpoints.is_unknown() && *checkpoints != old.checkpoints)
        || *operation != old.operation
        || *operation_of != old.operation_of
        || *failure != old.failure
        || *health != old.health
        || (!cluster_info.is_empty() && *cluster_info != old.cluster_info)
}

#[cfg(test)]
mod tests {
    use super::*;
    use drey_api::kinds::FlinkJobState;
    use drey_core::observed::{Checkpoints, JobView};

    #[test]
    fn an_unchanged_poll_is_no_news() {
        let rest = Rest { reachable: true, ..Rest::default() };
        assert!(!is_news(&rest, &rest));
        let with = Rest { checkpoints: Seen::Present(Checkpoints::default()), ..rest.clone() };
        assert!(is_news(&rest, &with), "checkpoints were read");
        assert!(!is_news(&with, &rest), "checkpoints were not asked for");
        let silent = Rest { reachable: false, ..rest.clone() };
        assert!(is_news(&rest, &silent));
    }

    fn lane(pace: Pace, misses: u32) -> Lane {
        let plan = Plan {
            cluster_uid: "u".into(),
            job_id: JobId::new("00000000000000000000000000000001"),
            operation: Operation::None,
            operation_of: 0,
            checkpoints: false,
            health: false,
            cluster_info: false,
            has_answered: false,
            statistics_age_max: Duration::from_secs(3),
            pace,
        };
        Lane { misses, ..Lane::new(plan, None, Instant::now()) }
    }

    fn rest(state: FlinkJobState) -> Rest {
        let job = JobView {
            id: JobId::new("00000000000000000000000000000001"),
            name: "j".into(),
            state,
            all_tasks_running: true,
            started_at_ms: 1,
        };
        Rest {
            reachable: true,
            job: Seen::Present(job),
            checkpoints: Seen::Present(Checkpoints::default()),
            ..Rest::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn checkpoints_of_an_ended_job_count_when_no_answer_can_be_from_before_its_end() {
        let mut lane = lane(Pace::Fast, 0);
        let mut read = |state, took_ms| {
            let mut rest = rest(state);
            lane.settle(&mut rest, Duration::from_millis(took_ms));
            !rest.checkpoints.is_unknown()
        };
        assert!(read(FlinkJobState::Running, 10), "of a job that runs, nothing is final");
        assert!(!read(FlinkJobState::Finished, 10));
        tokio::time::advance(Duration::from_millis(2_900)).await;
        assert!(!read(FlinkJobState::Finished, 10));
        tokio::time::advance(Duration::from_millis(150)).await;
        assert!(!read(FlinkJobState::Finished, 100), "this poll began too early");
        assert!(read(FlinkJobState::Finished, 10));
        assert!(read(FlinkJobState::Running, 10), "another job");
        assert!(!read(FlinkJobState::Failed, 10));
    }

    #[tokio::test(start_paused = true)]
    async fn checkpoints_count_at_once_where_answers_are_never_old() {
        let mut lane = lane(Pace::Fast, 0);
        lane.plan.statistics_age_max = Duration::ZERO;
        let mut rest = rest(FlinkJobState::Finished);
        lane.settle(&mut rest, Duration::from_millis(10));
        assert!(!rest.checkpoints.is_unknown());
    }

    #[tokio::test(start_paused = true)]
    async fn intervals_follow_pace_number_and_silence() {
        // Building a client needs a crypto provider; the second test of a process that installs one fails at it.
        drop(rustls::crypto::ring::default_provider().install_default());
        let limits = PollLimits::default();
        let poller = Poller::new(reqwest::Client::default(), limits.clone(), Metrics::default());
        let fast = lane(Pace::Fast, 0);
        assert_eq!(poller.interval(&fast, 1, 1), limits.fast_min);
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(poller.interval(&fast, 1, 1), Duration::from_secs(1));
        tokio::time::advance(Duration::from_secs(3_600)).await;
        assert_eq!(poller.interval(&fast, 1, 1), limits.fast_max);
        let slow = |lanes| poller.interval(&lane(Pace::Slow, 0), lanes, 1);
        assert!(slow(1) >= limits.slow_min / 5 * 4 && slow(1) <= limits.slow_min);
        assert!(slow(3_000) > slow(1) && slow(3_000) <= limits.slow_max);
        assert!(slow(1_000_000) <= limits.slow_max);
        let silent = poller.interval(&lane(Pace::Slow, 9), 1, 1);
        assert!(silent > slow(1) && silent <= limits.suspect_interval_max);
    }
}
