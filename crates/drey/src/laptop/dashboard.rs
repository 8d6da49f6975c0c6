//! The dashboard of laptop mode, on loopback, with a token of its own in the address that is printed.

use std::net::Ipv4Addr;
use std::sync::Arc;

use async_trait::async_trait;
use drey_cli::failure::{Failure, Kind};
use drey_flink::FlinkRest;
use drey_local::LocalLauncher;
use drey_server::{Access, Dashboard, DashboardConfig, Heimdall, JobManagers, Links, Mode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::files::Files;

/// How the cluster is called on the pages.
const CLUSTER: &str = "laptop";

/// The processes of this machine.
struct LocalJobManagers {
    launcher: Arc<LocalLauncher>,
    http: reqwest::Client,
}

#[async_trait]
impl JobManagers for LocalJobManagers {
    async fn of_deployment(&self, deployment: &Value) -> Option<FlinkRest> {
        let is = |record: &str, path: &str| deployment.pointer(path).and_then(Value::as_str) == Some(record);
        let records = self.launcher.records();
        let record = records.iter().find(|record| {
            is(&record.namespace, "/metadata/namespace")
                && is(&record.name, "/metadata/name")
                && !record.deleting
        })?;
        let base = format!("http://127.0.0.1:{}/", record.ports.rest).parse().ok()?;
        Some(FlinkRest::new(self.http.clone(), base))
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
    let config = DashboardConfig {
        client: client.clone(),
        job_managers: Arc::new(LocalJobManagers { launcher: launcher.clone(), http }),
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
