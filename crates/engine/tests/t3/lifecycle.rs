//! What a user does with one resource, when nothing goes wrong.

use drey_core::Restore;
use drey_testbed::fake_launcher::CHECKPOINT_DIRECTORY;
use serde_json::json;

use crate::world::{NAMESPACE, World, condition, deployment};

#[tokio::test]
async fn a_new_resource_becomes_stable() {
    let world = World::start().await;
    world.create(&deployment("a", "savepoint")).await;
    let object = world.until_stable("a").await;
    assert_eq!(object["status"]["jobStatus"]["state"], "RUNNING");
    assert_eq!(object["status"]["jobManagerDeploymentStatus"], "READY");
    assert_eq!(condition(&object, "Ready")["status"], "True");
    assert_eq!(object["metadata"]["finalizers"], json!([drey_engine::FINALIZER]));
    let runs = world.runs("a");
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].restore, Restore::Empty);
    assert_eq!(object["status"]["jobStatus"]["jobId"], runs[0].job_id.as_str());
    let info = &object["status"]["clusterInfo"];
    assert_eq!(info["flink-version"], "1.20.3");
    world.until_event("a", "Submit").await;
    // The answer to its finalizer is the resource: it is not read again.
    assert_eq!(world.faults.count("PATCH", "/flinkdeployments/a"), 1);
    assert_eq!(world.faults.count("GET", "/flinkdeployments/a"), 0);
}

#[tokio::test]
async fn a_savepoint_upgrade_goes_on_from_its_savepoint() {
    let world = World::start().await;
    world.create(&deployment("a", "savepoint")).await;
    world.until_stable("a").await;
    world.edit("a", json!({ "job": { "parallelism": 4 } })).await;
    world.until_stable("a").await;
    let runs = world.runs("a");
    assert_eq!(runs.len(), 2, "{runs:#?}");
    let restored = runs[1].restored.clone().expect("the second run has state");
    assert!(restored.path.starts_with("file:/savepoints/"), "{restored:?}");
    assert_eq!(runs[1].restore, Restore::Path(restored.path.as_str().into()));
    assert_ne!(runs[0].job_id, runs[1].job_id);
    assert_eq!(world.launcher.created_and_deleted(), (2, 1));
}

#[tokio::test]
async fn a_last_state_upgrade_goes_on_from_the_newest_checkpoint() {
    let world = World::start().await;
    world.create(&deployment("a", "last-state")).await;
    world.until_stable("a").await;
    let cluster = world.launcher.cluster_of(NAMESPACE, "a").unwrap();
    for _ in 0..3 {
        world.flink.checkpoint(&cluster, CHECKPOINT_DIRECTORY).expect("the job runs");
    }
    let newest = world.flink.checkpoint(&cluster, CHECKPOINT_DIRECTORY).unwrap();
    world.until_kept(newest.id).await;
    world.edit("a", json!({ "job": { "args": ["--more"] } })).await;
    world.until_stable("a").await;
    let runs = world.runs("a");
    assert_eq!(runs.len(), 2, "{runs:#?}");
    assert_eq!(runs[1].restored, Some(newest));
}

#[tokio::test]
async fn a_stateless_upgrade_starts_from_nothing() {
    let world = World::start().await;
    world.create(&deployment("a", "stateless")).await;
    world.until_stable("a").await;
    let cluster = world.launcher.cluster_of(NAMESPACE, "a").unwrap();
    world.flink.checkpoint(&cluster, CHECKPOINT_DIRECTORY).expect("the job runs");
    world.edit("a", json!({ "job": { "parallelism": 3 } })).await;
    world.until_stable("a").await;
    let runs = world.runs("a");
    assert_eq!(runs.len(), 2, "{runs:#?}");
    assert_eq!(runs[1].restored, None);
}

#[tokio::test]
async fn a_suspended_job_resumes_with_its_state() {
    let world = World::start().await;
    world.create(&deployment("a", "savepoint")).await;
    world.until_stable("a").await;
    world.edit("a", json!({ "job": { "state": "suspended" } })).await;
    world.until_lifecycle("a", "SUSPENDED").await;
    world.eventually("gone", |world| world.launcher.cluster_of(NAMESPACE, "a").is_none()).await;
    world.edit("a", json!({ "job": { "state": "running" } })).await;
    world.until_stable("a").await;
    let runs = world.runs("a");
    assert_eq!(runs.len(), 2, "{runs:#?}");
    assert!(runs[1].restored.as_ref().is_some_and(|snapshot| snapshot.path.starts_with("file:/savepoints/")));
}

#[tokio::test]
async fn a_savepoint_on_demand_is_taken_once() {
    let world = World::start().await;
    world.create(&deployment("a", "savepoint")).await;
    world.until_stable("a").await;
    world.edit("a", json!({ "job": { "savepointTriggerNonce": 1 } })).await;
    let object = world
        .until("a", "in possession of a savepoint", |object| {
            !object["status"]["jobStatus"]["savepointInfo"]["lastSavepoint"].is_null()
        })
        .await;
    let last = &object["status"]["jobStatus"]["savepointInfo"]["lastSavepoint"];
    assert_eq!(last["triggerType"], "MANUAL");
    assert_eq!(last["triggerNonce"], 1);
    world.until_stable("a").await;
    assert_eq!(world.requests("a"), ["POST /jobs/:id/savepoints"]);
    assert_eq!(world.runs("a").len(), 1);
}

#[tokio::test]
async fn a_deleted_resource_takes_everything_with_it() {
    let world = World::start().await;
    world.create(&deployment("a", "savepoint")).await;
    world.until_stable("a").await;
    world.delete("a").await;
    world.until("a", "gone", serde_json::Value::is_null).await;
    assert!(world.launcher.cluster_of(NAMESPACE, "a").is_none());
    world.eventually("forgotten", |world| world.engine.view().resources.is_empty()).await;
    let maps: kube::Api<k8s_openapi::api::core::v1::ConfigMap> =
        kube::Api::namespaced(world.client.clone(), NAMESPACE);
    let left = maps.list(&kube::api::ListParams::default()).await.unwrap();
    let names: Vec<_> = left.items.into_iter().filter_map(|map| map.metadata.name).collect();
    assert!(names.iter().all(|name| !name.starts_with("a-")), "{names:?}");
}

#[tokio::test]
async fn a_resource_that_is_recreated_is_another_one() {
    let world = World::start().await;
    world.create(&deployment("a", "last-state")).await;
    world.until_stable("a").await;
    let cluster = world.launcher.cluster_of(NAMESPACE, "a").unwrap();
    world.flink.checkpoint(&cluster, CHECKPOINT_DIRECTORY).expect("the job runs");
    world.delete("a").await;
    world.until("a", "gone", serde_json::Value::is_null).await;
    world.create(&deployment("a", "last-state")).await;
    world.until_stable("a").await;
    let runs = world.runs("a");
    assert_eq!(runs.len(), 2);
    assert_eq!(runs[1].restored, None, "the state of the first one is not the second one's");
}

#[tokio::test]
async fn a_lost_cluster_comes_back_with_its_state() {
    let world = World::start().await;
    world.create(&deployment("a", "last-state")).await;
    world.until_stable("a").await;
    let cluster = world.launcher.cluster_of(NAMESPACE, "a").unwrap();
    let newest = world.flink.checkpoint(&cluster, CHECKPOINT_DIRECTORY).unwrap();
    world.until_kept(newest.id).await;
    world.launcher.lose(NAMESPACE, "a");
    world.eventually("started again", |world| world.runs("a").len() == 2).await;
    world.until_stable("a").await;
    assert_eq!(world.runs("a")[1].restored, Some(newest));
}
