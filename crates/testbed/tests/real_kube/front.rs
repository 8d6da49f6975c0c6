//! What stands in front of a cluster, on a real API server: made, kept, removed, and never somebody else's.

use std::collections::BTreeMap;
use std::sync::Arc;

use drey_api::crd;
use drey_api::defaults::Defaults;
use drey_api::desired::{self, Context, Desired};
use drey_api::kinds::{FlinkDeployment, FlinkDeploymentSpec};
use drey_engine::{LaunchError, Launcher, Target};
use drey_kubernetes::{KubernetesConfig, KubernetesLauncher, LoggingFiles, Reach};
use drey_testbed::kube::{Kube, Options};
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;

use crate::until;

const GATEWAY: &str = "kubernetes.operator.ingress.http-route.gateway";

fn object<K: serde::de::DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

/// A kind of the Gateway API, as far as it is needed here.
fn http_routes() -> CustomResourceDefinition {
    let schema = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    object(json!({
        "metadata": {
            "name": "httproutes.gateway.networking.k8s.io",
            "annotations": { "api-approved.kubernetes.io": "unapproved, for a test" },
        },
        "spec": {
            "group": "gateway.networking.k8s.io",
            "names": { "kind": "HTTPRoute", "plural": "httproutes", "singular": "httproute" },
            "scope": "Namespaced",
            "versions": [
                { "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": schema } },
            ],
        },
    }))
}

async fn install(client: &Client, definitions: Vec<CustomResourceDefinition>) {
    let api = Api::<CustomResourceDefinition>::all(client.clone());
    for definition in definitions {
        let name = definition.name_any();
        api.create(&PostParams::default(), &definition).await.unwrap();
        until("an established kind", async || {
            let conditions = api.get(&name).await.ok()?.status?.conditions?;
            conditions.iter().find(|c| c.type_ == "Established" && c.status == "True").map(drop)
        })
        .await;
    }
}

fn spec(ingress: &Value, configuration: &Value) -> Value {
    json!({
        "image": "flink:1.20",
        "flinkVersion": "v1_20",
        "serviceAccount": "flink",
        "ingress": ingress,
        "flinkConfiguration": configuration,
        "jobManager": { "resource": { "cpu": 1.0, "memory": "1024m" } },
        "taskManager": { "resource": { "cpu": 1.0, "memory": "1024m" } },
        "job": { "jarURI": "local:///job.jar", "parallelism": 1, "upgradeMode": "stateless" },
    })
}

fn desired(ingress: &Value, configuration: &Value) -> Desired {
    let spec: FlinkDeploymentSpec = object(spec(ingress, configuration));
    let defaults = Defaults::new(BTreeMap::new());
    let context = Context { namespace: "default", name: "led", defaults: &defaults, last: None };
    desired::parse(&spec, &context).unwrap()
}

/// Waits until the launcher has heard of a change of the cluster.
async fn heard(changes: &mut Receiver<Target>) {
    let change = tokio::time::timeout(crate::TIMEOUT, changes.recv()).await.unwrap().unwrap();
    assert_eq!((&*change.namespace, &*change.name), ("default", "led"));
}

#[tokio::test]
async fn what_stands_in_front_of_a_cluster_is_kept_as_the_spec_asks() {
    let cluster = Kube::start(Options::for_test().unwrap()).await.unwrap();
    let client = cluster.client();
    install(&client, crd::all().into_iter().chain([http_routes()]).collect()).await;
    let resource: FlinkDeployment =
        object(json!({ "metadata": { "name": "led" }, "spec": spec(&Value::Null, &json!({})) }));
    let resource = Api::<FlinkDeployment>::namespaced(client.clone(), "default")
        .create(&PostParams::default(), &resource)
        .await
        .unwrap();
    let target = Target {
        namespace: Arc::from("default"),
        name: Arc::from("led"),
        uid: Arc::from(resource.uid().unwrap()),
    };
    let launcher = KubernetesLauncher::new(KubernetesConfig {
        client: client.clone(),
        namespaces: vec!["default".to_owned()],
        reach: Reach::Services,
        logging: LoggingFiles::default(),
    });
    let mut changes = launcher.changes();
    let ingresses = Api::<Ingress>::namespaced(client.clone(), "default");
    let host = async || -> Option<String> {
        ingresses.get_opt("led").await.unwrap()?.spec?.rules?.first()?.host.clone()
    };

    let with_ingress =
        desired(&json!({ "template": "{{name}}.example.com", "annotations": { "a": "b" } }), &json!({}));
    launcher.expose(&target, &with_ingress).await.unwrap();
    assert_eq!(host().await.as_deref(), Some("led.example.com"));
    heard(&mut changes).await;
    let version = ingresses.get("led").await.unwrap().resource_version();
    launcher.expose(&target, &with_ingress).await.unwrap();
    assert_eq!(ingresses.get("led").await.unwrap().resource_version(), version, "nothing was to be done");

    let by_hand = json!({ "spec": { "rules": [{ "host": "other.example.com" }] } });
    ingresses.patch("led", &PatchParams::default(), &Patch::Merge(by_hand)).await.unwrap();
    heard(&mut changes).await;
    launcher.expose(&target, &with_ingress).await.unwrap();
    assert_eq!(host().await.as_deref(), Some("led.example.com"));
    heard(&mut changes).await;

    ingresses.delete("led", &DeleteParams::default()).await.unwrap();
    heard(&mut changes).await;
    launcher.expose(&target, &with_ingress).await.unwrap();
    assert_eq!(host().await.as_deref(), Some("led.example.com"));
    heard(&mut changes).await;

    let less = desired(&json!({ "template": "{{name}}.example.com" }), &json!({}));
    launcher.expose(&target, &less).await.unwrap();
    assert!(!ingresses.get("led").await.unwrap().annotations().contains_key("a"));
    heard(&mut changes).await;

    let route = ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "HTTPRoute"),
        "httproutes",
    );
    let routes = Api::<DynamicObject>::namespaced_with(client.clone(), "default", &route);
    let by_gateway =
        desired(&json!({ "template": "example.com/{{name}}" }), &json!({ GATEWAY: "infra/web/https" }));
    launcher.expose(&target, &by_gateway).await.unwrap();
    assert_eq!(host().await, None, "the Ingress has gone");
    let made = routes.get("led").await.unwrap();
    assert_eq!(
        made.data["spec"],
        json!({
            "hostnames": ["example.com"],
            "parentRefs": [{ "namespace": "infra", "name": "web", "sectionName": "https" }],
            "rules": [{
                "matches": [{ "path": { "type": "PathPrefix", "value": "/led" } }],
                "filters": [{ "type": "URLRewrite", "urlRewrite": {
                    "path": { "type": "ReplacePrefixMatch", "replacePrefixMatch": "/" } } }],
                "backendRefs": [{ "name": "led-rest", "port": 8081 }],
            }],
        })
    );
    let none = desired(&Value::Null, &json!({}));
    until("the route to go", async || {
        launcher.expose(&target, &none).await.unwrap();
        routes.get_opt("led").await.unwrap().is_none().then_some(())
    })
    .await;

    let theirs = json!({ "metadata": { "name": "led" }, "spec": { "defaultBackend": {
        "service": { "name": "theirs", "port": { "number": 80 } } } } });
    ingresses.create(&PostParams::default(), &object(theirs)).await.unwrap();
    let refused = launcher.expose(&target, &with_ingress).await;
    assert!(
        matches!(&refused, Err(LaunchError::Refused(message)) if message.contains("belongs to somebody else")),
        "{refused:?}"
    );
    assert_eq!(host().await, None);
    launcher.expose(&target, &none).await.unwrap();
    assert!(ingresses.get_opt("led").await.unwrap().is_some(), "nobody asked for that");
    let unmanaged = desired(
        &json!({ "template": "{{name}}.example.com" }),
        &json!({ "kubernetes.operator.ingress.manage": "false" }),
    );
    assert!(launcher.expose(&target, &unmanaged).await.is_err());
    cluster.stop().unwrap();
}
