//! What a person asks to be changed, and what of it reaches the API server.

use drey_server::FleetKind;
use kube::api::PostParams;
use kube::core::DynamicObject;
use serde_json::{Value, json};

use crate::world::{Setup, World};

const A: &str = "api/v1/ns/default/flinkdeployments/a";

async fn spec(world: &World) -> Value {
    world.resources(FleetKind::Deployment).get("a").await.unwrap().data["spec"].clone()
}

#[tokio::test]
async fn an_action_is_said_first_and_then_a_patch() {
    let world = World::start(Setup::default()).await;
    world.deployment("a", 2).await;
    let (status, told) =
        world.post(&format!("{A}/actions/rescale"), &json!({ "dryRun": true, "parallelism": 4 })).await;
    assert_eq!((status, &told["applied"]), (200, &json!(false)), "{told}");
    assert_eq!(told["patch"], "spec:\n  job:\n    parallelism: 4\n");
    assert_eq!(spec(&world).await["job"]["parallelism"], 2);
    let (status, done) = world.post(&format!("{A}/actions/rescale"), &json!({ "parallelism": 4 })).await;
    assert_eq!(
        (status, &done["applied"], &done["row"]["parallelism"]),
        (200, &json!(true), &json!(4)),
        "{done}"
    );
    assert_eq!(spec(&world).await["job"]["parallelism"], 4);
    let asked = |timeline: &Value| timeline.to_string().contains("`rescale` was asked for on the dashboard");
    world.until(&format!("{A}/timeline"), asked).await;
    let (status, refused) = world.post(&format!("{A}/actions/rescale"), &json!({ "parallelism": 0 })).await;
    assert_eq!((status, &refused["error"]["field"]), (400, &json!("parallelism")));
    let (status, refused) = world.post(&format!("{A}/actions/resume"), &json!({})).await;
    assert_eq!((status, &refused["error"]["message"]), (409, &json!("it is not suspended")));
    let (status, _) = world.post(&format!("{A}/actions/explode"), &json!({})).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn the_way_back_is_to_the_last_spec_that_ran_well() {
    let world = World::start(Setup::default()).await;
    world.deployment("a", 2).await;
    let path = format!("{A}/actions/rollback");
    let (status, refused) = world.post(&path, &json!({})).await;
    let message = &refused["error"]["message"];
    assert_eq!((status, message), (409, &json!("no spec of it was ever stable")));
    let record = json!({ "spec": spec(&world).await, "resource_metadata":
        { "apiVersion": "flink.apache.org/v1beta1", "metadata": { "generation": 1 } } });
    let record = record.to_string();
    world.set_status("a", json!({ "reconciliationStatus": { "lastStableSpec": record } })).await;
    let (status, refused) = world.post(&path, &json!({})).await;
    let message = &refused["error"]["message"];
    assert_eq!((status, message), (409, &json!("it has the last stable spec already")));
    world.post(&format!("{A}/actions/rescale"), &json!({ "parallelism": 4 })).await;
    let (_, told) = world.post(&path, &json!({ "dryRun": true })).await;
    assert_eq!(told["patch"], "spec:\n  job:\n    parallelism: 2\n", "{told}");
    let (status, done) = world.post(&path, &json!({})).await;
    assert_eq!((status, &done["row"]["parallelism"]), (200, &json!(2)), "{done}");
}

#[tokio::test]
async fn what_may_cost_state_asks_for_the_name() {
    let world = World::start(Setup::default()).await;
    world.deployment("a", 2).await;
    let path = format!("{A}/actions/delete");
    let (_, told) = world.post(&path, &json!({ "dryRun": true })).await;
    assert_eq!(told["dangerous"], true);
    assert!(told["effect"].as_str().unwrap().contains("without a savepoint"), "{told}");
    for confirm in [json!({}), json!({ "confirm": "b" })] {
        let (status, refused) = world.post(&path, &confirm).await;
        assert_eq!((status, &refused["error"]["field"]), (400, &json!("confirm")));
    }
    let (status, done) = world.post(&path, &json!({ "confirm": "a" })).await;
    assert_eq!((status, &done["applied"]), (200, &json!(true)));
    world.until("api/v1/fleet", |fleet| fleet["total"] == 0).await;
}

#[tokio::test]
async fn a_savepoint_goes_with_its_resource_only_when_that_is_wanted() {
    let world = World::start(Setup::default()).await;
    let snapshots = world.resources(FleetKind::Snapshot);
    for (name, said, wanted, patched, effect) in [
        ("kept", true, Some(false), "disposeOnDelete: false", "data stays"),
        ("gone", false, Some(true), "disposeOnDelete: true", "data with it"),
        ("as-it-says", false, None, "kubectl delete", "data stays"),
    ] {
        let mut object = DynamicObject::new(name, &FleetKind::Snapshot.resource());
        // What sees to the data would see it here.
        object.metadata.finalizers = Some(vec!["test.example/held".to_owned()]);
        object.data = json!({ "spec": { "savepoint": { "path": "/s", "disposeOnDelete": said } } });
        snapshots.create(&PostParams::default(), &object).await.unwrap();
        let path = format!("api/v1/ns/default/flinkstatesnapshots/{name}/actions/delete");
        let mut request = json!({ "dryRun": true, "disposeOfSavepoint": wanted, "confirm": name });
        let (status, told) = world.post(&path, &request).await;
        assert_eq!(status, 200, "{told}");
        assert!(told["patch"].as_str().unwrap().contains(patched), "{told}");
        assert!(told["effect"].as_str().unwrap().contains(effect), "{told}");
        assert_eq!(snapshots.get(name).await.unwrap().metadata.deletion_timestamp, None);
        request["dryRun"] = json!(false);
        let (status, done) = world.post(&path, &request).await;
        assert_eq!((status, &done["applied"]), (200, &json!(true)), "{done}");
        let left = snapshots.get(name).await.unwrap();
        assert!(left.metadata.deletion_timestamp.is_some());
        assert_eq!(left.data["spec"]["savepoint"]["disposeOnDelete"], wanted.unwrap_or(said), "{name}");
    }
}

#[tokio::test]
async fn who_acts_on_an_old_version_is_told_that_somebody_was_faster() {
    let world = World::start(Setup::default()).await;
    world.deployment("a", 2).await;
    let seen = world.get(&format!("{A}/yaml")).await;
    world.post(&format!("{A}/actions/rescale"), &json!({ "parallelism": 3 })).await;
    let body = json!({ "parallelism": 4, "version": seen["version"] });
    let (status, refused) = world.post(&format!("{A}/actions/rescale"), &body).await;
    assert_eq!((status, &refused["error"]["kind"]), (409, &json!("conflict")));
    let (status, refused) =
        world.post(&format!("{A}/edit"), &json!({ "yaml": seen["yaml"], "version": seen["version"] })).await;
    assert_eq!((status, &refused["error"]["kind"]), (409, &json!("conflict")));
    assert_eq!(spec(&world).await["job"]["parallelism"], 3);
}

#[tokio::test]
async fn an_edited_yaml_is_judged_and_keeps_the_secrets_that_nobody_saw() {
    let world = World::start(Setup::default()).await;
    world.deployment("a", 2).await;
    let seen = world.get(&format!("{A}/yaml")).await;
    let edited = seen["yaml"].as_str().unwrap().replace("parallelism: 2", "parallelism: 6");
    let (status, told) = world
        .post(&format!("{A}/edit"), &json!({ "yaml": edited, "version": seen["version"], "dryRun": true }))
        .await;
    assert_eq!((status, &told["problems"], &told["applied"]), (200, &json!([]), &json!(false)), "{told}");
    assert_eq!(told["changes"], json!([{ "field": "spec.job.parallelism", "from": "2", "to": "6" }]));
    let (_, done) =
        world.post(&format!("{A}/edit"), &json!({ "yaml": edited, "version": seen["version"] })).await;
    assert_eq!(done["applied"], true, "{done}");
    let spec = spec(&world).await;
    assert_eq!(
        (&spec["job"]["parallelism"], &spec["flinkConfiguration"]["s3.secret-key"]),
        (&json!(6), &json!("very-hidden"))
    );
    for (from, to, field) in [
        ("name: a", "name: b", "metadata.name"),
        ("parallelism: 6", "parallelism: many", "spec.job.parallelism"),
        ("image: registry/team/app:1", "image: '******'", "spec.image"),
    ] {
        let now = world.get(&format!("{A}/yaml")).await;
        let edited = now["yaml"].as_str().unwrap().replace(from, to);
        assert_ne!(edited, now["yaml"].as_str().unwrap(), "{from}");
        let (status, refused) =
            world.post(&format!("{A}/edit"), &json!({ "yaml": edited, "dryRun": true })).await;
        assert_eq!((status, &refused["error"]["field"]), (400, &json!(field)), "{refused}");
    }
    let (status, refused) =
        world.post(&format!("{A}/edit"), &json!({ "yaml": "a: [", "dryRun": true })).await;
    assert_eq!((status, &refused["error"]["field"]), (400, &json!("yaml")));
}
