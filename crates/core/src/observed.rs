//! What the world looks like, as far as somebody looked. Nothing here is remembered from an earlier step and
//! nothing is concluded: a failed or missing read is [`Seen::Unknown`], never [`Seen::Absent`].

use std::collections::BTreeMap;
use std::sync::Arc;

use drey_api::kinds::{FlinkJobState, FlinkVersion};

use crate::JobId;

/// A three-valued observation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Seen<T> {
    /// Nobody looked, or looking failed. Permits no destructive act.
    #[default]
    Unknown,
    /// Somebody looked and it was not there.
    Absent,
    /// It was there.
    Present(T),
}

impl<T> Seen<T> {
    /// The thing, when it was there.
    pub fn present(&self) -> Option<&T> {
        match self {
            Seen::Present(value) => Some(value),
            Seen::Unknown | Seen::Absent => None,
        }
    }

    /// Whether somebody looked and it was not there.
    pub fn is_absent(&self) -> bool {
        matches!(self, Seen::Absent)
    }

    /// Whether nothing is known of it.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Seen::Unknown)
    }
}

/// All evidence for one step of one resource.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// `cluster` and `high_availability` were read from their source in this step, not from a cache. An action
    /// that [needs it](crate::Action::needs_live_read) is performed only when this is true.
    pub live: bool,
    /// The cluster's processes or objects. [`Seen::Absent`] means provably dead: the Deployment is gone and no pod
    /// or process of it is left.
    pub cluster: Seen<Cluster>,
    /// What the JobManager of exactly that cluster (same uid) last answered.
    pub rest: Option<Rest>,
    /// Flink's high-availability store of this cluster id.
    pub high_availability: Seen<HighAvailability>,
    /// The newest complete snapshot in any of the run's `open_directories`, found by listing storage. `Unknown`
    /// when any of them could not be read. Read only live, and only when there are such directories.
    pub open_snapshot: Seen<StoredSnapshot>,
    /// No look into one of those directories will ever succeed: this operator has no access to that storage. Read only
    /// live.
    pub storage_hidden: bool,
    /// The newest complete retained checkpoint of the current run's job id, found by listing the checkpoint
    /// directory. Read only live, and only when the cluster is absent.
    pub retained_checkpoint: Seen<StoredSnapshot>,
    /// How the current run ended, as Flink's job result store has it (clean or dirty): FINISHED, CANCELED or FAILED.
    /// Read only live.
    pub job_result: Seen<FlinkJobState>,
    /// The last action was certainly not applied, and why; kept in memory only and only for the words.
    pub refused: Option<Refused>,
}

/// The JobManager deployment of a FlinkDeployment and everything that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Uid of this incarnation; a recreated cluster has another one.
    pub uid: Arc<str>,
    /// Whether our resource (by uid) owns it. Others' objects are never touched.
    pub owned: bool,
    /// Deletion has begun, or the Deployment is gone and some of its pods or processes are still alive.
    pub terminating: bool,
    /// Number of the deploy intent that made it (annotation `drey.dev/intent`); absent on clusters made by the
    /// Java operator.
    pub seq: Option<i64>,
    /// The job id it was made for, when recorded on it.
    pub job_id: Option<JobId>,
    /// Generation of the resource when it was made (annotation
    /// `flinkdeployment.flink.apache.org/generation`).
    pub generation: Option<i64>,
    /// The Flink version that it runs, when recorded on it.
    pub flink_version: Option<FlinkVersion>,
    /// How far its JobManager came.
    pub phase: ClusterPhase,
    /// No JobManager of this incarnation ever became available, so no job of it ever ran.
    pub never_available: bool,
    /// How many TaskManagers it is to have. `None` where Flink itself starts as many as the job needs, or where nobody
    /// knows.
    pub task_managers: Option<i32>,
    /// What belongs to it and does not exist, in words; `None` when it is whole. Whoever made it may have died over
    /// it, or somebody has removed a part.
    pub missing: Option<Arc<str>>,
}

/// How far the JobManager of a cluster came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterPhase {
    /// Created; the JobManager is not yet available.
    Starting,
    /// The JobManager is available.
    Available,
    /// The JobManager cannot start.
    Failing {
        /// Container waiting reason or condition reason, such as `ImagePullBackOff`.
        reason: String,
        /// What the runtime said of it.
        message: String,
    },
}

/// One poll of one JobManager. Within a poll the job is read first and the checkpoints after it, so that the
/// checkpoints of a terminal job are final.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rest {
    /// The JobManager answered in this poll. When false, everything else is unknown.
    pub reachable: bool,
    /// A JobManager of this cluster has answered at least once since the engine watches it.
    pub ever_reachable: bool,
    /// The job with the run's id. `Absent`: Flink answered, and does not know that id.
    pub job: Seen<JobView>,
    /// The checkpoints of the job, read after `job`.
    pub checkpoints: Seen<Checkpoints>,
    /// The asynchronous operation of intent `operation_of`.
    pub operation: Seen<Operation>,
    /// Number of the intent that was current when the JobManager was asked: an answer about an earlier operation says
    /// nothing of the present one.
    pub operation_of: i64,
    /// Root cause of a FAILED job, as Flink words it.
    pub failure: Option<String>,
    /// Restart and checkpoint counters, when the health check asks for them.
    pub health: Option<HealthMetrics>,
    /// `flink-version`, `flink-revision` and resource totals, in upstream's keys of `status.clusterInfo`.
    pub cluster_info: Arc<BTreeMap<String, String>>,
}

/// A job as Flink's `/jobs/overview` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobView {
    /// The id asked for.
    pub id: JobId,
    /// Name of the job.
    pub name: Arc<str>,
    /// State as Flink says it.
    pub state: FlinkJobState,
    /// Every task is RUNNING or FINISHED. Upstream calls a RUNNING job without that CREATED.
    pub all_tasks_running: bool,
    /// Start of the job, milliseconds since the epoch.
    pub started_at_ms: i64,
}

/// What `/jobs/:id/checkpoints` tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoints {
    /// The newest completed checkpoint, savepoint or restored one: the highest id.
    pub newest: Option<StoredSnapshot>,
    /// When the newest completed checkpoint was triggered, milliseconds since the epoch.
    pub newest_completed_at_ms: Option<i64>,
    /// When a checkpoint that is still in progress was triggered, milliseconds since the epoch.
    pub pending_since_ms: Option<i64>,
}

/// A complete snapshot: its place and its rank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSnapshot {
    /// Path or URI of the snapshot's directory.
    pub path: Arc<str>,
    /// Flink's checkpoint id. Savepoints and checkpoints of one lineage share one counter, so that ids rank them.
    pub checkpoint_id: Option<u64>,
}

/// An asynchronous Flink operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Accepted and not over.
    InProgress,
    /// Completed.
    Completed {
        /// Where the snapshot is; absent for checkpoints, which are found by id.
        snapshot: Option<StoredSnapshot>,
    },
    /// Over without success. Flink calls this COMPLETED with a failure cause.
    Failed {
        /// Flink's cause, shortened.
        cause: String,
    },
}

/// Counters of the health check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HealthMetrics {
    /// `numRestarts` (or `fullRestarts`).
    pub restarts: i64,
    /// `numberOfCompletedCheckpoints`.
    pub completed_checkpoints: i64,
}

/// Flink's high-availability data of one cluster id in Kubernetes ConfigMaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HighAvailability {
    /// Every ConfigMap of it, as (name, uid), so that a delete can name exactly these.
    pub maps: Vec<(Arc<str>, Arc<str>)>,
    /// The stores of jobs: normally one.
    pub jobs: Vec<JobStore>,
    /// ConfigMaps (name, resourceVersion) that hold a job graph (`jobGraph-*` or `executionPlan-*`), which would
    /// bring back the old configuration at a last-state start.
    pub job_graphs: Vec<(Arc<str>, Arc<str>)>,
}

impl HighAvailability {
    /// The store of one job.
    pub fn job(&self, id: &JobId) -> Option<&JobStore> {
        self.jobs.iter().find(|store| store.job_id == *id)
    }
}

/// The checkpoint store of one job (`<cluster-id>-<job id>-config-map`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobStore {
    /// Whose store it is.
    pub job_id: JobId,
    /// The highest `checkpointID-*` key.
    pub newest_checkpoint_id: Option<u64>,
    /// When the ConfigMap was created, milliseconds since the epoch. One older than the resource belongs to an
    /// earlier resource of the same name.
    pub created_at_ms: i64,
}

/// An action that was certainly not applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The intent whose action it was.
    pub seq: i64,
    /// Who refused and why, in a sentence.
    pub message: String,
}

impl Observed {
    /// How the operation of intent `seq` stands; `None` when the JobManager does not answer or was not asked for it.
    pub fn operation(&self, seq: i64) -> Option<&Seen<Operation>> {
        self.rest
            .as_ref()
            .filter(|rest| rest.reachable && rest.operation_of == seq)
            .map(|rest| &rest.operation)
    }
}
