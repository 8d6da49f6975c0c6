//! Serves the API on loopback until Ctrl-C: `serve STATE_FILE [PORT]`, or `serve :memory:`.
//!
//! Writes `STATE_FILE.kubeconfig` (or prints the kubeconfig for `:memory:`), for use with kubectl.

use std::path::Path;

use drey_apiserver::{ApiServer, Auth};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("which state file? give a path, or :memory:")?;
    let port: u16 = arguments.next().map_or(Ok(0), |port| port.parse())?;
    let server =
        if file == ":memory:" { ApiServer::in_memory()? } else { ApiServer::open(Path::new(&file))? };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    let config = ApiServer::kubeconfig(&format!("http://{}", listener.local_addr()?), "", "default");
    if file == ":memory:" {
        print!("{config}");
    } else {
        std::fs::write(format!("{file}.kubeconfig"), config)?;
    }
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.cancel();
        }
    });
    server.serve(listener, Auth::None, shutdown).await?;
    Ok(())
}
