//! A launcher whose clusters are fake JobManagers, with Flink's high-availability ConfigMaps kept in the API server
//! as Flink keeps them. It records every run with what it really started from, so that a test can tell lost state.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use drey_api::desired::Desired;
use drey_api::kinds::FlinkJobState;
use drey_core::decision::Deployment;
use drey_core::journal::Run;
use drey_core::observed::{Cluster, ClusterPhase, StoredSnapshot};
use drey_core::{JobId, Restore, Seen};
use drey_engine::{LaunchError, Launcher, Target};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::{broadcast, watch};

use crate::fake_jobmanager::{FakeCluster, FakeJob, FakeJobManagers, SavepointScript, Snapshot};

/// Where fake checkpoints are put.
pub const CHECKPOINT_DIRECTORY: &str = "file:/checkpoints";

/// How the fake clusters of one resource are launched.
#[derive(Clone, Debug)]
pub struct LaunchScript {
    /// From creation to a JobManager that answers.
    pub startup: Duration,
    /// From deletion to nothing left.
    pub teardown: Duration,
    /// What becomes of savepoints.
    pub savepoints: SavepointScript,
    /// Creating is refused with this message.
    pub refuse: Option<String>,
    /// Creating happens and its answer is lost.
    pub lose_answer: bool,
    /// Creating makes half of the cluster and then ends.
    pub by_half: bool,
    /// Looking panics.
    pub panic: bool,
    /// Looking fails.
    pub blind: bool,
    /// Flink does not remove its high-availability data when a job is over.
    pub keeps_high_availability: bool,
}

impl Default for LaunchScript {
    fn default() -> LaunchScript {
        LaunchScript {
            startup: Duration::from_millis(20),
            teardown: Duration::from_millis(20),
            savepoints: SavepointScript::CompleteAfter(Duration::from_millis(20)),
            refuse: None,
            lose_answer: false,
            by_half: false,
            panic: false,
            blind: false,
            keeps_high_availability: false,
        }
    }
}

/// One start of a job, as it really was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartedRun {
    /// Name of the resource.
    pub name: String,
    /// Flink's job id.
    pub job_id: String,
    /// What the launcher was told.
    pub restore: Restore,
    /// What the job really was restored from.
    pub restored: Option<Snapshot>,
    /// Generation of the resource.
    pub generation: i64,
}

type Name = (Arc<str>, Arc<str>);

#[derive(Debug)]
struct Entry {
    cluster: Cluster,
    target: Target,
}

#[derive(Default)]
struct State {
    entries: HashMap<Name, Entry>,
    scripts: HashMap<String, LaunchScript>,
    runs: Vec<StartedRun>,
    created: u64,
    deleted: u64,
    retained: Option<usize>,
    /// Flink's job result store: ids of jobs that are over.
    results: HashMap<String, FlinkJobState>,
}

struct Inner {
    client: Client,
    flink: FakeJobManagers,
    state: Mutex<State>,
    changes: broadcast::Sender<Target>,
}

/// The launcher. Clones are the same one.
#[derive(Clone)]
pub struct FakeLauncher {
    inner: Arc<Inner>,
}

impl FakeLauncher {
    /// A launcher that keeps high-availability data through `client` and runs jobs on `flink`.
    #[must_use]
    pub fn new(client: Client, flink: FakeJobManagers) -> FakeLauncher {
        let inner = Inner { client, flink, state: Mutex::default(), changes: broadcast::channel(256).0 };
        FakeLauncher { inner: Arc::new(inner) }
    }

    /// Changes how clusters of the resource `name` are launched from now on.
    pub fn script(&self, name: &str, change: impl FnOnce(&mut LaunchScript)) {
        change(self.state().scripts.entry(name.to_owned()).or_default());
    }

    /// Every start of a job, in order.
    #[must_use]
    pub fn runs(&self) -> Vec<StartedRun> {
        self.state().runs.clone()
    }

    /// How many clusters were created and how many deletions were begun.
    #[must_use]
    pub fn created_and_deleted(&self) -> (u64, u64) {
        let state = self.state();
        (state.created, state.deleted)
    }

    /// How many resources the engine said exist when it began.
    #[must_use]
    pub fn retained(&self) -> Option<usize> {
        self.state().retained
    }

    /// Key of the present cluster of a resource among the fake JobManagers.
    #[must_use]
    pub fn cluster_of(&self, namespace: &str, name: &str) -> Option<String> {
        let state = self.state();
        state.entries.get(&(namespace.into(), name.into())).map(|entry| entry.cluster.uid.to_string())
    }

    /// Ends the cluster of a resource as if its machine had been lost.
    pub fn lose(&self, namespace: &str, name: &str) {
        let entry = self.state().entries.remove(&(namespace.into(), name.into()));
        if let Some(entry) = entry {
            self.inner.flink.remove(&entry.cluster.uid);
            self.announce(&entry.target);
        }
    }

    /// A cluster that the Java operator has made: it carries no number and no job id. Its JobManager is up, with `job`.
    ///
    /// # Panics
    /// When the resource has a cluster already.
    pub fn found(&self, target: &Target, generation: i64, job: FakeJob) {
        let uid: Arc<str> = format!("{}-found", target.name).into();
        let cluster = Cluster {
            uid: uid.clone(),
            owned: true,
            terminating: false,
            seq: None,
            job_id: None,
            generation: Some(generation),
            flink_version: None,
            phase: ClusterPhase::Available,
            never_available: false,
            task_managers: None,
            missing: None,
        };
        let name = (target.namespace.clone(), target.name.clone());
        let before = self.state().entries.insert(name, Entry { cluster, target: target.clone() });
        assert!(before.is_none(), "{} has a cluster", target.name);
        let job_id = JobId::new(&job.id);
        let script = self.script_of(&target.name);
        let changes = self.inner.flink.insert(&uid, FakeCluster::new(job, script.savepoints));
        let (launcher, target) = (self.clone(), target.clone());
        tokio::spawn(async move { launcher.keep_high_availability(&target, &uid, &job_id, changes).await });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn script_of(&self, name: &str) -> LaunchScript {
        self.state().scripts.get(name).cloned().unwrap_or_default()
    }

    fn announce(&self, target: &Target) {
        // Nobody listening is no fault of the launcher.
        drop(self.inner.changes.send(target.clone()));
    }

    fn create(&self, target: &Target, deployment: &Deployment) -> Option<Arc<str>> {
        let mut state = self.state();
        let name = (target.namespace.clone(), target.name.clone());
        if state.entries.contains_key(&name) {
            return None;
        }
        state.created += 1;
        let uid: Arc<str> = format!("{}-{}", target.name, state.created).into();
        let cluster = Cluster {
            uid: uid.clone(),
            owned: true,
            terminating: false,
            seq: Some(deployment.seq),
            job_id: Some(deployment.job_id.clone()),
            generation: Some(deployment.generation),
            flink_version: Some(deployment.desired.flink_version),
            phase: ClusterPhase::Starting,
            never_available: true,
            task_managers: None,
            missing: None,
        };
        state.entries.insert(name, Entry { cluster, target: target.clone() });
        Some(uid)
    }

    /// The life of one cluster, until it is gone.
    async fn live(self, target: Target, uid: Arc<str>, deployment: Deployment) {
        let script = self.script_of(&target.name);
        tokio::time::sleep(script.startup).await;
        let available = self.change(&target, &uid, |cluster| {
            cluster.phase = ClusterPhase::Available;
            cluster.never_available = false;
        });
        if !available {
            return;
        }
        let (restored, failure) = self.restore(&target, &deployment).await;
        let mut job = FakeJob::new(deployment.job_id.as_str(), restored.clone());
        job.state = if failure.is_some() { "FAILED" } else { "RUNNING" };
        job.failure = failure.clone().unwrap_or_default();
        job.tasks_running = failure.is_none();
        let ran = job.state == "RUNNING";
        let made = FakeCluster::new(job, script.savepoints);
        let changes = self.inner.flink.insert(&uid, made);
        if ran {
            self.state().runs.push(StartedRun {
                name: target.name.to_string(),
                job_id: deployment.job_id.to_string(),
                restore: deployment.restore.clone(),
                restored,
                generation: deployment.generation,
            });
        }
        self.announce(&target);
        self.keep_high_availability(&target, &uid, &deployment.job_id, changes).await;
    }

    fn change(&self, target: &Target, uid: &str, change: impl FnOnce(&mut Cluster)) -> bool {
        let mut state = self.state();
        let entry = state.entries.get_mut(&(target.namespace.clone(), target.name.clone()));
        let Some(entry) = entry.filter(|entry| *entry.cluster.uid == *uid) else { return false };
        change(&mut entry.cluster);
        drop(state);
        self.announce(target);
        true
    }

    /// What Flink really restores: what high availability holds wins over what it is told.
    async fn restore(&self, target: &Target, deployment: &Deployment) -> (Option<Snapshot>, Option<String>) {
        let kept = self.newest_kept(target, &deployment.job_id).await;
        match (&deployment.restore, kept) {
            (_, Some(snapshot)) => (Some(snapshot), None),
            (Restore::Empty | Restore::LastState, None) => (None, None),
            (Restore::Path(path), None) => match self.inner.flink.storage().at(path) {
                Some(snapshot) => (Some(snapshot), None),
                None => (None, Some(format!("java.io.FileNotFoundException: Cannot find {path}"))),
            },
        }
    }

    async fn newest_kept(&self, target: &Target, job_id: &JobId) -> Option<Snapshot> {
        let map = self.maps(target).get_opt(&job_map(target, job_id)).await.ok().flatten()?;
        let data = map.data?;
        let newest = data.iter().filter_map(|(key, path)| {
            let id = key.strip_prefix("checkpointID-")?.parse().ok()?;
            Some(Snapshot { id, path: path.clone() })
        });
        newest.max_by_key(|snapshot| snapshot.id)
    }

    /// Writes ConfigMaps as Flink does, until the cluster is gone or its job is over.
    async fn keep_high_availability(
        &self,
        target: &Target,
        uid: &str,
        job_id: &JobId,
        mut changes: watch::Receiver<u64>,
    ) {
        loop {
            let Some(job) = self.inner.flink.with_unnoticed(uid, |cluster| cluster.job.clone()).flatten()
            else {
                return;
            };
            if let Some(end) = job.end() {
                self.state().results.insert(job.id.clone(), end);
                if !self.script_of(&target.name).keeps_high_availability {
                    self.remove_maps(target, job_id).await;
                }
                return;
            }
            self.write_maps(target, &job).await;
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    async fn write_maps(&self, target: &Target, job: &FakeJob) {
        let newest = [&job.completed, &job.restored].into_iter().flatten().max_by_key(|snapshot| snapshot.id);
        let checkpoint =
            newest.map(|snapshot| (format!("checkpointID-{:019}", snapshot.id), json!(snapshot.path)));
        let of_job: serde_json::Map<_, _> =
            checkpoint.into_iter().chain([("counter".to_owned(), json!(job.next_id.to_string()))]).collect();
        let of_cluster = json!({ format!("jobGraph-{}", job.id): "fake" });
        let maps =
            [(cluster_map(target), of_cluster), (job_map(target, &JobId::new(&job.id)), of_job.into())];
        for (name, data) in maps {
            self.write_map(target, &name, &data).await;
        }
    }

    async fn write_map(&self, target: &Target, name: &str, data: &serde_json::Value) {
        let api = self.maps(target);
        let exists = api.get_opt(name).await.is_ok_and(|map| map.is_some());
        // A test that ends takes the API server away; then there is nothing to keep.
        if exists {
            let patch = json!({ "data": data });
            drop(api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await);
        } else {
            let map: ConfigMap = serde_json::from_value(json!({
                "metadata": { "name": name, "labels": {
                    "app": &*target.name, "configmap-type": "high-availability", "type": "flink-native-kubernetes",
                }},
                "data": data,
            }))
            .expect("this is a ConfigMap");
            drop(api.create(&kube::api::PostParams::default(), &map).await);
        }
    }

    async fn remove_maps(&self, target: &Target, job_id: &JobId) {
        for name in [cluster_map(target), job_map(target, job_id)] {
            drop(self.maps(target).delete(&name, &DeleteParams::default()).await);
        }
    }

    fn maps(&self, target: &Target) -> Api<ConfigMap> {
        Api::namespaced(self.inner.client.clone(), &target.namespace)
    }
}

fn cluster_map(target: &Target) -> String {
    format!("{}-cluster-config-map", target.name)
}

fn job_map(target: &Target, job_id: &JobId) -> String {
    format!("{}-{job_id}-config-map", target.name)
}

#[async_trait]
impl Launcher for FakeLauncher {
    async fn observe(&self, target: &Target) -> Seen<Cluster> {
        let script = self.script_of(&target.name);
        assert!(!script.panic, "the test asked for a panic");
        if script.blind {
            return Seen::Unknown;
        }
        let state = self.state();
        match state.entries.get(&(target.namespace.clone(), target.name.clone())) {
            None => Seen::Absent,
            Some(entry) => {
                let owned = entry.target.uid == target.uid;
                Seen::Present(Cluster { owned, ..entry.cluster.clone() })
            }
        }
    }

    async fn apply(&self, target: &Target, deployment: &Deployment) -> Result<(), LaunchError> {
        let script = self.script_of(&target.name);
        if let Some(message) = script.refuse {
            return Err(LaunchError::Refused(message));
        }
        let Some(uid) = self.create(target, deployment) else { return Ok(()) };
        self.announce(target);
        if script.by_half {
            self.change(target, &uid, |cluster| cluster.missing = Some("ConfigMap flink-config".into()));
        } else {
            tokio::spawn(self.clone().live(target.clone(), uid, deployment.clone()));
        }
        if script.lose_answer {
            return Err(LaunchError::UnknownOutcome("the answer was lost".to_owned()));
        }
        Ok(())
    }

    async fn complete(&self, target: &Target, uid: &str, deployment: &Deployment) -> Result<(), LaunchError> {
        let mut came_to_life = false;
        self.change(target, uid, |cluster| {
            came_to_life = cluster.missing.take().is_some() && cluster.never_available;
        });
        if came_to_life {
            tokio::spawn(self.clone().live(target.clone(), uid.into(), deployment.clone()));
        }
        Ok(())
    }

    async fn delete(&self, target: &Target, uid: &str) -> Result<(), LaunchError> {
        if !self.change(target, uid, |cluster| cluster.terminating = true) {
            return Ok(());
        }
        self.state().deleted += 1;
        let (launcher, target, uid) = (self.clone(), target.clone(), uid.to_owned());
        let teardown = self.script_of(&target.name).teardown;
        tokio::spawn(async move {
            tokio::time::sleep(teardown).await;
            let name = (target.namespace.clone(), target.name.clone());
            let mut state = launcher.state();
            if state.entries.get(&name).is_some_and(|entry| *entry.cluster.uid == *uid) {
                state.entries.remove(&name);
            }
            drop(state);
            launcher.inner.flink.remove(&uid);
            launcher.announce(&target);
        });
        Ok(())
    }

    async fn rest_endpoint(&self, target: &Target, _deployed: &Desired) -> Option<String> {
        self.cluster_of(&target.namespace, &target.name).map(|uid| self.inner.flink.address(&uid))
    }

    async fn find_snapshot(&self, _target: &Target, directory: &str) -> Seen<StoredSnapshot> {
        stored(self.inner.flink.storage().newest_below(directory))
    }

    async fn newest_retained_checkpoint(
        &self,
        _target: &Target,
        _deployed: &Desired,
        job_id: &JobId,
    ) -> Seen<StoredSnapshot> {
        stored(self.inner.flink.storage().newest_below(&format!("{CHECKPOINT_DIRECTORY}/{job_id}")))
    }

    async fn job_result(&self, _target: &Target, _deployed: &Desired, run: &Run) -> Seen<FlinkJobState> {
        if run.seq == 0 {
            // The Java operator puts the store in a place that it draws at random.
            return Seen::Unknown;
        }
        self.state().results.get(run.job_id.as_str()).map_or(Seen::Absent, |state| Seen::Present(*state))
    }

    fn changes(&self) -> broadcast::Receiver<Target> {
        self.inner.changes.subscribe()
    }

    async fn retain(&self, existing: &[Target]) {
        self.state().retained = Some(existing.len());
    }
}

fn stored(snapshot: Option<Snapshot>) -> Seen<StoredSnapshot> {
    match snapshot {
        None => Seen::Absent,
        Some(Snapshot { id, path }) => {
            Seen::Present(StoredSnapshot { path: path.into(), checkpoint_id: Some(id) })
        }
    }
}
