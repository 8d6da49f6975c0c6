//! What holds for the objects of every cluster, native and standalone, over random specs; and the standalone objects
//! of a few specs in full.

use std::collections::BTreeMap;
use std::sync::Arc;

use drey_api::defaults::Defaults;
use drey_api::desired::{self, Context};
use drey_api::kinds::{DeploymentMode, FlinkDeploymentSpec, FlinkVersion};
use drey_core::JobId;
use drey_core::decision::Deployment;
use drey_core::restore::Restore;
use drey_kubernetes::{BuildError, ClusterIdentity, LoggingFiles, Objects, front, native, standalone};
use k8s_openapi::api::apps::v1::Deployment as KubernetesDeployment;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use proptest::prelude::*;
use serde_json::{Value, json};

/// The longest name that validation lets pass.
const LONGEST_NAME: &str = "a23456789012345678901234567890123456789012345";

fn cluster(name: &str) -> ClusterIdentity {
    ClusterIdentity { namespace: Arc::from("team"), name: Arc::from(name), uid: Arc::from("u-1") }
}

fn deployment(spec: Value, name: &str) -> Deployment {
    let spec: FlinkDeploymentSpec = serde_json::from_value(spec).expect("a spec");
    let defaults = Defaults::new(BTreeMap::new());
    let context = Context { namespace: "team", name, defaults: &defaults, last: None };
    let desired = desired::parse(&spec, &context).unwrap_or_else(|invalid| panic!("{invalid:?}"));
    Deployment {
        seq: 3,
        generation: 2,
        desired: Arc::new(desired),
        job_id: JobId::new("00000000000000000000000000000001"),
        restore: Restore::Path(Arc::from("s3://bucket/savepoint")),
        allow_non_restored_state: false,
    }
}

fn build(spec: Value, name: &str) -> Result<Objects, BuildError> {
    let deployment = deployment(spec, name);
    let logging = LoggingFiles::default();
    match deployment.desired.mode {
        DeploymentMode::Native => native::objects(&cluster(name), &deployment, &logging),
        DeploymentMode::Standalone => standalone::objects(&cluster(name), &deployment, &logging),
    }
}

fn spec(mode: &str) -> Value {
    json!({
        "image": "flink:2", "flinkVersion": "v1_20", "serviceAccount": "flink", "mode": mode,
        "flinkConfiguration": { "taskmanager.numberOfTaskSlots": "2" },
        "jobManager": { "resource": { "cpu": 1.0, "memory": "2048m" } },
        "taskManager": { "resource": { "cpu": 1.0, "memory": "2048m" } },
        "job": {
            "jarURI": "local:///opt/flink/usrlib/job.jar", "parallelism": 5, "entryClass": "com.example.Main",
            "args": ["--host", "b c"], "upgradeMode": "stateless",
        },
    })
}

fn read<T: serde::de::DeserializeOwned>(object: &Value) -> T {
    serde_json::from_value(object.clone()).unwrap_or_else(|error| panic!("{error}: {object}"))
}

/// A selector finds the pods of its template, and no name is longer than Kubernetes allows.
fn check_workload(object: &Value) {
    let typed: KubernetesDeployment = read(object);
    let spec = typed.spec;
    let labels = spec.template.metadata.and_then(|metadata| metadata.labels).expect("labels");
    let selector = spec.selector.match_labels.expect("a selector");
    assert!(selector.iter().all(|(key, value)| labels.get(key) == Some(value)), "{selector:?} in {labels:?}");
    let pod = spec.template.spec.expect("a pod");
    let volumes: Vec<&str> = pod.volumes.iter().flatten().map(|volume| volume.name.as_str()).collect();
    for container in &pod.containers {
        for mount in container.volume_mounts.iter().flatten() {
            assert!(volumes.contains(&mount.name.as_str()), "`{}` is no volume", mount.name);
        }
        for port in container.ports.iter().flatten() {
            assert!(port.name.as_ref().is_none_or(|name| name.len() <= 15), "{port:?}");
        }
    }
    assert_eq!(pod.containers.iter().filter(|container| container.name == "flink-main-container").count(), 1);
}

fn check(objects: &Objects) {
    let Objects { deployment, task_managers, owned, losses: _ } = objects;
    for workload in [Some(deployment), task_managers.as_ref()].into_iter().flatten() {
        check_workload(workload);
        assert_eq!(workload["metadata"]["ownerReferences"][0]["kind"], "FlinkDeployment");
    }
    for object in owned {
        match object["kind"].as_str() {
            Some("ConfigMap") => drop(read::<ConfigMap>(object)),
            Some("Service") => {
                let service: Service = read(object);
                let selector = service.spec.and_then(|spec| spec.selector).expect("a selector");
                let labels = &deployment["spec"]["template"]["metadata"]["labels"];
                assert!(selector.iter().all(|(key, value)| labels[key] == **value), "{selector:?}");
            }
            kind => panic!("{kind:?} is owned by a cluster"),
        }
    }
    let all = [Some(deployment), task_managers.as_ref()];
    for object in all.into_iter().flatten().chain(owned) {
        let name = object["metadata"]["name"].as_str().expect("a name");
        assert!(name.len() <= 63, "`{name}` is too long");
        assert_eq!(object["metadata"]["namespace"], "team");
    }
}

fn random_spec() -> impl Strategy<Value = Value> {
    let version = prop::sample::select(FlinkVersion::ALL.to_vec());
    let version = version.prop_filter("supported", |version| version.supported());
    let choices = (version, any::<[bool; 7]>(), 1_i32..40, 1_i32..9);
    choices.prop_map(|(version, choices, parallelism, slots)| {
        let [standalone, session, ha, host_network, template, replicas, logging] = choices;
        let mut spec = spec(if standalone { "standalone" } else { "native" });
        spec["flinkVersion"] = json!(version.as_str());
        let mut configuration = json!({
            "taskmanager.numberOfTaskSlots": slots.to_string(),
            "kubernetes.hostnetwork.enabled": host_network.to_string(),
        });
        if ha {
            configuration["high-availability.type"] = json!("kubernetes");
            configuration["high-availability.storageDir"] = json!("s3://bucket/ha");
        }
        spec["flinkConfiguration"] = configuration;
        spec["job"]["parallelism"] = json!(parallelism);
        if session {
            spec.as_object_mut().expect("an object").remove("job");
        }
        if template {
            spec["podTemplate"] = json!({
                "metadata": { "labels": { "app": "other", "component": "other" } },
                "spec": { "containers": [{ "name": "side-car", "image": "i" }], "newer": { "field": 1 } },
            });
        }
        if replicas {
            spec["taskManager"]["replicas"] = json!(3);
        }
        if logging {
            spec["logConfiguration"] = json!({ "log4j-console.properties": "rootLogger.level = INFO\n" });
        }
        spec
    })
}

proptest! {
    #[test]
    fn objects_hold_together(spec in random_spec()) {
        let objects = build(spec.clone(), LONGEST_NAME).unwrap();
        check(&objects);
        // What is built depends on nothing else: a repeated creation is the same.
        prop_assert_eq!(&build(spec.clone(), LONGEST_NAME).unwrap(), &objects);
        let pod = &objects.deployment["spec"]["template"]["spec"];
        prop_assert_eq!(pod["newer"]["field"] == 1, spec.get("podTemplate").is_some());
        prop_assert_eq!(objects.task_managers.is_some(), spec["mode"] == "standalone");
    }
}

fn main_container(workload: &Value) -> &Value {
    let containers = workload["spec"]["template"]["spec"]["containers"].as_array().expect("containers");
    containers.iter().find(|container| container["name"] == "flink-main-container").expect("Flink's")
}

fn configuration(objects: &Objects) -> BTreeMap<String, String> {
    let map = objects.owned.iter().find(|object| object["metadata"]["name"] == "flink-config-job");
    let text = map.expect("a ConfigMap")["data"]["flink-conf.yaml"].as_str().expect("a file");
    let format = drey_flink::version::ConfigurationFormat::Flat;
    drey_flink::configuration_file::parse(text, format).expect("a configuration")
}

#[test]
fn a_standalone_application_runs_its_jar_from_the_image() {
    let objects = build(spec("standalone"), "job").unwrap();
    let main = main_container(&objects.deployment);
    assert_eq!(main["command"], json!(["/docker-entrypoint.sh"]));
    assert_eq!(
        main["args"],
        json!([
            "standalone-job",
            "--job-classname",
            "com.example.Main",
            "--fromSavepoint",
            "s3://bucket/savepoint",
            "--",
            "--host",
            "b c"
        ])
    );
    assert!(!mounts_libraries(&objects), "the image's own directory would be hidden");
    let configuration = configuration(&objects);
    for (key, value) in [
        ("pipeline.classpaths", "file:///opt/flink/usrlib/job.jar"),
        ("jobmanager.rpc.address", "job.team"),
        ("taskmanager.rpc.port", "6122"),
        ("blob.server.port", "6124"),
        ("$internal.pipeline.job-id", "00000000000000000000000000000001"),
        ("execution.target", "remote"),
    ] {
        assert_eq!(configuration.get(key).map(String::as_str), Some(value), "{key}");
    }
    assert!(!configuration.contains_key("internal.cluster.execution-mode"));
}

#[test]
fn standalone_task_managers_hold_the_parallelism() {
    let task_managers = build(spec("standalone"), "job").unwrap().task_managers.expect("TaskManagers");
    assert_eq!(task_managers["metadata"]["name"], "job-taskmanager");
    assert_eq!(task_managers["spec"]["replicas"], 3, "5 wide with 2 slots each");
    let main = main_container(&task_managers);
    assert_eq!(main["args"], json!(["taskmanager"]));
    assert_eq!(main["ports"], json!([{ "name": "taskmanager-rpc", "containerPort": 6122 }]));
    assert_eq!(main["resources"]["requests"], json!({ "cpu": "1.0", "memory": "2048Mi" }));
    let labels = &task_managers["spec"]["template"]["metadata"]["labels"];
    assert_eq!(labels["component"], "taskmanager");
    assert_eq!(labels["type"], "flink-standalone-kubernetes");
}

#[test]
fn standalone_task_managers_are_as_many_as_are_asked_for() {
    let mut spec = spec("standalone");
    spec["taskManager"]["replicas"] = json!(7);
    let objects = build(spec, "job").unwrap();
    assert_eq!(objects.task_managers.expect("TaskManagers")["spec"]["replicas"], 7);
}

#[test]
fn an_image_in_the_pod_template_is_that_of_both_processes() {
    let mut spec = spec("standalone");
    spec["image"] = Value::Null;
    spec["podTemplate"] = json!({ "spec": { "containers": [
        { "name": "flink-main-container", "image": "own:1", "imagePullPolicy": "Always" },
    ] } });
    let objects = build(spec, "job").unwrap();
    for workload in [&objects.deployment, &objects.task_managers.expect("TaskManagers")] {
        let main = main_container(workload);
        assert_eq!((&main["image"], &main["imagePullPolicy"]), (&json!("own:1"), &json!("Always")));
    }
}

#[test]
fn a_standalone_leader_is_reached_by_its_own_address() {
    let mut spec = spec("standalone");
    spec["flinkConfiguration"] =
        json!({ "high-availability.type": "kubernetes", "high-availability.storageDir": "s3://bucket/ha" });
    spec.as_object_mut().expect("an object").remove("job");
    let objects = build(spec, "job").unwrap();
    let args = &main_container(&objects.deployment)["args"];
    assert_eq!(*args, json!(["jobmanager", "-D", "jobmanager.rpc.address=$(_POD_IP_ADDRESS)"]));
    let services = objects.owned.iter().filter(|object| object["kind"] == "Service").count();
    assert_eq!(services, 2, "the internal Service is made in any case");
    assert!(objects.task_managers.is_some());
}

fn mounts_libraries(objects: &Objects) -> bool {
    let main = main_container(&objects.deployment);
    let mounts = main["volumeMounts"].as_array().expect("mounts");
    mounts.iter().any(|mount| mount["mountPath"] == "/opt/flink/usrlib")
}

#[test]
fn flink_finds_its_directory_of_user_libraries_when_the_jar_is_elsewhere() {
    let mut spec = spec("standalone");
    spec["job"]["jarURI"] = json!("local:///jobs/job.jar");
    assert!(mounts_libraries(&build(spec, "job").unwrap()));
}

#[test]
fn a_jar_that_is_mounted_hides_no_volume_of_ours() {
    let mut spec = spec("standalone");
    spec["podTemplate"] = json!({ "spec": {
        "containers": [{
            "name": "flink-main-container",
            "volumeMounts": [{ "name": "jars", "mountPath": "/opt/flink/usrlib" }],
        }],
        "volumes": [{ "name": "jars", "emptyDir": {} }],
    } });
    let objects = build(spec, "job").unwrap();
    let volumes = &objects.deployment["spec"]["template"]["spec"]["volumes"];
    let names: Vec<&Value> =
        volumes.as_array().expect("volumes").iter().map(|volume| &volume["name"]).collect();
    assert!(!names.contains(&&json!("user-lib-dir")), "{names:?}");
}

#[test]
fn each_run_has_a_result_store_of_its_own_that_follows_from_its_intent() {
    let mut spec = spec("native");
    spec["flinkConfiguration"] =
        json!({ "high-availability.type": "kubernetes", "high-availability.storageDir": "s3://bucket/ha/" });
    let configuration = configuration(&build(spec, "job").unwrap());
    assert_eq!(configuration["job-result-store.storage-path"], "s3://bucket/ha/job-result-store/job/u-1-3");
    assert_eq!(configuration["job-result-store.delete-on-commit"], "false");
    assert_eq!(configuration["high-availability.cluster-id"], "job");
}

#[test]
fn what_cannot_be_built_is_named() {
    let check = |change: &dyn Fn(&mut Value), expected: &str| {
        let mut spec = spec("native");
        change(&mut spec);
        let error = build(spec, "job").expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(&|spec| spec["image"] = Value::Null, "`spec.image` is not set");
    check(&|spec| spec["job"]["jarURI"] = Value::Null, "`spec.job.jarURI` is not set");
    for (key, value, expected) in [
        ("kubernetes.pod-template-file.default", "/x", "use `spec.podTemplate`"),
        ("security.kerberos.login.keytab", "/x", "mount the file by a pod template"),
        ("blob.server.port", "1-2", "one fixed port"),
        ("kubernetes.rest-service.exposed.type", "Magic", "ClusterIP, Headless_ClusterIP, NodePort"),
        ("kubernetes.jobmanager.tolerations", "kay:x", "key, operator, value, effect"),
        ("kubernetes.env.secretKeyRef", "env:A,secret:b", "env, secret and key in each item"),
        ("kubernetes.secrets", "a:b:c", "is not `key:value`"),
        ("kubernetes.jobmanager.cpu.limit-factor", "0.5", "a factor of at least 1"),
    ] {
        check(&|spec| spec["flinkConfiguration"][key] = json!(value), expected);
    }
    let clashing = |spec: &mut Value| {
        spec["flinkVersion"] = json!("v2_1");
        spec["flinkConfiguration"] = json!({
            "high-availability": "kubernetes", "high-availability.storageDir": "s3://bucket/ha",
        });
    };
    check(&clashing, "use `high-availability.type` in place of `high-availability`");
}

#[test]
fn a_value_that_the_file_cannot_hold_is_told() {
    let mut spec = spec("native");
    spec["flinkConfiguration"] = json!({ "metrics.reporter.x.tags": "a#b" });
    let objects = build(spec, "job").unwrap();
    assert_eq!(objects.losses.len(), 1, "{:?}", objects.losses);
    assert_eq!(objects.losses[0].key, "metrics.reporter.x.tags");
}

#[test]
fn an_ingress_leads_to_the_rest_service() {
    let mut spec = spec("native");
    spec["flinkConfiguration"] = json!({ "rest.port": "9000" });
    spec["ingress"] = json!({
        "template": "flink.example.com/{{namespace}}/{{name}}(/|$)(.*)", "className": "nginx",
        "annotations": { "a": "b" }, "labels": { "component": "mine", "l": "m" },
        "tls": [{ "hosts": ["flink.example.com"], "secretName": "tls" }],
    });
    let ingress =
        front::object(&cluster("job"), &deployment(spec, "job").desired).unwrap().expect("an Ingress");
    let rule = &ingress["spec"]["rules"][0];
    assert_eq!(rule["host"], "flink.example.com");
    let path = &rule["http"]["paths"][0];
    assert_eq!(path["path"], "/team/job(/|$)(.*)");
    assert_eq!(path["backend"]["service"], json!({ "name": "job-rest", "port": { "number": 9000 } }));
    assert_eq!(
        ingress["metadata"]["labels"],
        json!({ "component": "ingress", "l": "m", "app.kubernetes.io/managed-by": "drey" })
    );
    assert_eq!(ingress["metadata"]["ownerReferences"][0]["controller"], true);
    assert_eq!(ingress["spec"]["tls"], json!([{ "hosts": ["flink.example.com"], "secretName": "tls" }]));
}
