//! Traces of `drey operator`, as a collector receives them.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use drey_apiserver::{ApiServer, Auth};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, PostParams};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::support::Place;

const PATIENCE: Duration = Duration::from_secs(60);

type Received = Arc<Mutex<Vec<ExportTraceServiceRequest>>>;

/// A collector that takes what it is sent, and its address.
async fn collector() -> (Received, String) {
    let received = Received::default();
    let take = async |State(received): State<Received>, body: Bytes| {
        let request = ExportTraceServiceRequest::decode(body).expect("the body is a request of OTLP");
        received.lock().expect("not poisoned").push(request);
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
    let address = listener.local_addr().expect("it listens");
    let router = Router::new().route("/v1/traces", post(take)).with_state(received.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (received, format!("http://{address}"))
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        other => Some(format!("{other:?}")),
    }
}

fn spans(received: &Received) -> Vec<(Option<String>, Span)> {
    let requests = received.lock().expect("not poisoned");
    let of_services = requests.iter().flat_map(|request| &request.resource_spans);
    of_services
        .flat_map(|service| {
            let name =
                service.resource.as_ref().and_then(|resource| text(&resource.attributes, "service.name"));
            let spans = service.scope_spans.iter().flat_map(|scope| &scope.spans);
            spans.map(move |span| (name.clone(), span.clone())).collect::<Vec<_>>()
        })
        .collect()
}

async fn start_api(place: &Place) -> ApiServer {
    let api = ApiServer::in_memory().expect("an API server");
    let client = api.client("default");
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    for definition in drey_api::crd::each() {
        definitions.create(&PostParams::default(), &definition).await.expect("the definition is taken");
    }
    let kind =
        ApiResource::from_gvk(&GroupVersionKind::gvk("flink.apache.org", "v1beta1", "FlinkDeployment"));
    let deployments: Api<DynamicObject> = Api::namespaced_with(client, "default", &kind);
    let job = json!({ "jarURI": "local:///job.jar", "parallelism": 0, "upgradeMode": "stateless" });
    let mut refused = DynamicObject::new("refused", &kind);
    refused.data = json!({ "spec": {
        "flinkVersion": "v1_20", "image": "flink:1.20", "serviceAccount": "flink", "job": job,
        "jobManager": { "resource": { "cpu": 1, "memory": "1g" } },
        "taskManager": { "resource": { "cpu": 1, "memory": "1g" } },
    } });
    deployments.create(&PostParams::default(), &refused).await.expect("the resource is taken");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("it listens"));
    let token = "of-the-test";
    place.write("kubeconfig", &ApiServer::kubeconfig(&url, token, "default"));
    let serving = api.clone();
    let auth = Auth::Token(token.to_owned());
    tokio::spawn(async move { serving.serve(listener, auth, CancellationToken::new()).await });
    api
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_hears_of_each_step_and_of_the_last_before_the_end() {
    let place = Place::new();
    let _api = start_api(&place).await;
    let (received, endpoint) = collector().await;
    place.write(
        "config.yaml",
        "kubernetes.operator.health.probe.enabled: false\nkubernetes.operator.watched.namespaces: default\n",
    );
    let mut operator = place
        .command(&["operator", "--kubeconfig", "kubeconfig", "--config", "."])
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)
        .env("OTEL_BSP_SCHEDULE_DELAY", "100")
        .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        .spawn()
        .expect("drey starts");
    let began = Instant::now();
    let heard = loop {
        let heard = spans(&received)
            .into_iter()
            .find(|(_, span)| text(&span.attributes, "waits.reason").as_deref() == Some("InvalidSpec"));
        if let Some(heard) = heard {
            break heard;
        }
        let ended = operator.try_wait().expect("its state is known");
        assert!(ended.is_none() && began.elapsed() < PATIENCE, "{ended:?}: {:?}", spans(&received));
        sleep(Duration::from_millis(50)).await;
    };
    rustix::process::kill_process(rustix::process::Pid::from_child(&operator), rustix::process::Signal::TERM)
        .expect("it is asked to end");
    let ended = tokio::task::spawn_blocking(move || operator.wait()).await.expect("waited").expect("it ends");
    assert!(ended.success(), "{ended:?}");
    let (service, span) = heard;
    assert_eq!(service.as_deref(), Some("drey-operator"));
    assert_eq!(span.name, "reconcile");
    assert_eq!(text(&span.attributes, "k8s.namespace.name").as_deref(), Some("default"));
    assert_eq!(text(&span.attributes, "flink.deployment").as_deref(), Some("refused"));
    assert_eq!(text(&span.attributes, "result").as_deref(), Some("done"));
    assert!(span.end_time_unix_nano > span.start_time_unix_nano);
    assert!(span.events.iter().any(|event| event.name == "decision"), "{:?}", span.events);
}

#[test]
fn what_cannot_be_sent_is_refused_by_name() {
    let place = Place::new();
    let operator = |variables: &[(&str, &str)]| {
        let mut command = place.command(&["operator", "--check"]);
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318").envs(variables.iter().copied());
        let output = command.output().expect("drey starts");
        (output.status.code(), String::from_utf8(output.stderr).expect("text"))
    };
    let (code, said) = operator(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("`OTEL_EXPORTER_OTLP_PROTOCOL=grpc`") && said.contains("4318"), "{said}");
    let (code, said) = operator(&[("OTEL_EXPORTER_OTLP_CERTIFICATE", "/no/such.pem")]);
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("`OTEL_EXPORTER_OTLP_CERTIFICATE=/no/such.pem`"), "{said}");
}
