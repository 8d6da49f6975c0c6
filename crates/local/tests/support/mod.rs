//! A state directory, a launcher and deployments for tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use drey_api::desired::Desired;
use drey_api::kinds::{FlinkDeploymentSpec, FlinkVersion};
use drey_api::options::Options;
use drey_core::decision::Deployment;
use drey_core::observed::{Cluster, ClusterPhase};
use drey_core::{JobId, Restore, Seen};
use drey_engine::launcher::{Launcher, Target};
use drey_local::distribution::{DistributionConfig, Distributions};
use drey_local::java::JavaPlaces;
use drey_local::process_table::{CLUSTER_VARIABLE, family};
use drey_local::record::{ClusterRecord, directories};
use drey_local::state_dir::Layout;
use drey_local::{LocalConfig, LocalLauncher, StateDirectory};
use rustix::process::Signal;

/// A project directory that goes away with the value.
pub(crate) struct Project {
    directory: tempfile::TempDir,
    /// What the launcher finds Flink in.
    pub(crate) distributions: DistributionConfig,
    /// What the launcher finds Java in.
    pub(crate) java: JavaPlaces,
    /// How long processes have to end.
    pub(crate) termination_grace: Duration,
}

impl Project {
    /// An empty project.
    pub(crate) fn new() -> Project {
        let directory = tempfile::tempdir().unwrap();
        let distributions = DistributionConfig {
            cache: directory.path().join("cache"),
            flink_home: None,
            archive: "http://127.0.0.1:9/none".to_owned(),
            python: None,
            pinned: BTreeMap::new(),
        };
        Project {
            directory,
            distributions,
            java: JavaPlaces::of_environment(),
            termination_grace: Duration::from_secs(10),
        }
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Its state directory.
    pub(crate) fn state(&self) -> PathBuf {
        self.path().join(".drey")
    }

    /// A launcher, as after a start of drey.
    pub(crate) async fn open(&self) -> LocalLauncher {
        // The provider may be installed already, by another test of this process.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = LocalConfig {
            state_directory: StateDirectory::open(&self.state()).unwrap(),
            kubeconfig: self.state().join("kubeconfig"),
            working_directory: self.path().to_owned(),
            distributions: Distributions::new(self.distributions.clone(), reqwest::Client::new()),
            java: self.java.clone(),
        };
        LocalLauncher::open_with_grace(config, self.termination_grace).await.unwrap()
    }

    /// A file of this project.
    pub(crate) fn write(&self, name: &str, contents: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        path
    }
}

/// A test that fails leaves no process behind.
impl Drop for Project {
    fn drop(&mut self) {
        for cluster in directories(&Layout::of(&self.state())).unwrap_or_default() {
            let uid = cluster.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
            for process in family(CLUSTER_VARIABLE, &uid, &[]).unwrap_or_default() {
                let _ = process.signal(Signal::KILL);
            }
        }
    }
}

/// The resource that tests are about.
pub(crate) fn target(name: &str) -> Target {
    Target { namespace: "default".into(), name: name.into(), uid: format!("uid-of-{name}").into() }
}

/// A deployment of `job` (the JSON of `spec.job`) with this configuration.
pub(crate) fn deployment(
    version: FlinkVersion,
    job: &serde_json::Value,
    configuration: &[(&str, &str)],
) -> Deployment {
    let spec: FlinkDeploymentSpec =
        serde_json::from_value(serde_json::json!({"flinkVersion": version.as_str(), "job": job})).unwrap();
    let entries = configuration.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Deployment {
        seq: 1,
        generation: 1,
        desired: Arc::new(Desired {
            mode: spec.deployment_mode(),
            spec: Arc::new(spec),
            flink_version: version,
            options: Options::default(),
            parallelism: 1,
            configuration: Arc::new(entries.collect()),
            job_manager_memory_bytes: 768 << 20,
            task_manager_memory_bytes: 1 << 30,
            slots: 1,
            task_manager_replicas: 1,
        }),
        job_id: JobId::new("0123456789abcdef0123456789abcdef"),
        restore: Restore::Empty,
        allow_non_restored_state: false,
    }
}

/// Looks at the cluster until it is as wanted. Fails when it takes too long.
pub(crate) async fn until(
    launcher: &LocalLauncher,
    target: &Target,
    limit: Duration,
    wanted: impl Fn(&Seen<Cluster>) -> bool,
) -> Seen<Cluster> {
    let deadline = Instant::now() + limit;
    loop {
        let seen = launcher.observe(target).await;
        if wanted(&seen) {
            return seen;
        }
        assert!(Instant::now() < deadline, "still {seen:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The cluster is available.
pub(crate) fn available(seen: &Seen<Cluster>) -> bool {
    seen.present().is_some_and(|cluster| cluster.phase == ClusterPhase::Available)
}

/// The one cluster of a launcher, as it is written down.
pub(crate) fn record(launcher: &LocalLauncher) -> ClusterRecord {
    let mut records = launcher.records();
    assert_eq!(records.len(), 1);
    records.remove(0)
}
