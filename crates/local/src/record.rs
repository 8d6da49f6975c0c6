//! `cluster.json`: everything that is written down about one incarnation of a cluster. A later drey re-adopts the
//! processes from it; other commands read it to find logs and ports.
//!
//! It refuses to know how the processes are looked after.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use drey_api::desired::Desired;
use drey_api::kinds::FlinkVersion;
use serde::{Deserialize, Serialize};

use crate::atomic_file;
use crate::limits;
use crate::process_table::ProcessIdentity;
use crate::state_dir::Layout;

/// Name of the file in a cluster's directory.
pub const RECORD_FILE: &str = "cluster.json";

/// One incarnation of a cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterRecord {
    /// Uid of this incarnation, drawn at random.
    pub uid: String,
    /// `metadata.namespace` of the resource.
    pub namespace: String,
    /// `metadata.name` of the resource, which is also Flink's cluster id.
    pub name: String,
    /// `metadata.uid` of the resource.
    pub owner_uid: String,
    /// Number of the deploy intent.
    pub seq: i64,
    /// Generation of the resource.
    pub generation: i64,
    /// Flink's id of the job.
    pub job_id: String,
    /// Where its state comes from.
    pub restore: RecordedRestore,
    /// Pass `--allowNonRestoredState`.
    pub allow_non_restored_state: bool,
    /// Flink's version with a dot, such as `1.20`.
    pub flink_version: String,
    /// The distribution; absent until it was found.
    pub flink_home: Option<PathBuf>,
    /// The Java; absent until it was found.
    pub java_home: Option<PathBuf>,
    /// `spec.job.jarURI`.
    pub jar_uri: Option<String>,
    /// The jar on this machine; absent until it was found.
    pub jar: Option<PathBuf>,
    /// `spec.job.entryClass`.
    pub entry_class: Option<String>,
    /// `spec.job.args`.
    pub arguments: Vec<String>,
    /// How many TaskManagers there have to be.
    pub task_managers: u32,
    /// Ports on the loopback interface.
    pub ports: Ports,
    /// What the resource asks to configure, before this machine's settings.
    pub configuration: BTreeMap<String, String>,
    /// `spec.logConfiguration`: files beside the configuration.
    pub log_configuration: BTreeMap<String, String>,
    /// Environment of the JobManager's container in the pod template.
    pub job_manager_environment: BTreeMap<String, String>,
    /// Environment of the TaskManagers' container in the pod template.
    pub task_manager_environment: BTreeMap<String, String>,
    /// Its removal has begun.
    pub deleting: bool,
    /// A JobManager of it has answered at least once.
    pub ever_available: bool,
    /// When it was made, milliseconds since the epoch.
    pub created_at_ms: i64,
    /// The processes as they were last started.
    pub processes: BTreeMap<Slot, ProcessRecord>,
}

/// What a cluster is started from, as written down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum RecordedRestore {
    /// Nothing.
    Empty,
    /// A snapshot.
    Path {
        /// Its path or URI.
        path: String,
    },
    /// The newest checkpoint of the high-availability store.
    LastState,
}

/// Ports that one cluster listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ports {
    /// REST interface and Flink's own pages.
    pub rest: u16,
    /// RPC of the JobManager.
    pub rpc: u16,
}

/// A process as it was last started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessRecord {
    /// Who it is.
    pub identity: ProcessIdentity,
    /// When it was started, milliseconds since the epoch.
    pub started_at_ms: i64,
    /// How often this slot has been started.
    pub attempt: u32,
}

/// One of the processes of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Slot {
    /// The JobManager.
    JobManager,
    /// A TaskManager, counted from 1.
    TaskManager(u32),
}

impl ClusterRecord {
    /// Whether Flink takes the jar as an argument; otherwise see [`ClusterDirectory::libraries`].
    pub(crate) fn takes_jars(&self) -> bool {
        self.flink_version.parse::<drey_flink::FlinkVersion>().is_ok_and(|version| version.is_at_least(1, 19))
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Slot::JobManager => f.write_str("jobmanager"),
            Slot::TaskManager(number) => write!(f, "taskmanager-{number}"),
        }
    }
}

impl From<Slot> for String {
    fn from(slot: Slot) -> String {
        slot.to_string()
    }
}

impl TryFrom<String> for Slot {
    type Error = String;

    fn try_from(text: String) -> Result<Slot, String> {
        if text == "jobmanager" {
            return Ok(Slot::JobManager);
        }
        let number = text.strip_prefix("taskmanager-").and_then(|number| number.parse().ok());
        number
            .map(Slot::TaskManager)
            .ok_or_else(|| format!("`{text}` is neither jobmanager nor taskmanager-N"))
    }
}

/// The directory of one incarnation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterDirectory {
    path: PathBuf,
}

impl ClusterDirectory {
    /// The directory at this path.
    pub fn at(path: PathBuf) -> ClusterDirectory {
        ClusterDirectory { path }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `FLINK_CONF_DIR`.
    pub fn configuration(&self) -> PathBuf {
        self.path.join("conf")
    }

    /// Logs: `jobmanager.log`, `jobmanager.out`, `taskmanager-1.log` and so on.
    pub fn logs(&self) -> PathBuf {
        self.path.join("log")
    }

    /// The log4j log of a process.
    pub fn log(&self, slot: Slot) -> PathBuf {
        self.logs().join(format!("{slot}.log"))
    }

    /// What a process printed on stdout and stderr.
    pub fn output(&self, slot: Slot) -> PathBuf {
        self.logs().join(format!("{slot}.out"))
    }

    pub(crate) fn temporary(&self) -> PathBuf {
        self.path.join("tmp")
    }

    /// Links to the jars of the distribution. Flink before 1.19 takes no `--jars`, and looks for the job's jars in
    /// the directory `usrlib` beside its own.
    pub(crate) fn libraries(&self) -> PathBuf {
        self.path.join("lib")
    }

    /// Jars of the job, as they were when the cluster was made.
    pub(crate) fn user_jars(&self) -> PathBuf {
        self.path.join("usrlib")
    }

    pub(crate) fn lock(&self, slot: Slot) -> PathBuf {
        self.path.join("locks").join(slot.to_string())
    }

    /// Everything that has to exist before a process is started.
    pub(crate) fn subdirectories(&self) -> [PathBuf; 5] {
        [self.configuration(), self.logs(), self.temporary(), self.user_jars(), self.path.join("locks")]
    }

    /// Reads what is written down.
    ///
    /// # Errors
    /// When `cluster.json` cannot be read or is not what this drey writes.
    pub fn read(&self) -> io::Result<ClusterRecord> {
        let text = atomic_file::read_bounded(&self.path.join(RECORD_FILE), limits::RECORD_BYTES_MAX)?;
        serde_json::from_slice(&text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    pub(crate) fn write(&self, record: &ClusterRecord) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(record).map_err(io::Error::other)?;
        atomic_file::replace(&self.path.join(RECORD_FILE), &text)
    }
}

/// The directories of all incarnations, of one resource or of all, in the order of their paths. A directory that
/// is being made or removed (its name begins with a dot) is not among them.
///
/// # Errors
/// When a directory cannot be listed.
pub fn directories(layout: &Layout) -> io::Result<Vec<ClusterDirectory>> {
    let mut found = Vec::new();
    for namespace in visible_children(&layout.clusters())? {
        for name in visible_children(&namespace)? {
            found.extend(visible_children(&name)?.into_iter().map(ClusterDirectory::at));
        }
    }
    Ok(found)
}

/// Subdirectories whose names do not begin with a dot; none when the directory is not there.
pub(crate) fn visible_children(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut children = Vec::new();
    for entry in entries {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with('.') && entry.file_type()?.is_dir() {
            children.push(entry.path());
        }
    }
    children.sort();
    Ok(children)
}

/// The version as its own configuration file wants it.
pub(crate) fn flink_version(version: FlinkVersion) -> drey_flink::FlinkVersion {
    let number = |number: u32| u16::try_from(number).expect("Flink's version numbers are below 100");
    drey_flink::FlinkVersion::new(number(version.major()), number(version.minor()))
}

/// Plain variables (`name` and `value`) of the container `flink-main-container` in the pod templates, the more
/// specific template last. What comes from Secrets or fields of the pod has no meaning on this machine.
pub(crate) fn container_environment(templates: &[Option<&serde_json::Value>]) -> BTreeMap<String, String> {
    let mut environment = BTreeMap::new();
    for template in templates.iter().flatten() {
        let containers = template.pointer("/spec/containers").and_then(serde_json::Value::as_array);
        let main =
            containers.into_iter().flatten().filter(|container| container["name"] == "flink-main-container");
        for variable in main.filter_map(|container| container["env"].as_array()).flatten() {
            if let (Some(name), Some(value)) = (variable["name"].as_str(), variable["value"].as_str()) {
                environment.insert(name.to_owned(), value.to_owned());
            }
        }
    }
    environment
}

/// The pod templates that count for the JobManager and for TaskManagers.
pub(crate) fn environments(desired: &Desired) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let spec = &desired.spec;
    let shared = spec.pod_template.as_ref();
    let job_manager = spec.job_manager.as_ref().and_then(|manager| manager.pod_template.as_ref());
    let task_manager = spec.task_manager.as_ref().and_then(|manager| manager.pod_template.as_ref());
    (container_environment(&[shared, job_manager]), container_environment(&[shared, task_manager]))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn record() -> ClusterRecord {
        ClusterRecord {
            uid: "0b1c".to_owned(),
            namespace: "default".to_owned(),
            name: "counter".to_owned(),
            owner_uid: "owner".to_owned(),
            seq: 3,
            generation: 2,
            job_id: "00000000000000000000000000000001".to_owned(),
            restore: RecordedRestore::Path { path: "file:/s".to_owned() },
            allow_non_restored_state: false,
            flink_version: "1.20".to_owned(),
            flink_home: None,
            java_home: None,
            jar_uri: None,
            jar: None,
            entry_class: None,
            arguments: vec!["--a".to_owned()],
            task_managers: 1,
            ports: Ports { rest: 1, rpc: 2 },
            configuration: BTreeMap::new(),
            log_configuration: BTreeMap::new(),
            job_manager_environment: BTreeMap::new(),
            task_manager_environment: BTreeMap::new(),
            deleting: false,
            ever_available: false,
            created_at_ms: 5,
            processes: BTreeMap::new(),
        }
    }

    #[test]
    fn a_record_reads_as_it_was_written() {
        let directory = tempfile::tempdir().unwrap();
        let cluster = ClusterDirectory::at(directory.path().to_owned());
        let mut written = record();
        let identity = ProcessIdentity { pid: 7, started: "12".to_owned(), boot_id: "b".to_owned() };
        for slot in [Slot::JobManager, Slot::TaskManager(12)] {
            let process = ProcessRecord { identity: identity.clone(), started_at_ms: 1, attempt: 2 };
            written.processes.insert(slot, process);
        }
        cluster.write(&written).unwrap();
        assert_eq!(cluster.read().unwrap(), written);
    }

    #[test]
    fn variables_of_the_main_container_are_taken_the_specific_template_last() {
        let template = |value: &str| {
            serde_json::json!({"spec": {"containers": [
                {"name": "sidecar", "env": [{"name": "A", "value": "no"}]},
                {"name": "flink-main-container", "env": [
                    {"name": "A", "value": value},
                    {"name": "S", "valueFrom": {"secretKeyRef": {"name": "x", "key": "y"}}}
                ]}
            ]}})
        };
        let (shared, specific) = (template("1"), template("2"));
        let environment = container_environment(&[Some(&shared), None, Some(&specific)]);
        assert_eq!(environment, BTreeMap::from([("A".to_owned(), "2".to_owned())]));
    }
}
