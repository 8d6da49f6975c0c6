//! Where the JobManager of a deployment of laptop mode answers. Refuses to ask it anything.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use drey_local::record::ClusterRecord;
use drey_local::state_dir::Layout;

use super::logs::newest;

/// Its REST address now; `None` when no cluster of that name stands below the state directory.
pub(crate) fn address(root: &Path, namespace: &str, name: &str) -> Option<SocketAddr> {
    let directory = newest(&Layout::of(root), namespace, name).ok()??;
    let record: ClusterRecord = directory.read().ok()?;
    (!record.deleting).then(|| SocketAddr::from((Ipv4Addr::LOCALHOST, record.ports.rest)))
}
