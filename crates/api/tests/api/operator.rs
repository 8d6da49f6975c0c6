//! The operator's configuration: every key of the Java operator is in the table, does what the table says, and nothing
//! is ignored without a word.

use std::collections::{BTreeMap, BTreeSet};

use drey_api::operator::{
    self, Finding, LeaderElection, OperatorConfiguration, Refusal, Scope, Treatment, WatchedNamespaces, find,
    keys,
};
use drey_api::options::Options;

/// Every key of the Java operator's documentation, without the common beginning.
const UPSTREAM: &str = "dynamic.namespaces.enabled exception.field.max.length exception.stacktrace.enabled \
    exception.stacktrace.max.length exception.throwable.list.max.count flink.client.cancel.timeout \
    flink.client.timeout job.submission.timeout leader-election.enabled leader-election.lease-duration \
    leader-election.lease-name leader-election.renew-deadline leader-election.retry-period rate-limiter.limit \
    rate-limiter.refresh-period reconcile.interval reconcile.parallelism resource.cleanup.timeout \
    retry.initial.interval retry.interval.multiplier retry.max.attempts retry.max.interval \
    user.artifacts.allowed-schemes user.artifacts.base.dir user.artifacts.disallow-restricted-hosts \
    watched.namespaces cluster.resource-view.refresh-interval config.cache.size config.cache.timeout \
    dynamic.config.enabled dynamic.config.check.interval events.exceptions.limit-per-reconciliation \
    events.exceptions.stacktrace-lines health.canary.resource.timeout health.probe.enabled health.probe.port \
    ingress.manage label.selector observer.progress-check.interval observer.rest-ready.delay \
    resource.deletion.propagation savepoint.history.max.age.threshold savepoint.history.max.count.threshold \
    startup.stop-on-informer-error termination.timeout checkpoint.trigger.grace-period checkpoint.type \
    cluster.health-check.enabled cluster.health-check.restarts.threshold cluster.health-check.restarts.window \
    cluster.health-check.checkpoint-progress.enabled cluster.health-check.checkpoint-progress.window \
    deployment.readiness.timeout deployment.rollback.enabled exception.label.mapper \
    jm-deployment-recovery.enabled jm-deployment.shutdown-ttl jm-deployment.startup.probe.enabled \
    job.drain-on-savepoint-deletion job.restart.failed job.savepoint-on-deletion \
    job.upgrade.ignore-pending-savepoint job.upgrade.inplace-scaling.enabled \
    job.upgrade.last-state-fallback.enabled job.upgrade.last-state.job-cancel.enabled \
    job.upgrade.last-state.max.allowed.checkpoint.age periodic.checkpoint.interval periodic.savepoint.interval \
    plugins.listeners.mine.class pod-template.merge-arrays-by-name savepoint.cleanup.enabled \
    savepoint.dispose-on-delete savepoint.format.type savepoint.history.max.age savepoint.history.max.count \
    savepoint.trigger.grace-period session.deletion.block-on-session-jobs session.deletion.block-on-unmanaged-jobs \
    snapshot.resource.enabled user.artifacts.http.header josdk.metrics.enabled jvm.metrics.enabled \
    kubernetes.client.metrics.enabled kubernetes.client.metrics.http.response.code.groups.enabled \
    kubernetes.client.metrics.slow.request.threshold metrics.histogram.sample.size \
    metrics.scope.k8soperator.system metrics.scope.k8soperator.resourcens metrics.scope.k8soperator.resource \
    resource.lifecycle.metrics.enabled resource.lifecycle.namespace.histograms.enabled resource.metrics.enabled \
    metrics.reporter.slf4j.interval default-configuration.namespace.a.parallelism.default \
    default-configuration.flink-version.v1_20+.parallelism.default job.autoscaler.enabled \
    reconciler.reschedule.interval reconciler.max.parallelism observer.savepoint.trigger.grace-period \
    observer.flink.client.timeout reconciler.flink.cancel.job.timeout reconciler.flink.cluster.shutdown.timeout \
    reconciler.jm-deployment-recovery.enabled session.block-on-unmanaged-jobs";

/// A value that is not the default, for every key that works.
const OTHER_VALUES: &[(&str, &str)] = &[
    ("watched.namespaces", "a,b"),
    ("dynamic.namespaces.enabled", "true"),
    ("dynamic.config.enabled", "false"),
    ("dynamic.config.check.interval", "10 s"),
    ("label.selector", "team=a"),
    ("leader-election.enabled", "true"),
    ("leader-election.lease-name", "other"),
    ("leader-election.lease-duration", "30 s"),
    ("leader-election.renew-deadline", "8 s"),
    ("leader-election.retry-period", "1 s"),
    ("reconcile.interval", "15 s"),
    ("observer.progress-check.interval", "5 s"),
    ("reconcile.parallelism", "7"),
    ("retry.initial.interval", "1 s"),
    ("retry.max.interval", "1 min"),
    ("flink.client.timeout", "3 s"),
    ("termination.timeout", "20 s"),
    ("health.probe.enabled", "false"),
    ("health.probe.port", "8086"),
    ("resource.metrics.enabled", "false"),
    ("resource.lifecycle.metrics.enabled", "false"),
    ("metrics.reporter.prom.port", "9250-9260"),
    ("deployment.rollback.enabled", "true"),
    ("deployment.readiness.timeout", "40s"),
    ("job.restart.failed", "true"),
    ("job.upgrade.last-state-fallback.enabled", "false"),
    ("job.upgrade.last-state.job-cancel.enabled", "true"),
    ("job.upgrade.last-state.max.allowed.checkpoint.age", "3 min"),
    ("job.savepoint-on-deletion", "true"),
    ("job.drain-on-savepoint-deletion", "true"),
    ("savepoint.format.type", "native"),
    ("checkpoint.type", "INCREMENTAL"),
    ("periodic.savepoint.interval", "1h"),
    ("periodic.checkpoint.interval", "0 0 * * * ?"),
    ("savepoint.history.max.count", "5"),
    ("savepoint.history.max.age", "2 h"),
    ("savepoint.history.max.count.threshold", "4"),
    ("savepoint.history.max.age.threshold", "1 h"),
    ("savepoint.cleanup.enabled", "false"),
    ("savepoint.trigger.grace-period", "2 s"),
    ("checkpoint.trigger.grace-period", "3 s"),
    ("jm-deployment-recovery.enabled", "false"),
    ("jm-deployment.shutdown-ttl", "4 s"),
    ("jm-deployment.startup.probe.enabled", "false"),
    ("cluster.health-check.enabled", "true"),
    ("cluster.health-check.restarts.threshold", "7"),
    ("cluster.health-check.restarts.window", "8 s"),
    ("cluster.health-check.checkpoint-progress.enabled", "false"),
    ("cluster.health-check.checkpoint-progress.window", "9 s"),
    ("pod-template.merge-arrays-by-name", "true"),
    ("ingress.manage", "false"),
    ("ingress.http-route.gateway", "infra/web"),
];

fn full(name: &str) -> String {
    format!("kubernetes.operator.{name}")
}

fn flat(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries.iter().map(|(name, value)| (full(name), (*value).to_owned())).collect()
}

/// A configuration in which no key hides another.
fn base() -> BTreeMap<String, String> {
    flat(&[
        ("leader-election.enabled", "true"),
        ("leader-election.lease-name", "drey"),
        ("cluster.health-check.enabled", "true"),
    ])
}

fn read(entries: &[(&str, &str)]) -> (OperatorConfiguration, Vec<Finding>) {
    operator::read(&flat(entries)).unwrap()
}

fn refused(entries: &[(&str, &str)]) -> Vec<String> {
    operator::read(&flat(entries)).unwrap_err().iter().map(ToString::to_string).collect()
}

/// What a configuration comes to, for the operator and for its resources, without the text of the configuration.
fn outcome(configuration: &BTreeMap<String, String>) -> String {
    let (mut read, _) = operator::read(configuration).unwrap();
    read.defaults = drey_api::defaults::Defaults::default();
    format!("{read:?} {:?}", Options::from_configuration(configuration).unwrap())
}

#[test]
fn every_key_of_the_java_operator_is_known() {
    for name in UPSTREAM.split_whitespace() {
        assert!(find(&full(name)).is_some(), "{name}");
    }
    let names: Vec<&str> = keys::ALL.iter().flat_map(|key| key.names).copied().collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "a name stands twice");
}

#[test]
fn every_key_that_works_changes_what_is_done() {
    for key in keys::ALL.iter().filter(|key| matches!(key.treatment, Treatment::Works(_))) {
        if key.name().ends_with('*') {
            continue; // What a cluster starts from: tests/api/configuration.rs.
        }
        let sample = OTHER_VALUES.iter().find(|(name, _)| full(name) == key.name());
        let (_, value) = sample.unwrap_or_else(|| panic!("no other value for {}", key.name()));
        for name in key.names {
            let mut without = base();
            without.remove(key.name());
            if key.name() == keys::LEADER_ELECTION_NAME.name() {
                without.extend(flat(&[("leader-election.lease-name", "drey")]));
            }
            let mut with = without.clone();
            with.insert((*name).to_owned(), (*value).to_owned());
            if key.name() == keys::LEADER_ELECTION.name() {
                without.remove(*name);
            }
            assert_ne!(outcome(&without), outcome(&with), "`{name}: {value}` changes nothing");
        }
    }
    for (name, _) in OTHER_VALUES {
        let key = find(&full(name)).unwrap();
        assert!(matches!(key.treatment, Treatment::Works(_)), "{name} does not work and is tested");
    }
}

#[test]
fn a_key_without_effect_changes_nothing_and_is_told() {
    for key in keys::ALL {
        let Treatment::Ignored(reason) = key.treatment else { continue };
        // What resources are told of their own keys is the business of their options.
        let name = key.name().replace('*', "x.y");
        let value = match key.value {
            operator::ValueType::Boolean => {
                if key.default == Some("true") {
                    "false"
                } else {
                    "true"
                }
            }
            operator::ValueType::Integer => "3",
            operator::ValueType::Number => "2.5",
            operator::ValueType::Duration | operator::ValueType::SignedDuration => "3 s",
            _ => "other",
        };
        let mut configuration = base();
        configuration.insert(name.clone(), value.to_owned());
        let (_, findings) = operator::read(&configuration).unwrap();
        assert_eq!(findings, [Finding::Ignored { key: name, reason }]);
    }
}

#[test]
fn the_defaults_of_the_table_are_those_of_the_code() {
    let resources = keys::ALL.iter().filter(|key| key.scope == Scope::Resource && !key.name().ends_with('*'));
    let given: BTreeMap<String, String> = resources
        .filter_map(|key| key.default.map(|default| (key.name().to_owned(), default.to_owned())))
        .collect();
    assert_eq!(Options::from_configuration(&given), Ok(Options::default()));
    let own: BTreeMap<String, String> = keys::ALL
        .iter()
        .filter(|key| key.scope != Scope::Resource && !key.name().ends_with('*'))
        .filter_map(|key| key.default.map(|default| (key.name().to_owned(), default.to_owned())))
        .collect();
    let (read, findings) = operator::read(&own).unwrap();
    assert_eq!(findings, [], "a default is worth no warning");
    let (nothing, _) = operator::read(&BTreeMap::new()).unwrap();
    assert_eq!(
        (read.namespaces, read.dynamic, read.health_probe_port, read.metrics_port),
        (nothing.namespaces, nothing.dynamic, nothing.health_probe_port, nothing.metrics_port)
    );
    assert_eq!((nothing.health_probe_port, nothing.metrics_port), (Some(8085), 9999));
    assert_eq!(nothing.leader_election, None);
}

#[test]
fn unknown_keys_are_told_with_the_nearest_known_one() {
    let (_, findings) = read(&[("reconcile.intervall", "1 s"), ("something.else.entirely", "x")]);
    let words: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        words,
        [
            "`kubernetes.operator.reconcile.intervall` is not known (did you mean \
             `kubernetes.operator.reconcile.interval`?)",
            "`kubernetes.operator.something.else.entirely` is not known",
        ]
    );
}

#[test]
fn deprecated_names_work_and_are_told() {
    let (configuration, findings) = read(&[("reconciler.reschedule.interval", "7 s")]);
    assert_eq!(configuration.reconcile_interval_ms, Some(7_000));
    assert_eq!(
        findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["`kubernetes.operator.reconciler.reschedule.interval` is deprecated; write \
          `kubernetes.operator.reconcile.interval`"]
    );
}

#[test]
fn what_cannot_be_honoured_is_refused_by_name() {
    assert_eq!(
        refused(&[
            ("plugins.listeners.mine.class", "com.example.Mine"),
            ("reconcile.interval", "often"),
            ("savepoint.history.max.count", "many"),
            ("rate-limiter.limit", "x"),
        ]),
        [
            "`kubernetes.operator.plugins.listeners.mine.class` is refused: listeners are Java classes, which \
             cannot be loaded; follow the Kubernetes events instead; remove the key",
            "`kubernetes.operator.rate-limiter.limit` is `x`, expected a whole number",
            "`kubernetes.operator.reconcile.interval` is `often`, expected a duration such as `10 s`, `5 min`, \
             `1 h`, `500 ms` or `PT10S`",
            "`kubernetes.operator.savepoint.history.max.count` is `many`, expected a whole number",
        ]
    );
}

#[test]
fn an_election_has_a_name_and_times_in_order() {
    let named = [("leader-election.enabled", "true"), ("leader-election.lease-name", "drey")];
    let expected = LeaderElection {
        lease_name: "drey".to_owned(),
        lease_duration_ms: 15_000,
        renew_deadline_ms: 10_000,
        retry_period_ms: 2_000,
    };
    assert_eq!(read(&named).0.leader_election, Some(expected));
    assert_eq!(
        refused(&[("leader-election.enabled", "true")]),
        ["`kubernetes.operator.leader-election.enabled` is true, but \
          `kubernetes.operator.leader-election.lease-name` is not set"]
    );
    let late = [named[0], named[1], ("leader-election.renew-deadline", "20 s")];
    assert_eq!(
        refused(&late),
        ["`kubernetes.operator.leader-election.renew-deadline` (20000 ms) has to be positive and less than \
          `kubernetes.operator.leader-election.lease-duration` (15000 ms)"]
    );
    assert!(matches!(
        operator::read(&flat(&[named[0], named[1], ("leader-election.retry-period", "10 s")])).unwrap_err()[..],
        [Refusal::Together(_)]
    ));
}

#[test]
fn namespaces() {
    let parse = |text: &str| WatchedNamespaces::parse(Some(text));
    assert_eq!(WatchedNamespaces::parse(None), WatchedNamespaces::All);
    assert_eq!(parse(""), WatchedNamespaces::All);
    assert_eq!(parse("JOSDK_ALL_NAMESPACES"), WatchedNamespaces::All);
    assert_eq!(parse("JOSDK_WATCH_CURRENT"), WatchedNamespaces::Own);
    assert_eq!(parse(" b, a ,b,"), WatchedNamespaces::List(vec!["a".to_owned(), "b".to_owned()]));
}

#[test]
fn changes_that_need_a_restart_are_named() {
    let old = read(&[("reconcile.parallelism", "5"), ("reconcile.interval", "1 s")]).0;
    let new = read(&[("reconcile.parallelism", "6"), ("reconcile.interval", "2 s")]).0;
    assert_eq!(old.needs_restart(&new), ["kubernetes.operator.reconcile.parallelism"]);
    assert!(old.needs_restart(&old).is_empty());
}
