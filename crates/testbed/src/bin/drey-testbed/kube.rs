//! A real Kubernetes control plane: up, down, status, or for as long as this program runs.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use drey_testbed::kube::{Controllers, Kube, Options, Programs, Record};

/// What is done with clusters.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a cluster that stays
    Up(Start),
    /// Start a cluster that ends with this program
    Run(Start),
    /// Take a cluster away
    Down(Name),
    /// Say which clusters there are and what of them runs
    Status {
        /// Only this cluster
        #[arg(long)]
        name: Option<String>,
    },
}

/// The name of a cluster.
#[derive(Debug, clap::Args)]
pub(crate) struct Name {
    /// Name of the cluster
    #[arg(long, default_value = "drey")]
    name: String,
}

/// How to start.
#[derive(Debug, clap::Args)]
pub(crate) struct Start {
    #[command(flatten)]
    name: Name,
    /// Directory of the programs
    #[arg(long)]
    programs: PathBuf,
    /// Run also the controller that deletes pods whose Node object is missing
    #[arg(long)]
    pod_garbage_collector: bool,
}

/// Does it.
pub(crate) fn run(command: &Command) -> Result<()> {
    match command {
        Command::Up(start) => up(start),
        Command::Run(start) => until_told(start),
        Command::Down(name) => down(&name.name),
        Command::Status { name } => status(name.as_deref()),
    }
}

fn started(runtime: &tokio::runtime::Runtime, start: &Start) -> Result<Kube> {
    let controllers = if start.pod_garbage_collector {
        Controllers::WorkloadsAndPodGarbage
    } else {
        Controllers::Workloads
    };
    let programs = Programs::in_directory(&start.programs)?;
    let options = Options { name: start.name.name.clone(), programs, controllers };
    let began = Instant::now();
    let kube = runtime.block_on(Kube::start(options))?;
    println!("cluster {} is up after {:.1} s", start.name.name, began.elapsed().as_secs_f64());
    Ok(kube)
}

fn up(start: &Start) -> Result<()> {
    let runtime = runtime()?;
    let record = started(&runtime, start)?.detach()?;
    println!("API server  https://{}", record.api_server());
    println!(
        "bridge      {} with {}/{}",
        record.network.bridge, record.network.gateway, record.network.prefix_len
    );
    println!("use it      export KUBECONFIG={}", record.kubeconfig().display());
    Ok(())
}

fn until_told(start: &Start) -> Result<()> {
    let runtime = runtime()?;
    let kube = started(&runtime, start)?;
    println!("export KUBECONFIG={}", kube.kubeconfig().display());
    runtime.block_on(tokio::signal::ctrl_c()).context("signals cannot be waited for")?;
    Ok(kube.stop()?)
}

fn down(name: &str) -> Result<()> {
    let record = Record::named(name)?;
    record.remove()?;
    println!("cluster {name} is gone");
    Ok(())
}

fn status(name: Option<&str>) -> Result<()> {
    let records = name.map_or_else(Record::all, |name| Record::named(name).map(|record| vec![record]))?;
    if records.is_empty() {
        println!("no clusters");
    }
    let mut broken = Vec::new();
    for record in records {
        let kept = if record.owner.is_some() { "ends with its owner" } else { "stays" };
        println!("{}: https://{}, {kept}", record.name, record.api_server());
        for process in &record.processes {
            let alive = process.identity.is_alive()?;
            let state = if alive { "runs" } else { "is gone" };
            println!("  {:<24} {:>8} {state}", process.name, process.identity.pid);
            if !alive {
                broken.push(record.name.clone());
            }
        }
        println!("  {}", record.kubeconfig().display());
    }
    broken.dedup();
    if !broken.is_empty() {
        bail!("processes are gone of: {}", broken.join(", "));
    }
    Ok(())
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Runtime::new().context("no runtime")
}
