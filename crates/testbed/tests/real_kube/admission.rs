//! The webhook of `drey operator`, asked by a real API server over TLS.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use drey_api::crd;
use drey_api::kinds::{FlinkDeployment, FlinkSessionJob, LifecycleState};
use drey_operator::files::Sources;
use drey_operator::upstream_metrics::Identity;
use drey_operator::webhook::WebhookConfig;
use drey_operator::{Means, Operator, OperatorError, Stopped};
use drey_testbed::fake_jobmanager::FakeJobManagers;
use drey_testbed::fake_launcher::FakeLauncher;
use drey_testbed::kube::{Kube, Options};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use reqwest::tls::TlsInfo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::until;

const SERVICE: &str = "flink-operator-webhook-service";
const CONFIGURATION: &str = "flink-operator-default-webhook-configuration";
const SECRET: &str = "drey-webhook-certificate";
const REFUSAL: &str = "admission webhook \"validationwebhook.flink.apache.org\" denied the request: Flink Version must be \
                       defined.";

fn object<K: serde::de::DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

/// A port that is free now.
fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// One process of the operator, but for the process.
struct Replica {
    stop: CancellationToken,
    task: JoinHandle<Result<Stopped, OperatorError>>,
    port: u16,
    _files: TempDir,
}

impl Replica {
    fn start(client: &Client, launcher: &FakeLauncher, host: &str) -> Replica {
        let files = tempfile::tempdir().unwrap();
        let port = free_port();
        let configuration = format!(
            "kubernetes.operator.health.probe.port: {}\nkubernetes.operator.metrics.reporter.prom.port: {}\n\
             kubernetes.operator.leader-election.enabled: true\n\
             kubernetes.operator.leader-election.lease-name: drey\n",
            free_port(),
            free_port()
        );
        std::fs::write(files.path().join("flink-conf.yaml"), configuration).unwrap();
        let sources = Sources { directory: files.path().to_owned(), is_explicit: true, ..Sources::default() };
        let webhook = WebhookConfig {
            check_interval: Duration::from_millis(100),
            ..WebhookConfig::named_as_by_the_chart(port, "default")
        };
        let operator = Operator::read(sources).unwrap().with_webhook(Some(webhook));
        let means = Means {
            work_client: client.clone(),
            client: client.clone(),
            launcher: Arc::new(launcher.clone()),
            http: reqwest::Client::new(),
            own_namespace: "default".to_owned(),
            identity: Identity { host: host.into(), namespace: "default".into(), name: "drey".into() },
        };
        let stop = CancellationToken::new();
        let task = tokio::spawn(operator.run(means, stop.clone()));
        Replica { stop, task, port, _files: files }
    }

    /// The certificate that is served to who trusts this authority and asks for the name of the Service.
    async fn certificate(&self, authority: &[u8]) -> Option<Vec<u8>> {
        let host = format!("{SERVICE}.default.svc");
        let client = reqwest::Client::builder()
            .tls_certs_only(reqwest::Certificate::from_pem_bundle(authority).unwrap())
            .tls_info(true)
            .resolve(&host, SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)))
            .build()
            .unwrap();
        let response = client.post(format!("https://{host}:{}/validate", self.port)).body("{").send().await;
        let response = response.ok()?;
        assert_eq!(response.status(), 400);
        Some(response.extensions().get::<TlsInfo>()?.peer_certificate()?.to_vec())
    }

    async fn end(self) {
        self.stop.cancel();
        assert_eq!(self.task.await.unwrap().unwrap(), Stopped);
    }
}

/// As a chart renders them. The Service leads to this machine, as there are no pods.
async fn register(world: &World, port: u16) {
    let (client, machine) = (&world.client, world.cluster.network().gateway);
    let parameters = PostParams::default();
    let service = json!({ "metadata": { "name": SERVICE }, "spec": { "ports": [{ "port": port }] } });
    Api::<Service>::namespaced(client.clone(), "default")
        .create(&parameters, &object(service))
        .await
        .unwrap();
    let slice = json!({
        "metadata": { "name": SERVICE, "labels": { "kubernetes.io/service-name": SERVICE } },
        "addressType": "IPv4",
        "endpoints": [{ "addresses": [machine] }],
        "ports": [{ "name": "", "port": port, "protocol": "TCP" }],
    });
    Api::<EndpointSlice>::namespaced(client.clone(), "default")
        .create(&parameters, &object(slice))
        .await
        .unwrap();
    let configuration = |path: &str| {
        json!({
            "metadata": { "name": CONFIGURATION },
            "webhooks": [{
                "name": "validationwebhook.flink.apache.org",
                "admissionReviewVersions": ["v1"],
                "clientConfig": { "service": {
                    "name": SERVICE, "namespace": "default", "path": path, "port": port } },
                "failurePolicy": "Fail",
                "rules": [{
                    "apiGroups": ["flink.apache.org"],
                    "apiVersions": ["*"],
                    "scope": "Namespaced",
                    "operations": ["CREATE", "UPDATE"],
                    "resources": ["flinkdeployments", "flinksessionjobs", "flinkstatesnapshots"],
                }],
                "sideEffects": "None",
                "timeoutSeconds": 5,
            }],
        })
    };
    let validating = Api::<ValidatingWebhookConfiguration>::all(client.clone());
    validating.create(&parameters, &object(configuration("/validate"))).await.unwrap();
    let mutating = Api::<MutatingWebhookConfiguration>::all(client.clone());
    mutating.create(&parameters, &object(configuration("/mutate"))).await.unwrap();
}

fn deployment(name: &str, version: Option<&str>) -> FlinkDeployment {
    object(json!({
        "metadata": { "name": name },
        "spec": {
            "image": "flink:1.20",
            "flinkVersion": version,
            "serviceAccount": "flink",
            "flinkConfiguration": { "execution.checkpointing.dir": "file:/checkpoints" },
            "jobManager": { "resource": { "cpu": 1.0, "memory": "1024m" } },
            "taskManager": { "resource": { "cpu": 1.0, "memory": "1024m" } },
            "job": { "jarURI": "local:///job.jar", "parallelism": 1, "upgradeMode": "stateless" },
        },
    }))
}

/// What the API server says to a spec that breaks a rule.
async fn said_to_a_bad_spec(deployments: &Api<FlinkDeployment>) -> String {
    match deployments.create(&PostParams::default(), &deployment("bad", None)).await {
        Err(kube::Error::Api(status)) => status.message.clone(),
        other => panic!("a bad spec was not refused: {other:?}"),
    }
}

struct World {
    cluster: Kube,
    client: Client,
    launcher: FakeLauncher,
    flink: JoinHandle<()>,
}

impl World {
    async fn start() -> World {
        drop(rustls::crypto::ring::default_provider().install_default());
        let cluster = Kube::start(Options::for_test().unwrap()).await.unwrap();
        let client = cluster.client();
        let definitions = Api::<CustomResourceDefinition>::all(client.clone());
        for definition in crd::each() {
            definitions.create(&PostParams::default(), &definition).await.unwrap();
        }
        let deployments = Api::<FlinkDeployment>::namespaced(client.clone(), "default");
        until("the definitions", async || deployments.get_opt("any").await.ok()).await;
        let jobs = Api::<FlinkSessionJob>::namespaced(client.clone(), "default");
        until("the definitions", async || jobs.get_opt("any").await.ok()).await;
        let (flink, server) = FakeJobManagers::start().await.unwrap();
        let launcher = FakeLauncher::new(client.clone(), flink);
        World { cluster, client, launcher, flink: server }
    }

    fn deployments(&self) -> Api<FlinkDeployment> {
        Api::namespaced(self.client.clone(), "default")
    }

    fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), "default")
    }

    async fn authorities(&self) -> Vec<u8> {
        let secret = self.secrets().get(SECRET).await.unwrap();
        secret.data.unwrap()["ca.crt"].0.clone()
    }

    async fn until_refused(&self) {
        let deployments = self.deployments();
        until("the webhook to be trusted", async || {
            (said_to_a_bad_spec(&deployments).await == REFUSAL).then_some(())
        })
        .await;
    }

    fn end(self) {
        self.flink.abort();
        self.cluster.stop().unwrap();
    }
}

#[tokio::test]
async fn the_api_server_asks_and_keeps_what_passes_the_rules() {
    let world = World::start().await;
    let replica = Replica::start(&world.client, &world.launcher, "one");
    let (deployments, parameters) = (world.deployments(), PostParams::default());

    let mut unasked = deployment("unasked", None);
    unasked.metadata.finalizers = Some(vec!["example.com/hold".to_owned()]);
    deployments.create(&parameters, &unasked).await.unwrap();
    let error = until("the engine's judgement", async || {
        deployments.get("unasked").await.unwrap().status.and_then(|status| status.error)
    })
    .await;
    assert!(error.contains("Flink Version must be defined."), "{error}");
    assert_eq!(world.launcher.created_and_deleted(), (0, 0), "what nobody asked about is not run");

    register(&world, replica.port).await;
    world.until_refused().await;
    deployments.delete("unasked", &DeleteParams::default()).await.unwrap();
    let release = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
    deployments.patch("unasked", &PatchParams::default(), &release).await.unwrap();
    assert!(deployments.get_opt("unasked").await.unwrap().is_none(), "a bad spec can be taken away");

    deployments.create(&parameters, &deployment("good", Some("v1_20"))).await.unwrap();
    until("the good one to run", async || {
        let status = deployments.get("good").await.unwrap().status?;
        (status.lifecycle_state == Some(LifecycleState::Stable)).then_some(())
    })
    .await;
    let session = json!({ "spec": { "job": null } });
    let refused = deployments.patch("good", &PatchParams::default(), &Patch::Merge(session)).await;
    let Err(kube::Error::Api(status)) = refused else { panic!("not refused: {refused:?}") };
    assert!(status.message.ends_with("Cannot switch from job to session cluster"), "{}", status.message);

    let job = object(json!({
        "metadata": { "name": "job", "labels": { "team": "a" } },
        "spec": { "deploymentName": "session", "job": { "jarURI": "https://example.com/job.jar" } },
    }));
    let jobs = Api::<FlinkSessionJob>::namespaced(world.client.clone(), "default");
    let labels = jobs.create(&parameters, &job).await.unwrap().metadata.labels.unwrap();
    assert_eq!(labels["target.session"], "session");
    assert_eq!(labels["team"], "a");

    deployments.delete("good", &DeleteParams::default()).await.unwrap();
    until("the good one to go", async || deployments.get_opt("good").await.unwrap().is_none().then_some(()))
        .await;
    replica.end().await;
    world.end();
}

#[tokio::test]
async fn certificates_come_and_go_while_every_replica_serves() {
    let world = World::start().await;
    let replicas = ["one", "two"].map(|host| Replica::start(&world.client, &world.launcher, host));
    register(&world, replicas[0].port).await;
    world.until_refused().await;
    let authorities = world.authorities().await;
    let mut first = BTreeSet::new();
    for replica in &replicas {
        first.insert(until("a certificate", async || replica.certificate(&authorities).await).await);
    }
    assert_eq!(first.len(), 1, "replicas serve the same certificate");

    let due = json!({ "metadata": { "annotations": { "drey.dev/certificate-not-after": "2001-01-01T00:00:00Z" } } });
    world.secrets().patch(SECRET, &PatchParams::default(), &Patch::Merge(due)).await.unwrap();
    for replica in &replicas {
        until("another certificate", async || {
            assert_eq!(said_to_a_bad_spec(&world.deployments()).await, REFUSAL, "while it changes");
            let certificate = replica.certificate(&authorities).await;
            let certificate = certificate.expect("who trusted the first certificate trusts the second");
            (!first.contains(&certificate)).then_some(())
        })
        .await;
    }
    assert_eq!(said_to_a_bad_spec(&world.deployments()).await, REFUSAL);

    world.secrets().delete(SECRET, &DeleteParams::default()).await.unwrap();
    let new = until("another authority", async || {
        let secret = world.secrets().get_opt(SECRET).await.unwrap()?;
        let new = secret.data.unwrap()["ca.crt"].0.clone();
        (new != authorities).then_some(new)
    })
    .await;
    for replica in &replicas {
        until("its certificate", async || replica.certificate(&new).await).await;
    }
    world.until_refused().await;
    for replica in replicas {
        replica.end().await;
    }
    world.end();
}
