//! What the dashboard's page does while what it stands on is away: its own server, and the API server. drey's API server
//! holds the resources; no operator acts.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use drey_api::kinds::FlinkDeployment;
use drey_apiserver::{ApiServer, Auth};
use drey_testbed::bench_engine;
use kube::Api;
use kube::api::PostParams;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::front_end::{Dashboard, walk_asking};

/// Walks through outages with `drey` as the server; `ui` is the front end's directory.
pub(crate) fn run(drey: &Path, ui: &Path) -> Result<()> {
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let temporary = tempfile::tempdir()?;
    let api = runtime.block_on(async {
        let api = bench_engine::api_server().await?;
        make(&api, "was-there-before").await?;
        anyhow::Ok(api)
    })?;
    let mut world = World::start(&runtime, api, drey, temporary.path().join("kubeconfig"))?;
    let address = world.dashboard.as_ref().context("it was just started")?.address.clone();
    walk_asking(ui, "outages", &address, &[], &mut |what| world.act(what))
}

/// The two that go away and come back, each at its address.
struct World<'a> {
    runtime: &'a Runtime,
    api: ApiServer,
    at: SocketAddr,
    serving: Option<(CancellationToken, JoinHandle<std::io::Result<()>>)>,
    drey: &'a Path,
    kubeconfig: PathBuf,
    port: String,
    dashboard: Option<Dashboard>,
}

impl<'a> World<'a> {
    fn start(runtime: &'a Runtime, api: ApiServer, drey: &'a Path, kubeconfig: PathBuf) -> Result<World<'a>> {
        let mut world = World {
            runtime,
            api,
            at: SocketAddr::from(([127, 0, 0, 1], 0)),
            serving: None,
            drey,
            kubeconfig,
            port: "0".to_owned(),
            dashboard: None,
        };
        world.serve()?;
        let address = format!("http://{}", world.at);
        std::fs::write(&world.kubeconfig, ApiServer::kubeconfig(&address, "", "default"))?;
        world.start_dashboard()?;
        Ok(world)
    }

    fn act(&mut self, what: &str) -> Result<()> {
        match what {
            "server-down" => self.dashboard = None,
            "server-up" => self.start_dashboard()?,
            "api-down" => {
                let (stop, serving) = self.serving.take().context("the API server runs")?;
                stop.cancel();
                self.runtime.block_on(serving)??;
            }
            "api-up" => self.serve()?,
            other => match other.strip_prefix("make ") {
                Some(name) => self.runtime.block_on(make(&self.api, name))?,
                None => bail!("nobody knows how to do that"),
            },
        }
        Ok(())
    }

    fn serve(&mut self) -> Result<()> {
        let listener = self.runtime.block_on(TcpListener::bind(self.at))?;
        self.at = listener.local_addr()?;
        let (api, stop) = (self.api.clone(), CancellationToken::new());
        let ends = stop.clone();
        let serving = self.runtime.spawn(async move { api.serve(listener, Auth::None, ends).await });
        self.serving = Some((stop, serving));
        Ok(())
    }

    fn start_dashboard(&mut self) -> Result<()> {
        let args = ["--port", &self.port, "--login", "none"];
        let dashboard = Dashboard::start(self.drey, &self.kubeconfig, &args)?;
        let url: http::Uri = dashboard.address.parse()?;
        self.port = url.port().context("an address with a port")?.to_string();
        self.dashboard = Some(dashboard);
        Ok(())
    }
}

async fn make(api: &ApiServer, name: &str) -> Result<()> {
    let object: FlinkDeployment = serde_json::from_value(json!({
        "apiVersion": "flink.apache.org/v1beta1", "kind": "FlinkDeployment", "metadata": { "name": name },
        "spec": { "flinkVersion": "v1_20", "image": "flink:1.20", "job": { "parallelism": 1 } },
    }))?;
    let deployments: Api<FlinkDeployment> = Api::namespaced(api.client("default"), "default");
    deployments.create(&PostParams::default(), &object).await?;
    Ok(())
}
