//! One engine and everything around it.

use std::sync::Arc;
use std::time::Duration;

use drey_api::defaults::Defaults;
use drey_api::kinds::FlinkDeployment;
use drey_apiserver::ApiServer;
use drey_core::Policy;
use drey_engine::limits::PollLimits;
use drey_engine::{Engine, EngineConfig, EngineError, Leadership, Limits, Namespaces, SystemClock};
use drey_testbed::fake_jobmanager::FakeJobManagers;
use drey_testbed::fake_launcher::FakeLauncher;
use k8s_openapi::api::core::v1::{ConfigMap, Event};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::faulty_api::FaultyApi;

pub(crate) const NAMESPACE: &str = "default";
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) faults: FaultyApi,
    pub(crate) flink: FakeJobManagers,
    pub(crate) launcher: FakeLauncher,
    pub(crate) engine: Engine,
    api: ApiServer,
    pub(crate) limits: Limits,
    stop: CancellationToken,
    running: Option<JoinHandle<Result<(), EngineError>>>,
    server: JoinHandle<()>,
}

/// Every interval short.
pub(crate) fn limits() -> Limits {
    let ms = Duration::from_millis;
    Limits {
        request_timeout: ms(2_000),
        look_timeout: ms(1_000),
        action_timeout: ms(1_000),
        launch_timeout: ms(1_000),
        retry_delay: ms(10),
        retry_delay_max: ms(200),
        look_age_fast: ms(50),
        look_age_slow: ms(2_000),
        rest_heartbeat: ms(200),
        list_page: 2,
        watch_timeout: ms(1_000),
        watch_grace: ms(100),
        watch_retry: ms(10),
        watch_retry_max: ms(100),
        poll: PollLimits {
            patience: ms(200),
            call_timeout: ms(800),
            fast_min: ms(10),
            fast_max: ms(50),
            slow_min: ms(100),
            slow_max: ms(200),
            slow_grid: ms(10),
            suspect_interval_max: ms(300),
            ..PollLimits::default()
        },
        ..Limits::default()
    }
}

fn policy() -> Policy {
    Policy {
        epoch: 1,
        retry_delay_ms: 100,
        retry_delay_max_ms: 500,
        progress_interval_ms: 50,
        rest_interval_ms: 200,
    }
}

impl World {
    pub(crate) async fn start() -> World {
        World::with(limits()).await
    }

    /// An API server with our CRDs, and an engine that runs.
    pub(crate) async fn with(limits: Limits) -> World {
        let mut world = World::without_engine(limits).await;
        world.start_engine();
        world
    }

    pub(crate) async fn without_engine(limits: Limits) -> World {
        drop(rustls::crypto::ring::default_provider().install_default());
        let api = ApiServer::in_memory().unwrap();
        let client = api.client(NAMESPACE);
        let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
        for crd in drey_api::crd::all() {
            crds.create(&PostParams::default(), &crd).await.unwrap();
        }
        let (flink, server) = FakeJobManagers::start().await.unwrap();
        let launcher = FakeLauncher::new(client.clone(), flink.clone());
        let faults = FaultyApi::new(api.service());
        let engine = engine(&faults, &launcher, &limits);
        let stop = CancellationToken::new();
        World { client, faults, flink, launcher, engine, api, limits, stop, running: None, server }
    }

    /// Another way to the API server, with faults of its own.
    pub(crate) fn another_way(&self) -> FaultyApi {
        FaultyApi::new(self.api.service())
    }

    /// What an engine of this world is made of.
    pub(crate) fn config(&self, faults: &FaultyApi) -> EngineConfig {
        config(faults, &self.launcher, &self.limits)
    }

    /// Starts an engine with no memory.
    pub(crate) fn start_engine(&mut self) {
        self.engine = engine(&self.faults, &self.launcher, &self.limits);
        self.stop = CancellationToken::new();
        let (engine, stop) = (self.engine.clone(), self.stop.clone());
        self.running = Some(tokio::spawn(async move { engine.run(stop).await }));
    }

    /// Ends the engine; its memory is lost.
    pub(crate) async fn stop_engine(&mut self) -> Result<(), EngineError> {
        self.stop.cancel();
        self.running.take().expect("the engine runs").await.unwrap()
    }

    /// Ends the engine at once, wherever it is.
    pub(crate) fn kill_engine(&mut self) {
        self.running.take().expect("the engine runs").abort();
    }

    /// Waits for an engine that ends by itself.
    pub(crate) async fn engine_ended(&mut self) -> Result<(), EngineError> {
        tokio::time::timeout(PATIENCE, self.running.take().expect("the engine runs")).await.unwrap().unwrap()
    }

    pub(crate) fn api(&self) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("flink.apache.org", "v1beta1", "FlinkDeployment");
        Api::namespaced_with(self.client.clone(), NAMESPACE, &ApiResource::from_gvk(&kind))
    }

    pub(crate) async fn create(&self, object: &Value) {
        let object: DynamicObject = serde_json::from_value(object.clone()).unwrap();
        self.api().create(&PostParams::default(), &object).await.unwrap();
    }

    /// Edits the spec, as a user does.
    pub(crate) async fn edit(&self, name: &str, spec: Value) {
        let patch = json!({ "spec": spec });
        self.api().patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    }

    pub(crate) async fn delete(&self, name: &str) {
        self.api().delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// The object as JSON; null when there is none.
    pub(crate) async fn get(&self, name: &str) -> Value {
        let object = self.api().get_opt(name).await.unwrap();
        object.map_or(Value::Null, |object| serde_json::to_value(object).unwrap())
    }

    /// Waits until the object is as described, and returns it.
    pub(crate) async fn until(&self, name: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let begun = tokio::time::Instant::now();
        loop {
            let object = self.get(name).await;
            if is(&object) {
                return object;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "{name} is not {what}: status {:#}\nview {:#?}\nruns {:#?}",
                object["status"],
                self.engine.view().resources,
                self.launcher.runs(),
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until the spec of the present generation is deployed and stable.
    pub(crate) async fn until_stable(&self, name: &str) -> Value {
        self.until(name, "stable", |object| {
            object["status"]["lifecycleState"] == "STABLE" && is_current(object) && is_settled(object)
        })
        .await
    }

    pub(crate) async fn until_lifecycle(&self, name: &str, state: &str) -> Value {
        self.until(name, state, |object| object["status"]["lifecycleState"] == state && is_current(object))
            .await
    }

    /// Waits until something outside the API server is as described.
    pub(crate) async fn eventually(&self, what: &str, is: impl Fn(&World) -> bool) {
        let begun = tokio::time::Instant::now();
        while !is(self) {
            assert!(begun.elapsed() < PATIENCE, "not {what}: {:#?}", self.engine.view().resources);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until there is an event about a resource, and returns its message.
    pub(crate) async fn until_event(&self, name: &str, reason: &str) -> String {
        let begun = tokio::time::Instant::now();
        let events: Api<Event> = Api::namespaced(self.client.clone(), NAMESPACE);
        loop {
            let list = events.list(&ListParams::default()).await.unwrap().items;
            let about = |event: &&Event| event.involved_object.name.as_deref() == Some(name);
            let found = list.iter().filter(about).find(|event| event.reason.as_deref() == Some(reason));
            if let Some(event) = found {
                return event.message.clone().unwrap_or_default();
            }
            assert!(begun.elapsed() < PATIENCE, "no event {reason} about {name} among {list:#?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until the fake Flink has written a checkpoint to its high-availability store.
    pub(crate) async fn until_kept(&self, checkpoint_id: u64) {
        let begun = tokio::time::Instant::now();
        let maps: Api<ConfigMap> = Api::namespaced(self.client.clone(), NAMESPACE);
        let key = format!("checkpointID-{checkpoint_id:019}");
        loop {
            let list = maps.list(&ListParams::default()).await.unwrap();
            if list.items.iter().any(|map| map.data.as_ref().is_some_and(|data| data.contains_key(&key))) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "checkpoint {checkpoint_id} is not kept");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Requests that changed something, as the present cluster of `name` got them.
    pub(crate) fn requests(&self, name: &str) -> Vec<String> {
        let cluster = self.launcher.cluster_of(NAMESPACE, name).expect("a cluster runs");
        self.flink.with(&cluster, |cluster| cluster.requests.clone()).unwrap_or_default()
    }

    /// Waits until no status was written for as long as several rounds take.
    pub(crate) async fn until_at_rest(&self) {
        loop {
            let before = self.faults.count("PUT", "/status");
            self.until_rounds(5).await;
            if self.faults.count("PUT", "/status") == before {
                return;
            }
        }
    }

    /// Waits until the engine has stepped every resource so many times.
    pub(crate) async fn until_rounds(&self, rounds: u64) {
        let resources = self.engine.view().resources.len() as u64;
        let wanted = self.engine.metrics().steps_taken() + rounds * resources;
        self.eventually("stepped", |world| world.engine.metrics().steps_taken() >= wanted).await;
    }

    pub(crate) fn runs(&self, name: &str) -> Vec<drey_testbed::fake_launcher::StartedRun> {
        self.launcher.runs().into_iter().filter(|run| run.name == name).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
        self.server.abort();
        if let Some(running) = &self.running {
            running.abort();
        }
    }
}

fn engine(faults: &FaultyApi, launcher: &FakeLauncher, limits: &Limits) -> Engine {
    Engine::new(config(faults, launcher, limits))
}

fn config(faults: &FaultyApi, launcher: &FakeLauncher, limits: &Limits) -> EngineConfig {
    EngineConfig {
        client: Client::new(faults.clone(), NAMESPACE),
        launcher: Arc::new(launcher.clone()),
        http: reqwest::Client::new(),
        policy: policy(),
        defaults: Defaults::default(),
        namespaces: Namespaces::All,
        label_selector: None,
        leadership: Leadership::undisputed(1),
        clock: Arc::new(SystemClock),
        limits: limits.clone(),
    }
}

pub(crate) fn is_current(object: &Value) -> bool {
    object["status"]["observedGeneration"] == object["metadata"]["generation"]
}

/// No intent is open and no condition says that something is awaited.
pub(crate) fn is_settled(object: &Value) -> bool {
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let holds = |name: &str| {
        conditions.iter().any(|condition| condition["type"] == name && condition["status"] == "True")
    };
    let intent = &object["status"]["intent"]["kind"];
    (intent.is_null() || intent == "None") && !holds("Reconciling") && !holds("Stalled")
}

pub(crate) fn condition<'a>(object: &'a Value, name: &str) -> &'a Value {
    let conditions = object["status"]["conditions"].as_array().expect("there are conditions");
    conditions.iter().find(|condition| condition["type"] == name).expect("the condition is there")
}

/// A FlinkDeployment with high availability and a savepoint directory.
pub(crate) fn deployment(name: &str, upgrade_mode: &str) -> Value {
    let mut object = json!({
        "apiVersion": "flink.apache.org/v1beta1",
        "kind": "FlinkDeployment",
        "metadata": { "name": name, "namespace": NAMESPACE },
        "spec": {
            "image": "flink:1.20",
            "flinkVersion": "v1_20",
            "serviceAccount": "flink",
            "flinkConfiguration": {
                "taskmanager.numberOfTaskSlots": "2",
                "high-availability.type": "kubernetes",
                "high-availability.storageDir": "file:/ha",
                "execution.checkpointing.interval": "10s",
                "execution.checkpointing.savepoint-dir": "file:/savepoints",
                "execution.checkpointing.dir": "file:/checkpoints",
            },
            "jobManager": { "resource": { "cpu": 1.0, "memory": "1024m" } },
            "taskManager": { "resource": { "cpu": 1.0, "memory": "1024m" } },
            "job": { "jarURI": "local:///opt/flink/job.jar", "parallelism": 2, "state": "running" },
        },
    });
    object["spec"]["job"]["upgradeMode"] = json!(upgrade_mode);
    // The types must take what the tests write.
    serde_json::from_value::<FlinkDeployment>(object.clone()).expect("this is a FlinkDeployment");
    object
}
