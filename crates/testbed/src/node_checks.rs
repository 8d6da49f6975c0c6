//! Checks that the node behaves as a kubelet does, on a cluster that runs: each makes pods in a namespace of its own
//! and looks at what the API server has of them. A cluster's tests call them; so does the example `process-node`.
//!
//! They refuse to know how the node does it.

mod containers;
mod files;
mod lifecycle;
mod network;
mod node_loss;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Namespace, Pod, ServiceAccount};
use kube::api::{DeleteParams, LogParams, PostParams};
use kube::runtime::wait::await_condition;
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::node::{Node, NodeConfig};

/// How long a check waits for what has to come.
const PATIENCE: Duration = Duration::from_secs(90);

/// A cluster with a running node.
pub struct Bench<'a> {
    /// May do everything.
    pub client: Client,
    /// The node.
    pub node: &'a Node,
    /// What the node was started with.
    pub config: NodeConfig,
    /// For `kubectl`.
    pub kubeconfig: PathBuf,
}

/// All checks in turn; the names of those that passed.
///
/// # Errors
/// The first check that failed, by its name.
pub async fn all(bench: &Bench<'_>) -> Result<Vec<&'static str>> {
    let mut passed = Vec::new();
    macro_rules! check {
        ($($module:ident :: $name:ident),+ $(,)?) => {$(
            $module::$name(bench).await.context(stringify!($name))?;
            passed.push(stringify!($name));
        )+};
    }
    check!(
        containers::restart_policies_and_exit_codes,
        containers::images_that_cannot_be_pulled,
        containers::images_of_programs_and_layers,
        containers::out_of_memory,
        containers::programs_that_are_not_there,
        lifecycle::probes,
        lifecycle::grace,
        lifecycle::init_containers,
        lifecycle::side_cars,
        files::mounts_and_environment,
        files::what_is_missing_is_waited_for,
        files::logs,
        network::names_of_services,
        network::the_network_of_the_machine,
        network::pods_that_do_not_fit,
        node_loss::silent,
        node_loss::powered_off,
        node_loss::nothing_outlives_a_node,
    );
    Ok(passed)
}

/// A namespace of a check, which is deleted by [`Stage::strike`].
struct Stage<'a> {
    bench: &'a Bench<'a>,
    namespace: String,
}

impl<'a> Stage<'a> {
    async fn build(bench: &'a Bench<'a>, name: &str) -> Result<Stage<'a>> {
        let namespaces: Api<Namespace> = Api::all(bench.client.clone());
        let namespace: Namespace =
            serde_json::from_value(json!({"metadata": {"generateName": format!("{name}-")}}))?;
        let made = namespaces.create(&PostParams::default(), &namespace).await?;
        let namespace = made.metadata.name.context("a namespace has a name")?;
        let accounts: Api<ServiceAccount> = Api::namespaced(bench.client.clone(), &namespace);
        // Pods are refused before the controller has made it.
        let is_there = |account: Option<&ServiceAccount>| account.is_some();
        tokio::time::timeout(PATIENCE, await_condition(accounts, "default", is_there)).await??;
        Ok(Stage { bench, namespace })
    }

    async fn strike(self) -> Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.bench.client.clone());
        namespaces.delete(&self.namespace, &DeleteParams::default()).await?;
        Ok(())
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.bench.client.clone(), &self.namespace)
    }

    /// Makes a pod of this spec, on the checked node unless it says otherwise.
    async fn run(&self, name: &str, spec: Value) -> Result<Pod> {
        self.run_with(json!({"name": name}), spec).await
    }

    async fn run_with(&self, metadata: Value, mut spec: Value) -> Result<Pod> {
        if spec.get("nodeSelector").is_none() {
            spec["nodeSelector"] = json!({"kubernetes.io/hostname": self.bench.node.name()});
        }
        let pod: Pod = serde_json::from_value(json!({"metadata": metadata, "spec": spec}))?;
        Ok(self.pods().create(&PostParams::default(), &pod).await?)
    }

    /// Makes any other object.
    async fn make<K>(&self, object: Value) -> Result<()>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
        K: serde::de::DeserializeOwned + serde::Serialize + Clone + std::fmt::Debug,
    {
        let api: Api<K> = Api::namespaced(self.bench.client.clone(), &self.namespace);
        api.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
        Ok(())
    }

    /// Waits until the pod is as described, and says how it is if it never gets there.
    async fn until(&self, name: &str, what: &str, is: impl Fn(&Pod) -> bool) -> Result<Pod> {
        let condition = |pod: Option<&Pod>| pod.is_some_and(&is);
        let waited = tokio::time::timeout(PATIENCE, await_condition(self.pods(), name, condition)).await;
        match waited {
            Ok(pod) => pod?.context("the condition holds for a pod that is there"),
            Err(_) => {
                let status = self.pods().get(name).await?.status;
                bail!("`{name}` did not get `{what}`: {}", serde_json::to_string_pretty(&status)?)
            }
        }
    }

    /// Waits until the object of the pod is gone.
    async fn until_gone(&self, name: &str) -> Result<()> {
        let condition = |pod: Option<&Pod>| pod.is_none();
        let gone = await_condition(self.pods(), name, condition);
        tokio::time::timeout(PATIENCE, gone).await.with_context(|| format!("`{name}` does not go"))??;
        Ok(())
    }

    async fn log(&self, pod: &str, parameters: &LogParams) -> Result<String> {
        Ok(self.pods().logs(pod, parameters).await?)
    }
}

/// A container of the machine's own programs that runs this shell script.
fn shell(name: &str, script: &str) -> Value {
    json!({"name": name, "image": "busybox:1", "command": ["sh", "-c", script]})
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

/// The status of a container, of whichever kind.
fn container<'a>(pod: &'a Pod, name: &str) -> Option<&'a ContainerStatus> {
    let status = pod.status.as_ref()?;
    let init = status.init_container_statuses.iter().flatten();
    init.chain(status.container_statuses.iter().flatten()).find(|status| status.name == name)
}

/// Why a container waits, or why it has ended.
fn reason<'a>(pod: &'a Pod, name: &str) -> Option<&'a str> {
    let state = container(pod, name)?.state.as_ref()?;
    let waiting = state.waiting.as_ref().and_then(|waiting| waiting.reason.as_deref());
    waiting.or_else(|| state.terminated.as_ref().and_then(|ended| ended.reason.as_deref()))
}

fn exit_code(state: Option<&ContainerState>) -> Option<i32> {
    Some(state?.terminated.as_ref()?.exit_code)
}

/// The exit code of a container that has ended.
fn ended_with(pod: &Pod, name: &str) -> Option<i32> {
    exit_code(container(pod, name)?.state.as_ref())
}

/// The exit code of the start before.
fn ended_before_with(pod: &Pod, name: &str) -> Option<i32> {
    exit_code(container(pod, name)?.last_state.as_ref())
}

fn is_running(pod: &Pod, name: &str) -> bool {
    container(pod, name).and_then(|status| status.state.as_ref()).is_some_and(|state| state.running.is_some())
}

fn restarts(pod: &Pod, name: &str) -> i32 {
    container(pod, name).map_or(0, |status| status.restart_count)
}

/// The status of a condition, `True` or `False`.
fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a str> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == kind).map(|condition| condition.status.as_str())
}

fn is_ready(pod: &Pod) -> bool {
    condition(pod, "Ready") == Some("True")
}
