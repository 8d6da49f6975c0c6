//! Events about pods, in a kubelet's and a scheduler's words. They are told, not kept: one that does not arrive is
//! lost. It refuses to know what they are about.

use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Api;
use kube::api::PostParams;

use super::{Shared, limits};

/// Makes names of events differ that are told within one tick of the clock.
static NUMBER: AtomicU64 = AtomicU64::new(0);

impl Shared {
    /// Tells of something about a pod.
    pub(crate) fn event(&self, pod: &Pod, kind: &str, reason: &str, message: &str) {
        if !self.is_online() {
            return;
        }
        let namespace = pod.metadata.namespace.clone().unwrap_or_default();
        let event = event(pod, &self.config.name, kind, reason, message);
        let events: Api<Event> = Api::namespaced(self.config.client.clone(), &namespace);
        tokio::spawn(async move { drop(events.create(&PostParams::default(), &event).await) });
    }
}

fn event(pod: &Pod, node: &str, kind: &str, reason: &str, message: &str) -> Event {
    let now = Timestamp::now();
    let name = pod.metadata.name.clone().unwrap_or_default();
    let component = if reason.contains("chedul") { "default-scheduler" } else { "kubelet" };
    let end = (0..=limits::MESSAGE_BYTES.min(message.len())).rev().find(|at| message.is_char_boundary(*at));
    let unique = NUMBER.fetch_add(1, Ordering::Relaxed);
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{name}.{:x}{unique:x}", now.as_nanosecond())),
            namespace: pod.metadata.namespace.clone(),
            ..ObjectMeta::default()
        },
        involved_object: ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: Some(name),
            namespace: pod.metadata.namespace.clone(),
            uid: pod.metadata.uid.clone(),
            ..ObjectReference::default()
        },
        type_: Some(kind.to_owned()),
        reason: Some(reason.to_owned()),
        message: Some(message[..end.unwrap_or(0)].to_owned()),
        count: Some(1),
        first_timestamp: Some(Time(now)),
        last_timestamp: Some(Time(now)),
        source: Some(EventSource { component: Some(component.to_owned()), host: Some(node.to_owned()) }),
        reporting_component: Some(component.to_owned()),
        reporting_instance: Some(node.to_owned()),
        ..Event::default()
    }
}
