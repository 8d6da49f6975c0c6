//! From the objects of a cluster to what the engine sees of it. Pure: the same conclusion from a live look and from
//! what watches have told. Refuses to know whether the objects are all there are.

use std::sync::Arc;

use drey_api::kinds::FlinkVersion;
use drey_core::observed::{Cluster, ClusterPhase};
use drey_core::{JobId, Seen};

use super::record::{DeploymentRecord, PartRecord, PodRecord, ReplicaSetRecord};

/// The objects of one cluster id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) job_manager: Option<DeploymentRecord>,
    pub(crate) task_managers: Option<DeploymentRecord>,
    pub(crate) replica_sets: Vec<ReplicaSetRecord>,
    pub(crate) pods: Vec<PodRecord>,
    pub(crate) parts: Vec<PartRecord>,
}

/// The cluster of the resource `owner`.
pub(crate) fn judge(owner: &str, found: &Found) -> Seen<Cluster> {
    match &found.job_manager {
        Some(deployment) => Seen::Present(present(owner, deployment, found)),
        None => remnants(owner, found),
    }
}

fn present(owner: &str, deployment: &DeploymentRecord, found: &Found) -> Cluster {
    let terminating = deployment.terminating;
    Cluster {
        uid: deployment.uid.clone(),
        owned: deployment.owners.iter().any(|uid| **uid == *owner),
        terminating,
        seq: deployment.seq,
        job_id: deployment.job_id.as_deref().map(JobId::new),
        generation: deployment.generation,
        flink_version: deployment.flink_version.as_deref().and_then(version),
        phase: phase(deployment, found),
        never_available: never_available(deployment, found),
        task_managers: found
            .task_managers
            .as_ref()
            .filter(|task_managers| !task_managers.terminating)
            .map(|task_managers| task_managers.replicas),
        missing: if terminating { None } else { missing(deployment, found) },
    }
}

fn version(text: &str) -> Option<FlinkVersion> {
    FlinkVersion::ALL.iter().copied().find(|version| version.as_str() == text)
}

fn phase(deployment: &DeploymentRecord, found: &Found) -> ClusterPhase {
    if deployment.available > 0 {
        return ClusterPhase::Available;
    }
    let job_managers = found.pods.iter().filter(|pod| pod.is_job_manager);
    let failing = job_managers.filter_map(|pod| pod.failing.as_ref()).next().or(deployment.refused.as_ref());
    match failing {
        Some((reason, message)) => {
            ClusterPhase::Failing { reason: reason.to_string(), message: message.to_string() }
        }
        None => ClusterPhase::Starting,
    }
}

/// A JobManager is available when its start-up probe has heard its REST interface; before that no job of it has run.
fn never_available(deployment: &DeploymentRecord, found: &Found) -> bool {
    let was_up = found.pods.iter().any(|pod| pod.is_job_manager && pod.was_up);
    !deployment.was_available && deployment.available == 0 && !was_up
}

/// What was made with it and is not there, or belongs to an incarnation that is going away.
fn missing(deployment: &DeploymentRecord, found: &Found) -> Option<Arc<str>> {
    let exists = |part: &Arc<str>| match part.strip_prefix("Deployment/") {
        Some(_) => found.task_managers.as_ref().is_some_and(|task_managers| !task_managers.terminating),
        None => found.parts.iter().any(|record| {
            record.part == *part
                && !record.terminating
                && record
                    .owners
                    .iter()
                    .any(|owner| *owner == deployment.uid || deployment.owners.contains(owner))
        }),
    };
    let missing: Vec<String> =
        deployment.parts.iter().filter(|part| !exists(part)).map(|part| part.replacen('/', " ", 1)).collect();
    (!missing.is_empty()).then(|| Arc::from(missing.join(", ")))
}

/// The JobManager's Deployment is gone: what is left of the cluster is going away.
fn remnants(owner: &str, found: &Found) -> Seen<Cluster> {
    let task_managers = found.task_managers.as_ref();
    let alive = found.pods.iter().find(|pod| !pod.ended);
    let of_pod = || alive.and_then(|pod| pod.owners.first().or(Some(&pod.uid))).cloned();
    let of_set = || found.replica_sets.first().map(|set| set.owners.first().unwrap_or(&set.uid).clone());
    let Some(uid) = task_managers.map(|left| left.uid.clone()).or_else(of_pod).or_else(of_set) else {
        return Seen::Absent;
    };
    Seen::Present(Cluster {
        uid,
        owned: task_managers.is_none_or(|left| left.owners.iter().any(|uid| **uid == *owner)),
        terminating: true,
        seq: task_managers.and_then(|left| left.seq),
        job_id: task_managers.and_then(|left| left.job_id.as_deref()).map(JobId::new),
        generation: None,
        flink_version: None,
        phase: ClusterPhase::Starting,
        never_available: false,
        task_managers: None,
        missing: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment() -> DeploymentRecord {
        DeploymentRecord {
            uid: "d".into(),
            owners: vec!["cr".into()],
            terminating: false,
            is_task_managers: false,
            seq: Some(4),
            job_id: Some("0123456789abcdef0123456789abcdef".into()),
            generation: Some(2),
            flink_version: Some("v1_20".into()),
            parts: vec!["ConfigMap/flink-config-a".into(), "Service/a-rest".into()],
            mounted: vec!["flink-config-a".into()],
            replicas: 1,
            available: 1,
            was_available: true,
            refused: None,
        }
    }

    fn part(part: &str, owner: &str) -> PartRecord {
        PartRecord { part: part.into(), uid: "p".into(), owners: vec![owner.into()], terminating: false }
    }

    fn pod(is_job_manager: bool) -> PodRecord {
        PodRecord {
            uid: "p".into(),
            name: "a-1".into(),
            owners: vec!["rs".into()],
            is_job_manager,
            ended: false,
            was_up: false,
            failing: None,
        }
    }

    fn whole() -> Found {
        Found {
            job_manager: Some(deployment()),
            parts: vec![part("ConfigMap/flink-config-a", "d"), part("Service/a-rest", "d")],
            ..Found::default()
        }
    }

    fn seen(found: &Found) -> Cluster {
        judge("cr", found).present().expect("a cluster").clone()
    }

    #[test]
    fn a_whole_cluster_tells_who_made_it_and_for_what() {
        let cluster = seen(&whole());
        assert!(cluster.owned && !cluster.terminating && !cluster.never_available);
        assert_eq!((cluster.seq, cluster.generation, cluster.missing), (Some(4), Some(2), None));
        assert_eq!(cluster.flink_version, Some(FlinkVersion::V1_20));
        assert_eq!(cluster.phase, ClusterPhase::Available);
        assert!(!judge("another", &whole()).present().expect("a cluster").owned);
    }

    #[test]
    fn a_part_that_is_gone_or_of_another_incarnation_is_missing() {
        let mut found = whole();
        found.parts.remove(1);
        assert_eq!(seen(&found).missing.as_deref(), Some("Service a-rest"));
        found.parts[0] = part("ConfigMap/flink-config-a", "an-earlier-one");
        assert_eq!(seen(&found).missing.as_deref(), Some("ConfigMap flink-config-a, Service a-rest"));
    }

    #[test]
    fn nothing_is_absent_while_a_pod_may_be_alive() {
        let mut found = Found { pods: vec![pod(false)], ..Found::default() };
        assert!(seen(&found).terminating);
        found.pods[0].ended = true;
        assert!(judge("cr", &found).is_absent());
        let set = ReplicaSetRecord { uid: "rs".into(), name: "a-x".into(), owners: Vec::new() };
        found.replica_sets.push(set);
        assert!(seen(&found).terminating, "it may make another pod");
        let alone = Found { task_managers: Some(deployment()), ..Found::default() };
        assert!(seen(&alone).terminating);
    }

    #[test]
    fn what_cannot_start_says_why() {
        let mut found = whole();
        let job_manager = found.job_manager.as_mut().expect("a deployment");
        (job_manager.available, job_manager.was_available) = (0, false);
        job_manager.refused = Some(("FailedCreate".into(), "exceeded quota".into()));
        let failing = |found: &Found| match seen(found).phase {
            ClusterPhase::Failing { reason, .. } => reason,
            other => format!("{other:?}"),
        };
        assert_eq!(failing(&found), "FailedCreate");
        found.pods = vec![pod(true)];
        found.pods[0].failing = Some(("OOMKilled".into(), "".into()));
        assert_eq!(failing(&found), "OOMKilled");
        assert!(seen(&found).never_available);
        found.pods[0].was_up = true;
        assert!(!seen(&found).never_available);
    }
}
