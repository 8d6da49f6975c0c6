//! What laptop mode itself keeps in `.drey/`, beside the clusters: the store, the port and token of the
//! API, the kubeconfig, the log. All of them are readable by their owner alone.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use drey_cli::connection::{KUBECONFIG_FILE, STATE_DIRECTORY};
use drey_cli::failure::{Failure, Kind};

/// Size at which a log is put aside when drey starts, bytes.
const LOG_BYTES_MAX: u64 = 10 * 1024 * 1024;
const TOKEN_BYTES: usize = 32;

/// Paths in one state directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Files {
    root: PathBuf,
}

impl Files {
    /// The files of the state directory below `directory`.
    pub(crate) fn below(directory: &Path) -> Self {
        Self { root: directory.join(STATE_DIRECTORY) }
    }

    /// The files of a state directory.
    pub(crate) fn of(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The state directory.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The database of the API server.
    pub(crate) fn store(&self) -> PathBuf {
        self.root.join("store.sqlite")
    }

    /// The kubeconfig for people and for Flink.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.root.join(KUBECONFIG_FILE)
    }

    /// The log of drey itself.
    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("drey.log")
    }

    /// Port and token of the API. Running Flink processes still use the port that it had before.
    pub(crate) fn api(&self) -> Door {
        Door { port: self.root.join("port"), token: self.root.join("token") }
    }

    /// Port and token of the dashboard.
    pub(crate) fn dashboard(&self) -> Door {
        Door { port: self.root.join("dashboard-port"), token: self.root.join("dashboard-token") }
    }

    /// Writes the kubeconfig.
    pub(crate) fn write_kubeconfig(&self, text: &str) -> Result<(), Failure> {
        write_private(&self.kubeconfig(), text)
    }

    /// Opens the log for appending; a large one is put aside first.
    pub(crate) fn open_log(&self) -> Result<fs::File, Failure> {
        let path = self.log();
        if fs::metadata(&path).is_ok_and(|metadata| metadata.len() > LOG_BYTES_MAX) {
            fs::rename(&path, path.with_extension("log.1")).map_err(|error| failed(&path, &error))?;
        }
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| failed(&path, &error))
    }
}

/// Where a server listens and who is let in, as it was before and will be again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Door {
    port: PathBuf,
    token: PathBuf,
}

impl Door {
    /// The port that it had before.
    pub(crate) fn remembered_port(&self) -> Option<u16> {
        fs::read_to_string(&self.port).ok()?.trim().parse().ok()
    }

    /// Remembers the port.
    pub(crate) fn remember_port(&self, port: u16) -> Result<(), Failure> {
        write_private(&self.port, &format!("{port}\n"))
    }

    /// The token that it had before.
    pub(crate) fn token(&self) -> Option<String> {
        let token = fs::read_to_string(&self.token).ok()?;
        Some(token.trim().to_owned()).filter(|token| token.len() == 2 * TOKEN_BYTES)
    }

    /// The token that it had before, or a new one.
    pub(crate) fn token_or_new(&self) -> Result<String, Failure> {
        if let Some(token) = self.token() {
            return Ok(token);
        }
        let token = random_token().map_err(|error| failed(Path::new("/dev/urandom"), &error))?;
        write_private(&self.token, &format!("{token}\n"))?;
        Ok(token)
    }
}

/// A secret that nobody guesses.
pub(crate) fn random_token() -> io::Result<String> {
    let mut bytes = [0; TOKEN_BYTES];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Writes beside the file and renames, so that a reader finds the old or the new text and never half of one.
fn write_private(path: &Path, text: &str) -> Result<(), Failure> {
    let beside = path.with_extension("new");
    let written =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside).and_then(
            |mut file| {
                file.write_all(text.as_bytes())?;
                file.sync_all()?;
                fs::rename(&beside, path)
            },
        );
    written.map_err(|error| failed(path, &error))
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    let object = path.display().to_string();
    match error.kind() {
        io::ErrorKind::StorageFull => Failure::disk_full().on(object),
        _ => Failure::new(Kind::Failed, error.to_string()).on(object),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_token_stays_and_nobody_else_reads_it() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let door = Files::of(directory.path()).api();
        let token = door.token_or_new().expect("written");
        assert_eq!(token.len(), 64);
        assert_eq!(door.token_or_new(), Ok(token));
        let mode = fs::metadata(&door.token).expect("exists").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn the_port_is_remembered() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let files = Files::of(directory.path());
        assert_eq!(files.api().remembered_port(), None);
        files.api().remember_port(6443).expect("written");
        assert_eq!((files.api().remembered_port(), files.dashboard().remembered_port()), (Some(6443), None));
    }
}
