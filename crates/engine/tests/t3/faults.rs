//! The API server, the launcher and Flink let the engine down, one at a time.

use std::time::Duration;

use drey_testbed::fake_jobmanager::{Behaviour, SavepointScript};
use drey_testbed::fake_launcher::CHECKPOINT_DIRECTORY;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::faulty_api::Fault;
use crate::world::{NAMESPACE, World, condition, deployment, limits};

const STATUS: &str = "flinkdeployments/a/status";

#[tokio::test]
async fn an_edit_between_read_and_write_is_not_overwritten_and_wins() {
    let world = World::start().await;
    world.create(&deployment("a", "savepoint")).await;
    world.until_stable("a").await;
    let api = world.api();
    world.faults.next(
        "PUT",
        STATUS,
        Fault::Before(Box::new(move || {
            Box::pin(async move {
                let patch = json!({ "spec": { "job": { "parallelism": 7 } } });
                api.patch("a", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
            })
        })),
    );
    world.edit("a", json!({ "job": { "parallelism": 4 } })).await;
    world.eventually("met", |world| world.faults.pending() == 0).await;
    let object = world.until_stable("a").await;
    assert_eq!(object["spec"]["job"]["parallelism"], 7);
    let runs = world.runs("a");
    assert_eq!(runs.len(), 2, "one restart is enough for both edits: {runs:#?}");
    assert_eq!(runs[1].generation, 3);
}

#[tokio::test]
async fn a_status_write_whose_answer_is_lost_happens_once() {
    let world = World::start().await;
    for _ in 0..3 {
        world.faults.next("PUT", STATUS, Fault::LoseAnswer);
    }
    world.create(&deployment("a", "savepoint")).await;
    world.until_stable("a").await;
    assert_eq!(world.faults.pending(), 0);
    assert_eq!(world.runs("a").len(), 1);
    assert_eq!(world.launcher.created_and_deleted(), (1, 0));
    for _ in 0..3 {
        world.faults.next("PUT", STATUS, Fault::LoseAnswer);
    }
    world.edit("a", json!({ "job": { "parallelism": 4 } })).await;
    world.until_stable("a").await;
    let runs = world.runs("a");
    assert_eq!(runs.len(), 2, "{runs:#?}");
    assert!(runs[1].restored.is_some());
}

#[tokio::test]
async fn a_status_that_is_refused_for_a_while_is_written_later() {
    let world = World::start().await;
    for status in [500, 503, 429, 403] {
        world.faults.next("PUT", STATUS, Fault::Fail(status));
    }
    world.create(&deployment("a", "savepoint")).await;
    world.until_stable("a").await;
    assert_eq!(world.faults.pending(), 0);
    assert_eq!(world.runs("a").len(), 1);
}

#[tokio::test]
async fn a_finalizer_that_is_refused_is_told_and_tried_again_ever_more_slowly() {
    let world = World::start().await;
    for _ in 0..6 {
        world.faults.next("PATCH", "/flinkdeployments/a", Fault::Fail(403));
    }
    let began = std::time::Instant::now();
    world.create(&deployment("a", "savepoint")).await;
    let is_told =
        |object: &Value| object["status"]["conditions"].to_string().contains("the finalizer is refused");
    world.until("a", "told", is_told).await;
    world.until_stable("a").await;
    assert_eq!(world.faults.pending(), 0);
    // At once, and then after 10, 20, 40, 80 and 160 ms, less what spreads them.
    assert!(began.elapsed() > Duration::from_millis(150), "{:?}", began.elapsed());
}

#[tokio::test]
async fn nothing_is_created_before_its_intent_is_on_record() {
    let world = World::start().await;
    // The finalizer is no intent; from then on no status is taken.
    for _ in 0..20 {
        world.faults.next("PUT", STATUS, Fault::Fail(500));
    }
    world.create(&deployment("a", "savepoint")).await;
    world.eventually("tried often", |world| world.faults.pending() <= 10).await;
    assert_eq!(world.launcher.created_and_deleted(), (0, 0));
    world.until_stable("a").await;
    assert_eq!(world.launcher.created_and_deleted(), (1, 0));
}

#[tokio::test]
async fn a_stop_whose_answer_is_lost_is_the_same_stop() {
    let world = World::start().await;
    world.create(&deployment("a", "savepoint")).await;
    world.until_stable("a").await;
    let cluster = world.launcher.cluster_of(NAMESPACE, "a").unwrap();
    world.flink.with(&cluster, |cluster| cluster.behaviour = Behaviour::LosesAnswers);
    world.edit("a", json!({ "job": { "parallelism": 4 } })).await;
    world.until_stable("a").await;
    let runs = world.runs("a");
    assert_eq!(runs.len(), 2, "{runs:#?}");
    assert!(runs[1].restored.as_ref().is_some_and(|snapshot| snapshot.path.starts_with("file:/savepoints/")));
}

#[tokio::test]
async fn a_savepoint_whose_job_then_fails_is_not_lost() {
    let world = World::start().await;
    let script = SavepointScript::CompleteAndFailJob(Duration::from_millis(30));
    world.launcher.script("a", |launch| launch.savepoints = script);
    world.create(&deployment("a", "savepoint")).await;
    world.until_stable("a").await;
    let cluster = world.launcher.cluster_of(NAMESPACE, "a").unwrap();
    let checkpoint = world.flink.checkpoint(&cluster, CHECKPOINT_DIRECTORY).unwrap();
    world.until_kept(checkpoint.id).await;
    world.edit("a", json!({ "job": { "parallelism": 4 } })).await;
    world.eventually("started again", |world| world.runs("a").len() == 2).await;
    let restored = world.runs("a")[1].restored.clone().expect("there is state");
    assert!(restored.id >= checkpoint.id, "{restored:?} is older than {checkpoint:?}");
    assert!(restored.path.starts_with("file:/savepoints/"), "{restored:?}");
}

#[tokio::test]
async fn a_savepoint_that_fails_leaves_the_job_running() {
    let world = World::start().await;
    world.launcher.script("a", |launch| {
        launch.savepoints = SavepointScript::FailAfter(Duration::from_millis(10));
    });
    world.create(&deployment("a", "savepoint")).await;
    world.until_stable("a").await;
    world.edit("a", json!({ "job": { "parallelism": 4 } })).await;
    world.until_event("a", "SavepointError").await;
    assert_eq!(world.runs("a").len(), 1);
    assert_eq!(world.launcher.created_and_deleted(), (1, 0));
    // Later savepoints complete, and the upgrade goes on by itself.
    let cluster = world.launcher.cluster_of(NAMESPACE, "a").unwrap();
    world.flink.with(&cluster, |cluster| {
        cluster.savepoints = SavepointScript::CompleteAfter(Duration::from_millis(10));
    });
    world.until_stable("a").await;
    assert_eq!(world.runs("a").len(), 2);
}

#[tokio::test]
async fn a_cluster_whose_creation_was_not_acknowledged_is_not_created_twice() {
    let world = World::start().await;
    world.launcher.script("a", |launch| launch.lose_answer = true);
    world.create(&deployment("a", "savepoint")).await;
    world.until_stable("a").await;
    assert_eq!(world.launcher.created_and_deleted(), (1, 0));
}

#[tokio::test]
async fn a_cluster_that_was_made_by_half_is_completed_and_not_made_again() {
    let world = World::start().await;
    world.launcher.script("a", |launch| launch.by_half = true);
    world.create(&deployment("a", "savepoint")).await;
    world.until_stable("a").await;
    assert_eq!(world.launcher.created_and_deleted(), (1, 0));
    assert_eq!(world.runs("a").len(), 1);
}

#[tokio::test]
async fn a_refused_cluster_says_why_and_is_created_when_it_can_be() {
    let world = World::start().await;
    world.launcher.script("a", |launch| launch.refuse = Some("the jar does not exist".to_owned()));
    world.create(&deployment("a", "savepoint")).await;
    let object = world
        .until("a", "refused", |object| {
            object["status"]["error"].as_str().is_some_and(|text| text.contains("jar"))
        })
        .await;
    assert!(condition(&object, "Ready")["message"].as_str().unwrap().contains("the jar does not exist"));
    world.launcher.script("a", |launch| launch.refuse = None);
    world.until_stable("a").await;
}

#[tokio::test]
async fn a_cluster_that_cannot_be_looked_at_is_left_as_it_is() {
    let world = World::start().await;
    world.create(&deployment("a", "savepoint")).await;
    world.until_stable("a").await;
    world.launcher.script("a", |launch| launch.blind = true);
    world.edit("a", json!({ "job": { "parallelism": 4 } })).await;
    world
        .until("a", "waiting for a look", |object| {
            object["status"]["conditions"].as_array().is_some_and(|conditions| {
                conditions.iter().any(|condition| condition["reason"] == "ClusterNotKnown")
            })
        })
        .await;
    assert_eq!(world.launcher.created_and_deleted(), (1, 0));
    world.launcher.script("a", |launch| launch.blind = false);
    world.until_stable("a").await;
    assert_eq!(world.runs("a").len(), 2);
}

#[tokio::test]
async fn a_login_page_instead_of_flink_changes_nothing() {
    let world = World::start().await;
    world.create(&deployment("a", "savepoint")).await;
    world.until_stable("a").await;
    let cluster = world.launcher.cluster_of(NAMESPACE, "a").unwrap();
    for behaviour in [Behaviour::Html, Behaviour::Unavailable] {
        world.flink.with(&cluster, |cluster| cluster.behaviour = behaviour);
        world
            .eventually("unreachable", |world| {
                world.engine.view().resources.iter().any(|view| view.reachable == Some(false))
            })
            .await;
        world.flink.with(&cluster, |cluster| cluster.behaviour = Behaviour::Prompt);
        world
            .eventually("reachable", |world| {
                world.engine.view().resources.iter().any(|view| view.reachable == Some(true))
            })
            .await;
    }
    world.until_stable("a").await;
    assert_eq!(world.launcher.created_and_deleted(), (1, 0));
    assert!(world.requests("a").is_empty());
}

#[tokio::test]
async fn an_engine_that_starts_anew_does_nothing_to_what_is_at_rest() {
    let mut world = World::start().await;
    for name in ["a", "b", "c", "d", "e"] {
        world.create(&deployment(name, "savepoint")).await;
    }
    for name in ["a", "b", "c", "d", "e"] {
        world.until_stable(name).await;
    }
    world.until_at_rest().await;
    world.stop_engine().await.unwrap();
    let writes = world.faults.count("PUT", "/status");
    world.start_engine();
    world
        .eventually("observed", |world| {
            let view = world.engine.view();
            view.resources.len() == 5 && view.resources.iter().all(|view| view.reachable == Some(true))
        })
        .await;
    world.until_rounds(5).await;
    assert_eq!(world.faults.count("PUT", "/status"), writes, "status writes");
    assert_eq!(world.engine.metrics().actions_begun(), 0);
    assert_eq!(world.launcher.created_and_deleted(), (5, 0));
    assert_eq!(world.launcher.retained(), Some(5));
}

#[tokio::test]
async fn an_engine_killed_at_any_moment_of_an_upgrade_finishes_it_once() {
    let mut world = World::with(limits()).await;
    world.create(&deployment("a", "savepoint")).await;
    world.until_stable("a").await;
    let mut expected = 1;
    for (round, delay_ms) in [0, 5, 10, 20, 30, 45, 60, 80].into_iter().enumerate() {
        world.edit("a", json!({ "job": { "parallelism": 10 + round } })).await;
        // This is the fault: the moment of death relative to an upgrade that takes some tens of milliseconds.
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        world.kill_engine();
        world.start_engine();
        world.until_stable("a").await;
        expected += 1;
        let runs = world.runs("a");
        assert_eq!(runs.len(), expected, "killed after {delay_ms} ms: {runs:#?}");
        assert!(runs[expected - 1].restored.is_some(), "killed after {delay_ms} ms: {runs:#?}");
    }
}

#[tokio::test]
async fn at_rest_nothing_is_written() {
    let world = World::start().await;
    for name in ["a", "b", "c"] {
        world.create(&deployment(name, "last-state")).await;
    }
    for name in ["a", "b", "c"] {
        world.until_stable(name).await;
    }
    world.until_at_rest().await;
    let writes =
        |world: &World| ["PUT", "POST", "PATCH", "DELETE"].map(|method| world.faults.count(method, ""));
    let before = writes(&world);
    world.until_rounds(20).await;
    assert_eq!(writes(&world), before);
}
