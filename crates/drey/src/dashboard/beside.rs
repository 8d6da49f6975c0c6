//! The dashboard in the operator's own process. It comes and goes with the operator, and never takes it down. Refuses to
//! know what the operator does.

use std::net::{IpAddr, Ipv4Addr};

use drey_cli::connection::Connection;
use drey_cli::failure::Failure;
use drey_server::IpNet;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::listen;
use super::offer::{self, Login, Offer, base_path, network};
use crate::reach::JobManagers;

/// Arguments of the operator about its dashboard.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct DashboardArgs {
    /// Serve the dashboard on this port; it is not served without it
    #[arg(long, value_name = "PORT")]
    dashboard_port: Option<u16>,
    /// How people show who they are to the dashboard
    #[arg(long, value_name = "HOW", value_enum, default_value_t = Login::Token)]
    dashboard_login: Login,
    /// Addresses of the proxy of `--dashboard-login proxy`, such as `10.1.0.0/16`
    #[arg(long, value_name = "NETWORKS", value_delimiter = ',', value_parser = network)]
    dashboard_trusted_proxies: Vec<IpNet>,
    /// Path below which a proxy serves the dashboard, such as `/flink/`
    #[arg(long, value_name = "PATH", default_value = "/", value_parser = base_path)]
    dashboard_base_path: String,
}

/// A dashboard that runs.
pub(crate) struct Beside {
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl DashboardArgs {
    /// Starts the dashboard, when one is asked for.
    ///
    /// # Errors
    /// A port that is taken, or a login that cannot work.
    pub(crate) async fn start(
        &self,
        connection: &Connection,
        (config, inside): (&kube::Config, bool),
        namespaces: &[String],
    ) -> Result<Option<Beside>, Failure> {
        let Some(port) = self.dashboard_port else { return Ok(None) };
        let offer = Offer {
            base_path: self.dashboard_base_path.clone(),
            login: self.dashboard_login,
            trusted_proxies: self.dashboard_trusted_proxies.clone(),
            namespaces: namespaces.to_vec(),
        };
        let access = offer.access(config)?;
        let address = if inside { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST };
        let listener = listen(IpAddr::from(address), port, "--dashboard-port").await?;
        let port = listener.local_addr()?.port();
        tracing::info!(%address, port, login = ?self.dashboard_login, "the dashboard is served");
        let cluster = (connection.client.clone(), connection.server.clone());
        let dashboard = offer::of_cluster(&offer, access, cluster, JobManagers::of(config, inside)?, port);
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let serving = tokio::spawn(async move {
            if let Err(error) = dashboard.serve(listener, stopped).await {
                tracing::error!(%error, "the dashboard ended; the operator goes on without it");
            }
        });
        Ok(Some(Beside { stop, serving }))
    }
}

impl Beside {
    /// Ends what is open.
    pub(crate) async fn finish(self) {
        self.stop.cancel();
        if let Err(error) = self.serving.await {
            tracing::error!(%error, "the dashboard ended badly");
        }
    }
}
