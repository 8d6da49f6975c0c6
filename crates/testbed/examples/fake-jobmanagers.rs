//! Fake JobManagers as a process of their own: prints its address, and serves until its standard input is closed.

use std::io::{self, Read as _, Write as _};

use drey_testbed::fake_jobmanager::FakeJobManagers;

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let (fake, serving) = FakeJobManagers::start().await?;
    writeln!(io::stdout(), "{}", fake.base())?;
    io::stdout().flush()?;
    tokio::task::spawn_blocking(|| io::copy(&mut io::stdin().lock().take(u64::MAX), &mut io::sink()))
        .await
        .map_err(io::Error::other)??;
    serving.abort();
    Ok(())
}
