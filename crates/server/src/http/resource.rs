//! One resource: in depth, as YAML, and what happened to it. Each is read from the API server now. Refuses to show secrets.

use std::sync::Arc;

use axum::Json;
use axum::extract::Path;
use k8s_openapi::api::core::v1::Event;
use kube::Api;
use kube::api::ListParams;
use kube::core::DynamicObject;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::answer::{Kind, Refusal};
use super::visit::Visit;
use crate::cluster::ClusterName;
use crate::detail::{self, Detail, May};
use crate::key::{FleetKind, Key};
use crate::mask::mask;
use crate::persons::Question;
use crate::row::Row;
use crate::server::now_ms;
use crate::snapshots::{self, Snapshot};
use crate::timeline::{self, Item};

/// The most events that are read of one resource.
const EVENTS_MAX: u32 = 500;

/// The parts of the address.
pub(super) type Address = Path<(String, String, String)>;

pub(super) async fn detail(visit: Visit, address: Address) -> Result<Json<Detail>, Refusal> {
    let (key, mut object) = fetch(&visit, address).await?;
    let row = row(&visit, &key, &object)?;
    let cluster = ClusterName::of(&object);
    mask(&mut object);
    let links = detail::links(&visit.links.links, &key, &row);
    let why_not = |verb| {
        let namespace = Some(key.namespace.clone());
        visit.caller.why_not(Question { verb, kind: key.kind, namespace })
    };
    let (patch, update, delete) = tokio::try_join!(why_not("patch"), why_not("update"), why_not("delete"))?;
    let may = May { patch: patch.into(), update: update.into(), delete: delete.into() };
    let mut detail = detail::describe(row, &object, may, now_ms());
    detail.links = links;
    detail.flink_ui = visit.clusters.flink_pages(&cluster).or_else(|| {
        let is_up =
            object.pointer("/status/jobManagerDeploymentStatus").is_some_and(|status| status == "READY");
        is_up.then(|| format!("api/v1/ns/{key}/flink"))
    });
    Ok(Json(detail))
}

/// A resource as it is written.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Yaml {
    yaml: String,
    /// `metadata.resourceVersion`.
    version: String,
    /// Where something is not shown.
    masked: Vec<String>,
}

pub(super) async fn yaml(visit: Visit, address: Address) -> Result<Json<Yaml>, Refusal> {
    let (_, mut object) = fetch(&visit, address).await?;
    let masked = mask(&mut object);
    let yaml = to_yaml(&object)?;
    let version = object.pointer("/metadata/resourceVersion").and_then(Value::as_str);
    Ok(Json(Yaml { yaml, version: version.unwrap_or_default().to_owned(), masked }))
}

/// What happened to a resource, newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Timeline {
    items: Vec<Item>,
}

pub(super) async fn timeline(visit: Visit, address: Address) -> Result<Json<Timeline>, Refusal> {
    let (key, object) = fetch(&visit, address).await?;
    let events: Api<Event> = Api::namespaced(visit.client(), &key.namespace);
    let kind = key.kind.resource().kind;
    let selector = format!("involvedObject.kind={kind},involvedObject.name={}", key.name);
    let params = ListParams::default().fields(&selector).limit(EVENTS_MAX);
    let events = match events.list(&params).await {
        Ok(events) => events.items,
        // Whoever may see the resource and not the events of its namespace sees what the resource itself remembers.
        Err(kube::Error::Api(status)) if status.code == 403 => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    Ok(Json(Timeline { items: timeline::of(&object, &events) }))
}

/// Savepoints and checkpoints that somebody asked for, newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Snapshots {
    items: Vec<Snapshot>,
}

pub(super) async fn snapshots(visit: Visit, address: Address) -> Result<Json<Snapshots>, Refusal> {
    let (key, object) = fetch(&visit, address).await?;
    let (_, rows) = visit.store.rows();
    let of_it =
        rows.iter().filter(|row| row.id.kind == FleetKind::Snapshot && row.parent.as_ref() == Some(&key));
    let names: Vec<String> = of_it.map(|row| row.name.to_string()).collect();
    let api = api(&visit, &key.namespace, FleetKind::Snapshot);
    let found = futures::future::join_all(names.iter().map(|name| api.get_opt(name))).await;
    let found =
        found.into_iter().filter_map(|read| serde_json::to_value(read.ok()??).ok()).collect::<Vec<_>>();
    Ok(Json(Snapshots { items: snapshots::of(&object, &found) }))
}

pub(super) async fn fetch(
    visit: &Visit,
    Path((namespace, kind, name)): Address,
) -> Result<(Key, Value), Refusal> {
    let Some(kind) = FleetKind::from_plural(&kind) else {
        return Err(Refusal::new(Kind::NotFound, format!("`{kind}` is no kind of Flink's")));
    };
    if !is_name(&namespace) || !is_name(&name) {
        return Err(Refusal::new(Kind::NotFound, "no resource is called that"));
    }
    let object = api(visit, &namespace, kind).get(&name).await?;
    Ok((Key::new(&namespace, kind, &name), as_value(object)?))
}

/// The resources of one kind in a namespace.
pub(super) fn api(visit: &Visit, namespace: &str, kind: FleetKind) -> Api<DynamicObject> {
    Api::namespaced_with(visit.client(), namespace, &kind.resource())
}

pub(super) fn as_value(object: DynamicObject) -> Result<Value, Refusal> {
    serde_json::to_value(object)
        .map_err(|error| Refusal::new(Kind::Internal, format!("the object cannot be read: {error}")))
}

pub(super) fn to_yaml(value: &Value) -> Result<String, Refusal> {
    serde_saphyr::to_string(value)
        .map_err(|error| Refusal::new(Kind::Internal, format!("it cannot be written as YAML: {error}")))
}

/// Names stand in the path of what is asked of the API server: only what can be a name goes there.
fn is_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    !name.is_empty() && name.len() <= 253 && name.bytes().all(legal) && !name.starts_with('.')
}

/// The row with what only JobManagers tell, when it is known.
fn row(visit: &Visit, key: &Key, object: &Value) -> Result<Arc<Row>, Refusal> {
    let mut row = Row::of(&visit.cluster, key.kind, object)
        .ok_or_else(|| Refusal::new(Kind::Internal, "the object has no name"))?;
    row.remember(&visit.store);
    Ok(Arc::new(row))
}
