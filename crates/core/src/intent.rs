//! The write-ahead record: what we are about to do, put down in `status.intent` before it is done, with every id
//! chosen. After a crash the intent is read back and the world is asked whether it happened.

use std::sync::Arc;

use crate::{JobId, Restore, TriggerId};

/// One act that is not idempotent by nature, made so by the ids it carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// Number of the intent, rising by one for each of this resource.
    pub seq: i64,
    /// The resource's generation that asked for it.
    pub generation: i64,
    /// When it was first written, milliseconds since the epoch.
    pub started_at_ms: i64,
    /// How often its action was sent.
    pub attempts: u32,
    /// When its action was last sent, milliseconds since the epoch.
    pub attempted_at_ms: i64,
    /// What it is.
    pub kind: IntentKind,
}

/// What an intent does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IntentKind {
    /// Make the cluster that runs `job_id`, started from `restore`. Before that, remove what the high-availability
    /// store must not bring back.
    Deploy {
        /// Job id of the new run.
        job_id: JobId,
        /// Where its state comes from.
        restore: Restore,
        /// Which recorded spec it runs.
        target: DeployTarget,
    },
    /// Create what is missing of the cluster of the current run.
    Complete {
        /// The incarnation.
        cluster_uid: Arc<str>,
    },
    /// Give the cluster of the current run as many TaskManagers as the deployed spec says.
    Scale {
        /// The incarnation.
        cluster_uid: Arc<str>,
    },
    /// Stop the job with a savepoint.
    Stop {
        /// The job.
        job_id: JobId,
        /// Our id of the request.
        trigger_id: TriggerId,
        /// A directory for this savepoint alone, so that it can be found when the answer is lost.
        target_directory: Arc<str>,
        /// Send a final watermark first.
        drain: bool,
    },
    /// Cancel the job, keeping its checkpoints, and wait until it is CANCELED.
    Cancel {
        /// The job.
        job_id: JobId,
    },
    /// Take the cluster down and wait until nothing of it is alive.
    Teardown {
        /// The incarnation to take down.
        cluster_uid: Arc<str>,
    },
    /// Take a savepoint of the running job.
    Savepoint {
        /// The job.
        job_id: JobId,
        /// Our id of the request.
        trigger_id: TriggerId,
        /// A directory for this savepoint alone.
        target_directory: Arc<str>,
        /// Who asked.
        cause: SnapshotCause,
    },
    /// Take a checkpoint of the running job.
    Checkpoint {
        /// The job.
        job_id: JobId,
        /// Our id of the request.
        trigger_id: TriggerId,
        /// Who asked.
        cause: SnapshotCause,
    },
    /// Dispose of a savepoint that the history no longer keeps.
    Dispose {
        /// Its path.
        path: Arc<str>,
    },
}

/// Which recorded spec a deploy intent runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeployTarget {
    /// The last reconciled spec.
    Reconciled,
    /// The last stable spec: a rollback.
    Stable,
}

/// Who asked for a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotCause {
    /// A trigger nonce in the spec.
    Manual {
        /// The nonce that is handled by it.
        nonce: i64,
    },
    /// The periodic schedule.
    Periodic,
}

impl IntentKind {
    /// Whether the job goes on running under it.
    pub fn leaves_running(&self) -> bool {
        match self {
            IntentKind::Complete { .. }
            | IntentKind::Scale { .. }
            | IntentKind::Savepoint { .. }
            | IntentKind::Checkpoint { .. }
            | IntentKind::Dispose { .. } => true,
            IntentKind::Deploy { .. }
            | IntentKind::Stop { .. }
            | IntentKind::Cancel { .. }
            | IntentKind::Teardown { .. } => false,
        }
    }

    /// The name used in `status.intent.kind`.
    pub fn name(&self) -> &'static str {
        match self {
            IntentKind::Deploy { .. } => "Deploy",
            IntentKind::Complete { .. } => "Complete",
            IntentKind::Scale { .. } => "Scale",
            IntentKind::Stop { .. } => "StopWithSavepoint",
            IntentKind::Cancel { .. } => "Cancel",
            IntentKind::Teardown { .. } => "Teardown",
            IntentKind::Savepoint { .. } => "Savepoint",
            IntentKind::Checkpoint { .. } => "Checkpoint",
            IntentKind::Dispose { .. } => "DisposeSavepoint",
        }
    }
}
