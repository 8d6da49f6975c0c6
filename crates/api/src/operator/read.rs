//! From a flat configuration to what the operator does. Everything wrong is told at once; nothing is ignored without
//! a word.

use std::collections::BTreeMap;

use super::key::{Scope, Treatment, port};
use super::{PREFIX, find, keys};
use crate::configuration::first_of;
use crate::defaults::Defaults;
use crate::options::{OptionError, Options, Reader};
use crate::unknown_fields::nearest;

/// What upstream calls all namespaces.
const ALL_NAMESPACES: &str = "JOSDK_ALL_NAMESPACES";
/// What upstream calls the operator's own namespace.
const OWN_NAMESPACE: &str = "JOSDK_WATCH_CURRENT";

/// The operator's configuration. What a key does that is not set is `None`: the defaults of drey are those of the
/// engine, not repeated here.
#[derive(Clone, Debug, PartialEq)]
pub struct OperatorConfiguration {
    /// What clusters start from.
    pub defaults: Defaults,
    /// `kubernetes.operator.watched.namespaces`.
    pub namespaces: WatchedNamespaces,
    /// `kubernetes.operator.dynamic.namespaces.enabled`.
    pub dynamic_namespaces: bool,
    /// `kubernetes.operator.dynamic.config.*`; absent when the files are read only once.
    pub dynamic: Option<DynamicConfiguration>,
    /// `kubernetes.operator.label.selector`.
    pub label_selector: Option<String>,
    /// `kubernetes.operator.leader-election.*`; absent when there is no election.
    pub leader_election: Option<LeaderElection>,
    /// `kubernetes.operator.reconcile.interval`, milliseconds.
    pub reconcile_interval_ms: Option<i64>,
    /// `kubernetes.operator.observer.progress-check.interval`, milliseconds.
    pub progress_check_interval_ms: Option<i64>,
    /// `kubernetes.operator.reconcile.parallelism`; negative for no bound.
    pub reconcile_parallelism: Option<i64>,
    /// `kubernetes.operator.retry.initial.interval`, milliseconds.
    pub retry_initial_interval_ms: Option<i64>,
    /// `kubernetes.operator.retry.max.interval`, milliseconds.
    pub retry_max_interval_ms: Option<i64>,
    /// `kubernetes.operator.flink.client.timeout`, milliseconds.
    pub flink_client_timeout_ms: Option<i64>,
    /// `kubernetes.operator.termination.timeout`, milliseconds.
    pub termination_timeout_ms: Option<i64>,
    /// `kubernetes.operator.health.probe.*`; absent when the probe is off.
    pub health_probe_port: Option<u16>,
    /// `kubernetes.operator.metrics.reporter.prom.port`.
    pub metrics_port: u16,
    /// `kubernetes.operator.resource.metrics.enabled`.
    pub resource_metrics: bool,
    /// `kubernetes.operator.resource.lifecycle.metrics.enabled`.
    pub lifecycle_metrics: bool,
}

/// Which namespaces are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchedNamespaces {
    /// All of them.
    All,
    /// That of the operator.
    Own,
    /// Exactly these, in order and each once.
    List(Vec<String>),
}

/// How often the files are read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DynamicConfiguration {
    /// `kubernetes.operator.dynamic.config.check.interval`, milliseconds.
    pub check_interval_ms: i64,
}

/// How a leader is elected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderElection {
    /// Name of the Lease.
    pub lease_name: String,
    /// How long a silent leader is respected, milliseconds.
    pub lease_duration_ms: i64,
    /// How long a leader acts without renewing, milliseconds; less than `lease_duration_ms`.
    pub renew_deadline_ms: i64,
    /// How often the lease is renewed or looked at, milliseconds; less than `renew_deadline_ms`.
    pub retry_period_ms: i64,
}

/// Something about the configuration that its author should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The key is known and does nothing.
    Ignored {
        /// The key.
        key: String,
        /// Why.
        reason: &'static str,
    },
    /// The key is deprecated.
    Deprecated {
        /// The key.
        key: String,
        /// Its present name.
        present: &'static str,
    },
    /// There is no such key.
    Unknown {
        /// The key.
        key: String,
        /// The known key that it looks like.
        nearest: Option<&'static str>,
    },
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ignored { key, reason } => write!(f, "`{key}` has no effect: {reason}"),
            Self::Deprecated { key, present } => write!(f, "`{key}` is deprecated; write `{present}`"),
            Self::Unknown { key, nearest: Some(nearest) } => {
                write!(f, "`{key}` is not known (did you mean `{nearest}`?)")
            }
            Self::Unknown { key, nearest: None } => write!(f, "`{key}` is not known"),
        }
    }
}

/// Why the operator does not start with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A value cannot be read.
    #[error(transparent)]
    Value(#[from] OptionError),
    /// A key cannot be honoured, and leaving it out would be worse than not starting.
    #[error("`{key}` is refused: {reason}; remove the key")]
    Key {
        /// The key.
        key: String,
        /// Why.
        reason: &'static str,
    },
    /// Values that contradict each other.
    #[error("{0}")]
    Together(String),
}

/// Reads a flat configuration.
///
/// # Errors
/// Everything that keeps the operator from starting.
pub fn read(
    configuration: &BTreeMap<String, String>,
) -> Result<(OperatorConfiguration, Vec<Finding>), Vec<Refusal>> {
    let mut refusals: Vec<Refusal> = Vec::new();
    let mut findings = Vec::new();
    for (name, value) in configuration.iter().filter(|(name, _)| name.starts_with(PREFIX)) {
        match judge(name, value) {
            Ok(found) => findings.extend(found),
            Err(refusal) => refusals.push(refusal),
        }
    }
    // Judged above are values of the operator's own keys; these are the defaults of resources.
    if let Err(errors) = Options::from_configuration(configuration) {
        let known = |error: &OptionError| {
            refusals.iter().any(|refusal| matches!(refusal, Refusal::Value(known) if known.key == error.key))
        };
        let new: Vec<OptionError> = errors.into_iter().filter(|error| !known(error)).collect();
        refusals.extend(new.into_iter().map(Refusal::Value));
    }
    let mut reader = Reader { configuration, errors: Vec::new() };
    let read = OperatorConfiguration::read(&mut reader);
    refusals.extend(read.leader_election.iter().flat_map(LeaderElection::contradictions));
    if refusals.is_empty() { Ok((read, findings)) } else { Err(refusals) }
}

/// What is to be said about one key of the operator.
fn judge(name: &str, value: &str) -> Result<Vec<Finding>, Refusal> {
    let Some(key) = find(name) else {
        let known = keys::ALL.iter().flat_map(|key| key.names).copied();
        return Ok(vec![Finding::Unknown { key: name.to_owned(), nearest: nearest(name, known) }]);
    };
    key.check(value).map_err(|expected| OptionError {
        key: name.to_owned(),
        value: value.to_owned(),
        expected,
    })?;
    let deprecated = key.names[1..].contains(&name);
    let deprecated = deprecated.then(|| Finding::Deprecated { key: name.to_owned(), present: key.name() });
    let unchanged = key.default.is_some_and(|default| default.trim() == value.trim());
    match key.treatment {
        Treatment::Works(_) => Ok(deprecated.into_iter().collect()),
        Treatment::Ignored(_) if unchanged => Ok(deprecated.into_iter().collect()),
        Treatment::Ignored(reason) => {
            let ignored = Finding::Ignored { key: name.to_owned(), reason };
            Ok(deprecated.into_iter().chain([ignored]).collect())
        }
        Treatment::Refused(reason) => Err(Refusal::Key { key: name.to_owned(), reason }),
    }
}

impl OperatorConfiguration {
    fn read(reader: &mut Reader<'_>) -> Self {
        let mut flags = [
            (&keys::DYNAMIC_NAMESPACES, false),
            (&keys::RESOURCE_METRICS, true),
            (&keys::LIFECYCLE_METRICS, true),
        ];
        for (key, flag) in &mut flags {
            reader.boolean(key.names, flag);
        }
        let [(_, dynamic_namespaces), (_, resource_metrics), (_, lifecycle_metrics)] = flags;
        Self {
            defaults: Defaults::new(reader.configuration.clone()),
            namespaces: WatchedNamespaces::parse(reader.text(keys::WATCHED_NAMESPACES.names).as_deref()),
            dynamic_namespaces,
            dynamic: DynamicConfiguration::read(reader),
            label_selector: reader.text(keys::LABEL_SELECTOR.names),
            leader_election: LeaderElection::read(reader),
            reconcile_interval_ms: reader.optional_duration(keys::RECONCILE_INTERVAL.names),
            progress_check_interval_ms: reader.optional_duration(keys::PROGRESS_CHECK_INTERVAL.names),
            reconcile_parallelism: reader.integer(keys::RECONCILE_PARALLELISM.names),
            retry_initial_interval_ms: reader.optional_duration(keys::RETRY_INITIAL_INTERVAL.names),
            retry_max_interval_ms: reader.optional_duration(keys::RETRY_MAX_INTERVAL.names),
            flink_client_timeout_ms: reader.optional_duration(keys::FLINK_CLIENT_TIMEOUT.names),
            termination_timeout_ms: reader.optional_duration(keys::TERMINATION_TIMEOUT.names),
            health_probe_port: health_probe_port(reader),
            metrics_port: read_port(reader, &keys::METRICS_PORT, 9999),
            resource_metrics,
            lifecycle_metrics,
        }
    }

    /// The names of those keys whose change between `self` and `new` takes effect only at the next start.
    #[must_use]
    pub fn needs_restart(&self, new: &Self) -> Vec<&'static str> {
        let at_start = keys::ALL
            .iter()
            .filter(|key| key.scope == Scope::Start && matches!(key.treatment, Treatment::Works(_)));
        let value = |of: &Self, names: &[&str]| {
            first_of(of.defaults.base(), names).map(|(_, value)| value.to_owned())
        };
        at_start.filter(|key| value(self, key.names) != value(new, key.names)).map(|key| key.name()).collect()
    }
}

fn health_probe_port(reader: &mut Reader<'_>) -> Option<u16> {
    let mut enabled = true;
    reader.boolean(keys::HEALTH_PROBE.names, &mut enabled);
    enabled.then(|| read_port(reader, &keys::HEALTH_PROBE_PORT, 8085))
}

fn read_port(reader: &mut Reader<'_>, key: &super::Key, default: u16) -> u16 {
    reader.parsed(key.names, |text| port(text).ok_or("a port")).unwrap_or(default)
}

impl WatchedNamespaces {
    /// Reads a list separated by commas, as `watched.namespaces` and the environment variable `WATCH_NAMESPACES` have
    /// it. Nothing means all.
    #[must_use]
    pub fn parse(text: Option<&str>) -> Self {
        let names = text.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty());
        let mut list: Vec<String> = names.map(str::to_owned).collect();
        list.sort();
        list.dedup();
        if list.is_empty() || list.iter().any(|name| name == ALL_NAMESPACES) {
            return Self::All;
        }
        if list == [OWN_NAMESPACE] { Self::Own } else { Self::List(list) }
    }
}

impl DynamicConfiguration {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let (mut enabled, mut check_interval_ms) = (true, 5 * 60_000);
        reader.boolean(keys::DYNAMIC_CONFIG.names, &mut enabled);
        reader.duration(keys::DYNAMIC_CONFIG_INTERVAL.names, &mut check_interval_ms);
        enabled.then_some(Self { check_interval_ms })
    }
}

impl LeaderElection {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut enabled = false;
        reader.boolean(keys::LEADER_ELECTION.names, &mut enabled);
        let mut election = Self {
            lease_name: reader.text(keys::LEADER_ELECTION_NAME.names).unwrap_or_default(),
            lease_duration_ms: 15_000,
            renew_deadline_ms: 10_000,
            retry_period_ms: 2_000,
        };
        reader.duration(keys::LEADER_ELECTION_DURATION.names, &mut election.lease_duration_ms);
        reader.duration(keys::LEADER_ELECTION_DEADLINE.names, &mut election.renew_deadline_ms);
        reader.duration(keys::LEADER_ELECTION_RETRY.names, &mut election.retry_period_ms);
        enabled.then_some(election)
    }

    fn contradictions(&self) -> Vec<Refusal> {
        let name = |key: &super::Key| key.name();
        let mut found = Vec::new();
        if self.lease_name.is_empty() {
            found.push(format!(
                "`{}` is true, but `{}` is not set",
                name(&keys::LEADER_ELECTION),
                name(&keys::LEADER_ELECTION_NAME)
            ));
        }
        if self.lease_duration_ms < 1_000 {
            found.push(format!("`{}` is less than 1 s", name(&keys::LEADER_ELECTION_DURATION)));
        }
        let ordered = [
            (
                self.lease_duration_ms,
                &keys::LEADER_ELECTION_DURATION,
                self.renew_deadline_ms,
                &keys::LEADER_ELECTION_DEADLINE,
            ),
            (
                self.renew_deadline_ms,
                &keys::LEADER_ELECTION_DEADLINE,
                self.retry_period_ms,
                &keys::LEADER_ELECTION_RETRY,
            ),
        ];
        for (longer_ms, longer, shorter_ms, shorter) in ordered {
            if shorter_ms >= longer_ms || shorter_ms == 0 {
                found.push(format!(
                    "`{}` ({shorter_ms} ms) has to be positive and less than `{}` ({longer_ms} ms)",
                    name(shorter),
                    name(longer)
                ));
            }
        }
        found.into_iter().map(Refusal::Together).collect()
    }
}
