//! From the operator's configuration to what the engine works with, and its change at run time. Refuses to know files.

use std::time::Duration;

use drey_api::defaults::Defaults;
use drey_api::operator::{OperatorConfiguration, WatchedNamespaces};
use drey_core::Policy;

use crate::engine::Namespaces;
use crate::lease::LeaseConfig;
use crate::limits::Limits;

/// More resources than this are not stepped at the same time, whatever the configuration says.
const STEPS_MAX: usize = 1_024;

/// What may change while the engine runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What holds for every decision. Its epoch is that of the leadership.
    pub policy: Policy,
    /// The operator's configuration, as far as it enters those of clusters.
    pub defaults: Defaults,
}

/// The settings, with the same policy in no hurry at rest.
pub(crate) struct Current {
    pub(crate) policy: Policy,
    pub(crate) patient: Policy,
    pub(crate) defaults: Defaults,
}

impl Current {
    pub(crate) fn new(settings: Settings, epoch: i64, limits: &Limits) -> Current {
        let Settings { policy, defaults } = settings;
        let policy = Policy { epoch, ..policy };
        let heartbeat_ms = i64::try_from(limits.rest_heartbeat.as_millis()).unwrap_or(i64::MAX);
        let patient = Policy { rest_interval_ms: policy.rest_interval_ms.max(heartbeat_ms), ..policy };
        Current { policy, patient, defaults }
    }
}

impl Settings {
    /// The settings of a configuration.
    #[must_use]
    pub fn of(configuration: &OperatorConfiguration) -> Settings {
        let mut policy = Policy::default();
        let at_least_one = |ms: i64| ms.max(1);
        if let Some(ms) = configuration.reconcile_interval_ms {
            policy.rest_interval_ms = at_least_one(ms);
        }
        if let Some(ms) = configuration.progress_check_interval_ms {
            policy.progress_interval_ms = at_least_one(ms);
        }
        Settings { policy, defaults: configuration.defaults.clone() }
    }
}

impl Namespaces {
    /// The namespaces of a configuration; `own` is that of the operator.
    #[must_use]
    pub fn of(watched: &WatchedNamespaces, own: &str) -> Namespaces {
        match watched {
            WatchedNamespaces::All => Namespaces::All,
            WatchedNamespaces::Own => Namespaces::List(vec![own.to_owned()]),
            WatchedNamespaces::List(list) => Namespaces::List(list.clone()),
        }
    }
}

impl Limits {
    /// The bounds of a configuration.
    #[must_use]
    pub fn of(configuration: &OperatorConfiguration) -> Limits {
        let mut limits = Limits::default();
        let duration = |ms: i64| Duration::from_millis(u64::try_from(ms).unwrap_or(0).max(1));
        if let Some(steps) = configuration.reconcile_parallelism {
            limits.steps_max = usize::try_from(steps).unwrap_or(STEPS_MAX).clamp(1, STEPS_MAX);
        }
        if let Some(ms) = configuration.retry_initial_interval_ms {
            limits.retry_delay = duration(ms);
        }
        if let Some(ms) = configuration.retry_max_interval_ms {
            limits.retry_delay_max = duration(ms);
        }
        limits.retry_delay = limits.retry_delay.min(limits.retry_delay_max);
        if let Some(ms) = configuration.flink_client_timeout_ms {
            limits.poll.call_timeout = duration(ms);
        }
        if let Some(ms) = configuration.termination_timeout_ms {
            limits.shutdown_grace = duration(ms);
        }
        limits
    }
}

impl LeaseConfig {
    /// The election of a configuration, if it has one. `namespace` is that of the operator; `identity` has to be one
    /// of this process alone.
    #[must_use]
    pub fn of(configuration: &OperatorConfiguration, namespace: &str, identity: &str) -> Option<LeaseConfig> {
        let election = configuration.leader_election.as_ref()?;
        let duration = |ms: i64| Duration::from_millis(u64::try_from(ms).unwrap_or(0));
        Some(LeaseConfig {
            namespace: namespace.to_owned(),
            name: election.lease_name.clone(),
            identity: identity.to_owned(),
            lease_duration: duration(election.lease_duration_ms),
            renew_deadline: duration(election.renew_deadline_ms),
            retry_period: duration(election.retry_period_ms),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn configuration(entries: &[(&str, &str)]) -> OperatorConfiguration {
        let flat: BTreeMap<String, String> = entries
            .iter()
            .map(|(name, value)| (format!("kubernetes.operator.{name}"), (*value).to_owned()))
            .collect();
        drey_api::operator::read(&flat).unwrap().0
    }

    #[test]
    fn nothing_given_means_the_defaults_of_the_engine() {
        let nothing = configuration(&[]);
        assert_eq!(Settings::of(&nothing).policy, Policy::default());
        assert_eq!(format!("{:?}", Limits::of(&nothing)), format!("{:?}", Limits::default()));
        assert_eq!(LeaseConfig::of(&nothing, "n", "i"), None);
    }

    #[test]
    fn every_key_of_the_engine_arrives() {
        let given = configuration(&[
            ("reconcile.interval", "15 s"),
            ("observer.progress-check.interval", "5 s"),
            ("reconcile.parallelism", "-1"),
            ("retry.initial.interval", "1 s"),
            ("retry.max.interval", "1 min"),
            ("flink.client.timeout", "3 s"),
            ("termination.timeout", "20 s"),
            ("leader-election.enabled", "true"),
            ("leader-election.lease-name", "drey"),
        ]);
        let policy = Settings::of(&given).policy;
        assert_eq!((policy.rest_interval_ms, policy.progress_interval_ms), (15_000, 5_000));
        let limits = Limits::of(&given);
        assert_eq!(limits.steps_max, STEPS_MAX);
        assert_eq!(limits.retry_delay, Duration::from_secs(1));
        assert_eq!(limits.retry_delay_max, Duration::from_secs(60));
        assert_eq!(limits.poll.call_timeout, Duration::from_secs(3));
        assert_eq!(limits.shutdown_grace, Duration::from_secs(20));
        let lease = LeaseConfig::of(&given, "n", "i").unwrap();
        assert_eq!(
            (lease.name.as_str(), lease.namespace.as_str(), lease.identity.as_str()),
            ("drey", "n", "i")
        );
        assert_eq!(lease.renew_deadline, Duration::from_secs(10));
    }
}
