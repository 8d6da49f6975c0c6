//! The rules of a FlinkDeployment, in upstream's order and with upstream's texts.
//!
//! Upstream stops at the first broken rule; here all are told, the first one first. What upstream only
//! notices while it builds a cluster (a value that cannot be read, a jar that is no URI) comes last.
//! Refuses to know anything but the spec, the one before it and the configuration.

mod autoscaler;
mod resources;

use std::collections::BTreeMap;

use crate::configuration::{first_of, parse_boolean};
use crate::desired::{Context, Problem};
use crate::effective::SLOTS;
use crate::ingress_template;
use crate::kinds::{
    DeploymentMode, FlinkDeploymentSpec, FlinkVersion, IngressSpec, JobSpec, JobState, UpgradeMode,
};
use crate::operator::keys as operator;
use crate::options::{OptionError, high_availability, keys};

pub(crate) use resources::{job_manager_memory_problem, task_manager_memory_problem};

type Configuration = BTreeMap<String, String>;

const NAME_LENGTH_MAX: usize = 45;
const FORBIDDEN_KEYS: [&str; 3] =
    ["kubernetes.namespace", "kubernetes.cluster-id", "high-availability.cluster-id"];
const LOG_FILES: [&str; 2] = ["log4j-console.properties", "logback-console.xml"];
const PULL_POLICIES: [&str; 3] = ["IfNotPresent", "Always", "Never"];

/// Every broken rule. The configuration is that of defaults and user, without derived values.
pub(crate) fn deployment(
    spec: &FlinkDeploymentSpec,
    context: &Context<'_>,
    configuration: &Configuration,
) -> Vec<Problem> {
    let mut problems = Problems::default();
    name(context.name, &mut problems);
    flink_version(spec, context, &mut problems);
    flink_configuration(configuration, &mut problems);
    if let Some(spec) = &spec.ingress {
        ingress(spec, context, &mut problems);
    }
    log_configuration(spec, &mut problems);
    if let Some(job) = &spec.job {
        job_rules(job, spec, configuration, &mut problems);
    }
    resources::job_manager(spec.job_manager.as_ref(), configuration, &mut problems);
    let version = spec.flink_version.unwrap_or(FlinkVersion::V1_20);
    resources::task_manager(spec.task_manager.as_ref(), configuration, version, &mut problems);
    spec_change(spec, context, &mut problems);
    if spec.service_account.is_none() {
        problems.hinted(
            "spec.serviceAccount",
            "spec.serviceAccount must be defined. If you use helm, its value should be the same with the \
             name of jobServiceAccount.",
            "set `serviceAccount: flink`, the name that the chart gives it",
        );
    }
    autoscaler::rules(configuration, &mut problems);
    buildable(spec, configuration, &mut problems);
    problems.0
}

/// Collects broken rules in order.
#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, field: &str, message: impl Into<String>) {
        self.0.push(Problem { field: field.to_owned(), message: message.into(), hint: None });
    }

    fn hinted(&mut self, field: &str, message: impl Into<String>, hint: impl Into<String>) {
        let hint = Some(hint.into());
        self.0.push(Problem { field: field.to_owned(), message: message.into(), hint });
    }
}

/// An option that cannot be read, in Flink's words.
pub(crate) fn option_problem(error: &OptionError) -> Problem {
    Problem {
        message: format!("Could not parse value '{}' for key '{}'.", error.value, error.key),
        field: format!("spec.flinkConfiguration[{}]", error.key),
        hint: Some(format!("expected {}", error.expected)),
    }
}

fn option_field(key: &str) -> String {
    format!("spec.flinkConfiguration[{key}]")
}

fn name(name: &str, problems: &mut Problems) {
    if !is_deployment_name(name) {
        problems.add(
            "metadata.name",
            format!(
                "The FlinkDeployment name: {name} is invalid, must consist of lower case alphanumeric \
                 characters or '-', start with an alphabetic character, and end with an alphanumeric \
                 character (e.g. 'my-name',  or 'abc-123'), and the length must be no more than \
                 {NAME_LENGTH_MAX} characters."
            ),
        );
    }
}

fn is_deployment_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=NAME_LENGTH_MAX).contains(&bytes.len())
        && bytes.first().is_some_and(u8::is_ascii_lowercase)
        && bytes.last().is_some_and(plain)
        && bytes.iter().all(|byte| plain(byte) || *byte == b'-')
}

fn flink_version(spec: &FlinkDeploymentSpec, context: &Context<'_>, problems: &mut Problems) {
    const FIELD: &str = "spec.flinkVersion";
    let Some(version) = spec.flink_version else {
        return problems.hinted(FIELD, "Flink Version must be defined.", "such as `flinkVersion: v1_20`");
    };
    if !version.supported() {
        let message = format!("Flink version {version} is not supported by this operator version");
        return problems.hinted(FIELD, message, "the oldest supported version is `v1_15`");
    }
    let stateful = spec.job.as_ref().is_some_and(|job| job.upgrade_mode != UpgradeMode::Stateless);
    let last = context.last.map(|last| &last.spec);
    let suspended_by_last_state = last
        .and_then(|last| last.job.as_ref())
        .is_some_and(|job| job.state == JobState::Suspended && job.upgrade_mode == UpgradeMode::LastState);
    let changed = last.is_some_and(|last| last.flink_version != spec.flink_version);
    if stateful && suspended_by_last_state && changed {
        problems.add(
            FIELD,
            "Changing flinkVersion after last-state suspend is not allowed. Restore your cluster with the \
             current flinkVersion and perform the version upgrade afterwards.",
        );
    }
}

fn flink_configuration(configuration: &Configuration, problems: &mut Problems) {
    for key in FORBIDDEN_KEYS.into_iter().filter(|key| configuration.contains_key(*key)) {
        let hint = "remove it: it follows from the name and namespace of the resource";
        problems.hinted(&option_field(key), format!("Forbidden Flink config key: {key}"), hint);
    }
    if is_on(configuration, operator::ROLLBACK.names, false) && !high_availability(configuration) {
        problems.hinted(
            &option_field(operator::ROLLBACK.name()),
            "HA must be enabled for rollback support.",
            "set `high-availability.type: kubernetes` and `high-availability.storageDir`",
        );
    }
    if is_on(configuration, operator::HEALTH_CHECK.names, false)
        && !is_on(configuration, operator::DEPLOYMENT_RECOVERY.names, true)
    {
        problems.add(
            &option_field(operator::DEPLOYMENT_RECOVERY.name()),
            format!(
                "Deployment recovery ({}) must be enabled for job health check ({}) support.",
                operator::DEPLOYMENT_RECOVERY.name(),
                operator::HEALTH_CHECK.name()
            ),
        );
    }
}

/// A switch; one that cannot be read counts as its default here and is reported as unreadable elsewhere.
fn is_on(configuration: &Configuration, keys: &[&str], default: bool) -> bool {
    first_of(configuration, keys).and_then(|(_, value)| parse_boolean(value).ok()).unwrap_or(default)
}

fn ingress(spec: &IngressSpec, context: &Context<'_>, problems: &mut Problems) {
    const FIELD: &str = "spec.ingress.template";
    let Some(template) = &spec.template else {
        return problems.hinted(
            FIELD,
            "Ingress template must be defined",
            "such as `template: flink.example.com/{{namespace}}/{{name}}`",
        );
    };
    let filled = ingress_template::fill(template, context.name, context.namespace);
    if let Err(reason) = check_port(&filled) {
        problems.add(FIELD, format!("Unable to process the Ingress template({template}). Error: {reason}"));
    }
}

/// The only part of an address that upstream's reader refuses is its port.
fn check_port(address: &str) -> Result<(), String> {
    let lower = address.to_ascii_lowercase();
    let after_scheme = ["http://", "https://"].into_iter().find(|scheme| lower.starts_with(scheme));
    let rest = &address[after_scheme.map_or(0, str::len)..];
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host_and_port = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let port = match host_and_port.rsplit_once(']') {
        Some((_, port)) => port.strip_prefix(':'),
        None => host_and_port.split_once(':').map(|(_, port)| port),
    };
    match port {
        None | Some("") => Ok(()),
        Some(port) => match port.parse::<i32>() {
            Ok(number) if number < -1 => Err(format!("Invalid port number :{number}")),
            Ok(_) => Ok(()),
            Err(_) => {
                let index = port.find(|c: char| !c.is_ascii_digit()).unwrap_or_default();
                Err(format!("Error at index {index} in: \"{port}\""))
            }
        },
    }
}

fn log_configuration(spec: &FlinkDeploymentSpec, problems: &mut Problems) {
    let names = spec.log_configuration.iter().flat_map(BTreeMap::keys);
    for name in names.filter(|name| !LOG_FILES.contains(&name.as_str())) {
        problems.add(
            "spec.logConfiguration",
            format!("Invalid log config key: {name}. Allowed keys are [{}]", LOG_FILES.join(", ")),
        );
    }
}

fn job_rules(
    job: &JobSpec,
    spec: &FlinkDeploymentSpec,
    configuration: &Configuration,
    problems: &mut Problems,
) {
    let is_set =
        |keys: &[&str]| first_of(configuration, keys).is_some_and(|(_, value)| !value.trim().is_empty());
    if job.upgrade_mode != UpgradeMode::Stateless && !is_set(keys::CHECKPOINT_DIRECTORY) {
        let key = keys::CHECKPOINT_DIRECTORY[0];
        problems.hinted(
            "spec.job.upgradeMode",
            format!("Checkpoint directory[{key}] must be defined for last-state and savepoint upgrade modes"),
            format!("set `{key}` (or `state.checkpoints.dir`) in `spec.flinkConfiguration`"),
        );
    }
    if !is_set(keys::SAVEPOINT_DIRECTORY) {
        needs_savepoint_directory(job, configuration, problems);
    }
    match spec.task_manager.as_ref().and_then(|manager| manager.replicas) {
        Some(replicas) if replicas < 1 => {
            problems.add("spec.taskManager.replicas", "TaskManager replicas must be larger than 0");
        }
        None if job.parallelism < 1 => {
            problems.add("spec.job.parallelism", "Job parallelism must be larger than 0");
        }
        Some(_) | None => {}
    }
}

fn needs_savepoint_directory(job: &JobSpec, configuration: &Configuration, problems: &mut Problems) {
    let key = keys::SAVEPOINT_DIRECTORY[0];
    let periodic = first_of(configuration, operator::PERIODIC_SAVEPOINT.names);
    let age = first_of(configuration, operator::MAX_CHECKPOINT_AGE.names);
    let (field, message) = if job.upgrade_mode == UpgradeMode::Savepoint {
        (
            "spec.job.upgradeMode".to_owned(),
            format!("Job could not be upgraded with savepoint while config key[{key}] is not set"),
        )
    } else if job.savepoint_trigger_nonce.is_some() {
        (
            "spec.job.savepointTriggerNonce".to_owned(),
            format!(
                "Savepoint could not be manually triggered for the running job while config key[{key}] is \
                 not set"
            ),
        )
    } else if let Some((periodic, _)) = periodic {
        (
            option_field(periodic),
            format!("Periodic savepoints cannot be enabled when config key[{key}] is not set"),
        )
    } else if let Some((age, _)) = age {
        (
            option_field(age),
            format!(
                "In order to use max-checkpoint age functionality config key[{key}] must be set to allow \
                 triggering savepoint upgrades."
            ),
        )
    } else {
        return;
    };
    let hint = format!("set `{key}` (or `state.savepoints.dir`) in `spec.flinkConfiguration`");
    problems.hinted(&field, message, hint);
}

fn spec_change(spec: &FlinkDeploymentSpec, context: &Context<'_>, problems: &mut Problems) {
    let Some(last) = context.last.map(|last| &last.spec) else { return };
    match (&last.job, &spec.job) {
        (None, Some(_)) => problems.add("spec.job", "Cannot switch from session to job cluster"),
        (Some(_), None) => problems.add("spec.job", "Cannot switch from job to session cluster"),
        (None, None) | (Some(_), Some(_)) => {}
    }
    match (last.deployment_mode(), spec.deployment_mode()) {
        (DeploymentMode::Native, DeploymentMode::Standalone) => {
            problems
                .add("spec.mode", "Cannot switch from native kubernetes to standalone kubernetes cluster");
        }
        (DeploymentMode::Standalone, DeploymentMode::Native) => {
            problems
                .add("spec.mode", "Cannot switch from standalone kubernetes to native kubernetes cluster");
        }
        (DeploymentMode::Native, DeploymentMode::Native)
        | (DeploymentMode::Standalone, DeploymentMode::Standalone) => {}
    }
    if let (Some(last), Some(job)) = (&last.job, &spec.job) {
        let redeploys = job.savepoint_redeploy_nonce.is_some()
            && job.savepoint_redeploy_nonce != last.savepoint_redeploy_nonce;
        let path = job.initial_savepoint_path.as_deref().unwrap_or_default();
        if redeploys && path.trim().is_empty() {
            problems.add(
                "spec.job.initialSavepointPath",
                "InitialSavepointPath must not be empty for savepoint redeployment",
            );
        }
    }
}

/// What upstream trips over only while it builds the cluster.
fn buildable(spec: &FlinkDeploymentSpec, configuration: &Configuration, problems: &mut Problems) {
    if let Some(jar) = spec.job.as_ref().and_then(|job| job.jar_uri.as_deref())
        && let Some(character) = jar.chars().find(|c| !is_uri_character(*c))
    {
        problems.hinted(
            "spec.job.jarURI",
            format!("jarURI is not a valid URI: illegal character `{}`", character.escape_default()),
            "such as `local:///opt/flink/usrlib/job.jar`; other characters are written as `%20` and the like",
        );
    }
    if let Some(policy) = spec.image_pull_policy.as_deref()
        && !policy.trim().is_empty()
        && !PULL_POLICIES.contains(&policy)
    {
        let message = format!("imagePullPolicy is `{policy}`, expected one of {}", PULL_POLICIES.join(", "));
        problems.add("spec.imagePullPolicy", message);
    }
    if let Some(slots) = configuration.get(SLOTS)
        && !slots.trim().parse::<i32>().is_ok_and(|slots| slots > 0)
    {
        problems.0.push(option_problem(&OptionError {
            key: SLOTS.to_owned(),
            value: slots.clone(),
            expected: "a whole number above 0".to_owned(),
        }));
    }
}

fn is_uri_character(c: char) -> bool {
    !c.is_control() && !c.is_whitespace() && !"\"<>\\^`{|}".contains(c)
}
