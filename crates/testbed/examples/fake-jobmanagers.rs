//! Fake JobManagers and an API server as a process of their own: prints their addresses, and serves until its standard
//! input is closed.

use std::io::{self, Read as _, Write as _};

use drey_apiserver::Auth;
use drey_testbed::bench_engine::api_server;
use drey_testbed::fake_jobmanager::FakeJobManagers;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let (fake, serving) = FakeJobManagers::start().await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let api = api_server().await.map_err(io::Error::other)?;
    let api_serving =
        tokio::spawn(async move { api.serve(listener, Auth::None, CancellationToken::new()).await });
    writeln!(io::stdout(), "{}\nhttp://{address}", fake.base())?;
    io::stdout().flush()?;
    tokio::task::spawn_blocking(|| io::copy(&mut io::stdin().lock().take(u64::MAX), &mut io::sink()))
        .await
        .map_err(io::Error::other)??;
    serving.abort();
    api_serving.abort();
    Ok(())
}
