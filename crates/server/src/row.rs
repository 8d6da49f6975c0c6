//! A resource as one line of the fleet. Whatever the API server stored becomes a row: a field of a wrong type is a
//! warning in it, never an error of the list. Refuses to ask anybody.

mod health;
mod image;

use std::collections::BTreeMap;
use std::sync::Arc;

use drey_api::memory::parse_bytes;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

pub(crate) use health::Health;

use crate::cluster::ClusterName;
use crate::key::{FleetKind, Key};
use crate::store::Store;
use health::Verdict;

/// What kind of thing a row stands for, in the words of users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum RowType {
    /// A cluster with one job.
    Application,
    /// A cluster without a job of its own.
    Session,
    /// A job on a session cluster.
    SessionJob,
    /// A pair of clusters.
    BlueGreen,
    /// A savepoint or checkpoint.
    Snapshot,
}

impl RowType {
    /// The word in queries and facets.
    #[must_use]
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Session => "session",
            Self::SessionJob => "sessionJob",
            Self::BlueGreen => "blueGreen",
            Self::Snapshot => "snapshot",
        }
    }
}

/// One line of the fleet. What is not known is `None`.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    /// `namespace/plural/name`.
    pub(crate) id: Key,
    /// Name of the Kubernetes cluster.
    pub(crate) cluster: Arc<str>,
    /// `metadata.namespace`.
    pub(crate) namespace: Arc<str>,
    /// Plural of the kind.
    pub(crate) kind: &'static str,
    /// `metadata.name`.
    pub(crate) name: Arc<str>,
    /// `metadata.uid`.
    pub(crate) uid: String,
    /// `metadata.resourceVersion`.
    pub(crate) version: String,
    /// `metadata.generation`.
    pub(crate) generation: i64,
    /// What it stands for.
    #[serde(rename = "type")]
    pub(crate) row_type: RowType,
    /// The row below which this one belongs.
    pub(crate) parent: Option<Key>,
    /// How it is.
    pub(crate) health: Health,
    /// Upstream's one word.
    pub(crate) lifecycle: Option<String>,
    /// State of its job.
    pub(crate) job_state: Option<String>,
    /// What is happening or wrong, in one sentence; empty when nothing is.
    pub(crate) sentence: String,
    /// Since when, milliseconds since the epoch.
    pub(crate) since: Option<i64>,
    /// When the newest checkpoint was completed, milliseconds since the epoch.
    pub(crate) last_checkpoint_at: Option<i64>,
    /// Restarts of the job within an hour.
    pub(crate) restarts: Option<u32>,
    /// Parallelism of the job, or slots of a session cluster.
    pub(crate) parallelism: Option<i64>,
    /// How many TaskManagers there should be.
    pub(crate) task_managers: Option<i64>,
    /// CPUs of all processes.
    pub(crate) cpu: Option<f64>,
    /// Memory of all processes, bytes.
    pub(crate) memory_bytes: Option<i64>,
    /// Version of Flink, such as `1.20`.
    pub(crate) flink_version: Option<String>,
    /// Image as it is in the spec.
    pub(crate) image: Option<String>,
    /// The last part of the image's name with its tag.
    pub(crate) image_tag: Option<String>,
    /// When the job started, milliseconds since the epoch.
    pub(crate) started_at: Option<i64>,
    /// `metadata.creationTimestamp`, milliseconds since the epoch.
    pub(crate) created_at: i64,
    /// `metadata.labels`.
    pub(crate) labels: BTreeMap<String, String>,
    /// The tool that keeps the resource as it is in a repository.
    pub(crate) gitops: Option<&'static str>,
    /// Why parts of the resource cannot be read.
    pub(crate) warning: Option<String>,
    /// The job that runs, and where; `None` when none does.
    #[serde(skip)]
    pub(crate) runs: Option<Runs>,
    /// Everything that is searched, in lower case.
    #[serde(skip)]
    pub(crate) haystack: String,
}

impl Row {
    /// The row of `object`, or `None` when it has no name.
    #[must_use]
    pub(crate) fn of(cluster: &Arc<str>, kind: FleetKind, object: &Value) -> Option<Row> {
        let fields = Fields(object);
        let name = fields.text("/metadata/name")?;
        let key = Key::new(fields.text("/metadata/namespace").unwrap_or_default(), kind, name);
        let labels = fields.texts("/metadata/labels");
        let Verdict { health, lifecycle, job_state, sentence, since, warning } = health::judge(kind, object);
        let image = fields.text(&of_cluster(kind, "/image")).map(str::to_owned);
        let mut row = Row {
            cluster: cluster.clone(),
            namespace: key.namespace.clone(),
            kind: kind.plural(),
            name: key.name.clone(),
            uid: fields.text("/metadata/uid").unwrap_or_default().to_owned(),
            version: fields.text("/metadata/resourceVersion").unwrap_or_default().to_owned(),
            generation: fields.integer("/metadata/generation").unwrap_or_default(),
            row_type: row_type(kind, &fields),
            parent: parent(&key, &fields),
            health,
            lifecycle,
            job_state,
            sentence,
            since,
            last_checkpoint_at: last_checkpoint(&fields),
            restarts: None,
            parallelism: parallelism(kind, &fields),
            task_managers: task_managers(kind, &fields),
            cpu: cpu(kind, &fields),
            memory_bytes: memory_bytes(kind, &fields),
            flink_version: flink_version(kind, &fields),
            image_tag: image.as_deref().map(image::tag),
            image,
            started_at: fields.text("/status/jobStatus/startTime").and_then(|text| text.parse().ok()),
            created_at: fields.moment("/metadata/creationTimestamp").unwrap_or_default(),
            gitops: gitops(&labels, &fields.texts("/metadata/annotations")),
            labels,
            warning,
            runs: runs(kind, &fields),
            haystack: String::new(),
            id: key,
        };
        row.haystack = haystack(&row);
        Some(row)
    }
}

impl Row {
    /// Takes over what only a JobManager has told of the same resource.
    pub(crate) fn remember(&mut self, store: &Store) {
        if let Some(known) = store.row(&self.id).filter(|known| known.uid == self.uid) {
            self.restarts = known.restarts.filter(|_| self.runs.is_some());
            self.last_checkpoint_at = self.last_checkpoint_at.max(known.last_checkpoint_at);
        }
    }
}

/// A job that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Runs {
    pub(crate) job_id: String,
    pub(crate) cluster: ClusterName,
}

fn runs(kind: FleetKind, fields: &Fields<'_>) -> Option<Runs> {
    let running = kind == FleetKind::Deployment && fields.text("/status/jobStatus/state") == Some("RUNNING");
    let job_id = fields.text("/status/jobStatus/jobId").filter(|_| running)?.to_owned();
    Some(Runs { job_id, cluster: ClusterName::of(fields.0) })
}

/// Fields by their paths, whatever stands there.
pub(crate) struct Fields<'a>(pub(crate) &'a Value);

impl<'a> Fields<'a> {
    pub(crate) fn text(&self, path: &str) -> Option<&'a str> {
        self.0.pointer(path)?.as_str().filter(|text| !text.is_empty())
    }

    pub(crate) fn integer(&self, path: &str) -> Option<i64> {
        self.0.pointer(path)?.as_i64()
    }

    /// A number, also one in a text.
    pub(crate) fn number(&self, path: &str) -> Option<f64> {
        let value = self.0.pointer(path)?;
        let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
        number.filter(|number: &f64| number.is_finite())
    }

    /// A moment in RFC 3339, milliseconds since the epoch.
    pub(crate) fn moment(&self, path: &str) -> Option<i64> {
        moment(self.text(path)?)
    }

    fn texts(&self, path: &str) -> BTreeMap<String, String> {
        let map = self.0.pointer(path).and_then(Value::as_object);
        let pairs = map.into_iter().flatten();
        pairs.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
    }
}

/// Milliseconds since the epoch of a moment in RFC 3339.
pub(crate) fn moment(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

/// Where the spec of the cluster stands in an object of this kind.
fn of_cluster(kind: FleetKind, below: &str) -> String {
    match kind {
        FleetKind::BlueGreen => format!("/spec/template/spec{below}"),
        FleetKind::Deployment | FleetKind::SessionJob | FleetKind::Snapshot => format!("/spec{below}"),
    }
}

fn row_type(kind: FleetKind, fields: &Fields<'_>) -> RowType {
    match kind {
        FleetKind::Deployment if fields.0.pointer("/spec/job").is_none_or(Value::is_null) => RowType::Session,
        FleetKind::Deployment => RowType::Application,
        FleetKind::SessionJob => RowType::SessionJob,
        FleetKind::BlueGreen => RowType::BlueGreen,
        FleetKind::Snapshot => RowType::Snapshot,
    }
}

fn parent(key: &Key, fields: &Fields<'_>) -> Option<Key> {
    let below = |kind, name: &str| Key::new(&key.namespace, kind, name);
    match key.kind {
        FleetKind::SessionJob => Some(below(FleetKind::Deployment, fields.text("/spec/deploymentName")?)),
        FleetKind::Snapshot => {
            let kind = FleetKind::from_kind(fields.text("/spec/jobReference/kind")?)?;
            Some(below(kind, fields.text("/spec/jobReference/name")?))
        }
        FleetKind::Deployment => {
            let owners = fields.0.pointer("/metadata/ownerReferences")?.as_array()?;
            let owner = owners.iter().find(|owner| owner["kind"] == "FlinkBlueGreenDeployment")?;
            Some(below(FleetKind::BlueGreen, owner["name"].as_str()?))
        }
        FleetKind::BlueGreen => None,
    }
}

/// What the status remembers of checkpoints and savepoints.
fn last_checkpoint(fields: &Fields<'_>) -> Option<i64> {
    let paths = [
        "/status/jobStatus/checkpointInfo/lastCheckpoint/timeStamp",
        "/status/jobStatus/savepointInfo/lastSavepoint/timeStamp",
    ];
    paths.iter().filter_map(|path| fields.integer(path)).filter(|at_ms| *at_ms > 0).max()
}

fn slots(kind: FleetKind, fields: &Fields<'_>) -> i64 {
    let configuration = fields.0.pointer(&of_cluster(kind, "/flinkConfiguration"));
    let flat = configuration.and_then(|all| all.get("taskmanager.numberOfTaskSlots"));
    let nested = configuration.and_then(|all| all.pointer("/taskmanager/numberOfTaskSlots"));
    let value = flat.or(nested);
    let number = value.and_then(|value| value.as_i64().or_else(|| value.as_str()?.trim().parse().ok()));
    number.filter(|slots| *slots > 0).unwrap_or(1)
}

fn parallelism(kind: FleetKind, fields: &Fields<'_>) -> Option<i64> {
    let of_job = fields.integer(&of_cluster(kind, "/job/parallelism"));
    of_job.or_else(|| Some(slots(kind, fields) * fields.integer(&of_cluster(kind, "/taskManager/replicas"))?))
}

/// As the spec says; else as the status says; else as many as the job needs.
fn task_managers(kind: FleetKind, fields: &Fields<'_>) -> Option<i64> {
    let asked = fields.integer(&of_cluster(kind, "/taskManager/replicas"));
    let seen = fields.integer("/status/taskManager/replicas").filter(|replicas| *replicas > 0);
    asked.or(seen).or_else(|| {
        let parallelism = fields.integer(&of_cluster(kind, "/job/parallelism"))?;
        let slots = slots(kind, fields);
        (kind != FleetKind::SessionJob).then_some((parallelism.max(0) + slots - 1) / slots)
    })
}

/// What the cluster tells of itself; else what the spec asks for.
fn cpu(kind: FleetKind, fields: &Fields<'_>) -> Option<f64> {
    fields.number("/status/clusterInfo/total-cpu").filter(|cpu| *cpu > 0.0).or_else(|| {
        let of = |role: &str| fields.number(&of_cluster(kind, &format!("/{role}/resource/cpu")));
        Some(of("jobManager")? + of("taskManager")? * to_f64(task_managers(kind, fields)?))
    })
}

fn memory_bytes(kind: FleetKind, fields: &Fields<'_>) -> Option<i64> {
    let told = fields.number("/status/clusterInfo/total-memory").filter(|bytes| *bytes > 0.0);
    #[expect(clippy::cast_possible_truncation, reason = "no cluster has more bytes than an i64 counts")]
    told.map(|bytes| bytes as i64).or_else(|| {
        let of = |role: &str| {
            let text = fields.text(&of_cluster(kind, &format!("/{role}/resource/memory")))?;
            parse_bytes(text).ok()
        };
        of("taskManager")?.checked_mul(task_managers(kind, fields)?)?.checked_add(of("jobManager")?)
    })
}

#[expect(clippy::cast_precision_loss, reason = "numbers of TaskManagers are small")]
fn to_f64(number: i64) -> f64 {
    number as f64
}

/// What the JobManager tells of itself; else what the spec says.
fn flink_version(kind: FleetKind, fields: &Fields<'_>) -> Option<String> {
    let spec = fields.text(&of_cluster(kind, "/flinkVersion"))?;
    Some(spec.strip_prefix('v').unwrap_or(spec).replace('_', "."))
}

fn gitops(labels: &BTreeMap<String, String>, annotations: &BTreeMap<String, String>) -> Option<&'static str> {
    let has = |prefix: &str| labels.keys().chain(annotations.keys()).any(|key| key.starts_with(prefix));
    if has("argocd.argoproj.io/") {
        Some("Argo CD")
    } else if has("kustomize.toolkit.fluxcd.io/") || has("helm.toolkit.fluxcd.io/") {
        Some("Flux")
    } else {
        None
    }
}

fn haystack(row: &Row) -> String {
    let mut text = format!("{}\n{}\n{}", row.name, row.namespace, row.sentence);
    for more in [row.image.as_deref(), row.warning.as_deref()].into_iter().flatten() {
        text.push('\n');
        text.push_str(more);
    }
    for (key, value) in &row.labels {
        text.push('\n');
        text.push_str(key);
        text.push('=');
        text.push_str(value);
    }
    text.to_lowercase()
}
