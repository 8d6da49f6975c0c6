//! What a valid spec turns into: options, effective configuration, sizes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use drey_api::defaults::Defaults;
use drey_api::desired::{Context, Desired, parse};
use drey_api::kinds::read;

fn desired(name: &str, value: &Value) -> Desired {
    let defaults = Defaults::new(BTreeMap::from([(
        "kubernetes.operator.default-configuration.namespace.flink.from-default".to_owned(),
        "1".to_owned(),
    )]));
    let context = Context { namespace: "flink", name, defaults: &defaults, last: None };
    parse(&read(value).unwrap(), &context).unwrap()
}

/// What Flink's own client put into the cluster's configuration for two recorded deployments, without the
/// keys that the client and the submission add.
#[test]
fn recorded_configurations_are_met() {
    let cases: Value = serde_json::from_str(include_str!("../fixtures/effective-1.15.0.json")).unwrap();
    for case in cases.as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let mut ours = (*desired(name, &case["spec"]).configuration).clone();
        assert_eq!(ours.remove("from-default").as_deref(), Some("1"));
        // The recording operator had a default of its own.
        if name == "ses" {
            ours.entry("parallelism.default".to_owned()).or_insert_with(|| "1".to_owned());
        }
        let recorded: BTreeMap<String, String> =
            serde_json::from_value(case["configuration"].clone()).unwrap();
        assert_eq!(ours, recorded, "{name}");
    }
}

fn application() -> Value {
    json!({
        "job": {
            "jarURI": "local:///opt/flink/usrlib/a.jar", "parallelism": 5, "entryClass": "A",
            "args": ["--x", "a;b", "it's"], "upgradeMode": "last-state", "allowNonRestoredState": true
        },
        "flinkConfiguration": {
            "taskmanager": { "numberOfTaskSlots": 2 },
            "state.checkpoints.dir": "file:///c",
            "kubernetes.operator.job.restart.failed": true,
            "job.autoscaler.enabled": "false"
        },
        "image": "flink:1.16", "imagePullPolicy": "Never",
        "serviceAccount": "flink", "flinkVersion": "v1_16",
        "jobManager": { "resources": {
            "requests": { "cpu": "500m", "memory": "1Gi" }, "limits": { "cpu": 2, "memory": "1536Mi" }
        } },
        "taskManager": { "resource": { "cpu": 0.5, "memory": "1.5g" }, "resources": {} }
    })
}

#[test]
fn derived_values() {
    let desired = desired("job", &application());
    let expected = [
        ("taskmanager.numberOfTaskSlots", "2"),
        ("kubernetes.container.image", "flink:1.16"),
        ("kubernetes.container.image.pull-policy", "Never"),
        ("kubernetes.service-account", "flink"),
        ("jobmanager.memory.process.size", "1 gb"),
        ("kubernetes.jobmanager.cpu.amount", "0.5"),
        ("kubernetes.jobmanager.cpu", "0.5"),
        ("kubernetes.jobmanager.cpu.limit-factor", "4.0"),
        ("kubernetes.jobmanager.memory.limit-factor", "1.5"),
        ("taskmanager.memory.process.size", "1500000000 bytes"),
        ("execution.target", "kubernetes-application"),
        ("pipeline.jars", "local:///opt/flink/usrlib/a.jar"),
        ("parallelism.default", "5"),
        ("pipeline.name", "job"),
        ("execution.checkpointing.interval", "5 min"),
        ("execution.savepoint.ignore-unclaimed-state", "true"),
        ("$internal.application.main", "A"),
        ("$internal.application.program-args", "--x;'a;b';'it''s'"),
        ("$internal.flink.version", "v1_16"),
    ];
    for (key, value) in expected {
        assert_eq!(desired.configuration.get(key).map(String::as_str), Some(value), "{key}");
    }
    let foreign =
        |key: &&String| key.starts_with("kubernetes.operator.") || key.starts_with("job.autoscaler.");
    assert_eq!(desired.configuration.keys().find(foreign), None);
    assert!(!desired.configuration.contains_key("high-availability.cluster-id"));
    assert!(desired.options.restart_failed);
    assert_eq!(desired.options.checkpoint_interval_ms, Some(300_000));
    assert_eq!(desired.job_manager_memory_bytes, 1 << 30);
    assert_eq!(desired.task_manager_memory_bytes, 1_500_000_000);
    assert_eq!((desired.slots, desired.parallelism, desired.task_manager_replicas), (2, 5, 3));
}

#[test]
fn users_win_over_defaults_and_lose_to_the_spec() {
    let mut value = application();
    value["flinkConfiguration"]["pipeline.name"] = json!("mine");
    value["flinkConfiguration"]["execution.checkpointing.interval"] = json!("10 s");
    value["flinkConfiguration"]["parallelism.default"] = json!(99);
    value["flinkConfiguration"]["execution.shutdown-on-application-finish"] = json!(true);
    let desired = desired("job", &value);
    let get = |key: &str| desired.configuration.get(key).map(String::as_str);
    assert_eq!(get("pipeline.name"), Some("mine"));
    assert_eq!(get("execution.checkpointing.interval"), Some("10 s"));
    assert_eq!(get("parallelism.default"), Some("5"));
    assert_eq!(get("execution.shutdown-on-application-finish"), Some("false"));
}

#[test]
fn standalone_values() {
    let mut value = application();
    value["mode"] = json!("standalone");
    value["flinkConfiguration"]["pipeline.jobvertex-parallelism-overrides"] = json!("aa:3,bb:7");
    let standalone = desired("job", &value);
    let get = |key: &str| standalone.configuration.get(key).map(String::as_str);
    assert_eq!(get("execution.target"), Some("remote"));
    assert_eq!(get("pipeline.classpaths"), Some("file:///opt/flink/usrlib/a.jar"));
    assert_eq!(get("pipeline.jars"), None);
    assert_eq!(get("kubernetes.internal.cluster-mode"), Some("APPLICATION"));
    assert_eq!(get("kubernetes.internal.taskmanager.replicas"), Some("4"));
    assert_eq!(get("parallelism.default"), Some("7"));
    assert_eq!(standalone.task_manager_replicas, 4);
    value["taskManager"]["replicas"] = json!(3);
    let given = desired("job", &value);
    assert_eq!((given.parallelism, given.task_manager_replicas), (6, 3));
}

#[test]
fn session_clusters() {
    let mut value = application();
    value["job"] = Value::Null;
    let native = desired("job", &value);
    assert_eq!(native.configuration.get("execution.target").map(String::as_str), Some("kubernetes-session"));
    assert_eq!((native.parallelism, native.task_manager_replicas), (0, 0));
    value["mode"] = json!("standalone");
    let standalone = desired("job", &value);
    assert_eq!(standalone.configuration["kubernetes.internal.cluster-mode"], "SESSION");
    assert_eq!(standalone.task_manager_replicas, 1);
}

#[test]
fn memory_from_the_configuration_alone() {
    let mut value = application();
    value["jobManager"] = Value::Null;
    value["taskManager"] = Value::Null;
    value["flinkConfiguration"]["jobmanager.memory.flink.size"] = json!("1024m");
    value["flinkConfiguration"]["taskmanager.memory.process.size"] = json!("1728m");
    let desired = desired("job", &value);
    assert_eq!(desired.job_manager_memory_bytes, (1024 + 256 + 192) << 20);
    assert_eq!(desired.task_manager_memory_bytes, 1728 << 20);
}
