//! Counts of resources under the names that Flink's Prometheus reporter gives to those of the Java operator, so that
//! its dashboards and alerts go on. Made at each scrape from what the engine knows.
//!
//! The scope `<host>.k8soperator.<namespace>.<name>.namespace.<resourcens>.<resourcetype>` becomes the beginning
//! `flink_k8soperator_namespace` and the labels `host`, `namespace`, `name`, `resourcens` and `resourcetype`.

use std::collections::BTreeMap;
use std::sync::Arc;

use drey_api::kinds::{JobManagerDeploymentStatus, LifecycleState};
use drey_engine::{Census, EngineView};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

const PREFIX: &str = "flink_k8soperator_namespace";
const KIND: &str = "FlinkDeployment";

/// Which operator it is: labels of every count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Name of the host or pod.
    pub host: String,
    /// Namespace of the operator.
    pub namespace: String,
    /// Name of the operator.
    pub name: String,
}

/// Which of the counts are exposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// `kubernetes.operator.resource.metrics.enabled`.
    pub resources: bool,
    /// `kubernetes.operator.resource.lifecycle.metrics.enabled`.
    pub lifecycle: bool,
}

/// One metric, for the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Described {
    /// The name; `<STATE>` and such stand for one metric each.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
}

/// Every metric, all of them gauges.
pub const TABLE: &[Described] = &[
    Described { name: "flink_k8soperator_namespace_Count", help: "FlinkDeployments" },
    Described {
        name: "flink_k8soperator_namespace_JmDeploymentStatus_<STATUS>_Count",
        help: "FlinkDeployments by `status.jobManagerDeploymentStatus`",
    },
    Described {
        name: "flink_k8soperator_namespace_FlinkVersion_Count",
        help: "FlinkDeployments by the version that their JobManager tells, label `FlinkVersion`",
    },
    Described {
        name: "flink_k8soperator_namespace_FlinkMinorVersion_Count",
        help: "the same by minor version, label `FlinkMinorVersion`",
    },
    Described {
        name: "flink_k8soperator_namespace_ResourceUsage_Cpu",
        help: "CPUs of all JobManagers and TaskManagers",
    },
    Described {
        name: "flink_k8soperator_namespace_ResourceUsage_Memory",
        help: "memory of all JobManagers and TaskManagers, bytes",
    },
    Described {
        name: "flink_k8soperator_namespace_Lifecycle_State_<STATE>_Count",
        help: "FlinkDeployments by `status.lifecycleState`",
    },
];

type Labels = Vec<(String, String)>;
type Counts = BTreeMap<Labels, f64>;

/// The counts in the text format of Prometheus.
///
/// # Errors
/// Never in practice: a string takes everything.
pub fn encode(
    view: &EngineView,
    identity: &Identity,
    wanted: Wanted,
    text: &mut String,
) -> Result<(), std::fmt::Error> {
    let mut registry = Registry::default();
    for (name, counts) in count(view, identity, wanted) {
        let described = help(&name);
        let family = Family::<Labels, Gauge<f64, std::sync::atomic::AtomicU64>>::default();
        for (labels, value) in counts {
            family.get_or_create(&labels).set(value);
        }
        registry.register(name, described, family);
    }
    prometheus_client::encoding::text::encode_registry(text, &registry)
}

fn help(name: &str) -> &'static str {
    let fits = |pattern: &str| match (pattern.find('<'), pattern.find('>')) {
        (Some(begin), Some(end)) => {
            name.starts_with(&pattern[..begin]) && name.ends_with(&pattern[end + 1..])
        }
        _ => pattern == name,
    };
    TABLE.iter().find(|described| fits(described.name)).map_or("", |described| described.help)
}

fn count(view: &EngineView, identity: &Identity, wanted: Wanted) -> BTreeMap<String, Counts> {
    let mut all: BTreeMap<String, Counts> = BTreeMap::new();
    let mut namespaces: Vec<&Arc<str>> = view.resources.iter().map(|resource| &resource.namespace).collect();
    namespaces.dedup();
    for namespace in namespaces {
        let labels = labels(identity, namespace);
        // Each state is there from the beginning, as upstream has it: what is not there cannot be alerted on.
        if wanted.resources {
            for status in JobManagerDeploymentStatus::ALL {
                let name = format!("{PREFIX}_JmDeploymentStatus_{status}_Count");
                all.entry(name).or_default().insert(labels.clone(), 0.0);
            }
        }
        if wanted.lifecycle {
            for state in LifecycleState::ALL {
                let name = format!("{PREFIX}_Lifecycle_State_{state}_Count");
                all.entry(name).or_default().insert(labels.clone(), 0.0);
            }
        }
    }
    for resource in &view.resources {
        let labels = labels(identity, &resource.namespace);
        let mut add = |name: String, labels: &Labels, amount: f64| {
            *all.entry(name).or_default().entry(labels.clone()).or_default() += amount;
        };
        let census = resource.census.as_ref();
        if wanted.resources {
            add(format!("{PREFIX}_Count"), &labels, 1.0);
            count_one(census, &labels, &mut add);
        }
        if wanted.lifecycle {
            let state = census.map_or(LifecycleState::Created, |census| census.lifecycle);
            add(format!("{PREFIX}_Lifecycle_State_{state}_Count"), &labels, 1.0);
        }
    }
    all
}

fn count_one(census: Option<&Census>, labels: &Labels, add: &mut impl FnMut(String, &Labels, f64)) {
    let status = census.map_or(JobManagerDeploymentStatus::Missing, |census| census.job_manager);
    add(format!("{PREFIX}_JmDeploymentStatus_{status}_Count"), labels, 1.0);
    let version = census.and_then(|census| census.flink_version.as_deref()).unwrap_or("UNKNOWN");
    let minor = minor(version);
    add(format!("{PREFIX}_FlinkVersion_Count"), &with(labels, "FlinkVersion", version), 1.0);
    add(format!("{PREFIX}_FlinkMinorVersion_Count"), &with(labels, "FlinkMinorVersion", &minor), 1.0);
    add(format!("{PREFIX}_ResourceUsage_Cpu"), labels, census.map_or(0.0, |census| census.cpu));
    #[expect(clippy::cast_precision_loss, reason = "a sum of bytes is read to a few digits")]
    let memory_bytes = census.map_or(0.0, |census| census.memory_bytes as f64);
    add(format!("{PREFIX}_ResourceUsage_Memory"), labels, memory_bytes);
}

/// Upstream has a word for what is no version.
fn minor(version: &str) -> String {
    let mut parts = version.split('.');
    match (parts.next(), parts.next()) {
        (Some(major), Some(minor)) => format!("{major}.{minor}"),
        _ => "MALFORMED".to_owned(),
    }
}

fn labels(identity: &Identity, namespace: &str) -> Labels {
    let Identity { host, namespace: own, name } = identity;
    [
        ("host", host.as_str()),
        ("namespace", own),
        ("name", name),
        ("resourcens", namespace),
        ("resourcetype", KIND),
    ]
    .map(|(label, value)| (label.to_owned(), value.to_owned()))
    .into()
}

fn with(labels: &Labels, name: &str, value: &str) -> Labels {
    labels.iter().cloned().chain([(name.to_owned(), value.to_owned())]).collect()
}

#[cfg(test)]
mod tests {
    use drey_engine::ResourceView;

    use super::*;

    fn resource(namespace: &str, name: &str, census: Option<Census>) -> ResourceView {
        ResourceView {
            namespace: namespace.into(),
            name: name.into(),
            uid: name.into(),
            generation: 1,
            sentence: "".into(),
            at_rest: true,
            waiting: None,
            acting: None,
            error: None,
            frozen: None,
            next_step_in: None,
            poll_age: None,
            reachable: None,
            census,
        }
    }

    fn text(wanted: Wanted) -> String {
        let stable = Census {
            lifecycle: LifecycleState::Stable,
            job_manager: JobManagerDeploymentStatus::Ready,
            flink_version: Some("1.20.3".into()),
            cpu: 1.5,
            memory_bytes: 2_048,
        };
        let resources = vec![
            resource("a", "one", Some(stable.clone())),
            resource("a", "two", Some(stable)),
            resource("b", "three", None),
        ];
        let identity = Identity { host: "h".into(), namespace: "n".into(), name: "drey".into() };
        let mut text = String::new();
        encode(&EngineView { complete: true, resources }, &identity, wanted, &mut text).expect("text");
        text
    }

    #[test]
    fn names_and_labels_are_those_of_the_java_operator() {
        let text = text(Wanted { resources: true, lifecycle: true });
        let labels = |namespace: &str| {
            format!(
                "host=\"h\",namespace=\"n\",name=\"drey\",resourcens=\"{namespace}\",resourcetype=\"FlinkDeployment\""
            )
        };
        let (a, b) = (labels("a"), labels("b"));
        for line in [
            format!("flink_k8soperator_namespace_Count{{{a}}} 2"),
            format!("flink_k8soperator_namespace_Count{{{b}}} 1"),
            format!("flink_k8soperator_namespace_JmDeploymentStatus_READY_Count{{{a}}} 2"),
            format!("flink_k8soperator_namespace_JmDeploymentStatus_READY_Count{{{b}}} 0"),
            format!("flink_k8soperator_namespace_JmDeploymentStatus_MISSING_Count{{{b}}} 1"),
            format!("flink_k8soperator_namespace_FlinkVersion_Count{{{a},FlinkVersion=\"1.20.3\"}} 2"),
            format!(
                "flink_k8soperator_namespace_FlinkMinorVersion_Count{{{a},FlinkMinorVersion=\"1.20\"}} 2"
            ),
            format!(
                "flink_k8soperator_namespace_FlinkMinorVersion_Count{{{b},FlinkMinorVersion=\"MALFORMED\"}} 1"
            ),
            format!("flink_k8soperator_namespace_ResourceUsage_Cpu{{{a}}} 3"),
            format!("flink_k8soperator_namespace_ResourceUsage_Memory{{{a}}} 4096"),
            format!("flink_k8soperator_namespace_Lifecycle_State_STABLE_Count{{{a}}} 2"),
            format!("flink_k8soperator_namespace_Lifecycle_State_CREATED_Count{{{b}}} 1"),
        ] {
            assert!(
                text.lines().any(|found| found.trim_end_matches(".0") == line),
                "{line} is not in:\n{text}"
            );
        }
        let without_help = text.lines().find(|line| line.starts_with("# HELP") && line.ends_with("Count ."));
        assert_eq!(without_help, None);
    }

    #[test]
    fn each_half_can_be_switched_off() {
        let lifecycle = text(Wanted { resources: false, lifecycle: true });
        assert!(lifecycle.contains("Lifecycle_State") && !lifecycle.contains("JmDeploymentStatus"));
        let resources = text(Wanted { resources: true, lifecycle: false });
        assert!(!resources.contains("Lifecycle_State") && resources.contains("JmDeploymentStatus"));
    }

    #[test]
    fn every_metric_is_in_the_table() {
        for name in text(Wanted { resources: true, lifecycle: true })
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "))
        {
            let name = name.split(' ').next().unwrap_or_default();
            assert_ne!(help(name), "", "{name}");
        }
    }
}
