//! What somebody asked for, written down: a line in the log, and an event of the resource for whoever looks at it later.
//! Refuses to hold anything up: an event that cannot be written is only said in the log.

use drey_api::kinds::API_VERSION;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::Value;

use crate::key::Key;

/// Who writes the events.
const COMPONENT: &str = "drey";

/// Something that was asked for.
pub(crate) struct Deed<'a> {
    /// Of which resource.
    pub(crate) key: &'a Key,
    /// The resource as it was then.
    pub(crate) object: &'a Value,
    /// By whom, when that is known.
    pub(crate) user: Option<&'a str>,
    /// Such as `suspend`.
    pub(crate) action: &'a str,
    /// How the resource was changed, without secrets.
    pub(crate) patch: Option<Value>,
    /// Whether the API server took it.
    pub(crate) applied: bool,
}

/// Writes it down; `client` is that of the process.
pub(crate) fn note(client: &Client, deed: &Deed<'_>) {
    let Deed { key, action, applied, .. } = deed;
    let user = deed.user.unwrap_or("-");
    let patch = deed.patch.clone().unwrap_or_default();
    tracing::info!(target: "drey::audit", user, resource = %key, action, %patch, applied, "asked for on the dashboard");
    if !applied {
        return;
    }
    let event = event(deed, Timestamp::now());
    let events: Api<Event> = Api::namespaced(client.clone(), &key.namespace);
    tokio::spawn(async move {
        if let Err(error) = events.create(&PostParams::default(), &event).await {
            tracing::debug!(%error, "the event of an action could not be written");
        }
    });
}

fn event(deed: &Deed<'_>, at: Timestamp) -> Event {
    let Deed { key, object, action, .. } = deed;
    let text = |path: &str| object.pointer(path).and_then(Value::as_str).map(str::to_owned);
    let by = deed.user.map(|user| format!(" by {user}")).unwrap_or_default();
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{}.{:x}", key.name, at.as_nanosecond())),
            namespace: Some(key.namespace.to_string()),
            ..ObjectMeta::default()
        },
        involved_object: ObjectReference {
            api_version: Some(API_VERSION.to_owned()),
            kind: Some(key.kind.resource().kind),
            name: Some(key.name.to_string()),
            namespace: Some(key.namespace.to_string()),
            uid: text("/metadata/uid"),
            resource_version: text("/metadata/resourceVersion"),
            ..ObjectReference::default()
        },
        reason: Some("ActionRequested".to_owned()),
        message: Some(format!("`{action}` was asked for on the dashboard{by}")),
        type_: Some("Normal".to_owned()),
        source: Some(EventSource { component: Some(COMPONENT.to_owned()), host: None }),
        first_timestamp: Some(Time(at)),
        last_timestamp: Some(Time(at)),
        count: Some(1),
        reporting_component: Some(COMPONENT.to_owned()),
        ..Event::default()
    }
}
