//! Reading objects: what is tolerated, what is refused and how it is named.

use serde_json::{Value, json};

use drey_api::kinds::{
    FlinkBlueGreenDeployment, FlinkDeployment, FlinkDeploymentStatus, FlinkJobState, FlinkSessionJob,
    FlinkStateSnapshot, FlinkVersion, JobState, SavepointFormat, SnapshotState, UpgradeMode, read,
};
use drey_api::unknown_fields::unknown_fields;

fn object(kind: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "flink.apache.org/v1beta1", "kind": kind,
        "metadata": { "name": "n", "namespace": "ns" }, "spec": spec
    })
}

#[test]
fn absent_and_null_fields_get_upstreams_defaults() {
    let nulls = json!({
        "job": { "args": null, "state": null, "upgradeMode": null }, "jobManager": { "replicas": null },
        "podTemplate": { "metadata": { "creationTimestamp": null }, "spec": { "containers": [{ "name": null }] } }
    });
    for spec in [nulls, json!({ "job": {}, "jobManager": {} })] {
        let deployment: FlinkDeployment = read(&object("FlinkDeployment", &spec)).unwrap();
        let job = deployment.spec.job.unwrap();
        assert_eq!(
            (job.parallelism, job.state, job.upgrade_mode),
            (0, JobState::Running, UpgradeMode::Stateless)
        );
        assert!(job.args.is_empty());
        assert_eq!(deployment.spec.job_manager.unwrap().replicas, 1);
        if let Some(template) = deployment.spec.pod_template {
            assert_eq!(template, json!({ "metadata": {}, "spec": { "containers": [{}] } }));
        }
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    let path = |spec: Value| read::<FlinkDeployment>(&object("FlinkDeployment", &spec)).unwrap_err();
    let error = path(json!({ "job": { "upgradeMode": "lastState" } }));
    assert_eq!(error.path, "spec.job.upgradeMode");
    assert!(error.message.contains("expected one of `stateless`, `last-state`, `savepoint`"), "{error}");
    assert_eq!(path(json!({ "flinkVersion": "v9_9" })).path, "spec.flinkVersion");
    assert_eq!(path(json!({ "job": { "parallelism": "two" } })).path, "spec.job.parallelism");
    assert_eq!(path(json!({ "job": { "args": ["a", 1] } })).path, "spec.job.args[1]");
    let quantity = path(json!({ "jobManager": { "resources": { "limits": { "cpu": [] } } } }));
    assert_eq!(quantity.path, "spec.jobManager.resources.limits.cpu");
    assert!(quantity.message.contains("expected a quantity such as"), "{quantity}");
}

/// Each distinct status that release 1.15.0 of the Java operator wrote: at rest and half-way.
#[test]
fn recorded_statuses_are_read_and_nothing_is_lost() {
    let mut count = 0;
    for line in include_str!("../fixtures/statuses-1.15.0.jsonl").lines() {
        let recorded: Value = serde_json::from_str(line).unwrap();
        let status: FlinkDeploymentStatus = read(&recorded).unwrap();
        assert_eq!(serde_json::to_value(&status).unwrap(), recorded);
        count += 1;
    }
    assert!(count > 10);
}

/// An explicit null where upstream has a default would make its reader fail.
#[test]
fn a_status_is_written_without_nulls() {
    let status = serde_json::to_value(FlinkDeploymentStatus::default()).unwrap();
    assert_eq!(status, json!({ "jobManagerDeploymentStatus": "MISSING", "conditions": [] }));
}

#[test]
fn other_kinds() {
    let spec = json!({ "deploymentName": "ses", "job": { "jarURI": "https://x/a.jar", "parallelism": 1 } });
    let job: FlinkSessionJob = read(&object("FlinkSessionJob", &spec)).unwrap();
    assert_eq!(job.spec.deployment_name.as_deref(), Some("ses"));

    let spec = json!({ "jobReference": { "kind": "FlinkDeployment", "name": "n" }, "savepoint": {} });
    let snapshot: FlinkStateSnapshot = read(&object("FlinkStateSnapshot", &spec)).unwrap();
    let savepoint = snapshot.spec.savepoint.unwrap();
    assert_eq!(savepoint.format_type, SavepointFormat::Canonical);
    assert!(savepoint.dispose_on_delete && !savepoint.already_exists);
    assert_eq!(snapshot.spec.backoff_limit, -1);
    assert_eq!(drey_api::kinds::FlinkStateSnapshotStatus::default().state, SnapshotState::TriggerPending);

    let spec = json!({ "template": { "spec": { "flinkVersion": "v2_0" } } });
    let pair: FlinkBlueGreenDeployment = read(&object("FlinkBlueGreenDeployment", &spec)).unwrap();
    let child = pair.spec.template.and_then(|template| template.spec).unwrap();
    assert_eq!(child.flink_version, Some(FlinkVersion::V2_0));
}

#[test]
fn versions_and_states() {
    for version in FlinkVersion::ALL {
        let written = format!("v{}_{}", version.major(), version.minor());
        assert_eq!(version.as_str(), written);
        assert_eq!(FlinkVersion::from_text(&written), Some(*version));
        assert_eq!(version.dotted(), format!("{}.{}", version.major(), version.minor()));
    }
    assert!(FlinkVersion::ALL.is_sorted());
    assert!(FlinkVersion::V1_18.deprecated() && !FlinkVersion::V1_19.deprecated());
    assert!(FlinkVersion::V1_15.supported() && !FlinkVersion::V1_14.supported());
    let terminal: Vec<FlinkJobState> =
        FlinkJobState::ALL.iter().copied().filter(|state| state.is_terminal()).collect();
    assert_eq!(terminal, [FlinkJobState::Failed, FlinkJobState::Canceled, FlinkJobState::Finished]);
}

#[test]
fn unknown_fields_are_told_with_what_was_probably_meant() {
    let mut deployment = object(
        "FlinkDeployment",
        &json!({
            "job": { "paralelism": 2, "upgrade_mode": "savepoint", "jarUri": "x", "zzz": 1 },
            "flinkConfiguration": { "anything": { "goes": 1 } },
            "logConfiguration": { "any-name": "x" },
            "podTemplate": { "spec": {
                "containers": [{ "name": "c", "imagePulPolicy": "Always", "fromTheFuture": 1 }],
                "nodeSelector": { "any": "label" }
            } },
            "jobManager": { "resource": { "memori": "1g" } }
        }),
    );
    deployment["sepc"] = json!({});
    let mut told = unknown_fields(&deployment);
    told.sort();
    assert_eq!(
        told,
        [
            "sepc (did you mean `spec`?)",
            "spec.job.jarUri (did you mean `jarURI`?)",
            "spec.job.paralelism (did you mean `parallelism`?)",
            "spec.job.upgrade_mode (did you mean `upgradeMode`?)",
            "spec.job.zzz",
            "spec.jobManager.resource.memori (did you mean `memory`?)",
            "spec.podTemplate.spec.containers[0].imagePulPolicy (did you mean `imagePullPolicy`?)",
        ]
    );
    assert!(unknown_fields(&json!({ "kind": "Pod", "spek": 1 })).is_empty());
    assert!(unknown_fields(&json!([])).is_empty());
}
