//! Creates the objects of a cluster. The JobManager's Deployment comes first and is the claim on the name: everything
//! else carries its uid, so that whoever comes late with another incarnation changes nothing of this one.

use std::sync::Arc;

use drey_api::kinds::DeploymentMode;
use drey_core::decision::Deployment;
use drey_engine::{LaunchError, Target};
use kube::api::{ApiResource, DeleteParams, DynamicObject, PostParams, Preconditions};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use super::record::{FLINK_VERSION_ANNOTATION, PARTS_ANNOTATION, part};
use crate::cluster::{ClusterIdentity, INTENT_ANNOTATION, Objects, own};
use crate::logging::LoggingFiles;
use crate::{native, standalone};

/// Builds the objects, marked as ours.
pub(crate) fn build(
    target: &Target,
    deployment: &Deployment,
    logging: &LoggingFiles,
) -> Result<Objects, LaunchError> {
    let cluster = ClusterIdentity {
        namespace: target.namespace.clone(),
        name: target.name.clone(),
        uid: target.uid.clone(),
    };
    let built = match deployment.desired.mode {
        DeploymentMode::Native => native::objects(&cluster, deployment, logging),
        DeploymentMode::Standalone => standalone::objects(&cluster, deployment, logging),
    };
    let mut objects = built.map_err(|error| LaunchError::Refused(error.to_string()))?;
    for loss in &objects.losses {
        tracing::warn!(namespace = %target.namespace, name = %target.name, "{loss}");
    }
    let parts: Vec<Arc<str>> = objects.owned.iter().chain(&objects.task_managers).map(part_of).collect();
    let annotations = &mut objects.deployment["metadata"]["annotations"];
    annotations[PARTS_ANNOTATION] = json!(parts.join(","));
    annotations[FLINK_VERSION_ANNOTATION] = json!(deployment.desired.flink_version.as_str());
    for object in &mut objects.owned {
        object["metadata"]["labels"]["app.kubernetes.io/managed-by"] = json!("drey");
    }
    Ok(objects)
}

fn part_of(object: &Value) -> Arc<str> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    part(&text(&object["kind"]), &text(&object["metadata"]["name"]))
}

/// Creates the whole cluster, or what is missing of one that the same intent has made.
pub(crate) async fn create(client: &Client, target: &Target, objects: Objects) -> Result<(), LaunchError> {
    let named = format!("Deployment {}", target.name);
    let (api, wanted) = typed(client, target, &objects.deployment)?;
    let created = match api.create(&PostParams::default(), &wanted).await {
        Ok(created) => created,
        Err(error) if is_conflict(&error) => {
            let existing = api.get(&target.name).await.map_err(|error| failed(&named, &error))?;
            let seq = |object: &DynamicObject| object.annotations().get(INTENT_ANNOTATION).cloned();
            if seq(&existing) != seq(&wanted) || existing.metadata.deletion_timestamp.is_some() {
                // Whichever intent made it: looking tells.
                return Ok(());
            }
            existing
        }
        Err(error) => return Err(failed(&named, &error)),
    };
    create_parts(client, target, &created.uid().unwrap_or_default(), objects).await
}

/// An object as it is sent, with every field, and the API that takes it.
fn typed(
    client: &Client,
    target: &Target,
    object: &Value,
) -> Result<(Api<DynamicObject>, DynamicObject), LaunchError> {
    let refused = |error: &dyn std::fmt::Display| {
        LaunchError::Refused(format!("{}: {error}", part_of(object).replacen('/', " ", 1)))
    };
    let mut wanted: DynamicObject =
        serde_json::from_value(object.clone()).map_err(|error| refused(&error))?;
    let types = wanted.types.clone().ok_or_else(|| refused(&"it has no kind"))?;
    let gvk = types.try_into().map_err(|error| refused(&error))?;
    wanted.metadata.namespace = Some(target.namespace.to_string());
    let api = Api::namespaced_with(client.clone(), &target.namespace, &ApiResource::from_gvk(&gvk));
    Ok((api, wanted))
}

/// Creates what is missing beside the JobManager's Deployment `uid`.
pub(crate) async fn create_parts(
    client: &Client,
    target: &Target,
    uid: &str,
    objects: Objects,
) -> Result<(), LaunchError> {
    for mut object in objects.owned {
        own(&mut object, &target.name, uid);
        create_part(client, target, uid, &object).await?;
    }
    if let Some(object) = &objects.task_managers {
        create_part(client, target, &target.uid, object).await?;
    }
    Ok(())
}

/// Creates one object. One of that name that belongs to an earlier cluster of ours is deleted, and then tried again; one
/// that is somebody else's is told.
async fn create_part(
    client: &Client,
    target: &Target,
    owner: &str,
    object: &Value,
) -> Result<(), LaunchError> {
    let named = part_of(object).replacen('/', " ", 1);
    let (api, wanted) = typed(client, target, object)?;
    let name = wanted.name_any();
    let Err(error) = api.create(&PostParams::default(), &wanted).await else { return Ok(()) };
    if !is_conflict(&error) {
        return Err(failed(&named, &error));
    }
    let Some(existing) = api.get_metadata_opt(&name).await.map_err(|error| failed(&named, &error))? else {
        return Err(LaunchError::UnknownOutcome(format!("{named} of an earlier cluster has just gone")));
    };
    let owners = existing.owner_references();
    if owners.iter().any(|reference| reference.uid == owner) {
        return Ok(());
    }
    let earlier = owners.iter().any(|reference| {
        matches!(reference.kind.as_str(), "Deployment" | "FlinkDeployment") && reference.name == *target.name
    });
    if !earlier {
        return Err(taken(&named, target));
    }
    let preconditions = Preconditions { uid: existing.uid(), resource_version: None };
    let deleted = api.delete(&name, &DeleteParams::default().preconditions(preconditions)).await;
    if let Err(error) = deleted.map(drop)
        && !matches!(&error, kube::Error::Api(status) if matches!(status.code, 404 | 409))
    {
        return Err(failed(&named, &error));
    }
    match api.create(&PostParams::default(), &wanted).await {
        Ok(_) => Ok(()),
        Err(error) => Err(LaunchError::UnknownOutcome(format!(
            "{named} of an earlier cluster is being deleted: {error}"
        ))),
    }
}

/// An object of that name is somebody else's.
pub(crate) fn taken(named: &str, target: &Target) -> LaunchError {
    LaunchError::Refused(format!(
        "{named} exists in namespace {} and belongs to somebody else; delete it or rename the FlinkDeployment",
        target.namespace
    ))
}

fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409 && status.reason == "AlreadyExists")
}

/// What a failed request means: an answer below 500 says that certainly nothing was done.
pub(crate) fn failed(what: &str, error: &kube::Error) -> LaunchError {
    match error {
        kube::Error::Api(status) if (400..500).contains(&status.code) && status.code != 429 => {
            LaunchError::Refused(format!("{what}: {}", status.message))
        }
        other => LaunchError::UnknownOutcome(format!("{what}: {other}")),
    }
}
