//! Answers to reviews as a kube-apiserver 1.35 sent them (`tests/fixtures/reviews`), edited where a test says so.

use std::collections::BTreeMap;

use axum::body::{Body, to_bytes};
use axum::http::Request as HttpRequest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;

const CREATE: &str = include_str!("../../tests/fixtures/reviews/create-deployment.json");
const UPDATE: &str = include_str!("../../tests/fixtures/reviews/update-deployment.json");
const SESSION_JOB: &str = include_str!("../../tests/fixtures/reviews/create-session-job.json");

async fn post_to(path: &str, body: String, defaults: &[(&str, &str)]) -> (StatusCode, String) {
    let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let defaults = Defaults::new(defaults.iter().map(pair).collect::<BTreeMap<_, _>>());
    let shared = Shared { status: Arc::default(), defaults: Mutex::new(Arc::new(defaults)) };
    let request = HttpRequest::post(path).body(Body::from(body)).expect("a request");
    let response = router(Arc::new(shared)).oneshot(request).await.expect("an answer");
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 20).await.expect("a body");
    (status, String::from_utf8(body.to_vec()).expect("text"))
}

/// The `response` of an answer, held to the form that API servers take.
async fn response(path: &str, review: &Value, defaults: &[(&str, &str)]) -> Value {
    let (status, body) = post_to(path, review.to_string(), defaults).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let answer: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(answer["apiVersion"], "admission.k8s.io/v1");
    assert_eq!(answer["kind"], "AdmissionReview");
    assert_eq!(answer["response"]["uid"], review["request"]["uid"]);
    answer["response"].clone()
}

/// The recorded review with one field of its object set, or taken away by `null`.
fn edited(review: &str, pointer: &str, value: &Value) -> Value {
    let mut review: Value = serde_json::from_str(review).expect("a recorded review");
    let (parent, field) = pointer.rsplit_once('/').expect("a pointer");
    let mut place = &mut review["request"]["object"];
    for step in parent.split('/').skip(1) {
        place = &mut place[step];
    }
    match value {
        Value::Null => drop(place.as_object_mut().expect("a map").remove(field)),
        value => place[field] = value.clone(),
    }
    review
}

/// The creation of a FlinkDeployment that breaks no rule, with one edit.
fn creation(pointer: &str, value: &Value) -> Value {
    let good = edited(CREATE, "/spec/flinkVersion", &json!("v1_20"));
    edited(&good.to_string(), pointer, value)
}

async fn check_refused(review: &Value, message: &str) {
    let response = response("/validate", review, &[]).await;
    assert_eq!(response["allowed"], false, "{message}");
    assert_eq!(response["status"], json!({ "code": 403, "reason": "Forbidden", "message": message }));
}

#[tokio::test]
async fn what_breaks_no_rule_is_allowed() {
    let response = response("/validate", &creation("/metadata/name", &json!("good")), &[]).await;
    assert_eq!(response["allowed"], true, "{response}");
}

#[tokio::test]
async fn a_refusal_has_the_operators_words() {
    check_refused(&serde_json::from_str(CREATE).expect("JSON"), "Flink Version must be defined.").await;
    let configuration = "/spec/flinkConfiguration";
    for (pointer, value, message) in [
        (
            "/metadata/name",
            json!("Bad"),
            "The FlinkDeployment name: Bad is invalid, must consist of lower case alphanumeric characters or '-', start \
             with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123'), and \
             the length must be no more than 45 characters.",
        ),
        (
            "/spec/flinkVersion",
            json!("v1_13"),
            "Flink version v1_13 is not supported by this operator version",
        ),
        (
            configuration,
            json!({ "kubernetes.cluster-id": "a" }),
            "Forbidden Flink config key: kubernetes.cluster-id",
        ),
        (
            configuration,
            json!({ "kubernetes.operator.deployment.rollback.enabled": "true" }),
            "HA must be enabled for rollback support.",
        ),
        ("/spec/ingress", json!({}), "Ingress template must be defined"),
        (
            "/spec/logConfiguration",
            json!({ "a.xml": "" }),
            "Invalid log config key: a.xml. Allowed keys are [log4j-console.properties, logback-console.xml]",
        ),
        (
            "/spec/job/upgradeMode",
            json!("last-state"),
            "Checkpoint directory[execution.checkpointing.dir] must be defined for last-state and savepoint upgrade modes",
        ),
        (
            "/spec/job/savepointTriggerNonce",
            json!(1),
            "Savepoint could not be manually triggered for the running job while config key[execution.checkpointing.savepoint-dir] is not set",
        ),
        ("/spec/job/parallelism", json!(0), "Job parallelism must be larger than 0"),
        ("/spec/taskManager/replicas", json!(0), "TaskManager replicas must be larger than 0"),
        (
            "/spec/jobManager/replicas",
            json!(0),
            "JobManager replicas should not be configured less than one.",
        ),
        (
            "/spec/serviceAccount",
            Value::Null,
            "spec.serviceAccount must be defined. If you use helm, its value should be the same with the name of \
             jobServiceAccount.",
        ),
    ] {
        check_refused(&creation(pointer, &value), message).await;
    }
}

#[tokio::test]
async fn all_that_is_wrong_is_told_in_warnings() {
    let both = creation("/spec/serviceAccount", &Value::Null);
    let both = edited(&both.to_string(), "/spec/job/parallelism", &json!(0));
    let response = response("/validate", &both, &[]).await;
    assert_eq!(response["status"]["message"], "Job parallelism must be larger than 0");
    let warnings = response["warnings"].to_string();
    assert!(warnings.contains("spec.serviceAccount: spec.serviceAccount must be defined"), "{warnings}");
}

#[tokio::test]
async fn an_update_is_held_to_what_was_last_reconciled() {
    check_refused(&serde_json::from_str(UPDATE).expect("JSON"), "Cannot switch from job to session cluster")
        .await;
    let job = json!({ "jarURI": "local:///job.jar", "parallelism": 1 });
    let update = edited(UPDATE, "/spec/job", &job).to_string();
    assert_eq!(
        response("/validate", &edited(&update, "/spec/image", &json!("b")), &[]).await["allowed"],
        true
    );
    check_refused(
        &edited(&update, "/spec/mode", &json!("standalone")),
        "Cannot switch from native kubernetes to standalone kubernetes cluster",
    )
    .await;
    check_refused(
        &edited(&update, "/spec/job/savepointRedeployNonce", &json!(1)),
        "InitialSavepointPath must not be empty for savepoint redeployment",
    )
    .await;
    let mut wiped: Value = serde_json::from_str(UPDATE).expect("JSON");
    wiped["request"]["oldObject"]["status"] = Value::Null;
    let response = response("/validate", &wiped, &[]).await;
    assert_eq!(response["allowed"], true, "the stored status counts, not that of the edit: {response}");
}

#[tokio::test]
async fn who_changes_no_spec_breaks_no_rule() {
    let mut review: Value = serde_json::from_str(CREATE).expect("JSON");
    review["request"]["oldObject"] = review["request"]["object"].clone();
    review["request"]["object"]["metadata"]["finalizers"] = json!([]);
    check_refused(&review, "Flink Version must be defined.").await;
    review["request"]["operation"] = json!("UPDATE");
    assert_eq!(response("/validate", &review, &[]).await["allowed"], true);
    review["request"]["object"]["spec"]["image"] = json!("b");
    check_refused(&review, "Flink Version must be defined.").await;
}

#[tokio::test]
async fn the_operators_defaults_count() {
    let review = creation("/spec/job/upgradeMode", &json!("last-state"));
    let directory = [("execution.checkpointing.dir", "file:/c")];
    assert_eq!(response("/validate", &review, &[]).await["allowed"], false);
    assert_eq!(response("/validate", &review, &directory).await["allowed"], true);
    let elsewhere =
        [("kubernetes.operator.default-configuration.namespace.other.execution.checkpointing.dir", "c")];
    assert_eq!(response("/validate", &review, &elsewhere).await["allowed"], false);
    let here =
        [("kubernetes.operator.default-configuration.namespace.default.execution.checkpointing.dir", "c")];
    assert_eq!(response("/validate", &review, &here).await["allowed"], true);
}

#[tokio::test]
async fn a_field_that_cannot_be_read_is_refused_in_every_kind() {
    let expected = "invalid type: string \"two\", expected a whole number";
    check_refused(&creation("/spec/job/parallelism", &json!("two")), &format!("job.parallelism: {expected}"))
        .await;
    check_refused(
        &edited(SESSION_JOB, "/spec/job/parallelism", &json!("two")),
        &format!("job.parallelism: {expected}"),
    )
    .await;
    let snapshot = edited(SESSION_JOB, "/spec", &json!({ "backoffLimit": "two" })).to_string();
    let snapshot = snapshot.replace("FlinkSessionJob", "FlinkStateSnapshot");
    check_refused(&serde_json::from_str(&snapshot).expect("JSON"), &format!("backoffLimit: {expected}"))
        .await;
}

#[tokio::test]
async fn what_is_not_drey_s_to_judge_is_allowed() {
    let bad = CREATE;
    for (from, to) in [
        ("\"operation\": \"CREATE\"", "\"operation\": \"DELETE\""),
        ("\"operation\": \"CREATE\"", "\"subResource\": \"scale\", \"operation\": \"UPDATE\""),
        ("FlinkDeployment", "FlinkBlueGreenDeployment"),
        ("flink.apache.org", "example.com"),
        ("\"name\": \"bad\",", "\"name\": \"bad\", \"labels\": { \"flink.apache.org/canary\": \"true\" },"),
    ] {
        assert!(bad.contains(from), "{from}");
        let review = serde_json::from_str(&bad.replace(from, to)).expect("JSON");
        assert_eq!(response("/validate", &review, &[]).await["allowed"], true, "{to}");
    }
}

#[tokio::test]
async fn a_session_job_gets_the_label_of_its_session() {
    let patch = async |review: &Value| {
        let response = response("/mutate", review, &[]).await;
        assert_eq!(response["allowed"], true);
        let patch = STANDARD.decode(response["patch"].as_str()?).expect("base64");
        assert_eq!(response["patchType"], "JSONPatch");
        Some(serde_json::from_slice::<Value>(&patch).expect("JSON"))
    };
    let labelled = |labels: Value| edited(SESSION_JOB, "/metadata/labels", &labels);
    let set = json!([{ "op": "add", "path": "/metadata/labels/target.session", "value": "session" }]);
    assert_eq!(patch(&labelled(json!({ "team": "a" }))).await, Some(set.clone()));
    assert_eq!(patch(&labelled(json!({ "target.session": "other" }))).await, Some(set));
    let first =
        json!([{ "op": "add", "path": "/metadata/labels", "value": { "target.session": "session" } }]);
    assert_eq!(patch(&labelled(Value::Null)).await, Some(first));
    assert_eq!(patch(&labelled(json!({ "target.session": "session" }))).await, None);
    assert_eq!(patch(&edited(SESSION_JOB, "/spec/deploymentName", &Value::Null)).await, None);
    assert_eq!(patch(&serde_json::from_str(CREATE).expect("JSON")).await, None, "a FlinkDeployment");
}

#[tokio::test]
async fn what_is_no_review_is_a_bad_request() {
    let no_object = edited(CREATE, "/spec", &Value::Null).to_string().replace("\"object\":{", "\"other\":{");
    for (body, says) in [
        ("{".to_owned(), "this is no AdmissionReview of admission.k8s.io/v1: EOF"),
        (CREATE.replace("admission.k8s.io/v1", "admission.k8s.io/v1beta1"), "apiVersion: expected"),
        (no_object, "request.object: expected the object, found none"),
    ] {
        for path in ["/validate", "/mutate"] {
            let (status, text) = post_to(path, body.clone(), &[]).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
            assert!(text.contains(says), "{says}: {text}");
        }
    }
    let (status, text) = post_to("/elsewhere", CREATE.to_owned(), &[]).await;
    assert!(status == StatusCode::NOT_FOUND && text.contains("/validate"), "{text}");
    let (status, _) = post_to("/validate", " ".repeat(BODY_BYTES_MAX + 1), &[]).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[test]
fn the_environment_decides_whether_there_is_a_webhook() {
    let read = |variables: &[(&str, &str)]| {
        let variables: BTreeMap<String, String> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        WebhookConfig::of_environment(|name| variables.get(name).cloned(), "flink")
    };
    assert_eq!(read(&[("WEBHOOK_CERT_DIR", "/certs")]), Ok(None), "off without a port");
    let chart = read(&[(PORT_VARIABLE, "9443"), ("WEBHOOK_KEYSTORE_FILE", "/no-such/keystore.p12")]);
    let chart = chart.expect("read").expect("on");
    assert_eq!(chart, WebhookConfig::named_as_by_the_chart(9443, "flink"), "no PEM beside the key store");
    assert_eq!(chart.configuration, "flink-operator-flink-webhook-configuration");
    let directory = tempfile::tempdir().expect("temporary directory");
    std::fs::write(directory.path().join("tls.crt"), "").expect("written");
    let key_store = directory.path().join("keystore.p12").display().to_string();
    let read_beside = read(&[(PORT_VARIABLE, "9443"), ("WEBHOOK_KEYSTORE_FILE", &key_store)]);
    assert_eq!(read_beside.expect("read").expect("on").directory.as_deref(), Some(directory.path()));
    for port in ["0", "-1", "https", "70000"] {
        let error = read(&[(PORT_VARIABLE, port)]).expect_err(port).to_string();
        assert!(error.contains(PORT_VARIABLE) && error.contains(port), "{error}");
    }
}
