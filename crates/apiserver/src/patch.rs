//! The three kinds of patch, applied to a JSON tree. It refuses to know what is patched, except for the merge
//! keys of the core kinds' lists.

use json_patch::{AddOperation, PatchOperation};
use serde_json::{Map, Value};

use crate::errors::ApiError;
use crate::limits::JSON_PATCH_OPERATIONS_MAX;

/// Which patch a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PatchKind {
    /// `application/json-patch+json`, RFC 6902.
    Json,
    /// `application/merge-patch+json`, RFC 7396.
    Merge,
    /// `application/strategic-merge-patch+json`.
    Strategic,
}

/// Applies `patch` to `target`.
pub(crate) fn apply(kind: PatchKind, target: &mut Value, patch: &Value) -> Result<(), ApiError> {
    match kind {
        PatchKind::Merge => {
            if !patch.is_object() {
                return Err(ApiError::bad_request("a merge patch must be a JSON object"));
            }
            json_patch::merge(target, patch);
            Ok(())
        }
        PatchKind::Json => apply_json(target, patch),
        PatchKind::Strategic => {
            let Value::Object(patch) = patch else {
                return Err(ApiError::bad_request("a strategic merge patch must be a JSON object"));
            };
            if !target.is_object() {
                *target = Value::Object(Map::new());
            }
            merge_object(target.as_object_mut().expect("made an object above"), patch, "");
            Ok(())
        }
    }
}

fn apply_json(target: &mut Value, patch: &Value) -> Result<(), ApiError> {
    let operations: json_patch::Patch = serde_json::from_value(patch.clone())
        .map_err(|error| ApiError::bad_request(format!("error decoding patch: {error}")))?;
    if operations.0.len() > JSON_PATCH_OPERATIONS_MAX {
        let message = format!(
            "The allowed maximum operations in a JSON patch is {JSON_PATCH_OPERATIONS_MAX}, got {}",
            operations.0.len()
        );
        return Err(ApiError::request_too_large(message));
    }
    let mut patched = target.clone();
    for operation in operations.0 {
        if let Some(operation) = forgiven(&patched, operation) {
            json_patch::patch(&mut patched, &[operation])
                .map_err(|error| ApiError::patch_rejected(&error.to_string()))?;
        }
    }
    *target = patched;
    Ok(())
}

/// The real server forgives what RFC 6902 refuses: removing a member that is not there does nothing, and
/// replacing one adds it.
fn forgiven(target: &Value, operation: PatchOperation) -> Option<PatchOperation> {
    let lacks = |path: &str| {
        path.rsplit_once('/').is_some_and(|(parent, _)| target.pointer(parent).is_some_and(Value::is_object))
            && target.pointer(path).is_none()
    };
    match operation {
        PatchOperation::Remove(remove) if lacks(remove.path.as_str()) => None,
        PatchOperation::Replace(replace) if lacks(replace.path.as_str()) => {
            Some(PatchOperation::Add(AddOperation { path: replace.path, value: replace.value }))
        }
        other => Some(other),
    }
}

/// How a list of a core kind is merged.
enum ListMerge {
    /// By the value of this field of each item.
    Key(&'static str),
    /// As a set of scalars.
    Set,
    /// Replaced as a whole.
    Replace,
}

/// Merge keys of the lists in the kinds that are served. `parent` is the name of the field above.
fn list_merge(parent: &str, field: &str) -> ListMerge {
    match (parent, field) {
        (
            _,
            "containers"
            | "initContainers"
            | "ephemeralContainers"
            | "volumes"
            | "env"
            | "imagePullSecrets"
            | "secrets"
            | "resourceClaims",
        ) => ListMerge::Key("name"),
        ("containers" | "initContainers", "ports") => ListMerge::Key("containerPort"),
        ("spec", "ports") => ListMerge::Key("port"),
        (_, "volumeMounts") => ListMerge::Key("mountPath"),
        (_, "volumeDevices") => ListMerge::Key("devicePath"),
        (_, "hostAliases" | "podIPs" | "hostIPs") => ListMerge::Key("ip"),
        (_, "conditions") => ListMerge::Key("type"),
        (_, "ownerReferences") => ListMerge::Key("uid"),
        (_, "topologySpreadConstraints") => ListMerge::Key("topologyKey"),
        ("metadata", "finalizers") => ListMerge::Set,
        _ => ListMerge::Replace,
    }
}

fn merge_object(target: &mut Map<String, Value>, patch: &Map<String, Value>, parent: &str) {
    if patch.get("$patch").and_then(Value::as_str) == Some("replace") {
        target.clear();
        target.extend(
            patch.iter().filter(|(key, _)| *key != "$patch").map(|(key, value)| (key.clone(), value.clone())),
        );
        return;
    }
    for (key, value) in patch {
        if let Some(field) = key.strip_prefix("$deleteFromPrimitiveList/") {
            delete_from_set(target, field, value);
            continue;
        }
        if key.starts_with('$') {
            // `$setElementOrder/…` only orders items, and `$retainKeys` only unions; both follow below.
            continue;
        }
        merge_field(target, key, value, patch, parent);
    }
    retain_keys(target, patch);
    for (key, order) in patch {
        if let (Some(field), Some(order)) = (key.strip_prefix("$setElementOrder/"), order.as_array())
            && !patch.contains_key(field)
        {
            reorder(target, field, order, parent);
        }
    }
}

fn merge_field(
    target: &mut Map<String, Value>,
    key: &str,
    value: &Value,
    patch: &Map<String, Value>,
    parent: &str,
) {
    match value {
        Value::Null => {
            target.shift_remove(key);
        }
        Value::Object(inner) if inner.get("$patch").and_then(Value::as_str) == Some("delete") => {
            target.shift_remove(key);
        }
        Value::Object(inner) => {
            let slot = target.entry(key.to_owned()).or_insert(Value::Null);
            if !slot.is_object() {
                *slot = Value::Object(Map::new());
            }
            merge_object(slot.as_object_mut().expect("made an object above"), inner, key);
        }
        Value::Array(items) => {
            let order = patch.get(&format!("$setElementOrder/{key}")).and_then(Value::as_array);
            merge_list(target, key, items, order.map(Vec::as_slice), parent);
        }
        scalar => {
            target.insert(key.to_owned(), scalar.clone());
        }
    }
}

fn merge_list(
    target: &mut Map<String, Value>,
    key: &str,
    patch: &[Value],
    order: Option<&[Value]>,
    parent: &str,
) {
    let existing = target.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let replace = patch.iter().any(|item| item["$patch"] == "replace");
    let merge = list_merge(parent, key);
    let merged = match &merge {
        _ if replace => patch.iter().filter(|item| item.get("$patch").is_none()).cloned().collect(),
        ListMerge::Replace => patch.to_vec(),
        ListMerge::Set => {
            let mut set = existing.clone();
            set.extend(patch.iter().filter(|item| !existing.contains(item)).cloned());
            in_order(set, order.unwrap_or(patch), &existing, &merge)
        }
        ListMerge::Key(merge_key) => {
            let merged = merge_by_key(existing.clone(), patch, merge_key, key);
            in_order(merged, order.unwrap_or(patch), &existing, &merge)
        }
    };
    target.insert(key.to_owned(), Value::Array(merged));
}

fn merge_by_key(mut existing: Vec<Value>, patch: &[Value], merge_key: &str, field: &str) -> Vec<Value> {
    for item in patch {
        let at = existing.iter().position(|old| old.get(merge_key) == item.get(merge_key));
        if item["$patch"] == "delete" {
            if let Some(at) = at {
                existing.remove(at);
            }
            continue;
        }
        match (at.map(|at| &mut existing[at]), item) {
            (Some(Value::Object(old)), Value::Object(new)) => merge_object(old, new, field),
            (Some(slot), new) => *slot = new.clone(),
            (None, Value::Object(new)) => {
                let mut fresh = Map::new();
                merge_object(&mut fresh, new, field);
                existing.push(Value::Object(fresh));
            }
            (None, new) => existing.push(new.clone()),
        }
    }
    existing
}

fn delete_from_set(target: &mut Map<String, Value>, field: &str, gone: &Value) {
    let gone = gone.as_array().map_or(&[][..], Vec::as_slice);
    if let Some(Value::Array(list)) = target.get_mut(field) {
        list.retain(|item| !gone.contains(item));
    }
}

fn retain_keys(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    if let Some(keys) = patch.get("$retainKeys").and_then(Value::as_array) {
        target.retain(|key, _| keys.iter().any(|kept| kept.as_str() == Some(key)));
    }
}

fn reorder(target: &mut Map<String, Value>, field: &str, order: &[Value], parent: &str) {
    if let Some(Value::Array(list)) = target.get_mut(field) {
        let existing = list.clone();
        *list = in_order(existing.clone(), order, &existing, &list_merge(parent, field));
    }
}

/// Orders a merged list: the items that the patch names in its order, and among them the others where they
/// stood in the list before.
fn in_order(merged: Vec<Value>, order: &[Value], existing: &[Value], merge: &ListMerge) -> Vec<Value> {
    let place = |item: &Value, list: &[Value]| match merge {
        ListMerge::Key(key) => list.iter().position(|other| other.get(key) == item.get(key)),
        ListMerge::Set | ListMerge::Replace => list.iter().position(|other| other == item),
    };
    let (mut named, others): (Vec<Value>, Vec<Value>) =
        merged.into_iter().partition(|item| place(item, order).is_some());
    named.sort_by_key(|item| place(item, order));
    let mut others = others.into_iter().peekable();
    let mut result = Vec::with_capacity(named.len());
    for item in named {
        while let Some(other) = others.peek() {
            match (place(other, existing), place(&item, existing)) {
                (Some(one), Some(two)) if one < two => result.extend(others.next()),
                _ => break,
            }
        }
        result.push(item);
    }
    result.extend(others);
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(kind: PatchKind, [mut target, patch, expect]: [Value; 3]) {
        apply(kind, &mut target, &patch).unwrap();
        assert_eq!(target, expect);
    }

    #[test]
    fn merge_replaces_lists_and_removes_nulls() {
        check(
            PatchKind::Merge,
            [json!({"a": {"b": 1, "c": [1]}}), json!({"a": {"b": null, "c": [2]}}), json!({"a": {"c": [2]}})],
        );
    }

    #[test]
    fn json_patch_test_guards() {
        let mut target = json!({"a": 1});
        let patch = json!([{"op": "test", "path": "/a", "value": 2}, {"op": "remove", "path": "/a"}]);
        let error = apply(PatchKind::Json, &mut target, &patch).unwrap_err();
        assert_eq!(error.code.as_u16(), 422);
        assert_eq!(target, json!({"a": 1}));
        let error = apply(PatchKind::Json, &mut target, &json!({"op": "add"})).unwrap_err();
        assert_eq!(error.code.as_u16(), 400);
    }

    #[test]
    fn strategic_merges_by_key() {
        check(
            PatchKind::Strategic,
            [
                json!({"spec": {"containers": [{"name": "a", "image": "1", "env": [{"name": "X", "value": "1"}]}, {"name": "b"}]}}),
                json!({"spec": {"containers": [{"name": "a", "image": "2", "env": [{"name": "Y", "value": "2"}]},
                {"name": "b", "$patch": "delete"}, {"name": "c"}]}}),
                json!({"spec": {"containers": [{"name": "a", "image": "2",
                "env": [{"name": "Y", "value": "2"}, {"name": "X", "value": "1"}]}, {"name": "c"}]}}),
            ],
        );
    }

    #[test]
    fn strategic_directives() {
        check(
            PatchKind::Strategic,
            [
                json!({"metadata": {"finalizers": ["a", "b"]}, "spec": {"strategy": {"type": "R", "rollingUpdate": {}}}}),
                json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c"]},
                "spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}),
                json!({"metadata": {"finalizers": ["c", "b"]}, "spec": {"strategy": {"type": "Recreate"}}}),
            ],
        );
        check(
            PatchKind::Strategic,
            [
                json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}]}}),
                json!({"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}], "containers": [{"name": "a", "image": "i"}]}}),
                json!({"spec": {"containers": [{"name": "b"}, {"name": "a", "image": "i"}]}}),
            ],
        );
    }
}
