//! Fills in `default`s, and drops nulls where null is not allowed, as the structural defaulting of apiextensions
//! does.

use serde_json::Value;

use super::{Additional, Schema};

/// Sets every missing property that has a default, at every depth that exists.
pub(crate) fn apply_defaults(value: &mut Value, schema: &Schema) {
    match value {
        Value::Object(map) => {
            for (name, property) in &schema.properties {
                if let Some(default) = &property.default {
                    // A null where null is not allowed counts as missing.
                    let missing = match map.get(name) {
                        None => true,
                        Some(Value::Null) => !property.nullable,
                        Some(_) => false,
                    };
                    if missing {
                        map.insert(name.clone(), default.clone());
                    }
                }
                if map.get(name).is_some_and(Value::is_null)
                    && !property.nullable
                    && property.default.is_none()
                {
                    map.shift_remove(name);
                }
                if let Some(inner) = map.get_mut(name) {
                    apply_defaults(inner, property);
                }
            }
            if let Additional::Each(each) = &schema.additional {
                for (_, inner) in map.iter_mut().filter(|(name, _)| !schema.properties.contains_key(*name)) {
                    apply_defaults(inner, each);
                }
            }
        }
        Value::Array(list) => {
            if let Some(items) = schema.items.as_deref() {
                list.iter_mut().for_each(|item| apply_defaults(item, items));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::compile;
    use super::*;
    use serde_json::json;

    #[test]
    fn missing_and_forbidden_null_are_filled() {
        let schema = compile(&json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "a": {"type": "integer", "default": 1},
            "b": {"type": "string", "nullable": true, "default": "x"},
            "e": {"type": "string"},
            "c": {"type": "object", "default": {}, "properties": {"d": {"type": "boolean", "default": true}}}
        }}}}))
        .unwrap();
        let mut value = json!({"spec": {"a": null, "b": null, "e": null}});
        apply_defaults(&mut value, &schema);
        assert_eq!(value, json!({"spec": {"a": 1, "b": null, "c": {"d": true}}}));
        let mut untouched = json!({"metadata": {}});
        apply_defaults(&mut untouched, &schema);
        assert_eq!(untouched, json!({"metadata": {}}));
    }
}
