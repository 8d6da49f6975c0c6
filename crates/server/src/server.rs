//! The dashboard as a whole: what it is made of, and how it runs and ends. Refuses to know pages and rows.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::ServiceExt;
use axum::extract::Request;
use jiff::Timestamp;
use kube::Client;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::util::MapRequest;

use crate::access::Access;
use crate::cluster::Clusters;
use crate::heimdall::Heimdall;
use crate::http::{self, Links, Pace};
use crate::store::Store;
use crate::tickets::Tickets;
use crate::vitals::{self, Looks};
use crate::watch::{self, Scope};

/// Where the dashboard runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// Beside the processes of laptop mode.
    Laptop,
    /// For a Kubernetes cluster.
    Cluster,
}

/// What the dashboard is started with.
#[derive(Clone)]
pub struct DashboardConfig {
    /// The Kubernetes API.
    pub client: Client,
    /// What runs.
    pub clusters: Arc<dyn Clusters>,
    /// Name of the cluster, for people.
    pub cluster: String,
    /// Where it runs.
    pub mode: Mode,
    /// The namespaces that are shown; all when there are none.
    pub namespaces: Vec<String>,
    /// Who may do what.
    pub access: Access,
    /// Path below which everything is served, with a slash at both ends: `/` or `/flink/`.
    pub base_path: String,
    /// Names that the server answers to beside those of loopback; any when `None`, for a server behind a proxy that
    /// sees to it.
    pub hosts: Option<Vec<String>>,
    /// Links to elsewhere.
    pub links: Links,
    /// What Heimdall's interface says of itself.
    pub heimdall: Heimdall,
}

/// What every request can see.
pub(crate) struct Shared {
    pub(crate) client: Client,
    pub(crate) clusters: Arc<dyn Clusters>,
    pub(crate) cluster: Arc<str>,
    pub(crate) mode: Mode,
    pub(crate) access: Access,
    pub(crate) base_path: String,
    pub(crate) hosts: Option<Vec<String>>,
    pub(crate) links: Links,
    pub(crate) heimdall: Heimdall,
    pub(crate) namespaces: Vec<String>,
    /// Name of the cookie: cookies know no ports, and several dashboards may run on one machine.
    pub(crate) cookie: String,
    pub(crate) store: Store,
    pub(crate) looks: Looks,
    pub(crate) pace: Pace,
    pub(crate) tickets: Tickets,
    pub(crate) stop: CancellationToken,
}

/// The dashboard.
pub struct Dashboard {
    shared: Arc<Shared>,
    scope: Scope,
}

impl Dashboard {
    /// A dashboard that will be served on `port`.
    #[must_use]
    pub fn new(config: DashboardConfig, port: u16) -> Dashboard {
        let cluster: Arc<str> = config.cluster.into();
        let scope =
            Scope { client: config.client.clone(), cluster: cluster.clone(), namespaces: config.namespaces };
        let shared = Arc::new(Shared {
            client: config.client,
            clusters: config.clusters,
            cluster,
            mode: config.mode,
            access: config.access,
            base_path: config.base_path,
            hosts: config.hosts,
            links: config.links,
            heimdall: config.heimdall,
            namespaces: scope.namespaces.clone(),
            cookie: format!("drey-{port}"),
            store: Store::default(),
            looks: Looks::default(),
            pace: Pace::default(),
            tickets: Tickets::default(),
            stop: CancellationToken::new(),
        });
        Dashboard { shared, scope }
    }

    /// Serves on `listener` until `stop`, and ends the streams that are open then.
    ///
    /// # Errors
    /// When accepting connections fails.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) -> io::Result<()> {
        let Dashboard { shared, scope } = self;
        let base = shared.base_path.clone();
        let below = MapRequest::new(http::router(&shared), move |request| below(&base, request));
        let ending = shared.stop.clone();
        let asked = async move {
            stop.cancelled().await;
            ending.cancel();
        };
        let serving = axum::serve(listener, below.into_make_service_with_connect_info::<SocketAddr>())
            .with_graceful_shutdown(asked);
        tokio::select! {
            served = async { serving.await } => served,
            () = watch::follow(&scope, &shared.store) => Ok(()),
            () = vitals::follow(&shared) => Ok(()),
        }
    }
}

/// Takes the base path off, also where the proxy in front has done so.
fn below(base: &str, mut request: Request) -> Request {
    let stripped = request.uri().path_and_query().and_then(|whole| {
        let rest = whole.as_str().strip_prefix(base.trim_end_matches('/')).filter(|_| base != "/")?;
        match rest.bytes().next() {
            Some(b'/') => Some(rest.to_owned()),
            None | Some(b'?') => Some(format!("/{rest}")),
            Some(_) => None,
        }
    });
    if let Some(Ok(uri)) = stripped.map(|path| path.parse()) {
        *request.uri_mut() = uri;
    }
    request
}

/// The clock of this machine, milliseconds since the epoch.
pub(crate) fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}
