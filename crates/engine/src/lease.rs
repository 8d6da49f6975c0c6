//! Who may act: one process at a time, elected by a `coordination.k8s.io/v1` Lease. Refuses to know what is done by
//! whoever leads.
//!
//! ```text
//!   look at the Lease every `retry_period`
//!     ├─ nobody's, or silent for `lease_duration` ──► PUT with resourceVersion ──► leader, epoch = leaseTransitions
//!     ├─ there is none ──► POST; silence for one `lease_duration` when somebody led before
//!     └─ somebody else's ──► wait
//!   leader: PUT every `retry_period`; acts for `renew_deadline` after the *start* of the last PUT that succeeded
//! ```
//! A Lease is no fence: what makes a late act of a former leader harmless is the epoch in every status, which is
//! written by compare-and-swap, and the preconditions of every action. The Lease keeps two from trying.
//!
//! Clocks of other machines are never read: that a leader is silent is measured from when this process saw the last
//! change of the Lease, by its own monotonic clock; and a leader's right to act ends by its own clocks, whichever of
//! the monotonic one and the wall clock says so first (a machine that slept stops the former and moves the latter).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::limits::jittered;

/// How a leader is elected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseConfig {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub name: String,
    /// Name of this process. No other process may have the same one, not even a later one in the same pod.
    pub identity: String,
    /// How long a silent leader is respected.
    pub lease_duration: Duration,
    /// How long a leader acts without renewing; less than `lease_duration`.
    pub renew_deadline: Duration,
    /// How often the Lease is renewed or looked at.
    pub retry_period: Duration,
}

/// Why nobody can be elected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// The Lease may not be read or written. Nothing is done then: a process that cannot see the Lease is no leader.
    #[error(
        "the Lease `{namespace}/{name}` may not be used: {message}\nhint: allow `get`, `create` and `update` on \
         `leases` of `coordination.k8s.io` in that namespace to drey's service account"
    )]
    Forbidden {
        /// Namespace of the Lease.
        namespace: String,
        /// Name of the Lease.
        name: String,
        /// The API server's words.
        message: String,
    },
}

/// How a term ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended<T> {
    /// It was to stop before it was elected.
    NeverLed,
    /// The work came to its end, and the Lease was given back.
    Done(T),
    /// Somebody else leads, or may lead: the work was dropped where it was.
    Lost(String),
}

/// The right to act. Clones are the same right.
#[derive(Clone)]
pub struct Leadership(Arc<Right>);

struct Right {
    epoch: i64,
    until: Mutex<Until>,
    clock: Option<Arc<dyn Clock>>,
    lost: CancellationToken,
}

#[derive(Clone, Copy, Debug)]
enum Until {
    Always,
    /// By the monotonic clock, and by the wall clock in milliseconds since the Unix epoch.
    Moment(Instant, i64),
}

impl std::fmt::Debug for Leadership {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leadership").field("epoch", &self.epoch()).field("held", &self.is_held()).finish()
    }
}

impl Leadership {
    /// That of a process which is the only one, under the number `epoch`.
    #[must_use]
    pub fn undisputed(epoch: i64) -> Leadership {
        let until = Mutex::new(Until::Always);
        Leadership(Arc::new(Right { epoch, until, clock: None, lost: CancellationToken::new() }))
    }

    fn elected(epoch: i64, clock: Arc<dyn Clock>) -> Leadership {
        let until = Mutex::new(Until::Moment(Instant::now(), clock.now().0));
        Leadership(Arc::new(Right { epoch, until, clock: Some(clock), lost: CancellationToken::new() }))
    }

    /// The number of this leadership: higher than that of every earlier leader.
    #[must_use]
    pub fn epoch(&self) -> i64 {
        self.0.epoch
    }

    /// Whether this process may act now.
    #[must_use]
    pub fn is_held(&self) -> bool {
        if self.0.lost.is_cancelled() {
            return false;
        }
        match *self.until() {
            Until::Always => true,
            Until::Moment(until, until_ms) => {
                let wall_ms = self.0.clock.as_ref().map_or(i64::MIN, |clock| clock.now().0);
                Instant::now() < until && wall_ms < until_ms
            }
        }
    }

    /// Comes back when this process may no longer act, be it for a moment or for ever.
    pub async fn ended(&self) {
        loop {
            let until = *self.until();
            if !self.is_held() {
                return;
            }
            match until {
                Until::Always => self.0.lost.cancelled().await,
                Until::Moment(until, _) => {
                    tokio::select! {
                        () = sleep_until(until) => {}
                        () = self.0.lost.cancelled() => {}
                    }
                }
            }
        }
    }

    /// Prolongs the right to `renew_deadline` after a request that began at `began`.
    fn renewed(&self, began: Instant, began_ms: i64, renew_deadline: Duration) {
        let deadline_ms = i64::try_from(renew_deadline.as_millis()).unwrap_or(i64::MAX);
        *self.until() = Until::Moment(began + renew_deadline, began_ms.saturating_add(deadline_ms));
    }

    fn lose(&self) {
        self.0.lost.cancel();
    }

    fn until(&self) -> MutexGuard<'_, Until> {
        self.0.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known of the election, for health and metrics. Clones show the same.
#[derive(Clone, Debug, Default)]
pub struct ElectionView(Arc<Mutex<Election>>);

/// What is known of the election.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Election {
    /// This process leads.
    pub leading: bool,
    /// Who leads, as far as is known.
    pub holder: Option<String>,
    /// When the API server last answered about the Lease.
    pub answered_at: Option<Instant>,
    /// Why it does not, in its own words.
    pub failure: Option<String>,
}

impl ElectionView {
    /// What is known now.
    #[must_use]
    pub fn get(&self) -> Election {
        self.lock().clone()
    }

    fn answered(&self, leading: bool, holder: Option<String>) {
        let answered_at = Some(Instant::now());
        *self.lock() = Election { leading, holder, answered_at, failure: None };
    }

    fn failed(&self, message: &str) {
        tracing::warn!("the Lease: {message}");
        self.lock().failure = Some(message.to_owned());
    }

    fn lock(&self) -> MutexGuard<'_, Election> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until this process is elected, and then works as long as it leads. `floor` tells the highest epoch that is on
/// record anywhere, so that a Lease that was deleted, or is another one than before, does not begin again below.
///
/// When `stop` is cancelled, `work` is told by the token that it gets and finishes in its own time, still as the
/// leader; then the Lease is given back, so that another one goes on at once. When the leadership is lost, `work` is
/// dropped.
///
/// # Errors
/// See [`LeaseError`]. An API server that does not answer is no error.
pub async fn while_leading<T, W: Future<Output = T>>(
    candidate: Candidate,
    stop: CancellationToken,
    work: impl FnOnce(Leadership, CancellationToken) -> W,
) -> Result<Ended<T>, LeaseError> {
    let mut term = tokio::select! {
        term = candidate.elected() => term?,
        () = stop.cancelled() => return Ok(Ended::NeverLed),
    };
    tracing::info!(identity = term.candidate.config.identity, epoch = term.leadership.epoch(), "leading");
    let leadership = term.leadership.clone();
    let result = {
        let work = work(leadership.clone(), stop);
        tokio::pin!(work);
        tokio::select! {
            // The end of the work counts first: then the Lease is given back.
            biased;
            result = &mut work => Ok(result),
            lost = term.keep() => Err(lost),
        }
    };
    leadership.lose();
    match result {
        Ok(result) => {
            term.release().await;
            Ok(Ended::Done(result))
        }
        Err(lost) => {
            tracing::warn!("the leadership is lost: {lost}");
            term.candidate.view.answered(false, None);
            Ok(Ended::Lost(lost))
        }
    }
}

type Floor = Box<dyn Fn() -> futures::future::BoxFuture<'static, Result<i64, kube::Error>> + Send + Sync>;

/// One who would lead.
pub struct Candidate {
    client: Client,
    config: LeaseConfig,
    clock: Arc<dyn Clock>,
    floor: Floor,
    view: ElectionView,
}

/// A Lease as it was seen, and since when it has been as it is.
struct Sighting {
    spec: LeaseSpec,
    since: Instant,
}

impl Candidate {
    /// A candidate. See [`while_leading`] for `floor`.
    pub fn new(
        client: Client,
        config: LeaseConfig,
        clock: Arc<dyn Clock>,
        floor: impl Fn() -> futures::future::BoxFuture<'static, Result<i64, kube::Error>> + Send + Sync + 'static,
    ) -> Candidate {
        Candidate { client, config, clock, floor: Box::new(floor), view: ElectionView::default() }
    }

    /// What is known of the election, from now on.
    #[must_use]
    pub fn view(&self) -> ElectionView {
        self.view.clone()
    }

    fn api(&self) -> Api<Lease> {
        Api::namespaced(self.client.clone(), &self.config.namespace)
    }

    async fn elected(self) -> Result<Term, LeaseError> {
        let candidate = Arc::new(self);
        let mut sighting: Option<Sighting> = None;
        let mut round = 0;
        loop {
            match candidate.look(&mut sighting).await {
                Ok(Some(term)) => return Ok(term),
                Ok(None) => {}
                Err(error) => candidate.failed(&error)?,
            }
            round += 1;
            sleep(jittered(candidate.config.retry_period, round ^ seed(&candidate.config.identity))).await;
        }
    }

    /// One look; `None` when somebody else leads or nobody knows.
    async fn look(self: &Arc<Self>, sighting: &mut Option<Sighting>) -> Result<Option<Term>, kube::Error> {
        let Some(lease) = self.within(self.api().get_opt(&self.config.name)).await? else {
            *sighting = None;
            return self.create().await;
        };
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.clone().filter(|holder| !holder.is_empty());
        self.view.answered(false, holder.clone());
        let since = match sighting {
            Some(known) if known.spec == spec => known.since,
            Some(_) | None => {
                let since = Instant::now();
                *sighting = Some(Sighting { spec: spec.clone(), since });
                since
            }
        };
        // Our own name without our knowing: the answer to our own write was lost.
        let others = holder.as_ref().is_some_and(|holder| *holder != self.config.identity);
        if others && since.elapsed() < self.respected_for(&spec) {
            return Ok(None);
        }
        self.take(lease, &spec).await
    }

    /// A leader with a longer lease than ours is respected for as long as it counts on.
    fn respected_for(&self, spec: &LeaseSpec) -> Duration {
        let own = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        self.config.lease_duration.max(Duration::from_secs(own.unwrap_or(0)))
    }

    async fn take(
        self: &Arc<Self>,
        mut lease: Lease,
        before: &LeaseSpec,
    ) -> Result<Option<Term>, kube::Error> {
        let floor = i32::try_from((self.floor)().await?).unwrap_or(i32::MAX);
        let epoch = before.lease_transitions.unwrap_or(0).max(floor).saturating_add(1);
        let leadership = Leadership::elected(i64::from(epoch), self.clock.clone());
        let (began, began_ms) = (Instant::now(), self.clock.now().0);
        lease.spec = Some(self.spec(epoch, began_ms, began_ms));
        match self.within(self.api().replace(&self.config.name, &PostParams::default(), &lease)).await {
            Ok(lease) => {
                leadership.renewed(began, began_ms, self.config.renew_deadline);
                self.view.answered(true, Some(self.config.identity.clone()));
                Ok(Some(Term { candidate: self.clone(), leadership, lease, acquired_ms: began_ms }))
            }
            // Somebody else was quicker.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// There is no Lease: this is the first start, or somebody has deleted it. Whoever led until then may still
    /// believe to lead for less than `lease_duration`, and cannot renew what is gone.
    async fn create(self: &Arc<Self>) -> Result<Option<Term>, kube::Error> {
        let floor = (self.floor)().await?;
        let epoch = i32::try_from(floor.saturating_add(1)).unwrap_or(i32::MAX);
        let leadership = Leadership::elected(i64::from(epoch), self.clock.clone());
        let (began, began_ms) = (Instant::now(), self.clock.now().0);
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(self.config.name.clone()),
                namespace: Some(self.config.namespace.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(self.spec(epoch, began_ms, began_ms)),
        };
        let lease = match self.within(self.api().create(&PostParams::default(), &lease)).await {
            Ok(lease) => lease,
            Err(kube::Error::Api(status)) if status.code == 409 => return Ok(None),
            Err(error) => return Err(error),
        };
        leadership.renewed(began, began_ms, self.config.renew_deadline);
        let mut term = Term { candidate: self.clone(), leadership, lease, acquired_ms: began_ms };
        if floor > 0 {
            let lost = tokio::select! {
                lost = term.keep() => Some(lost),
                () = sleep(self.config.lease_duration) => None,
            };
            if let Some(lost) = lost {
                self.view.failed(&lost);
                return Ok(None);
            }
        }
        self.view.answered(true, Some(self.config.identity.clone()));
        Ok(Some(term))
    }

    fn spec(&self, epoch: i32, acquired_ms: i64, renewed_ms: i64) -> LeaseSpec {
        let seconds = self.config.lease_duration.as_millis().div_ceil(1_000);
        LeaseSpec {
            holder_identity: Some(self.config.identity.clone()),
            lease_duration_seconds: Some(i32::try_from(seconds).unwrap_or(i32::MAX)),
            acquire_time: micro_time(acquired_ms),
            renew_time: micro_time(renewed_ms),
            lease_transitions: Some(epoch),
            ..LeaseSpec::default()
        }
    }

    /// A request about the Lease has no time beyond that after which its answer would be worth nothing.
    async fn within<T>(&self, call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, kube::Error> {
        match timeout(self.config.renew_deadline / 2, call).await {
            Ok(answer) => answer,
            Err(elapsed) => Err(kube::Error::Service(elapsed.into())),
        }
    }

    fn failed(&self, error: &kube::Error) -> Result<(), LeaseError> {
        self.view.failed(&error.to_string());
        match error {
            kube::Error::Api(status) if matches!(status.code, 401 | 403) => Err(LeaseError::Forbidden {
                namespace: self.config.namespace.clone(),
                name: self.config.name.clone(),
                message: status.message.clone(),
            }),
            _ => Ok(()),
        }
    }
}

/// The time in which this process leads.
struct Term {
    candidate: Arc<Candidate>,
    leadership: Leadership,
    /// As the API server last answered.
    lease: Lease,
    acquired_ms: i64,
}

/// What a renewal came to.
enum Renewal {
    Renewed,
    /// It did not happen, or nobody knows.
    Failed(String),
    /// Somebody else has the Lease.
    Lost(String),
}

impl Term {
    /// Renews the Lease until it is lost; says why. An API server that is away for long only suspends the leadership:
    /// nobody else can have taken what it keeps.
    async fn keep(&mut self) -> String {
        loop {
            sleep(self.candidate.config.retry_period).await;
            match self.renew().await {
                Renewal::Renewed => {
                    let identity = self.candidate.config.identity.clone();
                    self.candidate.view.answered(true, Some(identity));
                }
                Renewal::Failed(message) => self.candidate.view.failed(&message),
                Renewal::Lost(message) => return message,
            }
        }
    }

    async fn renew(&mut self) -> Renewal {
        let (began, began_ms) = (Instant::now(), self.candidate.clock.now().0);
        let mut lease = self.lease.clone();
        lease.spec = Some(self.candidate.spec(self.epoch(), self.acquired_ms, began_ms));
        match self.put(&lease).await {
            Ok(lease) => {
                self.lease = lease;
                self.leadership.renewed(began, began_ms, self.candidate.config.renew_deadline);
                Renewal::Renewed
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => self.look_again().await,
            Err(error) => Renewal::Failed(error.to_string()),
        }
    }

    /// The Lease is not as we left it: our own write whose answer was lost, somebody's label, or another leader.
    async fn look_again(&mut self) -> Renewal {
        let candidate = &self.candidate;
        match candidate.within(candidate.api().get_opt(&candidate.config.name)).await {
            Err(error) => Renewal::Failed(error.to_string()),
            Ok(None) => Renewal::Lost("the Lease was deleted".to_owned()),
            Ok(Some(lease)) if self.is_ours(&lease) => {
                self.lease = lease;
                Renewal::Failed("somebody has changed the Lease; it is renewed again".to_owned())
            }
            Ok(Some(lease)) => {
                let holder = lease.spec.and_then(|spec| spec.holder_identity).unwrap_or_default();
                Renewal::Lost(format!("`{holder}` has the Lease"))
            }
        }
    }

    fn is_ours(&self, lease: &Lease) -> bool {
        let same = |spec: &LeaseSpec| {
            spec.holder_identity.as_ref() == Some(&self.candidate.config.identity)
                && spec.lease_transitions == Some(self.epoch())
        };
        lease.metadata.uid == self.lease.metadata.uid && lease.spec.as_ref().is_some_and(same)
    }

    fn epoch(&self) -> i32 {
        i32::try_from(self.leadership.epoch()).unwrap_or(i32::MAX)
    }

    async fn put(&self, lease: &Lease) -> Result<Lease, kube::Error> {
        let candidate = &self.candidate;
        candidate.within(candidate.api().replace(&candidate.config.name, &PostParams::default(), lease)).await
    }

    /// Gives the Lease back, so that nobody has to wait until it runs out. Best effort: twice, because our own last
    /// renewal may have been applied without an answer.
    async fn release(mut self) {
        for _ in 0..2 {
            let mut lease = self.lease.clone();
            let mut spec = self.candidate.spec(self.epoch(), self.acquired_ms, self.candidate.clock.now().0);
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
            lease.spec = Some(spec);
            match self.put(&lease).await {
                Ok(_) => break,
                Err(error) => tracing::warn!(%error, "the Lease could not be given back"),
            }
            if matches!(self.look_again().await, Renewal::Lost(_)) {
                break;
            }
        }
        self.candidate.view.answered(false, None);
    }
}

fn micro_time(ms: i64) -> Option<MicroTime> {
    jiff::Timestamp::from_millisecond(ms).ok().map(MicroTime)
}

/// A number that differs between identities, so that those who wait do not look all at once.
fn seed(identity: &str) -> u64 {
    identity
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
