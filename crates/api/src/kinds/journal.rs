//! What drey itself keeps in the status: the intent that is written before an act, and the run that
//! came of it. Upstream's CRD knows neither field, and upstream ignores them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An act that is about to be done, or may have been done already. Written before the act.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct IntentRecord {
    /// Number of the intent: grows by one with each, never goes back.
    pub seq: i64,
    /// What is done: `Deploy`, `Complete`, `StopWithSavepoint`, `Cancel`, `Teardown`, `Savepoint`, `Checkpoint`,
    /// `DisposeSavepoint`, or `None` when nothing is open.
    pub kind: String,
    /// `metadata.generation` for which it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// Job that is acted on, or that is about to be submitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// Uid of the cluster that is acted on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_uid: Option<String>,
    /// Trigger id that was chosen for a savepoint or checkpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger_id: Option<String>,
    /// Directory in which a savepoint will lie, or the savepoint to dispose of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_directory: Option<String>,
    /// What a new run is restored from: a path, or `last-state`; absent when it starts empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore_from: Option<String>,
    /// Which recorded spec is deployed: `reconciled` or `stable`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Whether a final watermark is sent before a stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drain: Option<bool>,
    /// The nonce that asked for a snapshot; absent when the schedule did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonce: Option<i64>,
    /// When the intent was first written, milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<i64>,
    /// How often the act was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// When the act was last tried, milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempted_at: Option<i64>,
    /// Leadership under which the status was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<i64>,
}

/// The present run, or the last one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RunRecord {
    /// Job id of the run.
    pub job_id: String,
    /// Number of the intent that deployed it.
    pub seq: i64,
    /// `metadata.generation` that was deployed.
    pub generation: i64,
    /// Identity of the cluster: the uid of the JobManager deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_uid: Option<String>,
    /// What the run was restored from: a path, or `last-state`; absent when it started empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restored_from: Option<String>,
    /// The snapshot under the first start of this job id: a path, or `unrecorded`; absent when it started
    /// empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// When the run was deployed, milliseconds since the epoch.
    pub deployed_at: i64,
    /// No task of it ever ran.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub never_ran: bool,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<RunEndRecord>,
    /// The newest savepoint that it is known to have completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest_savepoint: Option<SnapshotRecord>,
    /// Directories of savepoint requests whose outcome is not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub open_directories: Vec<String>,
}

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RunEndRecord {
    /// FINISHED, CANCELED or FAILED.
    pub state: String,
    /// What it left: `snapshot`, `nothing`, `discarded` or `notRead`.
    pub last: String,
    /// The snapshot that it left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotRecord>,
}

/// A complete snapshot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SnapshotRecord {
    /// Where it is.
    pub path: String,
    /// Flink's checkpoint id, which ranks the snapshots of one lineage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_id: Option<i64>,
}
