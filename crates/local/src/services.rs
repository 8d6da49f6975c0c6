//! What all clusters of one drey share: where things are, and who they are.
//!
//! It refuses to know what the clusters do with it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use drey_engine::launcher::Target;
use tokio::sync::broadcast;

use crate::cluster::Cluster;
use crate::distribution::Distributions;
use crate::java::JavaPlaces;
use crate::state_dir::Layout;

/// What all clusters share.
pub(crate) struct Services {
    pub(crate) layout: Layout,
    pub(crate) kubeconfig: PathBuf,
    pub(crate) working_directory: PathBuf,
    pub(crate) distributions: Distributions,
    pub(crate) java: JavaPlaces,
    pub(crate) termination_grace: Duration,
    pub(crate) inherited_environment: Vec<(OsString, OsString)>,
    pub(crate) changes: broadcast::Sender<Target>,
    clusters: Mutex<BTreeMap<String, Arc<Cluster>>>,
}

/// What [`Services`] are made of.
pub(crate) struct Parts {
    pub(crate) layout: Layout,
    pub(crate) kubeconfig: PathBuf,
    pub(crate) working_directory: PathBuf,
    pub(crate) distributions: Distributions,
    pub(crate) java: JavaPlaces,
    pub(crate) termination_grace: Duration,
    pub(crate) inherited_environment: Vec<(OsString, OsString)>,
}

impl Services {
    pub(crate) fn new(parts: Parts) -> Services {
        let (changes, _) = broadcast::channel(crate::limits::CHANGES_CAPACITY);
        Services {
            layout: parts.layout,
            kubeconfig: parts.kubeconfig,
            working_directory: parts.working_directory,
            distributions: parts.distributions,
            java: parts.java,
            termination_grace: parts.termination_grace,
            inherited_environment: parts.inherited_environment,
            changes,
            clusters: Mutex::default(),
        }
    }

    /// Every cluster that is not provably gone.
    pub(crate) fn all(&self) -> Vec<Arc<Cluster>> {
        self.clusters.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The clusters of a resource's name, whichever resource with that name made them.
    pub(crate) fn of(&self, target: &Target) -> Vec<Arc<Cluster>> {
        let same = |cluster: &Arc<Cluster>| {
            cluster.target().namespace == target.namespace && cluster.target().name == target.name
        };
        self.all().into_iter().filter(same).collect()
    }

    pub(crate) fn add(&self, cluster: Arc<Cluster>) {
        let uid = cluster.uid().to_owned();
        self.clusters.lock().unwrap_or_else(PoisonError::into_inner).insert(uid, cluster);
    }

    pub(crate) fn remove(&self, uid: &str) {
        self.clusters.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }

    /// Ports of clusters other than this one.
    pub(crate) fn ports_of_others(&self, uid: &str) -> BTreeSet<u16> {
        let others = self.all().into_iter().filter(|cluster| cluster.uid() != uid);
        others.flat_map(|cluster| [cluster.ports().rest, cluster.ports().rpc]).collect()
    }

    /// Tells listeners to look at a resource soon. That nobody listens is no error.
    pub(crate) fn changed(&self, target: &Target) {
        let _ = self.changes.send(target.clone());
    }
}

/// Now, milliseconds since the epoch.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
