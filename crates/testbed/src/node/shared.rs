//! What all tasks of a node share: its configuration, its pods, its addresses, and whether it is lost.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Container, Pod, Secret};
use kube::Api;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::container::{Stop, host_name};
use super::environment::{self, Source};
use super::hosts::{self, Names};
use super::image::{Image, ImageTable};
use super::network::{Addresses, Lease};
use super::process::Spawner;
use super::record::{PodRecord, guard};
use super::schedule::Requests;
use super::status::View;
use super::{NodeConfig, pod};

/// How often a directory is removed until it stays away.
const REMOVALS_MAX: u32 = 50;
/// How long in between.
const REMOVAL_PAUSE: Duration = Duration::from_millis(20);

/// The node as its tasks see it.
pub(crate) struct Shared {
    pub(crate) config: NodeConfig,
    pub(crate) spawner: Spawner,
    pub(crate) http: reqwest::Client,
    pub(crate) names: Names,
    /// Pods that nobody has placed, by uid.
    pub(crate) pending: Mutex<BTreeMap<String, Pod>>,
    images: Mutex<ImageTable>,
    online: watch::Sender<bool>,
    pods: Mutex<HashMap<String, Held>>,
    /// What placed pods ask for, by uid.
    reserved: Mutex<HashMap<String, Requests>>,
    addresses: Arc<Mutex<Addresses>>,
    kubelet_port: u16,
}

struct Held {
    pod: Arc<Pod>,
    record: Arc<PodRecord>,
    stop: watch::Sender<Option<Stop>>,
    task: AbortHandle,
}

impl Shared {
    pub(crate) fn new(
        config: NodeConfig,
        spawner: Spawner,
        http: reqwest::Client,
        kubelet_port: u16,
    ) -> Shared {
        let addresses = Addresses::new(&config.network, config.number);
        Shared {
            images: Mutex::new(config.images.clone()),
            addresses: Arc::new(Mutex::new(addresses)),
            config,
            spawner,
            http,
            kubelet_port,
            names: Names::default(),
            pending: Mutex::default(),
            online: watch::Sender::new(true),
            pods: Mutex::default(),
            reserved: Mutex::default(),
        }
    }

    pub(crate) fn kubelet_port(&self) -> u16 {
        self.kubelet_port
    }

    pub(crate) fn host_address(&self) -> String {
        self.config.network.gateway.to_string()
    }

    /// Whether the node acts.
    pub(crate) fn is_online(&self) -> bool {
        *self.online.borrow()
    }

    pub(crate) fn set_online(&self, online: bool) {
        self.online.send_replace(online);
    }

    /// Waits until the node acts.
    pub(crate) async fn online(&self) {
        // The sender is ours, so it lives as long as this wait.
        drop(self.online.subscribe().wait_for(|online| *online).await);
    }

    /// Waits until the node is lost.
    pub(crate) async fn offline(&self) {
        drop(self.online.subscribe().wait_for(|online| !*online).await);
    }

    pub(crate) fn add_image(&self, pattern: &str, image: Image) {
        guard(&self.images).add(pattern, image);
    }

    pub(crate) fn image(&self, name: &str) -> Option<Image> {
        guard(&self.images).find(name).cloned()
    }

    /// What the node tells every container.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        let (host, port) =
            (self.config.api_server.ip().to_string(), self.config.api_server.port().to_string());
        let url = format!("tcp://{host}:{port}");
        let variables = [
            ("KUBERNETES_SERVICE_HOST", host),
            ("KUBERNETES_SERVICE_PORT", port.clone()),
            ("KUBERNETES_SERVICE_PORT_HTTPS", port),
            ("KUBERNETES_PORT", url),
        ];
        variables.map(|(name, value)| (name.to_owned(), value)).into()
    }

    /// A program given as a text, as a file.
    pub(crate) fn script(&self, text: &str) -> io::Result<PathBuf> {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let directory = self.config.directory.join("scripts");
        let path = directory.join(format!("{:016x}", hasher.finish()));
        if !path.exists() {
            std::fs::create_dir_all(&directory)?;
            let mut staged = tempfile::NamedTempFile::new_in(&directory)?;
            io::Write::write_all(&mut staged, text.as_bytes())?;
            staged.as_file().set_permissions(std::fs::Permissions::from_mode(0o755))?;
            staged.persist(&path)?;
        }
        Ok(path)
    }

    /// What pods have as `/etc/resolv.conf`: nobody listens there, so unknown names fail at once.
    pub(crate) fn resolver_file(&self) -> PathBuf {
        self.config.directory.join("resolv.conf")
    }

    /// An address for a pod, given back when it is dropped.
    pub(crate) fn lease_address(&self) -> Option<Lease> {
        let address = guard(&self.addresses).take()?;
        Some(Lease::new(address, self.addresses.clone()))
    }

    /// Writes the pod's `/etc/hosts`.
    pub(crate) fn write_hosts(&self, record: &PodRecord, address: Ipv4Addr, host_name: &str) {
        let text = self.names.text(&record.namespace, &address.to_string(), host_name);
        // It is written again with every change of a service; only a pod that is being removed has no place for it.
        drop(hosts::overwrite(&record.hosts_file(), &text));
    }

    /// Writes every pod's `/etc/hosts`.
    pub(crate) fn write_all_hosts(&self) {
        let pods: Vec<_> =
            guard(&self.pods).values().map(|held| (held.pod.clone(), held.record.clone())).collect();
        for (pod, record) in pods {
            if let Some(sandbox) = record.sandbox() {
                self.write_hosts(&record, sandbox.address, &host_name(&pod));
            }
        }
    }

    /// The ConfigMaps and Secrets that a container's environment refers to.
    ///
    /// # Errors
    /// The API server could not be asked.
    pub(crate) async fn source(
        &self,
        pod: &Pod,
        container: &Container,
        address: Ipv4Addr,
    ) -> Result<Source, String> {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let mut source =
            Source { address: address.to_string(), host_address: self.host_address(), ..Source::default() };
        let (config_maps, secrets) = environment::references(container);
        let api: Api<ConfigMap> = Api::namespaced(self.config.client.clone(), namespace);
        for name in config_maps {
            if let Some(map) = api.get_opt(&name).await.map_err(|error| error.to_string())? {
                source.config_maps.insert(name, map.data.unwrap_or_default());
            }
        }
        let api: Api<Secret> = Api::namespaced(self.config.client.clone(), namespace);
        for name in secrets {
            if let Some(secret) = api.get_opt(&name).await.map_err(|error| error.to_string())? {
                let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
                let data =
                    secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, text(value.0)));
                source.secrets.insert(name, data.collect());
            }
        }
        Ok(source)
    }

    /// Runs a pod, unless it runs already.
    pub(crate) fn start_pod(self: &Arc<Self>, object: Pod) {
        let uid = object.metadata.uid.clone().unwrap_or_default();
        self.reserve(&uid, Requests::of(&object));
        let mut pods = guard(&self.pods);
        if let Some(held) = pods.get(&uid) {
            held.record.set_seen(&object);
            return;
        }
        let object = Arc::new(object);
        let view = View::new(&object, Timestamp::now(), &self.host_address());
        let record = Arc::new(PodRecord::new(&object, view, &self.config.directory.join("pods")));
        let (stop, told) = watch::channel(None);
        let task = tokio::spawn(pod::run(self.clone(), object.clone(), record.clone(), told)).abort_handle();
        pods.insert(uid, Held { pod: object, record, stop, task });
    }

    /// Tells a pod to end; `false` when there is no such pod here.
    pub(crate) fn stop_pod(&self, uid: &str, stop: Stop) -> bool {
        let pods = guard(&self.pods);
        let Some(held) = pods.get(uid) else { return false };
        // What is gone does not come back, and grace gets only shorter.
        held.stop.send_if_modified(|now| {
            let is_news = now.is_none_or(|now| stop.grace < now.grace || stop.is_gone && !now.is_gone);
            if is_news {
                *now = Some(stop);
            }
            is_news
        });
        true
    }

    /// Nothing of the pod is left.
    pub(crate) fn forget(&self, record: &PodRecord) {
        guard(&self.pods).remove(&record.uid);
        self.unreserve(&record.uid);
        // A file that is still held open by a reader of logs is no reason to keep the others.
        drop(std::fs::remove_dir_all(&record.directory));
    }

    pub(crate) fn uids(&self) -> Vec<String> {
        guard(&self.pods).keys().cloned().collect()
    }

    pub(crate) fn records(&self) -> Vec<Arc<PodRecord>> {
        guard(&self.pods).values().map(|held| held.record.clone()).collect()
    }

    /// The pod of this name; the one that is not ending, if there are two.
    pub(crate) fn record(&self, namespace: &str, name: &str) -> Option<Arc<PodRecord>> {
        let pods = guard(&self.pods);
        let named =
            pods.values().filter(|held| held.record.namespace == namespace && held.record.name == name);
        let best = named.min_by_key(|held| held.stop.borrow().is_some());
        best.map(|held| held.record.clone())
    }

    pub(crate) fn reserve(&self, uid: &str, requests: Requests) {
        guard(&self.reserved).insert(uid.to_owned(), requests);
    }

    pub(crate) fn unreserve(&self, uid: &str) {
        guard(&self.reserved).remove(uid);
    }

    /// What the pods of this node ask for.
    pub(crate) fn taken(&self) -> Vec<Requests> {
        guard(&self.reserved).values().copied().collect()
    }

    /// Ends every task and process of pods at once.
    pub(crate) fn end_all(&self) {
        for (_, held) in guard(&self.pods).drain() {
            held.task.abort();
        }
        self.spawner.stop();
        for part in ["pods", "scripts"] {
            remove(&self.config.directory.join(part));
        }
        drop(std::fs::remove_file(self.resolver_file()));
    }
}

/// Removes a directory. A task that was told to end may be in the middle of writing into it, on another thread.
fn remove(directory: &Path) {
    for _ in 0..REMOVALS_MAX {
        drop(std::fs::remove_dir_all(directory));
        if !directory.exists() {
            return;
        }
        std::thread::sleep(REMOVAL_PAUSE);
    }
}
