//! The other half of a cluster without nodes: a JobManager's Deployment becomes available as soon as it has its
//! configuration, and from then on a fake JobManager answers for it. What is seen on the way is kept with its moment.
//!
//! It refuses to know which operator made the Deployment: a JobManager reads its job id from its ConfigMap.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use drey_testbed::fake_jobmanager::{FakeCluster, FakeJob, FakeJobManagers, SavepointScript};
use futures::StreamExt;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{Config, DefaultBackoff, Event, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use regex::Regex;
use serde_json::json;
use tokio::sync::Semaphore;

/// Where everything is.
pub(super) const NAMESPACE: &str = "default";
/// How many Deployments are made available at the same time.
const PATCHES_MAX: usize = 16;
/// Begins the names of ConfigMaps with Flink's configuration.
const CONFIGURATION_PREFIX: &str = "flink-config-";
/// How long a savepoint takes.
const SAVEPOINT: Duration = Duration::from_millis(200);

/// A JobManager's Deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sighting {
    /// Its uid.
    pub(super) uid: String,
    /// When it was first seen.
    pub(super) at: Instant,
}

#[derive(Debug, Default)]
struct Known {
    /// The living Deployment of each cluster.
    deployments: HashMap<String, Sighting>,
    /// Job ids by uid of the Deployment.
    jobs: HashMap<String, String>,
    /// Resources that are stable with their newest spec.
    stable: HashSet<String>,
    /// Why it does not work, when it does not.
    broken: Option<String>,
}

/// What was seen, and the fake JobManagers.
pub(super) struct Kubelet {
    client: Client,
    fake: FakeJobManagers,
    known: Mutex<Known>,
    job_id: Regex,
    patches: Semaphore,
    /// Requests of its own that write.
    writes: AtomicU64,
}

impl Kubelet {
    /// One that has not begun.
    pub(super) fn new(client: Client, fake: FakeJobManagers) -> Result<Arc<Kubelet>> {
        Ok(Arc::new(Kubelet {
            client,
            fake,
            known: Mutex::default(),
            job_id: Regex::new(r#"job-id['"]?: *['"]?([0-9a-f]{32})"#)?,
            patches: Semaphore::new(PATCHES_MAX),
            writes: AtomicU64::new(0),
        }))
    }

    /// Works for ever.
    pub(super) async fn run(self: Arc<Self>) {
        tokio::join!(self.follow_deployments(), self.follow_configurations(), self.follow_resources());
    }

    /// The living Deployments.
    pub(super) fn deployments(&self) -> HashMap<String, Sighting> {
        self.known().deployments.clone()
    }

    /// The living Deployment of a cluster.
    pub(super) fn deployment(&self, name: &str) -> Option<Sighting> {
        self.known().deployments.get(name).cloned()
    }

    /// How many resources are stable.
    pub(super) fn stable(&self) -> usize {
        self.known().stable.len()
    }

    /// Whether this resource is.
    pub(super) fn is_stable(&self, name: &str) -> bool {
        self.known().stable.contains(name)
    }

    /// How many writing requests it has made.
    pub(super) fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    /// Fails when it could not do its part.
    pub(super) fn check(&self) -> Result<()> {
        self.known().broken.clone().map_or(Ok(()), |why| Err(anyhow::anyhow!(why)))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn follow_deployments(self: &Arc<Self>) {
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), NAMESPACE);
        let config = Config::default().labels("component=jobmanager");
        let mut events = watcher(api, config).backoff(DefaultBackoff::default()).boxed();
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Apply(deployment) | Event::InitApply(deployment)) => {
                    self.see_deployment(&deployment);
                }
                Ok(Event::Delete(deployment)) => self.lose_deployment(&deployment),
                Ok(Event::Init | Event::InitDone) | Err(_) => {}
            }
        }
    }

    fn see_deployment(self: &Arc<Self>, deployment: &Deployment) {
        let (name, uid) = (deployment.name_any(), deployment.uid().unwrap_or_default());
        let mut known = self.known();
        if known.deployments.get(&name).is_some_and(|sighting| sighting.uid == uid) {
            return;
        }
        known.deployments.insert(name.clone(), Sighting { uid: uid.clone(), at: Instant::now() });
        let job = known.jobs.get(&uid).cloned();
        drop(known);
        if let Some(job) = job {
            self.bring_up(name, &job);
        }
    }

    fn lose_deployment(&self, deployment: &Deployment) {
        let (name, uid) = (deployment.name_any(), deployment.uid().unwrap_or_default());
        let mut known = self.known();
        known.jobs.remove(&uid);
        if known.deployments.get(&name).is_some_and(|sighting| sighting.uid == uid) {
            known.deployments.remove(&name);
            self.fake.remove(&name);
        }
    }

    async fn follow_configurations(self: &Arc<Self>) {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), NAMESPACE);
        let config = Config::default().labels("type=flink-native-kubernetes");
        let mut events = watcher(api, config).backoff(DefaultBackoff::default()).boxed();
        while let Some(event) = events.next().await {
            if let Ok(Event::Apply(map) | Event::InitApply(map)) = event {
                self.see_configuration(&map);
            }
        }
    }

    fn see_configuration(self: &Arc<Self>, map: &ConfigMap) {
        let name = map.name_any();
        let Some(cluster) = name.strip_prefix(CONFIGURATION_PREFIX) else { return };
        let texts = map.data.iter().flatten().map(|(_, text)| text);
        let Some(job) =
            texts.filter_map(|text| self.job_id.captures(text)).map(|found| found[1].to_owned()).next()
        else {
            return;
        };
        let owners = map.meta().owner_references.iter().flatten();
        let Some(owner) =
            owners.filter(|owner| owner.kind == "Deployment").map(|owner| owner.uid.clone()).next()
        else {
            return;
        };
        let mut known = self.known();
        if known.jobs.insert(owner.clone(), job.clone()).is_some() {
            return;
        }
        let is_there = known.deployments.get(cluster).is_some_and(|sighting| sighting.uid == owner);
        drop(known);
        if is_there {
            self.bring_up(cluster.to_owned(), &job);
        }
    }

    fn bring_up(self: &Arc<Self>, name: String, job: &str) {
        let mut job = FakeJob::new(job, None);
        job.state = "RUNNING";
        job.tasks_running = true;
        let cluster = FakeCluster::new(job, SavepointScript::CompleteAfter(SAVEPOINT));
        drop(self.fake.insert(&name, cluster));
        let kubelet = self.clone();
        tokio::spawn(async move {
            if let Err(error) = kubelet.make_available(&name).await {
                kubelet.known().broken = Some(format!("{name} cannot be made available: {error:#}"));
            }
        });
    }

    async fn make_available(&self, name: &str) -> Result<()> {
        let _permit = self.patches.acquire().await.context("the semaphore is never closed")?;
        let now = jiff::Timestamp::now().round(jiff::Unit::Second)?;
        let condition = |kind: &str, reason: &str| {
            json!({ "type": kind, "status": "True", "reason": reason, "message": "", "lastUpdateTime": now,
                    "lastTransitionTime": now })
        };
        let status = json!({ "status": {
            "observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1,
            "conditions": [condition("Available", "MinimumReplicasAvailable"),
                           condition("Progressing", "NewReplicaSetAvailable")],
        }});
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), NAMESPACE);
        self.writes.fetch_add(1, Ordering::Relaxed);
        match api.patch_status(name, &PatchParams::default(), &Patch::Merge(&status)).await {
            Ok(_) => Ok(()),
            // It is gone already.
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn follow_resources(self: &Arc<Self>) {
        let kind = GroupVersionKind::gvk("flink.apache.org", "v1beta1", "FlinkDeployment");
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), NAMESPACE, &ApiResource::from_gvk(&kind));
        let mut events = watcher(api, Config::default()).backoff(DefaultBackoff::default()).boxed();
        while let Some(event) = events.next().await {
            if let Ok(Event::Apply(resource) | Event::InitApply(resource)) = event {
                let status = &resource.data["status"];
                let is_stable = status["lifecycleState"] == "STABLE"
                    && status["observedGeneration"].as_i64() == resource.metadata.generation;
                let name = resource.name_any();
                let mut known = self.known();
                if is_stable {
                    known.stable.insert(name);
                } else {
                    known.stable.remove(&name);
                }
            }
        }
    }
}
