//! What runs for a deployment, as whoever starts the dashboard knows it: the way to its JobManager, its processes and
//! their logs. Refuses to know what is asked of them.

use async_trait::async_trait;
use drey_flink::FlinkRest;
use futures::stream::BoxStream;
use serde::Serialize;
use serde_json::Value;

/// What a process is in its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A JobManager.
    JobManager,
    /// A TaskManager.
    TaskManager,
}

/// A process whose log can be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// What it is.
    pub role: Role,
    /// Its name in the cluster: of the pod, or of the log without its ending.
    pub id: String,
}

/// Which part of a log is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogWanted {
    /// At most so many of its last bytes; everything when `None`.
    pub tail_bytes: Option<u64>,
    /// Of the container before the present one.
    pub previous: bool,
    /// And what is added from now on.
    pub follow: bool,
}

/// A part of a log.
pub struct Log {
    /// There is more before it.
    pub truncated: bool,
    /// What stands in it, piece by piece.
    pub pieces: BoxStream<'static, std::io::Result<Vec<u8>>>,
}

/// Why processes or logs cannot be told of; the message is for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// There is no such process or log.
    #[error("{0}")]
    NotFound(String),
    /// They may not be read.
    #[error("{0}")]
    Forbidden(String),
    /// They cannot be read now.
    #[error("{0}")]
    Failed(String),
}

/// Finds what runs for a FlinkDeployment, which is given as the API server has it.
#[async_trait]
pub trait Clusters: Send + Sync + 'static {
    /// Flink's REST interface of its cluster; `None` when it has none.
    async fn job_manager(&self, deployment: &Value) -> Option<FlinkRest>;

    /// Its processes, the JobManager first; those of the last cluster when there is none now, as far as their logs are
    /// kept.
    async fn processes(&self, deployment: &Value) -> Result<Vec<Process>, ClusterError>;

    /// The log of one of its processes.
    async fn log(&self, deployment: &Value, process: &str, wanted: LogWanted) -> Result<Log, ClusterError>;
}
