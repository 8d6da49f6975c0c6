//! `drey doctor` on a real API server: five faults are planted, and each is found; what is mended is not found any more.

use drey_api::crd;
use drey_cli::command::crds;
use drey_cli::command::doctor::{Args, look};
use drey_cli::connection::ConnectionArgs;
use drey_cli::doctor::{Finding, Verdict};
use drey_cli::output::TextOrJson;
use drey_testbed::kube::{Controllers, Kube, Options};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::{TIMEOUT, until};

async fn make(client: &Client, namespace: Option<&str>, group: &str, kind: &str, name: &str, data: Value) {
    let (group, version) = group.rsplit_once('/').unwrap_or(("", group));
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    let api: Api<DynamicObject> = match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    let object = DynamicObject::new(name, &resource).data(data);
    api.create(&PostParams::default(), &object)
        .await
        .unwrap_or_else(|error| panic!("{kind} {name}: {error}"));
}

/// The definition of FlinkDeployment as the Java operator has it, as far as it matters here.
fn without_additions() -> CustomResourceDefinition {
    let definition = crd::all().into_iter().find(|crd| crd.spec.names.kind == "FlinkDeployment").unwrap();
    let mut value = serde_json::to_value(definition).unwrap();
    let status = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties";
    value.pointer_mut(status).unwrap().as_object_mut().unwrap().remove("intent");
    serde_json::from_value(value).unwrap()
}

fn wrong(findings: &[Finding]) -> Vec<(&str, &str)> {
    let wrong = findings.iter().filter(|finding| finding.verdict == Verdict::Wrong);
    wrong.map(|finding| (finding.check, finding.object.as_deref().unwrap_or_default())).collect()
}

#[tokio::test]
async fn five_planted_faults_are_found_and_what_is_mended_is_not() {
    let options = Options { controllers: Controllers::None, ..Options::for_test().unwrap() };
    let cluster = Kube::start(options).await.unwrap();
    let client = cluster.client();
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    for definition in crd::all().into_iter().filter(|crd| crd.spec.names.kind != "FlinkDeployment") {
        definitions.create(&PostParams::default(), &definition).await.unwrap();
    }
    // One: an older definition.
    definitions.create(&PostParams::default(), &without_additions()).await.unwrap();
    until("FlinkDeployments to be served", async || {
        let conditions =
            definitions.get("flinkdeployments.flink.apache.org").await.ok()?.status?.conditions?;
        conditions.iter().find(|c| c.type_ == "Established" && c.status == "True").map(drop)
    })
    .await;
    // Two: an operator of which no pod is ready.
    let labels = json!({ "app.kubernetes.io/name": "flink-kubernetes-operator" });
    make(&client, Some("default"), "apps/v1", "Deployment", "operator", json!({ "spec": {
        "selector": { "matchLabels": labels },
        "template": { "metadata": { "labels": labels }, "spec": { "containers": [{ "name": "o", "image": "drey:1" }] } },
    } }))
    .await;
    let operators: Api<k8s_openapi::api::apps::v1::Deployment> = Api::namespaced(client.clone(), "default");
    let label = json!({ "metadata": { "labels": labels } });
    let merge = kube::api::Patch::Merge(&label);
    operators.patch("operator", &kube::api::PatchParams::default(), &merge).await.unwrap();
    // Three: state in a container. Four: no such account.
    make(
        &client,
        Some("default"),
        "flink.apache.org/v1beta1",
        "FlinkDeployment",
        "forgetful",
        json!({ "spec": {
        "flinkVersion": "v1_20", "image": "flink:1.20", "serviceAccount": "nobody",
        "flinkConfiguration": { "state.savepoints.dir": "file:///savepoints" },
        "job": { "jarURI": "local:///a.jar", "upgradeMode": "savepoint" },
    } }),
    )
    .await;
    // Five: a webhook with nothing behind it; it comes last, because it refuses what comes after it.
    make(&client, None, "admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "hook", json!({ "webhooks": [{
        "name": "hook.flink.apache.org", "sideEffects": "None", "admissionReviewVersions": ["v1"],
        "rules": [{ "apiGroups": ["flink.apache.org"], "apiVersions": ["*"], "resources": ["flinkdeployments"], "operations": ["CREATE"] }],
        "clientConfig": { "service": { "name": "nobody", "namespace": "default" } },
    }] }))
    .await;

    let arguments =
        ConnectionArgs { kubeconfig: Some(cluster.kubeconfig().to_owned()), ..ConnectionArgs::default() };
    let connection = arguments.connect().await.unwrap();
    let args = Args { all_namespaces: true, output: TextOrJson::Text };
    let findings = look(&args, &connection).await.unwrap();
    assert_eq!(
        wrong(&findings),
        [
            ("definitions", "customresourcedefinition/flinkdeployments.flink.apache.org"),
            ("operator", "deployment/operator in default"),
            ("webhook", "validatingwebhookconfiguration/hook"),
            ("storage", "flinkdeployment/forgetful in default"),
            ("deployments", "serviceaccount/nobody in default"),
        ],
        "{findings:#?}"
    );
    assert!(findings.iter().filter(|finding| finding.verdict == Verdict::Wrong).all(|f| f.fix.is_some()));

    let install = crds::Command::Apply(crds::ApplyArgs { force: false, timeout: TIMEOUT });
    crds::run(&install, &arguments).await.unwrap();
    make(&client, Some("default"), "v1", "ServiceAccount", "nobody", json!({})).await;
    let findings = look(&args, &connection).await.unwrap();
    let left: Vec<&str> = wrong(&findings).into_iter().map(|(check, _)| check).collect();
    assert_eq!(left, ["operator", "webhook", "storage"], "{findings:#?}");
}
