//! `FlinkDeployment` and its spec. Fields stand in upstream's order of serialisation, because the
//! encoded spec in the status is compared as a string (see [`crate::reconciled`]).

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::status::FlinkDeploymentStatus;
use super::text_enum::text_enum;
use super::version::FlinkVersion;
use crate::crd;

text_enum! {
    /// Whether a job is wanted to run.
    pub enum JobState {
        /// The job runs, or is brought to run.
        Running = "running",
        /// The job is stopped and keeps its state.
        Suspended = "suspended",
    }
}

text_enum! {
    /// How state is carried from one run to the next.
    pub enum UpgradeMode {
        /// No state is carried over.
        Stateless = "stateless",
        /// The newest checkpoint, through high-availability data or the REST API.
        LastState = "last-state",
        /// A savepoint taken while the job is stopped.
        Savepoint = "savepoint",
    }
}

text_enum! {
    /// Who starts TaskManagers.
    pub enum DeploymentMode {
        /// Flink's own resource manager.
        Native = "native",
        /// The operator.
        Standalone = "standalone",
    }
}

/// What is wanted of a Flink cluster: with a `job` an application cluster, without one a session
/// cluster.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "flink.apache.org",
    version = "v1beta1",
    kind = "FlinkDeployment",
    doc = "A Flink cluster: with a job an application cluster, without one a session cluster.",
    plural = "flinkdeployments",
    singular = "flinkdeployment",
    shortname = "flinkdep",
    namespaced,
    status = "FlinkDeploymentStatus",
    derive = "PartialEq",
    scale(
        spec_replicas_path = ".spec.taskManager.replicas",
        status_replicas_path = ".status.taskManager.replicas",
        label_selector_path = ".status.taskManager.labelSelector"
    ),
    printcolumn = r#"{"name":"Job Status","type":"string","jsonPath":".status.jobStatus.state","priority":0}"#,
    printcolumn = r#"{"name":"Lifecycle State","type":"string","jsonPath":".status.lifecycleState","priority":0}"#
)]
#[serde(rename_all = "camelCase", default)]
pub struct FlinkDeploymentSpec {
    /// The job of an application cluster. Absent for a session cluster.
    pub job: Option<JobSpec>,
    /// Changing this number restarts the cluster.
    pub restart_nonce: Option<i64>,
    /// Flink configuration: a map of keys, flat or nested.
    #[schemars(schema_with = "crd::free_form")]
    #[serde(serialize_with = "empty_object_if_none", deserialize_with = "none_if_empty")]
    pub flink_configuration: Option<Value>,
    /// Container image of JobManager and TaskManagers.
    pub image: Option<String>,
    /// Image pull policy of Kubernetes.
    pub image_pull_policy: Option<String>,
    /// Service account of the pods; required.
    pub service_account: Option<String>,
    /// Minor version of Flink in the image, such as `v1_20`; required.
    pub flink_version: Option<FlinkVersion>,
    /// Ingress to the REST endpoint.
    pub ingress: Option<IngressSpec>,
    /// Pod template under those of JobManager and TaskManager.
    #[schemars(schema_with = "crd::pod_template")]
    #[serde(deserialize_with = "without_nulls")]
    pub pod_template: Option<Value>,
    /// The JobManager.
    pub job_manager: Option<JobManagerSpec>,
    /// The TaskManagers.
    pub task_manager: Option<TaskManagerSpec>,
    /// Logging files by name: `log4j-console.properties`, `logback-console.xml`.
    pub log_configuration: Option<BTreeMap<String, String>>,
    /// Who starts TaskManagers; absent means `native`.
    pub mode: Option<DeploymentMode>,
}

impl FlinkDeploymentSpec {
    /// The mode, with upstream's default.
    #[must_use]
    pub fn deployment_mode(&self) -> DeploymentMode {
        self.mode.unwrap_or(DeploymentMode::Native)
    }
}

/// A job: what runs, how wide, and how its state is carried over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct JobSpec {
    /// Jar of the job. Absent when the jar is on the class path of the image.
    #[serde(rename = "jarURI")]
    pub jar_uri: Option<String>,
    /// Parallelism of the job; at least 1 unless `taskManager.replicas` is given.
    pub parallelism: i32,
    /// Main class, where the jar's manifest names none.
    pub entry_class: Option<String>,
    /// Arguments of the main method.
    #[serde(deserialize_with = "null_is_default")]
    pub args: Vec<String>,
    /// Whether the job is wanted to run.
    #[serde(deserialize_with = "null_is_running")]
    pub state: JobState,
    /// Changing this number triggers a savepoint. Deprecated in favour of `FlinkStateSnapshot`.
    pub savepoint_trigger_nonce: Option<i64>,
    /// Savepoint to start from: at the first deployment, and with `savepointRedeployNonce`.
    pub initial_savepoint_path: Option<String>,
    /// Changing this number triggers a checkpoint. Deprecated in favour of `FlinkStateSnapshot`.
    pub checkpoint_trigger_nonce: Option<i64>,
    /// How state is carried over when the spec changes.
    #[serde(deserialize_with = "null_is_stateless")]
    pub upgrade_mode: UpgradeMode,
    /// Whether state that belongs to no operator of the new job may be dropped.
    pub allow_non_restored_state: Option<bool>,
    /// Changing this number redeploys from `initialSavepointPath`.
    pub savepoint_redeploy_nonce: Option<i64>,
    /// Changing this number clears what the autoscaler has learnt.
    pub autoscaler_reset_nonce: Option<i64>,
}

impl Default for JobSpec {
    fn default() -> Self {
        Self {
            jar_uri: None,
            parallelism: 0,
            entry_class: None,
            args: Vec::new(),
            state: JobState::Running,
            savepoint_trigger_nonce: None,
            initial_savepoint_path: None,
            checkpoint_trigger_nonce: None,
            upgrade_mode: UpgradeMode::Stateless,
            allow_non_restored_state: None,
            savepoint_redeploy_nonce: None,
            autoscaler_reset_nonce: None,
        }
    }
}

/// Ingress to the REST endpoint of the JobManager.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct IngressSpec {
    /// Host and path; `{{name}}` and `{{namespace}}` are replaced.
    pub template: Option<String>,
    /// Class of the ingress.
    pub class_name: Option<String>,
    /// Annotations of the ingress.
    pub annotations: Option<BTreeMap<String, String>>,
    /// Labels of the ingress.
    pub labels: Option<BTreeMap<String, String>>,
    /// TLS settings of the ingress.
    pub tls: Option<Vec<IngressTls>>,
}

/// TLS of some hosts of an ingress.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct IngressTls {
    /// Hosts of the certificate.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub hosts: Vec<String>,
    /// Secret with the certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,
}

/// The JobManager of a cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct JobManagerSpec {
    /// Cpu and memory. Deprecated in favour of `resources`.
    pub resource: Option<Resource>,
    /// Requests and limits of the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// How many JobManagers; more than 1 needs high availability.
    #[serde(deserialize_with = "null_is_one")]
    pub replicas: i32,
    /// Pod template of the JobManager.
    #[schemars(schema_with = "crd::pod_template")]
    #[serde(deserialize_with = "without_nulls")]
    pub pod_template: Option<Value>,
}

impl Default for JobManagerSpec {
    fn default() -> Self {
        Self { resource: None, resources: None, replicas: 1, pod_template: None }
    }
}

/// The TaskManagers of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TaskManagerSpec {
    /// Cpu and memory. Deprecated in favour of `resources`.
    pub resource: Option<Resource>,
    /// Requests and limits of the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
    /// How many TaskManagers; absent means as many as the parallelism needs.
    pub replicas: Option<i32>,
    /// Pod template of the TaskManagers.
    #[schemars(schema_with = "crd::pod_template")]
    #[serde(deserialize_with = "without_nulls")]
    pub pod_template: Option<Value>,
}

/// Cpu and memory of one process, the older way to say it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Resource {
    /// Cores.
    #[schemars(schema_with = "crd::number")]
    pub cpu: Option<f64>,
    /// Memory of the process, such as `2048m` or `2Gi`.
    pub memory: Option<String>,
    /// Ephemeral storage of the container, a Kubernetes quantity.
    pub ephemeral_storage: Option<String>,
}

/// Requests and limits as Kubernetes writes them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceRequirements {
    /// Claims of dynamic resource allocation.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub claims: Vec<ResourceClaim>,
    /// Upper bounds by resource name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_default")]
    pub limits: BTreeMap<String, Quantity>,
    /// Guaranteed amounts by resource name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_is_default")]
    pub requests: BTreeMap<String, Quantity>,
}

/// One claim of dynamic resource allocation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceClaim {
    /// Name of an entry in the pod's resource claims.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Name of a request within that claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

/// A Kubernetes quantity as it was written; numbers are read too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Quantity(pub String);

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self(text)),
            Value::Number(number) => Ok(Self(number.to_string())),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                Err(serde::de::Error::custom("expected a quantity such as `2`, `500m` or `2Gi`"))
            }
        }
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Quantity".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        crd::int_or_string()
    }
}

/// Upstream's reader starts from an empty configuration, and so writes `{}` where the user gave none.
pub(super) fn empty_object_if_none<S: serde::Serializer>(
    tree: &Option<Value>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match tree {
        Some(tree) => tree.serialize(serializer),
        None => serde_json::Map::new().serialize(serializer),
    }
}

/// So that an absent configuration and an empty one are the same here too.
pub(super) fn none_if_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    let tree: Option<Value> = Option::deserialize(deserializer)?;
    Ok(tree.filter(|tree| tree.as_object().is_none_or(|map| !map.is_empty())))
}

pub(super) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn null_is_running<'de, D: Deserializer<'de>>(deserializer: D) -> Result<JobState, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(JobState::Running))
}

fn null_is_stateless<'de, D: Deserializer<'de>>(deserializer: D) -> Result<UpgradeMode, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(UpgradeMode::Stateless))
}

fn null_is_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(1))
}

/// Embedded Kubernetes types are written without nulls, so nulls are dropped when they are read.
fn without_nulls<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    let mut value: Option<Value> = Option::deserialize(deserializer)?;
    if let Some(value) = &mut value {
        drop_nulls(value);
    }
    Ok(value)
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, child| !child.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
