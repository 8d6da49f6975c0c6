//! The fleet page with thousands of FlinkDeployments in a real Chromium: how long until the first rows, how long a filter
//! takes, how much is in the page and how fluent it stays while resources change, and what the server uses. drey's own API
//! server holds the resources; no operator acts. It refuses to judge: goals stand beside the figures.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use drey_api::kinds::FlinkDeployment;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::front_end::{Dashboard, walk};
use crate::heimdall;
use crate::served_api::ServedApi;

/// How many requests are on their way at once.
const AT_ONCE: usize = 16;
/// Changes a second while the page is watched.
const CHANGES_PER_SECOND: u32 = 200;
/// How long the server rests before it is looked what it uses.
const SETTLE: Duration = Duration::from_secs(10);
/// Over how many namespaces the resources are spread.
const NAMESPACES: usize = 20;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The binary
    #[arg(long)]
    drey: PathBuf,
    /// The front end's directory, with its packages installed
    #[arg(long, default_value = "ui")]
    ui: PathBuf,
    /// How many FlinkDeployments
    #[arg(long, default_value_t = 10_000)]
    resources: usize,
    /// Heimdall's own front end, built from its source: walked over our answers, in the same browser
    #[arg(long, value_name = "DIRECTORY")]
    heimdall: Option<PathBuf>,
}

/// Measures.
pub(crate) fn run(args: &Args) -> Result<()> {
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure(args))
}

async fn measure(args: &Args) -> Result<()> {
    let ui = std::fs::canonicalize(&args.ui).with_context(|| args.ui.display().to_string())?;
    let drey = std::fs::canonicalize(&args.drey).with_context(|| args.drey.display().to_string())?;
    let api = ServedApi::start().await?;
    let client = api.client();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    for number in 0..NAMESPACES {
        let metadata = ObjectMeta { name: Some(place(number).0), ..ObjectMeta::default() };
        namespaces.create(&PostParams::default(), &Namespace { metadata, ..Namespace::default() }).await?;
    }
    let began = Instant::now();
    futures::stream::iter(0..args.resources)
        .map(|number| create(&client, number))
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<()>>()
        .await?;
    println!("{} FlinkDeployments made in {:.1} s", args.resources, began.elapsed().as_secs_f64());

    let dashboard = Dashboard::start(&drey, &api.kubeconfig(), &["--port", "0", "--login", "none"])?;
    tokio::time::sleep(SETTLE).await;
    let before = dashboard.usage()?;
    println!("server at rest: {:.1} MB", before.resident_bytes as f64 / 1e6);

    let stop = CancellationToken::new();
    let changing = tokio::spawn(change(client.clone(), args.resources, stop.clone()));
    let (url, began) = (dashboard.address.clone(), Instant::now());
    let pages = ui.clone();
    let walked = tokio::task::spawn_blocking(move || walk(&pages, "fleet-speed", &url, &[])).await?;
    let after = dashboard.usage()?;
    let minutes = began.elapsed().as_secs_f64() / 60.0;
    if let Some(pages) = &args.heimdall {
        heimdall::walk_over(pages, &dashboard.address, ui).await?;
    }
    stop.cancel();
    let changes = changing.await??;
    println!(
        "server while {:.0} resources a second change: {:.1} MB, {:.1} s of processor a minute",
        f64::from(changes) / (minutes * 60.0),
        after.resident_bytes as f64 / 1e6,
        (after.processor_seconds - before.processor_seconds) / minutes,
    );
    api.end().await?;
    walked
}

fn place(number: usize) -> (String, String) {
    (format!("team-{:02}", number % NAMESPACES), format!("orders-enrichment-{number:05}"))
}

fn deployments(client: &Client, namespace: &str) -> Api<FlinkDeployment> {
    Api::namespaced(client.clone(), namespace)
}

async fn create(client: &Client, number: usize) -> Result<()> {
    let (namespace, name) = place(number);
    let object: FlinkDeployment = serde_json::from_value(json!({
        "apiVersion": "flink.apache.org/v1beta1", "kind": "FlinkDeployment",
        "metadata": { "name": name, "namespace": namespace, "labels": { "team": format!("team-{}", number % 7) } },
        "spec": {
            "flinkVersion": "v1_20", "image": "registry.example/streams/orders:1.4.2", "serviceAccount": "flink",
            "jobManager": { "resource": { "cpu": 1, "memory": "2g" } },
            "taskManager": { "resource": { "cpu": 2, "memory": "4g" } },
            "job": { "jarURI": "local:///opt/flink/usrlib/orders.jar", "parallelism": 1 + number % 8, "state": "running",
                "upgradeMode": "savepoint" },
        },
    }))?;
    let api = deployments(client, &namespace);
    api.create(&PostParams::default(), &object).await?;
    write(&api, &name, &status(number, 0)).await
}

async fn write(api: &Api<FlinkDeployment>, name: &str, status: &Value) -> Result<()> {
    let patch = json!({ "status": status });
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
    Ok(())
}

/// Most jobs run; of a hundred one fails and one starts anew.
fn status(number: usize, round: u32) -> Value {
    let (lifecycle, state) = match number % 100 {
        7 => ("FAILED", "FAILED"),
        11 => ("DEPLOYED", "RESTARTING"),
        _ => ("STABLE", "RUNNING"),
    };
    json!({
        "lifecycleState": lifecycle, "observedGeneration": 1, "jobManagerDeploymentStatus": "READY",
        "error": (lifecycle == "FAILED").then_some("the job has failed: java.lang.OutOfMemoryError: Java heap space"),
        "jobStatus": { "state": state, "jobName": "orders", "jobId": format!("{number:032x}"),
            "startTime": (1_700_000_000_000_u64 + u64::from(round)).to_string(), "updateTime": "1700000000000" },
        "taskManager": { "labelSelector": "", "replicas": 1 + i32::from(number.is_multiple_of(3)) },
    })
}

/// Changes resources until it is stopped; answers how many it has changed.
async fn change(client: Client, resources: usize, stop: CancellationToken) -> Result<u32> {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / CHANGES_PER_SECOND);
    let mut changed = 0;
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(changed),
            _ = ticks.tick() => {}
        }
        let number = (changed as usize * 37) % resources;
        let (namespace, name) = place(number);
        changed += 1;
        // A job that runs begins to restart and the other way round: the row is painted anew.
        let shown = if changed.is_multiple_of(2) { number } else { 11 };
        write(&deployments(&client, &namespace), &name, &status(shown, changed)).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_spread_over_namespaces_and_states() {
        let places: std::collections::BTreeSet<_> = (0..1_000).map(place).collect();
        assert_eq!(places.len(), 1_000);
        let failed = (0..1_000).filter(|number| status(*number, 0)["lifecycleState"] == "FAILED").count();
        assert_eq!(failed, 10);
    }
}
