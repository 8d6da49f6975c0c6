//! The answer of a step: what to write down, what to do, what to say, and when to look again.

use std::sync::Arc;

use drey_api::desired::Desired;
use drey_api::kinds::SavepointFormat;

use crate::journal::Journal;
use crate::{JobId, Restore, TriggerId};

/// What one step came to.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The journal to write before anything is done. Equal to the one that came in when nothing changed.
    pub journal: Journal,
    /// The one thing to do, after the journal is written.
    pub action: Option<Action>,
    /// The step needs evidence read from its source now: observe with `live`, and decide again. Then `action` is
    /// `None` and the journal is unchanged.
    pub look_closer: bool,
    /// What to tell users.
    pub events: Vec<Event>,
    /// How closely the JobManager is to be watched.
    pub pace: Pace,
    /// When to step again if nothing happens before, in milliseconds.
    pub wake_after_ms: i64,
}

/// An effect on the world. Repeating one is harmless: each names what it acts upon by uid, job id or trigger id.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Put our finalizer on the resource.
    AddFinalizer,
    /// Take our finalizer off; the resource goes away.
    RemoveFinalizer,
    /// Create the cluster. An existing one with the same name is left alone, whoever made it.
    Deploy(Box<Deployment>),
    /// Create what is missing of the cluster with this uid. Another cluster is left alone, and none is created.
    Complete {
        /// The incarnation.
        cluster_uid: Arc<str>,
        /// What it was made from.
        deployment: Box<Deployment>,
    },
    /// Let the cluster with this uid have this many TaskManagers. Another cluster is left alone.
    Scale {
        /// The incarnation.
        cluster_uid: Arc<str>,
        /// How many, at least one.
        task_managers: i32,
    },
    /// Delete exactly these high-availability ConfigMaps, as (name, uid).
    DeleteHighAvailability(Vec<(Arc<str>, Arc<str>)>),
    /// Remove the job graphs from these ConfigMaps, as (name, resourceVersion).
    StripJobGraphs(Vec<(Arc<str>, Arc<str>)>),
    /// `POST /jobs/:id/stop`.
    Stop {
        /// The job.
        job_id: JobId,
        /// Our id of the request.
        trigger_id: TriggerId,
        /// The savepoint's own directory.
        target_directory: Arc<str>,
        /// Send a final watermark first.
        drain: bool,
        /// Format of the savepoint.
        format: SavepointFormat,
    },
    /// `PATCH /jobs/:id?mode=cancel`.
    Cancel {
        /// The job.
        job_id: JobId,
    },
    /// `POST /jobs/:id/savepoints`.
    Savepoint {
        /// The job.
        job_id: JobId,
        /// Our id of the request.
        trigger_id: TriggerId,
        /// The savepoint's own directory.
        target_directory: Arc<str>,
        /// Format of the savepoint.
        format: SavepointFormat,
    },
    /// `POST /jobs/:id/checkpoints`.
    Checkpoint {
        /// The job.
        job_id: JobId,
        /// Our id of the request.
        trigger_id: TriggerId,
    },
    /// `POST /savepoint-disposal`. Flink chooses the id of this request, so that its outcome is remembered in
    /// memory by whoever sent it and shown as `Rest::operation` of the intent; forgotten, it is sent again.
    Dispose {
        /// The savepoint.
        path: Arc<str>,
    },
    /// Delete the cluster with this uid and everything that belongs to it, except high-availability data.
    DeleteCluster {
        /// The incarnation.
        uid: Arc<str>,
    },
}

/// A cluster to create.
#[derive(Clone, Debug, PartialEq)]
pub struct Deployment {
    /// Number of the intent; recorded on the cluster as annotation `drey.dev/intent`.
    pub seq: i64,
    /// Generation of the resource; recorded on the cluster as upstream does.
    pub generation: i64,
    /// The spec to run.
    pub desired: Arc<Desired>,
    /// Job id of the run.
    pub job_id: JobId,
    /// Where its state comes from.
    pub restore: Restore,
    /// Pass `--allowNonRestoredState`.
    pub allow_non_restored_state: bool,
}

impl Action {
    /// Whether the action may be performed only on evidence read live in the same step.
    pub fn needs_live_read(&self) -> bool {
        match self {
            Action::RemoveFinalizer
            | Action::Deploy(_)
            | Action::DeleteHighAvailability(_)
            | Action::StripJobGraphs(_)
            | Action::DeleteCluster { .. } => true,
            Action::AddFinalizer
            | Action::Complete { .. }
            | Action::Scale { .. }
            | Action::Stop { .. }
            | Action::Cancel { .. }
            | Action::Savepoint { .. }
            | Action::Checkpoint { .. }
            | Action::Dispose { .. } => false,
        }
    }
}

/// How closely a JobManager is to be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Something is under way.
    Fast,
    /// At rest.
    Slow,
}

/// One Kubernetes event, in upstream's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Upstream's reason, such as `SpecChanged`.
    pub reason: &'static str,
    /// Normal or Warning.
    pub kind: EventKind,
    /// Upstream's component: `Operator`, `JobManagerDeployment`, `Job` or `Snapshot`.
    pub component: &'static str,
    /// The message.
    pub message: String,
}

/// Type of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// Something went as it should.
    Normal,
    /// Something needs attention.
    Warning,
}

/// Why a resource is not at rest, with the evidence that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// For what.
    pub what: WaitingFor,
    /// The sentence.
    pub message: String,
}

macro_rules! waiting_for {
    ($($(#[doc = $doc:literal])+ $name:ident $stalled:literal),+ $(,)?) => {
        /// The closed list of reasons for waiting: reason of the conditions `Reconciling` and `Stalled`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum WaitingFor { $($(#[doc = $doc])+ $name),+ }

        impl WaitingFor {
            /// Every reason.
            pub const ALL: &[WaitingFor] = &[$(WaitingFor::$name),+];

            /// The word in the condition.
            pub fn as_str(self) -> &'static str {
                match self { $(WaitingFor::$name => stringify!($name)),+ }
            }

            /// Whether only a person can end it.
            pub fn is_stalled(self) -> bool {
                match self { $(WaitingFor::$name => $stalled),+ }
            }
        }
    };
}

waiting_for! {
    /// The cluster's objects or processes could not be looked at.
    ClusterNotKnown false,
    /// The JobManager is starting.
    JobManagerStarting false,
    /// The JobManager cannot start.
    JobManagerFailing false,
    /// The JobManager does not answer.
    JobManagerUnreachable false,
    /// The job is not RUNNING yet.
    JobStarting false,
    /// The job is not RUNNING, so no savepoint can be taken, and falling back to the last checkpoint is not allowed.
    JobNotRunning false,
    /// The job restarts after a failure.
    JobRestarting false,
    /// A stop with savepoint is under way.
    SavepointBeforeStop false,
    /// The job is being cancelled.
    JobCancelling false,
    /// The old cluster is going away.
    ClusterTerminating false,
    /// The new cluster is being created.
    ClusterCreating false,
    /// The cluster is given another number of TaskManagers.
    Scaling false,
    /// A savepoint or checkpoint is under way.
    SnapshotInProgress false,
    /// A checkpoint young enough for the upgrade is under way.
    CheckpointInProgress false,
    /// What the next run is restored from is not known yet.
    RestoreSourceNotKnown false,
    /// Storage could not be read.
    StorageNotKnown false,
    /// No reachable snapshot is provably the newest one.
    ManualRestoreRequired true,
    /// The spec is refused.
    InvalidSpec true,
    /// The job failed and is not restarted.
    JobFailed true,
    /// A session cluster, which is not acted upon yet.
    SessionCluster true,
    /// A cluster of that name belongs to somebody else.
    NameTaken true,
    /// The action was refused.
    ActionRefused false,
    /// An invariant was broken; this resource is frozen.
    Frozen true,
}
