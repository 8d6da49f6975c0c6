//! The ledger job as a manifest that can be edited, and its output as something that must stay whole.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use drey_testbed::ledger::{self, LedgerReport};
use serde_json::{Value, json};

/// Name of the deployment, where there is one.
pub(crate) const NAME: &str = "ledger";

/// Where the job runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Site {
    /// In laptop mode, which chooses storage.
    Laptop,
    /// On a cluster.
    Cluster {
        /// `spec.mode`.
        mode: String,
        /// A directory that every pod sees.
        storage: PathBuf,
    },
}

/// The manifest.
#[derive(Clone, Debug)]
pub(crate) struct LedgerJob {
    /// Name of the deployment.
    pub(crate) name: String,
    /// Where it runs.
    pub(crate) site: Site,
    /// `v1_20` and so on.
    pub(crate) flink_version: String,
    /// The jar of the examples.
    pub(crate) jar: PathBuf,
    /// Where it writes.
    pub(crate) output: PathBuf,
    /// Numbers per second.
    pub(crate) rate: u32,
    /// `spec.job.parallelism`.
    pub(crate) parallelism: u32,
    /// `spec.job.upgradeMode`.
    pub(crate) upgrade_mode: &'static str,
    /// `spec.job.entryClass`.
    pub(crate) entry_class: &'static str,
    /// `spec.job.state`.
    pub(crate) state: &'static str,
    /// `spec.restartNonce`.
    pub(crate) restart_nonce: Option<i64>,
    /// `spec.job.initialSavepointPath` and `savepointRedeployNonce`.
    pub(crate) redeploy: Option<(String, i64)>,
    /// More of `spec.flinkConfiguration`.
    pub(crate) configuration: Vec<(&'static str, &'static str)>,
}

/// The class that writes the ledger.
pub(crate) const ENTRY_CLASS: &str = "drey.examples.Ledger";

impl LedgerJob {
    /// A job that upgrades by savepoint.
    pub(crate) fn new(flink: &str, jar: &Path, output: PathBuf) -> Self {
        Self {
            name: NAME.to_owned(),
            site: Site::Laptop,
            flink_version: format!("v{}", flink.replace('.', "_")),
            jar: jar.to_owned(),
            output,
            rate: 200,
            parallelism: 1,
            upgrade_mode: "savepoint",
            entry_class: ENTRY_CLASS,
            state: "running",
            restart_nonce: None,
            redeploy: None,
            configuration: Vec::new(),
        }
    }

    /// The object to apply.
    pub(crate) fn manifest(&self) -> Value {
        let mut configuration = json!({
            "execution.checkpointing.interval": "2 s",
            "taskmanager.numberOfTaskSlots": "2",
            "jobmanager.memory.enable-jvm-direct-memory-limit": "false",
        });
        for (key, value) in &self.configuration {
            configuration[*key] = json!(value);
        }
        let mut manifest = json!({
            "apiVersion": "flink.apache.org/v1beta1",
            "kind": "FlinkDeployment",
            "metadata": {"name": self.name},
            "spec": {
                "flinkVersion": self.flink_version,
                "image": "flink",
                "serviceAccount": "flink",
                "flinkConfiguration": configuration,
                "jobManager": {"resource": {"cpu": 0.5, "memory": "768m"}},
                "taskManager": {"resource": {"cpu": 0.5, "memory": "1g"}},
                "job": {
                    "jarURI": format!("file://{}", self.jar.display()),
                    "entryClass": self.entry_class,
                    "args": ["--rate", self.rate.to_string(), "--output", self.output.display().to_string()],
                    "parallelism": self.parallelism,
                    "upgradeMode": self.upgrade_mode,
                    "state": self.state,
                },
            },
        });
        if let Some(nonce) = self.restart_nonce {
            manifest["spec"]["restartNonce"] = json!(nonce);
        }
        if let Some((path, nonce)) = &self.redeploy {
            manifest["spec"]["job"]["initialSavepointPath"] = json!(path);
            manifest["spec"]["job"]["savepointRedeployNonce"] = json!(nonce);
        }
        if let Site::Cluster { mode, storage } = &self.site {
            place_on_cluster(&mut manifest, mode, storage, &self.flink_version);
        }
        manifest
    }

    /// The directory of its savepoints on the cluster's storage.
    pub(crate) fn savepoint_directory(&self) -> Option<PathBuf> {
        match &self.site {
            Site::Laptop => None,
            Site::Cluster { storage, .. } => Some(storage.join("savepoints")),
        }
    }

    /// How many complete savepoints there are on the cluster's storage.
    pub(crate) fn savepoints(&self) -> Result<usize> {
        self.savepoint_directory().map_or(Ok(0), |directory| complete_below(&directory))
    }

    /// What it has written so far; none before the first file.
    pub(crate) fn report(&self) -> Result<LedgerReport> {
        if !self.output.is_dir() {
            return Ok(LedgerReport::default());
        }
        ledger::check(&self.output).with_context(|| self.output.display().to_string())
    }
}

/// What a cluster does not choose by itself: image, storage, high availability, and a volume for both.
fn place_on_cluster(manifest: &mut Value, mode: &str, storage: &Path, flink_version: &str) {
    let spec = &mut manifest["spec"];
    let minor = flink_version.trim_start_matches('v').replace('_', ".");
    spec["mode"] = json!(mode);
    spec["image"] = json!(format!("flink:{minor}"));
    spec["job"]["jarURI"] = json!("local:///opt/flink/usrlib/examples.jar");
    let below = |directory: &str| json!(format!("file://{}", storage.join(directory).display()));
    let configuration = &mut spec["flinkConfiguration"];
    configuration["high-availability.type"] = json!("kubernetes");
    configuration["high-availability.storageDir"] = below("ha");
    configuration["state.checkpoints.dir"] = below("checkpoints");
    configuration["state.savepoints.dir"] = below("savepoints");
    spec["podTemplate"] = json!({
        "spec": {
            "containers": [{
                "name": "flink-main-container",
                "volumeMounts": [{ "name": "storage", "mountPath": storage }],
            }],
            "volumes": [{ "name": "storage", "hostPath": { "path": storage, "type": "Directory" } }],
        },
    });
}

/// Directories with a `_metadata`, at any depth.
fn complete_below(directory: &Path) -> Result<usize> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Ok(0) };
    let mut complete = usize::from(directory.join("_metadata").is_file());
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            complete += complete_below(&path)?;
        }
    }
    Ok(complete)
}

/// Fails unless nothing is missing, repeated or misplaced.
pub(crate) fn must_be_whole(report: &LedgerReport) -> Result<()> {
    ensure!(report.is_whole(), "the ledger is not whole: {report}");
    Ok(())
}
