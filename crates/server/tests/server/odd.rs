//! Whatever the API server takes is a row: never an error of the list.

use drey_server::FleetKind;
use serde_json::{Value, json};

use crate::world::{Setup, World};

#[tokio::test]
async fn a_resource_of_any_shape_is_one_row() {
    let world = World::start(Setup::default()).await;
    let shapes: Vec<Value> = vec![
        json!({}),
        json!({ "spec": {} }),
        json!({ "spec": { "job": {} } }),
        json!({ "spec": { "image": "a".repeat(4_000), "flinkVersion": "v1_20" } }),
        json!({ "spec": { "taskManager": { "replicas": 2_147_483_647, "resource": { "memory": "99999999999g" } }, "job": { "parallelism": 2_147_483_647 } } }),
        json!({ "spec": { "flinkConfiguration": { "taskmanager.numberOfTaskSlots": "none", "a": { "b": [1, null] } } } }),
    ];
    for (index, shape) in shapes.iter().enumerate() {
        world.create(FleetKind::Deployment, &format!("d{index}.x-y"), shape.clone()).await;
    }
    world.create(FleetKind::Snapshot, "s", json!({ "spec": { "jobReference": { "kind": "FlinkDeployment", "name": "d0.x-y" }, "savepoint": {} } })).await;
    world.create(FleetKind::BlueGreen, "bg", json!({ "spec": {} })).await;
    let fleet = world.until("api/v1/fleet?limit=100", |fleet| fleet["total"] == shapes.len() + 1).await;
    assert_eq!(fleet["matched"], shapes.len() + 1, "snapshots are shown to those who ask for them");
    for row in fleet["rows"].as_array().unwrap() {
        let (kind, name) = (row["kind"].as_str().unwrap(), row["name"].as_str().unwrap());
        for part in ["", "/yaml", "/timeline", "/snapshots"] {
            world.get(&format!("api/v1/ns/default/{kind}/{name}{part}")).await;
        }
    }
    assert_eq!(world.get("api/v1/fleet?q=type:snapshot").await["matched"], 1);
    let no_spec = fleet["rows"].as_array().unwrap().iter().find(|row| row["name"] == "d0.x-y").unwrap();
    assert_eq!((&no_spec["warning"], &no_spec["type"]), (&json!("it has no spec"), &json!("session")));
    assert_eq!(world.get("jobs").await.as_array().unwrap().len(), shapes.len());
}
