//! The Deployment of TaskManagers in standalone mode.

use drey_core::decision::Deployment;
use serde_json::{Value, json};

use crate::cluster::{ClusterIdentity, Component, task_managers_name};
use crate::error::BuildError;
use crate::pod::{PodDraft, add_entries, add_items};
use crate::ports::Ports;
use crate::settings::Settings;
use crate::{job_manager, pod_template, resources};

const SERVICE_ACCOUNT: [&str; 2] = ["kubernetes.taskmanager.service-account", "kubernetes.service-account"];

pub(crate) fn deployment(
    cluster: &ClusterIdentity,
    deployment: &Deployment,
    settings: Settings<'_>,
    ports: Ports,
    files: &[String],
) -> Result<Value, BuildError> {
    let desired = &deployment.desired;
    let (mode, component) = (desired.mode, Component::TaskManager);
    let labels = job_manager::labels(cluster, mode, component, settings)?;
    let annotations = settings.map("kubernetes.taskmanager.annotations")?;

    let mut draft = PodDraft::begin(pod_template::task_manager(desired)?.as_ref())?;
    job_manager::set_service_account(&mut draft.spec, settings, &SERVICE_ACCOUNT);
    add_entries(&mut draft.metadata, "labels", labels.clone())?;
    add_entries(&mut draft.metadata, "annotations", annotations.clone())?;
    job_manager::add_scheduling(&mut draft.spec, settings, "taskmanager")?;
    job_manager::set_image(&mut draft.main, settings)?;
    let (memory, cpu) = (desired.task_manager_memory_bytes, f64::from(desired.slots));
    resources::set(&mut draft.main, settings, "taskmanager", memory, cpu)?;
    let port = json!({ "name": "taskmanager-rpc", "containerPort": ports.task_manager_rpc });
    add_items(&mut draft.main, "ports", vec![port])?;
    job_manager::add_environment(&mut draft, settings, "containerized.taskmanager.env.")?;
    job_manager::add_log_directory(&mut draft, settings)?;
    job_manager::add_secrets(&mut draft, settings)?;
    job_manager::set_command(&mut draft, settings, vec!["taskmanager".to_owned()])?;
    job_manager::add_hadoop(&mut draft, settings)?;
    job_manager::add_configuration(&mut draft, cluster, settings, files)?;

    let name = task_managers_name(&cluster.name);
    let replicas = desired.task_manager_replicas;
    let mut object = job_manager::workload(&name, cluster, draft, replicas, component, mode)?;
    object["metadata"]["labels"] = json!(labels);
    if !annotations.is_empty() {
        object["metadata"]["annotations"] = json!(annotations);
    }
    Ok(object)
}
