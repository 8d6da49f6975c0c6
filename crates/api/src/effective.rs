//! The values of a cluster's configuration that follow from its spec, laid over what the user wrote.
//!
//! Keys and values are those that upstream hands to Flink. Files that a launcher has to write (pod
//! templates, logging) are not among them. Refuses to know whether the spec is valid.

use std::collections::BTreeMap;

use crate::desired::Context;
use crate::kinds::{
    DeploymentMode, FlinkDeploymentSpec, FlinkVersion, JobSpec, Quantity, Resource, ResourceRequirements,
    UpgradeMode,
};
use crate::memory::{Amount, format_bytes, parse_bytes};
use crate::number;
use crate::options;

type Configuration = BTreeMap<String, String>;

pub(crate) const SLOTS: &str = "taskmanager.numberOfTaskSlots";
const TASK_MANAGER_REPLICAS: &str = "kubernetes.internal.taskmanager.replicas";
const PARALLELISM_OVERRIDES: &str = "pipeline.jobvertex-parallelism-overrides";

/// Lays the derived values over defaults and user configuration.
pub(crate) fn derive(
    mut configuration: Configuration,
    spec: &FlinkDeploymentSpec,
    version: FlinkVersion,
    context: &Context<'_>,
) -> Configuration {
    set_default(&mut configuration, "kubernetes.rest-service.exposed.type", "ClusterIP");
    set_default(&mut configuration, "web.cancel.enable", "false");
    set(&mut configuration, "$internal.flink.version", version.as_str());
    image(&mut configuration, spec, version);
    if let Some(account) = &spec.service_account {
        set(&mut configuration, "kubernetes.service-account", account);
    }
    if let Some(manager) = &spec.job_manager {
        resources(
            &mut configuration,
            "jobmanager",
            manager.resources.as_ref(),
            manager.resource.as_ref(),
            version,
        );
        if manager.replicas > 0 {
            set(&mut configuration, "kubernetes.jobmanager.replicas", &manager.replicas.to_string());
        }
    }
    task_managers(&mut configuration, spec, version);
    match &spec.job {
        Some(job) => application(&mut configuration, spec, job, context.name),
        None => set(&mut configuration, "execution.target", "kubernetes-session"),
    }
    if spec.deployment_mode() == DeploymentMode::Standalone {
        standalone(&mut configuration, spec.job.as_ref());
    }
    set(&mut configuration, "kubernetes.namespace", context.namespace);
    set(&mut configuration, "kubernetes.cluster-id", context.name);
    if options::high_availability(&configuration) {
        set(&mut configuration, "high-availability.cluster-id", context.name);
    }
    configuration
}

fn image(configuration: &mut Configuration, spec: &FlinkDeploymentSpec, version: FlinkVersion) {
    if let Some(image) = spec.image.as_ref().filter(|image| !image.trim().is_empty()) {
        let key = if version >= FlinkVersion::V1_17 {
            "kubernetes.container.image.ref"
        } else {
            "kubernetes.container.image"
        };
        set(configuration, key, image);
    }
    if let Some(policy) = spec.image_pull_policy.as_ref().filter(|policy| !policy.trim().is_empty()) {
        set(configuration, "kubernetes.container.image.pull-policy", policy);
    }
}

fn resources(
    configuration: &mut Configuration,
    process: &str,
    requirements: Option<&ResourceRequirements>,
    resource: Option<&Resource>,
    version: FlinkVersion,
) {
    match (requirements.filter(|requirements| is_used(requirements)), resource) {
        (Some(requirements), _) => {
            let wanted = |name: &str| request_or_limit(requirements, name);
            memory(configuration, process, wanted("memory").map(|quantity| quantity.0.as_str()));
            let cores = wanted("cpu").and_then(|quantity| Amount::parse(&quantity.0).ok());
            cpu(configuration, process, cores.map(Amount::as_f64), version);
            limit_factor(configuration, process, requirements, "cpu");
            limit_factor(configuration, process, requirements, "memory");
        }
        (None, Some(resource)) => {
            memory(configuration, process, resource.memory.as_deref());
            cpu(configuration, process, resource.cpu, version);
        }
        (None, None) => {}
    }
}

/// An empty `resources: {}` does not hide the deprecated `resource`.
pub(crate) fn is_used(requirements: &ResourceRequirements) -> bool {
    !requirements.requests.is_empty() || !requirements.limits.is_empty()
}

/// Kubernetes takes a missing request from the limit, and so does upstream.
pub(crate) fn request_or_limit<'a>(
    requirements: &'a ResourceRequirements,
    name: &str,
) -> Option<&'a Quantity> {
    requirements.requests.get(name).or_else(|| requirements.limits.get(name))
}

fn memory(configuration: &mut Configuration, process: &str, size: Option<&str>) {
    if let Some(bytes) = size.and_then(|size| parse_bytes(size).ok()) {
        set(configuration, &format!("{process}.memory.process.size"), &format_bytes(bytes));
    }
}

fn cpu(configuration: &mut Configuration, process: &str, cores: Option<f64>, version: FlinkVersion) {
    if let Some(cores) = cores {
        let text = number::double_text(cores);
        set(configuration, &format!("kubernetes.{process}.cpu.amount"), &text);
        if version < FlinkVersion::V1_17 {
            set(configuration, &format!("kubernetes.{process}.cpu"), &text);
        }
    }
}

fn limit_factor(
    configuration: &mut Configuration,
    process: &str,
    requirements: &ResourceRequirements,
    name: &str,
) {
    let amount = |quantities: &BTreeMap<String, Quantity>| {
        quantities.get(name).and_then(|quantity| Amount::parse(&quantity.0).ok()).map(Amount::as_f64)
    };
    if let (Some(request), Some(limit)) = (amount(&requirements.requests), amount(&requirements.limits))
        && request > 0.0
    {
        let key = format!("kubernetes.{process}.{name}.limit-factor");
        set(configuration, &key, &number::double_text(limit / request));
    }
}

fn task_managers(configuration: &mut Configuration, spec: &FlinkDeploymentSpec, version: FlinkVersion) {
    if let Some(manager) = &spec.task_manager {
        let (requirements, resource) = (manager.resources.as_ref(), manager.resource.as_ref());
        resources(configuration, "taskmanager", requirements, resource, version);
        if let Some(replicas) = manager.replicas.filter(|replicas| *replicas > 0) {
            set(configuration, TASK_MANAGER_REPLICAS, &replicas.to_string());
        }
    }
    if let Some(job) = &spec.job
        && spec.deployment_mode() == DeploymentMode::Standalone
        && !configuration.contains_key(TASK_MANAGER_REPLICAS)
    {
        let replicas = needed_task_managers(parallelism(configuration, spec, job), slots(configuration));
        set(configuration, TASK_MANAGER_REPLICAS, &replicas.to_string());
    }
}

fn application(configuration: &mut Configuration, spec: &FlinkDeploymentSpec, job: &JobSpec, name: &str) {
    set(configuration, "execution.target", "kubernetes-application");
    if let (DeploymentMode::Native, Some(jar)) = (spec.deployment_mode(), &job.jar_uri) {
        set(configuration, "pipeline.jars", &list([jar.as_str()]));
    }
    let parallelism = parallelism(configuration, spec, job);
    set(configuration, "parallelism.default", &parallelism.to_string());
    // The JobManager has to outlive its job, so that the job's last state can be read.
    set(configuration, "execution.shutdown-on-application-finish", "false");
    set_default(configuration, "execution.submit-failed-job-on-application-error", "true");
    set_default(configuration, "pipeline.name", name);
    if job.upgrade_mode == UpgradeMode::LastState {
        set_default(configuration, "execution.checkpointing.interval", "5 min");
    }
    set_default(
        configuration,
        "execution.checkpointing.externalized-checkpoint-retention",
        "RETAIN_ON_CANCELLATION",
    );
    if let Some(allowed) = job.allow_non_restored_state {
        set(configuration, "execution.savepoint.ignore-unclaimed-state", &allowed.to_string());
    }
    if let Some(entry_class) = &job.entry_class {
        set(configuration, "$internal.application.main", entry_class);
    }
    set(configuration, "$internal.application.program-args", &list(job.args.iter().map(String::as_str)));
}

fn standalone(configuration: &mut Configuration, job: Option<&JobSpec>) {
    set(configuration, "execution.target", "remote");
    let cluster_mode = if job.is_some() { "APPLICATION" } else { "SESSION" };
    set(configuration, "kubernetes.internal.cluster-mode", cluster_mode);
    if let Some(jar) = job.and_then(|job| job.jar_uri.as_deref()) {
        // A standalone JobManager knows files only; in the image both mean the same.
        let path = jar.strip_prefix("local:").map_or_else(|| jar.to_owned(), |path| format!("file:{path}"));
        set(configuration, "pipeline.classpaths", &list([path.as_str()]));
    }
}

/// Parallelism that the job gets: what the TaskManagers hold if their number is given, else in standalone
/// mode the largest override of a vertex, else as the job says.
pub(crate) fn parallelism(configuration: &Configuration, spec: &FlinkDeploymentSpec, job: &JobSpec) -> i32 {
    if let Some(replicas) = spec.task_manager.as_ref().and_then(|manager| manager.replicas) {
        return replicas.saturating_mul(slots(configuration));
    }
    let overridden = || {
        let overrides = configuration.get(PARALLELISM_OVERRIDES)?;
        overrides.split(',').filter_map(|pair| pair.rsplit_once(':')?.1.trim().parse::<i32>().ok()).max()
    };
    match spec.deployment_mode() {
        DeploymentMode::Standalone => overridden().filter(|width| *width > 0).unwrap_or(job.parallelism),
        DeploymentMode::Native => job.parallelism,
    }
}

/// Slots of each TaskManager; 1 where none or nonsense is given, which validation reports.
pub(crate) fn slots(configuration: &Configuration) -> i32 {
    configuration
        .get(SLOTS)
        .and_then(|slots| slots.trim().parse().ok())
        .filter(|slots| *slots > 0)
        .unwrap_or(1)
}

/// TaskManagers that hold a parallelism.
pub(crate) fn needed_task_managers(parallelism: i32, slots: i32) -> i32 {
    let (parallelism, slots) = (i64::from(parallelism.max(0)), i64::from(slots.max(1)));
    i32::try_from((parallelism + slots - 1) / slots).expect("at most the parallelism, which is an i32")
}

/// A list as Flink's configuration writes it: joined by `;`, entries quoted where they need it.
fn list<'a>(entries: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = entries
        .into_iter()
        .map(|entry| {
            if entry.contains([';', '\'', '"']) {
                format!("'{}'", entry.replace('\'', "''"))
            } else {
                entry.to_owned()
            }
        })
        .collect();
    quoted.join(";")
}

fn set(configuration: &mut Configuration, key: &str, value: &str) {
    configuration.insert(key.to_owned(), value.to_owned());
}

fn set_default(configuration: &mut Configuration, key: &str, value: &str) {
    configuration.entry(key.to_owned()).or_insert_with(|| value.to_owned());
}
