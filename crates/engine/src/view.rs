//! What the engine can tell people beside what stands in the status: read-only, from memory.

use std::sync::Arc;
use std::time::Duration;

use drey_api::kinds::{JobManagerDeploymentStatus, LifecycleState};
use drey_core::WaitingFor;

/// One resource as the engine sees it now.
#[derive(Clone, Debug)]
pub struct ResourceView {
    /// Namespace of the FlinkDeployment.
    pub namespace: Arc<str>,
    /// Name of the FlinkDeployment.
    pub name: Arc<str>,
    /// `metadata.uid`.
    pub uid: Arc<str>,
    /// `metadata.generation` of the version that is known.
    pub generation: i64,
    /// What the last step came to, in a sentence; empty before the first step.
    pub sentence: Arc<str>,
    /// The last step found nothing under way.
    pub at_rest: bool,
    /// Why it waits and what for; `None` at rest.
    pub waiting: Option<(WaitingFor, Arc<str>)>,
    /// What is being done at this moment.
    pub acting: Option<&'static str>,
    /// Why the last step failed, when it did.
    pub error: Option<Arc<str>>,
    /// Why it is left alone, when it is.
    pub frozen: Option<Arc<str>>,
    /// In how long it is looked at again if nothing happens before.
    pub next_step_in: Option<Duration>,
    /// How long ago its JobManager was last asked.
    pub poll_age: Option<Duration>,
    /// Whether its JobManager answered then.
    pub reachable: Option<bool>,
    /// What the last step found; `None` before the first step.
    pub census: Option<Census>,
}

/// What is counted of a resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Census {
    /// Upstream's one word for the whole resource.
    pub lifecycle: LifecycleState,
    /// Upstream's status of the JobManager.
    pub job_manager: JobManagerDeploymentStatus,
    /// Upstream's `clusterInfo`: the version that the JobManager tells of itself.
    pub flink_version: Option<Arc<str>>,
    /// Upstream's `clusterInfo`: CPUs of JobManagers and TaskManagers.
    pub cpu: f64,
    /// Upstream's `clusterInfo`: memory of JobManagers and TaskManagers, bytes.
    pub memory_bytes: i64,
}

/// The engine as a whole.
#[derive(Clone, Debug)]
pub struct EngineView {
    /// Every list has been read once, so that `resources` are all there are.
    pub complete: bool,
    /// Every resource, by namespace and name.
    pub resources: Vec<ResourceView>,
}
