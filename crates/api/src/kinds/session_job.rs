//! `FlinkSessionJob`: a job on a session cluster.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::deployment::JobSpec;
use super::journal::{IntentRecord, RunRecord};
use super::status::{JobStatus, LifecycleState, ReconciliationStatus};
use crate::crd;

/// What is wanted of a job on a session cluster.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "flink.apache.org",
    version = "v1beta1",
    kind = "FlinkSessionJob",
    doc = "A job on a session cluster.",
    plural = "flinksessionjobs",
    singular = "flinksessionjob",
    shortname = "sessionjob",
    namespaced,
    status = "FlinkSessionJobStatus",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Job Status","type":"string","jsonPath":".status.jobStatus.state","priority":0}"#,
    printcolumn = r#"{"name":"Lifecycle State","type":"string","jsonPath":".status.lifecycleState","priority":0}"#
)]
#[serde(rename_all = "camelCase", default)]
pub struct FlinkSessionJobSpec {
    /// The job; required.
    pub job: Option<JobSpec>,
    /// Changing this number restarts the job.
    pub restart_nonce: Option<i64>,
    /// Flink configuration of the job, over that of its cluster.
    #[schemars(schema_with = "crd::free_form")]
    #[serde(
        serialize_with = "super::deployment::empty_object_if_none",
        deserialize_with = "super::deployment::none_if_empty"
    )]
    pub flink_configuration: Option<Value>,
    /// Name of the session cluster in the same namespace; cannot change.
    pub deployment_name: Option<String>,
}

/// What was observed and done for a `FlinkSessionJob`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FlinkSessionJobStatus {
    /// The job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_status: Option<JobStatus>,
    /// The last error, a JSON object in a string as upstream writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// `metadata.generation` that this status answers to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The one word for the whole resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifecycle_state: Option<LifecycleState>,
    /// How far the running job is from the spec.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconciliation_status: Option<ReconciliationStatus>,
    /// Our write-ahead record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intent: Option<IntentRecord>,
    /// Our record of the present run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunRecord>,
}
