//! What the node knows of one of its pods: written by those who run its containers, read by those who report it.
//! It refuses to know the API.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodCondition};
use rustix::process::Signal;
use tokio::sync::Notify;

use super::process::Grip;
use super::sandbox::Sandbox;
use super::status::View;

/// A pod of this node.
#[derive(Debug)]
pub(crate) struct PodRecord {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
    /// Where everything of it lies.
    pub(crate) directory: PathBuf,
    /// Told of each change of the view.
    pub(crate) changed: Notify,
    view: Mutex<View>,
    /// Conditions of the object, also those that others have written.
    seen: Mutex<Vec<PodCondition>>,
    live: Mutex<BTreeMap<String, Live>>,
    sandbox: Mutex<Option<Arc<Sandbox>>>,
}

/// A container's processes, for those who did not start them.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    grip: Grip,
    /// Whether its end is to be told as one for lack of memory.
    out_of_memory: Arc<AtomicBool>,
}

impl Live {
    pub(crate) fn new(grip: Grip) -> Live {
        Live { grip, out_of_memory: Arc::default() }
    }

    /// Ends the container as the kernel does when it is out of memory.
    pub(crate) fn run_out_of_memory(&self) {
        self.out_of_memory.store(true, Ordering::SeqCst);
        self.grip.signal(Signal::KILL);
    }

    pub(crate) fn ran_out_of_memory(&self) -> bool {
        self.out_of_memory.load(Ordering::SeqCst)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.grip.signal(signal);
    }

    /// Process 1, as this machine numbers it.
    pub(crate) fn first_process(&self) -> Option<u32> {
        self.grip.first_process()
    }
}

impl PodRecord {
    pub(crate) fn new(pod: &Pod, view: View, pods: &Path) -> PodRecord {
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        PodRecord {
            namespace: pod.metadata.namespace.clone().unwrap_or_default(),
            name: pod.metadata.name.clone().unwrap_or_default(),
            directory: pods.join(&uid),
            uid,
            changed: Notify::new(),
            view: Mutex::new(view),
            seen: Mutex::default(),
            live: Mutex::default(),
            sandbox: Mutex::default(),
        }
    }

    /// Notes what the object looks like now.
    pub(crate) fn set_seen(&self, pod: &Pod) {
        let conditions = pod.status.as_ref().and_then(|status| status.conditions.clone());
        *guard(&self.seen) = conditions.unwrap_or_default();
    }

    /// Conditions of the object as it was seen last.
    pub(crate) fn seen(&self) -> Vec<PodCondition> {
        guard(&self.seen).clone()
    }

    /// What is known now.
    pub(crate) fn view(&self) -> View {
        guard(&self.view).clone()
    }

    /// Changes what is known.
    pub(crate) fn change(&self, change: impl FnOnce(&mut View)) {
        change(&mut guard(&self.view));
        self.changed.notify_one();
    }

    /// Changes what is known of one container.
    pub(crate) fn change_container(&self, name: &str, change: impl FnOnce(&mut ContainerStatus)) {
        self.change(|view| {
            if let Some(status) = view.container(name) {
                change(status);
            }
        });
    }

    /// Notes that a container runs, or no longer does.
    pub(crate) fn set_live(&self, container: &str, live: Option<Live>) {
        match live {
            Some(live) => guard(&self.live).insert(container.to_owned(), live),
            None => guard(&self.live).remove(container),
        };
    }

    /// A container that runs.
    pub(crate) fn live(&self, container: &str) -> Option<Live> {
        guard(&self.live).get(container).cloned()
    }

    /// All that run.
    pub(crate) fn all_live(&self) -> Vec<Live> {
        guard(&self.live).values().cloned().collect()
    }

    pub(crate) fn set_sandbox(&self, sandbox: Option<Arc<Sandbox>>) {
        *guard(&self.sandbox) = sandbox;
    }

    pub(crate) fn sandbox(&self) -> Option<Arc<Sandbox>> {
        guard(&self.sandbox).clone()
    }

    /// The log of the start with this number, from 0, of a container.
    pub(crate) fn log_file(&self, container: &str, start: i32) -> PathBuf {
        self.directory.join("logs").join(container).join(format!("{start}.log"))
    }

    /// The file that the pod sees as `/etc/hosts`.
    pub(crate) fn hosts_file(&self) -> PathBuf {
        self.directory.join("hosts")
    }
}

/// A panic elsewhere has left nothing half-written here: each change is one assignment.
pub(crate) fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
