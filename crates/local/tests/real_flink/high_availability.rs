//! Real Flink with its high availability in the embedded Kubernetes API: what survives what.

use std::time::Duration;

use drey_api::kinds::{FlinkJobState, FlinkVersion};
use drey_apiserver::{ApiServer, Auth};
use drey_core::decision::Deployment;
use drey_core::journal::{Base, Restored, Run};
use drey_core::observed::{Cluster, ClusterPhase};
use drey_core::{JobId, Restore, Seen};
use drey_engine::launcher::Launcher;
use drey_local::LocalLauncher;
use drey_local::record::Slot;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::{Project, available, deployment, record, target, until};
use crate::{LIMIT, SMALL, alone, job, project};

/// A Kubernetes API as long as the value lives.
struct Api {
    config_maps: String,
    _stop: DropGuard,
}

impl Api {
    /// Removes what Flink keeps there, as the engine does before a cluster that is not to go on from it: the job
    /// graph of a job that was killed before its result was committed would bring it back beside the new one.
    async fn forget_high_availability(&self) {
        let http = reqwest::Client::new();
        let list: Value = http.get(&self.config_maps).send().await.unwrap().json().await.unwrap();
        for map in list["items"].as_array().unwrap() {
            let name = map["metadata"]["name"].as_str().unwrap();
            let deleted = http.delete(format!("{}/{name}", self.config_maps)).send().await.unwrap();
            assert!(deleted.status().is_success());
        }
    }
}

async fn serve(project: &Project) -> Api {
    let server = ApiServer::in_memory().unwrap();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    project.write(".drey/kubeconfig", ApiServer::kubeconfig(&url, "", "default").as_bytes());
    let stop = CancellationToken::new();
    tokio::spawn({
        let stop = stop.clone();
        async move { server.serve(listener, Auth::None, stop).await.unwrap() }
    });
    Api { config_maps: format!("{url}/api/v1/namespaces/default/configmaps"), _stop: stop.drop_guard() }
}

fn counter(version: FlinkVersion, seq: i64, job_id: &str, restore: Restore) -> Deployment {
    let deployment = deployment(version, &job("drey.examples.Counter"), &SMALL);
    Deployment { seq, job_id: JobId::new(job_id), restore, ..deployment }
}

async fn get(launcher: &LocalLauncher, deployment: &Deployment, path: &str) -> Option<Value> {
    let base = launcher.rest_endpoint(&target("real"), &deployment.desired).await?;
    let answer = reqwest::get(format!("{base}{path}")).await.ok()?.text().await.ok()?;
    serde_json::from_str(&answer).ok()
}

/// Waits until the job has completed a checkpoint with a higher id. Flink writes a checkpoint to storage first and
/// to high availability then: that the one before it is in both is certain.
async fn until_checkpoint_after(launcher: &LocalLauncher, deployment: &Deployment, id: u64) -> u64 {
    let deadline = std::time::Instant::now() + LIMIT;
    loop {
        let target = target("real");
        let found =
            launcher.newest_retained_checkpoint(&target, &deployment.desired, &deployment.job_id).await;
        if let Some(newer) = found.present().and_then(|found| found.checkpoint_id).filter(|newer| *newer > id)
        {
            return newer;
        }
        assert!(std::time::Instant::now() < deadline, "no checkpoint after {id}: {found:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// What the job says that it was restored from.
async fn restored(launcher: &LocalLauncher, deployment: &Deployment) -> Value {
    let deadline = std::time::Instant::now() + LIMIT;
    loop {
        let answer = get(launcher, deployment, &format!("jobs/{}/checkpoints", deployment.job_id)).await;
        let restored = answer.and_then(|answer| answer.pointer("/latest/restored").cloned());
        match restored {
            Some(restored) if !restored.is_null() => return restored,
            other => assert!(std::time::Instant::now() < deadline, "not restored: {other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Stops with a savepoint in a directory that is made for it, and waits until the savepoint is found there.
async fn stop(launcher: &LocalLauncher, project: &Project, deployment: &Deployment) -> (String, u64) {
    let directory = format!("file:{}/savepoints/default/real/uid-of-real/7", project.state().display());
    assert!(launcher.find_snapshot(&target("real"), &directory).await.is_absent());
    let base = launcher.rest_endpoint(&target("real"), &deployment.desired).await.unwrap();
    let request = json!({"targetDirectory": directory, "drain": false, "formatType": "CANONICAL"});
    let answer = reqwest::Client::new()
        .post(format!("{base}jobs/{}/stop", deployment.job_id))
        .json(&request)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status().as_u16(), 202);
    let deadline = std::time::Instant::now() + LIMIT;
    loop {
        let found = launcher.find_snapshot(&target("real"), &directory).await;
        if let Some(found) = found.present() {
            return (found.path.to_string(), found.checkpoint_id.unwrap());
        }
        assert!(std::time::Instant::now() < deadline, "no savepoint: {found:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn run_of(deployment: &Deployment) -> Run {
    Run {
        job_id: deployment.job_id.clone(),
        seq: deployment.seq,
        generation: 1,
        cluster_uid: None,
        base: Base::Empty,
        restored: Restored::Empty,
        deployed_at_ms: 0,
        never_ran: false,
        newest_savepoint: None,
        open_directories: Vec::new(),
        end: None,
    }
}

async fn end(launcher: &LocalLauncher) {
    let uid = record(launcher).uid;
    launcher.delete(&target("real"), &uid).await.unwrap();
    until(launcher, &target("real"), LIMIT, Seen::is_absent).await;
}

async fn kill(launcher: &LocalLauncher, slot: Slot) {
    record(launcher).processes[&slot].identity.signal(Signal::KILL).unwrap();
}

async fn check(version: FlinkVersion) {
    let _alone = alone().await;
    let project = project();
    let api = serve(&project).await;
    let launcher = project.open().await;
    let first = counter(version, 1, "0000000000000000000000000000000a", Restore::Empty);
    launcher.apply(&target("real"), &first).await.unwrap();
    until(&launcher, &target("real"), LIMIT, available).await;
    let before = until_checkpoint_after(&launcher, &first, 1).await;

    // A JobManager that is killed comes back in the same cluster, and the job goes on from its checkpoint.
    kill(&launcher, Slot::JobManager).await;
    until(&launcher, &target("real"), LIMIT, |seen| !available(seen)).await;
    until(&launcher, &target("real"), LIMIT, available).await;
    assert!(restored(&launcher, &first).await["id"].as_u64() >= Some(before - 1));

    // A cluster that is deleted leaves its checkpoints in high availability, for the next one with the job's id.
    let before = until_checkpoint_after(&launcher, &first, before).await;
    end(&launcher).await;
    let kept = std::fs::read_dir(project.state().join("logs/default/real")).unwrap().next().unwrap().unwrap();
    for log in ["jobmanager.log", "taskmanager-1.log"] {
        assert!(std::fs::read_to_string(kept.path().join(log)).unwrap().contains(" INFO "), "{log}");
    }
    assert!(launcher.job_result(&target("real"), &first.desired, &run_of(&first)).await.is_absent());
    let second = counter(version, 2, first.job_id.as_str(), Restore::LastState);
    launcher.apply(&target("real"), &second).await.unwrap();
    until(&launcher, &target("real"), LIMIT, available).await;
    assert!(restored(&launcher, &second).await["id"].as_u64() >= Some(before - 1));

    // A job that was stopped has a result. Its JobManager stays to be asked, and is not started again once gone.
    until_checkpoint_after(&launcher, &second, before).await;
    let (savepoint, rank) = stop(&launcher, &project, &second).await;
    let deadline = std::time::Instant::now() + LIMIT;
    while launcher.job_result(&target("real"), &second.desired, &run_of(&second)).await
        != Seen::Present(FlinkJobState::Finished)
    {
        assert!(std::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let state = get(&launcher, &second, &format!("jobs/{}", second.job_id)).await.unwrap();
    assert_eq!(state["state"], "FINISHED");
    kill(&launcher, Slot::JobManager).await;
    let over = |seen: &Seen<Cluster>| {
        seen.present().is_some_and(|cluster| {
            matches!(&cluster.phase, ClusterPhase::Failing { reason, .. } if reason == "JobManagerTerminated")
        })
    };
    until(&launcher, &target("real"), LIMIT, over).await;
    end(&launcher).await;

    // The next run starts from the savepoint, under an id of its own, and its checkpoints rank above it.
    api.forget_high_availability().await;
    let path = Restore::Path(savepoint.as_str().into());
    let third = counter(version, 3, "0000000000000000000000000000000b", path);
    launcher.apply(&target("real"), &third).await.unwrap();
    until(&launcher, &target("real"), LIMIT, available).await;
    assert_eq!(restored(&launcher, &third).await["external_path"], savepoint);
    until_checkpoint_after(&launcher, &third, rank).await;
    end(&launcher).await;
}

#[tokio::test]
async fn flink_1_20_keeps_its_state() {
    check(FlinkVersion::V1_20).await;
}

#[tokio::test]
async fn flink_2_1_keeps_its_state() {
    check(FlinkVersion::V2_1).await;
}
