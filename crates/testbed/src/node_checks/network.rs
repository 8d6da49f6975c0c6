//! Addresses, names, and where pods run.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Service;
use kube::api::{DeleteParams, LogParams};
use serde_json::{Value, json};

use super::{Bench, Stage, is_ready, phase, shell};

/// Names of services lead to ready pods, and to nobody when there is none.
pub(super) async fn names_of_services(bench: &Bench<'_>) -> Result<()> {
    let stage = Stage::build(bench, "names").await?;
    let ports = json!([{"port": 8080}]);
    for (name, address) in [("headless", json!("None")), ("plain", Value::Null)] {
        let spec = json!({"clusterIP": address, "selector": {"app": "server"}, "ports": ports});
        stage.make::<Service>(json!({"metadata": {"name": name}, "spec": spec})).await?;
    }
    let server = json!({"name": "c", "image": "busybox:1", "command": ["sh", "-c",
        "exec perl -MIO::Socket::INET -e '$s = IO::Socket::INET->new(LocalPort => 8080, Listen => 8) or die; while ($c = $s->accept) { print $c qq(hello\\n); close $c }'"]});
    stage
        .run_with(json!({"name": "server", "labels": {"app": "server"}}), json!({"containers": [server]}))
        .await?;
    let server = stage.until("server", "ready", is_ready).await?;
    let address = server.status.and_then(|status| status.pod_ip).context("a ready pod has an address")?;
    let namespace = &stage.namespace;
    let names = [
        "headless",
        &format!("headless.{namespace}"),
        &format!("plain.{namespace}.svc.cluster.local"),
        "plain.nowhere",
    ];
    let script = format!(
        "for name in {} $(hostname); do until [ $name = plain.nowhere ] || getent ahostsv4 $name >/dev/null; do sleep 0.1; done; \
         getent ahostsv4 $name | head -1 | cut -d' ' -f1; done; \
         perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(PeerAddr => qq(plain:8080))->getline'",
        names.join(" ")
    );
    let spec = json!({"restartPolicy": "Never", "containers": [shell("c", &script)]});
    stage.run("asker", spec).await?;
    let asker = stage.until("asker", "an end", |pod| matches!(phase(pod), "Succeeded" | "Failed")).await?;
    let own = asker.status.and_then(|status| status.pod_ip).context("it had an address")?;
    let log = stage.log("asker", &LogParams::default()).await?;
    ensure!(log == format!("{address}\n{address}\n{address}\n{own}\nhello\n"), "{log}");
    let reached: SocketAddr = format!("{address}:8080").parse()?;
    tokio::net::TcpStream::connect(reached).await.context("this machine does not reach the pod")?;
    stage.strike().await
}

/// A pod without a network of its own, and without the rights of root.
pub(super) async fn the_network_of_the_machine(bench: &Bench<'_>) -> Result<()> {
    let stage = Stage::build(bench, "machine").await?;
    let script =
        format!("ip -o -4 address show dev {} | grep -c . ; id -u; id -g", bench.config.network.bridge);
    let spec = json!({"hostNetwork": true, "restartPolicy": "Never", "containers": [shell("c", &script)],
        "securityContext": {"runAsUser": 9999, "runAsGroup": 9998}});
    stage.run("pod", spec).await?;
    let pod = stage.until("pod", "Succeeded", |pod| phase(pod) == "Succeeded").await?;
    let status = pod.status.context("it has a status")?;
    let gateway = bench.config.network.gateway.to_string();
    ensure!(status.pod_ip == Some(gateway.clone()) && status.host_ip == Some(gateway), "{status:?}");
    let log = stage.log("pod", &LogParams::default()).await?;
    ensure!(log == "1\n9999\n9998\n", "{log}");
    stage.strike().await
}

/// A request too large, a label that the node does not have, and room that is made.
pub(super) async fn pods_that_do_not_fit(bench: &Bench<'_>) -> Result<()> {
    let stage = Stage::build(bench, "room").await?;
    let sized = |share: u64| {
        let mut container = shell("c", "sleep 600");
        let cpu = format!("{}m", bench.config.capacity.cpu_millis * share / 100);
        container["resources"] = json!({"requests": {"cpu": cpu}});
        json!({"containers": [container], "terminationGracePeriodSeconds": 0})
    };
    let message = |pod: &k8s_openapi::api::core::v1::Pod| -> String {
        let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
        let scheduled = conditions.filter(|condition| condition.type_ == "PodScheduled");
        scheduled.filter_map(|condition| condition.message.clone()).collect()
    };
    stage.run("first", sized(60)).await?;
    stage.until("first", "Running", |pod| phase(pod) == "Running").await?;
    stage.run("second", sized(60)).await?;
    stage.until("second", "Insufficient cpu", |pod| message(pod).contains("Insufficient cpu")).await?;
    let mut elsewhere = sized(1);
    elsewhere["nodeSelector"] = json!({"nowhere": "yes"});
    stage.run("elsewhere", elsewhere).await?;
    stage.until("elsewhere", "no such node", |pod| message(pod).contains("affinity/selector")).await?;
    stage.pods().delete("first", &DeleteParams::default()).await?;
    stage.until("second", "Running", |pod| phase(pod) == "Running").await?;
    stage.strike().await
}
