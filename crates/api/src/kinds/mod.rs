//! The four kinds of `flink.apache.org/v1beta1`, field for field as upstream serialises them, plus our
//! additions to the status (`intent`, `run`).
//!
//! Reading is tolerant of absent fields and of fields that this version does not know; it is strict
//! about types and enum values, and names the path of what it could not read. It refuses to know what
//! a spec means: that is [`crate::desired`].

mod blue_green;
mod deployment;
mod journal;
mod read;
mod session_job;
mod snapshot;
mod status;
mod text_enum;
mod version;

pub use blue_green::{
    BlueGreenState, FlinkBlueGreenDeployment, FlinkBlueGreenDeploymentSpec, FlinkBlueGreenDeploymentStatus,
    FlinkDeploymentTemplateSpec,
};
pub use deployment::{
    DeploymentMode, FlinkDeployment, FlinkDeploymentSpec, IngressSpec, IngressTls, JobManagerSpec, JobSpec,
    JobState, Quantity, Resource, ResourceClaim, ResourceRequirements, TaskManagerSpec, UpgradeMode,
};
pub use journal::{IntentRecord, RunEndRecord, RunRecord, SnapshotRecord};
pub use read::{ReadError, read};
pub use session_job::{FlinkSessionJob, FlinkSessionJobSpec, FlinkSessionJobStatus};
pub use snapshot::{
    CheckpointSpec, FlinkStateSnapshot, FlinkStateSnapshotSpec, FlinkStateSnapshotStatus, JobKind,
    JobReference, SavepointSpec, SnapshotState,
};
pub use status::{
    Checkpoint, CheckpointInfo, CheckpointType, Condition, FlinkDeploymentStatus, FlinkJobState,
    JobManagerDeploymentStatus, JobStatus, LifecycleState, ReconciliationState, ReconciliationStatus,
    Savepoint, SavepointFormat, SavepointInfo, SnapshotTriggerType, TaskManagerInfo,
};
pub use version::FlinkVersion;

/// API group of all four kinds.
pub const GROUP: &str = "flink.apache.org";

/// Annotation in which `kubectl apply` keeps what it applied last. It holds the whole object, secrets included.
pub const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Label whose value `true` marks a resource by which the Java operator proves its own health. Its spec may be absent, and
/// it is nobody's cluster.
pub const CANARY_LABEL: &str = "flink.apache.org/canary";
/// The only version of the group.
pub const VERSION: &str = "v1beta1";
/// `apiVersion` of all four kinds.
pub const API_VERSION: &str = "flink.apache.org/v1beta1";
/// Key that upstream's native client understands as "restore through high-availability data"; it is
/// also what stands in `upgradeSavepointPath` then.
pub const LAST_STATE_DUMMY_SAVEPOINT_PATH: &str = "KUBERNETES_OPERATOR_LAST_STATE";
