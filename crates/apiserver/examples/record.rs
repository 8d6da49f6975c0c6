//! Records what a real kube-apiserver answers to the conformance probes: `DREY_KUBE_URL=https://… record
//! FILE…` rewrites the `expect` of each line. `DREY_KUBE_TOKEN` is the bearer token; certificates are not
//! checked, because the server is one's own on loopback.
//!
//! With `DREY_PROBE_OURS=1` it runs this server instead and rewrites `ours` where `differs` gives a reason.

#[path = "../tests/conformance/runner.rs"]
mod runner;

use std::path::{Path, PathBuf};

use drey_apiserver::ApiServer;
use kube::client::ConfigExt as _;
use runner::{Runner, parse};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let ours = std::env::var_os("DREY_PROBE_OURS").is_some();
    for file in std::env::args().skip(1).map(PathBuf::from) {
        let client = if ours { ApiServer::in_memory()?.client("default") } else { real()? };
        record(&file, client, ours).await?;
    }
    Ok(())
}

fn real() -> Result<kube::Client, Box<dyn std::error::Error>> {
    let url = std::env::var("DREY_KUBE_URL").map_err(|_| "set DREY_KUBE_URL to the server's address")?;
    let mut config = kube::Config::new(url.parse()?);
    config.accept_invalid_certs = true;
    config.auth_info.token = std::env::var("DREY_KUBE_TOKEN").ok().map(Into::into);
    // Without the retries of a client made from a configuration: a refusal is an answer.
    let transport = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
        .build(config.rustls_https_connector()?);
    let service = tower::ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .map_err(Box::<dyn std::error::Error + Send + Sync>::from)
        .service(transport);
    Ok(kube::Client::new(service, "default"))
}

async fn record(file: &Path, client: kube::Client, ours: bool) -> Result<(), Box<dyn std::error::Error>> {
    let stem = file.file_stem().and_then(|stem| stem.to_str()).ok_or("probe files have names")?;
    let mut runner = Runner::new(client, &format!("probe-{stem}")).await;
    let mut text = String::new();
    for mut probe in parse(&std::fs::read_to_string(file)?) {
        let observed = runner.run(&probe).await;
        match (ours, probe.members.contains_key("differs")) {
            (false, _) => drop(probe.members.insert("expect".to_owned(), observed)),
            (true, true) => drop(probe.members.insert("ours".to_owned(), observed)),
            (true, false) => {}
        }
        text.push_str(&serde_json::to_string(&probe.members)?);
        text.push('\n');
        eprintln!("{stem}:{} {}", probe.line, probe.name());
    }
    std::fs::write(file, text)?;
    Ok(())
}
