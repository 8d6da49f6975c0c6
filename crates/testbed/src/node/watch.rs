//! Follows the pods of the cluster: binds those that nobody has placed, starts those that are this node's, ends
//! those that are deleted. It refuses to know how a pod is run.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Binding, ObjectReference, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{WatchStreamExt, watcher::Config};
use serde_json::json;

use super::container::Stop;
use super::pod::remove_object;
use super::schedule::{Requests, fits};
use super::{Shared, limits};

/// Follows pods for as long as the node lives. A node that was lost begins with a fresh list.
pub(crate) async fn follow(node: Arc<Shared>) {
    loop {
        node.online().await;
        tokio::select! {
            () = node.offline() => {}
            () = follow_while_online(&node) => tokio::time::sleep(limits::RETRY).await,
        }
    }
}

async fn follow_while_online(node: &Arc<Shared>) {
    let pods: Api<Pod> = Api::all(node.config.client.clone());
    let config = Config::default().timeout(60);
    let mut events = watcher(pods, config).backoff(watcher::DefaultBackoff::default()).boxed();
    let mut listed: Vec<String> = Vec::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(pod)) => {
                listed.extend(pod.metadata.uid.clone());
                saw(node, pod);
            }
            Ok(Event::InitDone) => {
                for uid in node.uids().into_iter().filter(|uid| !listed.contains(uid)) {
                    gone(node, &uid);
                }
            }
            Ok(Event::Apply(pod)) => saw(node, pod),
            Ok(Event::Delete(pod)) => gone(node, pod.metadata.uid.as_deref().unwrap_or_default()),
            Err(_) => {}
        }
    }
}

fn gone(node: &Arc<Shared>, uid: &str) {
    node.pending.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(uid);
    node.stop_pod(uid, Stop { grace: limits::GRACE_MIN, is_gone: true });
    place_pending(node);
}

fn saw(node: &Arc<Shared>, pod: Pod) {
    let uid = pod.metadata.uid.clone().unwrap_or_default();
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default().to_owned();
    let is_over = matches!(phase.as_str(), "Succeeded" | "Failed");
    let is_deleted = pod.metadata.deletion_timestamp.is_some();
    match pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) {
        Some(name) if name == node.config.name => {
            if is_deleted {
                let seconds = pod.metadata.deletion_grace_period_seconds.unwrap_or(limits::GRACE_SECONDS);
                let grace = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
                if !node.stop_pod(&uid, Stop { grace, is_gone: false }) {
                    // Another life of this node ran it: nothing of it is left but the object.
                    let node = node.clone();
                    tokio::spawn(async move { remove_object(&node, &pod).await });
                }
            } else if is_over {
                place_pending(node);
            } else {
                node.start_pod(pod);
            }
        }
        Some(_) => {}
        None if is_deleted => {}
        None => {
            let mut pending = node.pending.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let is_new = pending.insert(uid, pod).is_none();
            drop(pending);
            if is_new {
                place_pending(node);
            }
        }
    }
}

/// Places each pending pod that fits now.
fn place_pending(node: &Arc<Shared>) {
    let mut pending = node.pending.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let waiting: Vec<(String, Pod)> = pending.iter().map(|(uid, pod)| (uid.clone(), pod.clone())).collect();
    for (uid, pod) in waiting {
        let verdict = fits(&pod, &node.config.labels, node.config.capacity, &node.taken());
        if verdict.is_ok() {
            pending.remove(&uid);
            node.reserve(&uid, Requests::of(&pod));
        }
        let node = node.clone();
        tokio::spawn(async move {
            match verdict {
                Ok(()) => bind(&node, pod).await,
                Err(reason) => tell_unschedulable(&node, &pod, &reason).await,
            }
        });
    }
}

async fn bind(node: &Shared, pod: Pod) {
    let (name, namespace) = (pod.metadata.name.clone().unwrap_or_default(), namespace(&pod));
    let uid = pod.metadata.uid.clone();
    let binding = Binding {
        metadata: ObjectMeta { name: Some(name.clone()), uid: uid.clone(), ..ObjectMeta::default() },
        target: ObjectReference {
            kind: Some("Node".to_owned()),
            name: Some(node.config.name.clone()),
            ..ObjectReference::default()
        },
    };
    let pods: Api<Pod> = Api::namespaced(node.config.client.clone(), namespace);
    loop {
        node.online().await;
        let bound: kube::Result<serde_json::Value> =
            pods.create_subresource("binding", &name, &PostParams::default(), &binding).await;
        match bound {
            Ok(_) => {
                let message = format!("Successfully assigned {namespace}/{name} to {}", node.config.name);
                node.event(&pod, "Normal", "Scheduled", &message);
                return;
            }
            Err(kube::Error::Api(answer)) if (400..500).contains(&answer.code) && answer.code != 429 => {
                // Bound by another node, or gone.
                node.unreserve(uid.as_deref().unwrap_or_default());
                return;
            }
            Err(_) => tokio::time::sleep(limits::RETRY).await,
        }
    }
}

async fn tell_unschedulable(node: &Shared, pod: &Pod, reason: &str) {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let is_told = conditions.clone().any(|condition| condition.message.as_deref() == Some(reason));
    if is_told {
        return;
    }
    node.event(pod, "Warning", "FailedScheduling", reason);
    let condition = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": reason,
        "lastTransitionTime": Time(Timestamp::now())});
    let patch = json!({"metadata": {"uid": pod.metadata.uid}, "status": {"phase": "Pending", "conditions": [condition]}});
    let pods: Api<Pod> = Api::namespaced(node.config.client.clone(), namespace(pod));
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    // It is told again at the next occasion if this does not arrive.
    drop(pods.patch_status(name, &PatchParams::default(), &Patch::Merge(&patch)).await);
}

fn namespace(pod: &Pod) -> &str {
    pod.metadata.namespace.as_deref().unwrap_or_default()
}
