//! The engine over what the Java operator left: its own recorded statuses, its cluster without our annotations, and
//! its high-availability data. Every recorded moment is decided upon in the tests of the core; here the whole engine
//! is, at one moment of each kind.

use drey_core::Restore;
use drey_engine::Target;
use drey_testbed::fake_jobmanager::{FakeJob, Snapshot};
use drey_testbed::fake_launcher::CHECKPOINT_DIRECTORY;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::world::{NAMESPACE, World, limits};

const RECORDING: &str = include_str!("../../../core/tests/fixtures/java-operator-1.15.0.jsonl");
const NAME: &str = "led";

/// The first recorded version of the resource that is as described.
fn recorded(is: impl Fn(&Value) -> bool) -> Value {
    RECORDING
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|entry| entry["kind"] == "FlinkDeployment" && entry["object"]["metadata"]["name"] == NAME)
        .map(|entry| entry["object"].clone())
        .find(is)
        .expect("the recording has it")
}

fn is_stable(object: &Value, generation: i64) -> bool {
    let status = &object["status"];
    object["metadata"]["generation"] == generation
        && status["observedGeneration"] == generation
        && status["lifecycleState"] == "STABLE"
        && status["conditions"][0]["message"] == "Job status RUNNING"
}

/// Puts the recorded resource into the API server, with its generation and its status.
async fn put(world: &World, recorded: &Value) -> Target {
    let generation = recorded["metadata"]["generation"].as_i64().unwrap();
    let mut object = recorded.clone();
    object["metadata"] = json!({
        "name": NAME, "namespace": NAMESPACE, "finalizers": recorded["metadata"]["finalizers"],
    });
    let status = object.as_object_mut().unwrap().remove("status").unwrap();
    let wanted = object["spec"]["job"]["parallelism"].clone();
    if generation > 1 {
        object["spec"]["job"]["parallelism"] = json!(1_000);
    }
    world.create(&object).await;
    for edit in 2..=generation {
        let parallelism = if edit == generation { wanted.clone() } else { json!(1_000 + edit) };
        world.edit(NAME, json!({ "job": { "parallelism": parallelism } })).await;
    }
    let patch = json!({ "status": status });
    world.api().patch_status(NAME, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    let put = world.get(NAME).await;
    assert_eq!(put["metadata"]["generation"], generation);
    assert_eq!(put["spec"], recorded["spec"]);
    Target {
        namespace: NAMESPACE.into(),
        name: NAME.into(),
        uid: put["metadata"]["uid"].as_str().unwrap().into(),
    }
}

fn job_of(object: &Value, state: &'static str, completed: Option<u64>) -> FakeJob {
    let status = &object["status"]["jobStatus"];
    let id = status["jobId"].as_str().unwrap();
    let mut job = FakeJob::new(id, None);
    job.state = state;
    job.tasks_running = state == "RUNNING";
    job.started_at_ms =
        status["startTime"].as_str().and_then(|text| text.parse().ok()).unwrap_or(job.started_at_ms);
    job.completed = completed
        .map(|number| Snapshot { id: number, path: format!("{CHECKPOINT_DIRECTORY}/{id}/chk-{number}") });
    job.next_id = completed.map_or(1, |number| number + 1);
    job
}

/// Every field of `before` that is another one in `after`; times of conditions count in whole seconds.
fn changed(before: &Value, after: &Value, path: &str) -> Vec<String> {
    match before {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, value)| changed(value, &after[key], &format!("{path}/{key}")))
            .collect(),
        Value::Array(items) if path.ends_with("/conditions") => {
            items.iter().zip(after.as_array().unwrap()).flat_map(|(b, a)| changed(b, a, path)).collect()
        }
        Value::String(time) if path.ends_with("/lastTransitionTime") => {
            let same = after.as_str().is_some_and(|after| after[..19] == time[..19]);
            (!same).then(|| format!("{path}: {time} is {after}")).into_iter().collect()
        }
        _ if before == after => Vec::new(),
        _ => vec![format!("{path}: {before} is {after}")],
    }
}

#[tokio::test]
async fn a_running_job_is_taken_over_as_it_is() {
    for generation in [1, 2, 3, 6, 8, 10, 11] {
        let mut world = World::without_engine(limits()).await;
        let recorded = recorded(|object| is_stable(object, generation));
        let target = put(&world, &recorded).await;
        world.launcher.found(&target, generation, job_of(&recorded, "RUNNING", Some(30)));
        world.until_kept(30).await;
        let before = world.faults.count("PUT", "/status");
        world.start_engine();
        world.until("led", "taken over", |object| !object["status"]["run"].is_null()).await;
        world.until_at_rest().await;
        let object = world.get(NAME).await;
        assert_eq!(changed(&recorded["status"], &object["status"], ""), [""; 0], "generation {generation}");
        let writes = world.faults.count("PUT", "/status") - before;
        assert!(writes <= 2, "generation {generation}: {writes} writes");
        assert_eq!(world.launcher.created_and_deleted(), (0, 0));
        assert_eq!(world.requests(NAME), [""; 0]);
    }
}

#[tokio::test]
async fn a_suspended_job_is_taken_over_and_resumed_from_its_savepoint() {
    // Its cluster is kept for `jm-deployment.shutdown-ttl`, one day; a younger or an older job resumes alike.
    for (hours_ago, deleted) in [(23, 0), (25, 1)] {
        resume_suspended(jiff::SignedDuration::from_hours(hours_ago), deleted).await;
    }
}

/// Takes over a job that was suspended so long ago, expects so many clusters deleted, and resumes it.
async fn resume_suspended(ago: jiff::SignedDuration, deleted: u64) {
    let mut world = World::without_engine(limits()).await;
    let mut recorded = recorded(|object| {
        object["metadata"]["generation"] == 5 && object["status"]["lifecycleState"] == "SUSPENDED"
    });
    let suspended_at = jiff::Timestamp::now() - ago;
    recorded["status"]["jobStatus"]["updateTime"] = json!(suspended_at.as_millisecond().to_string());
    let target = put(&world, &recorded).await;
    let path = recorded["status"]["jobStatus"]["upgradeSavepointPath"].as_str().unwrap();
    world.flink.storage().put(&Snapshot { id: 23, path: path.to_owned() });
    world.launcher.found(&target, 4, job_of(&recorded, "FINISHED", None));
    world.start_engine();
    world.until("led", "taken over", |object| !object["status"]["run"].is_null()).await;
    world.until_at_rest().await;
    world
        .eventually("kept as long as it should be", |world| {
            world.launcher.created_and_deleted() == (0, deleted)
        })
        .await;
    assert_eq!(world.get(NAME).await["status"]["lifecycleState"], "SUSPENDED");
    world.edit(NAME, json!({ "job": { "state": "running" } })).await;
    world.until_stable(NAME).await;
    let runs = world.runs(NAME);
    assert_eq!(runs.len(), 1, "{runs:#?}");
    assert_eq!(runs[0].restore, Restore::Path(path.into()));
}

#[tokio::test]
async fn an_upgrade_goes_on_from_the_savepoint_of_the_java_operator() {
    let mut world = World::without_engine(limits()).await;
    let recorded = recorded(|object| {
        object["metadata"]["generation"] == 2 && object["status"]["lifecycleState"] == "UPGRADING"
    });
    let target = put(&world, &recorded).await;
    let path = recorded["status"]["jobStatus"]["upgradeSavepointPath"].as_str().unwrap();
    world.flink.storage().put(&Snapshot { id: 5, path: path.to_owned() });
    world.launcher.found(&target, 1, job_of(&recorded, "FINISHED", None));
    world.start_engine();
    world.until_stable(NAME).await;
    let runs = world.runs(NAME);
    assert_eq!(runs.len(), 1, "{runs:#?}");
    assert_eq!(runs[0].restored, Some(Snapshot { id: 5, path: path.to_owned() }));
    assert_eq!(world.launcher.created_and_deleted(), (1, 1));
}

#[tokio::test]
async fn a_cluster_that_the_java_operator_had_just_made_is_kept() {
    for generation in [1, 2, 3, 6] {
        let mut world = World::without_engine(limits()).await;
        let recorded = recorded(|object| {
            let status = &object["status"];
            object["metadata"]["generation"] == generation
                && status["reconciliationStatus"]["state"] == "UPGRADING"
                && status["jobManagerDeploymentStatus"] == "MISSING"
                && !status["jobStatus"]["jobId"].is_null()
                && status["observedGeneration"] == generation
        });
        let target = put(&world, &recorded).await;
        world.launcher.found(&target, generation, job_of(&recorded, "RUNNING", Some(7)));
        world.until_kept(7).await;
        world.start_engine();
        let object = world.until_stable(NAME).await;
        assert_eq!(object["status"]["jobStatus"]["jobId"], recorded["status"]["jobStatus"]["jobId"]);
        assert_eq!(world.launcher.created_and_deleted(), (0, 0), "generation {generation}");
    }
}

#[tokio::test]
async fn a_job_that_was_taken_over_is_upgraded_with_its_state() {
    let mut world = World::without_engine(limits()).await;
    let recorded = recorded(|object| is_stable(object, 2));
    let target = put(&world, &recorded).await;
    world.launcher.found(&target, 2, job_of(&recorded, "RUNNING", Some(30)));
    world.until_kept(30).await;
    world.start_engine();
    world.until("led", "taken over", |object| !object["status"]["run"].is_null()).await;
    world.edit(NAME, json!({ "job": { "args": ["file:///flink-data/out-led", "400"] } })).await;
    world.until_stable(NAME).await;
    let runs = world.runs(NAME);
    assert_eq!(runs.len(), 1, "{runs:#?}");
    let restored = runs[0].restored.clone().expect("it has state");
    assert!(restored.path.starts_with("file:///flink-data/sp/") && restored.id > 30, "{restored:?}");
}
