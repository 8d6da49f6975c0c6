//! What people and clusters do wrong, beside a job that must not notice: each is told on its own resource, with the
//! reason and within seconds.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::ledger_job::NAME;
use crate::on_cluster::OnCluster;
use crate::place::Place;
use crate::stage::StageArgs;
use crate::steps::first_deployment;
use crate::story::Story;

/// Where the wrong ones live.
const GUESTS: &str = "guests";
/// A namespace in which no pod may be made.
const FULL: &str = "full";
/// How soon a resource must say what is wrong with it.
const TOLD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a namespace may take to go.
const GONE_TIMEOUT: Duration = Duration::from_secs(120);

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    stage: StageArgs,
    /// Minor version of Flink, such as `1.20`
    #[arg(long, default_value = "1.20")]
    flink: String,
}

/// A wrong FlinkDeployment.
struct Guest {
    name: &'static str,
    namespace: &'static str,
    spec: fn(&mut Value),
    /// What its condition `Ready` has to say, one of them in its reason and the rest in its message.
    told: &'static [&'static str],
}

const GUESTS_OF_THE_STORY: &[Guest] = &[
    Guest {
        name: "template-refused",
        namespace: GUESTS,
        spec: |spec| {
            spec["podTemplate"]["spec"]["containers"][0]["volumeMounts"] =
                json!([{ "name": "nowhere", "mountPath": "/nowhere" }]);
        },
        told: &["ActionRefused", "volumeMounts", "nowhere"],
    },
    Guest {
        name: "account-missing",
        namespace: GUESTS,
        spec: |spec| spec["serviceAccount"] = json!("absent"),
        told: &["JobManagerFailing", "FailedCreate", "serviceaccount \"absent\" not found"],
    },
    Guest {
        name: "image-missing",
        namespace: GUESTS,
        spec: |spec| spec["image"] = json!("nowhere/flink:1"),
        told: &["JobManagerFailing", "ImagePull", "nowhere/flink:1"],
    },
    Guest {
        name: "out-of-memory",
        namespace: GUESTS,
        spec: |spec| {
            spec["podTemplate"]["metadata"]["annotations"] =
                json!({ "testbed.drey.dev/oom-after-ms": "1000" });
        },
        told: &["JobManagerFailing", "OOMKilled"],
    },
    Guest {
        name: "quota-used-up",
        namespace: FULL,
        spec: |_| {},
        told: &["JobManagerFailing", "FailedCreate", "exceeded quota"],
    },
    Guest {
        name: "jar-missing",
        namespace: GUESTS,
        spec: |spec| drop(spec["job"].as_object_mut().and_then(|job| job.remove("jarURI"))),
        told: &["jarURI"],
    },
];

/// Runs the story.
pub(crate) fn run(args: &Args) -> Result<()> {
    let stage = args.stage.open()?;
    let place = OnCluster::new(&stage.parts())?;
    let job = stage.ledger(place.directory().join("storage"), &args.flink, "native")?;
    let mut story = Story::new(place, job);
    story.step("a job that must not notice", first_deployment);
    story.step("namespaces for the others", |story| namespaces(&story.place));
    for guest in GUESTS_OF_THE_STORY {
        story.step(&format!("told: {}", guest.name), |story| is_told(story, guest));
    }
    story.step("a status of nearly 1 MiB", large_status);
    story.step("a status that cannot be read", unreadable_status);
    story.step("a finalizer taken off by hand", finalizer_removed);
    story.step("namespaces deleted with everything in them", namespaces_deleted);
    story.step("the job did not notice", |story| {
        story.settled()?;
        let runs = story.resource()?["status"]["run"]["seq"].clone();
        ensure!(runs == 1, "the job was deployed again: run {runs}");
        Ok(())
    });
    story.step("a stop whose savepoint cannot be written", savepoint_not_writable);
    story.step("the leader's ConfigMap of high availability deleted", leader_map_deleted);
    story.conclude(stage.temporary, args.stage.directory.is_some())
}

fn namespaces(place: &OnCluster) -> Result<()> {
    for name in [GUESTS, FULL] {
        place
            .put_object(&json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } }))?;
        place.put_object(&json!({ "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": { "name": "flink", "namespace": name } }))?;
    }
    place.put_object(&json!({ "apiVersion": "v1", "kind": "ResourceQuota",
        "metadata": { "name": "nothing", "namespace": FULL }, "spec": { "hard": { "pods": "0" } } }))
}

/// The job's own manifest with one thing wrong, under another name.
fn manifest(story: &Story<OnCluster>, guest: &Guest) -> Value {
    let mut manifest = story.job.manifest();
    manifest["metadata"] = json!({ "name": guest.name, "namespace": guest.namespace });
    (guest.spec)(&mut manifest["spec"]);
    manifest
}

fn is_told(story: &mut Story<OnCluster>, guest: &Guest) -> Result<()> {
    let manifest = manifest(story, guest);
    story.place.put_object(&manifest)?;
    let what = format!("{} to say {}", guest.name, guest.told.join(", "));
    story.place.wait_for(&what, TOLD_TIMEOUT, |place| {
        let object = place.object(guest.namespace, guest.name)?.context("it was created")?;
        let ready = condition(&object, "Ready");
        let said = format!("{} {}", ready["reason"], ready["message"].as_str().unwrap_or_default());
        Ok((ready["status"] == "False" && guest.told.iter().all(|word| said.contains(word))).then_some(()))
    })?;
    story.place.wait_for(&format!("a warning event of {}", guest.name), TOLD_TIMEOUT, |place| {
        let events = place.run(&["events", guest.name, "-n", guest.namespace])?;
        Ok(events.contains("Warning").then_some(()))
    })
}

fn condition<'a>(object: &'a Value, name: &str) -> &'a Value {
    let conditions = object["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    conditions.iter().find(|condition| condition["type"] == name).unwrap_or(&Value::Null)
}

/// The operator goes on with it, and writes no second one beside it.
fn large_status(story: &mut Story<OnCluster>) -> Result<()> {
    let guest = Guest { name: "large", namespace: GUESTS, spec: suspended, told: &[] };
    let manifest = manifest(story, &guest);
    story.place.put_object(&manifest)?;
    is_ready(story, guest.name)?;
    let large = json!({ "status": { "clusterInfo": { "note": "x".repeat(950_000) } } });
    story.place.patch_status(GUESTS, guest.name, &large)?;
    // An edit is still taken up.
    let mut edited = manifest;
    edited["spec"]["job"]["parallelism"] = json!(3);
    story.place.put_object(&edited)?;
    is_ready(story, guest.name)
}

fn suspended(spec: &mut Value) {
    spec["job"]["state"] = json!("suspended");
}

fn is_ready(story: &mut Story<OnCluster>, name: &str) -> Result<()> {
    story.place.wait_for(&format!("{name} to be ready"), TOLD_TIMEOUT, |place| {
        let object = place.object(GUESTS, name)?.context("it was created")?;
        let current = object["status"]["observedGeneration"] == object["metadata"]["generation"];
        Ok((current && condition(&object, "Ready")["status"] == "True").then_some(()))
    })
}

/// What nobody can read is left alone, and says which field it is.
fn unreadable_status(story: &mut Story<OnCluster>) -> Result<()> {
    let broken = json!({ "status": { "reconciliationStatus": {
        "state": "DEPLOYED", "lastReconciledSpec": "{ this is no JSON" } } });
    story.place.patch_status(GUESTS, "large", &broken)?;
    story.place.wait_for("the broken field to be named", TOLD_TIMEOUT, |place| {
        let object = place.object(GUESTS, "large")?.context("it was created")?;
        let stalled = condition(&object, "Stalled");
        let said = stalled["message"].as_str().unwrap_or_default();
        Ok((stalled["status"] == "True" && said.contains("lastReconciledSpec")).then_some(()))
    })?;
    // As it says, a person corrects the field; until then nothing is done with it, also not at its deletion.
    story.place.patch_status(GUESTS, "large", &json!({ "status": { "reconciliationStatus": null } }))
}

/// Kubernetes then removes the resource at once, and what it owned after it; the operator forgets it.
fn finalizer_removed(story: &mut Story<OnCluster>) -> Result<()> {
    let name = "image-missing";
    story.place.patch(GUESTS, name, &json!({ "metadata": { "finalizers": null } }))?;
    story.place.delete_object(GUESTS, name)?;
    story.place.wait_for("the resource to go", TOLD_TIMEOUT, |place| {
        Ok(place.object(GUESTS, name)?.is_none().then_some(()))
    })
}

/// The job goes on and the resource says why it waits; once the directory can be written, the upgrade goes on by itself.
fn savepoint_not_writable(story: &mut Story<OnCluster>) -> Result<()> {
    let directory = story.job.savepoint_directory().context("the job is on a cluster")?;
    // A file in its place: the processes of the node are not stopped by permissions.
    std::fs::write(&directory, "")?;
    story.place.patch("default", NAME, &json!({ "spec": { "restartNonce": 1 } }))?;
    story.place.wait_for("the failed savepoint to be told", TOLD_TIMEOUT, |place| {
        let events = place.run(&["events", NAME])?;
        Ok(events.contains("Savepoint for the stop failed").then_some(()))
    })?;
    story.grows()?;
    std::fs::remove_file(&directory)?;
    story.settled()
}

/// Flink elects a leader again, and its TaskManagers may then refuse the job's own classes for ever (they still hold the
/// jar as the former leader gave it out). The resource says that the job restarts; a restart by drey ends it, whole.
fn leader_map_deleted(story: &mut Story<OnCluster>) -> Result<()> {
    story.place.delete_config_map(&format!("{NAME}-cluster-config-map"))?;
    story.place.wait_for("the ConfigMap to come back", GONE_TIMEOUT, |place| {
        Ok(place.has_config_map(&format!("{NAME}-cluster-config-map"))?.then_some(()))
    })?;
    story.place.run(&["restart", NAME])?;
    story.settled()
}

fn namespaces_deleted(story: &mut Story<OnCluster>) -> Result<()> {
    for namespace in [GUESTS, FULL] {
        story.place.delete_namespace(namespace)?;
    }
    for namespace in [GUESTS, FULL] {
        story.place.wait_for(&format!("namespace {namespace} to go"), GONE_TIMEOUT, |place| {
            Ok((!place.has_namespace(namespace)?).then_some(()))
        })?;
    }
    Ok(())
}
