//! Measures one engine against fake JobManagers in another process: memory and processor time at rest, what is written
//! at rest, the time from an edit to the action that it causes, and what a restart costs. The embedded API server is
//! either in this process, as on a laptop, or in the other one, as in a cluster: then what is measured is the engine
//! alone. Refuses to judge: goals are compared by whoever asks.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use drey_api::defaults::Defaults;
use drey_api::desired::Desired;
use drey_api::kinds::FlinkDeployment;
use drey_apiserver::ApiServer;
use drey_core::decision::Deployment;
use drey_core::observed::{Cluster, ClusterPhase, StoredSnapshot};
use drey_core::{Policy, Seen};
use drey_engine::{
    Engine, EngineConfig, EngineError, LaunchError, Launcher, Leadership, Limits, Namespaces, SystemClock,
    Target,
};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::fake_jobmanager::hangs;
use crate::usage::Usage;

const NAMESPACE: &str = "default";

/// What is measured.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many FlinkDeployments.
    pub resources: usize,
    /// How many of a hundred JobManagers hang once all jobs run, 0 to 99.
    pub hanging_percent: u64,
    /// The API server is in the other process too.
    pub api_apart: bool,
    /// The program `fake-jobmanagers` of this crate's examples.
    pub fake_jobmanagers: PathBuf,
    /// How long the engine is watched at rest.
    pub rest: Duration,
    /// How many edits are timed.
    pub edits: usize,
}

/// What was measured.
#[derive(Clone, Debug)]
pub struct Report {
    /// How many FlinkDeployments.
    pub resources: usize,
    /// How many of a hundred JobManagers hang.
    pub hanging_percent: u64,
    /// The API server was in another process.
    pub api_apart: bool,
    /// From the first resource to all of them stable.
    pub deployed_in: Duration,
    /// Resident memory of this process at rest, bytes.
    pub resident_bytes: u64,
    /// Processor time of this process at rest, seconds for each minute.
    pub processor_seconds_per_minute: f64,
    /// Status writes at rest.
    pub writes_at_rest: u64,
    /// Actions at rest.
    pub actions_at_rest: u64,
    /// From an edit to the request that it makes JobManagers get: the median.
    pub edit_to_action_p50: Duration,
    /// The same: 99 of a hundred are at most this.
    pub edit_to_action_p99: Duration,
    /// From the start of a new engine until every JobManager that answers was asked.
    pub restart: Duration,
    /// Status writes and actions of the new engine until then.
    pub side_effects_of_restart: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |duration: Duration| duration.as_secs_f64() * 1_000.0;
        writeln!(f, "FlinkDeployments             {}", self.resources)?;
        writeln!(f, "hanging JobManagers          {} %", self.hanging_percent)?;
        let place = if self.api_apart { "in another process, over HTTP" } else { "in this process" };
        writeln!(f, "API server                   {place}")?;
        writeln!(f, "all stable after             {:.1} s", self.deployed_in.as_secs_f64())?;
        writeln!(f, "resident memory at rest      {:.1} MB", self.resident_bytes as f64 / 1e6)?;
        writeln!(f, "processor time at rest       {:.2} s/min", self.processor_seconds_per_minute)?;
        writeln!(f, "status writes at rest        {}", self.writes_at_rest)?;
        writeln!(f, "actions at rest              {}", self.actions_at_rest)?;
        writeln!(f, "edit to action, p50          {:.1} ms", ms(self.edit_to_action_p50))?;
        writeln!(f, "edit to action, p99          {:.1} ms", ms(self.edit_to_action_p99))?;
        writeln!(f, "restart, all observed        {:.1} s", self.restart.as_secs_f64())?;
        write!(f, "side effects of the restart  {}", self.side_effects_of_restart)
    }
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The fake JobManagers did not start.
    #[error(
        "`{program}` could not be started: {source}\nhint: build it with `cargo build -p drey-testbed --examples`"
    )]
    NoFake {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The API server or the fake JobManagers did not do as asked.
    #[error("{0}")]
    Setup(String),
    /// Something did not come about.
    #[error("{what} did not come about within {within:?}")]
    Late {
        /// What was awaited.
        what: &'static str,
        /// How long.
        within: Duration,
    },
}

/// Measures.
///
/// # Errors
/// See [`BenchError`].
pub async fn run(options: &Options) -> Result<Report, BenchError> {
    drop(rustls::crypto::ring::default_provider().install_default());
    let fake = FakeProcess::start(&options.fake_jobmanagers)?;
    let client =
        if options.api_apart { client_of(&fake.api)? } else { api_server().await?.client(NAMESPACE) };
    let launcher = BenchLauncher::new(&fake.base);
    let bench = Bench { options, client, launcher, http: http_client()?, fake };

    let begun = Instant::now();
    let running = bench.start_engine();
    bench.create_all().await?;
    bench.until(&running, "all resources at rest", |bench, engine| bench.all_at_rest(engine)).await?;
    let deployed_in = begun.elapsed();

    bench.hang().await?;
    if options.hanging_percent > 0 {
        let hang = |bench: &Bench<'_>, engine: &Engine| bench.silent(engine) >= bench.hanging();
        bench.until(&running, "hanging JobManagers to be noticed", hang).await?;
    }
    // Until what the change stirred up has settled.
    bench.until_quiet(&running).await?;
    let (resident_bytes, processor, writes_at_rest, actions_at_rest) = bench.rest(&running).await?;
    let mut latencies = bench.edit_and_time().await?;
    latencies.sort_unstable();
    bench.until(&running, "all edits to be deployed", |bench, engine| bench.all_at_rest(engine)).await?;
    bench.until_quiet(&running).await?;
    running.stop().await?;

    let restarted_at = Instant::now();
    let restarted = bench.start_engine();
    let observed = |bench: &Bench<'_>, engine: &Engine| bench.answering(engine) >= bench.prompt();
    bench.until(&restarted, "every JobManager to be asked", observed).await?;
    let restart = restarted_at.elapsed();
    let metrics = restarted.engine.metrics();
    let side_effects_of_restart = metrics.status_writes_acknowledged() + metrics.actions_begun();
    restarted.stop().await?;
    Ok(Report {
        resources: options.resources,
        hanging_percent: options.hanging_percent,
        api_apart: options.api_apart,
        deployed_in,
        resident_bytes,
        processor_seconds_per_minute: processor,
        writes_at_rest,
        actions_at_rest,
        edit_to_action_p50: percentile(&latencies, 50),
        edit_to_action_p99: percentile(&latencies, 99),
        restart,
        side_effects_of_restart,
    })
}

struct Bench<'a> {
    options: &'a Options,
    client: Client,
    launcher: BenchLauncher,
    http: reqwest::Client,
    fake: FakeProcess,
}

struct Running {
    engine: Engine,
    stop: CancellationToken,
    task: JoinHandle<Result<(), EngineError>>,
}

impl Running {
    async fn stop(self) -> Result<(), BenchError> {
        self.stop.cancel();
        let ended = self.task.await.map_err(|error| BenchError::Setup(error.to_string()))?;
        ended.map_err(|error| BenchError::Setup(error.to_string()))
    }
}

impl Bench<'_> {
    fn start_engine(&self) -> Running {
        let engine = Engine::new(EngineConfig {
            client: self.client.clone(),
            launcher: Arc::new(self.launcher.clone()),
            http: self.http.clone(),
            policy: Policy::default(),
            defaults: Defaults::default(),
            namespaces: Namespaces::All,
            label_selector: None,
            leadership: Leadership::undisputed(1),
            clock: Arc::new(SystemClock),
            limits: Limits::default(),
        });
        let stop = CancellationToken::new();
        let task = tokio::spawn({
            let (engine, stop) = (engine.clone(), stop.clone());
            async move { engine.run(stop).await }
        });
        Running { engine, stop, task }
    }

    async fn create_all(&self) -> Result<(), BenchError> {
        let api: Api<FlinkDeployment> = Api::namespaced(self.client.clone(), NAMESPACE);
        for number in 0..self.options.resources {
            let object = deployment(&name(number));
            api.create(&PostParams::default(), &object).await.map_err(setup)?;
        }
        Ok(())
    }

    async fn hang(&self) -> Result<(), BenchError> {
        let url = format!("{}/hang/{}", self.fake.base, self.options.hanging_percent);
        self.http.post(url).send().await.map_err(setup).map(drop)
    }

    fn hanging(&self) -> usize {
        (0..self.options.resources)
            .filter(|number| hangs(&name(*number), self.options.hanging_percent))
            .count()
    }

    fn prompt(&self) -> usize {
        self.options.resources - self.hanging()
    }

    fn all_at_rest(&self, engine: &Engine) -> bool {
        let at_rest =
            engine.view().resources.iter().filter(|view| view.at_rest && view.error.is_none()).count();
        // One whose JobManager hangs is not at rest: it says that it waits.
        at_rest >= self.prompt() && engine.view().resources.len() == self.options.resources
    }

    fn silent(&self, engine: &Engine) -> usize {
        engine.view().resources.iter().filter(|view| view.reachable == Some(false)).count()
    }

    fn answering(&self, engine: &Engine) -> usize {
        engine.view().resources.iter().filter(|view| view.reachable == Some(true)).count()
    }

    async fn until(
        &self,
        running: &Running,
        what: &'static str,
        is: impl Fn(&Self, &Engine) -> bool,
    ) -> Result<(), BenchError> {
        let within = Duration::from_secs(600);
        let begun = Instant::now();
        while !is(self, &running.engine) {
            if begun.elapsed() > within {
                return Err(BenchError::Late { what, within });
            }
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Waits until nothing was written for some seconds.
    async fn until_quiet(&self, running: &Running) -> Result<(), BenchError> {
        let metrics = running.engine.metrics();
        let count = || metrics.status_writes_acknowledged() + metrics.actions_begun();
        let within = Duration::from_secs(600);
        let begun = Instant::now();
        let mut last = (count(), Instant::now());
        while last.1.elapsed() < Duration::from_secs(5) {
            sleep(Duration::from_millis(200)).await;
            if count() != last.0 {
                last = (count(), Instant::now());
            }
            if begun.elapsed() > within {
                return Err(BenchError::Late { what: "quiet", within });
            }
        }
        Ok(())
    }

    async fn rest(&self, running: &Running) -> Result<(u64, f64, u64, u64), BenchError> {
        let metrics = running.engine.metrics();
        let counts = || (metrics.status_writes_acknowledged(), metrics.actions_begun());
        let (writes, actions) = counts();
        let (begun, processor) = (Instant::now(), Usage::here().map_err(setup)?);
        sleep(self.options.rest).await;
        let used = Usage::here().map_err(setup)?;
        let minutes = begun.elapsed().as_secs_f64() / 60.0;
        let (writes_after, actions_after) = counts();
        Ok((
            used.resident_bytes,
            (used.processor_seconds - processor.processor_seconds) / minutes,
            writes_after - writes,
            actions_after - actions,
        ))
    }

    /// Edits some resources one after the other, and asks the fake JobManagers when they were told to stop.
    async fn edit_and_time(&self) -> Result<Vec<Duration>, BenchError> {
        let api: Api<FlinkDeployment> = Api::namespaced(self.client.clone(), NAMESPACE);
        let prompt =
            (0..self.options.resources).map(name).filter(|name| !hangs(name, self.options.hanging_percent));
        let step = (self.prompt() / self.options.edits.max(1)).max(1);
        let names: Vec<String> = prompt.step_by(step).take(self.options.edits).collect();
        let mut edited = HashMap::new();
        for name in &names {
            edited.insert(name.clone(), now_us());
            let patch = json!({ "spec": { "job": { "args": ["--edited"] } } });
            api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await.map_err(setup)?;
            sleep(Duration::from_millis(20)).await;
        }
        let mut latencies = HashMap::new();
        let begun = Instant::now();
        while latencies.len() < edited.len() {
            let url = format!("{}/actions", self.fake.base);
            let actions: Vec<(String, u64)> =
                self.http.get(url).send().await.map_err(setup)?.json().await.map_err(setup)?;
            for (name, at_us) in actions {
                if let Some(edited_us) = edited.get(&name) {
                    latencies.entry(name).or_insert(Duration::from_micros(at_us.saturating_sub(*edited_us)));
                }
            }
            let within = Duration::from_secs(120);
            if begun.elapsed() > within {
                return Err(BenchError::Late { what: "an action for every edit", within });
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(latencies.into_values().collect())
    }
}

/// So many of a hundred are at most this; zero when there are none.
#[must_use]
pub fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied().unwrap_or_default()
}

fn setup(error: impl fmt::Display) -> BenchError {
    BenchError::Setup(error.to_string())
}

fn name(number: usize) -> String {
    format!("deployment-{number:05}")
}

fn http_client() -> Result<reqwest::Client, BenchError> {
    // As the product's: many JobManagers, so few idle connections each.
    reqwest::Client::builder().pool_max_idle_per_host(8).build().map_err(setup)
}

/// An API server in memory that serves our kinds.
///
/// # Errors
/// See [`BenchError`].
pub async fn api_server() -> Result<ApiServer, BenchError> {
    let api = ApiServer::in_memory().map_err(setup)?;
    install_crds(&api.client(NAMESPACE)).await?;
    Ok(api)
}

fn client_of(address: &str) -> Result<Client, BenchError> {
    let mut config = kube::Config::new(address.parse().map_err(setup)?);
    NAMESPACE.clone_into(&mut config.default_namespace);
    Client::try_from(config).map_err(setup)
}

async fn install_crds(client: &Client) -> Result<(), BenchError> {
    let api = Api::all(client.clone());
    for crd in drey_api::crd::all() {
        api.create(&PostParams::default(), &crd).await.map_err(setup)?;
    }
    Ok(())
}

/// A FlinkDeployment of a usual size.
#[must_use]
pub fn deployment(name: &str) -> FlinkDeployment {
    let mut configuration = json!({
        "taskmanager.numberOfTaskSlots": "2",
        "high-availability.type": "kubernetes",
        "high-availability.storageDir": "s3://bucket/ha",
        "execution.checkpointing.interval": "10s",
        "execution.checkpointing.savepoint-dir": "s3://bucket/savepoints",
        "execution.checkpointing.dir": "s3://bucket/checkpoints",
        "state.backend.type": "rocksdb",
    });
    for number in 0..20 {
        configuration[format!("pipeline.global-job-parameters.setting-{number:02}")] =
            json!("a value of some length");
    }
    serde_json::from_value(json!({
        "apiVersion": "flink.apache.org/v1beta1",
        "kind": "FlinkDeployment",
        "metadata": {
            "name": name, "namespace": NAMESPACE,
            "labels": { "team": "bench", "app.kubernetes.io/name": name },
        },
        "spec": {
            "image": "registry.example.com/team/job:1.2.3",
            "flinkVersion": "v1_20",
            "serviceAccount": "flink",
            "flinkConfiguration": configuration,
            "podTemplate": { "spec": { "containers": [{
                "name": "flink-main-container",
                "env": [{ "name": "A", "value": "1" }, { "name": "B", "value": "2" }],
                "volumeMounts": [{ "name": "data", "mountPath": "/data" }],
            }], "volumes": [{ "name": "data", "emptyDir": {} }] } },
            "jobManager": { "resource": { "cpu": 1.0, "memory": "2048m" } },
            "taskManager": { "resource": { "cpu": 2.0, "memory": "4096m" } },
            "job": {
                "jarURI": "local:///opt/flink/usrlib/job.jar", "parallelism": 4, "state": "running",
                "upgradeMode": "savepoint", "entryClass": "com.example.Job", "args": ["--topic", name],
            },
        },
    }))
    .expect("this is a FlinkDeployment")
}

/// The other process. It ends when its standard input is closed, and so with this one.
struct FakeProcess {
    child: Child,
    /// Address of the JobManagers.
    base: String,
    /// Address of the API server.
    api: String,
}

impl FakeProcess {
    fn start(program: &Path) -> Result<FakeProcess, BenchError> {
        let failed = |source| BenchError::NoFake { program: program.to_owned(), source };
        let mut child =
            Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(failed)?;
        let output = child.stdout.take();
        // From here on the process is ended whatever happens.
        let mut fake = FakeProcess { child, base: String::new(), api: String::new() };
        let output = output.ok_or_else(|| failed(io::Error::other("it has no output")))?;
        let mut lines = BufReader::new(output).lines();
        for address in [&mut fake.base, &mut fake.api] {
            match lines.next() {
                Some(Ok(line)) if line.starts_with("http://") => *address = line,
                Some(Ok(_)) | None => return Err(failed(io::Error::other("it printed too few addresses"))),
                Some(Err(error)) => return Err(failed(error)),
            }
        }
        Ok(fake)
    }
}

impl Drop for FakeProcess {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is waited for.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Clusters that exist as soon as they are asked for.
#[derive(Clone)]
struct BenchLauncher {
    base: Arc<str>,
    clusters: Arc<Mutex<HashMap<Arc<str>, Cluster>>>,
    changes: broadcast::Sender<Target>,
}

impl BenchLauncher {
    fn new(base: &str) -> BenchLauncher {
        BenchLauncher { base: base.into(), clusters: Arc::default(), changes: broadcast::channel(1_024).0 }
    }

    fn clusters(&self) -> std::sync::MutexGuard<'_, HashMap<Arc<str>, Cluster>> {
        self.clusters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Launcher for BenchLauncher {
    async fn observe(&self, target: &Target) -> Seen<Cluster> {
        self.clusters().get(&target.name).cloned().map_or(Seen::Absent, Seen::Present)
    }

    async fn apply(&self, target: &Target, deployment: &Deployment) -> Result<(), LaunchError> {
        let cluster = Cluster {
            uid: deployment.job_id.as_str().into(),
            owned: true,
            terminating: false,
            seq: Some(deployment.seq),
            job_id: Some(deployment.job_id.clone()),
            generation: Some(deployment.generation),
            flink_version: Some(deployment.desired.flink_version),
            phase: ClusterPhase::Available,
            never_available: false,
            task_managers: None,
            missing: None,
        };
        self.clusters().entry(target.name.clone()).or_insert(cluster);
        Ok(())
    }

    async fn delete(&self, target: &Target, uid: &str) -> Result<(), LaunchError> {
        let mut clusters = self.clusters();
        if clusters.get(&target.name).is_some_and(|cluster| *cluster.uid == *uid) {
            clusters.remove(&target.name);
        }
        Ok(())
    }

    async fn rest_endpoint(&self, target: &Target, _deployed: &Desired) -> Option<String> {
        let clusters = self.clusters();
        let cluster = clusters.get(&target.name)?;
        Some(format!("{}/auto/{}/{}/", self.base, target.name, cluster.uid))
    }

    async fn find_snapshot(&self, _target: &Target, _directory: &str) -> Seen<StoredSnapshot> {
        Seen::Absent
    }

    fn changes(&self) -> broadcast::Receiver<Target> {
        self.changes.subscribe()
    }

    async fn retain(&self, _existing: &[Target]) {}
}

fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_list() {
        let list: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(percentile(&list, 50), Duration::from_millis(100));
        assert_eq!(percentile(&list, 99), Duration::from_millis(198));
        assert_eq!(percentile(&[], 99), Duration::ZERO);
    }
}
