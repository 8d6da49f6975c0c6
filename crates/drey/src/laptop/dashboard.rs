//! The dashboard of laptop mode, on loopback, with a token of its own in the address that is printed.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use drey_cli::failure::{Failure, Kind};
use drey_flink::FlinkRest;
use drey_local::LocalLauncher;
use drey_local::record::ClusterRecord;
use drey_local::state_dir::Layout;
use drey_server::{
    Access, ClusterError, ClusterName, Clusters, Dashboard, DashboardConfig, Heimdall, Links, Log, LogWanted,
    Mode, Process, Role,
};
use kube::Client;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::files::Files;
use super::{log_file, logs};

/// How the cluster is called on the pages.
const CLUSTER: &str = "laptop";

/// The processes of this machine.
struct LocalClusters {
    launcher: Arc<LocalLauncher>,
    layout: Layout,
    http: reqwest::Client,
}

impl LocalClusters {
    /// The logs of a deployment, by the names that their processes have on the pages.
    fn logs(&self, cluster: &ClusterName) -> Result<Vec<(Process, PathBuf)>, ClusterError> {
        let failed = |failure: Failure| match failure.kind() {
            Kind::NotFound => ClusterError::NotFound(failure.message().to_owned()),
            _ => ClusterError::Failed(failure.message().to_owned()),
        };
        let found = logs::all_files(&self.layout, &cluster.namespace, &cluster.name).map_err(failed)?;
        let mut logs: Vec<(Process, PathBuf)> = found
            .into_iter()
            .filter_map(|path| {
                let name = path.file_name()?.to_str()?;
                let id = name.strip_suffix(".log").unwrap_or(name).to_owned();
                let role = if id.starts_with("jobmanager") { Role::JobManager } else { Role::TaskManager };
                Some((Process { role, id }, path))
            })
            // What a process prints is mostly nothing.
            .filter(|(_, path)| std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0))
            .collect();
        logs.sort();
        Ok(logs)
    }
}

#[async_trait]
impl Clusters for LocalClusters {
    async fn job_manager(&self, cluster: &ClusterName) -> Option<FlinkRest> {
        Some(FlinkRest::new(self.http.clone(), self.flink_pages(cluster)?.parse().ok()?))
    }

    fn flink_pages(&self, cluster: &ClusterName) -> Option<String> {
        let is_it = |record: &&ClusterRecord| {
            record.namespace == *cluster.namespace && record.name == *cluster.name && !record.deleting
        };
        let records = self.launcher.records();
        let record = records.iter().find(is_it)?;
        Some(format!("http://127.0.0.1:{}/", record.ports.rest))
    }

    async fn processes(&self, _client: &Client, cluster: &ClusterName) -> Result<Vec<Process>, ClusterError> {
        match self.logs(cluster) {
            Ok(logs) => Ok(logs.into_iter().map(|(process, _)| process).collect()),
            Err(ClusterError::NotFound(_)) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    async fn log(
        &self,
        _client: &Client,
        cluster: &ClusterName,
        process: &str,
        wanted: LogWanted,
    ) -> Result<Log, ClusterError> {
        if wanted.previous {
            return Err(ClusterError::NotFound(
                "processes of this machine have no container before".to_owned(),
            ));
        }
        // Only what was found can be asked for: a name that leads elsewhere is none of them.
        let logs = self.logs(cluster)?;
        let found = logs.into_iter().find(|(known, _)| known.id == process);
        let (_, path) = found
            .ok_or_else(|| ClusterError::NotFound(format!("no process `{process}` has written a log")))?;
        log_file::read(path, wanted).await.map_err(|error| ClusterError::Failed(error.to_string()))
    }
}

/// A dashboard that is about to be served.
pub(crate) struct Ready {
    dashboard: Dashboard,
    listener: TcpListener,
}

/// Opens the dashboard's port: the one it had before, so that pages that are open go on, or any that is free.
///
/// # Errors
/// When no port can be opened, or the token cannot be written.
pub(crate) async fn open(
    files: &Files,
    client: &kube::Client,
    launcher: &Arc<LocalLauncher>,
    http: reqwest::Client,
) -> Result<Ready, Failure> {
    let door = files.dashboard();
    let wanted = door.remembered_port().unwrap_or(0);
    let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, wanted)).await {
        Ok(listener) => listener,
        Err(_) if wanted != 0 => bind_anywhere().await?,
        Err(error) => return Err(no_port(&error)),
    };
    let port = listener.local_addr()?.port();
    door.remember_port(port)?;
    let token = door.token_or_new()?;
    let layout = Layout::of(files.root());
    let config = DashboardConfig {
        client: client.clone(),
        clusters: Arc::new(LocalClusters { launcher: launcher.clone(), layout, http }),
        cluster: CLUSTER.to_owned(),
        mode: Mode::Laptop,
        namespaces: Vec::new(),
        access: Access::Token(token),
        base_path: "/".to_owned(),
        hosts: Some(vec!["localhost".to_owned()]),
        links: Links::default(),
        heimdall: Heimdall::default(),
    };
    Ok(Ready { dashboard: Dashboard::new(config, port), listener })
}

/// Where people find the dashboard that was opened last, with the token that lets them in.
pub(crate) fn address(files: &Files) -> Option<String> {
    let door = files.dashboard();
    Some(format!("http://127.0.0.1:{}/?token={}", door.remembered_port()?, door.token()?))
}

async fn bind_anywhere() -> Result<TcpListener, Failure> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(|error| no_port(&error))
}

fn no_port(error: &std::io::Error) -> Failure {
    Failure::new(Kind::Failed, format!("no port of 127.0.0.1 can be opened for the dashboard: {error}"))
}

impl Ready {
    /// Serves until `stop`.
    ///
    /// # Errors
    /// When connections cannot be accepted any more.
    pub(crate) async fn serve(self, stop: CancellationToken) -> std::io::Result<()> {
        self.dashboard.serve(self.listener, stop).await
    }
}
