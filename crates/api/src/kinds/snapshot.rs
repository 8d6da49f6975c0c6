//! `FlinkStateSnapshot`: one savepoint or checkpoint of a job.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::deployment::null_is_default;
use super::status::SavepointFormat;
use super::text_enum::text_enum;

text_enum! {
    /// Kind of the resource whose job is snapshotted.
    pub enum JobKind {
        /// An application cluster.
        FlinkDeployment = "FlinkDeployment",
        /// A job on a session cluster.
        FlinkSessionJob = "FlinkSessionJob",
    }
}

text_enum! {
    /// Where a snapshot stands.
    pub enum SnapshotState {
        /// Taken.
        Completed = "COMPLETED",
        /// Not taken, and not tried again.
        Failed = "FAILED",
        /// Triggered.
        InProgress = "IN_PROGRESS",
        /// Not triggered yet.
        TriggerPending = "TRIGGER_PENDING",
        /// Its job does not run.
        Abandoned = "ABANDONED",
    }
}

/// A savepoint or a checkpoint of a job: exactly one of the two is given.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "flink.apache.org",
    version = "v1beta1",
    kind = "FlinkStateSnapshot",
    doc = "A savepoint or a checkpoint of a job.",
    plural = "flinkstatesnapshots",
    singular = "flinkstatesnapshot",
    shortname = "flinksnp",
    namespaced,
    status = "FlinkStateSnapshotStatus",
    derive = "PartialEq",
    printcolumn = r#"{"name":"Path","type":"string","jsonPath":".status.path","priority":0}"#,
    printcolumn = r#"{"name":"Result Timestamp","type":"string","jsonPath":".status.resultTimestamp","priority":0}"#,
    printcolumn = r#"{"name":"Snapshot State","type":"string","jsonPath":".status.state","priority":0}"#
)]
#[serde(rename_all = "camelCase", default)]
pub struct FlinkStateSnapshotSpec {
    /// Whose job is snapshotted, in the same namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_reference: Option<JobReference>,
    /// Take a savepoint, or name one that exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub savepoint: Option<SavepointSpec>,
    /// Take a checkpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<CheckpointSpec>,
    /// How often a failed snapshot is tried again; negative for without end.
    #[serde(deserialize_with = "null_is_unlimited")]
    pub backoff_limit: i32,
}

impl Default for FlinkStateSnapshotSpec {
    fn default() -> Self {
        Self { job_reference: None, savepoint: None, checkpoint: None, backoff_limit: -1 }
    }
}

/// Whose job is snapshotted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct JobReference {
    /// Kind of the resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<JobKind>,
    /// Name of the resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// How a savepoint is taken and kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SavepointSpec {
    /// Directory to put it in, or where it already lies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Its format.
    #[serde(deserialize_with = "null_is_canonical")]
    pub format_type: SavepointFormat,
    /// Whether its files go when this resource is deleted.
    #[serde(deserialize_with = "null_is_true")]
    pub dispose_on_delete: bool,
    /// Whether it already exists and nothing is to be taken.
    #[serde(deserialize_with = "null_is_default")]
    pub already_exists: bool,
}

impl Default for SavepointSpec {
    fn default() -> Self {
        Self {
            path: None,
            format_type: SavepointFormat::Canonical,
            dispose_on_delete: true,
            already_exists: false,
        }
    }
}

/// A checkpoint has no settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckpointSpec {}

/// Where a snapshot stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FlinkStateSnapshotStatus {
    /// Where it stands.
    pub state: SnapshotState,
    /// Trigger id in Flink.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger_id: Option<String>,
    /// When it was triggered, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger_timestamp: Option<String>,
    /// When it ended, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result_timestamp: Option<String>,
    /// Where it lies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How often it failed.
    #[serde(deserialize_with = "null_is_default")]
    pub failures: i32,
}

impl Default for FlinkStateSnapshotStatus {
    fn default() -> Self {
        Self {
            state: SnapshotState::TriggerPending,
            trigger_id: None,
            trigger_timestamp: None,
            result_timestamp: None,
            path: None,
            error: None,
            failures: 0,
        }
    }
}

fn null_is_unlimited<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i32, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(-1))
}

fn null_is_canonical<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SavepointFormat, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(SavepointFormat::Canonical))
}

fn null_is_true<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(true))
}
