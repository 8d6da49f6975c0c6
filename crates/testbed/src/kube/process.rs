//! Starts the processes of a cluster: each in a session of its own, marked as the cluster's, its output in a log.
//!
//! It refuses to know what they do.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use drey_local::process_table::ProcessIdentity;
use process_wrap::std::{ChildWrapper, CommandWrap, ProcessSession};

use super::error::KubeError;

/// The variable that marks every process of a cluster; its value is the cluster's directory. What takes the cluster
/// away kills every process that has it.
pub const CLUSTER_VARIABLE: &str = "DREY_KUBE_CLUSTER";

/// How much of the end of a log an error shows.
const TAIL_BYTES_MAX: usize = 1500;

/// What to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Launch {
    /// What it is called.
    pub(super) name: &'static str,
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
}

/// A process that this one has started.
#[derive(Debug)]
pub(super) struct Process {
    name: &'static str,
    log: PathBuf,
    identity: Option<ProcessIdentity>,
    child: Box<dyn ChildWrapper>,
}

impl Process {
    /// Starts it in the directory of its cluster.
    pub(super) fn start(launch: &Launch, directory: &Path) -> Result<Process, KubeError> {
        let log = directory.join(format!("{}.log", launch.name));
        let output = OpenOptions::new().append(true).create(true).open(&log);
        let output = output.map_err(KubeError::file(&log))?;
        let errors = output.try_clone().map_err(KubeError::file(&log))?;
        let mut command = CommandWrap::with_new(&launch.program, |command| {
            command
                .args(&launch.arguments)
                .env(CLUSTER_VARIABLE, directory)
                .current_dir(directory)
                .stdin(Stdio::null())
                .stdout(output)
                .stderr(errors);
        });
        command.wrap(ProcessSession);
        let refused = |source| KubeError::Program { program: launch.program.display().to_string(), source };
        // The wrapper would wait for the whole session; the process itself is what counts.
        let child = command.spawn().map_err(refused)?.into_inner();
        let pid = i32::try_from(child.id()).unwrap_or_default();
        let identity = ProcessIdentity::of(pid).map_err(KubeError::file("/proc"))?;
        Ok(Process { name: launch.name, log, identity, child })
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Who it is; `None` when it had ended before it could be looked at.
    pub(super) fn identity(&self) -> Option<&ProcessIdentity> {
        self.identity.as_ref()
    }

    /// Fails when it has ended.
    pub(super) fn expect_alive(&mut self) -> Result<(), KubeError> {
        let status = self.child.try_wait().map_err(KubeError::file("/proc"))?;
        status.map_or(Ok(()), |status| {
            let program = self.name.to_owned();
            Err(KubeError::Ended { program, status: status.to_string(), tail: self.tail() })
        })
    }

    /// Waits until it has ended.
    pub(super) fn reap(&mut self) {
        // It fails only for a process that was waited for before.
        let _status = self.child.wait();
    }

    /// The end of its log.
    pub(super) fn tail(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let from = log.len().saturating_sub(TAIL_BYTES_MAX);
        String::from_utf8_lossy(&log[from..]).trim().to_owned()
    }
}
