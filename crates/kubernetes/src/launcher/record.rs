//! What is kept of an object of a cluster: the few fields that tell how the cluster is. Refuses to conclude.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::core::PartialObjectMeta;

use crate::cluster::{
    self, COMPONENT_LABEL, GENERATION_ANNOTATION, INTENT_ANNOTATION, JOB_ID_ANNOTATION, MAIN_CONTAINER,
};

/// Annotation of the JobManager's Deployment: every other object that belongs to the cluster, as `kind/name`, separated
/// by commas.
pub(crate) const PARTS_ANNOTATION: &str = "drey.dev/parts";
/// Annotation of the JobManager's Deployment: the Flink version that it runs, such as `v1_20`.
pub(crate) const FLINK_VERSION_ANNOTATION: &str = "drey.dev/flink-version";

/// A Deployment of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeploymentRecord {
    pub(crate) uid: Arc<str>,
    pub(crate) owners: Vec<Arc<str>>,
    pub(crate) terminating: bool,
    pub(crate) is_task_managers: bool,
    /// Number of the intent that made it.
    pub(crate) seq: Option<i64>,
    pub(crate) job_id: Option<Arc<str>>,
    pub(crate) generation: Option<i64>,
    pub(crate) flink_version: Option<Arc<str>>,
    /// What else has to exist, as `kind/name`; empty when nobody wrote it down.
    pub(crate) parts: Vec<Arc<str>>,
    /// Names of Flink's own ConfigMaps that its pods mount: without them they never start, whoever made it.
    pub(crate) mounted: Vec<Arc<str>>,
    /// How many pods it is to have.
    pub(crate) replicas: i32,
    /// Pods that are ready, of the present spec.
    pub(crate) available: i32,
    /// All its pods were available at the same time at least once.
    pub(crate) was_available: bool,
    /// Why pods cannot be created, as (reason, message).
    pub(crate) refused: Option<(Arc<str>, Arc<str>)>,
}

impl DeploymentRecord {
    pub(crate) fn of(deployment: &Deployment) -> Option<DeploymentRecord> {
        let meta = &deployment.metadata;
        let status = deployment.status.as_ref();
        let current = status.and_then(|status| status.observed_generation) == meta.generation;
        let conditions = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        let failure = conditions.iter().find(|condition| {
            condition.type_.as_deref() == Some("ReplicaFailure")
                && condition.status.as_deref() == Some("True")
        });
        Some(DeploymentRecord {
            uid: shared(meta.uid.as_deref()?),
            owners: owners(meta),
            terminating: meta.deletion_timestamp.is_some(),
            is_task_managers: label(meta, COMPONENT_LABEL) == Some("taskmanager"),
            seq: annotation(meta, INTENT_ANNOTATION).and_then(|text| text.parse().ok()),
            job_id: annotation(meta, JOB_ID_ANNOTATION).map(shared),
            generation: annotation(meta, GENERATION_ANNOTATION).and_then(|text| text.parse().ok()),
            flink_version: annotation(meta, FLINK_VERSION_ANNOTATION).map(shared),
            parts: annotation(meta, PARTS_ANNOTATION)
                .map(|parts| parts.split(',').filter(|part| !part.is_empty()).map(shared).collect())
                .unwrap_or_default(),
            mounted: mounted(deployment),
            replicas: deployment.spec.replicas.unwrap_or(1),
            available: status.filter(|_| current).and_then(|status| status.available_replicas).unwrap_or(0),
            was_available: conditions.iter().any(|condition| {
                condition.type_.as_deref() == Some("Progressing")
                    && condition.reason.as_deref() == Some("NewReplicaSetAvailable")
            }),
            refused: failure.map(|condition| {
                (
                    shared(condition.reason.as_deref().unwrap_or("ReplicaFailure")),
                    shared(condition.message.as_deref().unwrap_or_default()),
                )
            }),
        })
    }
}

fn mounted(deployment: &Deployment) -> Vec<Arc<str>> {
    let cluster = deployment.metadata.name.as_deref().unwrap_or_default();
    let own = [cluster::configuration_name(cluster), cluster::pod_template_name(cluster)];
    let pod = deployment.spec.template.spec.as_ref();
    let volumes = pod.and_then(|pod| pod.volumes.as_deref()).unwrap_or_default();
    let maps = volumes.iter().filter_map(|volume| volume.config_map.as_ref());
    maps.filter(|map| own.contains(&map.name)).map(|map| shared(&map.name)).collect()
}

/// A pod of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PodRecord {
    pub(crate) uid: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) owners: Vec<Arc<str>>,
    pub(crate) is_job_manager: bool,
    /// All its containers have ended for good.
    pub(crate) ended: bool,
    /// Its Flink process has come up at least once, as far as its container's state tells.
    pub(crate) was_up: bool,
    /// Why it cannot start, as (reason, message).
    pub(crate) failing: Option<(Arc<str>, Arc<str>)>,
}

impl PodRecord {
    pub(crate) fn of(pod: &Pod) -> Option<PodRecord> {
        let meta = &pod.metadata;
        let status = pod.status.as_ref();
        let phase = status.and_then(|status| status.phase.as_deref()).unwrap_or_default();
        let containers = status.and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
        let init = status.and_then(|status| status.init_container_statuses.as_deref()).unwrap_or_default();
        let main = containers.iter().find(|container| container.name == MAIN_CONTAINER);
        Some(PodRecord {
            uid: shared(meta.uid.as_deref()?),
            name: shared(meta.name.as_deref()?),
            owners: owners(meta),
            is_job_manager: label(meta, COMPONENT_LABEL) == Some("jobmanager"),
            ended: matches!(phase, "Succeeded" | "Failed"),
            was_up: main.is_some_and(|container| container.started == Some(true) || container.ready),
            failing: init.iter().chain(containers).find_map(failing).or_else(|| evicted(pod, phase)),
        })
    }
}

/// Reasons of a waiting container that do not pass by waiting a moment; those of upstream, and what a kubelet says of
/// images and configurations besides.
const FAILURES: &[&str] = &[
    "CrashLoopBackOff",
    "ImagePullBackOff",
    "ErrImagePull",
    "ErrImageNeverPull",
    "InvalidImageName",
    "RunContainerError",
    "CreateContainerError",
    "CreateContainerConfigError",
];

fn failing(container: &ContainerStatus) -> Option<(Arc<str>, Arc<str>)> {
    let waiting = container.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting.reason.as_deref().filter(|reason| FAILURES.contains(reason))?;
    let message = waiting.message.as_deref().unwrap_or_default();
    let Some(last) = container.last_state.as_ref().and_then(|last| last.terminated.as_ref()) else {
        return Some((shared(reason), shared(message)));
    };
    let ended = last.reason.as_deref().unwrap_or("Error");
    let told = last.message.as_deref().map(|told| format!(": {told}")).unwrap_or_default();
    let text = format!(
        "container {} ended with {ended} (exit code {}){told}; {message}",
        container.name, last.exit_code
    );
    // Who ran out of memory is told so, and not only that it does not stay up.
    let reason = if ended == "OOMKilled" { ended } else { reason };
    Some((shared(reason), Arc::from(text)))
}

fn evicted(pod: &Pod, phase: &str) -> Option<(Arc<str>, Arc<str>)> {
    let status = pod.status.as_ref().filter(|_| phase == "Failed")?;
    let reason = status.reason.as_deref()?;
    Some((shared(reason), shared(status.message.as_deref().unwrap_or_default())))
}

/// A ReplicaSet of a cluster: it may still make pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReplicaSetRecord {
    pub(crate) uid: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) owners: Vec<Arc<str>>,
}

impl ReplicaSetRecord {
    pub(crate) fn of(set: &ReplicaSet) -> Option<ReplicaSetRecord> {
        let meta = &set.metadata;
        Some(ReplicaSetRecord {
            uid: shared(meta.uid.as_deref()?),
            name: shared(meta.name.as_deref()?),
            owners: owners(meta),
        })
    }
}

/// A ConfigMap, Service or Ingress of a cluster, by its metadata alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PartRecord {
    /// `kind/name`.
    pub(crate) part: Arc<str>,
    pub(crate) uid: Arc<str>,
    pub(crate) owners: Vec<Arc<str>>,
    pub(crate) terminating: bool,
}

impl PartRecord {
    pub(crate) fn of<K>(kind: &str, object: &PartialObjectMeta<K>) -> Option<PartRecord> {
        let meta = &object.metadata;
        Some(PartRecord {
            part: part(kind, meta.name.as_deref()?),
            uid: Arc::from(meta.uid.as_deref()?),
            owners: owners(meta),
            terminating: meta.deletion_timestamp.is_some(),
        })
    }
}

/// How a part is named in [`PARTS_ANNOTATION`].
pub(crate) fn part(kind: &str, name: &str) -> Arc<str> {
    Arc::from(format!("{kind}/{name}"))
}

pub(crate) fn label<'a>(meta: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    meta.labels.as_ref()?.get(key).map(String::as_str)
}

fn annotation<'a>(meta: &'a ObjectMeta, key: &str) -> Option<&'a str> {
    meta.annotations.as_ref()?.get(key).map(String::as_str)
}

pub(super) fn owners(meta: &ObjectMeta) -> Vec<Arc<str>> {
    let owners = meta.owner_references.as_deref().unwrap_or_default();
    owners.iter().map(|owner: &OwnerReference| shared(&owner.uid)).collect()
}

fn shared(text: &str) -> Arc<str> {
    Arc::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_jobmanager_cannot_start_without_is_what_it_mounts_of_flinks_own() {
        let map = |name: &str| serde_json::json!({ "name": name, "configMap": { "name": name } });
        let deployment: Deployment = serde_json::from_value(serde_json::json!({
            "metadata": { "name": "a", "uid": "d" },
            "spec": { "selector": {}, "template": { "spec": { "containers": [], "volumes": [
                map("flink-config-a"), map("pod-template-a"), map("flink-config-b"), map("of-the-user"),
                { "name": "other", "emptyDir": {} },
            ] } } },
        }))
        .unwrap();
        let record = DeploymentRecord::of(&deployment).unwrap();
        assert_eq!(record.mounted, ["flink-config-a".into(), "pod-template-a".into()]);
        assert_eq!(record.parts, [] as [Arc<str>; 0]);
    }
}
