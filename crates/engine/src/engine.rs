//! The engine as a whole: its parts, their tasks, and how they end. Refuses to know what is inside any of them.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use drey_api::defaults::Defaults;
use drey_core::observed::Rest;
use drey_core::{Event, EventKind, Pace, Policy, WaitingFor};
use futures::FutureExt;
use tokio::sync::Semaphore;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::act::Actor;
use crate::after::After;
use crate::clock::Clock;
use crate::events::{self, Poster, Recorder};
use crate::freeze;
use crate::health::{self, Health};
use crate::index::{Index, PollResult, Taken};
use crate::launcher::{Launcher, Target};
use crate::lease::Leadership;
use crate::limits::{Limits, backed_off};
use crate::metrics::Metrics;
use crate::object::Key;
use crate::poll::{Poller, Sink};
use crate::queue::Queue;
use crate::schema::{self, SchemaError};
use crate::scopes::{Scope, Scopes};
use crate::settings::{Current, Settings};
use crate::step;
use crate::view::{EngineView, ResourceView};
use crate::watch::{self, Change};

/// How often resources are counted.
const COUNT_INTERVAL: Duration = Duration::from_secs(5);

/// Which namespaces are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Namespaces {
    /// All of them, also future ones.
    All,
    /// Exactly these.
    List(Vec<String>),
}

impl Namespaces {
    /// One entry for each list and watch; `None` stands for all namespaces.
    pub(crate) fn scopes(&self) -> Vec<Scope> {
        match self {
            Namespaces::All => vec![None],
            Namespaces::List(list) => list.iter().cloned().map(Some).collect(),
        }
    }
}

/// What an engine is made of.
pub struct EngineConfig {
    /// The Kubernetes API that holds the resources.
    pub client: kube::Client,
    /// Where clusters run.
    pub launcher: Arc<dyn Launcher>,
    /// Connections to JobManagers. With thousands of JobManagers it should keep few idle connections
    /// (`pool_max_idle_per_host` of 1, a short `pool_idle_timeout`): each costs memory.
    pub http: reqwest::Client,
    /// What holds for every decision. Its epoch is that of `leadership`.
    pub policy: Policy,
    /// The operator's configuration, as far as it enters those of clusters.
    pub defaults: Defaults,
    /// Which namespaces are watched.
    pub namespaces: Namespaces,
    /// Only resources with these labels are run, in the syntax of `kubectl get --selector`.
    pub label_selector: Option<String>,
    /// The right to act. Without it nothing is written and nothing is done.
    pub leadership: Leadership,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Bounds.
    pub limits: Limits,
}

/// Why an engine does not run.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The served CRD is not ours.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// It runs already, or has run.
    #[error("an engine runs only once")]
    AlreadyRun,
}

/// Runs FlinkDeployments. Clones are the same engine.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
    poster: Arc<Mutex<Option<Poster>>>,
}

/// What all tasks of an engine share.
pub(crate) struct Shared {
    pub(crate) actor: Actor,
    current: RwLock<Arc<Current>>,
    pub(crate) leadership: Leadership,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) index: Index,
    pub(crate) queue: Queue<Key>,
    pub(crate) poller: Arc<Poller>,
    pub(crate) recorder: Recorder,
    pub(crate) metrics: Metrics,
    pub(crate) tasks: TaskTracker,
    scopes: Scopes,
    label_selector: Option<String>,
    running: AtomicBool,
    /// Only an engine that was made to see everything can tell what does not exist.
    sees_everything: bool,
}

impl Engine {
    /// An engine that does not run yet.
    #[must_use]
    pub fn new(config: EngineConfig) -> Engine {
        let EngineConfig {
            client,
            launcher,
            http,
            policy,
            defaults,
            namespaces,
            label_selector,
            leadership,
            clock,
            limits,
        } = config;
        let current = Current::new(Settings { policy, defaults }, leadership.epoch(), &limits);
        let limits = Arc::new(limits);
        let metrics = Metrics::default();
        let (recorder, poster) = events::queue(client.clone(), &limits, clock.clone(), &metrics);
        let poller = Arc::new(Poller::new(http.clone(), limits.poll.clone(), metrics.clone()));
        let shared = Shared {
            actor: Actor {
                client,
                launcher,
                http,
                limits: limits.clone(),
                label_selector: label_selector.clone(),
            },
            current: RwLock::new(Arc::new(current)),
            leadership,
            clock,
            limits,
            index: Index::default(),
            queue: Queue::new(),
            poller,
            recorder,
            metrics,
            tasks: TaskTracker::new(),
            scopes: Scopes::new(&namespaces),
            sees_everything: namespaces == Namespaces::All && label_selector.is_none(),
            label_selector,
            running: AtomicBool::new(false),
        };
        Engine { shared: Arc::new(shared), poster: Arc::new(Mutex::new(Some(poster))) }
    }

    /// Runs until `stop` is cancelled, and then lets steps and actions that have begun come to their end, for a
    /// bounded time. An engine that ends at any moment leaves nothing that another one does not take up.
    ///
    /// # Errors
    /// See [`EngineError`]. An API server that does not answer is no error: the engine waits for it.
    pub async fn run(&self, stop: CancellationToken) -> Result<(), EngineError> {
        let poster = self.poster.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut poster = poster.ok_or(EngineError::AlreadyRun)?;
        let shared = &self.shared;
        tokio::select! {
            checked = check_schema(shared) => checked?,
            () = stop.cancelled() => return Ok(()),
        }
        let polls = TaskTracker::new();
        let _running = Running::begin(&shared.running);
        let work = async {
            tokio::join!(
                follow_all(shared),
                work(shared),
                shared.poller.clone().run(shared.clone(), &polls),
                hear_launcher(shared),
                count_resources(shared),
                poster.run(),
            )
        };
        tokio::select! {
            _ = work => {}
            () = stop.cancelled() => {}
        }
        shared.tasks.close();
        let ended = async {
            shared.tasks.wait().await;
            poster.drain().await;
        };
        if tokio::time::timeout(shared.limits.shutdown_grace, ended).await.is_err() {
            tracing::warn!("steps or actions did not end in time and are left to the next start");
        }
        Ok(())
    }

    /// Goes on with other settings. Every resource is looked at again; none is redeployed because of it.
    pub fn reconfigure(&self, settings: Settings) {
        let shared = &self.shared;
        let current = Current::new(settings, shared.leadership.epoch(), &shared.limits);
        *shared.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(current);
        for key in shared.index.keys() {
            shared.queue.add(&key);
        }
    }

    /// Watches these namespaces instead. Resources elsewhere are forgotten, and nothing is done to their clusters.
    pub fn watch_namespaces(&self, namespaces: &Namespaces) {
        let shared = &self.shared;
        shared.scopes.replace(namespaces);
        for key in shared.index.keys() {
            if !shared.scopes.covers(&key.namespace) {
                shared.forget(&key);
            }
        }
    }

    /// Whether the engine sees what it has to see.
    #[must_use]
    pub fn health(&self) -> Health {
        let shared = &self.shared;
        let troubles = shared.scopes.troubles(shared.limits.blind_after);
        health::judge(shared.running.load(Ordering::Relaxed), &troubles, &shared.limits)
    }

    /// What the engine knows now.
    #[must_use]
    pub fn view(&self) -> EngineView {
        let mut resources = Vec::new();
        self.shared.index.for_each(|key, slot| {
            resources.push(ResourceView {
                namespace: key.namespace.clone(),
                name: key.name.clone(),
                uid: slot.stored.uid.clone(),
                generation: slot.stored.generation,
                sentence: slot.said.sentence.clone(),
                at_rest: slot.pace == Pace::Slow && !slot.unstepped,
                waiting: slot.said.waiting.clone(),
                acting: slot.acting,
                error: slot.said.error.clone(),
                frozen: slot
                    .frozen
                    .as_ref()
                    .filter(|_| slot.is_frozen())
                    .map(|frozen| frozen.message.clone()),
                next_step_in: None,
                poll_age: slot.poll.as_ref().map(|poll| poll.at.elapsed()),
                reachable: slot.poll.as_ref().map(|poll| poll.rest.reachable),
                census: slot.said.census.clone(),
            });
        });
        for view in &mut resources {
            let key = Key { namespace: view.namespace.clone(), name: view.name.clone() };
            let now = Instant::now();
            view.next_step_in = self.shared.queue.wanted_at(&key).map(|at| at.saturating_duration_since(now));
        }
        resources.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        EngineView { complete: self.shared.scopes.all_listed(), resources }
    }

    /// What the engine counts.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }
}

/// Waits for an API server that serves our CRD.
async fn check_schema(shared: &Shared) -> Result<(), EngineError> {
    let mut failures = 0;
    loop {
        match schema::check(&shared.actor.client, &shared.limits).await {
            Ok(()) => return Ok(()),
            Err(error) if error.is_passing() => {
                tracing::warn!(%error, "waiting for the API server");
                let limits = &shared.limits;
                tokio::time::sleep(backed_off(limits.watch_retry, limits.watch_retry_max, failures, 0)).await;
                failures += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// True while an engine runs.
struct Running<'a>(&'a AtomicBool);

impl<'a> Running<'a> {
    fn begin(flag: &'a AtomicBool) -> Running<'a> {
        flag.store(true, Ordering::Relaxed);
        Running(flag)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Follows every scope, also those that come and go.
async fn follow_all(shared: &Arc<Shared>) {
    let mut changes = shared.scopes.changes();
    let mut follows = JoinSet::new();
    let mut following: HashMap<Scope, AbortHandle> = HashMap::new();
    loop {
        changes.mark_unchanged();
        let wanted: HashSet<Scope> = shared.scopes.get().into_iter().collect();
        following.retain(|scope, follow| {
            let stays = wanted.contains(scope);
            if !stays {
                follow.abort();
            }
            stays
        });
        for scope in wanted {
            following.entry(scope.clone()).or_insert_with(|| follows.spawn(follow(shared.clone(), scope)));
        }
        let _never_gone = changes.changed().await;
    }
}

async fn follow(shared: Arc<Shared>, scope: Scope) {
    let sink = |change| shared.changed(&scope, change);
    let selector = shared.label_selector.as_deref();
    watch::follow(shared.actor.client.clone(), scope.as_deref(), selector, &shared.limits, sink).await;
}

/// Steps what is due, a bounded number at the same time, each resource once.
async fn work(shared: &Arc<Shared>) {
    let places = Arc::new(Semaphore::new(shared.limits.steps_max));
    loop {
        let key = shared.queue.take().await;
        let place = places.clone().acquire_owned().await.expect("the semaphore is never closed");
        let shared = shared.clone();
        let tasks = shared.tasks.clone();
        tasks.spawn(async move {
            step_once(&shared, &key).await;
            shared.queue.give_back(&key);
            drop(place);
        });
    }
}

/// One step, whose panic concerns its resource alone.
async fn step_once(shared: &Arc<Shared>, key: &Key) {
    let began = Instant::now();
    let after = match AssertUnwindSafe(step::step(shared, key)).catch_unwind().await {
        Ok(after) => after,
        Err(panic) => {
            shared.metrics.panicked();
            After::Freeze(format!("the engine panicked over this resource: {}", panic_text(&*panic)))
        }
    };
    shared.metrics.stepped(after.label(), began.elapsed().as_secs_f64());
    match after {
        After::Wake(delay) => shared.queue.add_at(key, Instant::now() + delay),
        After::Again => again(shared, key),
        After::Busy => {}
        After::NotLeading => {
            let say = |slot: &mut crate::index::Slot| slot.said.sentence = NOT_LEADING.into();
            shared.index.with(key, say);
            shared.queue.add_at(key, Instant::now() + shared.limits.retry_delay);
        }
        After::Retry(message) => retry(shared, key, &message),
        After::Gone => shared.forget(key),
        After::Freeze(message) => {
            freeze::freeze(shared, key, &message).await;
        }
        After::Frozen => freeze::publish_again(shared, key).await,
    }
}

const NOT_LEADING: &str = "waiting for the leadership";

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

fn retry(shared: &Shared, key: &Key, message: &str) {
    tracing::warn!(resource = %key, "{message}");
    let failures = shared.index.with(key, |slot| {
        slot.failures = slot.failures.saturating_add(1);
        slot.said.error = Some(message.into());
        slot.failures
    });
    if let Some(failures) = failures {
        shared.queue.add_at(key, Instant::now() + delay_after(shared, key, failures - 1));
    }
}

/// Somebody else wrote the object: the first time at once, and later in the same manner as after a failure.
pub(crate) fn again(shared: &Shared, key: &Key) {
    let failures = shared.index.with(key, |slot| {
        slot.failures = slot.failures.saturating_add(1);
        slot.failures
    });
    match failures {
        None => {}
        Some(1) => shared.queue.add(key),
        Some(failures) => shared.queue.add_at(key, Instant::now() + delay_after(shared, key, failures - 2)),
    }
}

fn delay_after(shared: &Shared, key: &Key, failures: u32) -> Duration {
    backed_off(shared.limits.retry_delay, shared.limits.retry_delay_max, failures, key.seed())
}

/// Counts resources now and then: counting them at every change would cost more than the change.
async fn count_resources(shared: &Shared) {
    loop {
        let (known, frozen) = shared.index.count();
        shared.metrics.set_resources(known, frozen);
        tokio::time::sleep(COUNT_INTERVAL).await;
    }
}

/// Looks again at what the launcher says may have changed.
async fn hear_launcher(shared: &Arc<Shared>) {
    let mut changes = shared.actor.launcher.changes();
    loop {
        match changes.recv().await {
            Ok(target) => shared.look_again(&Key { namespace: target.namespace, name: target.name }),
            Err(RecvError::Lagged(_)) => {
                for key in shared.index.keys() {
                    shared.look_again(&key);
                }
            }
            // The launcher announces nothing any more; every look grows old by itself.
            Err(RecvError::Closed) => std::future::pending::<()>().await,
        }
    }
}

impl Shared {
    /// The settings of now.
    pub(crate) fn current(&self) -> Arc<Current> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes what a watch tells.
    fn changed(self: &Arc<Self>, scope: &Scope, change: Change) {
        let is_life = !matches!(change, Change::Opened | Change::Failed(_));
        if is_life && !self.scopes.heard(scope) {
            return;
        }
        match change {
            Change::Heard => {}
            Change::Opened => self.scopes.opened(scope),
            Change::Listed(stored) => {
                let key = stored.key.clone();
                if self.index.offer(stored) != Taken::Old && self.scopes.is_listed(scope) {
                    self.queue.add(&key);
                }
            }
            Change::ListComplete(keys) => self.list_complete(scope, &keys),
            Change::Changed(stored) => {
                let key = stored.key.clone();
                if self.index.offer(stored) != Taken::Old {
                    self.queue.add(&key);
                }
            }
            Change::Deleted(stored) => self.doubt(&stored.key),
            Change::Failed(message) => {
                self.metrics.watched("failed");
                self.scopes.failed(scope, &message);
                tracing::warn!(namespace = scope.as_deref().unwrap_or("(all)"), "watching: {message}");
            }
        }
    }

    fn list_complete(self: &Arc<Self>, scope: &Scope, keys: &HashSet<Key>) {
        self.metrics.watched("listed");
        for missing in self.index.missing_from(scope.as_deref(), keys) {
            self.doubt(&missing);
        }
        for key in keys {
            if self.index.with(key, |slot| slot.unstepped) == Some(true) {
                self.queue.add(key);
            }
        }
        if self.scopes.complete(scope) && self.sees_everything {
            self.retain();
        }
    }

    /// Everything that exists is known: clusters of anything else can go.
    fn retain(self: &Arc<Self>) {
        let mut existing: Vec<Target> = Vec::new();
        self.index.for_each(|_, slot| existing.push(slot.stored.target()));
        let launcher = self.actor.launcher.clone();
        self.tasks.spawn(async move { launcher.retain(&existing).await });
    }

    /// Reads the object from its source before anything else is done with it.
    fn doubt(&self, key: &Key) {
        if self.index.with(key, |slot| slot.in_doubt = true).is_some() {
            self.queue.add(key);
        }
    }

    fn look_again(&self, key: &Key) {
        if self.index.with(key, |slot| slot.cluster.at = None).is_some() {
            self.queue.add(key);
        }
    }

    /// The resource does not exist: drop everything about it.
    fn forget(&self, key: &Key) {
        self.poller.remove(key);
        self.index.remove_key(key);
        self.queue.forget(key);
    }

    /// Tells people through the resource's events.
    pub(crate) fn warn(&self, target: &Target, generation: i64, message: &str) {
        let event = Event {
            reason: "Error",
            kind: EventKind::Warning,
            component: "Operator",
            message: format!("{}: {message}", WaitingFor::Frozen.as_str()),
        };
        self.recorder.record(target, generation, event);
    }
}

impl Sink for Shared {
    fn polled(&self, key: &Key, cluster_uid: &Arc<str>, rest: Arc<Rest>, news: bool) {
        let first = self.index.with(key, |slot| {
            let result = PollResult { cluster_uid: cluster_uid.clone(), rest, at: Instant::now() };
            slot.poll.replace(result).is_none()
        });
        if first.is_some_and(|first| first || news) {
            self.queue.add(key);
        }
    }
}
