//! What runs for a deployment on a Kubernetes cluster: its pods, their logs, and the way to its JobManager. Refuses to know
//! who asks.

use async_trait::async_trait;
use drey_flink::FlinkRest;
use drey_server::{ClusterError, ClusterName, Clusters, Log, LogWanted, Process, Role};
use futures::{AsyncReadExt, StreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, LogParams};
use kube::{Api, Client};

use crate::reach::JobManagers;

/// The container that Flink runs in.
const MAIN_CONTAINER: &str = "flink-main-container";
/// Kubernetes counts the end of a log in lines: so many bytes are one.
const LINE_BYTES: u64 = 100;
/// How much is read at once.
const PIECE_BYTES: usize = 64 * 1024;

/// The pods of a cluster, and its JobManagers.
pub(crate) struct KubernetesClusters {
    pub(crate) job_managers: JobManagers,
}

fn pods(client: &Client, cluster: &ClusterName) -> Api<Pod> {
    Api::namespaced(client.clone(), &cluster.namespace)
}

fn refused(error: kube::Error) -> ClusterError {
    match error {
        kube::Error::Api(status) => match status.code {
            403 => ClusterError::Forbidden(status.message.clone()),
            // A container that has not started, or has no predecessor.
            400 | 404 => ClusterError::NotFound(status.message.clone()),
            _ => ClusterError::Failed(status.message.clone()),
        },
        error => ClusterError::Failed(error.to_string()),
    }
}

#[async_trait]
impl Clusters for KubernetesClusters {
    fn flink_pages(&self, _cluster: &ClusterName) -> Option<String> {
        // A browser is mostly not in the cluster's network.
        None
    }

    async fn processes(&self, client: &Client, cluster: &ClusterName) -> Result<Vec<Process>, ClusterError> {
        let selector = format!("app={},component in (jobmanager,taskmanager)", cluster.name);
        let pods =
            pods(client, cluster).list(&ListParams::default().labels(&selector)).await.map_err(refused)?;
        let mut processes: Vec<Process> = pods
            .items
            .into_iter()
            .filter_map(|pod| {
                let component = pod.metadata.labels.as_ref()?.get("component")?;
                let role = if component == "jobmanager" { Role::JobManager } else { Role::TaskManager };
                Some(Process { role, id: pod.metadata.name? })
            })
            .collect();
        processes.sort();
        Ok(processes)
    }

    async fn log(
        &self,
        client: &Client,
        cluster: &ClusterName,
        process: &str,
        wanted: LogWanted,
    ) -> Result<Log, ClusterError> {
        // Only pods of this cluster: whoever may see the one need not see the others.
        if !self.processes(client, cluster).await?.iter().any(|known| known.id == process) {
            return Err(ClusterError::NotFound(format!("the cluster has no pod `{process}`")));
        }
        let tail_lines = wanted.tail_bytes.map(|bytes| i64::try_from(bytes / LINE_BYTES).unwrap_or(i64::MAX));
        let params = LogParams {
            container: Some(MAIN_CONTAINER.to_owned()),
            follow: wanted.follow,
            previous: wanted.previous,
            tail_lines,
            ..LogParams::default()
        };
        let log = pods(client, cluster).log_stream(process, &params).await.map_err(refused)?;
        let pieces = futures::stream::unfold(Some(Box::pin(log)), async |log| {
            let mut log = log?;
            let mut piece = vec![0; PIECE_BYTES];
            match log.read(&mut piece).await {
                Ok(0) => None,
                Ok(read) => {
                    piece.truncate(read);
                    Some((Ok(piece), Some(log)))
                }
                Err(error) => Some((Err(error), None)),
            }
        });
        // Whether there are older lines is not told.
        Ok(Log { truncated: tail_lines.is_some(), pieces: pieces.boxed() })
    }

    async fn job_manager(&self, cluster: &ClusterName) -> Option<FlinkRest> {
        let port = cluster.rest_port.as_deref();
        let address =
            self.job_managers.reach.rest_address(&cluster.namespace, &cluster.name, port).parse().ok()?;
        Some(FlinkRest::new(self.job_managers.http.clone(), address))
    }
}
