//! One process of drey on a cluster, from its configuration to its end.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drey_api::operator::{self, Finding, OperatorConfiguration, Refusal};
use drey_engine::lease::{Candidate, ElectionView, Ended, LeaseConfig, LeaseError, while_leading};
use drey_engine::{
    Engine, EngineConfig, EngineError, Health, Launcher, Leadership, Limits, Namespaces, Settings,
    SystemClock, epoch,
};
use futures::FutureExt;
use kube::Client;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::files::{FilesError, Sources};
use crate::upstream_metrics::{self, Identity, Wanted};
use crate::webhook::{self, WebhookConfig, WebhookStatus};
use crate::{probes, rights};

/// Between two tries to read what is needed before the start.
const START_RETRY: Duration = Duration::from_secs(2);
/// The files are not read more often than this, whatever the configuration says.
const REREAD_MIN: Duration = Duration::from_millis(100);
/// How long one who waits for the leadership may not see the Lease, in lease durations.
const LEASE_BLIND: u32 = 4;

/// Why the operator ends, or does not start.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// The files cannot be read.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The configuration is refused; everything that is wrong with it.
    #[error("the configuration is refused:\n  {}", lines(.0))]
    Refused(Vec<Refusal>),
    /// A port cannot be used.
    #[error("port {port} for {what} cannot be used: {error}\nhint: choose another one with `{key}`")]
    Port {
        /// What it is for.
        what: &'static str,
        /// The port.
        port: u16,
        /// The key that chooses it.
        key: &'static str,
        /// Why not.
        error: std::io::Error,
    },
    /// Nobody can be elected.
    #[error(transparent)]
    Lease(#[from] LeaseError),
    /// Somebody else leads now. The next start waits for its turn.
    #[error("the leadership is lost: {0}")]
    Lost(String),
    /// The engine ended.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The probes or metrics are served no more.
    #[error("HTTP is served no more: {0}")]
    Http(std::io::Error),
}

fn lines(refusals: &[Refusal]) -> String {
    refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  ")
}

/// The operator ended because it was told to, and left nothing half-done that the next start does not take up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

/// An operator that has read its configuration and does nothing yet.
pub struct Operator {
    sources: Sources,
    flat: BTreeMap<String, String>,
    configuration: OperatorConfiguration,
    findings: Vec<Finding>,
    webhook: Option<WebhookConfig>,
}

/// What an operator works with.
pub struct Means {
    /// The Kubernetes API, for the Lease, the rights and the webhook: nothing that thousands of resources ask for is
    /// waited for here.
    pub client: Client,
    /// The Kubernetes API, for the engine. It should bound how many requests are under way: each takes a connection, and a
    /// connection with TLS takes a hundred kilobytes.
    pub work_client: Client,
    /// Where clusters run.
    pub launcher: Arc<dyn Launcher>,
    /// Connections to JobManagers.
    pub http: reqwest::Client,
    /// Namespace of the operator itself.
    pub own_namespace: String,
    /// Labels of its metrics.
    pub identity: Identity,
}

impl Operator {
    /// Reads the configuration.
    ///
    /// # Errors
    /// Files that cannot be read, or a configuration that is refused.
    pub fn read(sources: Sources) -> Result<Operator, OperatorError> {
        let flat = sources.read()?;
        let (configuration, findings) = operator::read(&flat).map_err(OperatorError::Refused)?;
        Ok(Operator { sources, flat, configuration, findings, webhook: None })
    }

    /// The same operator, which also serves a webhook if one is given.
    #[must_use]
    pub fn with_webhook(self, webhook: Option<WebhookConfig>) -> Operator {
        Operator { webhook, ..self }
    }

    /// What was read.
    #[must_use]
    pub fn configuration(&self) -> &OperatorConfiguration {
        &self.configuration
    }

    /// What its author should know about it.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Asks the API server for every right; see [`rights`].
    pub async fn lacking_rights(&self, client: &Client, own_namespace: &str) -> Vec<rights::Lack> {
        let namespaces = Namespaces::of(&self.configuration.namespaces, own_namespace);
        let parts = rights::Parts {
            election: self.configuration.leader_election.is_some(),
            webhook: self.webhook.as_ref().is_some_and(|webhook| webhook.directory.is_none()),
        };
        rights::lacking(client, &namespaces, own_namespace, parts).await
    }

    /// Runs until `stop` is cancelled.
    ///
    /// # Errors
    /// See [`OperatorError`]. An API server that does not answer is no error.
    pub async fn run(self, means: Means, stop: CancellationToken) -> Result<Stopped, OperatorError> {
        for finding in &self.findings {
            tracing::warn!("configuration: {finding}");
        }
        let process = process_name(&means.identity.host);
        let lease = LeaseConfig::of(&self.configuration, &means.own_namespace, &process);
        let candidate = lease.clone().map(|lease| {
            let namespaces = Namespaces::of(&self.configuration.namespaces, &means.own_namespace);
            candidate(&means.client, lease, namespaces)
        });
        let election = candidate.as_ref().map(Candidate::view);
        let admission = self.webhook.as_ref().map(|_| Arc::<WebhookStatus>::default());
        let status =
            Arc::new(Status::new(&self.configuration, means.identity.clone(), election, lease, admission));
        let serving = self.serve(&status, &means).await?;
        let work = async {
            tokio::select! {
                () = self.tell_rights(&means) => {}
                () = stop.cancelled() => return Ok(Stopped),
            }
            self.lead(means, candidate, status.clone(), stop).await
        };
        tokio::select! {
            ended = work => ended,
            error = serving => Err(OperatorError::Http(error)),
        }
    }

    async fn serve(
        &self,
        status: &Arc<Status>,
        means: &Means,
    ) -> Result<impl Future<Output = std::io::Error> + use<>, OperatorError> {
        let port = self.configuration.metrics_port;
        let key = operator::keys::METRICS_PORT.name();
        let metrics = probes::bind(port).await.map_err(|error| OperatorError::Port {
            what: "metrics",
            port,
            key,
            error,
        })?;
        let health = match self.configuration.health_probe_port {
            None => None,
            Some(port) => {
                let key = operator::keys::HEALTH_PROBE_PORT.name();
                let bound = probes::bind(port).await;
                Some(bound.map_err(|error| OperatorError::Port { what: "health", port, key, error })?)
            }
        };
        let admission = self.serve_webhook(status, means).await?;
        let status = status.clone();
        Ok(async move {
            let metrics = probes::serve_metrics(metrics, status.clone());
            let health = async {
                match health {
                    Some(listener) => probes::serve_health(listener, status).await,
                    None => std::future::pending().await,
                }
            };
            let ended = tokio::select! {
                ended = metrics => ended,
                ended = health => ended,
                ended = admission => ended,
            };
            ended.err().unwrap_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
        })
    }

    /// The webhook, or nothing that never ends.
    async fn serve_webhook(
        &self,
        status: &Status,
        means: &Means,
    ) -> Result<impl Future<Output = std::io::Result<()>> + use<>, OperatorError> {
        let bound = match self.webhook.clone().zip(status.webhook.clone()) {
            None => None,
            Some((config, status)) => {
                let (port, key) = (config.port, webhook::PORT_VARIABLE);
                let failed = |error| OperatorError::Port { what: "the webhook", port, key, error };
                Some((probes::bind(port).await.map_err(failed)?, config, status))
            }
        };
        let interval = self.configuration.dynamic.map(|dynamic| reread_interval(dynamic.check_interval_ms));
        let means = webhook::Means {
            client: means.client.clone(),
            own_namespace: means.own_namespace.clone(),
            defaults: self.configuration.defaults.clone(),
            reread: interval.map(|interval| (self.sources.clone(), interval)),
        };
        Ok(async move {
            match bound {
                Some((listener, config, status)) => webhook::serve(listener, config, means, status).await,
                None => std::future::pending().await,
            }
        })
    }

    async fn tell_rights(&self, means: &Means) {
        for lack in self.lacking_rights(&means.client, &means.own_namespace).await {
            if lack.is_fatal() {
                tracing::error!("rights: {lack}");
            } else {
                tracing::warn!("rights: {lack}");
            }
        }
    }

    async fn lead(
        self,
        means: Means,
        candidate: Option<Candidate>,
        status: Arc<Status>,
        stop: CancellationToken,
    ) -> Result<Stopped, OperatorError> {
        let Some(candidate) = candidate else {
            let namespaces = Namespaces::of(&self.configuration.namespaces, &means.own_namespace);
            let epoch = tokio::select! {
                epoch = recorded_epoch(&means.client, &namespaces) => epoch,
                () = stop.cancelled() => return Ok(Stopped),
            };
            self.work(means, status, Leadership::undisputed(epoch), stop).await?;
            return Ok(Stopped);
        };
        let work = |leadership, stop| self.work(means, status, leadership, stop);
        match while_leading(candidate, stop, work).await? {
            Ended::NeverLed => Ok(Stopped),
            Ended::Done(ended) => ended.map(|()| Stopped).map_err(OperatorError::from),
            Ended::Lost(why) => Err(OperatorError::Lost(why)),
        }
    }

    /// The engine, and the files that are read again.
    async fn work(
        self,
        means: Means,
        status: Arc<Status>,
        leadership: Leadership,
        stop: CancellationToken,
    ) -> Result<(), EngineError> {
        let Means { client: _, work_client, launcher, http, own_namespace, identity: _ } = means;
        let Settings { policy, defaults } = Settings::of(&self.configuration);
        let engine = Engine::new(EngineConfig {
            client: work_client,
            launcher,
            http,
            policy,
            defaults,
            namespaces: Namespaces::of(&self.configuration.namespaces, &own_namespace),
            label_selector: self.configuration.label_selector.clone(),
            leadership: leadership.clone(),
            clock: Arc::new(SystemClock),
            limits: Limits::of(&self.configuration),
        });
        status.lead(engine.clone(), leadership);
        tokio::select! {
            ended = engine.run(stop) => ended,
            () = self.follow_files(&engine, &own_namespace, &status) => Ok(()),
        }
    }

    /// Reads the files again and again, for ever.
    async fn follow_files(mut self, engine: &Engine, own_namespace: &str, status: &Status) {
        let Some(dynamic) = self.configuration.dynamic else { return std::future::pending().await };
        let interval = reread_interval(dynamic.check_interval_ms);
        loop {
            sleep(interval).await;
            let result = self.read_again(engine, own_namespace);
            status.configuration_read(result);
        }
    }

    /// What was read before stays when the files cannot be read or are refused.
    fn read_again(&mut self, engine: &Engine, own_namespace: &str) -> &'static str {
        let new = match Operator::read(self.sources.clone()) {
            Ok(new) if new.flat == self.flat => return "unchanged",
            Ok(new) => new,
            Err(error) => {
                tracing::error!("the configuration is left as it was: {error}");
                return "refused";
            }
        };
        tracing::info!(keys = ?changed_keys(&self.flat, &new.flat), "the configuration has changed");
        for finding in new.findings.iter().filter(|finding| !self.findings.contains(finding)) {
            tracing::warn!("configuration: {finding}");
        }
        for key in self.configuration.needs_restart(&new.configuration) {
            tracing::warn!("`{key}` takes effect at the next start of the operator");
        }
        engine.reconfigure(Settings::of(&new.configuration));
        let follows_namespaces = self.configuration.dynamic_namespaces;
        if follows_namespaces && new.configuration.namespaces != self.configuration.namespaces {
            engine.watch_namespaces(&Namespaces::of(&new.configuration.namespaces, own_namespace));
        }
        // What is read at start stays as it was then, so that it is told until it is there.
        self.flat = new.flat;
        self.findings = new.findings;
        self.configuration.namespaces = new.configuration.namespaces;
        self.configuration.defaults = new.configuration.defaults;
        "changed"
    }
}

fn reread_interval(check_interval_ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(check_interval_ms).unwrap_or(0)).max(REREAD_MIN)
}

/// Names alone: values may be secrets.
fn changed_keys<'a>(old: &'a BTreeMap<String, String>, new: &'a BTreeMap<String, String>) -> Vec<&'a str> {
    let mut keys: Vec<&str> = old.keys().chain(new.keys()).map(String::as_str).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.retain(|key| old.get(*key) != new.get(*key));
    keys
}

fn candidate(client: &Client, lease: LeaseConfig, namespaces: Namespaces) -> Candidate {
    let floor_client = client.clone();
    let floor = move || {
        let (client, namespaces) = (floor_client.clone(), namespaces.clone());
        async move { epoch::highest(&client, &namespaces).await }.boxed()
    };
    Candidate::new(client.clone(), lease, Arc::new(SystemClock), floor)
}

/// Without an election a process goes on under the number of the one before it: nobody else is expected.
async fn recorded_epoch(client: &Client, namespaces: &Namespaces) -> i64 {
    loop {
        match epoch::highest(client, namespaces).await {
            Ok(epoch) => return epoch,
            // Without the CRD there is no resource; the engine says what to do.
            Err(kube::Error::Api(status)) if status.code == 404 => return 0,
            Err(error) => tracing::warn!(%error, "waiting for the API server"),
        }
        sleep(START_RETRY).await;
    }
}

/// A name that no other process has, not even the next one in the same pod.
fn process_name(host: &str) -> String {
    let number = RandomState::new().hash_one((std::process::id(), std::time::SystemTime::now()));
    format!("{host}_{number:016x}")
}

/// What the probes and the metrics tell.
pub(crate) struct Status {
    leading: Mutex<Option<(Engine, Leadership)>>,
    election: Option<(ElectionView, Duration)>,
    started: Instant,
    identity: Identity,
    wanted: Wanted,
    configuration_reads: Family<Vec<(String, String)>, Counter>,
    webhook: Option<Arc<WebhookStatus>>,
}

impl Status {
    fn new(
        configuration: &OperatorConfiguration,
        identity: Identity,
        election: Option<ElectionView>,
        lease: Option<LeaseConfig>,
        webhook: Option<Arc<WebhookStatus>>,
    ) -> Status {
        let wanted =
            Wanted { resources: configuration.resource_metrics, lifecycle: configuration.lifecycle_metrics };
        Status {
            leading: Mutex::default(),
            election: election.zip(lease.map(|lease| lease.lease_duration)),
            started: Instant::now(),
            identity,
            wanted,
            configuration_reads: Family::default(),
            webhook,
        }
    }

    fn lead(&self, engine: Engine, leadership: Leadership) {
        *self.leading.lock().unwrap_or_else(PoisonError::into_inner) = Some((engine, leadership));
    }

    fn configuration_read(&self, result: &'static str) {
        self.configuration_reads.get_or_create(&vec![("result".to_owned(), result.to_owned())]).inc();
    }

    fn leading(&self) -> Option<(Engine, Leadership)> {
        self.leading.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn health(&self) -> Health {
        let mut health = self.health_of_work();
        health.not_ready.extend(self.webhook.as_ref().and_then(|webhook| webhook.not_ready()));
        health
    }

    fn health_of_work(&self) -> Health {
        match (self.leading(), &self.election) {
            (Some((engine, leadership)), _) => {
                let mut health = engine.health();
                if !leadership.is_held() {
                    health
                        .not_ready
                        .push("the Lease could not be renewed in time; nothing is done".to_owned());
                }
                health
            }
            (None, Some((election, lease_duration))) => waiting(election, *lease_duration, self.started),
            (None, None) => Health { not_ready: vec!["starting".to_owned()], not_alive: Vec::new() },
        }
    }

    pub(crate) fn metrics(&self) -> Result<String, std::fmt::Error> {
        let leading = self.leading();
        let mut registry = Registry::default();
        let (leader, number) = (Gauge::<i64>::default(), Gauge::<i64>::default());
        if let Some((engine, leadership)) = &leading {
            engine.metrics().register(&mut registry);
            leader.set(i64::from(leadership.is_held()));
            number.set(leadership.epoch());
        }
        let own = registry.sub_registry_with_prefix("drey_operator");
        own.register("leader", help("leader"), leader);
        own.register("epoch", help("epoch"), number);
        own.register("configuration_reads", help("configuration_reads"), self.configuration_reads.clone());
        let reviews = self.webhook.as_ref().map(|webhook| webhook.reviews.clone()).unwrap_or_default();
        own.register("webhook_reviews", help("webhook_reviews"), reviews);
        let mut text = String::new();
        encode_registry(&mut text, &registry)?;
        if let Some((engine, _)) = &leading {
            upstream_metrics::encode(&engine.view(), &self.identity, self.wanted, &mut text)?;
        }
        encode_eof(&mut text)?;
        Ok(text)
    }
}

/// Metrics of the operator itself, beside those of the engine: name, kind, labels and what they say.
pub const METRICS: &[(&str, &str, &str, &str)] = &[
    ("leader", "gauge", "", "1 while this process may act"),
    ("epoch", "gauge", "", "Number of the leadership of this process"),
    (
        "configuration_reads",
        "counter",
        "result",
        "Times that the configuration files were read again, by result",
    ),
    (
        "webhook_reviews",
        "counter",
        "path, result",
        "Questions of the API server that the webhook answered, by path and result",
    ),
];

fn help(name: &str) -> &'static str {
    METRICS.iter().find(|(known, ..)| *known == name).map_or("", |(.., help)| help)
}

/// One who waits is ready as long as it sees the Lease: it would take over.
fn waiting(election: &ElectionView, lease_duration: Duration, started: Instant) -> Health {
    let known = election.get();
    let blind = known.answered_at.unwrap_or(started).elapsed();
    let why = known.failure.map(|message| format!(": {message}")).unwrap_or_default();
    let words = format!("the Lease was not seen for {} s{why}", blind.as_secs());
    let mut health = Health::default();
    if blind > lease_duration {
        health.not_ready.push(words.clone());
    }
    if blind > lease_duration * LEASE_BLIND {
        health.not_alive.push(words);
    }
    health
}
