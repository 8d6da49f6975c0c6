//! Flink as the fake world has it: JobManagers that boot, jobs that restore, checkpoint, fail over, stop with a
//! savepoint, fail for good and clean up after themselves as slowly as they please. It follows what was measured of
//! the real one, and is nastier in its timing.

use std::sync::Arc;

use drey_api::kinds::{FlinkJobState, FlinkVersion};
use drey_core::{JobId, Restore};

use crate::world::ResultKey;

/// A snapshot somewhere in storage.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Place in the order of all progress of this world: the higher, the more state.
    pub order: u64,
    /// Flink's checkpoint id.
    pub checkpoint_id: u64,
    /// The job that took it.
    pub job_id: JobId,
    /// Lineage of the resource that it belongs to.
    pub lineage: u32,
    /// Its path.
    pub path: Arc<str>,
    /// The directory that was asked for.
    pub directory: Arc<str>,
    /// What it was taken for.
    pub kind: SnapshotKind,
    /// Asked for by a person's nonce.
    pub manual: bool,
    /// It has its `_metadata`.
    pub complete: bool,
    /// Its files are gone.
    pub disposed: bool,
    /// A stop's, which Flink itself went on without, from an older checkpoint.
    pub passed_over: bool,
}

/// What a snapshot was taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotKind {
    /// Flink's own recovery.
    Checkpoint,
    /// A copy of a job that goes on. Flink never recovers from one by itself (FLIP-203).
    Savepoint,
    /// The stop of the job.
    StopSavepoint,
}

/// A JobManager process with its application.
#[derive(Clone, Debug)]
pub struct JobManager {
    /// Uid of the cluster that it belongs to.
    pub cluster_uid: Arc<str>,
    /// Number of the intent that made the cluster.
    pub seq: i64,
    /// Resource that it belongs to.
    pub owner: Arc<str>,
    /// Lineage of the resource that its snapshots belong to.
    pub lineage: u32,
    /// Job id of the application.
    pub job_id: JobId,
    /// Arguments of the start.
    pub restore: Restore,
    /// Flink version.
    pub version: FlinkVersion,
    /// Whether it keeps checkpoints in the high-availability store.
    pub high_availability: bool,
    /// How it misbehaves.
    pub flaw: Flaw,
    /// Everything exists that it needs to start.
    pub whole: bool,
    /// How many TaskManagers its cluster is to have, in standalone mode.
    pub task_managers: Option<i32>,
    /// Restarts of the process.
    pub boots: u32,
    /// Up and answering, or still booting.
    pub up: bool,
    /// It was up at least once.
    pub ever_up: bool,
    /// It does not answer at the moment.
    pub hung: bool,
    /// The job, once submitted.
    pub job: Option<Job>,
    /// Operations that it knows of; forgotten with the process.
    pub operations: Vec<Operation>,
    /// Savepoints of stops that were complete when an earlier process of it died, before the job had ended with them.
    pub unheard: Vec<usize>,
    /// The newest snapshot it remembers of its own job: what `/checkpoints` tells.
    pub newest: Option<usize>,
}

/// What is wrong with a deployed spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing.
    None,
    /// The image cannot be pulled: the JobManager never comes up.
    Image,
    /// `main` throws: the job is FAILED as soon as it is submitted.
    Main,
}

/// A job.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its state.
    pub state: FlinkJobState,
    /// What it was restored from last.
    pub from: Option<usize>,
    /// The next checkpoint id.
    pub next_checkpoint_id: u64,
    /// The restore was checked by the oracle (once for each incarnation).
    pub started: bool,
}

/// An asynchronous operation.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The client's id.
    pub trigger: Arc<str>,
    /// What it does.
    pub kind: OperationKind,
    /// Where the savepoint goes.
    pub directory: Arc<str>,
    /// How far it is.
    pub phase: Phase,
    /// A person asked for it.
    pub manual: bool,
}

impl Operation {
    /// The savepoint with which the job has not ended yet.
    pub fn saved(&self) -> Option<usize> {
        match self.phase {
            Phase::Saved(snapshot) => Some(snapshot),
            Phase::Pending | Phase::Done(_) | Phase::Failed => None,
        }
    }
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationKind {
    /// Stop with savepoint.
    Stop,
    /// Savepoint.
    Savepoint,
    /// Checkpoint.
    Checkpoint,
}

/// How far an operation is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Under way.
    Pending,
    /// A stop whose savepoint is complete while the job has not ended yet.
    Saved(usize),
    /// Completed.
    Done(Option<usize>),
    /// Failed.
    Failed,
}

/// The checkpoint store of one job in high availability.
#[derive(Clone, Debug)]
pub struct Store {
    /// The job.
    pub job_id: JobId,
    /// Uid of its ConfigMap.
    pub uid: Arc<str>,
    /// Completed checkpoints, oldest first: indices of snapshots.
    pub checkpoints: Vec<usize>,
    /// When the ConfigMap was made.
    pub created_at_ms: i64,
    /// The job is terminal: clean-up will come.
    pub clean_up: bool,
    /// The next checkpoint id, which survives the process.
    pub counter: u64,
}

impl JobManager {
    /// The job's state, when there is a job.
    pub fn state(&self) -> Option<FlinkJobState> {
        self.job.as_ref().map(|job| job.state)
    }

    /// Where its end is written down.
    pub fn result_key(&self) -> ResultKey {
        (self.owner.clone(), self.seq, self.job_id.clone())
    }

    /// Whether the job may emit results or complete a snapshot.
    pub fn may_emit(&self) -> bool {
        self.job.as_ref().is_some_and(|job| {
            matches!(
                job.state,
                FlinkJobState::Running
                    | FlinkJobState::Restarting
                    | FlinkJobState::Failing
                    | FlinkJobState::Cancelling
                    | FlinkJobState::Created
                    | FlinkJobState::Initializing
            )
        })
    }
}
