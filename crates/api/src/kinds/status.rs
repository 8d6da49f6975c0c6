//! The status of a `FlinkDeployment`, and the parts that it shares with other kinds.
//!
//! Absent fields are never written as null: upstream's reader turns an explicit null into a null where
//! its own default would have been safe.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::deployment::null_is_default;
use super::journal::{IntentRecord, RunRecord};
use super::text_enum::text_enum;

text_enum! {
    /// State of a job, as Flink's `JobStatus` names it.
    pub enum FlinkJobState {
        /// The job is being set up by the JobManager.
        Initializing = "INITIALIZING",
        /// The job is known, and not all its tasks run.
        Created = "CREATED",
        /// All tasks run.
        Running = "RUNNING",
        /// The job failed and its tasks are being cleaned up.
        Failing = "FAILING",
        /// The job failed and will not be restarted by Flink.
        Failed = "FAILED",
        /// The job is being cancelled.
        Cancelling = "CANCELLING",
        /// The job was cancelled.
        Canceled = "CANCELED",
        /// The job ended by itself, or was stopped with a savepoint.
        Finished = "FINISHED",
        /// Flink restarts the tasks.
        Restarting = "RESTARTING",
        /// The JobManager lost leadership.
        Suspended = "SUSPENDED",
        /// The state is not known yet.
        Reconciling = "RECONCILING",
    }
}

impl FlinkJobState {
    /// Whether Flink calls the state globally terminal: the job id never leaves it again.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Failed | Self::Canceled | Self::Finished)
    }
}

text_enum! {
    /// State of the JobManager deployment.
    pub enum JobManagerDeploymentStatus {
        /// Its REST API answers.
        Ready = "READY",
        /// Its port is open, its REST API not yet ready.
        DeployedNotReady = "DEPLOYED_NOT_READY",
        /// It is starting.
        Deploying = "DEPLOYING",
        /// There is none.
        Missing = "MISSING",
        /// It cannot start.
        Error = "ERROR",
    }
}

impl JobManagerDeploymentStatus {
    /// Upstream's reason in the `Running` condition of a session cluster.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Ready => "JobManagerReady",
            Self::DeployedNotReady => "DeployedNotReady",
            Self::Deploying => "JobManagerIsDeploying",
            Self::Missing => "JobManagerDeploymentMissing",
            Self::Error => "Error",
        }
    }

    /// Upstream's message in the `Running` condition of a session cluster.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Ready => "JobManager is running and ready to receive REST API calls",
            Self::DeployedNotReady => "JobManager is running but not yet ready to receive REST API calls",
            Self::Deploying => "JobManager process is starting up",
            Self::Missing => "JobManager deployment not found",
            Self::Error => "JobManager deployment failed",
        }
    }
}

text_enum! {
    /// How far the deployed cluster is from the spec.
    pub enum ReconciliationState {
        /// The last reconciled spec is deployed.
        Deployed = "DEPLOYED",
        /// The spec is on its way.
        Upgrading = "UPGRADING",
        /// The last stable spec is on its way back.
        RollingBack = "ROLLING_BACK",
        /// The last stable spec is deployed again.
        RolledBack = "ROLLED_BACK",
    }
}

text_enum! {
    /// The one word for the whole resource that a person looks at.
    pub enum LifecycleState {
        /// Not yet handled.
        Created = "CREATED",
        /// The job is suspended.
        Suspended = "SUSPENDED",
        /// Being upgraded.
        Upgrading = "UPGRADING",
        /// Deployed, and not yet seen stable.
        Deployed = "DEPLOYED",
        /// Deployed, and seen to run.
        Stable = "STABLE",
        /// On the way back to the last stable spec.
        RollingBack = "ROLLING_BACK",
        /// The last stable spec is deployed.
        RolledBack = "ROLLED_BACK",
        /// The job failed for good.
        Failed = "FAILED",
        /// Being deleted.
        Deleting = "DELETING",
        /// Deleted.
        Deleted = "DELETED",
    }
}

text_enum! {
    /// Why a snapshot was taken.
    pub enum SnapshotTriggerType {
        /// A person asked for it.
        Manual = "MANUAL",
        /// A schedule asked for it.
        Periodic = "PERIODIC",
        /// An upgrade needed it.
        Upgrade = "UPGRADE",
        /// Not known.
        Unknown = "UNKNOWN",
    }
}

text_enum! {
    /// Binary format of a savepoint.
    pub enum SavepointFormat {
        /// The same for every state backend.
        Canonical = "CANONICAL",
        /// That of the state backend.
        Native = "NATIVE",
        /// Not known.
        Unknown = "UNKNOWN",
    }
}

text_enum! {
    /// What a triggered checkpoint holds.
    pub enum CheckpointType {
        /// All state.
        Full = "FULL",
        /// What changed since the last checkpoint.
        Incremental = "INCREMENTAL",
        /// Not known.
        Unknown = "UNKNOWN",
    }
}

/// What was observed and done for a `FlinkDeployment`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FlinkDeploymentStatus {
    /// The job; absent only before the first look at the resource.
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
    /// Facts of the cluster, such as `flink-version`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_info: Option<BTreeMap<String, String>>,
    /// State of the JobManager deployment.
    pub job_manager_deployment_status: JobManagerDeploymentStatus,
    /// How far the deployed cluster is from the spec.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconciliation_status: Option<ReconciliationStatus>,
    /// TaskManagers, for the scale subresource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_manager: Option<TaskManagerInfo>,
    /// Conditions: upstream's `Running`; ours `Ready`, `Reconciling`, `Stalled`.
    #[serde(deserialize_with = "null_is_default")]
    pub conditions: Vec<Condition>,
    /// Our write-ahead record: what is about to be done, or may have been done already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intent: Option<IntentRecord>,
    /// Our record of the present run and what it was restored from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunRecord>,
}

impl Default for FlinkDeploymentStatus {
    fn default() -> Self {
        Self {
            job_status: None,
            error: None,
            observed_generation: None,
            lifecycle_state: None,
            cluster_info: None,
            job_manager_deployment_status: JobManagerDeploymentStatus::Missing,
            reconciliation_status: None,
            task_manager: None,
            conditions: Vec::new(),
            intent: None,
            run: None,
        }
    }
}

/// What is known of a job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct JobStatus {
    /// Name that the job has in Flink.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_name: Option<String>,
    /// Job id: 32 hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_id: Option<String>,
    /// State of the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<FlinkJobState>,
    /// Start of the job: milliseconds since the epoch, in a string as upstream writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<String>,
    /// Last change of state: milliseconds since the epoch, in a string. Upstream fails on a terminal
    /// job without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update_time: Option<String>,
    /// Where the next run restores from, when a stop took a savepoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upgrade_savepoint_path: Option<String>,
    /// Savepoints that were triggered through the spec.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub savepoint_info: Option<SavepointInfo>,
    /// Checkpoints that were triggered through the spec.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_info: Option<CheckpointInfo>,
}

/// Savepoints that were triggered through the spec.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SavepointInfo {
    /// The newest completed savepoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_savepoint: Option<Savepoint>,
    /// Trigger id of the pending savepoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger_id: Option<String>,
    /// When the pending savepoint was triggered, milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger_timestamp: Option<i64>,
    /// Why the pending savepoint was triggered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger_type: Option<SnapshotTriggerType>,
    /// Format of the pending savepoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format_type: Option<SavepointFormat>,
    /// Completed savepoints, oldest first.
    #[serde(deserialize_with = "null_is_default")]
    pub savepoint_history: Vec<Savepoint>,
    /// When the newest periodic savepoint was taken, milliseconds since the epoch; 0 for never.
    #[serde(deserialize_with = "null_is_default")]
    pub last_periodic_savepoint_timestamp: i64,
}

/// A completed savepoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Savepoint {
    /// When it was taken, milliseconds since the epoch.
    #[serde(deserialize_with = "null_is_default")]
    pub time_stamp: i64,
    /// Where it lies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Why it was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger_type: Option<SnapshotTriggerType>,
    /// Its format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format_type: Option<SavepointFormat>,
    /// Nonce of the spec that asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger_nonce: Option<i64>,
}

/// Checkpoints that were triggered through the spec.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CheckpointInfo {
    /// The newest completed checkpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_checkpoint: Option<Checkpoint>,
    /// Trigger id of the pending checkpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger_id: Option<String>,
    /// When the pending checkpoint was triggered, milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger_timestamp: Option<i64>,
    /// Why the pending checkpoint was triggered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger_type: Option<SnapshotTriggerType>,
    /// What the pending checkpoint holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format_type: Option<CheckpointType>,
    /// When the newest periodic checkpoint was taken, milliseconds since the epoch; 0 for never.
    #[serde(deserialize_with = "null_is_default")]
    pub last_periodic_checkpoint_timestamp: i64,
}

/// A completed checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Checkpoint {
    /// When it was taken, milliseconds since the epoch.
    #[serde(deserialize_with = "null_is_default")]
    pub time_stamp: i64,
    /// Why it was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger_type: Option<SnapshotTriggerType>,
    /// What it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format_type: Option<CheckpointType>,
    /// Nonce of the spec that asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger_nonce: Option<i64>,
}

/// How far the deployed cluster is from the spec.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ReconciliationStatus {
    /// When the last reconciliation began, milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconciliation_timestamp: Option<i64>,
    /// The spec last acted on, a JSON object in a string.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_reconciled_spec: Option<String>,
    /// The spec last seen stable, a verbatim copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_stable_spec: Option<String>,
    /// Where reconciliation stands.
    pub state: ReconciliationState,
}

impl Default for ReconciliationStatus {
    fn default() -> Self {
        Self {
            reconciliation_timestamp: None,
            last_reconciled_spec: None,
            last_stable_spec: None,
            state: ReconciliationState::Upgrading,
        }
    }
}

/// TaskManagers, for the scale subresource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TaskManagerInfo {
    /// Selector of the TaskManager pods.
    #[serde(deserialize_with = "null_is_default")]
    pub label_selector: String,
    /// How many there should be.
    #[serde(deserialize_with = "null_is_default")]
    pub replicas: i32,
}

/// A condition in the sense of Kubernetes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    /// When `status` last changed, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<String>,
    /// A sentence for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// `metadata.generation` that the condition answers to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// A word for machines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `True`, `False` or `Unknown`.
    #[serde(deserialize_with = "null_is_default")]
    pub status: String,
    /// Name of the condition.
    #[serde(rename = "type", deserialize_with = "null_is_default")]
    pub type_: String,
}
