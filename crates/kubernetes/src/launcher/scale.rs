//! Changes how many TaskManagers a standalone cluster has. Refuses to know how many it should have.

use drey_engine::{LaunchError, Target};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Patch, PatchParams};
use kube::{Client, ResourceExt};
use serde_json::json;

use super::create::failed;
use super::look::api;
use crate::cluster::task_managers_name;

/// Lets the cluster whose JobManager's Deployment has this uid have this many TaskManagers; any other is left alone.
pub(crate) async fn scale(
    client: &Client,
    target: &Target,
    uid: &str,
    task_managers: i32,
) -> Result<(), LaunchError> {
    let deployments = api::<Deployment>(client, target);
    let job_managers = deployments.get_metadata_opt(&target.name).await;
    let job_managers = job_managers.map_err(|error| failed(&target.name, &error))?;
    if job_managers.and_then(|found| found.uid()).as_deref() != Some(uid) {
        return Ok(());
    }
    let name = task_managers_name(&target.name);
    let Some(found) = deployments.get_metadata_opt(&name).await.map_err(|error| failed(&name, &error))?
    else {
        return Ok(());
    };
    if found.owner_references().iter().all(|owner| owner.uid != *target.uid) {
        return Err(LaunchError::Refused(format!("Deployment {name} belongs to somebody else")));
    }
    // The uid is a precondition: one that was made anew is another one.
    let wanted = json!({ "metadata": { "uid": found.uid() }, "spec": { "replicas": task_managers } });
    match deployments.patch(&name, &PatchParams::default(), &Patch::Merge(wanted)).await {
        Ok(_) => Ok(()),
        // It was made anew in between: looking tells.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(error) => Err(failed(&name, &error)),
    }
}
