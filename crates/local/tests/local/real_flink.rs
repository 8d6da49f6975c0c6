//! A real Flink, started and stopped. Needs the feature `real-flink`, and in `DREY_TEST_FLINK` a cache with the
//! distributions, and in `DREY_TEST_JAR` the jar of the examples.
use std::path::PathBuf;
use std::time::{Duration, Instant};

use drey_api::kinds::FlinkVersion;
use drey_core::Seen;
use drey_core::observed::ClusterPhase;
use drey_engine::launcher::Launcher;
use drey_local::LocalLauncher;
use drey_local::process_table::{CLUSTER_VARIABLE, family};
use drey_local::record::Slot;
use rustix::process::Signal;
use serde_json::json;

use crate::support::{Project, available, deployment, record, target, until};

pub(crate) const LIMIT: Duration = Duration::from_secs(180);

fn given(name: &str) -> PathBuf {
    let value = std::env::var_os(name).unwrap_or_else(|| panic!("set {name}: see the head of this file"));
    PathBuf::from(value)
}

pub(crate) fn project() -> Project {
    let mut project = Project::new();
    project.distributions.cache = given("DREY_TEST_FLINK");
    project
}

pub(crate) fn job(entry_class: &str) -> serde_json::Value {
    json!({
        "jarURI": format!("local://{}", given("DREY_TEST_JAR").display()),
        "entryClass": entry_class, "args": ["--rate", "5"], "parallelism": 1
    })
}

pub(crate) const SMALL: [(&str, &str); 9] = [
    ("high-availability.type", "NONE"),
    ("execution.checkpointing.interval", "1 s"),
    ("execution.checkpointing.externalized-checkpoint-retention", "RETAIN_ON_CANCELLATION"),
    ("parallelism.default", "1"),
    ("jobmanager.memory.jvm-metaspace.size", "128m"),
    ("taskmanager.memory.jvm-metaspace.size", "128m"),
    ("taskmanager.memory.managed.size", "0"),
    ("taskmanager.memory.network.min", "16m"),
    ("taskmanager.memory.network.max", "16m"),
];

async fn until_checkpoint(launcher: &LocalLauncher, version: FlinkVersion) -> u64 {
    let deployment = deployment(version, &job("drey.examples.Counter"), &SMALL);
    let deadline = Instant::now() + LIMIT;
    loop {
        let found = launcher
            .newest_retained_checkpoint(&target("real"), &deployment.desired, &deployment.job_id)
            .await;
        if let Some(id) = found.present().and_then(|found| found.checkpoint_id) {
            return id;
        }
        assert!(Instant::now() < deadline, "no checkpoint: {found:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn check(version: FlinkVersion) {
    let project = project();
    let launcher = project.open().await;
    let deployment = deployment(version, &job("drey.examples.Counter"), &SMALL);
    launcher.apply(&target("real"), &deployment).await.unwrap();
    until(&launcher, &target("real"), LIMIT, available).await;
    assert!(until_checkpoint(&launcher, version).await > 0);
    let endpoint = launcher.rest_endpoint(&target("real"), &deployment.desired).await.unwrap();
    let jobs = reqwest::get(format!("{endpoint}jobs")).await.unwrap().text().await.unwrap();
    assert!(jobs.contains(deployment.job_id.as_str()), "{jobs}");

    let before = record(&launcher);
    before.processes[&Slot::JobManager].identity.signal(Signal::KILL).unwrap();
    until(&launcher, &target("real"), LIMIT, |seen| !available(seen)).await;
    until(&launcher, &target("real"), LIMIT, available).await;

    launcher.delete(&target("real"), &before.uid).await.unwrap();
    until(&launcher, &target("real"), LIMIT, Seen::is_absent).await;
    assert_eq!(family(CLUSTER_VARIABLE, &before.uid, &[]).unwrap(), []);
    let logs = project.state().join("logs/default/real");
    let kept = std::fs::read_dir(logs).unwrap().next().unwrap().unwrap().path();
    assert!(std::fs::read_to_string(kept.join("jobmanager.log")).unwrap().contains("Starting"));
    assert!(std::fs::metadata(kept.join("taskmanager-1.log")).unwrap().len() > 0);
}

#[tokio::test]
async fn flink_1_20_runs_survives_a_kill_and_goes() {
    check(FlinkVersion::V1_20).await;
}

#[tokio::test]
async fn flink_1_18_runs_survives_a_kill_and_goes() {
    check(FlinkVersion::V1_18).await;
}

#[tokio::test]
async fn flink_2_1_runs_survives_a_kill_and_goes() {
    check(FlinkVersion::V2_1).await;
}

#[tokio::test]
async fn a_missing_main_class_is_told() {
    let project = project();
    let launcher = project.open().await;
    let deployment = deployment(FlinkVersion::V1_20, &job("no.such.Main"), &SMALL);
    launcher.apply(&target("real"), &deployment).await.unwrap();
    let failing = |seen: &Seen<drey_core::observed::Cluster>| {
        seen.present().is_some_and(|cluster| matches!(cluster.phase, ClusterPhase::Failing { .. }))
    };
    let seen = until(&launcher, &target("real"), LIMIT, failing).await;
    let text = format!("{seen:?}");
    assert!(text.contains("no.such.Main"), "{text}");
    let uid = record(&launcher).uid;
    launcher.delete(&target("real"), &uid).await.unwrap();
    until(&launcher, &target("real"), LIMIT, Seen::is_absent).await;
}
