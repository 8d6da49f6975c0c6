//! The write-ahead record on its way to the API server: one compare-and-swap `PUT /status`, and what is known after
//! it. Refuses to repeat: whoever gets a conflict or an unknown answer reads the object again first.

use drey_api::kinds::{API_VERSION, FlinkDeploymentStatus};
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::act::Actor;
use crate::limits::Limits;
use crate::metrics::ACKNOWLEDGED;
use crate::object::{Key, Stored, WireDeployment};

/// What is known after a write.
#[derive(Debug)]
pub(crate) enum Written {
    /// The status says this already; nothing was sent.
    Same,
    /// The API server has it; this is the object now.
    Acknowledged(Box<Stored>),
    /// The object has changed since it was read; nothing was written.
    Conflict,
    /// The object no longer exists.
    Gone,
    /// The API server does not take it; nothing was written.
    Refused(String),
    /// Nobody knows whether it was written.
    Unknown(String),
}

impl Written {
    /// The label of the metric.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Written::Same => "same",
            Written::Acknowledged(_) => ACKNOWLEDGED,
            Written::Conflict => "conflict",
            Written::Gone => "gone",
            Written::Refused(_) => "refused",
            Written::Unknown(_) => "unknown",
        }
    }
}

/// Writes `status`, if it differs from the one in `stored`.
pub(crate) async fn write(
    client: &Client,
    limits: &Limits,
    stored: &Stored,
    status: &FlinkDeploymentStatus,
) -> Written {
    match serde_json::to_value(status) {
        Ok(status) => write_tree(client, limits, stored, &status).await,
        Err(error) => Written::Refused(format!("the status cannot be written as JSON: {error}")),
    }
}

/// As [`write`], for a status that is a tree.
pub(crate) async fn write_tree(client: &Client, limits: &Limits, stored: &Stored, status: &Value) -> Written {
    if stored.status.as_ref().is_some_and(|known| known.tree() == *status) {
        return Written::Same;
    }
    let object = json!({
        "apiVersion": API_VERSION,
        "kind": "FlinkDeployment",
        "metadata": {
            "name": &*stored.key.name,
            "namespace": &*stored.key.namespace,
            "uid": &*stored.uid,
            "resourceVersion": stored.version.as_str(),
        },
        // The status subresource ignores the spec, but the server checks that there is one of the right type.
        "spec": stored.spec.tree(),
        "status": status,
    });
    let api = api(client, &stored.key);
    let call = api.replace_subresource("status", &stored.key.name, &POST, &object);
    match timeout(limits.request_timeout, call).await {
        Err(_) => Written::Unknown(format!("no answer within {:?}", limits.request_timeout)),
        Ok(Err(error)) => of_error(&error),
        Ok(Ok(wire)) => match Stored::from_wire(wire) {
            Some(stored) => Written::Acknowledged(Box::new(stored)),
            None => Written::Unknown("the answer is no FlinkDeployment".to_owned()),
        },
    }
}

/// What the API server itself says of an object.
#[derive(Debug)]
pub(crate) enum Read {
    /// It is this.
    Present(Box<Stored>),
    /// It does not exist.
    Absent,
    /// It could not be read.
    Failed(String),
}

/// Reads an object from its source. One that no longer has the labels of `label.selector` is none of ours.
pub(crate) async fn read(actor: &Actor, key: &Key) -> Read {
    let limit = actor.limits.request_timeout;
    match timeout(limit, find(actor, key)).await {
        Err(_) => Read::Failed(format!("no answer within {limit:?}")),
        Ok(Err(error)) => Read::Failed(error.to_string()),
        Ok(Ok(None)) => Read::Absent,
        Ok(Ok(Some(wire))) => match Stored::from_wire(wire) {
            Some(stored) => Read::Present(Box::new(stored)),
            None => Read::Failed("the answer is no FlinkDeployment".to_owned()),
        },
    }
}

/// Whether labels fit a selector is judged by the API server alone.
async fn find(actor: &Actor, key: &Key) -> Result<Option<WireDeployment>, kube::Error> {
    let api = api(&actor.client, key);
    let Some(selector) = &actor.label_selector else { return api.get_opt(&key.name).await };
    let params = ListParams::default().fields(&format!("metadata.name={}", key.name)).labels(selector);
    Ok(api.list(&params).await?.items.into_iter().next())
}

const POST: PostParams = PostParams { dry_run: false, field_manager: None };

fn api(client: &Client, key: &Key) -> Api<WireDeployment> {
    Api::namespaced(client.clone(), &key.namespace)
}

fn of_error(error: &kube::Error) -> Written {
    match error {
        kube::Error::Api(status) => match status.code {
            404 => Written::Gone,
            409 => Written::Conflict,
            400..=499 => Written::Refused(status.message.clone()),
            _ => Written::Unknown(status.message.clone()),
        },
        other if is_not_sent(other) => Written::Refused(other.to_string()),
        other => Written::Unknown(other.to_string()),
    }
}

/// Whether a failed call certainly never left this process.
pub(crate) fn is_not_sent(error: &kube::Error) -> bool {
    matches!(error, kube::Error::BuildRequest(_) | kube::Error::HttpError(_))
}
