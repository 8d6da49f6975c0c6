//! What drey itself keeps in the status: the intent that is written before an act, and the run that
//! came of it. Upstream's CRD knows neither field, and upstream ignores them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An act that is about to be done, or may have been done already. Written before the act.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IntentRecord {
    /// Number of the intent: grows by one with each, never goes back.
    #[serde(default)]
    pub seq: i64,
    /// What is done; the words are those of `drey-core`.
    #[serde(default)]
    pub kind: String,
    /// `metadata.generation` for which it is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// Job that is acted on, or that is about to be submitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// Trigger id that was chosen for a savepoint or checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger_id: Option<String>,
    /// Directory in which a savepoint will lie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_directory: Option<String>,
    /// What a new run is restored from: a path, or `last-state`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_from: Option<String>,
    /// When the intent was first written, milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<i64>,
    /// How often the act was tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<i32>,
    /// Leadership under which the intent was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<i64>,
}

/// The present run, or the last one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RunRecord {
    /// Job id of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// Identity of the cluster: the uid of the JobManager deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_uid: Option<String>,
    /// `metadata.generation` that was deployed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// What the run was restored from: a path, or `last-state`; absent when it started empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restored_from: Option<String>,
    /// Number of the checkpoint that the run was restored from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restored_checkpoint_id: Option<i64>,
    /// When the run was deployed, milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployed_at: Option<i64>,
    /// Number of the intent that deployed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<i64>,
}
