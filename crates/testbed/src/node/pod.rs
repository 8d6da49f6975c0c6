//! Runs one pod from its arrival at the node to the removal of its object.
//!
//! ```text
//!   network, volumes ─► init containers, one after the other ─► containers, side by side ─► over
//!                          └ side-cars stay                          └ then side-cars end
//!   deletion at any time: TERM, grace, KILL ─► last status ─► object removed
//! ```
//! It refuses to know how a container is run.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateTerminated, Pod, PodCondition, PodStatus,
};
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Api, Error};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::container::{Role, Stop, Supervisor, host_name};
use super::record::PodRecord;
use super::sandbox::Sandbox;
use super::volumes::{self, Maker, Volumes};
use super::{Shared, limits, status};

/// Tells the containers of a pod to end.
type StopReceiver = watch::Receiver<Option<Stop>>;

/// Runs the pod. It returns when nothing of it is left.
pub(crate) async fn run(node: Arc<Shared>, pod: Arc<Pod>, record: Arc<PodRecord>, mut stop: StopReceiver) {
    let publisher = tokio::spawn(publish_changes(node.clone(), pod.clone(), record.clone()));
    record.changed.notify_one();
    run_containers(&node, &pod, &record, &stop).await;
    // No more than one task writes the status at a time, and the last one knows how it ended.
    publisher.abort();
    drop(publisher.await);
    settle(&record);
    record.set_sandbox(None);
    let is_gone = |stop: &StopReceiver| stop.borrow().is_some_and(|stop| stop.is_gone);
    if !is_gone(&stop) {
        let mut gone = stop.clone();
        tokio::select! {
            () = publish_until_written(&node, &pod, &record) => {}
            _ = gone.wait_for(|stop| stop.is_some_and(|stop| stop.is_gone)) => {}
        }
    }
    if stop.wait_for(Option::is_some).await.is_ok() && !is_gone(&stop) {
        remove_object(&node, &pod).await;
    }
    node.forget(&record);
}

async fn run_containers(node: &Arc<Shared>, pod: &Arc<Pod>, record: &Arc<PodRecord>, stop: &StopReceiver) {
    let mut stopped = stop.clone();
    let prepared = tokio::select! {
        prepared = prepare(node, pod, record) => prepared,
        _ = stopped.wait_for(Option::is_some) => return,
    };
    let (sandbox, volumes) = prepared;
    let renewal =
        tokio::spawn(renew_tokens(node.clone(), pod.clone(), record.clone(), sandbox.address.to_string()));
    let supervisor = |container: &Container, role, stop| Supervisor {
        node: node.clone(),
        pod: pod.clone(),
        record: record.clone(),
        sandbox: sandbox.clone(),
        volumes: volumes.clone(),
        container: container.clone(),
        role,
        stop,
    };
    let (stop_side_cars, side_cars_stop) = watch::channel(None);
    let mut side_cars = JoinSet::new();
    let mut is_initialized = true;
    for container in pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten()) {
        if container.restart_policy.as_deref() == Some("Always") {
            side_cars.spawn(supervisor(container, Role::SideCar, side_cars_stop.clone()).run());
            is_initialized = has_started(record, &container.name, stop).await;
        } else {
            is_initialized = supervisor(container, Role::Init, stop.clone()).run().await;
        }
        if !is_initialized {
            break;
        }
    }
    if is_initialized && stop.borrow().is_none() {
        let mut containers = JoinSet::new();
        for container in pod.spec.iter().flat_map(|spec| &spec.containers) {
            containers.spawn(supervisor(container, Role::Main, stop.clone()).run());
        }
        containers.join_all().await;
    }
    let own_grace = Stop { grace: grace_of(pod), is_gone: false };
    stop_side_cars.send_replace(Some(stop.borrow().unwrap_or(own_grace)));
    side_cars.join_all().await;
    renewal.abort();
}

/// How long a pod may take to end, as its spec says.
fn grace_of(pod: &Pod) -> Duration {
    let seconds = pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds);
    Duration::from_secs(u64::try_from(seconds.unwrap_or(limits::GRACE_SECONDS)).unwrap_or(0))
}

/// Waits until a side-car has started; `false` if the pod has to end first.
async fn has_started(record: &PodRecord, name: &str, stop: &StopReceiver) -> bool {
    loop {
        if stop.borrow().is_some() {
            return false;
        }
        if record.view().container(name).is_some_and(|status| status.started == Some(true)) {
            return true;
        }
        tokio::time::sleep(limits::LOOK).await;
    }
}

/// Network and volumes; tried again until they can be had.
async fn prepare(node: &Arc<Shared>, pod: &Pod, record: &PodRecord) -> (Arc<Sandbox>, Arc<Volumes>) {
    let sandbox = loop {
        node.online().await;
        match make_sandbox(node, pod, record).await {
            Ok(sandbox) => break Arc::new(sandbox),
            Err(error) => {
                let message = format!("Failed to create pod sandbox: {error}");
                node.event(pod, "Warning", "FailedCreatePodSandBox", &message);
            }
        }
        tokio::time::sleep(limits::SYNC).await;
    };
    record.set_sandbox(Some(sandbox.clone()));
    let address = sandbox.address.to_string();
    node.write_hosts(record, sandbox.address, &host_name(pod));
    let mut wait = limits::RETRY;
    let volumes = loop {
        node.online().await;
        match make_volumes(node, pod, record, &address).await {
            Ok(volumes) => break Arc::new(volumes),
            Err(error) => node.event(pod, "Warning", "FailedMount", &error),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(limits::HEARTBEAT);
    };
    record.change(|view| view.address = Some(address));
    (sandbox, volumes)
}

async fn make_sandbox(node: &Shared, pod: &Pod, record: &PodRecord) -> io::Result<Sandbox> {
    std::fs::create_dir_all(&record.directory)?;
    if pod.spec.as_ref().and_then(|spec| spec.host_network) == Some(true) {
        return Ok(Sandbox::of_machine(&node.config.network));
    }
    let lease = node.lease_address().ok_or_else(|| io::Error::other("no free address on this node"))?;
    Sandbox::create(&node.spawner, &node.config.network, lease, &host_name(pod)).await
}

async fn make_volumes(
    node: &Shared,
    pod: &Pod,
    record: &PodRecord,
    address: &str,
) -> Result<Volumes, String> {
    let maker = Maker {
        client: &node.config.client,
        pod,
        address,
        host_address: &node.host_address(),
        directory: &record.directory.join("volumes"),
    };
    maker.make_all().await
}

/// Writes the volumes again before their tokens expire.
async fn renew_tokens(node: Arc<Shared>, pod: Arc<Pod>, record: Arc<PodRecord>, address: String) {
    let Some(period) = volumes::token_renewal(&pod) else { return };
    loop {
        tokio::time::sleep(period).await;
        node.online().await;
        if let Err(error) = make_volumes(&node, &pod, &record, &address).await {
            node.event(&pod, "Warning", "FailedMount", &error);
        }
    }
}

/// The pod is over: what never ran has ended, too.
fn settle(record: &PodRecord) {
    record.change(|view| {
        view.is_over = true;
        let has_failed_init = view.init.iter().any(|status| {
            status
                .state
                .as_ref()
                .and_then(|state| state.terminated.as_ref())
                .is_none_or(|ended| ended.exit_code != 0)
        });
        // Containers after a failed init container stay as they are: they were never to run.
        if has_failed_init && !view.init.is_empty() {
            return;
        }
        for status in &mut view.containers {
            let state = status.state.get_or_insert_default();
            if state.terminated.is_some() {
                continue;
            }
            let unknown = ContainerStateTerminated {
                exit_code: 137,
                reason: Some("ContainerStatusUnknown".to_owned()),
                message: Some("The container could not be located when the pod was terminated".to_owned()),
                ..ContainerStateTerminated::default()
            };
            let before = status.last_state.as_mut().and_then(|last| last.terminated.take());
            *state =
                ContainerState { terminated: Some(before.unwrap_or(unknown)), ..ContainerState::default() };
            status.ready = false;
        }
    });
}

async fn publish_changes(node: Arc<Shared>, pod: Arc<Pod>, record: Arc<PodRecord>) {
    let mut conditions: Vec<PodCondition> =
        pod.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
    let mut written: Option<PodStatus> = None;
    loop {
        record.changed.notified().await;
        let foreign = record.seen().into_iter();
        let foreign: Vec<_> =
            foreign.filter(|seen| conditions.iter().all(|own| own.type_ != seen.type_)).collect();
        conditions.extend(foreign);
        let computed = status::status(&pod, &record.view(), &conditions, Timestamp::now());
        conditions = computed.conditions.clone().unwrap_or_default();
        if written.as_ref() == Some(&computed) {
            continue;
        }
        write(&node, &record, &computed).await;
        written = Some(computed);
    }
}

async fn publish_until_written(node: &Shared, pod: &Pod, record: &PodRecord) {
    let pods: Api<Pod> = Api::namespaced(node.config.client.clone(), &record.namespace);
    node.online().await;
    let seen = pods.get_opt(&record.name).await.ok().flatten();
    let before = seen.and_then(|pod| pod.status).and_then(|status| status.conditions).unwrap_or_default();
    write(node, record, &status::status(pod, &record.view(), &before, Timestamp::now())).await;
}

/// Writes a status; tried again for as long as the API server cannot be reached.
async fn write(node: &Shared, record: &PodRecord, status: &PodStatus) {
    let pods: Api<Pod> = Api::namespaced(node.config.client.clone(), &record.namespace);
    // The uid makes it fail for another pod of the same name.
    let patch = json!({"metadata": {"uid": record.uid}, "status": status});
    loop {
        node.online().await;
        match pods.patch_status(&record.name, &PatchParams::default(), &Patch::Merge(&patch)).await {
            Ok(_) => return,
            Err(Error::Api(answer)) if matches!(answer.code, 404 | 409 | 422) => return,
            Err(_) => tokio::time::sleep(limits::RETRY).await,
        }
    }
}

/// Removes the object of a pod of which nothing is left.
pub(crate) async fn remove_object(node: &Shared, pod: &Pod) {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let pods: Api<Pod> = Api::namespaced(node.config.client.clone(), namespace);
    let own = Preconditions { uid: pod.metadata.uid.clone(), resource_version: None };
    let parameters = DeleteParams { preconditions: Some(own), ..DeleteParams::default().grace_period(0) };
    loop {
        node.online().await;
        match pods.delete(name, &parameters).await {
            Ok(_) => return,
            Err(Error::Api(answer)) if matches!(answer.code, 404 | 409) => return,
            Err(_) => tokio::time::sleep(limits::RETRY).await,
        }
    }
}
