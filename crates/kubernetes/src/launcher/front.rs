//! Keeps what stands in front of a cluster as the deployed spec says: made, altered, removed, and put right when
//! somebody else changed it. It concerns no state and is nobody's ground for an act, so that no decision knows of it.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use drey_api::desired::Desired;
use drey_engine::{LaunchError, Target};
use futures::StreamExt;
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, Preconditions,
};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{WatchStreamExt, reflector::store::Writer};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio::task::JoinSet;

use super::create::{failed, taken};
use crate::cluster::{COMPONENT_LABEL, ClusterIdentity};
use crate::front;

/// Annotation: what was asked for, as a number. What is asked for no longer shows in nothing else.
const ASKED_ANNOTATION: &str = "drey.dev/asked";

/// Who we are to the API server where fields have owners.
const FIELD_MANAGER: &str = "drey";

/// The kinds, as group, version, kind and plural.
const KINDS: [[&str; 4]; 2] = [
    ["networking.k8s.io", "v1", "Ingress", "ingresses"],
    ["gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes"],
];

/// What stands in front of all clusters.
pub(crate) struct Fronts {
    client: Client,
    /// One for each kind that the cluster serves, of each watched scope.
    kinds: Vec<Kind>,
}

struct Kind {
    resource: ApiResource,
    scopes: Vec<Scope>,
}

struct Scope {
    namespace: Option<String>,
    seen: Store<DynamicObject>,
}

impl Fronts {
    /// Begins to watch, in tasks of `watches`.
    pub(crate) fn watch(
        client: &Client,
        scopes: &[Option<String>],
        changes: &broadcast::Sender<Target>,
        watches: &mut JoinSet<()>,
    ) -> Fronts {
        let kinds = KINDS.map(|[group, version, kind, plural]| {
            let resource =
                ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
            let scopes = scopes.iter().map(|namespace| {
                let writer = Writer::new(resource.clone());
                let seen = writer.as_reader();
                let objects = match namespace {
                    Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
                    None => Api::all_with(client.clone(), &resource),
                };
                watches.spawn(follow(objects, writer, changes.clone()));
                Scope { namespace: namespace.clone(), seen }
            });
            let scopes = scopes.collect();
            Kind { resource, scopes }
        });
        Fronts { client: client.clone(), kinds: kinds.into() }
    }

    /// Makes what stands in front of the cluster as the deployed spec asks.
    ///
    /// # Errors
    /// See [`LaunchError`].
    pub(crate) async fn keep(&self, target: &Target, deployed: &Desired) -> Result<(), LaunchError> {
        if !deployed.options.ingress_managed {
            return match deployed.spec.ingress {
                None => Ok(()),
                Some(_) => Err(LaunchError::Refused(
                    "`spec.ingress` is not acted upon: `kubernetes.operator.ingress.manage` is false"
                        .to_owned(),
                )),
            };
        }
        let cluster = ClusterIdentity {
            namespace: target.namespace.clone(),
            name: target.name.clone(),
            uid: target.uid.clone(),
        };
        let wanted = front::object(&cluster, deployed)
            .map_err(|error| LaunchError::Refused(format!("`spec.ingress` cannot be made: {error}")))?;
        for kind in &self.kinds {
            let wanted = wanted.as_ref().filter(|object| object["kind"] == *kind.resource.kind);
            self.keep_one(kind, target, wanted).await?;
        }
        Ok(())
    }

    async fn keep_one(
        &self,
        kind: &Kind,
        target: &Target,
        wanted: Option<&Value>,
    ) -> Result<(), LaunchError> {
        let named = format!("{} {}", kind.resource.kind, target.name);
        let objects: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &target.namespace, &kind.resource);
        let seen = kind.seen(target);
        let Some(wanted) = wanted else {
            let ours = seen.filter(|object| is_ours(object, target));
            let Some(uid) = ours.and_then(|object| object.uid()) else { return Ok(()) };
            let only = DeleteParams::default()
                .preconditions(Preconditions { uid: Some(uid), resource_version: None });
            return match objects.delete(&target.name, &only).await {
                Ok(_) => Ok(()),
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
                Err(error) => Err(failed(&named, &error)),
            };
        };
        let asked = fingerprint(wanted);
        if seen.is_some_and(|object| is_ours(&object, target) && is_as_asked(&object, wanted, &asked)) {
            return Ok(());
        }
        // What is watched may be late; an object of somebody else must not be taken.
        let existing = objects.get_opt(&target.name).await.map_err(|error| failed(&named, &error))?;
        let mut wanted = wanted.clone();
        wanted["metadata"]["annotations"][ASKED_ANNOTATION] = json!(asked);
        match existing {
            Some(object) if !is_ours(&object, target) => {
                return Err(taken(&named, target));
            }
            Some(object) => wanted["metadata"]["uid"] = json!(object.uid()),
            None => {}
        }
        let params = PatchParams::apply(FIELD_MANAGER).force();
        match objects.patch(&target.name, &params, &Patch::Apply(&wanted)).await {
            Ok(_) => Ok(()),
            Err(error) => Err(failed(&named, &error)),
        }
    }
}

impl Kind {
    /// The object as the watches know it.
    fn seen(&self, target: &Target) -> Option<DynamicObject> {
        let scope = self
            .scopes
            .iter()
            .find(|scope| scope.namespace.as_deref().is_none_or(|name| name == &*target.namespace))?;
        let key = ObjectRef::new_with(&target.name, self.resource.clone()).within(&target.namespace);
        scope.seen.get(&key).map(|object| DynamicObject::clone(&object))
    }
}

/// Follows one kind in one scope, for ever, and tells of every change. A kind that is not served, or that nobody may
/// look at, stays unknown: what is asked for is then looked at before each act.
async fn follow(
    objects: Api<DynamicObject>,
    writer: Writer<DynamicObject>,
    changes: broadcast::Sender<Target>,
) {
    let selector = format!("{COMPONENT_LABEL}={}", front::COMPONENT);
    let events = watcher(objects, watcher::Config::default().labels(&selector))
        .default_backoff()
        .modify(|object| object.metadata.managed_fields = None);
    let mut events = std::pin::pin!(reflector::reflector(writer, events));
    while let Some(event) = events.next().await {
        let object = match event {
            Ok(Event::Apply(object) | Event::InitApply(object) | Event::Delete(object)) => object,
            Ok(Event::Init | Event::InitDone) => continue,
            Err(error) => {
                tracing::debug!(%error, "watching what stands in front of clusters");
                continue;
            }
        };
        let (Some(namespace), Some(name)) = (object.namespace(), object.meta().name.as_deref()) else {
            continue;
        };
        // Nobody listening is no failure.
        let _ = changes.send(Target { namespace: namespace.into(), name: name.into(), uid: "".into() });
    }
}

fn is_ours(object: &DynamicObject, target: &Target) -> bool {
    object.owner_references().iter().any(|owner| owner.uid == *target.uid)
}

/// A number that tells one wish from another. It is compared with one of the same program only: after a release whose
/// numbers differ everything is written once more.
fn fingerprint(wanted: &Value) -> String {
    let mut hasher = DefaultHasher::new();
    wanted.to_string().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn is_as_asked(object: &DynamicObject, wanted: &Value, asked: &str) -> bool {
    object.annotations().get(ASKED_ANNOTATION).is_some_and(|text| text == asked)
        && ["labels", "annotations"]
            .iter()
            .all(|field| contains(&json!(object.metadata)[field], &wanted["metadata"][field]))
        && contains(&object.data["spec"], &wanted["spec"])
}

/// Whether everything that is wanted is there; the API server adds defaults.
fn contains(there: &Value, wanted: &Value) -> bool {
    match (there, wanted) {
        (Value::Object(there), Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| there.get(key).is_some_and(|there| contains(there, wanted)))
        }
        (Value::Array(there), Value::Array(wanted)) => {
            there.len() == wanted.len()
                && there.iter().zip(wanted).all(|(there, wanted)| contains(there, wanted))
        }
        // The API server leaves out what is empty.
        (Value::Null, Value::Object(wanted)) => wanted.is_empty(),
        (there, wanted) => there == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_of_the_api_server_are_no_difference() {
        let wanted = json!({ "rules": [{ "host": "a" }] });
        assert!(contains(&json!({ "rules": [{ "host": "a", "pathType": "Exact" }], "class": "x" }), &wanted));
        assert!(!contains(&json!({ "rules": [{ "host": "b" }] }), &wanted));
        assert!(!contains(&json!({ "rules": [{ "host": "a" }, { "host": "b" }] }), &wanted));
        assert!(!contains(&json!({}), &wanted));
        assert!(contains(&Value::Null, &json!({})));
    }

    #[test]
    fn what_is_asked_for_no_longer_is_a_difference() {
        let wanted =
            json!({ "metadata": { "labels": { "a": "b" }, "annotations": {} }, "spec": { "class": "x" } });
        let object = |asked: &Value| {
            let mut object = DynamicObject::new(
                "led",
                &ApiResource::erase::<k8s_openapi::api::networking::v1::Ingress>(&()),
            )
            .data(json!({ "spec": { "class": "x", "tls": [] } }));
            object.metadata.labels = Some([("a".to_owned(), "b".to_owned())].into());
            object.metadata.annotations = Some([(ASKED_ANNOTATION.to_owned(), fingerprint(asked))].into());
            object
        };
        assert!(is_as_asked(&object(&wanted), &wanted, &fingerprint(&wanted)));
        let earlier = json!({ "metadata": { "labels": { "a": "b" }, "annotations": {} }, "spec": { "class": "x", "tls": [] } });
        assert!(!is_as_asked(&object(&earlier), &wanted, &fingerprint(&wanted)));
    }
}
