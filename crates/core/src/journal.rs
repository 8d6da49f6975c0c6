//! What we know because we wrote it down: the typed content of a FlinkDeployment's `status`. How it is spelt there
//! is the business of [`crate::status`].

use std::collections::BTreeMap;
use std::sync::Arc;

use drey_api::desired::Desired;
use drey_api::kinds::{
    FlinkJobState, JobManagerDeploymentStatus, JobState, ReconciliationState, SavepointFormat, UpgradeMode,
};
use drey_api::reconciled::Format;

use crate::JobId;
use crate::intent::Intent;
use crate::observed::StoredSnapshot;

/// Everything on record about one FlinkDeployment.
#[derive(Clone, Debug, PartialEq)]
pub struct Journal {
    /// Number of the last intent.
    pub seq: i64,
    /// Leadership number of who wrote here last; never lower than before.
    pub epoch: i64,
    /// The intent that is not resolved yet.
    pub intent: Option<Intent>,
    /// The current run, or the last one when nothing runs.
    pub run: Option<Run>,
    /// The generation that this status speaks of.
    pub observed_generation: Option<i64>,
    /// Upstream's `reconciliationStatus.state`.
    pub state: ReconciliationState,
    /// Upstream's `lastReconciledSpec`: the spec of the last run, with what was reached.
    pub reconciled: Option<Reconciled>,
    /// Upstream's `lastStableSpec`.
    pub stable: Stable,
    /// When `reconciled` was last changed, milliseconds since the epoch.
    pub reconciled_at_ms: i64,
    /// What is known of the job.
    pub job: JobRecord,
    /// Upstream's `jobManagerDeploymentStatus`.
    pub job_manager: JobManagerDeploymentStatus,
    /// Savepoints taken.
    pub savepoints: SavepointLog,
    /// Checkpoints triggered.
    pub checkpoints: CheckpointLog,
    /// What is wrong, in a sentence; `None` when nothing is.
    pub error: Option<Problem>,
    /// Upstream's `clusterInfo`.
    pub cluster_info: Arc<BTreeMap<String, String>>,
    /// Counters of the health check, when it is on.
    pub health: Option<HealthRecord>,
    /// Why the resource waits or is stalled; `None` at rest.
    pub waiting: Option<WaitRecord>,
    /// Condition transition times.
    pub conditions: Vec<ConditionRecord>,
}

/// One incarnation of the job: from a deploy intent until it is provably dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Flink's job id.
    pub job_id: JobId,
    /// Number of the deploy intent that started it.
    pub seq: i64,
    /// Generation of the resource that it runs.
    pub generation: i64,
    /// Uid of its cluster, once seen.
    pub cluster_uid: Option<Arc<str>>,
    /// The oldest snapshot that this job id stands on.
    pub base: Base,
    /// How this incarnation was started, for the reader: the words of `drey describe`.
    pub restored: Restored,
    /// When its deploy intent was written, milliseconds since the epoch.
    pub deployed_at_ms: i64,
    /// It was certainly never beyond INITIALIZING: no task of it ever ran, so it completed nothing.
    pub never_ran: bool,
    /// How it ended; `None` while it has not, or while nobody knows.
    pub end: Option<End>,
    /// The newest savepoint that it is known to have completed.
    pub newest_savepoint: Option<StoredSnapshot>,
    /// Directories of savepoint requests whose outcome nobody knows: a complete savepoint may be in any of them.
    pub open_directories: Vec<Arc<str>>,
}

/// What the first incarnation of a job id was started from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// Nothing.
    Empty,
    /// The snapshot at this path.
    Path(Arc<str>),
    /// Somebody else started it and did not write it down.
    Unrecorded,
}

/// How an incarnation was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restored {
    /// From nothing.
    Empty,
    /// From the snapshot at this path.
    Path(Arc<str>),
    /// From the high-availability store.
    LastState,
}

/// The end of a run. Absorbing: an end is never taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// FINISHED, CANCELED or FAILED.
    pub state: FlinkJobState,
    /// What it left.
    pub last: Last,
}

/// The newest snapshot that an ended run left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Last {
    /// This one, read after the job was terminal.
    Snapshot(StoredSnapshot),
    /// Flink was asked after the job was terminal and knows of none. Final only for a FINISHED job.
    Nothing,
    /// The user gave its state up.
    Discarded,
    /// Nobody could ask in time.
    NotRead,
}

/// A recorded spec: what was deployed, and what was reached with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Reconciled {
    /// The spec.
    pub desired: Arc<Desired>,
    /// What was reached: `suspended` also while an upgrade stands between stop and start.
    pub job_state: JobState,
    /// How the job was really stopped or started.
    pub upgrade_mode: UpgradeMode,
    /// The last handled `savepointTriggerNonce`.
    pub savepoint_nonce: Option<i64>,
    /// The last handled `checkpointTriggerNonce`.
    pub checkpoint_nonce: Option<i64>,
    /// It is the first deployment and has not been upgraded yet.
    pub first_deployment: bool,
    /// In whose manner it was written, so that it is written back the same.
    pub format: Format,
}

/// Upstream's `lastStableSpec`.
#[derive(Clone, Debug, PartialEq)]
pub enum Stable {
    /// Nothing was ever stable.
    None,
    /// The last reconciled spec is stable.
    Same,
    /// An older spec was.
    Other(Box<Reconciled>),
}

/// Upstream's `jobStatus`, without the snapshots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobRecord {
    /// Id of the job that `state` speaks of.
    pub id: Option<JobId>,
    /// Its name.
    pub name: Option<Arc<str>>,
    /// Its state, `None` before the first deploy.
    pub state: Option<FlinkJobState>,
    /// When it started, milliseconds since the epoch.
    pub started_at_ms: Option<i64>,
    /// When `state` last changed, milliseconds since the epoch.
    pub updated_at_ms: Option<i64>,
    /// Upstream's `upgradeSavepointPath`: what the next restore by path uses, and after it what the run was
    /// restored from.
    pub upgrade_savepoint_path: Option<Arc<str>>,
}

/// A completed savepoint on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavepointRecord {
    /// When it completed, milliseconds since the epoch.
    pub completed_at_ms: i64,
    /// Where it is, and its rank.
    pub snapshot: StoredSnapshot,
    /// Why it was taken.
    pub cause: SavepointCause,
    /// `CANONICAL` or `NATIVE`.
    pub format: SavepointFormat,
}

/// Why a savepoint was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SavepointCause {
    /// `savepointTriggerNonce`.
    Manual(i64),
    /// The periodic schedule.
    Periodic,
    /// A stop with savepoint.
    Upgrade,
    /// Written by somebody else.
    Unknown,
}

/// Savepoints taken, newest last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SavepointLog {
    /// Completed and not disposed of, oldest first.
    pub history: Vec<SavepointRecord>,
    /// When the last periodic one was triggered, milliseconds since the epoch; 0 for never.
    pub last_periodic_at_ms: i64,
}

/// Checkpoints triggered by us.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckpointLog {
    /// The last one that completed: when (milliseconds since the epoch) and the nonce that asked for it.
    pub last: Option<(i64, Option<i64>)>,
    /// When the last periodic one was triggered, milliseconds since the epoch; 0 for never.
    pub last_periodic_at_ms: i64,
}

/// Something wrong, as `status.error` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The reason of the event that goes with it.
    pub reason: Arc<str>,
    /// What is wrong, and where we know it, what to do.
    pub message: Arc<str>,
}

/// Counters of the health check as last evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthRecord {
    /// When `restarts` was taken as the start of the window, milliseconds since the epoch.
    pub window_started_at_ms: i64,
    /// Restart counter at the start of the window.
    pub restarts: i64,
    /// Completed checkpoints when they last rose.
    pub completed_checkpoints: i64,
    /// When they last rose, milliseconds since the epoch.
    pub completed_rose_at_ms: i64,
    /// The verdict.
    pub healthy: bool,
}

/// Why the resource is not at rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitRecord {
    /// A reason of the closed list [`crate::WaitingFor`].
    pub reason: Arc<str>,
    /// What evidence is missing and what happens when it comes.
    pub message: Arc<str>,
    /// Nothing but a person can end it.
    pub stalled: bool,
}

/// One condition with the moment of its last change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionRecord {
    /// `Running`, `Ready`, `Reconciling` or `Stalled`.
    pub kind: Arc<str>,
    /// Whether it holds.
    pub status: bool,
    /// A word of a closed list.
    pub reason: Arc<str>,
    /// A sentence.
    pub message: Arc<str>,
    /// When `status` last changed, milliseconds since the epoch.
    pub since_ms: i64,
    /// Generation it speaks of.
    pub observed_generation: i64,
}

impl Default for Journal {
    fn default() -> Journal {
        Journal {
            seq: 0,
            epoch: 0,
            intent: None,
            run: None,
            observed_generation: None,
            state: ReconciliationState::Upgrading,
            reconciled: None,
            stable: Stable::None,
            reconciled_at_ms: 0,
            job: JobRecord::default(),
            job_manager: JobManagerDeploymentStatus::Missing,
            savepoints: SavepointLog::default(),
            checkpoints: CheckpointLog::default(),
            error: None,
            cluster_info: Arc::default(),
            health: None,
            waiting: None,
            conditions: Vec::new(),
        }
    }
}

impl Journal {
    /// Whether a process that became leader after the term `epoch` has written it: whoever still holds that term
    /// has been deposed and does nothing more (S21).
    pub fn is_of_later_leader(&self, epoch: i64) -> bool {
        self.epoch > epoch
    }

    /// The spec that the last run really ran: the stable one while and after a rollback.
    pub fn deployed(&self) -> Option<&Reconciled> {
        match (self.state, &self.stable) {
            (ReconciliationState::RollingBack | ReconciliationState::RolledBack, Stable::Other(stable)) => {
                Some(stable)
            }
            _ => self.reconciled.as_ref(),
        }
    }

    /// The last stable spec.
    pub fn stable(&self) -> Option<&Reconciled> {
        match &self.stable {
            Stable::None => None,
            Stable::Same => self.reconciled.as_ref(),
            Stable::Other(stable) => Some(stable),
        }
    }

    /// How the last run ended, when it did.
    pub fn end(&self) -> Option<&End> {
        self.run.as_ref().and_then(|run| run.end.as_ref())
    }
}
