//! What runs for a deployment, as whoever starts the dashboard knows it: the way to its JobManager, its processes and
//! their logs. Refuses to know what is asked of them.

use std::sync::Arc;

use async_trait::async_trait;
use drey_api::configuration::flatten;
use drey_flink::FlinkRest;
use futures::stream::BoxStream;
use kube::Client;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// Where the cluster of a FlinkDeployment is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterName {
    /// `metadata.namespace`.
    pub namespace: Arc<str>,
    /// `metadata.name`, which is also Flink's id of the cluster.
    pub name: Arc<str>,
    /// `rest.port` of the spec that is deployed, when it says one.
    pub rest_port: Option<String>,
}

impl ClusterName {
    /// Of a FlinkDeployment, as the API server has it.
    pub(crate) fn of(deployment: &Value) -> ClusterName {
        let text =
            |path: &str| Arc::from(deployment.pointer(path).and_then(Value::as_str).unwrap_or_default());
        ClusterName {
            namespace: text("/metadata/namespace"),
            name: text("/metadata/name"),
            rest_port: rest_port(deployment),
        }
    }
}

/// `rest.port` of the spec that is deployed, else of the one that is wanted.
fn rest_port(deployment: &Value) -> Option<String> {
    let record =
        deployment.pointer("/status/reconciliationStatus/lastReconciledSpec").and_then(Value::as_str);
    // Most say none, and the record is large.
    let deployed = record.filter(|record| record.contains("port")).map(serde_json::from_str::<Value>);
    let of = |spec: &Value| flatten(spec.get("flinkConfiguration")?).ok()?.remove("rest.port");
    match (record, deployed) {
        (Some(_), Some(Ok(deployed))) => of(deployed.get("spec")?),
        (Some(_), None) => None,
        (_, _) => of(deployment.get("spec")?),
    }
}

/// What a process is in its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
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

/// Finds what runs for a FlinkDeployment.
#[async_trait]
pub trait Clusters: Send + Sync + 'static {
    /// Flink's REST interface of its cluster; `None` when it has none.
    async fn job_manager(&self, cluster: &ClusterName) -> Option<FlinkRest>;

    /// Address of Flink's own pages, as the browser of whoever looks reaches them without this server; `None` when it does
    /// not.
    fn flink_pages(&self, cluster: &ClusterName) -> Option<String>;

    /// Its processes, the JobManager first; those of the last cluster when there is none now, as far as their logs are
    /// kept. `client` speaks for whoever asks.
    async fn processes(&self, client: &Client, cluster: &ClusterName) -> Result<Vec<Process>, ClusterError>;

    /// The log of one of its processes. `client` speaks for whoever asks.
    async fn log(
        &self,
        client: &Client,
        cluster: &ClusterName,
        process: &str,
        wanted: LogWanted,
    ) -> Result<Log, ClusterError>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_deployed_port_counts_before_the_wanted_one() {
        let record =
            |configuration: Value| json!({ "spec": { "flinkConfiguration": configuration } }).to_string();
        let mut deployment = json!({ "spec": { "flinkConfiguration": { "rest": { "port": 9092 } } },
            "status": { "reconciliationStatus": { "lastReconciledSpec": record(json!({ "rest.port": "9091" })) } } });
        assert_eq!(rest_port(&deployment).as_deref(), Some("9091"));
        deployment["status"]["reconciliationStatus"]["lastReconciledSpec"] = json!(record(json!({})));
        assert_eq!(rest_port(&deployment), None);
        deployment["status"] = json!(null);
        assert_eq!(rest_port(&deployment).as_deref(), Some("9092"));
    }
}
