//! Reading and rewriting the metadata of an object tree. It refuses to know about kinds and storage.

use serde_json::{Map, Value, json};

use crate::schema::{Additional, Schema, Type};

/// The members of ObjectMeta in the order in which they are written.
const METADATA_MEMBERS: [&str; 13] = [
    "name",
    "generateName",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
];
/// Members that clients send and this server does not keep.
const METADATA_DROPPED: [&str; 2] = ["managedFields", "selfLink"];

/// A text member of `metadata`; empty when absent.
pub(crate) fn meta_text<'a>(value: &'a Value, member: &str) -> &'a str {
    value["metadata"][member].as_str().unwrap_or("")
}

/// `metadata.finalizers`.
pub(crate) fn finalizers(value: &Value) -> Vec<String> {
    let list = value["metadata"]["finalizers"].as_array().into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Sets or removes `metadata.finalizers`.
pub(crate) fn set_finalizers(value: &mut Value, finalizers: &[String]) {
    if let Some(metadata) = value["metadata"].as_object_mut() {
        if finalizers.is_empty() {
            metadata.shift_remove("finalizers");
        } else {
            metadata.insert("finalizers".to_owned(), json!(finalizers));
        }
    }
}

/// Whether deletion has been asked for.
pub(crate) fn is_deleting(value: &Value) -> bool {
    value["metadata"]["deletionTimestamp"].is_string()
}

/// Copies members of `metadata` from one object to another, removing those that the source lacks.
pub(crate) fn copy_metadata(from: &Value, to: &mut Value, members: &[&str]) {
    for &member in members {
        let source = from["metadata"].get(member).cloned();
        let Some(target) = to["metadata"].as_object_mut() else { continue };
        match source {
            Some(value) => target.insert(member.to_owned(), value),
            None => target.shift_remove(member),
        };
    }
}

/// Replaces or removes a root member.
pub(crate) fn copy_member(from: &Value, to: &mut Value, member: &str) {
    let source = from.get(member).cloned();
    let Some(target) = to.as_object_mut() else { return };
    match source {
        Some(value) => target.insert(member.to_owned(), value),
        None => target.shift_remove(member),
    };
}

/// Keeps the known members of `metadata` in order, drops nulls and empty maps, and names unknown members.
pub(crate) fn tidy_metadata(value: &mut Value) -> Vec<String> {
    let mut old = match value["metadata"].take() {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    let mut tidy = Map::new();
    for member in METADATA_MEMBERS {
        match old.shift_remove(member) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) if text.is_empty() => {}
            Some(Value::Object(map)) if map.is_empty() => {}
            Some(Value::Array(list)) if list.is_empty() => {}
            Some(kept) => {
                tidy.insert(member.to_owned(), kept);
            }
        }
    }
    value["metadata"] = Value::Object(tidy);
    let mut unknown: Vec<String> = old
        .keys()
        .filter(|member| !METADATA_DROPPED.contains(&member.as_str()))
        .map(|member| format!("metadata.{member}"))
        .collect();
    unknown.sort();
    unknown
}

/// Removes nulls at any depth, as Go's decoding of typed kinds does: in a map of texts they become empty ones.
pub(crate) fn drop_nulls(value: &mut Value, schema: &Schema) {
    match value {
        Value::Object(map) => {
            if let Additional::Each(each) = &schema.additional
                && each.kind == Type::String
            {
                map.values_mut().filter(|inner| inner.is_null()).for_each(|inner| *inner = json!(""));
            }
            map.retain(|_, inner| !inner.is_null());
            for (name, inner) in map.iter_mut() {
                if let Some(nested) = schema.nested(name) {
                    drop_nulls(inner, nested);
                }
            }
        }
        Value::Array(list) => {
            if let Some(items) = schema.items.as_deref() {
                list.iter_mut().for_each(|item| drop_nulls(item, items));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Puts `apiVersion`, `kind` and `metadata` first, as every Kubernetes document reads.
pub(crate) fn order_root(value: &mut Value) {
    let Value::Object(map) = value else { return };
    let mut old = std::mem::take(map);
    for member in ["apiVersion", "kind", "metadata"] {
        if let Some(inner) = old.shift_remove(member) {
            map.insert(member.to_owned(), inner);
        }
    }
    map.extend(old);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_tidied() {
        let mut value = json!({"spec": 1, "metadata": {"labels": {}, "odd": 1, "managedFields": [], "name": "a",
            "annotations": {"k": "v"}, "uid": ""}, "kind": "K", "apiVersion": "v1"});
        assert_eq!(tidy_metadata(&mut value), ["metadata.odd"]);
        order_root(&mut value);
        assert_eq!(
            value.to_string(),
            r#"{"apiVersion":"v1","kind":"K","metadata":{"name":"a","annotations":{"k":"v"}},"spec":1}"#
        );
    }
}
