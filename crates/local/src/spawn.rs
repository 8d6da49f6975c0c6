//! Starts a process that outlives drey: a session of its own, nothing to read, output to a file.
//!
//! Its standard input is a lock file. The lock belongs to the open file, not to a process, so it is held exactly
//! as long as any process of the family keeps its standard input, and there is no moment, not even between
//! starting the process and writing down its pid, at which a crash of drey could make it look free.
//!
//! It refuses to know what is started.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use process_wrap::tokio::{ChildWrapper, CommandWrap, ProcessSession};
use rustix::fs::{FlockOperation, flock};

use crate::process_table::ProcessIdentity;

/// What to start.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    /// The program.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) arguments: Vec<OsString>,
    /// Its whole environment.
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// Where relative paths begin.
    pub(crate) working_directory: PathBuf,
    /// Where stdout and stderr are appended.
    pub(crate) output: PathBuf,
    /// The lock file.
    pub(crate) lock: PathBuf,
}

/// A started process.
#[derive(Debug)]
pub(crate) struct Spawned {
    /// To be waited for.
    pub(crate) child: Box<dyn ChildWrapper>,
    /// Who it is; `None` when it had ended before it could be looked at.
    pub(crate) identity: Option<ProcessIdentity>,
}

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpawnError {
    /// A process that was started with this lock is alive.
    #[error("a process that holds `{0}` is still alive")]
    Occupied(PathBuf),
    /// The system refused.
    #[error("`{path}`: {source}")]
    Io {
        /// The file that was opened or started.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Starts a process. Must be called inside a Tokio runtime.
pub(crate) fn spawn(launch: &Launch) -> Result<Spawned, SpawnError> {
    let io_at = |path: &Path, source| SpawnError::Io { path: path.to_owned(), source };
    let lock = open_lock(&launch.lock).map_err(|source| io_at(&launch.lock, source))?;
    if !try_lock(&lock).map_err(|source| io_at(&launch.lock, source))? {
        return Err(SpawnError::Occupied(launch.lock.clone()));
    }
    let output = open_output(&launch.output).map_err(|source| io_at(&launch.output, source))?;
    let errors = output.try_clone().map_err(|source| io_at(&launch.output, source))?;
    let mut command = CommandWrap::with_new(&launch.program, |command| {
        command
            .args(&launch.arguments)
            .env_clear()
            .envs(launch.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&launch.working_directory)
            .stdin(Stdio::from(lock))
            .stdout(Stdio::from(output))
            .stderr(Stdio::from(errors))
            .kill_on_drop(false);
    });
    command.wrap(ProcessSession);
    let child = command.spawn().map_err(|source| io_at(&launch.program, source))?;
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
    let identity = match pid {
        Some(pid) => ProcessIdentity::of(pid).map_err(|source| io_at(&launch.program, source))?,
        None => None,
    };
    // The wrapper would wait for the whole group; exits of the leader are what counts.
    Ok(Spawned { child: child.into_inner(), identity })
}

/// Whether no process that was started with this lock is alive.
pub(crate) fn is_free(lock: &Path) -> io::Result<bool> {
    match File::open(lock) {
        Ok(file) => try_lock(&file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn open_output(path: &Path) -> io::Result<File> {
    // Appending, so that the file can be cut while it is written to.
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

fn try_lock(file: &File) -> io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::Signal;

    fn launch(directory: &Path, script: &str) -> Launch {
        Launch {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            environment: vec![("PATH".into(), std::env::var_os("PATH").unwrap())],
            working_directory: directory.to_owned(),
            output: directory.join("out"),
            lock: directory.join("lock"),
        }
    }

    #[tokio::test]
    async fn a_process_holds_its_lock_until_its_last_descendant_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let launch = launch(directory.path(), "exec 3<&0; sleep 60 <&3 & echo $!; wait");
        let mut spawned = spawn(&launch).unwrap();
        assert!(matches!(spawn(&launch), Err(SpawnError::Occupied(_))));
        let identity = spawned.identity.clone().unwrap();
        let session = rustix::process::getsid(rustix::process::Pid::from_raw(identity.pid)).unwrap();
        assert_eq!(session.as_raw_nonzero().get(), identity.pid);
        let descendant = loop {
            let text = std::fs::read_to_string(&launch.output).unwrap();
            if let Some(pid) = text.strip_suffix('\n') {
                break ProcessIdentity::of(pid.parse().unwrap()).unwrap().unwrap();
            }
            tokio::task::yield_now().await;
        };
        identity.signal(Signal::KILL).unwrap();
        spawned.child.wait().await.unwrap();
        assert!(!is_free(&launch.lock).unwrap());
        descendant.signal(Signal::KILL).unwrap();
        while !is_free(&launch.lock).unwrap() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn nothing_of_our_environment_or_input_reaches_it() {
        let directory = tempfile::tempdir().unwrap();
        let launch = launch(directory.path(), "cat; env | grep -c CARGO; pwd -P");
        let mut spawned = spawn(&launch).unwrap();
        spawned.child.wait().await.unwrap();
        let expected = format!("0\n{}\n", directory.path().canonicalize().unwrap().display());
        assert_eq!(std::fs::read_to_string(&launch.output).unwrap(), expected);
    }

    #[tokio::test]
    async fn a_missing_program_is_an_error_and_leaves_the_lock_free() {
        let directory = tempfile::tempdir().unwrap();
        let launch = Launch { program: "/nonexistent/flink".into(), ..launch(directory.path(), "") };
        assert!(spawn(&launch).unwrap_err().to_string().contains("/nonexistent/flink"));
        // What another test forks at this moment has a copy of the lock until it runs its program.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
        while !is_free(&launch.lock).unwrap() {
            assert!(std::time::Instant::now() < deadline, "the lock is not free");
            tokio::time::sleep(crate::limits::TERMINATION_POLL).await;
        }
    }
}
