//! The node as an object of the API: registered once, alive by its Lease. It refuses to know pods.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::{Shared, limits};

const LEASES: &str = "kube-node-lease";

/// Makes the Node object and says that it is ready.
pub(crate) async fn register(node: &Shared) -> kube::Result<()> {
    let nodes: Api<Node> = Api::all(node.config.client.clone());
    let name = &node.config.name;
    let labels = &node.config.labels;
    let object = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}});
    let parameters = PatchParams::apply("drey-testbed").force();
    nodes.patch(name, &parameters, &Patch::Apply(&object)).await?;
    say_ready(node).await?;
    renew(node).await
}

/// Renews the Lease, and says `Ready` again if someone has said otherwise.
pub(crate) async fn beat(node: Arc<Shared>) {
    let mut ticks = tokio::time::interval(limits::HEARTBEAT);
    let mut was_online = true;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            // Back from being lost: heard at once.
            () = node.online(), if !was_online => ticks.reset(),
        }
        was_online = node.is_online();
        if was_online && renew(&node).await.is_ok() && !is_said_ready(&node).await {
            // Said again with the next beat if it is not heard now.
            drop(say_ready(&node).await);
        }
    }
}

/// Takes the objects of the node away.
pub(crate) async fn deregister(node: &Shared) {
    let nodes: Api<Node> = Api::all(node.config.client.clone());
    let leases: Api<Lease> = Api::namespaced(node.config.client.clone(), LEASES);
    let away = async {
        drop(nodes.delete(&node.config.name, &DeleteParams::default()).await);
        drop(leases.delete(&node.config.name, &DeleteParams::default()).await);
    };
    // An API server that has ended before its node takes them along.
    drop(tokio::time::timeout(limits::GOODBYE, away).await);
}

async fn renew(node: &Shared) -> kube::Result<()> {
    let leases: Api<Lease> = Api::namespaced(node.config.client.clone(), LEASES);
    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": node.config.name, "namespace": LEASES},
        "spec": {"holderIdentity": node.config.name, "leaseDurationSeconds": limits::LEASE_SECONDS,
            "renewTime": MicroTime(Timestamp::now())}});
    let parameters = PatchParams::apply("drey-testbed").force();
    leases.patch(&node.config.name, &parameters, &Patch::Apply(&lease)).await.map(drop)
}

async fn is_said_ready(node: &Shared) -> bool {
    let nodes: Api<Node> = Api::all(node.config.client.clone());
    let Ok(seen) = nodes.get(&node.config.name).await else { return true };
    let conditions = seen.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.filter(|condition| condition.type_ == "Ready").any(|condition| condition.status == "True")
}

async fn say_ready(node: &Shared) -> kube::Result<()> {
    let nodes: Api<Node> = Api::all(node.config.client.clone());
    let patch = Patch::Merge(json!({"status": status(node)}));
    nodes.patch_status(&node.config.name, &PatchParams::default(), &patch).await.map(drop)
}

fn status(node: &Shared) -> Value {
    let now = Time(Timestamp::now());
    let condition = |kind: &str, holds: bool, reason: &str, message: &str| {
        json!({"type": kind, "status": if holds { "True" } else { "False" }, "reason": reason, "message": message,
            "lastHeartbeatTime": now, "lastTransitionTime": now})
    };
    let capacity = node.config.capacity;
    let resources = json!({"cpu": format!("{}m", capacity.cpu_millis), "memory": capacity.memory_bytes.to_string(),
        "pods": capacity.pods.to_string()});
    json!({
        "conditions": [
            condition("MemoryPressure", false, "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
            condition("DiskPressure", false, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            condition("PIDPressure", false, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
            condition("Ready", true, "KubeletReady", "kubelet is posting ready status"),
        ],
        // No host name among them: the API server takes the first that it knows, and nobody resolves names.
        "addresses": [{"type": "InternalIP", "address": node.host_address()}],
        "capacity": resources,
        "allocatable": resources,
        "daemonEndpoints": {"kubeletEndpoint": {"Port": node.kubelet_port()}},
        "nodeInfo": {"machineID": "", "systemUUID": "", "bootID": "", "kernelVersion": "", "osImage": "processes",
            "containerRuntimeVersion": "testbed://1", "kubeletVersion": "v1.35.4", "kubeProxyVersion": "",
            "operatingSystem": "linux", "architecture": "amd64"},
    })
}
