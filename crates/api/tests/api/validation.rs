//! Every rule of a FlinkDeployment with upstream's text. The first told is the one upstream tells.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use drey_api::defaults::Defaults;
use drey_api::desired::{Context, Desired, Invalid, parse};
use drey_api::kinds::{FlinkDeploymentSpec, read};
use drey_api::reconciled::Reconciled;

fn base() -> Value {
    json!({
        "job": { "jarURI": "local:///a.jar", "parallelism": 2, "upgradeMode": "stateless" },
        "flinkConfiguration": {
            "taskmanager.numberOfTaskSlots": "2",
            "state.savepoints.dir": "file:///savepoints",
            "state.checkpoints.dir": "file:///checkpoints",
            "high-availability.type": "kubernetes"
        },
        "serviceAccount": "flink",
        "flinkVersion": "v1_20",
        "jobManager": { "resource": { "cpu": 1, "memory": "2048m" }, "replicas": 1 },
        "taskManager": { "resource": { "cpu": 1, "memory": "2048m" } }
    })
}

fn spec(value: &Value) -> FlinkDeploymentSpec {
    read(value).unwrap()
}

fn judge(name: &str, value: &Value, last: Option<&Value>) -> Result<Desired, Invalid> {
    let defaults = Defaults::default();
    let last = last.map(|last| Reconciled::new(Arc::new(spec(last)), false));
    let context = Context { namespace: "default", name, defaults: &defaults, last: last.as_ref() };
    parse(&spec(value), &context)
}

fn with(edits: &[(&str, Value)]) -> Value {
    let mut value = base();
    for (pointer, edit) in edits {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        value.pointer_mut(parent).unwrap()[key] = edit.clone();
    }
    value
}

#[track_caller]
fn accepted(edits: &[(&str, Value)]) -> Desired {
    judge("job", &with(edits), None).unwrap_or_else(|invalid| panic!("{edits:?}: {invalid}"))
}

/// The first problem has this field, and this text at its start.
#[track_caller]
fn refused(edits: &[(&str, Value)], field: &str, text: &str) {
    first_is(judge("job", &with(edits), None), field, text);
}

#[track_caller]
fn first_is(judged: Result<Desired, Invalid>, field: &str, text: &str) {
    let problems = judged.expect_err(text).errors;
    assert_eq!(problems[0].message.get(..text.len()), Some(text), "{problems:?}");
    assert_eq!(problems[0].field, field);
}

#[test]
fn the_base_is_valid() {
    accepted(&[]);
}

#[test]
fn rule_1_name() {
    let long = "a".repeat(45);
    for name in ["a", "session-cluster", "a1-b", long.as_str()] {
        assert!(judge(name, &base(), None).is_ok(), "{name}");
    }
    let too_long = "a".repeat(46);
    for name in ["", "A", "1a", "a-", "-a", "session-cluster-1.13", "a_b", too_long.as_str()] {
        let text = format!(
            "The FlinkDeployment name: {name} is invalid, must consist of lower case alphanumeric characters \
             or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. \
             'my-name',  or 'abc-123'), and the length must be no more than 45 characters."
        );
        first_is(judge(name, &base(), None), "metadata.name", &text);
    }
}

#[test]
fn rule_2_flink_version() {
    refused(&[("/flinkVersion", Value::Null)], "spec.flinkVersion", "Flink Version must be defined.");
    for version in ["v1_13", "v1_14"] {
        let text = format!("Flink version {version} is not supported by this operator version");
        refused(&[("/flinkVersion", json!(version))], "spec.flinkVersion", &text);
    }
    accepted(&[("/flinkVersion", json!("v1_15"))]);
}

#[test]
fn rule_3_version_change_after_last_state_suspend() {
    let last = with(&[("/job/state", json!("suspended")), ("/job/upgradeMode", json!("last-state"))]);
    let changed = [("/flinkVersion", json!("v2_0")), ("/job/upgradeMode", json!("last-state"))];
    let text = "Changing flinkVersion after last-state suspend is not allowed. Restore your cluster with the \
                current flinkVersion and perform the version upgrade afterwards.";
    first_is(judge("job", &with(&changed), Some(&last)), "spec.flinkVersion", text);
    let stateless = with(&[("/flinkVersion", json!("v2_0"))]);
    assert!(judge("job", &stateless, Some(&last)).is_ok());
    let unchanged = with(&[("/job/upgradeMode", json!("last-state"))]);
    assert!(judge("job", &unchanged, Some(&last)).is_ok());
    let running = with(&[("/job/upgradeMode", json!("last-state"))]);
    assert!(judge("job", &with(&changed), Some(&running)).is_ok());
}

#[test]
fn rule_4_forbidden_keys() {
    for key in ["kubernetes.namespace", "kubernetes.cluster-id", "high-availability.cluster-id"] {
        let pointer = format!("/flinkConfiguration/{key}");
        let field = format!("spec.flinkConfiguration[{key}]");
        refused(&[(&pointer, json!("x"))], &field, &format!("Forbidden Flink config key: {key}"));
    }
    let nested = [("/flinkConfiguration/kubernetes", json!({ "namespace": "x" }))];
    let field = "spec.flinkConfiguration[kubernetes.namespace]";
    refused(&nested, field, "Forbidden Flink config key: kubernetes.namespace");
}

#[test]
fn rule_5_rollback_needs_high_availability() {
    let rollback = "kubernetes.operator.deployment.rollback.enabled";
    let on = ("/flinkConfiguration/kubernetes.operator.deployment.rollback.enabled", json!("true"));
    accepted(std::slice::from_ref(&on));
    let field = format!("spec.flinkConfiguration[{rollback}]");
    for off in ["NONE", "none", "standalone", ""] {
        let edits = [on.clone(), ("/flinkConfiguration/high-availability.type", json!(off))];
        refused(&edits, &field, "HA must be enabled for rollback support.");
    }
    for kind in ["zookeeper", "KUBERNETES", "org.example.Factory"] {
        accepted(&[on.clone(), ("/flinkConfiguration/high-availability.type", json!(kind))]);
    }
}

#[test]
fn rule_6_health_check_needs_recovery() {
    let health = ("/flinkConfiguration/kubernetes.operator.cluster.health-check.enabled", json!(true));
    accepted(std::slice::from_ref(&health));
    let text = "Deployment recovery (kubernetes.operator.jm-deployment-recovery.enabled) must be enabled for \
                job health check (kubernetes.operator.cluster.health-check.enabled) support.";
    let field = "spec.flinkConfiguration[kubernetes.operator.jm-deployment-recovery.enabled]";
    for key in [
        "kubernetes.operator.jm-deployment-recovery.enabled",
        "kubernetes.operator.reconciler.jm-deployment-recovery.enabled",
    ] {
        let pointer = format!("/flinkConfiguration/{key}");
        refused(&[health.clone(), (&pointer, json!("false"))], field, text);
    }
}

#[test]
fn rule_7_ingress() {
    let field = "spec.ingress.template";
    refused(&[("/ingress", json!({}))], field, "Ingress template must be defined");
    let template = |text: &str| [("/ingress", json!({ "template": text }))];
    refused(
        &template("example.com:port"),
        field,
        "Unable to process the Ingress template(example.com:port). Error: Error at index 0 in: \"port\"",
    );
    refused(
        &template("https://example.com:-8/x"),
        field,
        "Unable to process the Ingress template(https://example.com:-8/x). Error: Invalid port number :-8",
    );
    for text in [
        "example.com/{{namespace}}/{{name}}",
        "{{NAME}}.{{Namespace}}.example.com",
        "/path",
        "https://a:80/x:y",
        "http://[::1]:80/",
        "a:",
    ] {
        accepted(&template(text));
    }
}

#[test]
fn rule_8_log_configuration() {
    accepted(&[("/logConfiguration", json!({ "log4j-console.properties": "", "logback-console.xml": "" }))]);
    refused(
        &[("/logConfiguration", json!({ "random": "config" }))],
        "spec.logConfiguration",
        "Invalid log config key: random. Allowed keys are [log4j-console.properties, logback-console.xml]",
    );
}

#[test]
fn rule_9_checkpoint_directory() {
    let text = "Checkpoint directory[execution.checkpointing.dir] must be defined for last-state and savepoint \
                upgrade modes";
    for mode in ["last-state", "savepoint"] {
        for missing in [Value::Null, json!(" ")] {
            let mut value = with(&[("/job/upgradeMode", json!(mode))]);
            if missing.is_null() {
                value["flinkConfiguration"].as_object_mut().unwrap().remove("state.checkpoints.dir");
            } else {
                value["flinkConfiguration"]["state.checkpoints.dir"] = missing;
            }
            first_is(judge("job", &value, None), "spec.job.upgradeMode", text);
        }
        accepted(&[("/job/upgradeMode", json!(mode))]);
    }
    let present_key = "/flinkConfiguration/execution.checkpointing.dir";
    accepted(&[("/job/upgradeMode", json!("last-state")), (present_key, json!("file:///c"))]);
}

#[test]
fn rule_10_savepoint_directory() {
    let key = "execution.checkpointing.savepoint-dir";
    let without = |edits: &[(&str, Value)]| {
        let mut value = with(edits);
        value["flinkConfiguration"].as_object_mut().unwrap().remove("state.savepoints.dir");
        judge("job", &value, None)
    };
    assert!(without(&[]).is_ok());
    first_is(
        without(&[("/job/upgradeMode", json!("savepoint"))]),
        "spec.job.upgradeMode",
        &format!("Job could not be upgraded with savepoint while config key[{key}] is not set"),
    );
    first_is(
        without(&[("/job/savepointTriggerNonce", json!(3))]),
        "spec.job.savepointTriggerNonce",
        &format!(
            "Savepoint could not be manually triggered for the running job while config key[{key}] is not set"
        ),
    );
    let periodic = "kubernetes.operator.periodic.savepoint.interval";
    for interval in ["1m", ""] {
        first_is(
            without(&[(&format!("/flinkConfiguration/{periodic}"), json!(interval))]),
            &format!("spec.flinkConfiguration[{periodic}]"),
            &format!("Periodic savepoints cannot be enabled when config key[{key}] is not set"),
        );
    }
    let age = "kubernetes.operator.job.upgrade.last-state.max.allowed.checkpoint.age";
    first_is(
        without(&[(&format!("/flinkConfiguration/{age}"), json!("1m"))]),
        &format!("spec.flinkConfiguration[{age}]"),
        &format!(
            "In order to use max-checkpoint age functionality config key[{key}] must be set to allow triggering \
             savepoint upgrades."
        ),
    );
}

#[test]
fn rule_11_parallelism_and_replicas() {
    let zero = ("/job/parallelism", json!(0));
    refused(std::slice::from_ref(&zero), "spec.job.parallelism", "Job parallelism must be larger than 0");
    refused(
        &[("/job/parallelism", json!(-1))],
        "spec.job.parallelism",
        "Job parallelism must be larger than 0",
    );
    refused(
        &[("/taskManager/replicas", json!(0))],
        "spec.taskManager.replicas",
        "TaskManager replicas must be larger than 0",
    );
    accepted(&[zero, ("/taskManager/replicas", json!(1))]);
}

#[test]
fn rules_12_and_14_memory() {
    for (field, name) in [("jobManager", "JobManager"), ("taskManager", "TaskManager")] {
        let memory = format!("/{field}/resource/memory");
        let resource = format!("/{field}/resource");
        let path = format!("spec.{field}");
        let missing = format!(
            "{name} resource memory must be defined using `spec.{field}.resource.memory` or \
             `spec.{field}.resources.requests.memory`"
        );
        refused(&[(&memory, Value::Null)], &path, &missing);
        refused(&[(&resource, Value::Null)], &path, &missing);
        refused(&[(&format!("/{field}"), Value::Null)], &path, &missing);
        for text in ["1G", "100", "1Gi", "1.5G"] {
            accepted(&[(&memory, json!(text))]);
        }
        let parse_error = format!("{name} resource memory parse error: ");
        refused(&[(&memory, json!("invalid"))], &format!("{path}.resource.memory"), &parse_error);
        let storage = format!("/{field}/resource/ephemeralStorage");
        accepted(&[(&storage, json!("2Gi"))]);
        let storage_error = format!("{name} resource ephemeral storage parse error: ");
        refused(&[(&storage, json!("junk"))], &format!("{path}.resource.ephemeralStorage"), &storage_error);

        let resources = format!("/{field}/resources");
        let only =
            |requirements: Value| [(resource.as_str(), Value::Null), (resources.as_str(), requirements)];
        accepted(&only(json!({ "requests": { "memory": "2Gi" } })));
        accepted(&only(json!({ "limits": { "memory": "2Gi", "cpu": 2 } })));
        refused(&only(json!({ "requests": { "cpu": 1 } })), &path, &missing);
        let told = format!("{name} resource requirements");
        let field = format!("{path}.resources");
        let table = [
            (json!({ "requests": { "memory": "abc" } }), "requests memory parse error: "),
            (
                json!({ "limits": { "memory": "xyz" }, "requests": { "memory": "2Gi" } }),
                "limits memory parse error: ",
            ),
            (json!({ "requests": { "memory": "2Gi", "cpu": "notacpu" } }), "requests cpu parse error: "),
            (json!({ "requests": { "memory": "0" } }), "requests memory must be positive: 0"),
            (json!({ "requests": { "memory": "2Gi", "cpu": "-1" } }), "requests cpu must be positive: -1"),
            (
                json!({ "requests": { "memory": "2Gi", "ephemeral-storage": "-1" } }),
                "requests ephemeral-storage must not be negative: -1",
            ),
            (
                json!({ "requests": { "memory": "2Gi" }, "limits": { "memory": "1Gi" } }),
                "memory request (2Gi) must not exceed its limit (1Gi)",
            ),
            (
                json!({ "requests": { "memory": "1Gi", "cpu": 2 }, "limits": { "cpu": "1500m" } }),
                "cpu request (2) must not exceed its limit (1500m)",
            ),
        ];
        for (requirements, text) in table {
            refused(&only(requirements), &field, &format!("{told} {text}"));
        }
        let several = only(json!({ "requests": { "memory": "0", "cpu": "x" } }));
        let problems = judge("job", &with(&several), None).unwrap_err().errors;
        assert!(problems[0].message.contains("; "), "{problems:?}");
    }
}

#[test]
fn memory_may_stand_in_the_configuration() {
    let none = ("/jobManager/resource/memory", Value::Null);
    accepted(&[none, ("/flinkConfiguration/jobmanager.memory.heap.size", json!("2048m"))]);
    let none = ("/taskManager/resource/memory", Value::Null);
    accepted(&[none.clone(), ("/flinkConfiguration/taskmanager.memory.flink.size", json!("2048m"))]);
    let heap = ("/flinkConfiguration/taskmanager.memory.task.heap.size", json!("1024m"));
    accepted(&[
        none.clone(),
        heap.clone(),
        ("/flinkConfiguration/taskmanager.memory.managed.size", json!("1024m")),
    ]);
    refused(&[none, heap], "spec.taskManager", "TaskManager resource memory must be defined using");
    // `resources` hides the `resource` beside it, and says nothing of memory.
    let hidden = [("/jobManager/resources", json!({ "requests": { "cpu": 1 } }))];
    refused(&hidden, "spec.jobManager", "JobManager resource memory must be defined using");
}

#[test]
fn rule_13_job_manager_replicas() {
    let field = "spec.jobManager.replicas";
    let text = "JobManager replicas should not be configured less than one.";
    refused(&[("/jobManager/replicas", json!(0))], field, text);
    let two = ("/jobManager/replicas", json!(2));
    accepted(std::slice::from_ref(&two));
    refused(
        &[two, ("/flinkConfiguration/high-availability.type", json!("NONE"))],
        field,
        "High availability should be enabled when starting standby JobManagers.",
    );
}

#[test]
fn rule_14_task_manager_replicas_of_a_session_cluster() {
    refused(
        &[("/job", Value::Null), ("/taskManager/replicas", json!(0))],
        "spec.taskManager.replicas",
        "TaskManager replicas should not be configured less than one.",
    );
}

#[test]
fn rule_15_spec_change() {
    let session = with(&[("/job", Value::Null)]);
    let standalone = with(&[("/mode", json!("standalone"))]);
    let native = with(&[("/mode", json!("native"))]);
    first_is(judge("job", &base(), Some(&session)), "spec.job", "Cannot switch from session to job cluster");
    first_is(judge("job", &session, Some(&base())), "spec.job", "Cannot switch from job to session cluster");
    for last in [&base(), &native] {
        let text = "Cannot switch from native kubernetes to standalone kubernetes cluster";
        first_is(judge("job", &standalone, Some(last)), "spec.mode", text);
        let text = "Cannot switch from standalone kubernetes to native kubernetes cluster";
        first_is(judge("job", last, Some(&standalone)), "spec.mode", text);
    }
    assert!(judge("job", &native, Some(&base())).is_ok());

    let text = "InitialSavepointPath must not be empty for savepoint redeployment";
    let field = "spec.job.initialSavepointPath";
    for path in [Value::Null, json!(""), json!(" ")] {
        let nonce = [("/job/savepointRedeployNonce", json!(1)), ("/job/initialSavepointPath", path)];
        first_is(judge("job", &with(&nonce), Some(&base())), field, text);
        assert!(judge("job", &with(&nonce), Some(&with(&nonce))).is_ok());
        assert!(judge("job", &with(&nonce), None).is_ok());
    }
}

#[test]
fn rule_16_service_account() {
    refused(
        &[("/serviceAccount", Value::Null)],
        "spec.serviceAccount",
        "spec.serviceAccount must be defined. If you use helm, its value should be the same with the name of \
         jobServiceAccount.",
    );
}

#[test]
fn rule_17_autoscaler_ranges() {
    let option = |name: &str, value: &str| {
        let mut value_with = with(&[("/flinkConfiguration/job.autoscaler.enabled", json!("true"))]);
        value_with["flinkConfiguration"][format!("job.autoscaler.{name}")] = json!(value);
        value_with
    };
    let table = [
        ("scale-down.max-factor", "-0.1", "[0.0, +Infinity]"),
        ("scale-up.max-factor", "-1", "[0.0, +Infinity]"),
        ("utilization.target", "1.1", "[0.0, 1.0]"),
        ("target.utilization.boundary", "-0.1", "[0.0, +Infinity]"),
        ("utilization.max", "0.6", "[0.7, 1.0]"),
        ("utilization.min", "0.8", "[0.0, 0.7]"),
        ("memory.gc-pressure.threshold", "2", "[0.0, 1.0]"),
        ("memory.heap-usage.threshold", "-2", "[0.0, 1.0]"),
    ];
    for (name, value, range) in table {
        first_is(
            judge("job", &option(name, value), None),
            &format!("spec.flinkConfiguration[job.autoscaler.{name}]"),
            &format!(
                "The AutoScalerOption job.autoscaler.{name} is invalid, it should be a value within the range \
                 {range}"
            ),
        );
        let mut off = option(name, value);
        off["flinkConfiguration"]["job.autoscaler.enabled"] = json!("false");
        assert!(judge("job", &off, None).is_ok());
        first_is(
            judge("job", &option(name, "much"), None),
            &format!("spec.flinkConfiguration[job.autoscaler.{name}]"),
            &format!("Invalid value in the autoscaler config job.autoscaler.{name}"),
        );
    }
    // These count only while their feature is on.
    for (name, switch, least) in [
        ("observed-scalability.coefficient-min", "observed-scalability.enabled", "0.01"),
        ("scaling.effectiveness.threshold", "scaling.effectiveness.detection.enabled", "0.0"),
        ("memory.tuning.overhead", "memory.tuning.enabled", "0.0"),
    ] {
        let mut value = option(name, "1.5");
        assert!(judge("job", &value, None).is_ok());
        value["flinkConfiguration"][format!("job.autoscaler.{switch}")] = json!("true");
        let text = format!(
            "The AutoScalerOption job.autoscaler.{name} is invalid, it should be a value within the range \
             [{least}, 1.0]"
        );
        first_is(
            judge("job", &value, None),
            &format!("spec.flinkConfiguration[job.autoscaler.{name}]"),
            &text,
        );
    }
    for name in ["job.autoscaler.target.utilization", "kubernetes.operator.job.autoscaler.utilization.target"]
    {
        let mut value = option("x", "y");
        value["flinkConfiguration"][name] = json!("7");
        let field = format!("spec.flinkConfiguration[{name}]");
        first_is(
            judge("job", &value, None),
            &field,
            "The AutoScalerOption job.autoscaler.utilization.target",
        );
    }
}

#[test]
fn rule_17_excluded_periods() {
    let judge_periods = |text: &str| {
        let mut value = with(&[("/flinkConfiguration/job.autoscaler.enabled", json!("true"))]);
        value["flinkConfiguration"]["job.autoscaler.excluded.periods"] = json!(text);
        judge("job", &value, None)
    };
    for text in
        ["", "9:30-15:30", "* * 9-11,14-16 * * ?", "9:30-15:30 && * * * ? * 2-6", "1:00-2:00;3:00-4:00"]
    {
        assert!(judge_periods(text).is_ok(), "{text}");
    }
    let field = "spec.flinkConfiguration[job.autoscaler.excluded.periods]";
    let told =
        |text: &str| format!("Invalid value {text} in the autoscaler config job.autoscaler.excluded.periods");
    let table = [
        ("9:30", ", the value is neither a valid daily expression nor a valid cron expression"),
        ("15:30-9:30", ", the value is neither a valid daily expression nor a valid cron expression"),
        (
            "1:00-2:00 && 3:00-4:00",
            ", the value can not be configured as dailyExpression && dailyExpression or cronExpression && \
             cronExpression",
        ),
        ("1:00-2:00 && 3:00-4:00 && * * * * * ?", ""),
    ];
    for (text, rest) in table {
        first_is(judge_periods(text), field, &(told(text) + rest));
    }
}

#[test]
fn rule_18_metrics_window() {
    let on = ("/flinkConfiguration/job.autoscaler.enabled", json!("true"));
    let window = |text: &str| ("/flinkConfiguration/job.autoscaler.metrics.window", json!(text));
    refused(
        &[on.clone(), window("30 s")],
        "spec.flinkConfiguration[job.autoscaler.metrics.window]",
        "The autoscaler metric window (job.autoscaler.metrics.window=PT30S) must not be smaller than the operator \
         reconcile interval (kubernetes.operator.reconcile.interval=PT1M), otherwise fewer than two metric samples \
         are retained and autoscaling is never applied.",
    );
    accepted(&[on, window("1 min")]);
    accepted(&[window("30 s")]);
}

#[test]
fn what_cannot_be_built_is_refused_too() {
    refused(
        &[("/flinkConfiguration", json!({ "a": [{ "b": 1 }] }))],
        "spec.flinkConfiguration",
        "key `a`: expected a list of plain values, found a map in it",
    );
    refused(
        &[("/flinkConfiguration/taskmanager.numberOfTaskSlots", json!("none"))],
        "spec.flinkConfiguration[taskmanager.numberOfTaskSlots]",
        "Could not parse value 'none' for key 'taskmanager.numberOfTaskSlots'.",
    );
    refused(
        &[("/flinkConfiguration/kubernetes.operator.job.restart.failed", json!("maybe"))],
        "spec.flinkConfiguration[kubernetes.operator.job.restart.failed]",
        "Could not parse value 'maybe' for key 'kubernetes.operator.job.restart.failed'.",
    );
    refused(&[("/job/jarURI", json!("local:///my job.jar"))], "spec.job.jarURI", "jarURI is not a valid URI");
    refused(
        &[("/imagePullPolicy", json!("Sometimes"))],
        "spec.imagePullPolicy",
        "imagePullPolicy is `Sometimes`, expected one of IfNotPresent, Always, Never",
    );
}

#[test]
fn all_problems_are_told_at_once_in_order() {
    let value = with(&[
        ("/flinkVersion", Value::Null),
        ("/serviceAccount", Value::Null),
        ("/job/parallelism", json!(0)),
        ("/jobManager/resource/memory", json!("junk")),
        ("/flinkConfiguration/kubernetes.operator.job.restart.failed", json!("maybe")),
    ]);
    let invalid = judge("Bad", &value, None).unwrap_err();
    let fields: Vec<&str> = invalid.errors.iter().map(|problem| problem.field.as_str()).collect();
    assert_eq!(
        fields[..5],
        [
            "metadata.name",
            "spec.flinkVersion",
            "spec.job.parallelism",
            "spec.jobManager.resource.memory",
            "spec.serviceAccount"
        ]
    );
    assert!(invalid.to_string().starts_with("The FlinkDeployment name: Bad is invalid"));
}

/// The operator's defaults count as if they stood in the spec.
#[test]
fn defaults_are_judged_too() {
    let base_configuration = BTreeMap::from([
        ("kubernetes.operator.deployment.rollback.enabled".to_owned(), "true".to_owned()),
        (
            "kubernetes.operator.default-configuration.namespace.ha.high-availability.type".to_owned(),
            "kubernetes".to_owned(),
        ),
    ]);
    let defaults = Defaults::new(base_configuration);
    let mut value = base();
    value["flinkConfiguration"] = json!({});
    let judge_in = |namespace: &str| {
        parse(&spec(&value), &Context { namespace, name: "job", defaults: &defaults, last: None })
    };
    assert!(judge_in("ha").is_ok());
    assert_eq!(judge_in("other").unwrap_err().to_string(), "HA must be enabled for rollback support.");
}
