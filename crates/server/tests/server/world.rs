//! An API server with the definitions, a dashboard over it, and a client that the dashboard lets in.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use drey_apiserver::ApiServer;
use drey_flink::FlinkRest;
use drey_server::{
    Access, ClusterError, ClusterName, Clusters, Dashboard, DashboardConfig, FleetKind, Heimdall, Link,
    Links, Log, LogWanted, Mode, Process, Role,
};
use futures::StreamExt;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) const TOKEN: &str = "let-me-in";
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Every cluster has this JobManager, or none; each has one process that has written a log.
struct FakeClusters(Option<reqwest::Url>);

/// What stands in the log.
pub(crate) const LOG: &[u8] = b"first\n<script>alert(1)</script> \x1b[31mred\x1b[0m \xff\nlast\n";

#[async_trait]
impl Clusters for FakeClusters {
    async fn job_manager(&self, _cluster: &ClusterName) -> Option<FlinkRest> {
        Some(FlinkRest::new(reqwest::Client::new(), self.0.clone()?))
    }

    fn flink_pages(&self, _cluster: &ClusterName) -> Option<String> {
        None
    }

    async fn processes(
        &self,
        _client: &Client,
        _cluster: &ClusterName,
    ) -> Result<Vec<Process>, ClusterError> {
        Ok(vec![Process { role: Role::JobManager, id: "jobmanager".to_owned() }])
    }

    async fn log(
        &self,
        _client: &Client,
        _cluster: &ClusterName,
        process: &str,
        wanted: LogWanted,
    ) -> Result<Log, ClusterError> {
        if process != "jobmanager" {
            return Err(ClusterError::NotFound(format!("no process `{process}`")));
        }
        let bytes = wanted.tail_bytes.map_or(usize::MAX, |bytes| usize::try_from(bytes).unwrap());
        let from = if wanted.follow { 0 } else { LOG.len().saturating_sub(bytes) };
        let pieces = futures::stream::iter([Ok(LOG[from..].to_vec())]).boxed();
        Ok(Log { truncated: from > 0, pieces })
    }
}

pub(crate) struct World {
    pub(crate) api: ApiServer,
    pub(crate) base: String,
    http: reqwest::Client,
    _stop: DropGuard,
}

/// How the dashboard of a test differs from that of laptop mode.
pub(crate) struct Setup {
    pub(crate) access: Access,
    pub(crate) base_path: &'static str,
    pub(crate) job_manager: Option<reqwest::Url>,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup { access: Access::Token(TOKEN.to_owned()), base_path: "/", job_manager: None }
    }
}

impl World {
    pub(crate) async fn start(setup: Setup) -> World {
        let world = World::unwatched(setup).await;
        world.until("api/v1/fleet", |fleet| fleet["complete"] == true).await;
        world
    }

    /// One whose fleet nobody has waited for.
    pub(crate) async fn unwatched(setup: Setup) -> World {
        drop(rustls::crypto::ring::default_provider().install_default());
        let api = ApiServer::in_memory().unwrap();
        let definitions: Api<CustomResourceDefinition> = Api::all(api.client("default"));
        for definition in drey_api::crd::each() {
            definitions.create(&PostParams::default(), &definition).await.unwrap();
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let base = format!("http://127.0.0.1:{port}{}", setup.base_path);
        let pattern = |name: &str, pattern: &str| Link { name: name.into(), pattern: pattern.into() };
        let links = vec![
            pattern("Metrics", "https://metrics/$namespace/$jobName"),
            pattern("Bad", "javascript:alert(1)"),
        ];
        let config = DashboardConfig {
            client: api.client("default"),
            clusters: Arc::new(FakeClusters(setup.job_manager)),
            cluster: "test".to_owned(),
            mode: Mode::Laptop,
            namespaces: Vec::new(),
            access: setup.access,
            base_path: setup.base_path.to_owned(),
            hosts: Some(vec!["localhost".to_owned()]),
            links: Links { display_name: "$jobName".to_owned(), links },
            heimdall: Heimdall::default(),
        };
        let stop = CancellationToken::new();
        let serving = Dashboard::new(config, port).serve(listener, stop.clone());
        tokio::spawn(serving);
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        World { api, base, http, _stop: stop.drop_guard() }
    }

    /// A request of somebody who may come in.
    pub(crate) fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.stranger(method, path).bearer_auth(TOKEN).header("x-drey", "1")
    }

    /// A request of somebody who shows nothing.
    pub(crate) fn stranger(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.ask(Method::GET, path).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let answer = self.ask(Method::POST, path).json(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Asks until the answer is as wanted.
    pub(crate) async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let answer = self.get(path).await;
            if wanted(&answer) {
                return answer;
            }
            assert!(began.elapsed() < PATIENCE, "{path}: {answer}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn resources(&self, kind: FleetKind) -> Api<DynamicObject> {
        Api::namespaced_with(self.api.client("default"), "default", &kind.resource())
    }

    pub(crate) async fn create(&self, kind: FleetKind, name: &str, data: Value) {
        let mut object = DynamicObject::new(name, &kind.resource());
        object.data = data;
        self.resources(kind).create(&PostParams::default(), &object).await.unwrap();
    }

    pub(crate) async fn deployment(&self, name: &str, parallelism: i32) {
        self.create(FleetKind::Deployment, name, deployment(parallelism)).await;
    }

    pub(crate) async fn set_status(&self, name: &str, status: Value) {
        let patch = Patch::Merge(json!({ "status": status }));
        self.resources(FleetKind::Deployment)
            .patch_status(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }
}

pub(crate) fn deployment(parallelism: i32) -> Value {
    json!({ "spec": {
        "flinkVersion": "v1_20", "image": "registry/team/app:1", "serviceAccount": "flink",
        "flinkConfiguration": { "s3.secret-key": "very-hidden", "taskmanager.numberOfTaskSlots": "2" },
        "job": { "jarURI": "local:///a.jar", "parallelism": parallelism, "state": "running", "upgradeMode": "savepoint" },
        "jobManager": { "resource": { "cpu": 1, "memory": "1g" } },
        "taskManager": { "resource": { "cpu": 1, "memory": "1g" } },
    } })
}
