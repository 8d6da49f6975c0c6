//! drey's own API server on loopback, for processes that reach it by a kubeconfig. It refuses to know what it holds.

use std::path::{Path, PathBuf};

use anyhow::Result;
use drey_apiserver::{ApiServer, Auth};
use drey_testbed::bench_engine;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// An API server that is served.
pub(crate) struct ServedApi {
    api: ApiServer,
    directory: TempDir,
    stop: CancellationToken,
    serving: JoinHandle<std::io::Result<()>>,
}

impl ServedApi {
    /// Starts one with Flink's kinds, and writes its kubeconfig.
    pub(crate) async fn start() -> Result<Self> {
        let api = bench_engine::api_server().await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}", listener.local_addr()?);
        let stop = CancellationToken::new();
        let serving = tokio::spawn({
            let (api, stop) = (api.clone(), stop.clone());
            async move { api.serve(listener, Auth::None, stop).await }
        });
        let directory = tempfile::tempdir()?;
        let served = Self { api, directory, stop, serving };
        std::fs::write(served.kubeconfig(), ApiServer::kubeconfig(&address, "", "default"))?;
        Ok(served)
    }

    /// A client within this process.
    pub(crate) fn client(&self) -> kube::Client {
        self.api.client("default")
    }

    /// A directory that goes with it.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What other processes reach it by.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.directory().join("kubeconfig")
    }

    /// Ends it.
    pub(crate) async fn end(self) -> Result<()> {
        self.stop.cancel();
        Ok(self.serving.await??)
    }
}
