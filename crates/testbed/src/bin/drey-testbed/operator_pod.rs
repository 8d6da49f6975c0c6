//! The operator as users have it: its image, opened and run as the pod that the chart's Deployment makes, installed by the
//! real Helm with its hook, its accounts and its webhook. One real job goes through it.
//!
//! ```text
//!   layout ─► open ─► root of the node's image `drey:<version>` ◄─ pod ◄─ Deployment ◄─ helm install
//! ```

mod process;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use drey_testbed::node::{Signal, open_oci_image};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ApiResource, DynamicObject, ListParams, LogParams, PostParams};
use kube::core::GroupVersionKind;
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::chart::helm::{Helm, RELEASE_NAMESPACE};
use crate::kills::Victim;

use crate::on_cluster::{self, OnCluster};
use crate::place::{LOOK, Place};
use crate::stage::StageArgs;
use crate::steps::parallelism_by_savepoint;
use crate::story::Story;
use process::Process;

/// What Helm makes. Leader election is off in a chart with one replica.
const VALUES: &[&str] = &["watchNamespaces={default}", "leaderElection.enabled=true"];
/// Labels of the operator's pod.
const LABELS: &str = "app.kubernetes.io/name=flink-kubernetes-operator";
/// The operator's container.
const CONTAINER: &str = "flink-kubernetes-operator";
/// The Lease of the chart.
const LEASE: &str = "flink-operator-lease";
/// User and group of the image and of the chart.
const USER: u32 = 9999;
/// How long installing may take, and the operator until it leads.
const TIMEOUT: Duration = Duration::from_secs(90);
/// Between two looks at the operator while its start is measured.
const START_LOOK: Duration = Duration::from_millis(5);

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    stage: StageArgs,
    /// The image, as an OCI layout
    #[arg(long)]
    image: PathBuf,
    /// The program `helm`
    #[arg(long)]
    helm: PathBuf,
    /// Directory of the chart
    #[arg(long, default_value = "charts/drey-operator")]
    chart: PathBuf,
    /// Minor version of Flink
    #[arg(long, default_value = "1.20")]
    flink: String,
}

/// Runs the story.
pub(crate) fn run(args: &Args) -> Result<()> {
    let stage = args.stage.open()?;
    let cluster = OnCluster::without_drey(&stage.parts())?;
    let image = open_oci_image(&args.image, &cluster.directory().join("image"))?;
    cluster.node().add_image(&format!("drey:{}", env!("CARGO_PKG_VERSION")), image);
    let version = cluster.wait_on(cluster.kube().client().apiserver_version())?.git_version;
    let helm = Helm { program: args.helm.clone(), chart: args.chart.clone(), kubernetes: version };
    let job = stage.ledger(cluster.directory().join("storage"), &args.flink, "native")?;
    let mut story = Story::new(InPod { cluster, helm }, job);
    story.step("pod: the chart is installed and leads", |story| story.place.up());
    story.step("pod: it has the rights and the files that it is given", is_confined);
    story.step("pod: the API server asks its webhook", refuses);
    story.step("pod: a job is deployed", |story| {
        story.apply()?;
        story.settled()
    });
    story.step("pod: parallelism by savepoint", parallelism_by_savepoint);
    story.step("pod: no right was missing in the chart", lacks_nothing);
    story.step("pod: the operator is killed", |story| {
        story.place.kill(Victim::Drey)?;
        story.settled()
    });
    story.step("pod: memory with a job", |story| {
        let process = story.place.process()?;
        println!("operator pod: {:.1} MiB resident with one job", process.resident_mib()?);
        Ok(())
    });
    story.step("pod: jobs outlive the chart", |story| {
        story.place.helm.uninstall(story.place.cluster.kube().kubeconfig(), TIMEOUT)?;
        story.place.wait_for("the operator's pod to go", TIMEOUT, |place| {
            Ok(place.pods()?.is_empty().then_some(()))
        })?;
        story.grows()
    });
    story.conclude(stage.temporary, args.stage.directory.is_some())
}

/// A cluster whose operator is a pod.
struct InPod {
    cluster: OnCluster,
    helm: Helm,
}

/// When a start was how far, in seconds since the machine's own.
struct Start {
    /// The container's first process was there.
    container: f64,
    /// That was drey.
    program: f64,
    /// drey said that it is ready.
    ready: f64,
    /// drey said that it leads.
    leading: f64,
}

impl InPod {
    fn pods(&self) -> Result<Vec<Pod>> {
        let api: Api<Pod> = Api::namespaced(self.cluster.kube().client(), RELEASE_NAMESPACE);
        Ok(self.cluster.wait_on(api.list(&ListParams::default().labels(LABELS)))?.items)
    }

    /// The pod, if there is one and no other.
    fn pod(&self) -> Result<Pod> {
        let mut pods = self.pods()?;
        let pod = pods.pop().context("the operator has no pod")?;
        ensure!(pods.is_empty(), "there is more than one pod");
        Ok(pod)
    }

    fn process(&self) -> Result<Process> {
        let pod = self.pod()?.name_any();
        Ok(Process::new(self.cluster.node().first_process(RELEASE_NAMESPACE, &pod, CONTAINER)?))
    }

    /// Whom the Lease names.
    fn leader(&self) -> Result<Option<String>> {
        let api: Api<Lease> = Api::namespaced(self.cluster.kube().client(), RELEASE_NAMESPACE);
        let lease = self.cluster.wait_on(api.get_opt(LEASE))?;
        Ok(lease.and_then(|lease| lease.spec).and_then(|spec| spec.holder_identity))
    }

    /// Follows the first start of the operator until it leads.
    async fn follow_start(&self) -> Result<Start> {
        let api: Api<Pod> = Api::namespaced(self.cluster.kube().client(), RELEASE_NAMESPACE);
        let http = reqwest::Client::builder().no_proxy().build()?;
        let deadline = Instant::now() + TIMEOUT;
        let (mut address, mut found) = (None, None);
        let (mut program, mut ready) = (None, None);
        loop {
            ensure!(Instant::now() < deadline, "the operator did not lead within {} s", TIMEOUT.as_secs());
            if found.is_none() {
                let pods = api.list(&ListParams::default().labels(LABELS)).await.map(|list| list.items);
                // The namespace may not be there yet.
                if let Some(pod) = pods.unwrap_or_default().first() {
                    let name = pod.name_any();
                    let first = self.cluster.node().first_process(RELEASE_NAMESPACE, &name, CONTAINER);
                    found = first.ok().map(Process::new);
                    address = pod.status.as_ref().and_then(|status| status.pod_ip.clone());
                }
            }
            let now = process::uptime()?;
            if let (Some(process), None) = (&found, program)
                && process.name().is_ok_and(|name| name == "drey")
            {
                program = Some(now);
            }
            if address.is_none() {
                found = None;
            }
            if let (Some(address), Some(_)) = (&address, program) {
                let get = async |port: u16, path: &str| -> Option<String> {
                    let answer = http.get(format!("http://{address}:{port}{path}")).send().await.ok()?;
                    answer.error_for_status().ok()?.text().await.ok()
                };
                if ready.is_none() && get(8085, "/readyz").await.is_some() {
                    ready = Some(process::uptime()?);
                }
                let metrics = get(9999, "/metrics").await.unwrap_or_default();
                let leads = metrics.lines().any(|line| line == "drey_operator_leader 1");
                if let (true, Some(process), Some(program), Some(ready)) = (leads, &found, program, ready) {
                    let container = process.started_at()?;
                    return Ok(Start { container, program, ready, leading: process::uptime()? });
                }
            }
            tokio::time::sleep(START_LOOK).await;
        }
    }

    /// Waits until the pod is ready after this many restarts of its container.
    fn until_ready(&mut self, restarts: i32) -> Result<()> {
        self.wait_for("the operator's pod to be ready", TIMEOUT, |place| {
            let pod = place.pod()?;
            let status = pod.status.unwrap_or_default().container_statuses.unwrap_or_default();
            let is_ready = status.first().is_some_and(|own| own.ready && own.restart_count == restarts);
            let leader = place.leader()?.unwrap_or_default();
            let name = pod.metadata.name.unwrap_or_default();
            Ok((is_ready && leader.starts_with(&name)).then_some(()))
        })
    }

    fn restarts(&self) -> Result<i32> {
        let status = self.pod()?.status.unwrap_or_default().container_statuses.unwrap_or_default();
        status.first().map(|own| own.restart_count).context("the pod has a container")
    }
}

impl Place for InPod {
    fn directory(&self) -> &std::path::Path {
        self.cluster.directory()
    }

    fn up(&mut self) -> Result<()> {
        let kubeconfig = self.cluster.kube().kubeconfig();
        let (install, start) = std::thread::scope(|scope| {
            let helm = scope.spawn(|| self.helm.install(kubeconfig, VALUES, TIMEOUT));
            let start = self.cluster.wait_on(self.follow_start());
            (helm.join(), start)
        });
        install.map_err(|_| anyhow::anyhow!("Helm was not waited for"))??;
        let Start { container, program, ready, leading } = start?;
        let ms = |from: f64, to: f64| (to - from) * 1_000.0;
        println!(
            "operator pod: ready {:.0} ms after the start of drey, {:.0} ms after that of its container; leads after \
             {:.0} ms; {:.1} MiB resident",
            ms(program, ready),
            ms(container, ready),
            ms(container, leading),
            self.process()?.resident_mib()?
        );
        self.until_ready(0)
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        self.cluster.command(arguments)
    }

    fn kill(&mut self, victim: Victim) -> Result<usize> {
        match victim {
            Victim::JobManager => self.cluster.kill_pods("jobmanager"),
            Victim::TaskManagers => self.cluster.kill_pods("taskmanager"),
            Victim::Drey => {
                let (pod, restarts) = (self.pod()?.name_any(), self.restarts()?);
                self.cluster.node().signal(RELEASE_NAMESPACE, &pod, CONTAINER, Signal::KILL)?;
                self.until_ready(restarts + 1)?;
                Ok(1)
            }
            Victim::All | Victim::Leader => bail!("{victim:?} is no victim in this place"),
        }
    }

    fn has_cluster(&self) -> Result<bool> {
        self.cluster.has_cluster()
    }

    fn output_tail(&self) -> String {
        let api: Api<Pod> = Api::namespaced(self.cluster.kube().client(), RELEASE_NAMESPACE);
        let params = LogParams { tail_lines: Some(20), ..LogParams::default() };
        let mut text = String::new();
        let all = self.cluster.wait_on(api.list(&ListParams::default()));
        for pod in all.map(|list| list.items).unwrap_or_default() {
            let log = self.cluster.wait_on(api.logs(&pod.name_any(), &params));
            let status = json!(pod.status.as_ref().map(|status| &status.container_statuses));
            text +=
                &format!("{}: {status}\n{}\n", pod.name_any(), log.unwrap_or_else(|error| error.to_string()));
        }
        text + &self.cluster.output_tail()
    }
}

/// What the image and the chart promise of the process.
fn is_confined(story: &mut Story<InPod>) -> Result<()> {
    let process = story.place.process()?;
    ensure!(process.user()? == USER && process.group()? == USER, "it runs as another user");
    ensure!(process.capabilities()? == 0, "it has capabilities");
    ensure!(process.has_read_only_root()?, "it can write to its root");
    let root = process.root();
    ensure!(root.join("usr/local/bin/drey").is_file(), "the root is not that of the image");
    ensure!(
        !root.join("bin/sh").exists() && !root.join("usr/bin/env").exists(),
        "it sees the machine's files"
    );
    Ok(())
}

/// A spec that nobody may keep.
fn refuses(story: &mut Story<InPod>) -> Result<()> {
    let bad = json!({
        "apiVersion": "flink.apache.org/v1beta1",
        "kind": "FlinkDeployment",
        "metadata": { "name": "bad" },
        "spec": { "image": "flink", "serviceAccount": "flink" },
    });
    let bad: DynamicObject = serde_json::from_value(bad)?;
    let kind = GroupVersionKind::gvk("flink.apache.org", "v1beta1", "FlinkDeployment");
    let client = story.place.cluster.kube().client();
    let api: Api<DynamicObject> =
        Api::namespaced_with(client, on_cluster::NAMESPACE, &ApiResource::from_gvk(&kind));
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    // The API server learns of a pod that has become ready a moment later.
    story.place.wait_for("the refusal", LOOK * 400, |place| {
        let Err(error) = place.cluster.wait_on(api.create(&dry, &bad)) else {
            bail!("a spec without a version of Flink is taken")
        };
        let said = error.to_string();
        let is_refused = said.contains("denied the request: Flink Version must be defined.");
        ensure!(is_refused || said.contains("failed calling webhook"), "{said}");
        Ok(is_refused.then_some(()))
    })
}

/// Every right that was needed so far is one of the chart's: a refusal would be in the log.
fn lacks_nothing(story: &mut Story<InPod>) -> Result<()> {
    let place = &story.place;
    let api: Api<Pod> = Api::namespaced(place.cluster.kube().client(), RELEASE_NAMESPACE);
    let pod = place.pod()?.name_any();
    let log = place.cluster.wait_on(api.logs(&pod, &LogParams::default()))?;
    ensure!(log.contains("ledger"), "the log does not tell of the job");
    let refused = log.lines().find(|line| line.contains("forbidden") || line.contains("not allowed"));
    ensure!(refused.is_none(), "{}", refused.unwrap_or_default());
    Ok(())
}
