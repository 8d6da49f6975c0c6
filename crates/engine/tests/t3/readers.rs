//! What tools that know nothing of Flink read from a status: each state of a resource beside `kubectl wait`, kstatus and
//! the health rule that Argo CD has for FlinkDeployments. The table is `docs/status-readers.md`.

use std::path::Path;
use std::time::Duration;

use drey_testbed::fake_jobmanager::SavepointScript;
use serde_json::{Value, json};

use crate::world::{NAMESPACE, World, condition, deployment, is_current};

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/status-readers.md");

/// The rules of kstatus for kinds that it does not know.
fn kstatus(object: &Value) -> &'static str {
    let is = |name: &str, status: &str| condition(object, name)["status"] == status;
    if object["metadata"]["deletionTimestamp"].is_string() {
        "Terminating"
    } else if !is_current(object) || is("Reconciling", "True") {
        "InProgress"
    } else if is("Stalled", "True") {
        "Failed"
    } else if is("Ready", "True") {
        "Current"
    } else {
        "InProgress"
    }
}

/// The rule of Argo CD for FlinkDeployments, which knows only the Java operator's fields.
fn argo_cd(object: &Value) -> &'static str {
    let status = &object["status"];
    if status["reconciliationStatus"]["state"] == "DEPLOYED" {
        return "Healthy";
    }
    match status["jobManagerDeploymentStatus"].as_str() {
        Some("ERROR") => "Degraded",
        _ => "Progressing",
    }
}

fn row(state: &str, object: &Value) -> String {
    let ready = condition(object, "Ready");
    let word = |value: &Value| value.as_str().unwrap_or("–").to_owned();
    format!(
        "| {state} | {} | {} | {} | {} | {} | {} |\n",
        word(&object["status"]["lifecycleState"]),
        word(&object["status"]["jobStatus"]["state"]),
        word(&ready["status"]),
        word(&ready["reason"]),
        kstatus(object),
        argo_cd(object),
    )
}

fn is_ready(object: &Value) -> bool {
    is_current(object) && condition(object, "Ready")["status"] == "True"
}

fn with_options(name: &str, options: &Value) -> Value {
    let mut object = deployment(name, "savepoint");
    for (key, value) in options.as_object().expect("options") {
        object["spec"]["flinkConfiguration"][key] = value.clone();
    }
    object
}

/// Ends the job of a resource as Flink would.
fn end_job(world: &World, name: &str, state: &'static str) {
    let cluster = world.launcher.cluster_of(NAMESPACE, name).expect("a cluster");
    world
        .flink
        .with(&cluster, |cluster| cluster.job.as_mut().expect("a job").state = state)
        .expect("a JobManager");
}

async fn suspended(world: &World) -> String {
    let mut object = deployment("created-suspended", "savepoint");
    object["spec"]["job"]["state"] = json!("suspended");
    world.create(&object).await;
    let created = world.until("created-suspended", "ready", is_ready).await;
    world.create(&deployment("suspended", "savepoint")).await;
    world.until_stable("suspended").await;
    world.edit("suspended", json!({ "job": { "state": "suspended" } })).await;
    let suspended = world.until("suspended", "ready", is_ready).await;
    row("created suspended", &created) + &row("suspended", &suspended)
}

async fn upgrading(world: &World) -> String {
    let slow = SavepointScript::CompleteAfter(Duration::from_secs(600));
    world.launcher.script("upgrading", |launch| launch.savepoints = slow);
    world.create(&deployment("upgrading", "savepoint")).await;
    world.until_stable("upgrading").await;
    world.edit("upgrading", json!({ "job": { "parallelism": 4 } })).await;
    let upgrading = world
        .until("upgrading", "waiting for its savepoint", |object| {
            is_current(object) && condition(object, "Reconciling")["reason"] == "SavepointBeforeStop"
        })
        .await;
    row("upgrading, the savepoint is being taken", &upgrading)
}

async fn ended(world: &World) -> String {
    world.create(&deployment("finished", "savepoint")).await;
    world.until_stable("finished").await;
    end_job(world, "finished", "FINISHED");
    let finished = world
        .until("finished", "finished", |object| {
            object["status"]["jobStatus"]["state"] == "FINISHED" && is_ready(object)
        })
        .await;
    world.create(&deployment("failed", "savepoint")).await;
    world.until_stable("failed").await;
    end_job(world, "failed", "FAILED");
    let failed = world.until_lifecycle("failed", "FAILED").await;
    row("finished", &finished) + &row("failed, and not to be restarted", &failed)
}

async fn rolled_back(world: &World) -> String {
    let options = json!({
        "kubernetes.operator.deployment.rollback.enabled": "true",
        "kubernetes.operator.deployment.readiness.timeout": "3 s",
    });
    world.create(&with_options("rolled-back", &options)).await;
    world.until_stable("rolled-back").await;
    world.launcher.script("rolled-back", |launch| launch.startup = Duration::from_secs(600));
    world.edit("rolled-back", json!({ "job": { "parallelism": 4 } })).await;
    world
        .until("rolled-back", "waiting for the JobManager of the new spec", |object| {
            is_current(object) && condition(object, "Reconciling")["reason"] == "JobManagerStarting"
        })
        .await;
    // The rollback takes long enough to be seen, and what it starts comes up.
    world.launcher.script("rolled-back", |launch| {
        launch.teardown = Duration::from_secs(3);
        launch.startup = Duration::from_millis(20);
    });
    let rolling = world
        .until("rolled-back", "on its way back", |object| {
            object["status"]["lifecycleState"] == "ROLLING_BACK"
                && condition(object, "Reconciling")["reason"] == "ClusterTerminating"
        })
        .await;
    let rolled_back = world
        .until("rolled-back", "rolled back, its job running", |object| {
            object["status"]["lifecycleState"] == "ROLLED_BACK"
                && object["status"]["jobStatus"]["state"] == "RUNNING"
        })
        .await;
    row("being rolled back", &rolling) + &row("rolled back", &rolled_back)
}

async fn refused(world: &World) -> String {
    world.create(&deployment("refused", "savepoint")).await;
    world.until_stable("refused").await;
    world.edit("refused", json!({ "job": { "parallelism": 0 } })).await;
    let refused =
        world.until("refused", "refused", |object| condition(object, "Stalled")["status"] == "True").await;
    row("running, its last edit refused", &refused)
}

#[tokio::test]
async fn every_state_says_the_same_to_every_reader() {
    let world = World::start().await;
    world.create(&deployment("running", "savepoint")).await;
    let mut rows = row("running", &world.until_stable("running").await);
    rows += &suspended(&world).await;
    rows += &upgrading(&world).await;
    rows += &ended(&world).await;
    rows += &rolled_back(&world).await;
    rows += &refused(&world).await;
    let table = format!("{HEAD}{rows}{FOOT}");
    let path = Path::new(TABLE);
    if std::env::var_os("DREY_BLESS").is_some() {
        std::fs::write(path, &table).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), table, "`DREY_BLESS=1` writes it anew");
}

const HEAD: &str = "# What other tools read from a status\n\n\
`kubectl wait --for=condition=Ready` waits for the column *Ready*; *kstatus* is what Flux, kpt and `kubectl` plug-ins \
make of the conditions; *Argo CD* is its built-in rule for FlinkDeployments, which reads the Java operator's fields \
alone. A test writes this table from the engine itself: `crates/engine/tests/t3/readers.rs`.\n\n\
| State | `lifecycleState` | `jobStatus.state` | Ready | its reason | kstatus | Argo CD |\n\
|---|---|---|---|---|---|---|\n";

const FOOT: &str = "\nWhere Argo CD says less than the conditions (a failed job counts as healthy, as with the Java \
operator), a health check of its configuration can read `Ready`, `Reconciling` and `Stalled`.\n";
