//! Native mode: the objects that Flink's own client makes. TaskManagers are Flink's to start; what they need to look
//! like travels in a ConfigMap beside the JobManager.

use drey_core::decision::Deployment;
use serde_json::{Value, json};

use crate::cluster::{ClusterIdentity, Objects, common_labels, pod_template_name};
use crate::configuration::{self, Configuration};
use crate::error::BuildError;
use crate::logging::LoggingFiles;
use crate::pod::PodDraft;
use crate::settings::Settings;
use crate::{job_manager, pod_template, ports, service};

const PYTHON_MAIN: &str = "org.apache.flink.client.python.PythonDriver";
const TASK_MANAGER_TEMPLATE_FILE: &str = "taskmanager-pod-template.yaml";

/// The objects of a native cluster.
///
/// # Errors
/// What the user has to mend before the cluster can be made.
pub fn objects(
    cluster: &ClusterIdentity,
    deployment: &Deployment,
    logging: &LoggingFiles,
) -> Result<Objects, BuildError> {
    let desired = &deployment.desired;
    check_job(deployment)?;
    let of_run = configuration::of_run(cluster, deployment)?;
    let configuration = configuration::complete(of_run, cluster, deployment)?;
    let settings = Settings(&configuration);
    let ports = ports::of(&configuration)?;
    let map = configuration::config_map(&configuration, cluster, deployment, logging)?;
    let task_manager_template = pod_template::task_manager(desired)?;

    let mut draft = PodDraft::begin(pod_template::job_manager(desired)?.as_ref())?;
    job_manager::initialise(&mut draft, cluster, deployment, settings, ports)?;
    job_manager::set_command(&mut draft, settings, arguments(&configuration, desired.spec.job.is_some()))?;
    job_manager::add_hadoop(&mut draft, settings)?;
    job_manager::add_configuration(&mut draft, cluster, settings, &map.files)?;

    let mut owned = Vec::new();
    if !desired.options.high_availability {
        owned.push(service::internal(cluster, desired.mode, settings, ports)?);
    }
    owned.push(service::rest(cluster, desired.mode, settings, ports)?);
    owned.push(map.object);
    if let Some(template) = task_manager_template {
        mount_task_manager_template(&mut draft, cluster)?;
        owned.push(task_manager_template_map(cluster, deployment, &template));
    }
    Ok(Objects {
        deployment: job_manager::deployment(draft, cluster, deployment, settings)?,
        task_managers: None,
        owned,
        losses: map.losses,
    })
}

/// An application needs its jar in the configuration, unless it is Python's.
fn check_job(deployment: &Deployment) -> Result<(), BuildError> {
    let Some(job) = &deployment.desired.spec.job else { return Ok(()) };
    let python = job.entry_class.as_deref() == Some(PYTHON_MAIN)
        || job
            .args
            .iter()
            .any(|argument| ["-py", "--python", "-pym", "--pyModule"].contains(&argument.as_str()));
    if job.jar_uri.is_none() && !python {
        return Err(BuildError::Missing {
            field: "spec.job.jarURI",
            hint: "native mode needs the jar of the job, such as `local:///opt/flink/usrlib/job.jar`",
        });
    }
    Ok(())
}

fn arguments(configuration: &Configuration, application: bool) -> Vec<String> {
    let target = if application { "kubernetes-application" } else { "kubernetes-session" };
    let own = Settings(configuration).text(&["kubernetes.jobmanager.entrypoint.args"]).unwrap_or_default();
    vec!["bash".to_owned(), "-c".to_owned(), format!("kubernetes-jobmanager.sh {target} {own}")]
}

fn mount_task_manager_template(draft: &mut PodDraft, cluster: &ClusterIdentity) -> Result<(), BuildError> {
    let volume = json!({
        "name": "pod-template-volume",
        "configMap": {
            "name": pod_template_name(&cluster.name),
            "items": [{ "key": TASK_MANAGER_TEMPLATE_FILE, "path": TASK_MANAGER_TEMPLATE_FILE }],
        },
    });
    draft.add_volume(volume, "/opt/flink/pod-template")
}

fn task_manager_template_map(cluster: &ClusterIdentity, deployment: &Deployment, template: &Value) -> Value {
    let text = serde_saphyr::to_string(template).expect("JSON can be written as YAML");
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": pod_template_name(&cluster.name),
            "namespace": &*cluster.namespace,
            "labels": common_labels(&cluster.name, deployment.desired.mode),
        },
        "data": { TASK_MANAGER_TEMPLATE_FILE: text },
    })
}
