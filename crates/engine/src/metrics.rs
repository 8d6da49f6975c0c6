//! What the engine counts. No metric has a label per resource: how many there are must not decide how much is
//! exposed. Serving them over HTTP is not done here.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// The engine's metrics. Clones count into the same numbers.
#[derive(Clone, Debug)]
pub struct Metrics {
    steps: Family<ResultLabel, Counter>,
    step_seconds: Histogram,
    status_writes: Family<ResultLabel, Counter>,
    actions: Family<ActionLabels, Counter>,
    polls: Family<ResultLabel, Counter>,
    watch: Family<ResultLabel, Counter>,
    events: Family<ResultLabel, Counter>,
    panics: Counter,
    broken_invariants: Counter,
    resources: Gauge,
    frozen: Gauge,
    polled: Gauge,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ActionLabels {
    kind: &'static str,
    result: &'static str,
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics {
            steps: Family::default(),
            // A step at rest takes well below a millisecond; one that reads live takes some requests.
            step_seconds: Histogram::new([0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0]),
            status_writes: Family::default(),
            actions: Family::default(),
            polls: Family::default(),
            watch: Family::default(),
            events: Family::default(),
            panics: Counter::default(),
            broken_invariants: Counter::default(),
            resources: Gauge::default(),
            frozen: Gauge::default(),
            polled: Gauge::default(),
        }
    }
}

impl Metrics {
    /// Makes the metrics known to `registry`, with the prefix `drey_engine_`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix(PREFIX);
        let Metrics {
            steps,
            step_seconds,
            status_writes,
            actions,
            polls,
            watch,
            events,
            panics,
            broken_invariants,
            resources,
            frozen,
            polled,
        } = self;
        registry.register("steps", help("steps"), steps.clone());
        registry.register("step_seconds", help("step_seconds"), step_seconds.clone());
        registry.register("status_writes", help("status_writes"), status_writes.clone());
        registry.register("actions", help("actions"), actions.clone());
        registry.register("polls", help("polls"), polls.clone());
        registry.register("watch", help("watch"), watch.clone());
        registry.register("events", help("events"), events.clone());
        registry.register("panics", help("panics"), panics.clone());
        registry.register("broken_invariants", help("broken_invariants"), broken_invariants.clone());
        registry.register("resources", help("resources"), resources.clone());
        registry.register("frozen_resources", help("frozen_resources"), frozen.clone());
        registry.register("polled_jobmanagers", help("polled_jobmanagers"), polled.clone());
    }

    /// How many writes of a status the API server has acknowledged.
    #[must_use]
    pub fn status_writes_acknowledged(&self) -> u64 {
        self.status_writes.get_or_create(&ResultLabel { result: ACKNOWLEDGED }).get()
    }

    /// How many actions were begun, whatever their result.
    #[must_use]
    pub fn actions_begun(&self) -> u64 {
        ACTION_KINDS.iter().map(|kind| self.action_count(kind, BEGUN)).sum()
    }

    /// How many steps were taken, whatever came of them.
    #[must_use]
    pub fn steps_taken(&self) -> u64 {
        STEP_RESULTS.iter().map(|result| self.steps.get_or_create(&ResultLabel { result }).get()).sum()
    }

    /// How many panics were contained.
    #[must_use]
    pub fn panics_contained(&self) -> u64 {
        self.panics.get()
    }

    fn action_count(&self, kind: &'static str, result: &'static str) -> u64 {
        self.actions.get_or_create(&ActionLabels { kind, result }).get()
    }

    pub(crate) fn stepped(&self, result: &'static str, seconds: f64) {
        self.steps.get_or_create(&ResultLabel { result }).inc();
        self.step_seconds.observe(seconds);
    }

    pub(crate) fn status_written(&self, result: &'static str) {
        self.status_writes.get_or_create(&ResultLabel { result }).inc();
    }

    pub(crate) fn acted(&self, kind: &'static str, result: &'static str) {
        self.actions.get_or_create(&ActionLabels { kind, result }).inc();
    }

    pub(crate) fn polled(&self, result: &'static str) {
        self.polls.get_or_create(&ResultLabel { result }).inc();
    }

    pub(crate) fn watched(&self, result: &'static str) {
        self.watch.get_or_create(&ResultLabel { result }).inc();
    }

    pub(crate) fn event(&self, result: &'static str) {
        self.events.get_or_create(&ResultLabel { result }).inc();
    }

    pub(crate) fn panicked(&self) {
        self.panics.inc();
    }

    pub(crate) fn invariant_broken(&self) {
        self.broken_invariants.inc();
    }

    pub(crate) fn set_resources(&self, known: usize, frozen: usize) {
        self.resources.set(i64::try_from(known).unwrap_or(i64::MAX));
        self.frozen.set(i64::try_from(frozen).unwrap_or(i64::MAX));
    }

    pub(crate) fn set_polled(&self, lanes: usize) {
        self.polled.set(i64::try_from(lanes).unwrap_or(i64::MAX));
    }
}

/// What the names of the engine's metrics begin with.
const PREFIX: &str = "drey_engine";

/// One metric, for the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its name without what all begin with, and without `_total`.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

/// Every metric of the engine.
pub const TABLE: &[Described] = &[
    described("steps", "counter", &["result"], "Steps of FlinkDeployments, by result"),
    described("step_seconds", "histogram", &[], "Time that a step took, actions not included"),
    described("status_writes", "counter", &["result"], "Writes of a status, by result"),
    described("actions", "counter", &["kind", "result"], "Actions, by kind and result"),
    described("polls", "counter", &["result"], "Polls of JobManagers, by result"),
    described("watch", "counter", &["result"], "Lists and watches of FlinkDeployments, by result"),
    described("events", "counter", &["result"], "Kubernetes events, by result"),
    described("panics", "counter", &[], "Panics that were contained to one resource"),
    described(
        "broken_invariants",
        "counter",
        &[],
        "Decisions that were not carried out because they broke an invariant",
    ),
    described("resources", "gauge", &[], "FlinkDeployments known"),
    described("frozen_resources", "gauge", &[], "FlinkDeployments that are left alone"),
    described("polled_jobmanagers", "gauge", &[], "JobManagers that are polled"),
];

const fn described(
    name: &'static str,
    kind: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Described {
    Described { name, kind, labels, help }
}

fn help(name: &str) -> &'static str {
    TABLE.iter().find(|described| described.name == name).map_or("", |described| described.help)
}

impl Described {
    /// The name as Prometheus shows it.
    #[must_use]
    pub fn full_name(&self) -> String {
        let total = if self.kind == "counter" { "_total" } else { "" };
        format!("{PREFIX}_{}{total}", self.name)
    }
}

/// Every value of the label `result` of steps.
pub(crate) const STEP_RESULTS: &[&str] =
    &["done", "busy", "retry", "conflict", "gone", "not_leading", "frozen"];
/// Result of a status write that the API server acknowledged.
pub(crate) const ACKNOWLEDGED: &str = "acknowledged";
/// Counted when an action begins; its result is counted when it ends.
pub(crate) const BEGUN: &str = "begun";
/// Every value of the label `kind` of actions.
pub(crate) const ACTION_KINDS: &[&str] = &[
    "add_finalizer",
    "remove_finalizer",
    "deploy",
    "complete",
    "delete_high_availability",
    "strip_job_graphs",
    "stop",
    "cancel",
    "savepoint",
    "checkpoint",
    "dispose",
    "delete_cluster",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_what_is_exposed() {
        let metrics = Metrics::default();
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        metrics.stepped("done", 0.1);
        metrics.status_written(ACKNOWLEDGED);
        metrics.acted("deploy", BEGUN);
        metrics.polled("answered");
        metrics.watched("listed");
        metrics.event("sent");
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let exposed: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        let expected: Vec<String> =
            TABLE.iter().map(|one| format!("{PREFIX}_{} {}", one.name, one.kind)).collect();
        assert_eq!(exposed, expected);
        for one in TABLE {
            assert!(
                text.contains(&format!("# HELP {PREFIX}_{} {}.", one.name, one.help)),
                "{one:?} in {text}"
            );
            for label in one.labels {
                assert!(
                    text.contains(&format!("{}{{", one.full_name())) && text.contains(&format!("{label}=\""))
                );
            }
        }
    }

    #[test]
    fn what_is_counted_is_exposed() {
        let metrics = Metrics::default();
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        metrics.status_written(ACKNOWLEDGED);
        metrics.acted("deploy", BEGUN);
        metrics.set_resources(3, 1);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "drey_engine_status_writes_total{result=\"acknowledged\"} 1",
            "drey_engine_actions_total{kind=\"deploy\",result=\"begun\"} 1",
            "drey_engine_resources 3",
            "drey_engine_frozen_resources 1",
        ] {
            assert!(text.contains(line), "{line} is not in:\n{text}");
        }
        assert_eq!(metrics.status_writes_acknowledged(), 1);
        assert_eq!(metrics.actions_begun(), 1);
    }
}
