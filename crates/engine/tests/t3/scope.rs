//! Which resources are an engine's own: namespaces that change, labels, canaries; and what it tells of its sight.

use std::time::Duration;

use drey_engine::{Engine, EngineConfig, Namespaces, Settings};
use drey_testbed::fake_jobmanager::Behaviour;
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::faulty_api::Fault;
use crate::world::{NAMESPACE, World, deployment, limits};

const OTHER: &str = "other";

fn api_in(world: &World, namespace: &str) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("flink.apache.org", "v1beta1", "FlinkDeployment");
    Api::namespaced_with(world.client.clone(), namespace, &ApiResource::from_gvk(&kind))
}

async fn create_in(world: &World, namespace: &str, mut object: Value) {
    object["metadata"]["namespace"] = json!(namespace);
    let object: DynamicObject = serde_json::from_value(object).unwrap();
    api_in(world, namespace).create(&PostParams::default(), &object).await.unwrap();
}

async fn status_in(world: &World, namespace: &str, name: &str) -> Value {
    let object = api_in(world, namespace).get(name).await.unwrap();
    object.data["status"].clone()
}

async fn until_stable_in(world: &World, namespace: &str, name: &str) {
    let begun = tokio::time::Instant::now();
    while status_in(world, namespace, name).await["lifecycleState"] != "STABLE" {
        assert!(begun.elapsed() < Duration::from_secs(20), "{namespace}/{name} is not stable");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// An engine made otherwise than the world's own.
fn start(world: &World, change: impl FnOnce(EngineConfig) -> EngineConfig) -> (Engine, CancellationToken) {
    let engine = Engine::new(change(world.config(&world.faults)));
    let stop = CancellationToken::new();
    let (running, token) = (engine.clone(), stop.clone());
    tokio::spawn(async move { running.run(token).await });
    (engine, stop)
}

async fn create_namespace(world: &World, name: &str) {
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(world.client.clone());
    let namespace = serde_json::from_value(json!({ "metadata": { "name": name } })).unwrap();
    // Some API servers make namespaces by themselves.
    drop(namespaces.create(&PostParams::default(), &namespace).await);
}

#[tokio::test]
async fn namespaces_change_while_the_engine_runs() {
    let world = World::without_engine(limits()).await;
    create_namespace(&world, OTHER).await;
    let own = Namespaces::List(vec![NAMESPACE.to_owned()]);
    let (engine, stop) = start(&world, |config| EngineConfig { namespaces: own, ..config });
    world.create(&deployment("a", "savepoint")).await;
    create_in(&world, OTHER, deployment("b", "savepoint")).await;
    world.until_stable("a").await;
    assert_eq!(status_in(&world, OTHER, "b").await, Value::Null, "another namespace is not ours");
    engine.watch_namespaces(&Namespaces::List(vec![OTHER.to_owned()]));
    until_stable_in(&world, OTHER, "b").await;
    let view = engine.view();
    assert!(view.complete);
    assert_eq!(view.resources.iter().map(|one| &*one.name).collect::<Vec<_>>(), ["b"]);
    world.edit("a", json!({ "job": { "parallelism": 3 } })).await;
    let rounds = engine.metrics().steps_taken() + 20;
    world.eventually("stepped", |_| engine.metrics().steps_taken() >= rounds).await;
    assert_eq!(world.runs("a").len(), 1, "what is not watched any more is left alone");
    assert_eq!(world.launcher.created_and_deleted().1, 0, "and keeps running");
    engine.watch_namespaces(&Namespaces::All);
    world.until_stable("a").await;
    assert_eq!(world.runs("a").len(), 2);
    stop.cancel();
}

#[tokio::test]
async fn only_labelled_resources_are_run_and_one_that_loses_its_label_is_left_alone() {
    let world = World::without_engine(limits()).await;
    let selector = Some("team=ours".to_owned());
    let (engine, stop) = start(&world, |config| EngineConfig { label_selector: selector, ..config });
    let mut ours = deployment("ours", "savepoint");
    ours["metadata"]["labels"] = json!({ "team": "ours" });
    world.create(&deployment("theirs", "savepoint")).await;
    world.create(&ours).await;
    world.until_stable("ours").await;
    assert_eq!(world.get("theirs").await["status"], Value::Null);
    let patch = json!({ "metadata": { "labels": { "team": "theirs" } } });
    world.api().patch("ours", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    world.eventually("forgotten", |_| engine.view().resources.is_empty()).await;
    assert_eq!(world.launcher.created_and_deleted(), (1, 0));
    assert_eq!(world.launcher.retained(), None, "who does not see everything judges nobody's clusters");
    stop.cancel();
}

#[tokio::test]
async fn canaries_are_left_alone() {
    let world = World::start().await;
    let canary = json!({
        "apiVersion": "flink.apache.org/v1beta1",
        "kind": "FlinkDeployment",
        "metadata": { "name": "canary", "labels": { "flink.apache.org/canary": "true" } },
        "spec": { "restartNonce": 1 },
    });
    world.create(&canary).await;
    world.create(&deployment("a", "savepoint")).await;
    world.until_stable("a").await;
    assert_eq!(world.get("canary").await["status"], Value::Null);
}

#[tokio::test]
async fn settings_change_while_the_engine_runs_and_no_job_notices() {
    let world = World::without_engine(limits()).await;
    let config = world.config(&world.faults);
    let (mut policy, defaults) = (config.policy.clone(), config.defaults.clone());
    policy.rest_interval_ms = 3_600_000;
    let slow = policy.clone();
    let mut long = world.limits.clone();
    long.rest_heartbeat = Duration::from_secs(3_600);
    (long.poll.slow_min, long.poll.slow_max) = (Duration::from_secs(3_600), Duration::from_secs(3_600));
    let (engine, stop) = start(&world, |config| EngineConfig { policy: slow, limits: long, ..config });
    world.create(&deployment("a", "savepoint")).await;
    world.until_stable("a").await;
    let at_rest = |_: &World| engine.view().resources.iter().all(|view| view.at_rest);
    world.eventually("at rest", at_rest).await;
    let before = world.get("a").await;
    let steps = engine.metrics().steps_taken();
    let flat = [("parallelism.default".to_owned(), "7".to_owned())];
    let new = drey_api::defaults::Defaults::new(flat.into_iter().collect());
    assert_ne!(new, defaults);
    engine.reconfigure(Settings { policy, defaults: new });
    world.eventually("looked at again", |_| engine.metrics().steps_taken() > steps).await;
    world.eventually("at rest", at_rest).await;
    assert_eq!(world.get("a").await["status"], before["status"]);
    assert_eq!(world.runs("a").len(), 1, "a changed default is no redeployment");
    stop.cancel();
}

#[tokio::test]
async fn an_engine_tells_when_it_is_blind() {
    let mut limits = limits();
    limits.refused_after = Duration::from_millis(200);
    limits.blind_after = Duration::from_millis(1_500);
    let world = World::with(limits).await;
    world.create(&deployment("a", "savepoint")).await;
    world.until_stable("a").await;
    assert_eq!(world.engine.health(), drey_engine::Health::default());
    world.faults.set_down(true);
    // The watch that is open goes on until it ends; then every list and watch is refused.
    world.eventually("not ready", |world| !world.engine.health().not_ready.is_empty()).await;
    world.eventually("not alive", |world| !world.engine.health().not_alive.is_empty()).await;
    let words = world.engine.health().not_alive.join("\n");
    assert!(words.contains("nothing heard for") && words.contains("the test asked for this"), "{words}");
    world.faults.set_down(false);
    let well = |world: &World| world.engine.health() == drey_engine::Health::default();
    world.eventually("well again", well).await;
}

#[tokio::test]
async fn a_deaf_watch_makes_the_engine_blind_and_hanging_jobmanagers_do_not() {
    let mut limits = limits();
    limits.blind_after = Duration::from_millis(1_500);
    limits.silent_watches_max = 1_000;
    let world = World::with(limits).await;
    world.create(&deployment("a", "savepoint")).await;
    world.until_stable("a").await;
    let cluster = world.launcher.cluster_of(NAMESPACE, "a").unwrap();
    world.flink.with(&cluster, |cluster| cluster.behaviour = Behaviour::Hanging);
    let hangs = |world: &World| world.engine.view().resources[0].reachable == Some(false);
    world.eventually("hanging", hangs).await;
    assert_eq!(world.engine.health(), drey_engine::Health::default());
    for _ in 0..100 {
        world.faults.next("GET", "watch=true", Fault::Silence);
    }
    world.eventually("blind", |world| !world.engine.health().not_alive.is_empty()).await;
}

#[tokio::test]
async fn an_engine_that_does_not_run_is_not_alive() {
    let mut world = World::without_engine(limits()).await;
    assert!(!world.engine.health().not_alive.is_empty());
    world.start_engine();
    let well = |world: &World| world.engine.health() == drey_engine::Health::default();
    world.eventually("well", well).await;
    world.stop_engine().await.unwrap();
    assert!(!world.engine.health().not_alive.is_empty());
}
