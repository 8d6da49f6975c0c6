//! Applying objects the way `kubectl apply` does it on the client: what was applied last stands in the
//! annotation `kubectl.kubernetes.io/last-applied-configuration`, and a three-way merge leaves alone what
//! others have set. So both tools can be used on the same objects in turn.

use drey_api::effect;
use drey_api::kinds::{self, LAST_APPLIED};
use drey_api::story::Story;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::{DynamicObject, GroupVersionKind};
use kube::discovery::{self, Scope};
use serde_json::{Map, Value, json};

use crate::connection::Connection;
use crate::differences;
use crate::failure::{Failure, Kind};
use crate::manifest::Document;

/// How often a conflict with another writer is tried again.
const CONFLICTS_MAX: u32 = 5;

/// What applying an object did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It did not exist.
    Created,
    /// It was changed.
    Configured,
    /// It was as wanted already.
    Unchanged,
}

impl Applied {
    /// The word of `kubectl`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Configured => "configured",
            Self::Unchanged => "unchanged",
        }
    }
}

/// What applying an object changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// In a word.
    pub applied: Applied,
    /// The object before, when there was one.
    pub before: Option<Value>,
    /// The object after, as the API server has it.
    pub after: Value,
}

impl Change {
    /// What becomes of the job, when it is one, and each field that differs.
    #[must_use]
    pub fn told(&self) -> Vec<String> {
        let Some(before) = &self.before else { return self.effect().into_iter().collect() };
        let differences = differences::between(before, &self.after);
        if differences.is_empty() {
            return Vec::new();
        }
        self.effect().into_iter().chain(differences.iter().map(ToString::to_string)).collect()
    }

    fn effect(&self) -> Option<String> {
        if self.after.get("kind").and_then(Value::as_str) != Some("FlinkDeployment") {
            return None;
        }
        let spec = kinds::read(&self.after["spec"]).ok()?;
        let story = self.before.as_ref().and_then(|before| Story::read(before).ok()).unwrap_or_default();
        Some(effect::of_edit(&story, &spec).effect)
    }
}

/// Applies one object.
///
/// # Errors
/// An unknown kind, or the answer of the API server.
pub async fn apply(connection: &Connection, document: &Document, dry_run: bool) -> Result<Change, Failure> {
    let object = document.object_name();
    let api = api_for(connection, document).await?;
    let name = document.name().unwrap_or_default();
    let mut wanted = document.value.clone();
    for _ in 0..CONFLICTS_MAX {
        let failed = |error: kube::Error| Failure::from_kube(&error, &object);
        let Some(current) = api.get_opt(name).await.map_err(failed)? else {
            remember(&mut wanted);
            let after = as_value(&create(&api, wanted, dry_run).await.map_err(failed)?)?;
            return Ok(Change { applied: Applied::Created, before: None, after });
        };
        let before = as_value(&current)?;
        let Some(patch) = change(&document.value, &before) else {
            return Ok(Change { applied: Applied::Unchanged, after: before.clone(), before: Some(before) });
        };
        let parameters = PatchParams { dry_run, ..PatchParams::default() };
        match api.patch(name, &parameters, &Patch::Merge(&patch)).await {
            Ok(after) => {
                let after = as_value(&after)?;
                return Ok(Change { applied: Applied::Configured, before: Some(before), after });
            }
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Err(Failure::new(Kind::Conflict, "somebody else changes it all the time").on(object).hint("run it again"))
}

/// Whether the object exists.
///
/// # Errors
/// An unknown kind, or the answer of the API server.
pub async fn exists(connection: &Connection, document: &Document) -> Result<bool, Failure> {
    let found = api_for(connection, document).await?.get_opt(document.name().unwrap_or_default()).await;
    found.map(|object| object.is_some()).map_err(|error| Failure::from_kube(&error, &document.object_name()))
}

async fn create(
    api: &Api<DynamicObject>,
    wanted: Value,
    dry_run: bool,
) -> Result<DynamicObject, kube::Error> {
    let wanted: DynamicObject = serde_json::from_value(wanted).map_err(kube::Error::SerdeError)?;
    api.create(&PostParams { dry_run, ..PostParams::default() }, &wanted).await
}

fn as_value(object: &DynamicObject) -> Result<Value, Failure> {
    serde_json::to_value(object).map_err(|error| Failure::new(Kind::Internal, error.to_string()))
}

async fn api_for(connection: &Connection, document: &Document) -> Result<Api<DynamicObject>, Failure> {
    let text = |key: &str| document.value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (group, version) = match text("apiVersion").split_once('/') {
        Some((group, version)) => (group.to_owned(), version.to_owned()),
        None => (String::new(), text("apiVersion")),
    };
    let kind = GroupVersionKind { group, version, kind: text("kind") };
    let (resource, capabilities) = discovery::pinned_kind(&connection.client, &kind)
        .await
        .map_err(|error| unknown_kind(&error, document))?;
    Ok(match capabilities.scope {
        Scope::Cluster => Api::all_with(connection.client.clone(), &resource),
        Scope::Namespaced => {
            let namespace = document.namespace().unwrap_or(&connection.namespace);
            Api::namespaced_with(connection.client.clone(), namespace, &resource)
        }
    })
}

fn unknown_kind(error: &kube::Error, document: &Document) -> Failure {
    match error {
        // An API server in trouble, or one that refuses, has said nothing of the kind.
        kube::Error::Api(status) if status.code != 404 => Failure::from_kube(error, &document.object_name()),
        kube::Error::Discovery(_) | kube::Error::Api(_) => {
            let api_version = document.value.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
            let message = format!(
                "the API server has no kind `{}` in `{api_version}`",
                document.kind().unwrap_or_default()
            );
            Failure::new(Kind::Invalid, message).on(document.place_of("kind"))
        }
        other => Failure::from_kube(other, &document.object_name()),
    }
}

fn remember(wanted: &mut Value) {
    let text = without_last_applied(wanted).to_string();
    let annotations = json!({"metadata": {"annotations": {LAST_APPLIED: format!("{text}\n")}}});
    merge(wanted, &annotations);
}

fn without_last_applied(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(Value::Object(annotations)) = object.pointer_mut("/metadata/annotations") {
        annotations.remove(LAST_APPLIED);
    }
    object
}

/// The merge patch that brings `current` to `wanted`, or nothing when it is there already.
fn change(wanted: &Value, current: &Value) -> Option<Value> {
    let last = current
        .get("metadata")
        .and_then(|metadata| metadata.get("annotations")?.get(LAST_APPLIED)?.as_str())
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_else(|| json!({}));
    let wanted = without_last_applied(wanted);
    let mut patch = three_way(&last, &wanted, current);
    if patch == json!({}) && last == wanted {
        return None;
    }
    merge(&mut patch, &json!({"metadata": {"annotations": {LAST_APPLIED: format!("{wanted}\n")}}}));
    Some(patch)
}

/// What was applied before and is not wanted any more goes; what is wanted and different is set; the rest
/// stays. Lists are replaced whole, as in every JSON merge patch.
fn three_way(last: &Value, wanted: &Value, current: &Value) -> Value {
    let mut patch = Map::new();
    let empty = Map::new();
    let fields = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let (last, wanted) = (fields(last), wanted.as_object().unwrap_or(&empty));
    let current = current.as_object().unwrap_or(&empty);
    for key in last.keys().filter(|key| !wanted.contains_key(*key) && current.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, value) in wanted {
        match (value, current.get(key)) {
            (Value::Object(_), Some(there @ Value::Object(_))) => {
                let below = three_way(last.get(key).unwrap_or(&Value::Null), value, there);
                if below != json!({}) {
                    patch.insert(key.clone(), below);
                }
            }
            // A null in a merge patch removes, and so a null that is wanted is the same as none.
            (Value::Null, None) => {}
            (value, Some(there)) if value == there => {}
            (value, _) => {
                patch.insert(key.clone(), value.clone());
            }
        }
    }
    Value::Object(patch)
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn applied(value: &Value) -> Value {
        let mut value = value.clone();
        remember(&mut value);
        value
    }

    #[test]
    fn what_others_set_stays_and_what_is_dropped_goes() {
        let mut current = applied(&json!({"spec": {"a": 1, "b": {"c": 1, "d": 2}}}));
        merge(&mut current, &json!({"spec": {"theirs": true, "b": {"theirs": true}}, "status": {"x": 1}}));
        let wanted = json!({"spec": {"a": 2, "b": {"c": 1}}});
        let patch = change(&wanted, &current).expect("differs");
        assert_eq!(patch["spec"], json!({"a": 2, "b": {"d": null}}));
    }

    #[test]
    fn applying_the_same_again_changes_nothing() {
        let wanted = json!({"metadata": {"name": "a"}, "spec": {"list": [1, 2], "absent": null}});
        let mut current = applied(&wanted);
        current["spec"].as_object_mut().expect("object").remove("absent");
        assert_eq!(change(&wanted, &current), None);
    }

    #[test]
    fn an_object_that_was_never_applied_is_adopted() {
        let patch =
            change(&json!({"spec": {"a": 1}}), &json!({"spec": {"a": 1, "b": 2}})).expect("annotated");
        assert_eq!(patch.get("spec"), None);
        assert!(patch["metadata"]["annotations"][LAST_APPLIED].is_string());
    }

    fn tree() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![any::<bool>().prop_map(Value::from), (0..3).prop_map(Value::from)];
        let field = leaf.prop_recursive(3, 12, 3, |inner| {
            proptest::collection::btree_map("[abc]", inner, 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect()))
        });
        proptest::collection::btree_map("[abc]", field, 0..3)
            .prop_map(|fields| json!({"spec": Value::Object(fields.into_iter().collect())}))
    }

    fn apply_patch(target: &mut Value, patch: &Value) {
        let Value::Object(patch) = patch else {
            *target = patch.clone();
            return;
        };
        if !target.is_object() {
            *target = json!({});
        }
        let target = target.as_object_mut().expect("made one above");
        for (key, value) in patch {
            if value.is_null() {
                target.remove(key);
            } else {
                apply_patch(target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
    }

    proptest! {
        #[test]
        fn an_object_that_only_we_write_ends_as_wanted(before in tree(), wanted in tree()) {
            let mut current = applied(&before);
            if let Some(patch) = change(&wanted, &current) {
                apply_patch(&mut current, &patch);
            }
            prop_assert_eq!(&current["spec"], &wanted["spec"]);
            prop_assert_eq!(change(&wanted, &current), None);
        }
    }
}
