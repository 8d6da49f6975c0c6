//! From a spec to what is wanted: parsed, validated, with the effective configuration.
//!
//! ```text
//!   defaults (namespace, version) ─► spec.flinkConfiguration ─► values derived from the spec
//!                                            │ rules                     │
//!                                            ▼                           ▼
//!                                         Problems           Options, Desired.configuration
//! ```
//! The raw spec stops here. Refuses to know what is running.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::configuration::flatten;
use crate::defaults::Defaults;
use crate::effective;
use crate::kinds::{DeploymentMode, FlinkDeploymentSpec, FlinkVersion};
use crate::memory::parse_bytes;
use crate::options::Options;
use crate::process_memory;
use crate::reconciled::Reconciled;
use crate::validate;

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
    /// TaskManagers: as given, or as many as the parallelism needs. A session cluster without a number
    /// has 0 in native mode, where Flink starts them as jobs come, and 1 in standalone mode.
    pub task_manager_replicas: i32,
    /// Parallelism that the job gets; 0 for a session cluster.
    pub parallelism: i32,
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
    /// Upstream's text, where upstream has the rule.
    pub message: String,
    /// How to fix it, when that can be said.
    pub hint: Option<String>,
}

/// Parses and validates a spec.
///
/// # Errors
/// Every broken rule, the first as upstream would report it.
pub fn parse(spec: &FlinkDeploymentSpec, context: &Context<'_>) -> Result<Desired, Invalid> {
    let mut errors = Vec::new();
    let mut configuration = context.defaults.effective(context.namespace, spec.flink_version);
    match spec.flink_configuration.as_ref().map(flatten).transpose() {
        Ok(flat) => configuration.extend(flat.unwrap_or_default()),
        Err(error) => errors.push(Problem {
            field: "spec.flinkConfiguration".to_owned(),
            message: error.to_string(),
            hint: None,
        }),
    }
    errors.extend(validate::deployment(spec, context, &configuration));
    let Some(version) = spec.flink_version else {
        return Err(Invalid { errors });
    };
    let full = effective::derive(configuration, spec, version, context);
    let options = Options::from_configuration(&full).unwrap_or_else(|invalid| {
        errors.extend(invalid.iter().map(validate::option_problem));
        Options::default()
    });
    let memory = memory(&full, version).map_err(|problem| {
        // The rules on memory name the same field; what is left are sizes that only fit on paper.
        if !errors.iter().any(|error| error.field.starts_with(&problem.field)) {
            errors.push(problem);
        }
    });
    match memory {
        Ok(memory) if errors.is_empty() => Ok(assemble(spec, version, options, full, memory)),
        Ok(_) | Err(()) => Err(Invalid { errors }),
    }
}

/// Process memory of JobManager and TaskManagers, bytes. A process size that is given is taken as it is,
/// as upstream does.
fn memory(configuration: &BTreeMap<String, String>, version: FlinkVersion) -> Result<[i64; 2], Problem> {
    let given = |key: &str| configuration.get(key).and_then(|size| parse_bytes(size).ok());
    let job_manager = given("jobmanager.memory.process.size")
        .map_or_else(|| process_memory::job_manager(configuration), Ok)
        .map_err(|process_memory::Undefined| validate::job_manager_memory_problem())?;
    let task_manager = given("taskmanager.memory.process.size")
        .map_or_else(|| process_memory::task_manager(configuration, version), Ok)
        .map_err(|process_memory::Undefined| validate::task_manager_memory_problem())?;
    Ok([job_manager, task_manager])
}

fn assemble(
    spec: &FlinkDeploymentSpec,
    flink_version: FlinkVersion,
    options: Options,
    full: BTreeMap<String, String>,
    [job_manager_memory_bytes, task_manager_memory_bytes]: [i64; 2],
) -> Desired {
    let mode = spec.deployment_mode();
    let slots = effective::slots(&full);
    let parallelism = spec.job.as_ref().map_or(0, |job| effective::parallelism(&full, spec, job));
    let given = spec.task_manager.as_ref().and_then(|manager| manager.replicas);
    let needed = match (&spec.job, mode) {
        (Some(_), _) => effective::needed_task_managers(parallelism, slots),
        (None, DeploymentMode::Native) => 0,
        (None, DeploymentMode::Standalone) => 1,
    };
    Desired {
        spec: Arc::new(spec.clone()),
        flink_version,
        mode,
        options,
        job_manager_memory_bytes,
        task_manager_memory_bytes,
        slots,
        task_manager_replicas: given.unwrap_or(needed),
        parallelism,
        configuration: Arc::new(without_operator_keys(full)),
    }
}

fn without_operator_keys(mut configuration: BTreeMap<String, String>) -> BTreeMap<String, String> {
    configuration
        .retain(|key, _| !key.starts_with("kubernetes.operator.") && !key.starts_with("job.autoscaler."));
    configuration
}
