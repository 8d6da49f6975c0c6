//! A node whose pods are processes on this machine, for a cluster that runs already; `--check` makes the node's
//! own checks on it and ends. It needs root.
//!
//! `cargo run -p drey-testbed --example process-node -- --kubeconfig FILE --bridge br0 --gateway 10.250.0.1/16
//! --api-server 10.250.0.1:6443 --directory DIR [--flink 1.20=HOME]... [--jar FILE]... [--check]`

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use drey_local::java::{self, JavaPlaces};
use drey_testbed::kube::Network;
use drey_testbed::node::{Capacity, Image, ImageTable, Node, NodeConfig, RestartTimes};
use drey_testbed::node_checks::{self, Bench};
use kube::config::{KubeConfigOptions, Kubeconfig};

#[derive(Debug, Parser)]
struct Arguments {
    /// Reaches the API server with every right.
    #[arg(long)]
    kubeconfig: PathBuf,
    /// The bridge of pods and API server.
    #[arg(long)]
    bridge: String,
    /// This machine's address on it and the length of its prefix.
    #[arg(long)]
    gateway: String,
    /// Where pods reach the API server.
    #[arg(long)]
    api_server: SocketAddr,
    /// A directory of the node's own.
    #[arg(long)]
    directory: PathBuf,
    /// A Flink distribution as the image `flink:<version>*`.
    #[arg(long, value_name = "VERSION=HOME")]
    flink: Vec<String>,
    /// A jar that every Flink image has in `usrlib`.
    #[arg(long)]
    jar: Vec<PathBuf>,
    /// Name of the node.
    #[arg(long, default_value = "processes")]
    name: String,
    /// Makes the node's checks and ends.
    #[arg(long)]
    check: bool,
}

fn images(arguments: &Arguments) -> Result<ImageTable> {
    let mut table = ImageTable::default().with("busybox*", Image::machine());
    for entry in &arguments.flink {
        let (version, home) = entry.split_once('=').context("--flink takes VERSION=HOME")?;
        let java = java::find(version.parse()?, &JavaPlaces::of_environment())?;
        let mut image = Image::flink(PathBuf::from(home).as_path(), &java.home);
        for jar in &arguments.jar {
            let name = jar.file_name().context("--jar names a file")?.to_string_lossy();
            image = image.with_path(jar, &format!("/opt/flink/usrlib/{name}"));
        }
        table.add(&format!("flink:{version}*"), image);
    }
    Ok(table)
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    drop(rustls::crypto::ring::default_provider().install_default());
    let kubeconfig = Kubeconfig::read_from(&arguments.kubeconfig)?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    let client = kube::Client::try_from(config)?;
    let (gateway, prefix) = arguments.gateway.split_once('/').context("--gateway takes ADDRESS/PREFIX")?;
    let gateway: Ipv4Addr = gateway.parse()?;
    let network = Network {
        bridge: arguments.bridge.clone(),
        gateway,
        prefix_len: prefix.parse()?,
        service_cidr: String::new(),
    };
    let config = NodeConfig {
        name: arguments.name.clone(),
        number: 0,
        client: client.clone(),
        api_server: arguments.api_server,
        network,
        directory: arguments.directory.clone(),
        images: images(&arguments)?,
        capacity: Capacity::default(),
        labels: std::collections::BTreeMap::new(),
        restart_times: RestartTimes::default(),
    };
    let node = Node::start(config.clone()).await?;
    println!("node `{}` is ready", node.name());
    let outcome = if arguments.check {
        let bench = Bench { client, node: &node, config, kubeconfig: arguments.kubeconfig };
        node_checks::all(&bench).await.map(|passed| println!("passed: {}", passed.join(", ")))
    } else {
        tokio::signal::ctrl_c().await.map_err(anyhow::Error::from)
    };
    node.stop().await;
    outcome
}
