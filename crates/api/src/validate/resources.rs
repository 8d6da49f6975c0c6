//! The rules on memory, cpu and replicas of JobManager and TaskManagers.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::{Configuration, Problems};
use crate::desired::Problem;
use crate::effective::request_or_limit;
use crate::kinds::{FlinkVersion, JobManagerSpec, Quantity, Resource, ResourceRequirements, TaskManagerSpec};
use crate::memory::{Amount, parse_bytes};
use crate::options::high_availability;
use crate::process_memory;

/// One of the two processes, as upstream's texts and the spec name it.
#[derive(Clone, Copy)]
struct Component {
    name: &'static str,
    field: &'static str,
}

const JOB_MANAGER: Component = Component { name: "JobManager", field: "spec.jobManager" };
const TASK_MANAGER: Component = Component { name: "TaskManager", field: "spec.taskManager" };

impl Component {
    fn memory_problem(self) -> Problem {
        let Self { name, field } = self;
        Problem {
            field: field.to_owned(),
            message: format!(
                "{name} resource memory must be defined using `{field}.resource.memory` or \
                 `{field}.resources.requests.memory`"
            ),
            hint: Some(format!("such as `{field}.resource.memory: 2048m`")),
        }
    }
}

pub(crate) fn job_manager_memory_problem() -> Problem {
    JOB_MANAGER.memory_problem()
}

pub(crate) fn task_manager_memory_problem() -> Problem {
    TASK_MANAGER.memory_problem()
}

pub(super) fn job_manager(
    spec: Option<&JobManagerSpec>,
    configuration: &Configuration,
    problems: &mut Problems,
) {
    let resource = spec.and_then(|spec| spec.resource.as_ref());
    let requirements = spec.and_then(|spec| spec.resources.as_ref());
    let configured = || process_memory::job_manager(configuration).is_ok();
    memory_and_cpu(JOB_MANAGER, resource, requirements, configured, problems);
    let replicas = spec.map_or(1, |spec| spec.replicas);
    if replicas < 1 {
        problems
            .add("spec.jobManager.replicas", "JobManager replicas should not be configured less than one.");
    } else if replicas > 1 && !high_availability(configuration) {
        problems.hinted(
            "spec.jobManager.replicas",
            "High availability should be enabled when starting standby JobManagers.",
            "set `high-availability.type: kubernetes` and `high-availability.storageDir`",
        );
    }
}

pub(super) fn task_manager(
    spec: Option<&TaskManagerSpec>,
    configuration: &Configuration,
    version: FlinkVersion,
    problems: &mut Problems,
) {
    let resource = spec.and_then(|spec| spec.resource.as_ref());
    let requirements = spec.and_then(|spec| spec.resources.as_ref());
    let configured = || process_memory::task_manager(configuration, version).is_ok();
    memory_and_cpu(TASK_MANAGER, resource, requirements, configured, problems);
    if spec.and_then(|spec| spec.replicas).is_some_and(|replicas| replicas < 1) {
        problems
            .add("spec.taskManager.replicas", "TaskManager replicas should not be configured less than one.");
    }
}

fn memory_and_cpu(
    component: Component,
    resource: Option<&Resource>,
    requirements: Option<&ResourceRequirements>,
    configured: impl FnOnce() -> bool,
    problems: &mut Problems,
) {
    let in_resource = resource
        .and_then(|resource| resource.memory.as_deref())
        .is_some_and(|memory| !memory.trim().is_empty());
    let in_requirements =
        requirements.is_some_and(|requirements| request_or_limit(requirements, "memory").is_some());
    if !in_resource && !in_requirements && !configured() {
        problems.0.push(component.memory_problem());
    }
    if let Some(resource) = resource {
        deprecated_resource(component, resource, problems);
    }
    if let Some(requirements) = requirements {
        requirement_rules(component, requirements, problems);
    }
}

fn deprecated_resource(component: Component, resource: &Resource, problems: &mut Problems) {
    let Component { name, field } = component;
    if let Some(Err(error)) = resource.memory.as_deref().map(parse_bytes) {
        let field = format!("{field}.resource.memory");
        problems.add(&field, format!("{name} resource memory parse error: {error}"));
    }
    if let Some(Err(error)) = resource.ephemeral_storage.as_deref().map(Amount::parse) {
        let field = format!("{field}.resource.ephemeralStorage");
        problems.add(&field, format!("{name} resource ephemeral storage parse error: {error}"));
    }
}

fn requirement_rules(component: Component, requirements: &ResourceRequirements, problems: &mut Problems) {
    let mut errors = Vec::new();
    quantities(component, "requests", &requirements.requests, &mut errors);
    quantities(component, "limits", &requirements.limits, &mut errors);
    for name in ["cpu", "memory"] {
        errors.extend(request_above_limit(component, requirements, name));
    }
    if !errors.is_empty() {
        problems.add(&format!("{}.resources", component.field), errors.join("; "));
    }
}

fn quantities(
    component: Component,
    section: &str,
    quantities: &BTreeMap<String, Quantity>,
    errors: &mut Vec<String>,
) {
    for (name, Quantity(text)) in quantities {
        let told = format!("{} resource requirements {section} {name}", component.name);
        let sign = match name.as_str() {
            "memory" => parse_bytes(text).map(i64::signum).map_err(|error| error.to_string()),
            _ => Amount::parse(text)
                .map(|amount| i64::from(amount.signum() > 0) - i64::from(amount.signum() < 0))
                .map_err(|error| error.to_string()),
        };
        let must_be_positive = name == "memory" || name == "cpu";
        match sign {
            Err(error) => errors.push(format!("{told} parse error: {error}")),
            Ok(sign) if must_be_positive && sign <= 0 => {
                errors.push(format!("{told} must be positive: {text}"));
            }
            Ok(sign) if sign < 0 => errors.push(format!("{told} must not be negative: {text}")),
            Ok(_) => {}
        }
    }
}

/// Kubernetes would refuse the pod. Quantities that cannot be read are reported already.
fn request_above_limit(
    component: Component,
    requirements: &ResourceRequirements,
    name: &str,
) -> Option<String> {
    let (Quantity(request), Quantity(limit)) =
        (requirements.requests.get(name)?, requirements.limits.get(name)?);
    let order = if name == "memory" {
        parse_bytes(request).ok()?.cmp(&parse_bytes(limit).ok()?)
    } else {
        Amount::parse(request).ok()?.as_f64().total_cmp(&Amount::parse(limit).ok()?.as_f64())
    };
    (order == Ordering::Greater).then(|| {
        format!(
            "{} resource requirements {name} request ({request}) must not exceed its limit ({limit})",
            component.name
        )
    })
}
