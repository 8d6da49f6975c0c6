//! drey as the operator of a real Kubernetes cluster on this machine: the built binary with a kubeconfig, pods as
//! processes, and the same ledger job.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use drey_local::java::{self, JavaPlaces};
use drey_testbed::kube::{Controllers, Kube, Options, Programs};
use drey_testbed::node::{Capacity, Image, ImageTable, Node, NodeConfig, RestartTimes, Signal};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, LogParams, Patch, PatchParams,
};
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::kills::Victim;
use crate::ledger_job::NAME;
use crate::place::Place;

/// Where everything lives.
pub(crate) const NAMESPACE: &str = "default";
/// How long the operator may take until it is ready.
const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an operator may take to end after it was asked to.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// The container of Flink in its pods.
const MAIN_CONTAINER: &str = "flink-main-container";

/// What a cluster is made of.
pub(crate) struct Parts<'a> {
    /// The binary.
    pub(crate) drey: &'a Path,
    /// The programs of the control plane.
    pub(crate) programs: &'a Path,
    /// The directory of Flink's distributions, each named by its version.
    pub(crate) distributions: &'a Path,
    /// The jar of the examples.
    pub(crate) jar: &'a Path,
    /// A directory to work in.
    pub(crate) directory: &'a Path,
}

/// A cluster with drey as its operator.
pub(crate) struct OnCluster {
    binary: PathBuf,
    directory: PathBuf,
    /// What Flink's own configuration gives to Java, which the Java operator's image has as well.
    java_options: String,
    /// Operators that were started, the newest last.
    operators: Vec<Child>,
    node: Option<Node>,
    kube: Option<Kube>,
    runtime: Runtime,
}

impl OnCluster {
    /// Starts the cluster; the operator does not run yet.
    pub(crate) fn new(parts: &Parts<'_>) -> Result<Self> {
        let place = Self::without_drey(parts)?;
        place.run(&["crds", "apply"])?;
        place.runtime.block_on(place.make_account())?;
        Ok(place)
    }

    /// Starts a cluster that has nothing of drey or Flink yet.
    pub(crate) fn without_drey(parts: &Parts<'_>) -> Result<Self> {
        std::fs::create_dir_all(parts.directory)?;
        let directory = std::fs::canonicalize(parts.directory)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let images = images(parts)?;
        let (kube, node) = runtime.block_on(start(parts.programs, &directory, images))?;
        let binary = std::fs::canonicalize(parts.drey).with_context(|| parts.drey.display().to_string())?;
        Ok(Self {
            binary,
            directory,
            java_options: java_options(parts.distributions)?,
            operators: Vec::new(),
            node: Some(node),
            kube: Some(kube),
            runtime,
        })
    }

    /// The control plane.
    pub(crate) fn kube(&self) -> &Kube {
        self.kube.as_ref().expect("the cluster runs until it is dropped")
    }

    /// What runs pods.
    pub(crate) fn node(&self) -> &Node {
        self.node.as_ref().expect("the node runs until it is dropped")
    }

    /// The account of Flink's pods, with the rights that Flink's documentation asks for.
    async fn make_account(&self) -> Result<()> {
        let rules = json!([
            { "apiGroups": [""], "resources": ["pods", "configmaps", "services"], "verbs": ["*"] },
            { "apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["*"] },
        ]);
        let objects = [
            json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "flink" } }),
            json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
                "metadata": { "name": "flink" }, "rules": rules }),
            json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
                "metadata": { "name": "flink" },
                "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "flink" },
                "subjects": [{ "kind": "ServiceAccount", "name": "flink", "namespace": NAMESPACE }] }),
        ];
        for object in objects {
            self.put(&object).await?;
        }
        Ok(())
    }

    /// Waits for something asynchronous.
    pub(crate) fn wait_on<T>(&self, what: impl Future<Output = T>) -> T {
        self.runtime.block_on(what)
    }

    /// What Flink's own configuration gives to Java.
    pub(crate) fn java_options(&self) -> &str {
        &self.java_options
    }

    /// Creates an object, or makes it what it says.
    pub(crate) async fn put(&self, object: &Value) -> Result<()> {
        let object: DynamicObject = serde_json::from_value(object.clone())?;
        let types = object.types.clone().context("an object has a kind")?;
        let resource = ApiResource::from_gvk(&types.try_into()?);
        let client = self.kube().client();
        let api: Api<DynamicObject> = match resource.kind.as_str() {
            "Namespace" => Api::all_with(client, &resource),
            _ => {
                let namespace = object.namespace().unwrap_or_else(|| NAMESPACE.to_owned());
                Api::namespaced_with(client, &namespace, &resource)
            }
        };
        let params = PatchParams::apply("testbed").force();
        api.patch(&object.name_any(), &params, &Patch::Apply(&object)).await?;
        Ok(())
    }

    /// Creates or replaces an object, in its own namespace or that of the job.
    pub(crate) fn put_object(&self, object: &Value) -> Result<()> {
        self.runtime.block_on(self.put(object))
    }

    fn deployments(&self, namespace: &str) -> Api<DynamicObject> {
        let gvk = GroupVersionKind::gvk("flink.apache.org", "v1beta1", "FlinkDeployment");
        Api::namespaced_with(self.kube().client(), namespace, &ApiResource::from_gvk(&gvk))
    }

    /// A FlinkDeployment of any namespace.
    pub(crate) fn object(&self, namespace: &str, name: &str) -> Result<Option<Value>> {
        let found = self.runtime.block_on(self.deployments(namespace).get_opt(name))?;
        Ok(found.map(serde_json::to_value).transpose()?)
    }

    /// Merges into a FlinkDeployment.
    pub(crate) fn patch(&self, namespace: &str, name: &str, patch: &Value) -> Result<()> {
        let deployments = self.deployments(namespace);
        self.runtime.block_on(deployments.patch(name, &PatchParams::default(), &Patch::Merge(patch)))?;
        Ok(())
    }

    /// Merges into the status of a FlinkDeployment.
    pub(crate) fn patch_status(&self, namespace: &str, name: &str, patch: &Value) -> Result<()> {
        let deployments = self.deployments(namespace);
        self.runtime.block_on(deployments.patch_status(
            name,
            &PatchParams::default(),
            &Patch::Merge(patch),
        ))?;
        Ok(())
    }

    /// Deletes a FlinkDeployment and does not wait for it to go.
    pub(crate) fn delete_object(&self, namespace: &str, name: &str) -> Result<()> {
        let deployments = self.deployments(namespace);
        self.runtime.block_on(deployments.delete(name, &DeleteParams::default()))?;
        Ok(())
    }

    /// Deletes a namespace and does not wait for it to go.
    pub(crate) fn delete_namespace(&self, name: &str) -> Result<()> {
        let namespaces = Api::<Namespace>::all(self.kube().client());
        self.runtime.block_on(namespaces.delete(name, &DeleteParams::default()))?;
        Ok(())
    }

    /// Whether there is such a namespace, also one that is going.
    pub(crate) fn has_namespace(&self, name: &str) -> Result<bool> {
        let namespaces = Api::<Namespace>::all(self.kube().client());
        Ok(self.runtime.block_on(namespaces.get_opt(name))?.is_some())
    }

    /// Pods of the job's cluster, by component.
    pub(crate) fn pods(&self, component: &str) -> Result<Vec<String>> {
        let pods = self.pods_with(&format!("app={NAME},component={component}"))?;
        Ok(pods.iter().map(ResourceExt::name_any).collect())
    }

    /// Pods with these labels.
    pub(crate) fn pods_with(&self, labels: &str) -> Result<Vec<Pod>> {
        let api: Api<Pod> = Api::namespaced(self.kube().client(), NAMESPACE);
        Ok(self.runtime.block_on(api.list(&ListParams::default().labels(labels)))?.items)
    }

    /// Kills the main containers of the job's pods of a component; how many there were.
    pub(crate) fn kill_pods(&self, component: &str) -> Result<usize> {
        let mut killed = 0;
        for pod in self.pods(component)? {
            // One that does not run yet, or not any more, is no victim.
            let signalled = self.node().signal(NAMESPACE, &pod, MAIN_CONTAINER, Signal::KILL);
            killed += usize::from(signalled.is_ok());
        }
        Ok(killed)
    }

    /// Whether a ConfigMap is there and stays.
    pub(crate) fn has_config_map(&self, name: &str) -> Result<bool> {
        let found = self.runtime.block_on(self.config_maps().get_opt(name))?;
        Ok(found.is_some_and(|map| map.metadata.deletion_timestamp.is_none()))
    }

    /// Deletes a ConfigMap, as a person would.
    pub(crate) fn delete_config_map(&self, name: &str) -> Result<()> {
        self.runtime.block_on(self.config_maps().delete(name, &DeleteParams::default()))?;
        Ok(())
    }

    fn config_maps(&self) -> Api<ConfigMap> {
        Api::namespaced(self.kube().client(), NAMESPACE)
    }

    /// Starts one more operator and waits until its probe says that it is ready, leading or not.
    fn start_operator(&mut self) -> Result<()> {
        let [probes, metrics] = free_ports()?;
        let configuration = self.directory.join(format!("operator-{probes}"));
        std::fs::create_dir_all(&configuration)?;
        let text = format!(
            "kubernetes.operator.health.probe.port: {probes}\n\
             kubernetes.operator.metrics.reporter.prom.port: {metrics}\n\
             kubernetes.operator.leader-election.enabled: true\n\
             kubernetes.operator.leader-election.lease-name: drey\n\
             kubernetes.operator.leader-election.lease-duration: 4 s\n\
             kubernetes.operator.leader-election.renew-deadline: 3 s\n\
             kubernetes.operator.leader-election.retry-period: 1 s\n\
             env.java.opts.all: {}\n",
            self.java_options
        );
        std::fs::write(configuration.join("flink-conf.yaml"), text)?;
        let output = std::fs::File::options().append(true).create(true).open(self.output_file())?;
        // It must not outlive this program, however that ends.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(&self.binary).args(["operator", "--config"]);
        command.env("KUBECONFIG", self.kube().kubeconfig()).stdin(Stdio::null());
        command.arg(&configuration).stdout(output.try_clone()?).stderr(output);
        self.operators.push(command.spawn().context("drey cannot be started")?);
        let url = format!("http://127.0.0.1:{probes}/readyz");
        self.wait_for("the operator to be ready", READY_TIMEOUT, |place| {
            let newest = place.operators.last_mut().context("an operator was started")?;
            if let Some(status) = newest.try_wait()? {
                bail!("drey ended with {status}: {}", place.output_tail());
            }
            let answer = place.runtime.block_on(async { reqwest::get(&url).await });
            Ok(answer.is_ok_and(|answer| answer.status().is_success()).then_some(()))
        })
    }

    /// Asks every drey to end, and waits until it has.
    pub(crate) fn end_operators(&mut self) -> Result<()> {
        for mut operator in std::mem::take(&mut self.operators) {
            terminate(&operator)?;
            self.wait_for("drey to end", STOP_TIMEOUT, |_| Ok(operator.try_wait()?.map(drop)))?;
        }
        Ok(())
    }

    /// Kills every drey; how many there were.
    pub(crate) fn kill_operators(&mut self) -> Result<usize> {
        let mut killed = 0;
        for mut operator in self.operators.drain(..) {
            operator.kill()?;
            operator.wait()?;
            killed += 1;
        }
        Ok(killed)
    }

    /// A second operator comes up, and the leading one is asked to end.
    fn hand_over(&mut self) -> Result<usize> {
        self.start_operator()?;
        let leader = self.operators.first().context("an operator was started")?;
        terminate(leader)?;
        let mut former = self.operators.remove(0);
        self.wait_for("the leader to end", STOP_TIMEOUT, |_| Ok(former.try_wait()?.map(drop)))?;
        Ok(1)
    }

    /// All that a container of a pod has written.
    pub(crate) fn log(&self, pod: &str, container: &str) -> String {
        let api: Api<Pod> = Api::namespaced(self.kube().client(), NAMESPACE);
        let params = LogParams { container: Some(container.to_owned()), ..LogParams::default() };
        let text = self.runtime.block_on(api.logs(pod, &params));
        text.unwrap_or_else(|error| error.to_string())
    }

    /// The last errors in a pod's log.
    fn log_tail(&self, pod: &str) -> String {
        let text = self.log(pod, MAIN_CONTAINER);
        let telling =
            |line: &&str| ["Caused by", "Exception", " ERROR "].iter().any(|word| line.contains(word));
        let lines: Vec<&str> = text.lines().filter(telling).collect();
        format!("{pod}:\n{}\n", lines[lines.len().saturating_sub(12)..].join("\n"))
    }

    fn output_file(&self) -> PathBuf {
        self.directory.join("operator.out")
    }
}

impl Place for OnCluster {
    fn directory(&self) -> &Path {
        &self.directory
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments).current_dir(&self.directory).stdin(Stdio::null());
        command.env("KUBECONFIG", self.kube().kubeconfig());
        // Settings of whoever runs the tests lead elsewhere.
        command.env("XDG_CONFIG_HOME", &self.directory);
        command
    }

    fn up(&mut self) -> Result<()> {
        ensure!(self.operators.is_empty(), "an operator runs already");
        self.start_operator()
    }

    fn kill(&mut self, victim: Victim) -> Result<usize> {
        let hit = match victim {
            Victim::JobManager => self.kill_pods("jobmanager")?,
            Victim::TaskManagers => self.kill_pods("taskmanager")?,
            Victim::Drey => self.kill_operators()?,
            Victim::All => {
                self.kill_operators()? + self.kill_pods("jobmanager")? + self.kill_pods("taskmanager")?
            }
            Victim::Leader => self.hand_over()?,
        };
        if self.operators.is_empty() {
            self.up()?;
        }
        Ok(hit)
    }

    fn has_cluster(&self) -> Result<bool> {
        Ok(!self.pods("jobmanager")?.is_empty() || !self.pods("taskmanager")?.is_empty())
    }

    fn output_tail(&self) -> String {
        let text = std::fs::read_to_string(self.output_file()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let described = self.run(&["describe", NAME]).unwrap_or_else(|error| error.to_string());
        let logs = self
            .pods("jobmanager")
            .unwrap_or_default()
            .iter()
            .map(|pod| self.log_tail(pod))
            .collect::<String>();
        format!("{}\n{described}\n{logs}", lines[lines.len().saturating_sub(10)..].join("\n"))
    }
}

impl Drop for OnCluster {
    fn drop(&mut self) {
        // A failed story must not leave anything behind; there is nobody left to tell of a failure.
        let _killed = self.kill_operators();
        if let Some(node) = self.node.take() {
            self.runtime.block_on(node.stop());
        }
        drop(self.kube.take());
    }
}

fn terminate(process: &Child) -> Result<()> {
    let pid = i32::try_from(process.id()).ok().and_then(rustix::process::Pid::from_raw);
    Ok(rustix::process::kill_process(pid.context("a process has a pid")?, Signal::TERM)?)
}

async fn start(programs: &Path, directory: &Path, images: ImageTable) -> Result<(Kube, Node)> {
    let options = Options {
        name: format!("story-{}", std::process::id()),
        programs: Programs::in_directory(programs)?,
        controllers: Controllers::Workloads,
    };
    let kube = Kube::start(options).await?;
    let node = Node::start(NodeConfig {
        name: "node".to_owned(),
        number: 0,
        client: kube.client(),
        api_server: kube.api_server(),
        network: kube.network().clone(),
        directory: directory.join("node"),
        images,
        capacity: Capacity::default(),
        labels: std::collections::BTreeMap::new(),
        restart_times: RestartTimes { initial: Duration::from_secs(1), ..RestartTimes::default() },
    })
    .await?;
    Ok((kube, node))
}

/// `flink:<minor>` for every distribution, with the examples where official images have user code.
fn images(parts: &Parts<'_>) -> Result<ImageTable> {
    let mut table = ImageTable::default();
    for entry in std::fs::read_dir(parts.distributions)? {
        let home = entry?.path();
        let version = home.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let (true, Some((minor, _))) = (home.join("bin/flink").is_file(), version.rsplit_once('.')) {
            let image = Image::flink(&home, &java_home(minor)?)
                .with_path(parts.jar, "/opt/flink/usrlib/examples.jar");
            table.add(&format!("flink:{minor}"), image);
        }
    }
    Ok(table)
}

/// Two ports that nobody listened on a moment ago.
fn free_ports() -> Result<[u16; 2]> {
    let listeners = [TcpListener::bind("0.0.0.0:0")?, TcpListener::bind("0.0.0.0:0")?];
    Ok([listeners[0].local_addr()?.port(), listeners[1].local_addr()?.port()])
}

/// `env.java.opts.all` of Flink's own configuration file.
pub(crate) fn java_options(distributions: &Path) -> Result<String> {
    for entry in std::fs::read_dir(distributions)? {
        let text = std::fs::read_to_string(entry?.path().join("conf/config.yaml")).unwrap_or_default();
        let line = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("all: ").filter(|all| all.contains("--add-opens")));
        if let Some(options) = line {
            return Ok(options.to_owned());
        }
    }
    bail!("no distribution below {} has `env.java.opts.all`", distributions.display())
}

/// Where the Java lies that runs Flink `minor`.
pub(crate) fn java_home(minor: &str) -> Result<PathBuf> {
    Ok(java::find(minor.parse()?, &JavaPlaces::of_environment())?.home)
}
