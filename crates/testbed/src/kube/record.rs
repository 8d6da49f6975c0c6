//! What is known of the clusters on this machine: a directory for each, with a record of who made it, its network and
//! its processes. Processes are named by pid and start time, so that no other one is ever taken for them.
//!
//! It refuses to start anything.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use drey_local::process_table::ProcessIdentity;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::certificates::Papers;
use super::control_plane::api_server;
use super::error::KubeError;
use super::guardian::Guardian;
use super::network::{CLUSTERS_MAX, Network};

/// Where the clusters of this machine are. Bridges belong to the machine, and so does this.
const RUNTIME_DIRECTORY: &str = "/run/drey-kube";
/// The record in the directory of a cluster.
const RECORD: &str = "cluster.json";
/// Longest name of a cluster.
const NAME_CHARACTERS_MAX: usize = 40;

/// A cluster, as it is written down.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Its name.
    pub name: String,
    /// Its network.
    pub network: Network,
    /// The process with which it ends; `None` when it stays until it is taken away.
    pub owner: Option<ProcessIdentity>,
    /// The process that takes it away when the owner is gone.
    pub guardian: Option<ProcessIdentity>,
    /// Its own processes.
    pub processes: Vec<RecordedProcess>,
}

/// A process of a cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordedProcess {
    /// Which one.
    pub name: String,
    /// Who it is.
    pub identity: ProcessIdentity,
}

impl Record {
    /// The clusters of this machine, by name.
    ///
    /// # Errors
    /// When the directory or a record cannot be read.
    pub fn all() -> Result<Vec<Record>, KubeError> {
        let mut records = Vec::new();
        for name in names()? {
            records.extend(read(&name)?);
        }
        Ok(records)
    }

    /// The cluster of this name.
    ///
    /// # Errors
    /// When there is none, or its record cannot be read.
    pub fn named(name: &str) -> Result<Record, KubeError> {
        check_name(name)?;
        read(name)?.ok_or_else(|| KubeError::Absent(name.to_owned()))
    }

    /// Its directory.
    pub fn directory(&self) -> PathBuf {
        directory_of(&self.name)
    }

    /// The kubeconfig of its administrator.
    pub fn kubeconfig(&self) -> PathBuf {
        Papers::at(&self.directory()).admin_kubeconfig()
    }

    /// Where its API server listens.
    pub fn api_server(&self) -> std::net::SocketAddr {
        api_server(&self.network)
    }

    /// Takes the cluster away, whoever owns it, and looks whether anything is left.
    ///
    /// # Errors
    /// When something of it is still there afterwards.
    pub fn remove(&self) -> Result<(), KubeError> {
        drop(Guardian::start(&self.network.bridge, &self.directory())?);
        let left = self.left()?;
        if left.is_empty() {
            return Ok(());
        }
        Err(KubeError::Left { name: self.name.clone(), left: left.join(", ") })
    }

    /// What there is of it: processes, the bridge, the directory.
    ///
    /// # Errors
    /// When the process table cannot be read.
    pub fn left(&self) -> Result<Vec<String>, KubeError> {
        let mut left = Vec::new();
        for process in &self.processes {
            if process.identity.is_alive().map_err(KubeError::file("/proc"))? {
                left.push(format!("{} with pid {}", process.name, process.identity.pid));
            }
        }
        if self.network.is_there() && !self.is_bridge_of_another()? {
            left.push(format!("bridge {}", self.network.bridge));
        }
        if self.directory().exists() {
            left.push(self.directory().display().to_string());
        }
        Ok(left)
    }

    /// Numbers are given again, and a record is there before its bridge.
    fn is_bridge_of_another(&self) -> Result<bool, KubeError> {
        let another = |other: &Record| other.name != self.name && other.network == self.network;
        Ok(Record::all()?.iter().any(another))
    }

    /// Writes it down, whole or not at all.
    pub(super) fn write(&self) -> Result<(), KubeError> {
        let path = self.directory().join(RECORD);
        let staged = self.directory().join(format!("{RECORD}.new"));
        let text = serde_json::to_string_pretty(self).expect("a record has only texts as keys");
        fs::write(&staged, text).map_err(KubeError::file(&staged))?;
        fs::rename(&staged, &path).map_err(KubeError::file(path))
    }

    /// Whether nobody is left who would take it away.
    fn is_orphaned(&self) -> Result<bool, KubeError> {
        let Some(owner) = &self.owner else { return Ok(false) };
        for keeper in std::iter::once(owner).chain(&self.guardian) {
            if keeper.is_alive().map_err(KubeError::file("/proc"))? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Makes the directory, the record and the bridge of a new cluster, with the first number that is free.
pub(super) fn claim(name: &str, owner: ProcessIdentity) -> Result<(Record, Guardian), KubeError> {
    check_name(name)?;
    let _lock = lock()?;
    sweep()?;
    let directory = directory_of(name);
    if directory.exists() {
        return Err(KubeError::Exists(name.to_owned()));
    }
    let network = free_network()?;
    fs::create_dir(&directory).map_err(KubeError::file(&directory))?;
    let guardian = Guardian::start(&network.bridge, &directory)?;
    let name = name.to_owned();
    let guardian_identity = guardian.identity()?;
    let record =
        Record { name, network, owner: Some(owner), guardian: guardian_identity, processes: Vec::new() };
    record.write()?;
    record.network.make()?;
    Ok((record, guardian))
}

/// Takes away what was left by owners that are gone together with their guardians.
fn sweep() -> Result<(), KubeError> {
    for name in names()? {
        match read(&name)? {
            Some(record) if record.is_orphaned()? => record.remove()?,
            Some(_) => {}
            // Whoever made it has died before it made anything else.
            None => remove_remains(&directory_of(&name))?,
        }
    }
    Ok(())
}

fn remove_remains(directory: &Path) -> Result<(), KubeError> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(KubeError::file(directory)(error)),
        // Its guardian may be at it too.
        Ok(()) | Err(_) => Ok(()),
    }
}

fn free_network() -> Result<Network, KubeError> {
    for number in 0..CLUSTERS_MAX {
        let network = Network::numbered(number);
        if network.is_free()? {
            return Ok(network);
        }
    }
    Err(KubeError::Full(CLUSTERS_MAX))
}

/// One cluster is made at a time.
fn lock() -> Result<File, KubeError> {
    let path = Path::new(RUNTIME_DIRECTORY).join(".lock");
    fs::create_dir_all(RUNTIME_DIRECTORY).map_err(KubeError::file(RUNTIME_DIRECTORY))?;
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(KubeError::file(&path))?;
    flock(&file, FlockOperation::LockExclusive).map_err(|error| KubeError::file(path)(error.into()))?;
    Ok(file)
}

fn names() -> Result<Vec<String>, KubeError> {
    let entries = match fs::read_dir(RUNTIME_DIRECTORY) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(KubeError::file(RUNTIME_DIRECTORY)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(KubeError::file(RUNTIME_DIRECTORY))?;
        names.extend(entry.file_name().into_string().ok().filter(|name| check_name(name).is_ok()));
    }
    names.sort();
    Ok(names)
}

/// `None` when there is no record.
fn read(name: &str) -> Result<Option<Record>, KubeError> {
    let path = directory_of(name).join(RECORD);
    match fs::read(&path) {
        Ok(bytes) => {
            let record = serde_json::from_slice(&bytes);
            record.map(Some).map_err(|error| KubeError::file(path)(error.into()))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(KubeError::file(path)(error)),
    }
}

fn directory_of(name: &str) -> PathBuf {
    Path::new(RUNTIME_DIRECTORY).join(name)
}

fn check_name(name: &str) -> Result<(), KubeError> {
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !name.is_empty() && name.len() <= NAME_CHARACTERS_MAX && name.bytes().all(known) {
        return Ok(());
    }
    Err(KubeError::Name(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_directories() {
        for name in ["drey", "test-12-3"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", ".", "..", "a/b", ".lock", "Ä", &"a".repeat(41)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
