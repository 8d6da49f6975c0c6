//! The directory `.drey`: what lies where in it, who may use it and of which version it is.
//!
//! ```text
//! .drey/
//!   version                                   layout number
//!   lock                                      held by the one drey that works here; contains its pid
//!   clusters/<namespace>/<name>/<uid>/        one incarnation of a cluster: cluster.json, conf, log, tmp, locks
//!   logs/<namespace>/<name>/<when>-<uid>/     logs of ended incarnations
//!   high-availability/<namespace>/            what Flink's high availability keeps beside its ConfigMaps
//!   checkpoints/<namespace>/<name>/           default of `execution.checkpointing.dir`
//!   savepoints/<namespace>/<name>/            default of `execution.checkpointing.savepoint-dir`
//!   job-results/<namespace>/<name>/<owner>/<seq>/   Flink's job result store, one directory for each deploy
//! ```
//! It refuses to know the API server's store and other things that share the directory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::fs::{FlockOperation, flock};

use crate::{atomic_file, limits};

/// Number of the layout that this drey writes.
pub const LAYOUT_VERSION: u32 = 1;

/// Why a state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateDirectoryError {
    /// Another drey works in it.
    #[error(
        "`{path}` is in use by the drey with pid {pid}: apply to that one with `drey apply -f`, or end it with `drey down`"
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Pid of the holder as it wrote it, `?` when it has not written it yet.
        pid: String,
    },
    /// It was written by a newer drey.
    #[error(
        "`{path}` has layout {found}, this drey knows layouts up to {LAYOUT_VERSION}: install the newer drey, or use another directory"
    )]
    Newer {
        /// The directory.
        path: PathBuf,
        /// Its layout number.
        found: u32,
    },
    /// `version` holds no number.
    #[error(
        "`{path}` does not hold a layout number but `{found}`: restore it, or remove the directory around it"
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its beginning.
        found: String,
    },
    /// Other users could replace files in it.
    #[error("`{path}` can be written by every user: run `chmod o-w {path}`, or use another directory")]
    WorldWritable {
        /// The directory, or a parent without the sticky bit.
        path: PathBuf,
    },
    /// It belongs to another user.
    #[error("`{path}` belongs to the user with id {owner}: use a directory of your own")]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Its owner's user id.
        owner: u32,
    },
    /// Reading or writing failed.
    #[error("`{path}`: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A state directory that this process alone works in, until the value is dropped.
#[derive(Debug)]
pub struct StateDirectory {
    layout: Layout,
    /// The lock is the open file description: it goes with it, also when this process is killed.
    _lock: File,
}

impl StateDirectory {
    /// Creates the directory if it is not there, and takes its lock.
    ///
    /// # Errors
    /// See [`StateDirectoryError`].
    pub fn open(root: &Path) -> Result<StateDirectory, StateDirectoryError> {
        let io_at = |path: &Path, source| StateDirectoryError::Io { path: path.to_owned(), source };
        atomic_file::create_private_directory(root).map_err(|source| io_at(root, source))?;
        let root = root.canonicalize().map_err(|source| io_at(root, source))?;
        check_owner(&root)?;
        let lock = take_lock(&root)?;
        refuse_unknown_layout(&root)?;
        let version = format!("{LAYOUT_VERSION}\n");
        for (name, text) in [("version", version.as_str()), (".gitignore", "*\n")] {
            let path = root.join(name);
            if !path.exists() {
                atomic_file::replace(&path, text.as_bytes()).map_err(|source| io_at(&path, source))?;
            }
        }
        Ok(StateDirectory { layout: Layout { root }, _lock: lock })
    }

    /// What lies where.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }
}

/// Refuses a directory whose layout this drey does not know.
///
/// # Errors
/// [`StateDirectoryError::Newer`], or a version that cannot be read.
pub fn refuse_unknown_layout(root: &Path) -> Result<(), StateDirectoryError> {
    let path = root.join("version");
    let written = match fs::read_to_string(&path) {
        Ok(written) => written,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(StateDirectoryError::Io { path, source }),
    };
    match written.trim().parse::<u32>() {
        Ok(found) if found > LAYOUT_VERSION => {
            Err(StateDirectoryError::Newer { path: root.to_owned(), found })
        }
        Ok(_) => Ok(()),
        Err(_) => Err(StateDirectoryError::Version { path, found: written.chars().take(40).collect() }),
    }
}

/// What the lock file of a directory says about its holder: the pid of a drey that works there now.
pub fn holder(root: &Path) -> Option<u32> {
    let path = root.join("lock");
    let file = File::open(&path).ok()?;
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => None,
        Err(_) => fs::read_to_string(path).ok()?.trim().parse().ok(),
    }
}

fn check_owner(root: &Path) -> Result<(), StateDirectoryError> {
    let io_at = |path: &Path, source| StateDirectoryError::Io { path: path.to_owned(), source };
    let metadata = fs::metadata(root).map_err(|source| io_at(root, source))?;
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(StateDirectoryError::Foreign { path: root.to_owned(), owner: metadata.uid() });
    }
    if metadata.mode() & 0o002 != 0 {
        return Err(StateDirectoryError::WorldWritable { path: root.to_owned() });
    }
    // Without the sticky bit everybody could put another directory in the place of this one.
    if let Some(parent) = root.parent() {
        let mode = fs::metadata(parent).map_err(|source| io_at(parent, source))?.mode();
        if mode & 0o002 != 0 && mode & 0o1000 == 0 {
            return Err(StateDirectoryError::WorldWritable { path: parent.to_owned() });
        }
    }
    Ok(())
}

fn take_lock(root: &Path) -> Result<File, StateDirectoryError> {
    let path = root.join("lock");
    let io_error = |source: io::Error| StateDirectoryError::Io { path: path.clone(), source };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(io_error)?;
    if !try_for_a_while(&file).map_err(io_error)? {
        let written = fs::read_to_string(&path).unwrap_or_default();
        let pid = if written.trim().is_empty() { "?".to_owned() } else { written.trim().to_owned() };
        return Err(StateDirectoryError::InUse { path: root.to_owned(), pid });
    }
    file.set_len(0).map_err(io_error)?;
    writeln!(file, "{}", std::process::id()).map_err(io_error)?;
    Ok(file)
}

/// A process that a former holder was about to start when it ended holds the lock until it runs a program of its
/// own: moments. Another drey holds it for longer.
fn try_for_a_while(file: &File) -> io::Result<bool> {
    let deadline = Instant::now() + limits::LOCK_PATIENCE;
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(true),
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < deadline => {
                std::thread::sleep(limits::TERMINATION_POLL);
            }
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Paths in a state directory. Namespaces and names are DNS labels or subdomains, so that each is one path
/// component; [`is_path_component`] says whether a text is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout of a directory that is not opened, for readers.
    pub fn of(root: &Path) -> Layout {
        Layout { root: root.to_owned() }
    }

    /// The state directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// All clusters.
    pub fn clusters(&self) -> PathBuf {
        self.root.join("clusters")
    }

    /// The incarnations of one resource's cluster.
    pub fn incarnations(&self, namespace: &str, name: &str) -> PathBuf {
        self.clusters().join(namespace).join(name)
    }

    /// Logs of ended incarnations of one resource.
    pub fn ended_logs(&self, namespace: &str, name: &str) -> PathBuf {
        self.root.join("logs").join(namespace).join(name)
    }

    /// Default of `high-availability.storageDir`.
    pub fn high_availability(&self, namespace: &str) -> PathBuf {
        self.root.join("high-availability").join(namespace)
    }

    /// Default of `execution.checkpointing.dir`.
    pub fn checkpoints(&self, namespace: &str, name: &str) -> PathBuf {
        self.root.join("checkpoints").join(namespace).join(name)
    }

    /// Default of `execution.checkpointing.savepoint-dir`.
    pub fn savepoints(&self, namespace: &str, name: &str) -> PathBuf {
        self.root.join("savepoints").join(namespace).join(name)
    }

    /// `job-result-store.storage-path` of the cluster that the deploy intent `seq` made.
    pub fn job_results(&self, namespace: &str, name: &str, owner_uid: &str, seq: i64) -> PathBuf {
        self.root.join("job-results").join(namespace).join(name).join(owner_uid).join(seq.to_string())
    }
}

/// Whether a text can stand for one directory, and for no other than the one with this name.
pub fn is_path_component(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 253
        && !text.starts_with('.')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_second_opener_is_told_the_pid_of_the_first() {
        let parent = tempfile::tempdir().unwrap();
        let root = parent.path().join(".drey");
        let first = StateDirectory::open(&root).unwrap();
        assert_eq!(holder(&root), Some(std::process::id()));
        let error = StateDirectory::open(&root).unwrap_err().to_string();
        assert!(error.contains(&format!("pid {}", std::process::id())), "{error}");
        drop(first);
        assert_eq!(holder(&root), None);
        StateDirectory::open(&root).unwrap();
        assert_eq!(fs::metadata(&root).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_newer_or_broken_version_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let root = parent.path().join(".drey");
        drop(StateDirectory::open(&root).unwrap());
        fs::write(root.join("version"), "2\n").unwrap();
        assert!(matches!(StateDirectory::open(&root), Err(StateDirectoryError::Newer { found: 2, .. })));
        fs::write(root.join("version"), "what").unwrap();
        assert!(matches!(StateDirectory::open(&root), Err(StateDirectoryError::Version { .. })));
    }

    #[test]
    fn a_directory_open_to_everybody_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let root = parent.path().join(".drey");
        fs::create_dir(&root).unwrap();
        fs::set_permissions(&root, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(StateDirectory::open(&root), Err(StateDirectoryError::WorldWritable { .. })));
        fs::set_permissions(&root, fs::Permissions::from_mode(0o700)).unwrap();
        fs::set_permissions(parent.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(StateDirectory::open(&root), Err(StateDirectoryError::WorldWritable { .. })));
        fs::set_permissions(parent.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        StateDirectory::open(&root).unwrap();
    }

    #[test]
    fn only_plain_names_become_directories() {
        for good in ["a", "word-count", "a.b", "4f"] {
            assert!(is_path_component(good), "{good}");
        }
        for bad in ["", ".", "..", ".hidden", "a/b", "a b", "ä"] {
            assert!(!is_path_component(bad), "{bad}");
        }
    }
}
