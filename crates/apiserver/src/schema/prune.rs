//! Removes what a schema does not list, and says what it removed.

use serde_json::{Map, Value};

use super::{Additional, Schema, join};

/// The paths that were removed, in the order of their names.
#[derive(Debug, Default)]
pub(crate) struct Pruned {
    /// Such as `spec.foo` or `spec.args[0].bar`.
    pub(crate) unknown: Vec<String>,
}

/// Prunes an object against the root schema. `apiVersion`, `kind` and `metadata` at the root, and in
/// embedded resources, stay untouched whatever the schema says of them.
pub(crate) fn prune(value: &mut Value, schema: &Schema) -> Pruned {
    let mut pruned = Pruned::default();
    if let Value::Object(map) = value {
        prune_object(map, schema, "", true, &mut pruned);
    }
    pruned.unknown.sort();
    pruned
}

fn walk(value: &mut Value, schema: &Schema, path: &str, pruned: &mut Pruned) {
    match value {
        Value::Object(map) => prune_object(map, schema, path, schema.embedded_resource, pruned),
        Value::Array(list) => {
            let Some(items) = schema.items.as_deref() else { return };
            for (index, item) in list.iter_mut().enumerate() {
                walk(item, items, &format!("{path}[{index}]"), pruned);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn prune_object(
    map: &mut Map<String, Value>,
    schema: &Schema,
    path: &str,
    resource: bool,
    pruned: &mut Pruned,
) {
    let keep_all = schema.preserve_unknown || matches!(schema.additional, Additional::Anything);
    map.retain(|name, value| {
        if resource && matches!(name.as_str(), "apiVersion" | "kind" | "metadata") {
            return true;
        }
        match schema.nested(name) {
            Some(inner) => {
                walk(value, inner, &join(path, name), pruned);
                true
            }
            None if keep_all => true,
            None => {
                pruned.unknown.push(join(path, name));
                false
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::compile;
    use super::*;
    use serde_json::json;

    #[test]
    fn unknown_fields_go_and_are_named() {
        let schema =
            compile(&json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "args": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            "labels": {"type": "object", "additionalProperties": {"type": "string"}}}}}}))
            .unwrap();
        let mut value = json!({"apiVersion": "v1", "kind": "K", "metadata": {"odd": 1}, "extra": 1,
            "spec": {"args": [{"a": "1", "b": 2}], "free": {"x": {"y": 1}}, "labels": {"k": "v"}, "no": 1}});
        let pruned = prune(&mut value, &schema);
        assert_eq!(pruned.unknown, ["extra", "spec.args[0].b", "spec.no"]);
        assert_eq!(
            value,
            json!({"apiVersion": "v1", "kind": "K", "metadata": {"odd": 1},
                "spec": {"args": [{"a": "1"}], "free": {"x": {"y": 1}}, "labels": {"k": "v"}}})
        );
    }
}
