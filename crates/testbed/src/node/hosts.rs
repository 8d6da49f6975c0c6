//! Names of services for pods, as lines of `/etc/hosts`: every name leads to the addresses of ready pods, since
//! nothing here forwards a service's own address. A service without a ready pod has no name.
//!
//! The lines come from EndpointSlices, the same truth that a cluster's DNS is made of. Ports are not translated:
//! a service whose port differs from its target port is reached at the target port alone.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use futures::StreamExt;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{Config, DefaultBackoff, Event, watcher};

use super::record::guard;
use super::{Shared, limits};

/// What is known of services.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// By uid of the slice.
    slices: Mutex<BTreeMap<String, EndpointSlice>>,
}

impl Names {
    /// The content of `/etc/hosts` for a pod of this namespace.
    pub(crate) fn text(&self, namespace: &str, address: &str, host_name: &str) -> String {
        let mut lines = vec![
            "127.0.0.1 localhost".to_owned(),
            "::1 localhost ip6-localhost ip6-loopback".to_owned(),
            format!("{address} {host_name}"),
        ];
        lines.extend(lines_of(guard(&self.slices).values(), namespace));
        lines.push(String::new());
        lines.join("\n")
    }
}

fn lines_of<'a>(slices: impl Iterator<Item = &'a EndpointSlice>, namespace: &str) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for slice in slices {
        let labels = slice.metadata.labels.as_ref();
        let Some(service) = labels.and_then(|labels| labels.get("kubernetes.io/service-name")) else {
            continue;
        };
        let own = slice.metadata.namespace.as_deref().unwrap_or_default();
        for endpoint in slice.endpoints.iter().flatten() {
            let ready = endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true);
            for address in endpoint.addresses.iter().filter(|_| ready) {
                let mut names = vec![qualified(service, own, namespace)];
                names.extend(
                    endpoint
                        .hostname
                        .iter()
                        .map(|host| qualified(&format!("{host}.{service}"), own, namespace)),
                );
                lines.insert(format!("{address} {}", names.join(" ")));
            }
        }
    }
    lines
}

/// All forms of a name, the shortest for pods of the same namespace only.
fn qualified(name: &str, own: &str, namespace: &str) -> String {
    let short = if own == namespace { format!(" {name}") } else { String::new() };
    format!("{name}.{own}.svc.cluster.local {name}.{own}.svc {name}.{own}{short}")
}

/// Puts a text into a file that is mounted elsewhere: the file stays the same one, and is never empty.
pub(crate) fn overwrite(path: &Path, text: &str) -> io::Result<()> {
    let file = std::fs::OpenOptions::new().create(true).write(true).truncate(false).open(path)?;
    file.write_all_at(text.as_bytes(), 0)?;
    file.set_len(text.len() as u64)
}

/// Follows EndpointSlices for as long as the node lives, and keeps the files of its pods up to date.
pub(crate) async fn follow(node: Arc<Shared>) {
    loop {
        node.online().await;
        tokio::select! {
            () = node.offline() => {}
            () = follow_while_online(&node) => tokio::time::sleep(limits::RETRY).await,
        }
    }
}

async fn follow_while_online(node: &Shared) {
    let slices: Api<EndpointSlice> = Api::all(node.config.client.clone());
    let config = Config::default().timeout(60);
    let mut events = watcher(slices, config).backoff(DefaultBackoff::default()).boxed();
    let mut listed = BTreeMap::new();
    while let Some(event) = events.next().await {
        let uid = |slice: &EndpointSlice| slice.metadata.uid.clone().unwrap_or_default();
        match event {
            Ok(Event::Init) => listed.clear(),
            Ok(Event::InitApply(slice)) => drop(listed.insert(uid(&slice), slice)),
            Ok(Event::InitDone) => *guard(&node.names.slices) = std::mem::take(&mut listed),
            Ok(Event::Apply(slice)) => drop(guard(&node.names.slices).insert(uid(&slice), slice)),
            Ok(Event::Delete(slice)) => drop(guard(&node.names.slices).remove(&uid(&slice))),
            Err(_) => continue,
        }
        if listed.is_empty() {
            node.write_all_hosts();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_lead_to_ready_pods_and_the_short_one_stays_at_home() {
        let slice: EndpointSlice = serde_json::from_value(json!({
            "metadata": {"namespace": "jobs", "uid": "u", "labels": {"kubernetes.io/service-name": "rest"}},
            "addressType": "IPv4",
            "endpoints": [
                {"addresses": ["10.0.0.2"], "conditions": {"ready": true}},
                {"addresses": ["10.0.0.3"], "conditions": {"ready": false}},
                {"addresses": ["10.0.0.4"], "hostname": "pod-0"}],
        }))
        .unwrap();
        let names = Names::default();
        guard(&names.slices).insert("u".to_owned(), slice);
        let at_home = names.text("jobs", "10.0.0.9", "me");
        assert!(at_home.contains("10.0.0.9 me\n"), "{at_home}");
        assert!(
            at_home.contains("10.0.0.2 rest.jobs.svc.cluster.local rest.jobs.svc rest.jobs rest\n"),
            "{at_home}"
        );
        assert!(at_home.contains("pod-0.rest.jobs pod-0.rest\n"), "{at_home}");
        assert!(!at_home.contains("10.0.0.3"), "{at_home}");
        assert!(names.text("other", "10.0.0.9", "me").contains(" rest.jobs\n"));
    }

    #[test]
    fn a_shorter_text_leaves_nothing_of_the_longer_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hosts");
        overwrite(&path, "a long text\n").unwrap();
        overwrite(&path, "short\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "short\n");
    }
}
