//! Holds the embedded API server to the real one: every conformance probe is sent to both, and the answers are compared.
//! Where they differ on purpose, the probe says why, and the difference has to be the one that is written down.
//!
//! The answers of the real server are written down beside the probes, so that the embedded one is held to them also on
//! machines without a real one. Here those records are held to the server itself; `--record` writes them anew.

#[path = "../../../../apiserver/tests/conformance/runner.rs"]
mod runner;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use drey_apiserver::ApiServer;
use drey_testbed::kube::{Controllers, Kube, Options, Programs};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::client::ConfigExt as _;
use kube::{Api, Client};
use serde_json::{Value, json};

use runner::{Probe, Runner, parse};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directory of the programs
    #[arg(long)]
    programs: PathBuf,
    /// Directory of the probes
    #[arg(long, default_value = "crates/apiserver/tests/conformance/probes")]
    probes: PathBuf,
    /// Write down the answers instead of judging them
    #[arg(long)]
    record: bool,
}

/// A probe, and what both servers answered.
struct Answered {
    probe: Probe,
    real: Value,
    ours: Value,
}

/// Sends every probe to both servers.
pub(crate) fn run(args: &Args) -> Result<()> {
    tokio::runtime::Runtime::new().context("no runtime")?.block_on(both(args))
}

async fn both(args: &Args) -> Result<()> {
    let programs = Programs::in_directory(&args.programs)?;
    let kube = Kube::start(Options {
        name: format!("conformance-{}", std::process::id()),
        programs,
        controllers: Controllers::Garbage,
    });
    let kube = kube.await?;
    let (mut passed, mut failed) = (0_u64, 0_u64);
    for file in files(&args.probes)? {
        let began = Instant::now();
        let answered = answered(&file, plain_client(&kube).await?).await?;
        let probes = answered.len();
        println!("{}: {probes} probes in {:.1} s", file.display(), began.elapsed().as_secs_f64());
        if args.record {
            record(&file, answered)?;
            continue;
        }
        for probe in &answered {
            match probe.complaint() {
                None => passed += 1,
                Some(complaint) => {
                    failed += 1;
                    let place = format!("{}:{}", file.display(), probe.probe.line);
                    println!("FAILED    {place} {}: {complaint}", probe.probe.name());
                }
            }
        }
    }
    kube.stop()?;
    if args.record {
        return Ok(());
    }
    println!("{passed} passed, {failed} failed");
    if failed > 0 {
        bail!("{failed} probes failed");
    }
    Ok(())
}

fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>>>()?;
    files.sort();
    Ok(files)
}

async fn answered(file: &Path, real: Client) -> Result<Vec<Answered>> {
    let stem = file.file_stem().and_then(|stem| stem.to_str()).context("probe files have names")?;
    let namespace = format!("probe-{stem}");
    let accounts = Api::<ServiceAccount>::namespaced(real.clone(), &namespace);
    let mut real = Runner::new(real, &namespace).await;
    // Its controller would make it, and others would meddle with what the probes make.
    let account = serde_json::from_value(json!({"metadata": {"name": "default"}}))?;
    accounts.create(&PostParams::default(), &account).await?;
    let mut ours = Runner::new(ApiServer::in_memory()?.client("default"), &namespace).await;
    let mut all = Vec::new();
    for probe in parse(&std::fs::read_to_string(file)?) {
        let (real, ours) = tokio::join!(real.run(&probe), ours.run(&probe));
        all.push(Answered { probe, real, ours });
    }
    Ok(all)
}

impl Answered {
    /// What is wrong with the answers; `None` when they are as they should be.
    fn complaint(&self) -> Option<String> {
        let written = |member: &str| self.probe.members.get(member);
        if written("expect") != Some(&self.real) {
            let record = written("expect").unwrap_or(&Value::Null);
            return Some(format!(
                "the record is not what the real server answers\n  record {record}\n  real   {}",
                self.real
            ));
        }
        let wanted = written("ours").unwrap_or(&self.real);
        (*wanted != self.ours).then(|| {
            let why = if written("differs").is_some() { "as it should differ" } else { "as the real one" };
            format!("the embedded server does not answer {why}\n  wanted {wanted}\n  ours   {}", self.ours)
        })
    }
}

fn record(file: &Path, answered: Vec<Answered>) -> Result<()> {
    let mut text = String::new();
    for Answered { mut probe, real, ours } in answered {
        probe.members.insert("expect".to_owned(), real);
        if probe.members.contains_key("differs") {
            probe.members.insert("ours".to_owned(), ours);
        }
        text.push_str(&serde_json::to_string(&probe.members)?);
        text.push('\n');
    }
    std::fs::write(file, text).with_context(|| file.display().to_string())
}

/// A client without the retries of one that is made from a configuration: a refusal is an answer.
async fn plain_client(kube: &Kube) -> Result<Client> {
    let kubeconfig = kube::config::Kubeconfig::read_from(kube.kubeconfig())?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await?;
    let transport = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
        .build(config.rustls_https_connector()?);
    let service = tower::ServiceBuilder::new().layer(config.base_uri_layer()).service(transport);
    Ok(Client::new(service, "default"))
}
