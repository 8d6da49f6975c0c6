//! The Flink configuration of one run of a cluster, and the ConfigMap that brings it into the pods.
//!
//! ```text
//!   Desired.configuration ─► of this run (job id, restore path, results) ─► as Flink's client completes it ─► ConfigMap
//! ```
//! Which keys follow from the spec is known to `drey_api::desired`; how the file is spelt, to `drey_flink`.

use std::collections::BTreeMap;

use drey_api::kinds::{DeploymentMode, FlinkDeploymentSpec, LAST_STATE_DUMMY_SAVEPOINT_PATH};
use drey_core::decision::Deployment;
use drey_core::restore::Restore;
use drey_flink::FlinkVersion;
use drey_flink::configuration_file::{self, Loss, LossKind};
use drey_flink::version::RenamedOption;
use serde_json::{Map, Value, json};

use crate::cluster::{ClusterIdentity, common_labels, configuration_name};
use crate::error::BuildError;
use crate::logging::LoggingFiles;
use crate::ports;
use crate::settings::Settings;

/// Flat keys and values.
pub type Configuration = BTreeMap<String, String>;

/// Keys that speak of the machine on which Flink's client runs.
const CLIENT_ONLY: [&str; 6] = [
    "kubernetes.config.file",
    "$internal.deployment.config-dir",
    "rest.bind-address",
    "jobmanager.bind-host",
    "taskmanager.bind-host",
    "taskmanager.host",
];

/// The owner is set on the objects themselves, whatever the user wrote.
const OWNER_REFERENCE: &str = "kubernetes.jobmanager.owner.reference";

/// Flink's version for the configuration file and the names of options.
pub(crate) fn flink_version(deployment: &Deployment) -> FlinkVersion {
    let version = deployment.desired.flink_version;
    let number = |number: u32| u16::try_from(number).expect("version numbers of Flink are small");
    FlinkVersion::new(number(version.major()), number(version.minor()))
}

/// What upstream hands to Flink's client for this run: the effective configuration with the job id, the snapshot to
/// start from, and a job result store of the run's own.
///
/// # Errors
/// A key that would make Flink's client read files of the machine it runs on.
pub fn of_run(cluster: &ClusterIdentity, deployment: &Deployment) -> Result<Configuration, BuildError> {
    let mut configuration = (*deployment.desired.configuration).clone();
    refuse_local_files(&configuration)?;
    configuration.remove(OWNER_REFERENCE);
    if deployment.desired.spec.job.is_some() {
        add_job(&mut configuration, cluster, deployment);
    }
    Ok(configuration)
}

fn refuse_local_files(configuration: &Configuration) -> Result<(), BuildError> {
    let settings = Settings(configuration);
    let template = configuration.keys().find(|key| key.starts_with("kubernetes.pod-template-file"));
    if let Some(key) = template {
        let instead = "it names a file of the operator; use `spec.podTemplate`, `spec.jobManager.podTemplate` and \
                       `spec.taskManager.podTemplate`";
        return Err(BuildError::Unsupported { key: key.clone(), instead });
    }
    let mounted = settings.boolean("kubernetes.decorator.kerberos-mount.enabled")?.unwrap_or(true);
    for key in ["security.kerberos.login.keytab", "security.kerberos.krb5-conf.path"] {
        if mounted && settings.text(&[key]).is_some() {
            let instead = "Flink's client would mount a file of the operator; mount the file by a pod template, and set \
                           `kubernetes.decorator.kerberos-mount.enabled: false`";
            return Err(BuildError::Unsupported { key: key.to_owned(), instead });
        }
    }
    Ok(())
}

fn add_job(configuration: &mut Configuration, cluster: &ClusterIdentity, deployment: &Deployment) {
    let version = flink_version(deployment);
    configuration.insert("$internal.pipeline.job-id".to_owned(), deployment.job_id.to_string());
    for key in RenamedOption::RestorePath.keys() {
        configuration.remove(key);
    }
    let restore = match &deployment.restore {
        Restore::Empty => None,
        Restore::Path(path) => Some(path.to_string()),
        // A checkpoint in the store of high availability wins over any path. Were the store lost, this path makes
        // the job fail rather than begin from nothing.
        Restore::LastState => Some(LAST_STATE_DUMMY_SAVEPOINT_PATH.to_owned()),
    };
    if let Some(path) = restore {
        configuration.insert(RenamedOption::RestorePath.key(version).to_owned(), path);
    }
    if deployment.allow_non_restored_state {
        for key in RenamedOption::IgnoreUnclaimedState.keys() {
            configuration.remove(key);
        }
        let key = RenamedOption::IgnoreUnclaimedState.key(version);
        configuration.insert(key.to_owned(), "true".to_owned());
    }
    if let Some(storage) = job_result_store(configuration, cluster, deployment) {
        configuration
            .entry("job-result-store.delete-on-commit".to_owned())
            .or_insert_with(|| "false".to_owned());
        configuration.insert("job-result-store.storage-path".to_owned(), storage);
    }
}

/// Where Flink writes how the job of this run ended, when it has storage for high availability. Each run has a place
/// of its own, so that no result of an earlier run is taken for its own; upstream draws a random one, here it follows
/// from the intent, so that a repeated creation is the same.
#[must_use]
pub fn job_result_store(
    configuration: &Configuration,
    cluster: &ClusterIdentity,
    deployment: &Deployment,
) -> Option<String> {
    let storage = Settings(configuration)
        .text(&["high-availability.storageDir", "high-availability.zookeeper.storageDir"])?;
    let storage = storage.trim().trim_end_matches('/');
    let (name, uid, seq) = (&cluster.name, &cluster.uid, deployment.seq);
    Some(format!("{storage}/job-result-store/{name}/{uid}-{seq}"))
}

/// Completes the configuration as Flink's client of Kubernetes does before it writes it: fixed ports, the address of
/// the JobManager, and what is not for the cluster's eyes left out.
pub(crate) fn complete(
    mut configuration: Configuration,
    cluster: &ClusterIdentity,
    deployment: &Deployment,
) -> Result<Configuration, BuildError> {
    let desired = &deployment.desired;
    let high_availability = desired.options.high_availability;
    ports::fix(&mut configuration, high_availability)?;
    if desired.mode == DeploymentMode::Native {
        let entrypoint = if desired.spec.job.is_some() { "Application" } else { "Session" };
        let package = "org.apache.flink.kubernetes.entrypoint";
        for (key, value) in [
            (
                "kubernetes.internal.jobmanager.entrypoint.class",
                format!("{package}.Kubernetes{entrypoint}ClusterEntrypoint"),
            ),
            ("internal.cluster.execution-mode", "NORMAL".to_owned()),
        ] {
            configuration.insert(key.to_owned(), value);
        }
    }
    // Without high availability TaskManagers find the JobManager by the Service in front of it.
    if !high_availability || desired.mode == DeploymentMode::Standalone {
        let address = format!("{}.{}", cluster.name, cluster.namespace);
        configuration.insert("jobmanager.rpc.address".to_owned(), address);
    }
    for key in CLIENT_ONLY {
        configuration.remove(key);
    }
    // The statistics of a job that has just ended must not be older than its end: they name its last snapshot.
    configuration.insert("rest.cache.checkpoint-statistics.timeout".to_owned(), "0 s".to_owned());
    Ok(configuration)
}

/// The ConfigMap with the configuration file and the logging files, and what is lost in the file.
pub(crate) struct ConfigurationMap {
    pub(crate) object: Value,
    /// Names of the files, in the order in which the volume lists them.
    pub(crate) files: Vec<String>,
    pub(crate) losses: Vec<Loss>,
}

pub(crate) fn config_map(
    configuration: &Configuration,
    cluster: &ClusterIdentity,
    deployment: &Deployment,
    logging: &LoggingFiles,
) -> Result<ConfigurationMap, BuildError> {
    let format = flink_version(deployment).configuration_format();
    let rendered = configuration_file::render(configuration, format)?;
    let mut data = Map::new();
    let mut files = Vec::new();
    for (name, text) in logging_files(&deployment.desired.spec, logging) {
        files.push(name.to_owned());
        data.insert(name.to_owned(), json!(text));
    }
    files.push(format.file_name().to_owned());
    data.insert(format.file_name().to_owned(), json!(rendered.text));
    let object = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": configuration_name(&cluster.name),
            "namespace": &*cluster.namespace,
            "labels": common_labels(&cluster.name, deployment.desired.mode),
        },
        "data": data,
    });
    // A job without arguments has an empty list of them, and no list means the same.
    let told = |loss: &Loss| loss.kind != LossKind::Empty || !loss.key.starts_with("$internal.");
    Ok(ConfigurationMap { object, files, losses: rendered.losses.into_iter().filter(told).collect() })
}

/// The logging files: those of the spec and no others, once it names any; else the operator's.
fn logging_files<'a>(
    spec: &'a FlinkDeploymentSpec,
    defaults: &'a LoggingFiles,
) -> Vec<(&'static str, &'a str)> {
    let LoggingFiles { logback_console, log4j_console } = defaults;
    [
        ("logback-console.xml", logback_console.as_deref()),
        ("log4j-console.properties", log4j_console.as_deref()),
    ]
    .into_iter()
    .filter_map(|(name, default)| match &spec.log_configuration {
        Some(own) => Some((name, own.get(name)?.as_str())),
        None => Some((name, default?)),
    })
    .collect()
}
