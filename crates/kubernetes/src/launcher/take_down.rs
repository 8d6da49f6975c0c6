//! Takes a cluster down: the JobManager first, so that no job fails over the loss of its TaskManagers. The Deployments are
//! deleted in the foreground: they stay until the controllers that act for them have seen it and nothing of them is left,
//! which is what makes an absence provable. Kubernetes' garbage collector ends that, one object after the other and at a
//! bounded rate for the whole cluster; whatever can be deleted before is deleted here, so that little is left to it.

use std::collections::BTreeSet;
use std::sync::Arc;

use drey_engine::Target;
use futures::future::{join_all, try_join_all};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use kube::api::{DeleteParams, ListParams, PartialObjectMeta, Preconditions};
use kube::{Api, Client, ResourceExt as _};

use super::cache::CLUSTERS;
use super::judge::Found;
use super::look::api;
use super::record::{self, PartRecord};
use crate::cluster::{APP_LABEL, COMPONENT_LABEL, task_managers_name};

/// Deletes the JobManager's Deployment `uid` with all that stands for it, among it those of `parts` that it owns.
pub(crate) async fn take_down(
    client: &Client,
    target: &Target,
    uid: &str,
    parts: &[PartRecord],
) -> Result<(), kube::Error> {
    let deployments = api::<Deployment>(client, target);
    let mut gone = BTreeSet::from([Arc::from(uid)]);
    delete(&deployments, &target.name, uid).await?;
    let name = task_managers_name(&target.name);
    let task_managers = deployments.get_metadata_opt(&name).await?;
    let owned = task_managers
        .filter(|found| found.owner_references().iter().any(|owner| owner.uid == *target.uid))
        .and_then(|found| found.uid());
    if let Some(uid) = owned {
        delete(&deployments, &name, &uid).await?;
        gone.insert(Arc::from(uid));
    }
    let (made, parts) =
        tokio::join!(delete_made(client, target, gone), delete_parts(client, target, uid, parts));
    if let Err(error) = made.and(parts) {
        tracing::debug!(resource = %target.name, %error, "a part of a cluster is left to the garbage collector");
    }
    Ok(())
}

/// Deletes the ReplicaSets and pods of the Deployments `gone`, those of JobManagers first.
async fn delete_made(
    client: &Client,
    target: &Target,
    mut gone: BTreeSet<Arc<str>>,
) -> Result<(), kube::Error> {
    let of_cluster = ListParams::default().labels(&format!("{APP_LABEL}={},{CLUSTERS}", target.name));
    let (sets, pods) = (api::<ReplicaSet>(client, target), api::<Pod>(client, target));
    let (found_sets, found_pods) =
        tokio::try_join!(sets.list_metadata(&of_cluster), pods.list_metadata(&of_cluster))?;
    let made: Vec<_> = found_sets.items.into_iter().filter_map(|set| Made::of(&set)).collect();
    let made = made.into_iter().filter(|set| set.is_of(&gone)).collect::<Vec<_>>();
    try_join_all(made.iter().map(|set| delete(&sets, &set.name, &set.uid))).await?;
    gone.extend(made.into_iter().map(|set| set.uid));
    let made = found_pods.items.into_iter().filter_map(|pod| Made::of(&pod));
    let (job_managers, others): (Vec<_>, Vec<_>) =
        made.filter(|pod| pod.is_of(&gone)).partition(|pod| pod.is_job_manager);
    for made in [job_managers, others] {
        try_join_all(made.iter().map(|pod| delete_alone(&pods, &pod.name, &pod.uid))).await?;
    }
    Ok(())
}

/// Something that a Deployment or one of its ReplicaSets made.
struct Made {
    name: Arc<str>,
    uid: Arc<str>,
    owners: Vec<Arc<str>>,
    is_job_manager: bool,
}

impl Made {
    /// Nothing for what is going away already.
    fn of<K>(found: &PartialObjectMeta<K>) -> Option<Made> {
        let meta = &found.metadata;
        if meta.deletion_timestamp.is_some() {
            return None;
        }
        Some(Made {
            name: Arc::from(meta.name.as_deref()?),
            uid: Arc::from(meta.uid.as_deref()?),
            owners: record::owners(meta),
            is_job_manager: record::label(meta, COMPONENT_LABEL) == Some("jobmanager"),
        })
    }

    fn is_of(&self, gone: &BTreeSet<Arc<str>>) -> bool {
        self.owners.iter().any(|owner| gone.contains(owner))
    }
}

async fn delete_parts(
    client: &Client,
    target: &Target,
    owner: &str,
    parts: &[PartRecord],
) -> Result<(), kube::Error> {
    let owned =
        parts.iter().filter(|part| part.owners.iter().any(|uid| **uid == *owner) && !part.terminating);
    let deleting = owned.map(async |part| match part.part.split_once('/') {
        Some(("ConfigMap", name)) => delete_alone(&api::<ConfigMap>(client, target), name, &part.uid).await,
        Some(("Service", name)) => delete_alone(&api::<Service>(client, target), name, &part.uid).await,
        Some(_) | None => Ok(()),
    });
    join_all(deleting).await.into_iter().collect()
}

/// Deletes what nobody else does any more: the TaskManagers' Deployment of a JobManager that is gone, and ReplicaSets
/// and pods without an owner. Each was listed after the JobManager's Deployment was seen gone or at the same moment, and
/// is named by its uid, so that nothing of a later cluster is meant.
pub(crate) async fn take_down_remnants(
    client: &Client,
    target: &Target,
    found: &Found,
) -> Result<(), kube::Error> {
    if let Some(left) = &found.task_managers
        && !left.terminating
        && left.owners.contains(&target.uid)
    {
        let name = task_managers_name(&target.name);
        delete(&api::<Deployment>(client, target), &name, &left.uid).await?;
    }
    for set in found.replica_sets.iter().filter(|set| set.owners.is_empty()) {
        delete(&api::<ReplicaSet>(client, target), &set.name, &set.uid).await?;
    }
    for pod in found.pods.iter().filter(|pod| pod.owners.is_empty() && !pod.ended) {
        delete_alone(&api::<Pod>(client, target), &pod.name, &pod.uid).await?;
    }
    Ok(())
}

/// Deletes exactly this object, which stays until what it made is gone; one that is gone or another one by now is no
/// failure.
pub(crate) async fn delete<K>(api: &Api<K>, name: &str, uid: &str) -> Result<(), kube::Error>
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    delete_with(api, name, uid, DeleteParams::foreground()).await
}

/// As [`delete`], for an object of which nothing is left behind: the garbage collector has no part in it.
async fn delete_alone<K>(api: &Api<K>, name: &str, uid: &str) -> Result<(), kube::Error>
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    delete_with(api, name, uid, DeleteParams::background()).await
}

async fn delete_with<K>(api: &Api<K>, name: &str, uid: &str, params: DeleteParams) -> Result<(), kube::Error>
where
    K: Clone + serde::de::DeserializeOwned + std::fmt::Debug,
{
    let preconditions = Preconditions { uid: Some(uid.to_owned()), resource_version: None };
    let params = params.preconditions(preconditions);
    match api.delete(name, &params).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(error) => Err(error),
    }
}
