//! How the engine hears of resources, and what it does when it does not.

use drey_engine::{EngineError, SchemaError};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::faulty_api::Fault;
use crate::world::{World, deployment, limits};

const WATCH: &str = "watch=true";

#[tokio::test]
async fn a_silent_watch_is_replaced() {
    let world = World::start().await;
    world.create(&deployment("a", "savepoint")).await;
    world.until_stable("a").await;
    for _ in 0..2 {
        world.faults.next("GET", WATCH, Fault::Silence);
    }
    world.eventually("silenced", |world| world.faults.pending() < 2).await;
    world.create(&deployment("b", "savepoint")).await;
    world.until_stable("b").await;
}

#[tokio::test]
async fn a_version_that_is_gone_makes_a_new_list() {
    let world = World::start().await;
    world.create(&deployment("a", "savepoint")).await;
    world.until_stable("a").await;
    let lists = world.faults.count("GET", "limit=");
    world.faults.next("GET", WATCH, Fault::Fail(410));
    world.eventually("met", |world| world.faults.pending() == 0).await;
    world.create(&deployment("b", "savepoint")).await;
    world.until_stable("b").await;
    assert!(world.faults.count("GET", "limit=") > lists);
}

#[tokio::test]
async fn failing_lists_and_watches_are_repeated() {
    let mut world = World::without_engine(limits()).await;
    for name in ["a", "b", "c"] {
        world.create(&deployment(name, "savepoint")).await;
    }
    for status in [500, 503, 429] {
        world.faults.next("GET", "limit=", Fault::Fail(status));
        world.faults.next("GET", WATCH, Fault::Fail(status));
    }
    world.start_engine();
    for name in ["a", "b", "c"] {
        world.until_stable(name).await;
    }
    assert_eq!(world.faults.pending(), 0);
}

#[tokio::test]
async fn nothing_is_done_before_everything_is_listed() {
    let mut world = World::without_engine(limits()).await;
    for name in ["a", "b", "c"] {
        world.create(&deployment(name, "savepoint")).await;
    }
    // The second page never comes at first.
    for _ in 0..5 {
        world.faults.next("GET", "continue=", Fault::Fail(500));
    }
    world.start_engine();
    world.eventually("tried again", |world| world.faults.pending() <= 2).await;
    assert_eq!(world.engine.metrics().actions_begun(), 0);
    assert_eq!(world.launcher.retained(), None);
    for name in ["a", "b", "c"] {
        world.until_stable(name).await;
    }
    assert_eq!(world.launcher.retained(), Some(3));
}

#[tokio::test]
async fn a_crd_that_would_drop_the_intent_is_refused() {
    let mut world = World::without_engine(limits()).await;
    let crds: Api<CustomResourceDefinition> = Api::all(world.client.clone());
    let name = "flinkdeployments.flink.apache.org";
    let path = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/intent";
    let patch: json_patch::Patch = serde_json::from_value(json!([{ "op": "remove", "path": path }])).unwrap();
    crds.patch(name, &PatchParams::default(), &Patch::<()>::Json(patch)).await.unwrap();
    world.create(&deployment("a", "savepoint")).await;
    world.start_engine();
    let error = world.engine_ended().await.unwrap_err();
    assert!(matches!(error, EngineError::Schema(SchemaError::Outdated { field: "intent" })), "{error}");
    assert_eq!(world.launcher.created_and_deleted(), (0, 0));
}
