//! Runs Flink clusters as objects of a Kubernetes cluster: the engine's `Launcher`.
//!
//! ```text
//!   apply ──► builders ──► create ──► API server ──► watches ──► cache ──► glance, changes
//!                                          └───────► look (lists from the source) ──► observe
//! ```
//! It refuses to decide anything: clusters come and go as the engine says. Storage is not read from here.

mod cache;
mod create;
mod front;
mod judge;
mod look;
mod record;
mod scale;
mod take_down;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use drey_api::desired::Desired;
use drey_core::Seen;
use drey_core::decision::Deployment;
use drey_core::observed::Cluster;
use drey_engine::{LaunchError, Launcher, Target};
use kube::Client;
use tokio::sync::broadcast;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::cluster::rest_service_name;
use crate::logging::LoggingFiles;
use cache::Cache;
use create::failed;
use front::Fronts;

/// How many changes may wait to be heard; who lags looks at everything.
const CHANGES_MAX: usize = 4_096;

/// How long glances wait for the first lists. Without that, a start with thousands of clusters would list the parts of
/// each one by one while the watches list them all.
const FIRST_LISTS_MAX: Duration = Duration::from_secs(10);

/// Flink's default of `rest.port`.
const REST_PORT: &str = "8081";

/// How JobManagers are reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// By the name of their Service, from inside the cluster.
    Services,
    /// Through the API server, whose address this is, without a trailing slash. Requests need its credentials.
    ApiServer(String),
}

impl Reach {
    /// Address of the REST interface of the cluster `name`, with a trailing slash. `port` is `rest.port` of the deployed
    /// configuration, when it is set.
    #[must_use]
    pub fn rest_address(&self, namespace: &str, name: &str, port: Option<&str>) -> String {
        let service = rest_service_name(name);
        let port = port.map_or(REST_PORT, str::trim);
        match self {
            Reach::Services => format!("http://{service}.{namespace}:{port}/"),
            Reach::ApiServer(base) => {
                format!("{base}/api/v1/namespaces/{namespace}/services/{service}:{port}/proxy/")
            }
        }
    }
}

/// What a [`KubernetesLauncher`] needs.
pub struct KubernetesConfig {
    /// The client for the API server.
    pub client: Client,
    /// Namespaces whose clusters are watched; empty for all.
    pub namespaces: Vec<String>,
    /// How JobManagers are reached.
    pub reach: Reach,
    /// Logging files of clusters that bring none.
    pub logging: LoggingFiles,
}

/// Runs Flink clusters on Kubernetes.
pub struct KubernetesLauncher {
    client: Client,
    reach: Reach,
    logging: LoggingFiles,
    cache: Arc<Cache>,
    fronts: Fronts,
    changes: broadcast::Sender<Target>,
    /// When glances stop to wait for the first lists.
    lists_until: Instant,
    /// The watches, which end with the launcher.
    _watches: JoinSet<()>,
}

impl KubernetesLauncher {
    /// Begins to watch the clusters. Must be called inside a Tokio runtime.
    #[must_use]
    pub fn new(config: KubernetesConfig) -> KubernetesLauncher {
        let KubernetesConfig { client, namespaces, reach, logging } = config;
        let scopes: Vec<Option<String>> =
            if namespaces.is_empty() { vec![None] } else { namespaces.into_iter().map(Some).collect() };
        let (changes, _) = broadcast::channel(CHANGES_MAX);
        let cache = Arc::new(Cache::new(&scopes, changes.clone()));
        let mut watches = JoinSet::new();
        let fronts = Fronts::watch(&client, &scopes, &changes, &mut watches);
        for scope in scopes {
            watches.spawn(Arc::clone(&cache).follow(client.clone(), scope));
        }
        let lists_until = Instant::now() + FIRST_LISTS_MAX;
        KubernetesLauncher { client, reach, logging, cache, fronts, changes, lists_until, _watches: watches }
    }
}

#[async_trait]
impl Launcher for KubernetesLauncher {
    async fn observe(&self, target: &Target) -> Seen<Cluster> {
        look::look(&self.client, target).await
    }

    async fn glance(&self, target: &Target) -> Seen<Cluster> {
        self.cache.listed_by(self.lists_until).await;
        match self.cache.found(&target.namespace, &target.name) {
            // A ReplicaSet is not watched: what is absent here may not be absent there, and is looked at before an act.
            Some(found) => judge::judge(&target.uid, &found),
            None => look::look(&self.client, target).await,
        }
    }

    async fn apply(&self, target: &Target, deployment: &Deployment) -> Result<(), LaunchError> {
        let objects = create::build(target, deployment, &self.logging)?;
        create::create(&self.client, target, objects).await
    }

    async fn complete(&self, target: &Target, uid: &str, deployment: &Deployment) -> Result<(), LaunchError> {
        let objects = create::build(target, deployment, &self.logging)?;
        create::create_parts(&self.client, target, uid, objects).await
    }

    async fn scale(&self, target: &Target, uid: &str, task_managers: i32) -> Result<(), LaunchError> {
        scale::scale(&self.client, target, uid, task_managers).await
    }

    async fn expose(&self, target: &Target, deployed: &Desired) -> Result<(), LaunchError> {
        self.fronts.keep(target, deployed).await
    }

    async fn delete(&self, target: &Target, uid: &str) -> Result<(), LaunchError> {
        let parts = self.cache.found(&target.namespace, &target.name).map(|found| found.parts);
        take_down::take_down(&self.client, target, uid, &parts.unwrap_or_default())
            .await
            .map_err(|error| failed(&target.name, &error))
    }

    async fn rest_endpoint(&self, target: &Target, deployed: &Desired) -> Option<String> {
        let port = deployed.configuration.get("rest.port").map(String::as_str);
        Some(self.reach.rest_address(&target.namespace, &target.name, port))
    }

    fn changes(&self) -> broadcast::Receiver<Target> {
        self.changes.subscribe()
    }

    async fn retain(&self, _existing: &[Target]) {
        // Whatever a resource that is gone has left is collected by its owner reference.
    }
}
