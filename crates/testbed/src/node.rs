//! A node of a cluster whose pods are processes on this machine. Beside a real API server it plays the scheduler,
//! the kubelet, and the cluster's DNS.
//!
//! ```text
//!   API server ─► watch ─► pod (one task each) ─► container (one task each) ─► process
//!        ▲                  │ volumes, sandbox      │ environment, probe          │ container_log
//!        ├── status ◄───────┴── record ◄────────────┘                             ▼
//!        ├── register (Node, Lease)                                       kubelet_server ◄─ kubectl logs
//!        └── hosts (EndpointSlices ─► /etc/hosts of every pod)
//! ```
//! A container sees the machine's root, or that of its image, with the image's layers, its volumes and directories of its
//! own laid over it, has process 1 of its own, and the pod's address on the bridge. What it writes outside of volumes goes with it.
//! Nothing outlives the node, even when this program is killed: every process dies with the thread that started it,
//! and a pod's network with its last process.
//!
//! What it does not have: limits of memory and CPU (being out of memory is played on demand), `kubectl exec`,
//! addresses of services (their names lead to pods), persistent volume claims, gRPC probes, `fsGroup`, changes of
//! mounted ConfigMaps before the pod's token is renewed, exec probes in an image that has no `env`.
//!
//! It needs root, `iproute2` and `util-linux`, and a root file system that is one mount.

mod back_off;
mod container;
mod container_log;
mod downward;
mod environment;
mod events;
mod hosts;
mod image;
mod kubelet_server;
mod limits;
mod network;
mod oci;
mod pod;
mod probe;
mod process;
mod record;
mod register;
mod sandbox;
mod schedule;
mod shared;
mod status;
mod volumes;
mod watch;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use kube::Client;
pub use rustix::process::Signal;
use tokio::task::JoinSet;

pub use back_off::RestartTimes;
pub use container::{OOM_AFTER_ANNOTATION, OOM_CONTAINER_ANNOTATION};
pub use image::{Content, Image, ImageTable, Layer};
pub use oci::{OciError, open as open_oci_image};
pub use schedule::Capacity;
pub(crate) use shared::Shared;

use crate::kube::Network;

/// What a node needs.
#[derive(Clone)]
pub struct NodeConfig {
    /// Name of the Node object.
    pub name: String,
    /// Which node of its network this is: its pods get the addresses whose third octet is this number. 0 if there is
    /// one node.
    pub number: u8,
    /// May do everything.
    pub client: Client,
    /// Where pods reach the API server.
    pub api_server: SocketAddr,
    /// The bridge.
    pub network: Network,
    /// A directory of the node's own, made if it is not there. Pods and their logs lie in it.
    pub directory: PathBuf,
    /// What names of images stand for.
    pub images: ImageTable,
    /// What it has to give.
    pub capacity: Capacity,
    /// Labels of the Node object, beside its name and system, which pods can select it by.
    pub labels: BTreeMap<String, String>,
    /// How long containers that keep ending wait.
    pub restart_times: RestartTimes,
}

/// Why there is no node, or why it could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// A file, a process or a port.
    #[error("the node: {0}")]
    Io(#[from] io::Error),
    /// The API server refused.
    #[error("the node cannot be registered: {0}")]
    Api(#[from] kube::Error),
    /// A client for probes could not be made.
    #[error("the node has no client for probes: {0}")]
    Http(#[from] reqwest::Error),
    /// No such container runs here.
    #[error("container `{container}` of pod `{namespace}/{pod}` does not run on this node")]
    NotRunning {
        /// Namespace of the pod.
        namespace: String,
        /// Name of the pod.
        pod: String,
        /// Name of the container.
        container: String,
    },
}

/// How a node is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The kubelet has died: nothing is reported or acted upon, pods go on.
    Silent,
    /// Its cable is out: pods go on too, and reach nothing.
    Partitioned,
    /// Its power is out: no process is left.
    PoweredOff,
}

/// A running node. Dropping it ends all of its processes.
pub struct Node {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

impl Node {
    /// Starts a node and registers it with the API server.
    ///
    /// # Errors
    /// The API server cannot be reached, or this machine lacks something; the message names it.
    pub async fn start(config: NodeConfig) -> Result<Node, NodeError> {
        std::fs::create_dir_all(&config.directory)?;
        let directory = config.directory.canonicalize()?;
        let mut config = NodeConfig { directory, ..config };
        config.labels.insert("kubernetes.io/hostname".to_owned(), config.name.clone());
        config.labels.insert("kubernetes.io/os".to_owned(), "linux".to_owned());
        std::fs::write(
            config.directory.join("resolv.conf"),
            "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
        )?;
        // Whoever started this program may have installed a provider already.
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder().tls_danger_accept_invalid_certs(true).no_proxy().build()?;
        let listener = kubelet_server::Tls::bind(config.network.gateway.into()).await?;
        let spawner = process::Spawner::start()?;
        let shared = Arc::new(Shared::new(config, spawner, http, listener.port()));
        let mut node = Node { shared: shared.clone(), tasks: JoinSet::new() };
        register::register(&shared).await?;
        node.tasks.spawn(register::beat(shared.clone()));
        node.tasks.spawn(kubelet_server::serve(shared.clone(), listener));
        node.tasks.spawn(hosts::follow(shared.clone()));
        node.tasks.spawn(watch::follow(shared));
        Ok(node)
    }

    /// Name of the Node object.
    pub fn name(&self) -> &str {
        &self.shared.config.name
    }

    /// Adds an image, which comes before those that are there. A pod that waits for it finds it with its next try.
    pub fn add_image(&self, pattern: &str, image: Image) {
        self.shared.add_image(pattern, image);
    }

    /// Loses the node until [`Node::recover`].
    ///
    /// # Errors
    /// A link of a pod could not be changed.
    pub async fn lose(&self, loss: Loss) -> Result<(), NodeError> {
        self.shared.set_online(false);
        if loss != Loss::Silent {
            self.connect_pods(false).await?;
        }
        if loss == Loss::PoweredOff {
            let records = self.shared.records();
            records.iter().flat_map(|record| record.all_live()).for_each(|live| live.signal(Signal::KILL));
        }
        Ok(())
    }

    /// Brings a lost node back. It sees what has changed since, and restarts what its pods want restarted.
    ///
    /// # Errors
    /// A link of a pod could not be changed.
    pub async fn recover(&self) -> Result<(), NodeError> {
        self.connect_pods(true).await?;
        self.shared.set_online(true);
        Ok(())
    }

    async fn connect_pods(&self, connected: bool) -> Result<(), NodeError> {
        for record in self.shared.records() {
            if let Some(sandbox) = record.sandbox() {
                sandbox.set_connected(connected).await?;
            }
        }
        Ok(())
    }

    /// Signals process 1 of a container; KILL ends the whole container.
    ///
    /// # Errors
    /// It does not run.
    pub fn signal(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        signal: Signal,
    ) -> Result<(), NodeError> {
        self.live(namespace, pod, container).map(|live| live.signal(signal))
    }

    /// Process 1 of a container, as this machine numbers it.
    ///
    /// # Errors
    /// It does not run.
    pub fn first_process(&self, namespace: &str, pod: &str, container: &str) -> Result<u32, NodeError> {
        let live = self.live(namespace, pod, container)?;
        live.first_process().ok_or_else(|| not_running(namespace, pod, container))
    }

    /// Ends a container as the kernel does when it is out of memory: exit code 137, reason `OOMKilled`.
    ///
    /// # Errors
    /// It does not run.
    pub fn run_out_of_memory(&self, namespace: &str, pod: &str, container: &str) -> Result<(), NodeError> {
        self.live(namespace, pod, container).map(|live| live.run_out_of_memory())
    }

    fn live(&self, namespace: &str, pod: &str, container: &str) -> Result<record::Live, NodeError> {
        let record = self.shared.record(namespace, pod);
        record.and_then(|record| record.live(container)).ok_or_else(|| not_running(namespace, pod, container))
    }

    /// Ends the node and all of its processes at once, and takes its objects away. Objects of pods stay.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
        register::deregister(&self.shared).await;
    }
}

fn not_running(namespace: &str, pod: &str, container: &str) -> NodeError {
    NodeError::NotRunning {
        namespace: namespace.to_owned(),
        pod: pod.to_owned(),
        container: container.to_owned(),
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.tasks.abort_all();
        self.shared.end_all();
    }
}
