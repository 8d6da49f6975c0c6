//! The dashboard of laptop mode in a real Chromium, with a real job and with odd resources beside it. The walks
//! themselves are the front end's own; this starts what they walk through.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use drey_api::kinds::{FlinkBlueGreenDeployment, FlinkDeployment, FlinkSessionJob, FlinkStateSnapshot};
use kube::api::{ApiResource, DynamicObject, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::{Value, json};

use crate::front_end::{walk, walk_asking};
use crate::kills::Victim;
use crate::laptop::Laptop;
use crate::ledger_job::{LedgerJob, NAME, must_be_whole};
use crate::outages;
use crate::place::Place;
use crate::steps::first_deployment;
use crate::story::Story;

/// The walks that change nothing, in their order.
const WALKS: [&str; 3] = ["foreign", "walk", "axe"];

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The binary
    #[arg(long)]
    drey: PathBuf,
    /// The jar of the examples
    #[arg(long)]
    jar: PathBuf,
    /// The front end's directory, with its packages installed
    #[arg(long, default_value = "ui")]
    ui: PathBuf,
    /// Minor version of Flink
    #[arg(long, default_value = "1.20")]
    flink: String,
    /// Directory for a picture of each page in both themes
    #[arg(long)]
    pictures: Option<PathBuf>,
    /// Directory to work in; kept when a step fails
    #[arg(long)]
    directory: Option<PathBuf>,
}

/// Runs the walks.
pub(crate) fn run(args: &Args) -> Result<()> {
    let temporary = tempfile::tempdir()?;
    let directory = args.directory.clone().unwrap_or_else(|| temporary.path().join("work"));
    let ui = std::fs::canonicalize(&args.ui).with_context(|| args.ui.display().to_string())?;
    let jar = std::fs::canonicalize(&args.jar)?;
    let drey = std::fs::canonicalize(&args.drey)?;
    let laptop = Laptop::new(&args.drey, &directory)?;
    let output = laptop.directory().join("ledger-output");
    let mut story = Story::new(laptop, LedgerJob::new(&args.flink, &jar, output));
    story.step("dashboard: a job runs", first_deployment);
    story.step("dashboard: odd resources beside it", |story| odd_resources(&story.place));
    let pictures = args.pictures.as_deref().map(std::path::absolute).transpose()?;
    let pictures = pictures.map(|directory| directory.to_string_lossy().into_owned());
    for walk in WALKS {
        let pictures = pictures.as_deref().map(|directory| ("DREY_PICTURES", directory));
        story.step(&format!("dashboard: {walk}"), |story| browse(&story.place, &ui, walk, pictures));
    }
    let job = format!("default/flinkdeployments/{NAME}");
    let of_job = Some(("DREY_JOB", job.as_str()));
    story.step("dashboard: Flink's own pages", |story| browse(&story.place, &ui, "flink-pages", of_job));
    story.step("dashboard: the JobManager is killed", |story| {
        let address = address(&story.place)?;
        walk_asking(&ui, "job-manager-outage", &address, &[("DREY_JOB", &job)], &mut |_| {
            story.place.kill(Victim::JobManager).map(drop)
        })
    });
    story.step("dashboard: its server and the API server go away", |_| outages::run(&drey, &ui));
    story.step("dashboard: actions", |story| {
        browse(&story.place, &ui, "actions", of_job)?;
        must_be_whole(&story.job.report()?)
    });
    story.conclude(temporary, args.directory.is_some())
}

/// Where the dashboard is, with the token that lets in.
fn address(laptop: &Laptop) -> Result<String> {
    let read = |name: &str| {
        let path = laptop.state_directory().join(name);
        std::fs::read_to_string(&path).with_context(|| path.display().to_string())
    };
    let (port, token) = (read("dashboard-port")?, read("dashboard-token")?);
    Ok(format!("http://127.0.0.1:{}/?token={}", port.trim(), token.trim()))
}

/// Runs one walk of the front end against the dashboard of `laptop`.
fn browse(laptop: &Laptop, ui: &Path, name: &str, variable: Option<(&str, &str)>) -> Result<()> {
    walk(ui, name, &address(laptop)?, variable.as_slice())
}

/// What drey does not act on, or cannot read: rows all the same.
fn odd_resources(laptop: &Laptop) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let kubeconfig = Kubeconfig::read_from(laptop.state_directory().join("kubeconfig"))?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        let client = Client::try_from(config)?;
        let deployment = ApiResource::erase::<FlinkDeployment>(&());
        let objects: [(&ApiResource, &str, Value); 6] = [
            (&deployment, "without-anything", json!({ "spec": {} })),
            (&deployment, "session.with-a-dot", json!({ "spec": { "flinkVersion": "v1_20", "image": "registry.example:5000/team/app@sha256:0123456789abcdef" } })),
            (&deployment, &"long-".repeat(12), json!({ "spec": { "job": { "parallelism": 3, "state": "suspended" } } })),
            (&ApiResource::erase::<FlinkSessionJob>(&()), "of-a-session", json!({ "spec": { "deploymentName": "session.with-a-dot", "job": { "parallelism": 1 } } })),
            (&ApiResource::erase::<FlinkStateSnapshot>(&()), "a-snapshot", json!({ "spec": { "jobReference": { "kind": "FlinkDeployment", "name": "without-anything" }, "savepoint": { "path": "/s/1" } } })),
            (&ApiResource::erase::<FlinkBlueGreenDeployment>(&()), "a-pair", json!({ "spec": { "template": { "spec": { "image": "<script>alert(1)</script>" } } } })),
        ];
        for (resource, name, data) in objects {
            let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), "default", resource);
            let mut object = DynamicObject::new(name.trim_end_matches('-'), resource);
            object.data = data;
            api.create(&PostParams::default(), &object).await.with_context(|| name.to_owned())?;
        }
        Ok(())
    })
}
