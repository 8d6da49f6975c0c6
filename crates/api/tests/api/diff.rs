//! What an edit means, by upstream's table and by what upstream said of recorded edits.

use serde_json::{Value, json};

use drey_api::diff::{Effect, SpecChange, compare};
use drey_api::kinds::{FlinkDeploymentSpec, read};
use drey_api::reconciled::decode;

fn base(mode: &str) -> Value {
    json!({
        "job": {
            "jarURI": "local:///a.jar", "parallelism": 2, "entryClass": "A", "args": ["x", "y"],
            "state": "running", "upgradeMode": "savepoint"
        },
        "flinkConfiguration": { "taskmanager.numberOfTaskSlots": "2", "a": "1" },
        "image": "flink:1", "imagePullPolicy": "Always", "serviceAccount": "flink",
        "flinkVersion": "v1_20",
        "ingress": { "template": "x" },
        "podTemplate": { "spec": { "hostname": "h" } },
        "jobManager": { "resource": { "cpu": 1, "memory": "1g" }, "replicas": 1 },
        "taskManager": { "resource": { "cpu": 1, "memory": "1g" }, "replicas": 2 },
        "logConfiguration": { "log4j-console.properties": "l" },
        "mode": mode
    })
}

fn spec(value: &Value) -> FlinkDeploymentSpec {
    read(value).unwrap()
}

fn changed(mode: &str, pointer: &str, value: &Value) -> Option<SpecChange> {
    let deployed = base(mode);
    let mut new = deployed.clone();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let key = key.replace("~1", "/");
    new.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(key, value.clone());
    compare(&spec(&deployed), &spec(&new))
}

/// One line per field: where, to what, effect in native mode, effect in standalone mode.
#[test]
fn effects_by_field() {
    use Effect::{Ignore, SavepointRedeploy, Scale, Upgrade};
    let table: Vec<(&str, Value, Effect, Effect)> = vec![
        ("/job/savepointTriggerNonce", json!(1), Ignore, Ignore),
        ("/job/checkpointTriggerNonce", json!(1), Ignore, Ignore),
        ("/job/initialSavepointPath", json!("p"), Ignore, Ignore),
        ("/job/upgradeMode", json!("stateless"), Ignore, Ignore),
        ("/job/allowNonRestoredState", json!(true), Ignore, Ignore),
        ("/job/autoscalerResetNonce", json!(1), Ignore, Ignore),
        ("/job/savepointRedeployNonce", json!(1), SavepointRedeploy, SavepointRedeploy),
        ("/job/parallelism", json!(3), Upgrade, Scale),
        ("/taskManager/replicas", json!(3), Upgrade, Scale),
        ("/taskManager/replicas", Value::Null, Upgrade, Scale),
        ("/job/jarURI", json!("local:///b.jar"), Upgrade, Upgrade),
        ("/job/entryClass", json!("B"), Upgrade, Upgrade),
        ("/job/args", json!(["x"]), Upgrade, Upgrade),
        ("/job/state", json!("suspended"), Upgrade, Upgrade),
        ("/job", Value::Null, Upgrade, Upgrade),
        ("/restartNonce", json!(1), Upgrade, Upgrade),
        ("/image", json!("flink:2"), Upgrade, Upgrade),
        ("/imagePullPolicy", json!("Never"), Upgrade, Upgrade),
        ("/serviceAccount", json!("other"), Upgrade, Upgrade),
        ("/flinkVersion", json!("v2_0"), Upgrade, Upgrade),
        ("/ingress/template", json!("y"), Ignore, Ignore),
        ("/ingress", Value::Null, Ignore, Ignore),
        ("/podTemplate/spec/hostname", json!("i"), Upgrade, Upgrade),
        ("/jobManager/replicas", json!(2), Upgrade, Upgrade),
        ("/jobManager/resource/memory", json!("2g"), Upgrade, Upgrade),
        ("/jobManager", Value::Null, Upgrade, Upgrade),
        ("/taskManager/resource/cpu", json!(2), Upgrade, Upgrade),
        ("/taskManager/resources", json!({ "limits": { "cpu": 2 } }), Upgrade, Upgrade),
        ("/taskManager/podTemplate", json!({ "spec": {} }), Upgrade, Upgrade),
        ("/taskManager", Value::Null, Upgrade, Upgrade),
        ("/logConfiguration", Value::Null, Upgrade, Upgrade),
        ("/mode", Value::Null, Upgrade, Upgrade),
        ("/flinkConfiguration/a", json!("2"), Upgrade, Upgrade),
        ("/flinkConfiguration/b", json!("2"), Upgrade, Upgrade),
        ("/flinkConfiguration", json!({}), Upgrade, Upgrade),
        ("/flinkConfiguration/kubernetes.operator.x", json!("2"), Ignore, Ignore),
        ("/flinkConfiguration/kubernetes.operatorx", json!("2"), Ignore, Ignore),
        ("/flinkConfiguration/job.autoscaler.enabled", json!("true"), Ignore, Ignore),
        ("/flinkConfiguration/parallelism.default", json!("2"), Ignore, Ignore),
        ("/flinkConfiguration/pipeline.jobvertex-parallelism-overrides", json!("a:2"), Scale, Upgrade),
    ];
    for (pointer, value, native, standalone) in table {
        for (mode, expected) in [("native", native), ("standalone", standalone)] {
            let change = changed(mode, pointer, &value).unwrap_or_else(|| panic!("{pointer} made no change"));
            assert_eq!(change.effect, expected, "{pointer} := {value} in mode {mode}");
            assert!(!change.changes.is_empty());
        }
    }
}

#[test]
fn every_field_of_the_spec_is_compared() {
    let full = serde_json::to_value(spec(&base("native"))).unwrap();
    for field in full.as_object().unwrap().keys() {
        let mut other = base("native");
        let value = match field.as_str() {
            "restartNonce" => json!(7),
            "mode" => json!("standalone"),
            "flinkVersion" => json!("v2_0"),
            "image" | "imagePullPolicy" | "serviceAccount" => json!("changed"),
            _ => Value::Null,
        };
        other[field] = value;
        let change = compare(&spec(&base("native")), &spec(&other)).unwrap_or_else(|| panic!("{field}"));
        assert!(change.changes.iter().all(|row| row.path.starts_with(field.as_str())), "{field}");
    }
}

#[test]
fn what_is_no_change() {
    let no_change = |deployed: &Value, new: &Value| assert_eq!(compare(&spec(deployed), &spec(new)), None);
    no_change(&base("native"), &base("native"));
    let mut nested = base("native");
    nested["flinkConfiguration"] = json!({ "a": 1, "taskmanager": { "numberOfTaskSlots": 2 } });
    no_change(&base("native"), &nested);
    let mut cpu = base("native");
    cpu["jobManager"]["resource"]["cpu"] = json!(1.0);
    no_change(&base("native"), &cpu);
    let mut pod = base("native");
    pod["podTemplate"]["apiVersion"] = json!("v1");
    pod["podTemplate"]["kind"] = json!("Pod");
    pod["podTemplate"]["metadata"] = Value::Null;
    no_change(&base("native"), &pod);
    let mut with_nonces = base("native");
    with_nonces["restartNonce"] = json!(1);
    with_nonces["job"]["savepointRedeployNonce"] = json!(1);
    no_change(&with_nonces, &base("native"));
    let mut reordered = base("native");
    reordered["flinkConfiguration"] = json!({ "a": "1", "taskmanager.numberOfTaskSlots": "2" });
    no_change(&base("native"), &reordered);
}

#[test]
fn the_strongest_effect_wins() {
    let mut new = base("native");
    new["job"]["upgradeMode"] = json!("stateless");
    new["job"]["parallelism"] = json!(9);
    new["job"]["savepointRedeployNonce"] = json!(1);
    let change = compare(&spec(&base("native")), &spec(&new)).unwrap();
    assert_eq!(change.effect, Effect::SavepointRedeploy);
    let effects: Vec<Effect> = change.changes.iter().map(|row| row.effect).collect();
    assert_eq!(effects, [Effect::Upgrade, Effect::Ignore, Effect::SavepointRedeploy]);
}

/// The deployed mode decides, as the cluster that has to be scaled is the deployed one.
#[test]
fn the_deployed_mode_decides() {
    let mut new = base("standalone");
    new["job"]["parallelism"] = json!(9);
    new["mode"] = json!("native");
    let change = compare(&spec(&base("standalone")), &spec(&new)).unwrap();
    let width = change.changes.iter().find(|row| row.path == "job.parallelism").unwrap();
    assert_eq!(width.effect, Effect::Scale);
}

#[test]
fn texts_are_upstreams() {
    let mut deployed = base("native");
    deployed["image"] = json!("img1");
    deployed["podTemplate"] = json!({
        "spec": { "hostAliases": [{ "hostnames": ["host1", "host2"], "ip": "ip" }], "hostname": "localhost1" }
    });
    let mut new = deployed.clone();
    new["image"] = json!("img2");
    new["ingress"] = Value::Null;
    new["podTemplate"] = json!({
        "spec": { "hostAliases": [{ "hostnames": ["host1"], "ip": "ip" }], "hostname": "localhost2" }
    });
    new["restartNonce"] = json!(1);
    assert_eq!(
        compare(&spec(&deployed), &spec(&new)).unwrap().to_string(),
        "Diff: FlinkDeploymentSpec[image : img1 -> img2, ingress : {..} -> null, \
         podTemplate.spec.hostAliases.0.hostnames.1 : host2 -> null, \
         podTemplate.spec.hostname : localhost1 -> localhost2, restartNonce : null -> 1]"
    );
}

/// What release 1.15.0 of the Java operator said of real edits.
#[test]
fn recorded_edits_get_the_recorded_text() {
    let mut count = 0;
    for line in include_str!("../fixtures/spec-changes-1.15.0.jsonl").lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let deployed = decode(case["deployed"].as_str().unwrap()).unwrap();
        let change = compare(&deployed.spec, &spec(&case["spec"])).unwrap();
        let message = format!("{} change(s) detected ({change}), starting reconciliation.", change.effect);
        assert_eq!(message, case["message"].as_str().unwrap());
        count += 1;
    }
    assert!(count >= 8);
}

#[test]
fn secrets_are_blotted_out() {
    let mut deployed = base("native");
    deployed["flinkConfiguration"]["s3.secret-key"] = json!("old-hush");
    deployed["podTemplate"] = json!({ "spec": { "containers": [{
        "name": "c", "env": [{ "name": "DB_PASSWORD", "value": "old-hush" }, { "name": "PLAIN", "value": "1" }]
    }] } });
    let mut new = deployed.clone();
    new["flinkConfiguration"]["s3.secret-key"] = json!("new-hush");
    new["flinkConfiguration"]["fs.azure.account.key.x"] = json!("new-hush");
    new["flinkConfiguration"]["env.java.opts.all"] =
        json!("-Da=b -Djavax.net.ssl.keyStorePassword=new-hush -Dc=d");
    new["podTemplate"]["spec"]["containers"][0]["env"][0]["value"] = json!("new-hush");
    new["podTemplate"]["spec"]["containers"][0]["env"][1]["value"] = json!("2");
    new["job"]["args"] = json!(["--token", "new-hush", "--api-key=new-hush"]);
    new["taskManager"]["podTemplate"] = json!({ "spec": { "containers": [{
        "name": "t", "env": [{ "name": "API_TOKEN", "value": "new-hush" }]
    }] } });
    let change = compare(&spec(&deployed), &spec(&new)).unwrap();
    let text = change.to_string();
    assert!(!text.contains("hush"), "{text}");
    assert!(text.contains("flinkConfiguration.s3.secret-key : ****** -> ******"), "{text}");
    assert!(text.contains("-Da=b -Djavax.net.ssl.keyStorePassword=****** -Dc=d"), "{text}");
    assert!(text.contains("env.1.value : 1 -> 2"), "{text}");
    assert!(change.changes.iter().all(|row| !row.from.contains("hush") && !row.to.contains("hush")));
}
