//! `drey dashboard`: the pages alone, for a Kubernetes cluster, in a pod or on a person's machine. Refuses to know how it
//! works inside.

pub(crate) mod beside;
mod offer;
mod pods;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use drey_cli::connection::{ConnectionArgs, OperatorConnection};
use drey_cli::failure::{Failure, Kind};
use drey_cli::output::line;
use drey_server::{Access, Heimdall, IpNet};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::laptop::files::random_token;
use crate::operator::{LogFormat, asked_to_end, write_log};
use crate::reach::JobManagers;
use offer::{Login, Offer, base_path, network};

/// Heimdall's port.
const PORT: u16 = 8080;

/// Show the FlinkDeployments of a Kubernetes cluster in a browser
///
/// In a pod it listens on all addresses; without `--login` it only shows, with the rights of its service account, and
/// everybody who reaches it may look. Elsewhere it listens on loopback and works with the rights of the kubeconfig; the
/// address that it prints lets in.
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
    /// How people show who they are
    #[arg(long, value_name = "HOW", value_enum)]
    login: Option<Login>,
    /// Addresses of the proxy of `--login proxy`, such as `10.1.0.0/16`
    #[arg(long, value_name = "NETWORKS", value_delimiter = ',', value_parser = network)]
    trusted_proxies: Vec<IpNet>,
}

/// Runs the command.
///
/// # Errors
/// Why it does not start or ended.
pub(crate) async fn run(args: &Args, connection: &ConnectionArgs) -> Result<(), Failure> {
    serve(args, connection, |address| line(&format!("dashboard   {address}"))).await
}

/// As [`run`] with nothing said but the port; `show` gets the address.
///
/// # Errors
/// As [`run`], or those of `show`.
pub(crate) async fn on_port(
    port: u16,
    connection: &ConnectionArgs,
    show: impl FnOnce(&str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let args = Args {
        port,
        namespaces: Vec::new(),
        base_path: "/".to_owned(),
        login: None,
        trusted_proxies: Vec::new(),
    };
    serve(&args, connection, show).await
}

async fn serve(
    args: &Args,
    connection: &ConnectionArgs,
    show: impl FnOnce(&str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let OperatorConnection { connection, config, inside } = connection.connect_operator().await?;
    write_log(LogFormat::Text, None)?;
    let offer = args.offer();
    let (address, access) = match (inside, args.login) {
        (false, None) => (IpAddr::from(Ipv4Addr::LOCALHOST), Access::Token(random_token()?)),
        (false, Some(_)) => (IpAddr::from(Ipv4Addr::LOCALHOST), offer.access(&config)?),
        (true, _) => (IpAddr::from(Ipv4Addr::UNSPECIFIED), offer.access(&config)?),
    };
    let listener = listen(address, args.port, "--port").await?;
    let port = listener.local_addr()?.port();
    let token = match &access {
        Access::Token(token) => format!("?token={token}"),
        Access::ReadOnly { .. } | Access::ClusterToken(_) | Access::Proxy { .. } => String::new(),
    };
    show(&format!("http://{address}:{port}{}{token}", args.base_path))?;
    let job_managers = JobManagers::of(&config, inside)?;
    let cluster = (connection.client, connection.server);
    let dashboard = offer::of_cluster(&offer, access, cluster, job_managers, port);
    let stop = CancellationToken::new();
    let serving = dashboard.serve(listener, stop.clone());
    tokio::pin!(serving);
    tokio::select! {
        ended = &mut serving => return ended.map_err(Failure::from),
        asked = asked_to_end() => asked?,
    }
    stop.cancel();
    serving.await.map_err(Failure::from)
}

impl Args {
    fn offer(&self) -> Offer {
        let namespaces = match self.namespaces.as_slice() {
            [] => Heimdall::namespaces(|name| std::env::var(name).ok()).unwrap_or_default(),
            some => some.to_vec(),
        };
        Offer {
            base_path: self.base_path.clone(),
            login: self.login.unwrap_or(Login::None),
            trusted_proxies: self.trusted_proxies.clone(),
            namespaces,
        }
    }
}

/// Listens where `flag` says.
pub(crate) async fn listen(address: IpAddr, port: u16, flag: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(SocketAddr::new(address, port)).await.map_err(|error| {
        Failure::new(Kind::Conflict, format!("port {port} of {address} cannot be used: {error}"))
            .hint(format!("choose another one with `{flag}`"))
    })
}
