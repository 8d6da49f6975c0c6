//! The fake world: one API server with its own order, one resource, its cluster, Flink, storage, and the ghost that
//! knows everything. Nothing here calls the code under test.

use std::collections::BTreeMap;
use std::sync::Arc;

use drey_api::desired::{Desired, Invalid};
use drey_api::kinds::FlinkJobState;
use drey_core::journal::{Base, Journal};
use drey_core::{JobId, Restore};

use crate::chance::Chance;
use crate::flink::{Flaw, JobManager, Snapshot, SnapshotKind, Store};
use crate::ghost::Ghost;

/// The resource as the API server has it.
#[derive(Clone, Debug)]
pub struct Resource {
    /// `metadata.uid`.
    pub uid: Arc<str>,
    /// `metadata.generation`.
    pub generation: i64,
    /// `metadata.resourceVersion`.
    pub version: u64,
    /// Creation.
    pub created_at_ms: i64,
    /// Deletion was asked for.
    pub deleting: bool,
    /// Our finalizer.
    pub finalizer: bool,
    /// The spec.
    pub spec: Spec,
    /// The status.
    pub status: Arc<Journal>,
}

/// A spec, as the user wrote it.
#[derive(Clone, Debug)]
pub enum Spec {
    /// A valid one.
    Valid(Arc<Desired>),
    /// One that validation refuses.
    Invalid(Arc<Invalid>),
}

/// The JobManager Deployment.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Its uid.
    pub uid: Arc<str>,
    /// Uid of its owner.
    pub owner: Arc<str>,
    /// Being deleted.
    pub terminating: bool,
    /// Intent number annotation.
    pub seq: i64,
    /// Job id annotation.
    pub job_id: JobId,
    /// Generation annotation.
    pub generation: i64,
    /// What it was told to restore.
    pub restore: Restore,
    /// Never available so far.
    pub never_available: bool,
    /// How its spec is broken.
    pub flaw: Flaw,
}

/// How the world is set up: the axes of the schedule.
#[derive(Clone, Debug)]
pub struct Setup {
    /// High availability is configured.
    pub high_availability: bool,
    /// The launcher can list storage.
    pub storage_readable: bool,
    /// Deleting the Deployment lets pods linger.
    pub background_deletion: bool,
    /// Faults per thousand.
    pub fault_permille: u64,
    /// User events per thousand steps.
    pub user_permille: u64,
    /// World events between two operator steps, at most.
    pub bustle: u64,
    /// Savepoints fail in this share of cases, per cent.
    pub savepoint_failure_percent: u64,
    /// Jobs end by themselves.
    pub bounded: bool,
    /// A JobManager whose job has a result is not started again once its process has died, as in laptop mode.
    pub results_end_process: bool,
    /// Every status goes through its spelling.
    pub spelt: bool,
}

/// Uid of the resource, intent number of the deploy, job.
pub type ResultKey = (Arc<str>, i64, JobId);

/// The whole world.
#[derive(Clone, Debug)]
pub struct World {
    /// The time that the operator sees, milliseconds since the epoch.
    pub now_ms: i64,
    /// Choices.
    pub chance: Chance,
    /// Axes.
    pub setup: Setup,
    /// The resource, while it exists.
    pub resource: Option<Resource>,
    /// The Deployment.
    pub cluster: Option<Cluster>,
    /// JobManagers alive, also of clusters whose object is gone.
    pub job_managers: Vec<JobManager>,
    /// High-availability stores.
    pub stores: Vec<Store>,
    /// Uid of the cluster's high-availability ConfigMap and whether it holds a job graph.
    pub cluster_map: Option<(Arc<str>, bool)>,
    /// Job result stores, one for each resource and intent number of a deploy, and how the job ended.
    pub results: BTreeMap<ResultKey, FlinkJobState>,
    /// All snapshots ever.
    pub snapshots: Vec<Snapshot>,
    /// The ghost.
    pub ghost: Ghost,
    /// What happened, in words, when somebody wants to read it.
    pub story: Option<Vec<String>>,
    next_version: u64,
    next_uid: u64,
    next_order: u64,
}

impl World {
    /// An empty world.
    pub fn new(chance: Chance, setup: Setup) -> World {
        World {
            now_ms: 1_000_000,
            chance,
            setup,
            resource: None,
            cluster: None,
            job_managers: Vec::new(),
            stores: Vec::new(),
            cluster_map: None,
            results: BTreeMap::new(),
            snapshots: Vec::new(),
            ghost: Ghost::default(),
            story: None,
            next_version: 1,
            next_uid: 1,
            next_order: 1,
        }
    }

    /// Notes an event for the reader.
    pub fn tell(&mut self, words: impl FnOnce(&World) -> String) {
        if self.story.is_some() {
            let line = format!("{:>8} ms  {}", self.now_ms - 1_000_000, words(self));
            if let Some(story) = &mut self.story {
                story.push(line);
            }
        }
    }

    /// The next resourceVersion.
    pub fn next_version(&mut self) -> u64 {
        self.next_version += 1;
        self.next_version
    }

    /// A new uid.
    pub fn new_uid(&mut self, prefix: &str) -> Arc<str> {
        self.next_uid += 1;
        Arc::from(format!("{prefix}-{}", self.next_uid))
    }

    /// The next place in the order of progress.
    pub fn next_order(&mut self) -> u64 {
        self.next_order += 1;
        self.next_order
    }

    /// Creates the resource.
    pub fn create_resource(&mut self, desired: Arc<Desired>) {
        let uid = self.new_uid("cr");
        let version = self.next_version();
        self.ghost.new_resource();
        self.tell(|_| format!("user creates the resource {uid}"));
        self.ghost.wrote_spec(1, &desired, false);
        self.resource = Some(Resource {
            uid,
            generation: 1,
            version,
            created_at_ms: self.now_ms,
            deleting: false,
            finalizer: false,
            spec: Spec::Valid(desired),
            status: Arc::new(Journal::default()),
        });
    }

    /// Changes the spec.
    pub fn write_spec(&mut self, spec: Spec) {
        let version = self.next_version();
        let Some(resource) = &mut self.resource else { return };
        resource.generation += 1;
        resource.version = version;
        if let Spec::Valid(desired) = &spec {
            self.ghost.wrote_spec(resource.generation, desired, true);
        }
        resource.spec = spec;
    }

    /// The newest of the complete, undisposed snapshots of the present lineage that the job must not fall behind.
    pub fn newest_order(&self) -> Option<u64> {
        let lineage = self.ghost.lineage;
        self.snapshots
            .iter()
            .filter(|snapshot| snapshot.lineage == lineage && snapshot.complete && !snapshot.disposed)
            .filter(|snapshot| self.setup.storage_readable || !self.is_lost_to_flink(snapshot))
            .map(|snapshot| snapshot.order)
            .max()
    }

    /// Nobody was told of it, and Flink itself does not go on from it either.
    fn is_lost_to_flink(&self, snapshot: &Snapshot) -> bool {
        let without = match snapshot.kind {
            SnapshotKind::Checkpoint => false,
            SnapshotKind::Savepoint => true,
            SnapshotKind::StopSavepoint => snapshot.passed_over,
        };
        let run = self.resource.as_ref().and_then(|resource| resource.status.run.as_ref());
        let told = run.and_then(|run| run.newest_savepoint.as_ref());
        let started_from = run.map(|run| &run.base);
        without
            && told.is_none_or(|told| told.path != snapshot.path)
            && !matches!(started_from, Some(Base::Path(path)) if *path == snapshot.path)
    }

    /// The snapshot at a path.
    pub fn snapshot_at(&self, path: &str) -> Option<usize> {
        self.snapshots
            .iter()
            .position(|snapshot| &*snapshot.path == path && snapshot.complete && !snapshot.disposed)
    }

    /// The store of a job.
    pub fn store(&self, job_id: &JobId) -> Option<&Store> {
        self.stores.iter().find(|store| store.job_id == *job_id)
    }
}
