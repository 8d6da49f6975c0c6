//! Standalone mode: JobManagers and TaskManagers are Deployments of ours, and Flink knows nothing of Kubernetes but its
//! high availability.

use std::collections::BTreeMap;

use drey_core::decision::Deployment;
use drey_flink::version::RenamedOption;
use serde_json::json;

use crate::cluster::{ClusterIdentity, Objects};
use crate::configuration;
use crate::error::BuildError;
use crate::logging::LoggingFiles;
use crate::pod::PodDraft;
use crate::settings::Settings;
use crate::{job_manager, pod_template, ports, service, task_manager};

const USER_LIBRARIES: &str = "/opt/flink/usrlib";

/// The objects of a standalone cluster.
///
/// # Errors
/// What the user has to mend before the cluster can be made.
pub fn objects(
    cluster: &ClusterIdentity,
    deployment: &Deployment,
    logging: &LoggingFiles,
) -> Result<Objects, BuildError> {
    let desired = &deployment.desired;
    let of_run = configuration::of_run(cluster, deployment)?;
    let configuration = configuration::complete(of_run, cluster, deployment)?;
    let settings = Settings(&configuration);
    let ports = ports::of(&configuration)?;
    let map = configuration::config_map(&configuration, cluster, deployment, logging)?;

    let mut draft = PodDraft::begin(pod_template::job_manager(desired)?.as_ref())?;
    job_manager::initialise(&mut draft, cluster, deployment, settings, ports)?;
    job_manager::set_command(&mut draft, settings, arguments(deployment, &configuration))?;
    job_manager::add_hadoop(&mut draft, settings)?;
    job_manager::add_configuration(&mut draft, cluster, settings, &map.files)?;
    let class_paths = settings.text(&["pipeline.classpaths"]).filter(|_| desired.spec.job.is_some());
    // A jar that the image has there must not be hidden by an empty directory.
    let needs_libraries = class_paths.is_some_and(|paths| !paths.contains(USER_LIBRARIES));
    if needs_libraries && !draft.mounts_below(USER_LIBRARIES) {
        // Flink looks for the job's jar there, and does not start without the directory.
        draft.add_volume(json!({ "name": "user-lib-dir", "emptyDir": {} }), USER_LIBRARIES)?;
    }
    Ok(Objects {
        deployment: job_manager::deployment(draft, cluster, deployment, settings)?,
        task_managers: Some(task_manager::deployment(cluster, deployment, settings, ports, &map.files)?),
        owned: vec![
            service::internal(cluster, desired.mode, settings, ports)?,
            service::rest(cluster, desired.mode, settings, ports)?,
            map.object,
        ],
        losses: map.losses,
    })
}

/// Arguments of the image's entry point. With high availability TaskManagers find the leading JobManager by its own
/// address. The job id is in the configuration.
fn arguments(deployment: &Deployment, configuration: &BTreeMap<String, String>) -> Vec<String> {
    let own_address = ["-D", "jobmanager.rpc.address=$(_POD_IP_ADDRESS)"];
    let own_address = own_address.into_iter().filter(|_| deployment.desired.options.high_availability);
    let Some(job) = &deployment.desired.spec.job else {
        return ["jobmanager"].into_iter().chain(own_address).map(str::to_owned).collect();
    };
    let settings = Settings(configuration);
    let mut arguments = vec!["standalone-job".to_owned()];
    if let Some(class) = &job.entry_class {
        arguments.extend(["--job-classname".to_owned(), class.clone()]);
    }
    let ignored = settings.text(&RenamedOption::IgnoreUnclaimedState.keys());
    if ignored.is_some_and(|text| text.trim().eq_ignore_ascii_case("true")) {
        arguments.push("--allowNonRestoredState".to_owned());
    }
    if let Some(path) = settings.text(&RenamedOption::RestorePath.keys()) {
        arguments.extend(["--fromSavepoint".to_owned(), path.to_owned()]);
    }
    arguments.extend(own_address.map(str::to_owned));
    if !job.args.is_empty() {
        // Without it, the job's own options would be taken for Flink's.
        arguments.push("--".to_owned());
        arguments.extend(job.args.iter().cloned());
    }
    arguments
}
