//! What the containers of a pod share: a network namespace with an address on the bridge, a host name.
//!
//! The namespace is held by a process that sleeps, and has no name: when the process ends, the namespace and its
//! link go with it, however the node ended. It refuses to know containers.

use std::io;
use std::net::Ipv4Addr;
use std::process::Stdio;
use std::sync::Mutex;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::Child;

use super::network::Lease;
use super::process::{Spawner, tool};
use crate::kube::Network;

/// The namespaces of one pod.
#[derive(Debug)]
pub(crate) struct Sandbox {
    /// The address of the pod.
    pub(crate) address: Ipv4Addr,
    own: Option<Own>,
}

#[derive(Debug)]
struct Own {
    pid: u32,
    /// Dropping it ends the sleeper, before another pod can get the address.
    _sleeper: Mutex<Child>,
    _lease: Lease,
}

/// How long the sleeper may take to come up on a busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(30);

impl Sandbox {
    /// A pod in the machine's own network.
    pub(crate) fn of_machine(network: &Network) -> Sandbox {
        Sandbox { address: network.gateway, own: None }
    }

    /// A pod with a network of its own.
    pub(crate) async fn create(
        spawner: &Spawner,
        network: &Network,
        lease: Lease,
        host_name: &str,
    ) -> io::Result<Sandbox> {
        let script = "hostname \"$0\" && echo ready && exec sleep infinity";
        let words = ["unshare", "--net", "--uts", "--ipc", "--", "sh", "-c", script, host_name];
        let mut sleeper = spawner.spawn(&words.map(str::to_owned), Stdio::piped).await?;
        let pid = sleeper.id().ok_or_else(|| io::Error::other("the pod's namespaces were not made"))?;
        let mut output = sleeper.stdout.take().ok_or_else(|| io::Error::other("no output"))?;
        let ready = tokio::time::timeout(START_TIMEOUT, output.read_u8()).await;
        if !matches!(ready, Ok(Ok(_))) {
            return Err(io::Error::other("the pod's namespaces were not made: is this root?"));
        }
        let address = lease.address();
        connect(network, address, pid).await?;
        Ok(Sandbox { address, own: Some(Own { pid, _sleeper: Mutex::new(sleeper), _lease: lease }) })
    }

    /// Words that run what follows within the pod.
    pub(crate) fn enter(&self) -> Vec<String> {
        let Some(own) = &self.own else { return Vec::new() };
        let pid = own.pid.to_string();
        let words = ["nsenter", "--target", pid.as_str(), "--net", "--uts", "--ipc", "--"];
        words.map(str::to_owned).into()
    }

    /// Plugs the pod's network cable in, or pulls it out.
    pub(crate) async fn set_connected(&self, connected: bool) -> io::Result<()> {
        let Some(own) = &self.own else { return Ok(()) };
        let state = if connected { "up" } else { "down" };
        tool(&["ip", "link", "set", &link_name(own.pid), state], "").await
    }
}

/// The machine's end of the link. Process numbers are unique on a machine, so names of links are, too.
fn link_name(pid: u32) -> String {
    format!("pod{pid}")
}

async fn connect(network: &Network, address: Ipv4Addr, pid: u32) -> io::Result<()> {
    let (link, pid) = (link_name(pid), pid.to_string());
    let Network { bridge, gateway, prefix_len, .. } = network;
    let outside = format!(
        "link add {link} type veth peer name eth0 netns {pid}\nlink set {link} master {bridge}\nlink set {link} up\n"
    );
    tool(&["ip", "-batch", "-"], &outside).await?;
    let inside = format!(
        "link set lo up\naddr add {address}/{prefix_len} dev eth0\nlink set eth0 up\nroute add default via {gateway}\n"
    );
    tool(&["nsenter", "--target", &pid, "--net", "--", "ip", "-batch", "-"], &inside).await
}
