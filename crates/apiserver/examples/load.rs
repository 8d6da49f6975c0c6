//! How fast and how large the server is: `load [OBJECTS] [FILE]` creates objects of about 10 kB, changes the
//! status of each under a watch, lists them, and prints rates and the memory of the process.

use std::path::Path;
use std::time::Instant;

use drey_apiserver::ApiServer;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams, ObjectMeta, Patch, PatchParams, PostParams, WatchParams};
use serde_json::json;

/// Requests under way at a time.
const CONCURRENT: usize = 64;
/// Bytes of data in each object.
const OBJECT_BYTES: usize = 10_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let count: usize = arguments.next().map_or(Ok(3000), |count| count.parse())?;
    let server = match arguments.next() {
        None => ApiServer::in_memory()?,
        Some(file) => ApiServer::open(Path::new(&file))?,
    };
    let maps: Api<ConfigMap> = Api::default_namespaced(server.client("default"));
    report_memory("empty")?;
    let start = Instant::now();
    let create = |number: usize| {
        let maps = maps.clone();
        async move {
            let name = format!("object-{number:05}");
            let metadata = ObjectMeta { name: Some(name), ..ObjectMeta::default() };
            let data = [("k".to_owned(), "x".repeat(OBJECT_BYTES))].into();
            maps.create(
                &PostParams::default(),
                &ConfigMap { metadata, data: Some(data), ..ConfigMap::default() },
            )
            .await
        }
    };
    let mut created = futures::stream::iter((0..count).map(create)).buffer_unordered(CONCURRENT);
    let mut revision = String::new();
    while let Some(made) = created.next().await {
        revision = made?.metadata.resource_version.unwrap_or_default().max(revision);
    }
    report("created", count, start)?;
    change_all(&maps, count).await?;
    let start = Instant::now();
    let listed = maps.list(&ListParams::default()).await?.items.len();
    report("listed", listed, start)?;
    let start = Instant::now();
    let selected = maps.list(&ListParams::default().labels("turn=1")).await?.items.len();
    report("listed by label", selected, start)
}

async fn change_all(maps: &Api<ConfigMap>, count: usize) -> Result<(), Box<dyn std::error::Error>> {
    let from =
        maps.list(&ListParams::default().limit(1)).await?.metadata.resource_version.unwrap_or_default();
    let mut events = maps.watch(&WatchParams::default(), &from).await?.boxed();
    let start = Instant::now();
    let change = |number: usize| {
        let maps = maps.clone();
        async move {
            let patch = json!({"metadata": {"labels": {"turn": "1"}}});
            maps.patch(&format!("object-{number:05}"), &PatchParams::default(), &Patch::Merge(&patch)).await
        }
    };
    let mut changed = futures::stream::iter((0..count).map(change)).buffer_unordered(CONCURRENT);
    let (mut answers, mut seen) = (0, 0);
    while answers < count || seen < count {
        tokio::select! {
            Some(answer) = changed.next(), if answers < count => { answer?; answers += 1; }
            Some(event) = events.next() => { event?; seen += 1; }
        }
    }
    report("changed and watched", count, start)
}

fn report(what: &str, count: usize, start: Instant) -> Result<(), Box<dyn std::error::Error>> {
    let seconds = start.elapsed().as_secs_f64();
    println!("{what}: {count} in {seconds:.2} s");
    report_memory(what)
}

/// The resident memory, where the system tells it.
fn report_memory(when: &str) -> Result<(), Box<dyn std::error::Error>> {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return Ok(()) };
    if let Some(line) = status.lines().find(|line| line.starts_with("VmRSS")) {
        println!("  memory when {when}: {}", line.trim_start_matches("VmRSS:").trim());
    }
    Ok(())
}
