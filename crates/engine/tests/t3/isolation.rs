//! Whatever one resource contains or causes, the others go on.

use std::time::Duration;

use drey_testbed::fake_jobmanager::Behaviour;
use serde_json::json;
use tokio::time::Instant;

use crate::world::{NAMESPACE, World, condition, deployment};

#[tokio::test]
async fn a_broken_spec_is_an_error_of_its_resource_alone() {
    let world = World::start().await;
    let mut broken = deployment("broken", "savepoint");
    broken["spec"]["job"]["parallelism"] = json!(0);
    world.create(&broken).await;
    world.create(&deployment("good", "savepoint")).await;
    world.until_stable("good").await;
    let object = world
        .until("broken", "refused", |object| {
            object["status"]["conditions"].as_array().is_some_and(|conditions| !conditions.is_empty())
        })
        .await;
    let stalled = condition(&object, "Stalled");
    assert_eq!((&stalled["status"], &stalled["reason"]), (&json!("True"), &json!("InvalidSpec")));
    assert_eq!(world.until_event("broken", "ValidationError").await, "Job parallelism must be larger than 0");
    assert!(world.runs("broken").is_empty());
    world.edit("broken", json!({ "job": { "parallelism": 1 } })).await;
    world.until_stable("broken").await;
}

#[tokio::test]
async fn a_status_that_cannot_be_read_freezes_its_resource_alone_and_is_kept() {
    let mut world = World::start().await;
    world.create(&deployment("a", "savepoint")).await;
    world.create(&deployment("good", "savepoint")).await;
    world.until_stable("a").await;
    world.until_stable("good").await;
    world.stop_engine().await.unwrap();
    let broken = json!({ "status": { "reconciliationStatus": { "lastReconciledSpec": "{not JSON" } } });
    let patch = kube::api::Patch::Merge(&broken);
    world.api().patch_status("a", &kube::api::PatchParams::default(), &patch).await.unwrap();
    world.start_engine();
    let object = world
        .until("a", "frozen", |object| {
            object["status"]["conditions"]
                .as_array()
                .is_some_and(|conditions| conditions.iter().any(|condition| condition["reason"] == "Frozen"))
        })
        .await;
    let message = condition(&object, "Stalled")["message"].as_str().unwrap();
    assert!(message.contains("status"), "{message}");
    assert_eq!(object["status"]["reconciliationStatus"]["lastReconciledSpec"], "{not JSON");
    assert!(world.until_event("a", "Error").await.contains("Frozen"));
    world.edit("good", json!({ "job": { "parallelism": 4 } })).await;
    world.until_stable("good").await;
    assert_eq!(world.runs("a").len(), 1, "the frozen one is left alone");
}

#[tokio::test]
async fn a_panic_freezes_its_resource_alone_until_the_user_changes_it() {
    let world = World::start().await;
    world.create(&deployment("a", "savepoint")).await;
    world.create(&deployment("good", "savepoint")).await;
    world.until_stable("a").await;
    world.until_stable("good").await;
    world.launcher.script("a", |launch| launch.panic = true);
    world.edit("a", json!({ "job": { "parallelism": 3 } })).await;
    let object = world
        .until("a", "frozen", |object| {
            object["status"]["conditions"]
                .as_array()
                .is_some_and(|conditions| conditions.iter().any(|condition| condition["reason"] == "Frozen"))
        })
        .await;
    let message = condition(&object, "Stalled")["message"].as_str().unwrap();
    assert!(message.contains("the test asked for a panic"), "{message}");
    assert_eq!(world.engine.metrics().panics_contained(), 1);
    world.edit("good", json!({ "job": { "parallelism": 4 } })).await;
    world.until_stable("good").await;
    assert_eq!(world.engine.metrics().panics_contained(), 1, "a frozen resource is not tried again");
    world.launcher.script("a", |launch| launch.panic = false);
    world.edit("a", json!({ "job": { "parallelism": 5 } })).await;
    world.until_stable("a").await;
    assert_eq!(world.runs("a").len(), 2);
}

#[tokio::test]
async fn hanging_jobmanagers_hold_nobody_up() {
    let mut limits = crate::world::limits();
    // So few places that a hanging JobManager that kept one would be felt at once.
    (limits.poll.prompt_max, limits.poll.suspect_max) = (2, 2);
    (limits.poll.fast_min, limits.poll.fast_max) = (Duration::from_millis(50), Duration::from_millis(100));
    let world = World::with(limits).await;
    let names: Vec<String> = (0..10).map(|number| format!("r{number}")).collect();
    for name in &names {
        world.create(&deployment(name, "savepoint")).await;
    }
    for name in &names {
        world.until_stable(name).await;
    }
    let baseline = upgrade(&world, "r9", 3).await;
    for name in &names[..8] {
        let cluster = world.launcher.cluster_of(NAMESPACE, name).unwrap();
        world.flink.with(&cluster, |cluster| cluster.behaviour = Behaviour::Hanging);
    }
    world
        .eventually("known to hang", |world| {
            world.engine.view().resources.iter().filter(|view| view.reachable == Some(false)).count() == 8
        })
        .await;
    let beside = upgrade(&world, "r9", 4).await;
    assert!(
        beside < baseline * 3 + std::time::Duration::from_millis(300),
        "{beside:?} instead of {baseline:?}"
    );
    assert_eq!(world.runs("r0").len(), 1, "a JobManager that hangs is not given up");
}

async fn upgrade(world: &World, name: &str, parallelism: i32) -> Duration {
    let begun = Instant::now();
    world.edit(name, json!({ "job": { "parallelism": parallelism } })).await;
    world.until_stable(name).await;
    begun.elapsed()
}
