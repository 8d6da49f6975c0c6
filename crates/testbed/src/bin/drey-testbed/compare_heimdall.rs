//! Heimdall's own server and ours over the same resources, answer by answer: twelve that are odd, each alone, so that one that
//! Heimdall fails on does not hide the others. Refuses to hold any of it: its program comes from outside.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::{DynamicObject, ObjectMeta, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};

use crate::front_end::Dashboard;
use crate::served_api::ServedApi;

/// How long a start may take.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// The resource that has everything.
const WHOLE: &str = "whole";

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The binary
    #[arg(long)]
    drey: PathBuf,
    /// Heimdall's `quarkus-run.jar`, built from its source, with the files that it needs beside it
    #[arg(long)]
    heimdall_jar: PathBuf,
}

/// Compares.
pub(crate) fn run(args: &Args) -> Result<()> {
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(compare(args))
}

/// The resources: a name, its spec and its status.
fn odd() -> Vec<(&'static str, Value, Value)> {
    let job = json!({ "jarURI": "local:///a.jar", "parallelism": 2, "upgradeMode": "stateless" });
    let manager = json!({ "replicas": 1, "resource": { "cpu": 1.0, "memory": "2g" } });
    let whole = json!({ "image": "registry.example/team/app:1", "flinkVersion": "v1_20", "job": job,
        "jobManager": manager, "taskManager": { "resource": { "cpu": 0.5, "memory": "4g" } } });
    let running = json!({ "jobStatus": { "state": "RUNNING", "startTime": "1700000000000" },
        "taskManager": { "replicas": 2 } });
    let without = |field: &str| {
        let mut spec = whole.clone();
        spec.as_object_mut().expect("a spec").remove(field);
        spec
    };
    let with = |pointer: &str, value: Value| {
        let mut spec = whole.clone();
        *spec.pointer_mut(pointer).expect("it stands there") = value;
        spec
    };
    vec![
        (WHOLE, whole.clone(), running.clone()),
        ("no-spec", json!(null), json!({})),
        ("no-image", without("image"), running.clone()),
        ("no-job", without("job"), json!({ "jobManagerDeploymentStatus": "READY" })),
        ("no-job-manager", without("jobManager"), running.clone()),
        ("no-task-manager", without("taskManager"), running.clone()),
        ("no-status", whole.clone(), json!({})),
        ("no-task-manager-status", whole.clone(), json!({ "jobStatus": { "state": "RECONCILING" } })),
        ("no-version", without("flinkVersion"), running.clone()),
        ("image-without-registry", with("/image", json!("team/app:1")), running.clone()),
        ("image-by-digest", with("/image", json!("docker.io/flink@sha256:00ff")), running.clone()),
        ("no-parallelism", with("/job/parallelism", json!(null)), running),
    ]
}

async fn compare(args: &Args) -> Result<()> {
    let drey = std::fs::canonicalize(&args.drey).with_context(|| args.drey.display().to_string())?;
    let api = ServedApi::start().await?;
    let client = api.client();
    let resources = odd();
    let namespaces: Vec<&str> = resources.iter().map(|(name, ..)| *name).collect();
    for (name, spec, status) in &resources {
        create(&client, name, spec, status).await?;
    }
    let kubeconfig = api.kubeconfig();
    let dashboard = Dashboard::start(&drey, &kubeconfig, &["--port", "0", "--login", "none"])?;
    let ours = ask(&format!("{}jobs", dashboard.address)).await?;
    let ours = ours.as_array().context("drey answers with a list")?.clone();
    let (mut passed, mut failed) = (0, 0);
    let log = api.directory().join("heimdall.log");
    for namespace in namespaces {
        let heimdall = Heimdall::start(&args.heimdall_jar, &kubeconfig, namespace, &log).await?;
        let theirs = ask(&format!("http://127.0.0.1:{}/jobs", heimdall.port)).await;
        let own = ours.iter().find(|job| job["name"] == namespace).cloned();
        // Where it fails on what is not odd, it is not Heimdall that is compared.
        if let (WHOLE, Err(error)) = (namespace, &theirs) {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let why = text.lines().find(|line| line.contains("ERROR")).unwrap_or_default();
            bail!("Heimdall tells of nothing: {error:#}: {why}");
        }
        match judge(own.as_ref(), theirs) {
            Ok(told) => {
                passed += 1;
                println!("ok        {namespace}: {told}");
            }
            Err(error) => {
                failed += 1;
                println!("FAILED    {namespace}: {error:#}");
            }
        }
    }
    api.end().await?;
    println!("{passed} passed, {failed} failed");
    ensure!(failed == 0, "{failed} answers differ");
    Ok(())
}

/// What Heimdall tells is told alike, field by field; what it fails on is told by drey alone.
fn judge(ours: Option<&Value>, theirs: Result<Value>) -> Result<String> {
    let ours = ours.context("drey does not tell of it")?;
    let theirs = match theirs {
        Ok(theirs) => theirs,
        Err(error) => return Ok(format!("heimdall: {error:#}; drey: {ours}")),
    };
    let theirs = theirs.get(0).with_context(|| format!("Heimdall does not tell of it: {theirs}"))?;
    let fields = theirs.as_object().context("a job is an object")?;
    let differing: Vec<String> = fields
        .iter()
        .filter(|(name, value)| ours[name.as_str()] != **value)
        .map(|(name, value)| format!("{name}: heimdall {value}, drey {}", ours[name.as_str()]))
        .collect();
    ensure!(differing.is_empty(), "{}", differing.join("; "));
    Ok(format!("alike in {} fields", fields.len()))
}

async fn create(client: &kube::Client, name: &str, spec: &Value, status: &Value) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    namespaces.create(&PostParams::default(), &Namespace { metadata, ..Namespace::default() }).await?;
    let kind = GroupVersionKind::gvk("flink.apache.org", "v1beta1", "FlinkDeployment");
    let resource = ApiResource::from_gvk(&kind);
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), name, &resource);
    let data = if spec.is_null() { json!({}) } else { json!({ "spec": spec }) };
    api.create(&PostParams::default(), &DynamicObject::new(name, &resource).data(data)).await?;
    let status = json!({ "status": status });
    api.patch_status(name, &PatchParams::default(), &Patch::Merge(&status)).await?;
    Ok(())
}

async fn ask(address: &str) -> Result<Value> {
    let answer = reqwest::get(address).await?;
    let status = answer.status();
    ensure!(status.is_success(), "it answers {status}");
    Ok(answer.json().await?)
}

/// Heimdall's server, for one namespace. Dropping it kills it.
struct Heimdall {
    process: Child,
    port: u16,
}

impl Heimdall {
    async fn start(jar: &Path, kubeconfig: &Path, namespace: &str, log: &Path) -> Result<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "java", "-jar"]).arg(jar);
        command
            .env("QUARKUS_HTTP_HOST", "127.0.0.1")
            .env("QUARKUS_HTTP_PORT", port.to_string())
            .env("KUBECONFIG", kubeconfig)
            .env("HEIMDALL_JOBLOCATOR_K8S_OPERATOR_NAMESPACE_TO_WATCH", namespace)
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(log)?)
            .stderr(Stdio::null());
        let mut heimdall = Self { process: command.spawn().context("java cannot be started")?, port };
        let began = Instant::now();
        while ask(&format!("http://127.0.0.1:{port}/config")).await.is_err() {
            if let Some(status) = heimdall.process.try_wait()? {
                bail!("Heimdall ended with {status}");
            }
            ensure!(began.elapsed() < START_TIMEOUT, "Heimdall does not answer");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(heimdall)
    }
}

impl Drop for Heimdall {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.process.kill();
        let _waited = self.process.wait();
    }
}
