//! A node that is lost, one that comes back, and one that is gone.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::DeleteParams;
use serde_json::json;

use super::{Bench, Stage, is_ready, is_running, phase, restarts, shell};
use crate::node::{Loss, Node, NodeConfig};

/// A dead kubelet: its pods go on, nothing is reported, a deletion waits for its return.
pub(super) async fn silent(bench: &Bench<'_>) -> Result<()> {
    let stage = Stage::build(bench, "silent").await?;
    let spec = json!({"containers": [shell("c", "trap 'exit 0' TERM; while :; do sleep 0.1; done")]});
    stage.run("pod", spec).await?;
    stage.until("pod", "Running", |pod| phase(pod) == "Running").await?;
    let leases: Api<Lease> = Api::namespaced(bench.client.clone(), "kube-node-lease");
    bench.node.lose(Loss::Silent).await?;
    let renewed = async || -> Result<_> {
        let lease = leases.get(bench.node.name()).await?;
        lease.spec.and_then(|spec| spec.renew_time).context("a Lease has a time")
    };
    let before = renewed().await?;
    stage.pods().delete("pod", &DeleteParams::default()).await?;
    // Longer than a beat: what a living node would have done is not done.
    tokio::time::sleep(Duration::from_secs(11)).await;
    ensure!(renewed().await? == before, "a lost node renewed its Lease");
    let pod = stage.pods().get("pod").await.context("a lost node removed a pod")?;
    ensure!(is_running(&pod, "c"), "a lost node told of its pod: {:?}", pod.status);
    bench.node.recover().await?;
    stage.until_gone("pod").await?;
    ensure!(renewed().await? != before, "a node that is back does not renew its Lease");
    stage.strike().await
}

/// No power: what it told last stays true for the API server until it is back and restarts its pods.
pub(super) async fn powered_off(bench: &Bench<'_>) -> Result<()> {
    let stage = Stage::build(bench, "power").await?;
    stage.run("pod", json!({"containers": [shell("c", "sleep 600")]})).await?;
    let pod = stage.until("pod", "Running", |pod| phase(pod) == "Running").await?;
    let address = pod.status.and_then(|status| status.pod_ip).context("a running pod has an address")?;
    bench.node.lose(Loss::PoweredOff).await?;
    let place = format!("{address}:1");
    let connected =
        tokio::time::timeout(Duration::from_secs(1), tokio::net::TcpStream::connect(&place)).await;
    // A pod that is there refuses at once.
    ensure!(
        !matches!(&connected, Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused),
        "a pod without power answers"
    );
    let pod = stage.pods().get("pod").await?;
    ensure!(is_ready(&pod) && restarts(&pod, "c") == 0, "a node without power reports: {:?}", pod.status);
    bench.node.recover().await?;
    stage.until("pod", "a restart", |pod| restarts(pod, "c") == 1 && is_ready(pod)).await?;
    stage.strike().await
}

/// A dropped node leaves no process and no network.
pub(super) async fn nothing_outlives_a_node(bench: &Bench<'_>) -> Result<()> {
    let stage = Stage::build(bench, "remains").await?;
    let directory = tempfile::tempdir()?;
    let name = format!("{}-short-lived", bench.node.name());
    let config = NodeConfig {
        name: name.clone(),
        number: bench.config.number + 1,
        directory: directory.path().to_owned(),
        labels: BTreeMap::new(),
        ..bench.config.clone()
    };
    let node = Node::start(config).await?;
    let links = || -> Result<Vec<String>> {
        let entries = std::fs::read_dir(format!("/sys/class/net/{}/brif", bench.config.network.bridge))?;
        Ok(entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
    };
    let before = links()?;
    let marker = format!("86400.{}", std::process::id());
    let spec = json!({"nodeSelector": {"kubernetes.io/hostname": name}, "containers": [
        {"name": "c", "image": "busybox:1", "command": ["sh", "-c", format!("trap '' TERM; sleep {marker} & wait")]}]});
    stage.run("pod", spec).await?;
    stage.until("pod", "Running", |pod| phase(pod) == "Running").await?;
    // A container runs as soon as its shell does, which then has to come to the marked process.
    let there = async {
        while !is_alive(&marker) || links().is_ok_and(|links| links.len() <= before.len()) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), there)
        .await
        .context("the check does not see what it looks for")?;
    drop(node);
    let gone = async {
        while is_alive(&marker) || links().is_ok_and(|links| links.iter().any(|link| !before.contains(link)))
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone)
        .await
        .context("something is left of a dropped node")?;
    let rest: Vec<_> =
        std::fs::read_dir(directory.path())?.flatten().map(|entry| entry.file_name()).collect();
    ensure!(rest.is_empty(), "files are left of a dropped node: {rest:?}");
    stage.pods().delete("pod", &DeleteParams::default().grace_period(0)).await?;
    let nodes: Api<k8s_openapi::api::core::v1::Node> = Api::all(bench.client.clone());
    nodes.delete(&name, &DeleteParams::default()).await?;
    stage.strike().await
}

/// Whether a process of this machine has the marker among its arguments.
fn is_alive(marker: &str) -> bool {
    let processes = std::fs::read_dir(Path::new("/proc")).into_iter().flatten().flatten();
    let mut lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines.any(|line| line.split(|byte| *byte == 0).any(|word| word == marker.as_bytes()))
}
