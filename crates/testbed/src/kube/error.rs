//! Why there is no cluster.

use std::io;
use std::path::PathBuf;

/// Why a cluster could not be started, found or taken away.
#[derive(Debug, thiserror::Error)]
pub enum KubeError {
    /// The name cannot be that of a directory.
    #[error("`{0}` is no name of a cluster: up to 40 of `a` to `z`, `0` to `9` and `-` are")]
    Name(String),
    /// It runs already.
    #[error("a cluster `{0}` is there already: take it away with `cargo xtask kube down --name {0}`")]
    Exists(String),
    /// There is no such cluster.
    #[error("there is no cluster `{0}`: `cargo xtask kube status` tells which there are")]
    Absent(String),
    /// Every number is taken.
    #[error("{0} clusters are on this machine already, or other interfaces have their addresses")]
    Full(u8),
    /// A program of Kubernetes is not where it should be.
    #[error("`{0}` is not there: build it with `cargo xtask kube build`")]
    NotBuilt(PathBuf),
    /// The directory with the programs is not known.
    #[error("the variable {0} does not say where the programs are: `cargo xtask kube build` prints it")]
    Unset(&'static str),
    /// A program could not be run.
    #[error("`{program}` cannot be started: {source}")]
    Program {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// The network was refused.
    #[error("`{command}` failed, which takes root and the package iproute2: {said}")]
    Network {
        /// What was run.
        command: String,
        /// What it said.
        said: String,
    },
    /// A file could not be used.
    #[error("`{path}`: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A certificate could not be made.
    #[error("a certificate cannot be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The kubeconfig that was written cannot be used.
    #[error("the kubeconfig cannot be used: {0}")]
    Config(#[from] kube::config::KubeconfigError),
    /// The client refuses its configuration.
    #[error("no client can be made: {0}")]
    Client(#[from] kube::Error),
    /// A process has ended.
    #[error("{program} has ended with {status}; its last words: {tail}")]
    Ended {
        /// The program.
        program: String,
        /// How.
        status: String,
        /// The end of its log.
        tail: String,
    },
    /// It never came up.
    #[error("the cluster is not ready after {seconds} s: {what}; the last words of {program}: {tail}")]
    NotReady {
        /// How long it was waited for.
        seconds: u64,
        /// What is missing.
        what: String,
        /// Whose words.
        program: String,
        /// The end of its log.
        tail: String,
    },
    /// Something of it is still there.
    #[error("cluster `{name}` could not be taken away: {left}")]
    Left {
        /// The cluster.
        name: String,
        /// What is left.
        left: String,
    },
}

impl KubeError {
    /// An error about a file.
    pub(super) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> KubeError {
        let path = path.into();
        move |source| KubeError::File { path, source }
    }
}
