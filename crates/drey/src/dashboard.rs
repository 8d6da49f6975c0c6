//! `drey dashboard`: the pages alone, for a Kubernetes cluster, in a pod or on a person's machine. Refuses to know how it
//! works inside.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use drey_cli::connection::{ConnectionArgs, OperatorConnection};
use drey_cli::failure::{Failure, Kind};
use drey_cli::output::line;
use drey_flink::FlinkRest;
use drey_server::{
    Access, ClusterError, ClusterName, Clusters, Dashboard, DashboardConfig, Heimdall, Link, Links, Log,
    LogWanted, Mode, Process, Role,
};
use futures::{AsyncReadExt, StreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, LogParams};
use kube::{Api, Client};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::laptop::files::random_token;
use crate::operator::{asked_to_end, write_log};
use crate::reach;

/// Heimdall's port.
const PORT: u16 = 8080;

/// Show the FlinkDeployments of a Kubernetes cluster in a browser
///
/// In a pod it listens on all addresses and only shows, with the rights of its service account: everybody who reaches it
/// may look. Elsewhere it listens on loopback and works with the rights of the kubeconfig; the address that it prints lets
/// in.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Port that it listens on
    #[arg(long, default_value_t = PORT)]
    port: u16,
    /// Only these namespaces; all without it
    #[arg(long, value_name = "NAMESPACES", value_delimiter = ',')]
    namespaces: Vec<String>,
    /// Path below which a proxy serves it, such as `/flink/`
    #[arg(long, value_name = "PATH", default_value = "/", value_parser = base_path)]
    base_path: String,
}

/// With a slash at both ends, and nothing in it that a page or a header would take for something else.
fn base_path(text: &str) -> Result<String, String> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.');
    let inner = text.trim_matches('/');
    if !text.starts_with('/')
        || !inner.bytes().all(legal)
        || inner.split('/').any(|part| matches!(part, "." | ".."))
    {
        return Err("a path such as `/flink/` is expected".to_owned());
    }
    Ok(if inner.is_empty() { "/".to_owned() } else { format!("/{inner}/") })
}

/// Runs the command.
///
/// # Errors
/// Why it does not start or ended.
pub(crate) async fn run(args: &Args, connection: &ConnectionArgs) -> Result<(), Failure> {
    let OperatorConnection { connection, outside } = connection.connect_operator().await?;
    write_log(crate::operator::LogFormat::Text, None)?;
    let job_managers = match &outside {
        None => reach::JobManagers::from_inside()?,
        Some(config) => reach::JobManagers::from_outside(config)?,
    };
    let (address, access) = match outside {
        None => (IpAddr::from(Ipv4Addr::UNSPECIFIED), Access::ReadOnly { reason: ONLY_SHOWS.to_owned() }),
        Some(_) => (IpAddr::from(Ipv4Addr::LOCALHOST), Access::Token(random_token()?)),
    };
    let listener = TcpListener::bind(SocketAddr::new(address, args.port)).await.map_err(|error| {
        Failure::new(Kind::Conflict, format!("port {} of {address} cannot be used: {error}", args.port))
            .hint("choose another one with `--port`")
    })?;
    let port = listener.local_addr()?.port();
    let token = match &access {
        Access::Token(token) => format!("?token={token}"),
        Access::ReadOnly { .. } => String::new(),
    };
    line(&format!(
        "dashboard   http://{}:{port}{}{token}",
        if token.is_empty() { address } else { Ipv4Addr::LOCALHOST.into() },
        args.base_path
    ))?;
    let variable = |name: &str| std::env::var(name).ok();
    let heimdall = Heimdall::of_environment(variable);
    let namespaces = match args.namespaces.as_slice() {
        [] => Heimdall::namespaces(variable).unwrap_or_default(),
        some => some.to_vec(),
    };
    let hosts = matches!(access, Access::Token(_)).then(|| vec!["localhost".to_owned()]);
    let config = DashboardConfig {
        client: connection.client.clone(),
        clusters: Arc::new(KubernetesClusters { client: connection.client, job_managers }),
        cluster: connection.server,
        mode: Mode::Cluster,
        namespaces,
        access,
        base_path: args.base_path.clone(),
        hosts,
        links: links(&heimdall, variable),
        heimdall,
    };
    let stop = CancellationToken::new();
    let serving = Dashboard::new(config, port).serve(listener, stop.clone());
    tokio::pin!(serving);
    tokio::select! {
        ended = &mut serving => return ended.map_err(Failure::from),
        asked = asked_to_end() => asked?,
    }
    stop.cancel();
    serving.await.map_err(Failure::from)
}

/// The links that somebody has set: Heimdall's own patterns lead nowhere.
fn links(heimdall: &Heimdall, variable: impl Fn(&str) -> Option<String>) -> Links {
    let link = |name: &str, set: &str, pattern: &String| {
        let is_set =
            variable(&format!("HEIMDALL_ENDPOINT_PATH_PATTERNS_{set}")).is_some() && !pattern.is_empty();
        is_set.then(|| Link { name: name.to_owned(), pattern: pattern.clone() })
    };
    let links = [
        link("Flink UI", "FLINK_UI", &heimdall.flink_ui),
        link("Flink REST API", "FLINK_API", &heimdall.flink_api),
        link("Metrics", "METRICS", &heimdall.metrics),
        link("Logs", "LOGS", &heimdall.logs),
    ];
    Links { display_name: heimdall.display_name.clone(), links: links.into_iter().flatten().collect() }
}

const ONLY_SHOWS: &str = "this dashboard only shows: it asks nobody who they are";

/// The container that Flink runs in.
const MAIN_CONTAINER: &str = "flink-main-container";
/// Kubernetes counts the end of a log in lines: so many bytes are one.
const LINE_BYTES: u64 = 100;
/// How much is read at once.
const PIECE_BYTES: usize = 64 * 1024;

/// The pods of a cluster.
struct KubernetesClusters {
    client: Client,
    job_managers: reach::JobManagers,
}

impl KubernetesClusters {
    fn pods(&self, cluster: &ClusterName) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &cluster.namespace)
    }
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
        // Served from here they would count as pages of the dashboard, and a job can change what its JobManager serves.
        None
    }

    async fn processes(&self, cluster: &ClusterName) -> Result<Vec<Process>, ClusterError> {
        let selector = format!("app={},component in (jobmanager,taskmanager)", cluster.name);
        let pods =
            self.pods(cluster).list(&ListParams::default().labels(&selector)).await.map_err(refused)?;
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
        cluster: &ClusterName,
        process: &str,
        wanted: LogWanted,
    ) -> Result<Log, ClusterError> {
        // Only pods of this cluster: whoever may see the one need not see the others.
        if !self.processes(cluster).await?.iter().any(|known| known.id == process) {
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
        let log = self.pods(cluster).log_stream(process, &params).await.map_err(refused)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_path_has_a_slash_at_both_ends_and_nothing_odd_in_it() {
        for (text, path) in [("/", "/"), ("/flink", "/flink/"), ("/a/b/", "/a/b/")] {
            assert_eq!(base_path(text).as_deref(), Ok(path));
        }
        for text in ["flink", "", "/a\"b", "/../x", "/a b"] {
            assert!(base_path(text).is_err(), "{text}");
        }
    }
}
