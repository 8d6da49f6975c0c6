//! An operator that runs: what it serves, what it reads again, and how it ends.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use drey_api::crd;
use drey_apiserver::ApiServer;
use drey_operator::files::Sources;
use drey_operator::upstream_metrics::Identity;
use drey_operator::webhook::WebhookConfig;
use drey_operator::{Means, Operator, OperatorError, Stopped};
use drey_testbed::fake_jobmanager::FakeJobManagers;
use drey_testbed::fake_launcher::FakeLauncher;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(30);

struct World {
    api: ApiServer,
    launcher: FakeLauncher,
    server: JoinHandle<()>,
    files: TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        self.server.abort();
    }
}

struct Running {
    stop: CancellationToken,
    task: JoinHandle<Result<Stopped, OperatorError>>,
    health: u16,
    metrics: u16,
}

/// A port that is free now.
fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

impl World {
    async fn start() -> World {
        drop(rustls::crypto::ring::default_provider().install_default());
        let api = ApiServer::in_memory().unwrap();
        let (flink, server) = FakeJobManagers::start().await.unwrap();
        let launcher = FakeLauncher::new(api.client("default"), flink);
        World { api, launcher, server, files: tempfile::tempdir().unwrap() }
    }

    async fn with_definitions() -> World {
        let world = World::start().await;
        let api: Api<CustomResourceDefinition> = Api::all(world.api.client("default"));
        for definition in crd::each() {
            api.create(&PostParams::default(), &definition).await.unwrap();
        }
        world
    }

    fn configure(&self, text: &str, ports: (u16, u16)) {
        let whole = format!(
            "kubernetes.operator.health.probe.port: {}\nkubernetes.operator.metrics.reporter.prom.port: {}\n\
             kubernetes.operator.dynamic.config.check.interval: 100 ms\n{text}",
            ports.0, ports.1
        );
        write_whole(&self.files.path().join("flink-conf.yaml"), &whole);
    }

    fn read(&self) -> Result<Operator, OperatorError> {
        Operator::read(Sources {
            directory: self.files.path().to_owned(),
            is_explicit: true,
            overrides: None,
            watch_namespaces: None,
        })
    }

    fn run(&self, text: &str, host: &str) -> Running {
        let (health, metrics) = (free_port(), free_port());
        self.configure(text, (health, metrics));
        let operator = self.read().unwrap();
        let means = Means {
            work_client: self.api.client("default"),
            client: self.api.client("default"),
            launcher: Arc::new(self.launcher.clone()),
            http: reqwest::Client::new(),
            own_namespace: "default".to_owned(),
            identity: Identity { host: host.into(), namespace: "default".into(), name: "drey".into() },
        };
        let stop = CancellationToken::new();
        let task = tokio::spawn(operator.run(means, stop.clone()));
        Running { stop, task, health, metrics }
    }

    fn deployments(&self, namespace: &str) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("flink.apache.org", "v1beta1", "FlinkDeployment");
        Api::namespaced_with(self.api.client("default"), namespace, &ApiResource::from_gvk(&kind))
    }

    async fn create(&self, namespace: &str, name: &str) {
        let object: DynamicObject = serde_json::from_value(deployment(namespace, name)).unwrap();
        self.deployments(namespace).create(&PostParams::default(), &object).await.unwrap();
    }

    async fn lifecycle(&self, namespace: &str, name: &str) -> Value {
        self.deployments(namespace).get(name).await.unwrap().data["status"]["lifecycleState"].clone()
    }

    async fn until_stable(&self, namespace: &str, name: &str) {
        until("stable", async || self.lifecycle(namespace, name).await == "STABLE").await;
    }
}

/// Replaced at once, as a mounted ConfigMap is.
fn write_whole(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, path).unwrap();
}

async fn until(what: &str, is: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !is().await {
        assert!(begun.elapsed() < PATIENCE, "not {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn get(port: u16, path: &str) -> (u16, String) {
    match reqwest::get(format!("http://127.0.0.1:{port}{path}")).await {
        Ok(response) => (response.status().as_u16(), response.text().await.unwrap()),
        Err(_) => (0, String::new()),
    }
}

impl Running {
    async fn until_ready(&self) {
        until("ready", async || get(self.health, "/readyz").await.0 == 200).await;
    }

    async fn metrics(&self) -> String {
        get(self.metrics, "/metrics").await.1
    }

    async fn end(self) -> Result<Stopped, OperatorError> {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.unwrap().unwrap()
    }
}

fn deployment(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "flink.apache.org/v1beta1",
        "kind": "FlinkDeployment",
        "metadata": { "name": name, "namespace": namespace },
        "spec": {
            "image": "flink:1.20",
            "flinkVersion": "v1_20",
            "serviceAccount": "flink",
            "flinkConfiguration": {
                "high-availability.type": "kubernetes",
                "high-availability.storageDir": "file:/ha",
                "execution.checkpointing.dir": "file:/checkpoints",
            },
            "jobManager": { "resource": { "cpu": 1.0, "memory": "1024m" } },
            "taskManager": { "resource": { "cpu": 1.0, "memory": "1024m" } },
            "job": { "jarURI": "local:///job.jar", "parallelism": 1, "upgradeMode": "last-state", "state": "running" },
        },
    })
}

#[tokio::test]
async fn it_runs_resources_and_tells_of_it_by_http() {
    let world = World::with_definitions().await;
    let operator = world.run("", "host");
    operator.until_ready().await;
    assert_eq!(get(operator.health, "/healthz").await, (200, "OK".to_owned()));
    assert_eq!(get(operator.health, "/").await, (200, "OK".to_owned()), "as the Java operator's probe asks");
    world.create("default", "a").await;
    world.until_stable("default", "a").await;
    let counted = "flink_k8soperator_namespace_Lifecycle_State_STABLE_Count{host=\"host\",namespace=\"default\",\
                   name=\"drey\",resourcens=\"default\",resourcetype=\"FlinkDeployment\"} 1";
    until("counted", async || operator.metrics().await.contains(counted)).await;
    let metrics = operator.metrics().await;
    for line in
        ["drey_operator_leader 1", "drey_engine_actions_total{kind=\"deploy\",result=\"begun\"} 1", "# EOF"]
    {
        assert!(metrics.contains(line), "{line} is not in:\n{metrics}");
    }
    assert_eq!(operator.end().await.unwrap(), Stopped);
    assert_eq!(world.launcher.created_and_deleted(), (1, 0), "the end of the operator is not that of a job");
}

/// The webhook is a courtesy: whoever gets past it, because it is down or left out, gets no further.
#[tokio::test]
async fn a_bad_spec_that_no_webhook_judged_is_never_run() {
    let world = World::with_definitions().await;
    let operator = world.run("", "host");
    let mut bad = deployment("default", "bad");
    bad["spec"]["flinkConfiguration"]["kubernetes.cluster-id"] = json!("other");
    let bad = serde_json::from_value(bad).unwrap();
    let api = world.deployments("default");
    api.create(&PostParams::default(), &bad).await.unwrap();
    until("told", async || {
        let error = api.get("bad").await.unwrap().data["status"]["error"].clone();
        error.as_str().is_some_and(|text| text.contains("Forbidden Flink config key: kubernetes.cluster-id"))
    })
    .await;
    world.create("default", "a").await;
    world.until_stable("default", "a").await;
    assert_eq!(operator.end().await.unwrap(), Stopped);
    assert_eq!(world.launcher.created_and_deleted(), (1, 0), "only the good one was run");
}

/// Its record says `last-state` once it is stopped, and there is no directory that this mode asks users for.
#[tokio::test]
async fn a_stateless_job_without_any_directory_is_taken_down() {
    let world = World::with_definitions().await;
    let operator = world.run("", "host");
    let mut stateless = deployment("default", "a");
    stateless["spec"]["flinkConfiguration"] = json!({});
    stateless["spec"]["job"]["upgradeMode"] = json!("stateless");
    let api = world.deployments("default");
    api.create(&PostParams::default(), &serde_json::from_value(stateless).unwrap()).await.unwrap();
    world.until_stable("default", "a").await;
    api.delete("a", &DeleteParams::default()).await.unwrap();
    until("gone", async || api.get_opt("a").await.unwrap().is_none()).await;
    assert_eq!(operator.end().await.unwrap(), Stopped);
    assert_eq!(world.launcher.created_and_deleted(), (1, 1));
}

#[tokio::test]
async fn without_a_certificate_the_webhook_is_not_ready_and_the_engine_works() {
    let world = World::with_definitions().await;
    let (health, metrics, port) = (free_port(), free_port(), free_port());
    world.configure("", (health, metrics));
    let webhook = WebhookConfig {
        directory: Some(world.files.path().join("no-such")),
        ..WebhookConfig::named_as_by_the_chart(port, "default")
    };
    let operator = world.read().unwrap().with_webhook(Some(webhook));
    let means = Means {
        work_client: world.api.client("default"),
        client: world.api.client("default"),
        launcher: Arc::new(world.launcher.clone()),
        http: reqwest::Client::new(),
        own_namespace: "default".to_owned(),
        identity: Identity::default(),
    };
    let stop = CancellationToken::new();
    let task = tokio::spawn(operator.run(means, stop.clone()));
    let running = Running { stop, task, health, metrics };
    world.create("default", "a").await;
    world.until_stable("default", "a").await;
    let (code, text) = get(health, "/readyz").await;
    assert!(code == 500 && text.contains("no-such/tls.crt"), "{code}: {text}");
    assert_eq!(get(health, "/healthz").await.0, 200, "a new process would do no better");
    assert_eq!(running.end().await.unwrap(), Stopped);
}

/// The number of the leadership that metrics tell, if any.
fn epoch(metrics: &str) -> Option<i64> {
    metrics.lines().find_map(|line| line.strip_prefix("drey_operator_epoch "))?.parse().ok()
}

#[tokio::test]
async fn of_two_replicas_one_leads_the_other_is_ready_and_takes_over() {
    let world = World::with_definitions().await;
    let election = "kubernetes.operator.leader-election.enabled: true\n\
                    kubernetes.operator.leader-election.lease-name: drey\n\
                    kubernetes.operator.leader-election.lease-duration: 1 s\n\
                    kubernetes.operator.leader-election.renew-deadline: 600 ms\n\
                    kubernetes.operator.leader-election.retry-period: 50 ms\n";
    let first = world.run(election, "first");
    until("leading", async || first.metrics().await.contains("drey_operator_leader 1")).await;
    world.create("default", "a").await;
    world.until_stable("default", "a").await;
    let second = world.run(election, "second");
    second.until_ready().await;
    assert!(second.metrics().await.contains("drey_operator_leader 0"));
    let former = epoch(&first.metrics().await);
    assert_eq!(first.end().await.unwrap(), Stopped);
    until("leading", async || second.metrics().await.contains("drey_operator_leader 1")).await;
    // A busy machine may have changed the leader once more in between.
    until("in a later term", async || epoch(&second.metrics().await) > former).await;
    assert_eq!(second.end().await.unwrap(), Stopped);
    assert_eq!(world.launcher.created_and_deleted(), (1, 0));
}

#[tokio::test]
async fn changed_files_take_effect_and_refused_ones_do_not() {
    let world = World::with_definitions().await;
    let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(world.api.client("default"));
    let other = serde_json::from_value(json!({ "metadata": { "name": "other" } })).unwrap();
    namespaces.create(&PostParams::default(), &other).await.unwrap();
    let dynamic = "kubernetes.operator.dynamic.namespaces.enabled: true\n";
    let operator = world.run(&format!("{dynamic}kubernetes.operator.watched.namespaces: default\n"), "host");
    operator.until_ready().await;
    world.create("other", "b").await;
    let ports = (operator.health, operator.metrics);
    world.configure(&format!("{dynamic}kubernetes.operator.reconcile.interval: often\n"), ports);
    let refused = "drey_operator_configuration_reads_total{result=\"refused\"}";
    until("refused", async || operator.metrics().await.contains(refused)).await;
    assert_eq!(world.lifecycle("other", "b").await, Value::Null, "what was read before counts");
    world.configure(&format!("{dynamic}kubernetes.operator.watched.namespaces: default,other\n"), ports);
    world.until_stable("other", "b").await;
    let changed = "drey_operator_configuration_reads_total{result=\"changed\"} 1";
    until("counted", async || operator.metrics().await.contains(changed)).await;
    assert_eq!(operator.end().await.unwrap(), Stopped);
}

#[tokio::test]
async fn without_the_definitions_it_refuses_to_act_with_the_command_that_helps() {
    let world = World::start().await;
    let operator = world.run("", "host");
    let error = tokio::time::timeout(PATIENCE, operator.task).await.unwrap().unwrap().unwrap_err();
    assert!(error.to_string().contains("drey crds apply"), "{error}");
}

#[tokio::test]
async fn a_port_in_use_is_named_with_its_key() {
    let world = World::with_definitions().await;
    let taken = TcpListener::bind("[::]:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    world.configure("", (port, free_port()));
    let operator = world.read().unwrap();
    let means = Means {
        work_client: world.api.client("default"),
        client: world.api.client("default"),
        launcher: Arc::new(world.launcher.clone()),
        http: reqwest::Client::new(),
        own_namespace: "default".to_owned(),
        identity: Identity::default(),
    };
    let error = operator.run(means, CancellationToken::new()).await.unwrap_err().to_string();
    assert!(error.contains(&format!("port {port} for health")), "{error}");
    assert!(error.contains("`kubernetes.operator.health.probe.port`"), "{error}");
}

#[tokio::test]
async fn a_refused_configuration_tells_everything_at_once() {
    let world = World::start().await;
    let text =
        "kubernetes.operator.reconcile.interval: often\nkubernetes.operator.health.probe.enabled: perhaps\n";
    world.configure(text, (1, 2));
    let error = world.read().map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("reconcile.interval` is `often`") && error.contains("is `perhaps`"), "{error}");
}
