//! A look at one cluster, at its source. The order is what makes an absence provable: the Deployment first, then the
//! ReplicaSets that it may have left, then the pods that those may have made.

use drey_core::Seen;
use drey_core::observed::Cluster;
use drey_engine::Target;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use kube::api::ListParams;
use kube::{Api, Client};

use super::cache::{CLUSTERS, OWN_PARTS};
use super::judge::{Found, judge};
use super::record::{DeploymentRecord, PartRecord, PodRecord, ReplicaSetRecord, part};
use super::take_down::take_down_remnants;
use crate::cluster::APP_LABEL;

/// Looks at the cluster of `target` now. What is left of one whose JobManager's Deployment is gone is taken down.
pub(crate) async fn look(client: &Client, target: &Target) -> Seen<Cluster> {
    match found(client, target).await {
        Ok(found) => {
            if found.job_manager.is_none()
                && let Err(error) = take_down_remnants(client, target, &found).await
            {
                tracing::warn!(resource = %target.name, %error, "what is left of a cluster could not be deleted");
            }
            judge(&target.uid, &found)
        }
        Err(error) => {
            tracing::warn!(namespace = %target.namespace, name = %target.name, %error, "a cluster could not be looked at");
            Seen::Unknown
        }
    }
}

/// Everything of the cluster, as lists without a resourceVersion tell: read from the store, not from a cache of the API
/// server.
async fn found(client: &Client, target: &Target) -> Result<Found, kube::Error> {
    let of_cluster = ListParams::default().labels(&format!("{APP_LABEL}={},{CLUSTERS}", target.name));
    let mut found = Found::default();
    for deployment in api::<Deployment>(client, target).list(&of_cluster).await?.items {
        match DeploymentRecord::of(&deployment) {
            Some(record) if record.is_task_managers => found.task_managers = Some(record),
            Some(record) if deployment.metadata.name.as_deref() == Some(&*target.name) => {
                found.job_manager = Some(record);
            }
            Some(_) | None => {}
        }
    }
    if found.job_manager.is_none() {
        // One of that name without our labels is somebody else's.
        let named = api::<Deployment>(client, target).get_opt(&target.name).await?;
        found.job_manager = named.as_ref().and_then(DeploymentRecord::of);
    }
    if found.job_manager.is_none() {
        let sets = api::<ReplicaSet>(client, target).list(&of_cluster).await?.items;
        found.replica_sets = sets.iter().filter_map(ReplicaSetRecord::of).collect();
    }
    found.pods =
        api::<Pod>(client, target).list(&of_cluster).await?.items.iter().filter_map(PodRecord::of).collect();
    if found.job_manager.as_ref().is_some_and(|deployment| !deployment.parts.is_empty()) {
        let own = ListParams::default().labels(&format!("{APP_LABEL}={},{OWN_PARTS}", target.name));
        let (maps, services) = (api::<ConfigMap>(client, target), api::<Service>(client, target));
        let (maps, services) = tokio::try_join!(maps.list_metadata(&own), services.list_metadata(&own))?;
        let maps = maps.items.iter().filter_map(|map| PartRecord::of("ConfigMap", map));
        let services = services.items.iter().filter_map(|service| PartRecord::of("Service", service));
        found.parts = maps.chain(services).collect();
    }
    if let Some(deployment) = &mut found.job_manager
        && deployment.parts.is_empty()
        && deployment.available == 0
    {
        // Somebody else made it, wrote down no parts, and may have died over it. Flink's client creates the ConfigMaps
        // last, and no JobManager starts without them.
        deployment.parts = deployment.mounted.iter().map(|name| part("ConfigMap", name)).collect();
        let maps = api::<ConfigMap>(client, target);
        for name in &deployment.mounted {
            let map = maps.get_metadata_opt(name).await?;
            found.parts.extend(map.and_then(|map| PartRecord::of("ConfigMap", &map)));
        }
    }
    Ok(found)
}

pub(crate) fn api<K>(client: &Client, target: &Target) -> Api<K>
where
    K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
{
    Api::namespaced(client.clone(), &target.namespace)
}
