//! Runs Flink clusters as processes of this machine: the engine's `Launcher`.
//!
//! It refuses to decide anything: clusters come and go as the engine says.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use drey_api::desired::Desired;
use drey_api::kinds::FlinkJobState;
use drey_core::decision::Deployment;
use drey_core::journal::Run;
use drey_core::observed::{Cluster as ObservedCluster, StoredSnapshot};
use drey_core::{JobId, Seen};
use drey_engine::launcher::{LaunchError, Launcher, Target};
use rustix::process::Signal;
use tokio::sync::{Mutex, broadcast};
use tokio::task::JoinSet;

use crate::cluster::Cluster;
use crate::distribution::Distributions;
use crate::java::JavaPlaces;
use crate::process_table::{CLUSTER_VARIABLE, STATE_VARIABLE, family, variable_of};
use crate::record::{self, ClusterDirectory, ClusterRecord};
use crate::services::{Parts, Services};
use crate::state_dir::{Layout, StateDirectory};
use crate::{atomic_file, configuration, limits, making, storage};

/// What a [`LocalLauncher`] needs.
#[derive(Debug)]
pub struct LocalConfig {
    /// The state directory, opened: nobody else works in it.
    pub state_directory: StateDirectory,
    /// The kubeconfig by which Flink reaches the API server. Its address must stay the same as long as processes
    /// live, also over restarts of drey.
    pub kubeconfig: PathBuf,
    /// Where the processes work: relative paths in the arguments of jobs begin here.
    pub working_directory: PathBuf,
    /// Where Flink comes from.
    pub distributions: Distributions,
    /// Where Java may be.
    pub java: JavaPlaces,
}

/// Runs Flink clusters on this machine.
pub struct LocalLauncher {
    services: Arc<Services>,
    tasks: Mutex<JoinSet<()>>,
    /// One cluster is made at a time, so that no two are made for one resource.
    making: Mutex<()>,
    _state_directory: StateDirectory,
}

/// Why the launcher cannot begin.
#[derive(Debug, thiserror::Error)]
#[error("`{path}`: {source}")]
pub struct OpenError {
    path: PathBuf,
    source: io::Error,
}

impl LocalLauncher {
    /// Takes over everything that an earlier drey has left in the state directory: running processes go on, dead
    /// ones are started again, removals are brought to their end. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// When the state directory cannot be read.
    pub async fn open(config: LocalConfig) -> Result<LocalLauncher, OpenError> {
        LocalLauncher::open_with_grace(config, limits::TERMINATION_GRACE).await
    }

    /// As [`LocalLauncher::open`], with another time that a process has after SIGTERM before it is killed.
    ///
    /// # Errors
    /// When the state directory cannot be read.
    pub async fn open_with_grace(
        config: LocalConfig,
        termination_grace: Duration,
    ) -> Result<LocalLauncher, OpenError> {
        let layout = config.state_directory.layout().clone();
        let services = Arc::new(Services::new(Parts {
            layout: layout.clone(),
            kubeconfig: config.kubeconfig,
            working_directory: config.working_directory,
            distributions: config.distributions,
            java: config.java,
            termination_grace,
            inherited_environment: std::env::vars_os().collect(),
        }));
        let launcher = LocalLauncher {
            services,
            tasks: Mutex::default(),
            making: Mutex::default(),
            _state_directory: config.state_directory,
        };
        let clusters = layout.clusters();
        let opened = launcher.take_over(&layout).await;
        opened.map_err(|source| OpenError { path: clusters, source })?;
        Ok(launcher)
    }

    async fn take_over(&self, layout: &Layout) -> io::Result<()> {
        forget_unfinished(layout)?;
        for directory in record::directories(layout)? {
            match directory.read() {
                Ok(record) => self.begin(directory, record).await,
                Err(error) => set_aside(layout, &directory, &error)?,
            }
        }
        self.end_strays(layout)
    }

    /// Ends processes of this state directory whose cluster is not there any more: somebody has removed it.
    fn end_strays(&self, layout: &Layout) -> io::Result<()> {
        let known = self.services.all();
        for process in family(STATE_VARIABLE, &layout.root().to_string_lossy(), &[])? {
            let cluster = variable_of(process.pid, CLUSTER_VARIABLE);
            if cluster.is_some_and(|uid| known.iter().all(|cluster| cluster.uid() != uid)) {
                tracing::warn!(pid = process.pid, "a process whose cluster is gone is ended");
                process.signal(Signal::KILL)?;
            }
        }
        Ok(())
    }

    async fn begin(&self, directory: ClusterDirectory, record: ClusterRecord) {
        let cluster = Cluster::new(directory, record, Arc::clone(&self.services));
        self.services.add(Arc::clone(&cluster));
        let mut tasks = self.tasks.lock().await;
        // Those that are over need not be kept.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(look_after(cluster));
    }

    /// Ends all processes and keeps the clusters: the next [`LocalLauncher::open`] starts them again, and jobs go
    /// on from their newest checkpoint. Without it, processes simply go on when this value is dropped.
    pub async fn stop_all(&self) {
        for cluster in self.services.all() {
            cluster.stop();
        }
        let mut tasks = self.tasks.lock().await;
        while tasks.join_next().await.is_some() {}
    }

    /// What is written down about every cluster that is not gone.
    pub fn records(&self) -> Vec<ClusterRecord> {
        self.services.all().iter().map(|cluster| cluster.record()).collect()
    }

    fn layout(&self) -> &Layout {
        &self.services.layout
    }
}

/// A mistake of ours in one cluster ends neither the others nor its processes.
async fn look_after(cluster: Arc<Cluster>) {
    loop {
        // A set, because its task ends when this one is dropped.
        let mut task = JoinSet::new();
        task.spawn(Arc::clone(&cluster).run());
        match task.join_next().await {
            Some(Err(error)) if error.is_panic() => {
                tracing::error!(%error, cluster = %cluster.target().name, "looking after a cluster failed, and begins anew");
                tokio::time::sleep(limits::RESTING_TICK).await;
            }
            Some(Ok(()) | Err(_)) | None => return,
        }
    }
}

/// Looks at storage without holding up others when it is slow. What cannot be looked at is unknown.
async fn read_storage<T: Send + 'static>(read: impl FnOnce() -> Seen<T> + Send + 'static) -> Seen<T> {
    tokio::task::spawn_blocking(read).await.unwrap_or(Seen::Unknown)
}

/// Removes directories that were being made or removed when drey ended: no process was ever started in the former,
/// none was left in the latter.
fn forget_unfinished(layout: &Layout) -> io::Result<()> {
    for namespace in record::visible_children(&layout.clusters())? {
        for name in record::visible_children(&namespace)? {
            for entry in fs::read_dir(&name)? {
                let entry = entry?;
                if entry.file_name().to_string_lossy().starts_with('.') {
                    atomic_file::remove_directory(&entry.path())?;
                }
            }
        }
    }
    Ok(())
}

/// A cluster whose record cannot be read is ended, and its directory kept to be looked at. Its state is in
/// high availability and checkpoints, not here.
fn set_aside(layout: &Layout, directory: &ClusterDirectory, error: &io::Error) -> io::Result<()> {
    let uid = directory.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
    tracing::error!(%error, directory = %directory.path().display(), "cluster.json cannot be read: the cluster is ended");
    loop {
        let members = family(CLUSTER_VARIABLE, &uid, &[])?;
        if members.is_empty() {
            break;
        }
        for member in members {
            member.signal(Signal::KILL)?;
        }
    }
    let kept = layout.root().join("logs").join("unreadable");
    atomic_file::create_private_directory(&kept)?;
    fs::rename(directory.path(), kept.join(uid))
}

#[async_trait]
impl Launcher for LocalLauncher {
    async fn observe(&self, target: &Target) -> Seen<ObservedCluster> {
        let mut seen = self.services.of(target).into_iter().map(|cluster| cluster.observe(target));
        // There is one at most, but for the moment in which one that is gone is taken off the list.
        seen.rfind(|seen| !seen.is_absent()).unwrap_or(Seen::Absent)
    }

    async fn apply(&self, target: &Target, deployment: &Deployment) -> Result<(), LaunchError> {
        let _making = self.making.lock().await;
        if !self.services.of(target).is_empty() {
            return Ok(());
        }
        let (services, made_for, made_of) = (Arc::clone(&self.services), target.clone(), deployment.clone());
        let made = tokio::task::spawn_blocking(move || making::make(&services, &made_for, &made_of)).await;
        let made = made.map_err(|error| LaunchError::UnknownOutcome(error.to_string()))?;
        let (directory, record) = made.map_err(LaunchError::Refused)?;
        self.begin(directory, record).await;
        self.services.changed(target);
        Ok(())
    }

    async fn delete(&self, target: &Target, uid: &str) -> Result<(), LaunchError> {
        for cluster in self.services.of(target).iter().filter(|cluster| cluster.uid() == uid) {
            cluster.delete().map_err(|error| {
                LaunchError::UnknownOutcome(format!(
                    "the removal of cluster {uid} cannot be written down: {error}"
                ))
            })?;
        }
        Ok(())
    }

    async fn rest_endpoint(&self, target: &Target, _deployed: &Desired) -> Option<String> {
        let cluster = self.services.of(target).pop()?;
        Some(format!("http://127.0.0.1:{}/", cluster.ports().rest))
    }

    fn reads(&self, directory: &str) -> bool {
        configuration::local_path(directory, &self.services.working_directory).is_some()
    }

    async fn find_snapshot(&self, _target: &Target, directory: &str) -> Seen<StoredSnapshot> {
        // A relative directory in a request is resolved by Flink where its processes work.
        match configuration::local_path(directory, &self.services.working_directory) {
            Some(path) => read_storage(move || storage::find_snapshot(&path)).await,
            None => Seen::Unknown,
        }
    }

    async fn newest_retained_checkpoint(
        &self,
        target: &Target,
        deployed: &Desired,
        job_id: &JobId,
    ) -> Seen<StoredSnapshot> {
        let directory = configuration::checkpoint_directory(
            &deployed.configuration,
            self.layout(),
            &target.namespace,
            &target.name,
        );
        let job_id = job_id.clone();
        match directory {
            Some(path) => read_storage(move || storage::newest_checkpoint(&path, &job_id)).await,
            None => Seen::Unknown,
        }
    }

    async fn job_result(&self, target: &Target, _deployed: &Desired, run: &Run) -> Seen<FlinkJobState> {
        let store = self.layout().job_results(&target.namespace, &target.name, &target.uid, run.seq);
        let job_id = run.job_id.clone();
        read_storage(move || storage::job_result(&store, job_id.as_str())).await
    }

    fn changes(&self) -> broadcast::Receiver<Target> {
        self.services.changes.subscribe()
    }

    async fn retain(&self, existing: &[Target]) {
        for cluster in self.services.all() {
            if !existing.contains(cluster.target()) {
                tracing::info!(cluster = %cluster.target().name, "its resource is gone, so it is ended");
                if let Err(error) = cluster.delete() {
                    tracing::warn!(%error, "the removal of a cluster cannot be written down");
                }
            }
        }
    }
}
