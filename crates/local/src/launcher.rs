//! Runs Flink clusters as processes of this machine: the engine's `Launcher`.
//!
//! It refuses to decide anything: clusters come and go as the engine says.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use drey_api::desired::Desired;
use drey_core::decision::Deployment;
use drey_core::journal::Run;
use drey_core::observed::{Cluster as ObservedCluster, StoredSnapshot};
use drey_core::{JobId, Restore, Seen};
use drey_engine::launcher::{LaunchError, Launcher, Target};
use tokio::sync::{Mutex, broadcast};
use tokio::task::JoinSet;

use crate::cluster::Cluster;
use crate::configuration::{self, Surroundings};
use crate::distribution::Distributions;
use crate::java::{self, JavaPlaces};
use crate::record::{self, ClusterDirectory, ClusterRecord, Ports, RecordedRestore};
use crate::services::{Parts, Services, now_ms};
use crate::state_dir::{Layout, StateDirectory};
use crate::{atomic_file, limits, ports, preflight, storage};

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
        Ok(())
    }

    async fn begin(&self, directory: ClusterDirectory, record: ClusterRecord) {
        let cluster = Cluster::new(directory, record, Arc::clone(&self.services));
        self.services.add(Arc::clone(&cluster));
        let mut tasks = self.tasks.lock().await;
        // Those that are over need not be kept.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(cluster.run());
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

    /// Everything that can be told without starting anything is told here; nothing is left behind after an error.
    fn make(
        &self,
        target: &Target,
        deployment: &Deployment,
    ) -> Result<(ClusterDirectory, ClusterRecord), String> {
        preflight::check_names(target)?;
        preflight::check_disk(self.layout().root())?;
        let mut record = self.record_of(target, deployment)?;
        preflight::check_kind_of_job(&record)?;
        let jar = preflight::local_jar(record.jar_uri.as_deref())?;
        let version = record::flink_version(deployment.desired.flink_version);
        let java = java::find(version, &self.services.java).map_err(|error| error.to_string())?;
        let incarnations = self.layout().incarnations(&target.namespace, &target.name);
        let directory = ClusterDirectory::at(incarnations.join(&record.uid));
        let around = Surroundings {
            layout: self.layout(),
            directory: &directory,
            kubeconfig: &self.services.kubeconfig,
            version,
            java_major: java.major,
        };
        let entries = configuration::entries(&record, &around);
        let rendered = drey_flink::configuration_file::render(&entries, version.configuration_format());
        rendered.map_err(|error| format!("spec.flinkConfiguration: {error}"))?;
        preflight::check_memory(&entries)?;
        preflight::create_directories(&entries)?;
        let made = write_directory(&incarnations, &directory, &mut record, jar.as_deref());
        made.map_err(|error| format!("`{}` cannot be written: {error}", incarnations.display()))?;
        Ok((directory, record))
    }

    fn record_of(&self, target: &Target, deployment: &Deployment) -> Result<ClusterRecord, String> {
        let desired = &deployment.desired;
        let job = desired.spec.job.as_ref();
        let uid = random_uid().map_err(|error| format!("/dev/urandom: {error}"))?;
        let (job_manager_environment, task_manager_environment) = record::environments(desired);
        Ok(ClusterRecord {
            ports: self.find_ports(&uid)?,
            uid,
            namespace: target.namespace.to_string(),
            name: target.name.to_string(),
            owner_uid: target.uid.to_string(),
            seq: deployment.seq,
            generation: deployment.generation,
            job_id: deployment.job_id.as_str().to_owned(),
            restore: match &deployment.restore {
                Restore::Empty => RecordedRestore::Empty,
                Restore::Path(path) => RecordedRestore::Path { path: path.to_string() },
                Restore::LastState => RecordedRestore::LastState,
            },
            allow_non_restored_state: deployment.allow_non_restored_state,
            flink_version: desired.flink_version.dotted(),
            flink_home: None,
            java_home: None,
            jar_uri: job.and_then(|job| job.jar_uri.clone()),
            jar: None,
            entry_class: job.and_then(|job| job.entry_class.clone()),
            arguments: job.map(|job| job.args.clone()).unwrap_or_default(),
            task_managers: u32::try_from(desired.task_manager_replicas).unwrap_or(0),
            configuration: with_memory(desired),
            log_configuration: desired.spec.log_configuration.clone().unwrap_or_default(),
            job_manager_environment,
            task_manager_environment,
            deleting: false,
            ever_available: false,
            created_at_ms: now_ms(),
            processes: BTreeMap::new(),
        })
    }

    fn find_ports(&self, uid: &str) -> Result<Ports, String> {
        let reserved = self.services.ports_of_others(uid);
        let find = |first| {
            let found = ports::find_free(first, &reserved);
            found.ok_or_else(|| format!("no free port from {first} on: end what listens there"))
        };
        Ok(Ports { rest: find(ports::FIRST_REST_PORT)?, rpc: find(ports::FIRST_RPC_PORT)? })
    }
}

/// Flink's scripts do not start without a process size.
fn with_memory(desired: &Desired) -> BTreeMap<String, String> {
    let mut configuration = (*desired.configuration).clone();
    for (process, bytes) in
        [("jobmanager", desired.job_manager_memory_bytes), ("taskmanager", desired.task_manager_memory_bytes)]
    {
        let given = ["process.size", "flink.size", "heap.size", "task.heap.size"]
            .iter()
            .any(|size| configuration.contains_key(&format!("{process}.memory.{size}")));
        if !given {
            configuration.insert(format!("{process}.memory.process.size"), format!("{bytes} b"));
        }
    }
    configuration
}

/// Everything is written beside its place and put there at once: a crash leaves either a complete cluster that is
/// observed and can be deleted, or a name with a dot that the next start forgets.
fn write_directory(
    incarnations: &Path,
    directory: &ClusterDirectory,
    record: &mut ClusterRecord,
    jar: Option<&Path>,
) -> io::Result<()> {
    let beside = ClusterDirectory::at(incarnations.join(format!(".new-{}", record.uid)));
    let written = fill_directory(&beside, directory, record, jar).and_then(|()| {
        fs::rename(beside.path(), directory.path())?;
        atomic_file::sync_directory(incarnations)
    });
    if written.is_err() {
        atomic_file::remove_directory(beside.path())?;
    }
    written
}

fn fill_directory(
    beside: &ClusterDirectory,
    directory: &ClusterDirectory,
    record: &mut ClusterRecord,
    jar: Option<&Path>,
) -> io::Result<()> {
    for subdirectory in beside.subdirectories() {
        atomic_file::create_private_directory(&subdirectory)?;
    }
    // A copy, so that what was applied is what runs, also after a restart, whatever is built meanwhile.
    if let Some(jar) = jar {
        let name = jar.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        fs::copy(jar, beside.user_jars().join(name))?;
        record.jar = Some(directory.user_jars().join(name));
    }
    beside.write(record)
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
    use crate::process_table::{CLUSTER_VARIABLE, family};
    let uid = directory.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
    tracing::error!(%error, directory = %directory.path().display(), "cluster.json cannot be read: the cluster is ended");
    loop {
        let members = family(CLUSTER_VARIABLE, &uid, &[])?;
        if members.is_empty() {
            break;
        }
        for member in members {
            member.signal(rustix::process::Signal::KILL)?;
        }
    }
    let kept = layout.root().join("logs").join("unreadable");
    atomic_file::create_private_directory(&kept)?;
    fs::rename(directory.path(), kept.join(uid))
}

fn random_uid() -> io::Result<String> {
    use std::io::Read;
    let mut bytes = [0; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    // Version 4, variant 1: a random UUID.
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    for at in [20, 16, 12, 8] {
        text.insert(at, '-');
    }
    Ok(text)
}

#[async_trait]
impl Launcher for LocalLauncher {
    async fn observe(&self, target: &Target) -> Seen<ObservedCluster> {
        let seen = self.services.of(target).into_iter().map(|cluster| cluster.observe(target));
        // There is one at most, but for the moment in which one that is gone is taken off the list.
        seen.filter(|seen| !seen.is_absent()).next_back().unwrap_or(Seen::Absent)
    }

    async fn apply(&self, target: &Target, deployment: &Deployment) -> Result<(), LaunchError> {
        let _making = self.making.lock().await;
        if !self.services.of(target).is_empty() {
            return Ok(());
        }
        let (directory, record) = self.make(target, deployment).map_err(LaunchError::Refused)?;
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

    async fn find_snapshot(&self, _target: &Target, directory: &str) -> Seen<StoredSnapshot> {
        // A relative directory in a request is resolved by Flink where its processes work.
        match configuration::local_path(directory, &self.services.working_directory) {
            Some(path) => storage::find_snapshot(&path),
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
        match directory {
            Some(path) => storage::newest_checkpoint(&path, job_id),
            None => Seen::Unknown,
        }
    }

    async fn job_result(&self, target: &Target, _deployed: &Desired, run: &Run) -> Seen<()> {
        let store = self.layout().job_results(&target.namespace, &target.name, &target.uid, run.seq);
        storage::job_result(&store, run.job_id.as_str())
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
