//! The specs whose objects are recorded and compared, and what a run of each is decided to be.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use drey_api::defaults::Defaults;
use drey_api::desired::{self, Context};
use drey_api::kinds::{FlinkDeploymentSpec, FlinkVersion};
use drey_core::JobId;
use drey_core::decision::Deployment;
use drey_core::restore::Restore;
use drey_kubernetes::{ClusterIdentity, LoggingFiles};

/// A spec and what is decided for its run.
pub(crate) struct Case {
    /// Name of the file, and of the resource.
    pub(crate) name: String,
    /// What it shows.
    pub(crate) about: String,
    restore: Restore,
    spec: FlinkDeploymentSpec,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    about: String,
    restore: Option<String>,
    spec: FlinkDeploymentSpec,
}

/// Where the files lie.
pub(crate) fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens")
}

/// What Flink's client of a version made of a case.
pub(crate) fn recorded(version: FlinkVersion, name: &str) -> PathBuf {
    directory().join("recorded").join(version.as_str()).join(format!("{name}.json"))
}

/// Every case, by name.
pub(crate) fn cases() -> Vec<Case> {
    let entries = std::fs::read_dir(directory().join("cases")).expect("the cases are in the repository");
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.expect("the directory can be read").path()).collect();
    paths.sort();
    paths.iter().map(|path| case(path)).collect()
}

fn case(path: &Path) -> Case {
    let name = path.file_stem().and_then(|stem| stem.to_str()).expect("cases have names").to_owned();
    let text = std::fs::read_to_string(path).expect("cases can be read");
    let File { about, restore, spec } =
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let restore = match restore.as_deref() {
        None => Restore::Empty,
        Some("last-state") => Restore::LastState,
        Some(path) => Restore::Path(Arc::from(path)),
    };
    Case { name, about, restore, spec }
}

impl Case {
    /// The cluster that it is for.
    pub(crate) fn cluster(&self) -> ClusterIdentity {
        ClusterIdentity {
            namespace: Arc::from("default"),
            name: Arc::from(self.name.as_str()),
            uid: Arc::from("11111111-2222-3333-4444-555555555555"),
        }
    }

    /// A decision to run it on a version of Flink.
    pub(crate) fn deployment(&self, version: FlinkVersion) -> Deployment {
        let spec = FlinkDeploymentSpec { flink_version: Some(version), ..self.spec.clone() };
        let defaults = Defaults::new([].into());
        let context = Context { namespace: "default", name: &self.name, defaults: &defaults, last: None };
        let desired =
            desired::parse(&spec, &context).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let job = self.spec.job.as_ref();
        Deployment {
            seq: 7,
            generation: 5,
            desired: Arc::new(desired),
            job_id: JobId::new("0123456789abcdef0123456789abcdef"),
            restore: self.restore.clone(),
            allow_non_restored_state: job.and_then(|job| job.allow_non_restored_state).unwrap_or(false),
        }
    }
}

/// Logging files that are told apart at a glance.
pub(crate) fn logging() -> LoggingFiles {
    LoggingFiles {
        log4j_console: Some("# log4j\n".to_owned()),
        logback_console: Some("<!-- logback -->\n".to_owned()),
    }
}
