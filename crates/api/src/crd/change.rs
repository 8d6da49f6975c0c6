//! What replacing a CustomResourceDefinition would change for the resources that are stored under it. Refuses to know
//! whether that is wanted.
//!
//! The API server drops every field that the schema does not have, at the next write of a resource. So a definition
//! with fewer fields than the one that is served is a downgrade, whoever wrote either of them.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;

const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";

/// The difference between the definition that is served and the one that would replace it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Fields that are new, such as `v1beta1 status.intent`; of a new object only itself.
    pub added: Vec<String>,
    /// Fields whose values the API server would drop.
    pub lost: Vec<String>,
    /// Fields of another type than before, with both types.
    pub retyped: Vec<String>,
}

impl Change {
    /// Compares the schemas of all versions.
    #[must_use]
    pub fn between(served: &CustomResourceDefinition, new: &CustomResourceDefinition) -> Self {
        let mut change = Self::default();
        let new_version = |name: &str| new.spec.versions.iter().find(|version| version.name == name);
        for version in &served.spec.versions {
            match new_version(&version.name) {
                None => change.lost.push(version.name.clone()),
                Some(new) => {
                    change.compare(&version.name, &tree(&version.schema), &tree(&new.schema));
                }
            }
        }
        let known = |name: &str| served.spec.versions.iter().any(|version| version.name == name);
        let new_versions = new.spec.versions.iter().filter(|version| !known(&version.name));
        change.added.extend(new_versions.map(|version| version.name.clone()));
        change
    }

    /// Whether resources lose something.
    #[must_use]
    pub fn is_downgrade(&self) -> bool {
        !self.lost.is_empty()
    }

    fn compare(&mut self, path: &str, served: &Value, new: &Value) {
        // What is kept although it is unknown cannot be lost, whatever is said of it.
        let keeps = new.get(PRESERVE) == Some(&Value::Bool(true));
        if let (Some(old_type), Some(new_type)) = (type_of(served), type_of(new))
            && old_type != new_type
        {
            self.retyped.push(format!("{path}: {old_type} → {new_type}"));
        }
        let (old_fields, new_fields) = (properties(served), properties(new));
        for (name, field) in old_fields {
            let path = join(path, name);
            match new_fields.iter().find(|(new_name, _)| *new_name == name) {
                Some((_, new_field)) => self.compare(&path, field, new_field),
                None if keeps || is_map(new) => {}
                None => self.lost.push(path),
            }
        }
        if served.get(PRESERVE) != Some(&Value::Bool(true)) {
            let is_new =
                |(name, _): &&(&String, &Value)| !properties(served).iter().any(|(old, _)| old == name);
            self.added.extend(new_fields.iter().filter(is_new).map(|(name, _)| join(path, name)));
        }
        for inner in ["items", "additionalProperties"] {
            if let (Some(old), Some(new)) = (served.get(inner), new.get(inner)) {
                self.compare(&format!("{path}[]"), old, new);
            }
        }
    }
}

/// The schema of a version as a tree.
fn tree<T: serde::Serialize>(schema: &T) -> Value {
    let mut tree = serde_json::to_value(schema).expect("a schema is plain data with text keys");
    tree.get_mut("openAPIV3Schema").map(Value::take).unwrap_or_default()
}

fn properties(schema: &Value) -> Vec<(&String, &Value)> {
    schema.get("properties").and_then(Value::as_object).into_iter().flatten().collect()
}

/// A map takes every key.
fn is_map(schema: &Value) -> bool {
    schema.get("additionalProperties").is_some_and(|values| values != &Value::Bool(false))
}

fn type_of(schema: &Value) -> Option<&str> {
    let int_or_string = schema.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true));
    if int_or_string { Some("integer or string") } else { schema.get("type").and_then(Value::as_str) }
}

/// `v1beta1` and `spec` are parted by a space: a version is no field.
fn join(path: &str, name: &str) -> String {
    let separator = if path.contains([' ', '.']) { '.' } else { ' ' };
    format!("{path}{separator}{name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn definition(schema: &Value) -> CustomResourceDefinition {
        serde_json::from_value(json!({
            "metadata": { "name": "things.example.com" },
            "spec": {
                "group": "example.com",
                "names": { "kind": "Thing", "plural": "things" },
                "scope": "Namespaced",
                "versions": [{
                    "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": schema },
                }],
            },
        }))
        .unwrap()
    }

    fn between(served: &Value, new: &Value) -> Change {
        Change::between(&definition(served), &definition(new))
    }

    fn object(properties: &Value) -> Value {
        json!({ "type": "object", "properties": properties })
    }

    #[test]
    fn fields_that_come_go_and_change() {
        let served = object(&json!({
            "spec": object(&json!({ "kept": {"type": "string"}, "gone": {"type": "string"}, "size": {"type": "integer"} })),
        }));
        let new = object(&json!({
            "spec": object(&json!({ "kept": {"type": "string"}, "size": {"type": "string"} })),
            "status": object(&json!({ "a": {"type": "string"} })),
        }));
        let change = between(&served, &new);
        assert_eq!(change.added, ["v1 status"]);
        assert_eq!(change.lost, ["v1 spec.gone"]);
        assert_eq!(change.retyped, ["v1 spec.size: integer → string"]);
        assert!(change.is_downgrade() && !between(&new, &new).is_downgrade());
    }

    #[test]
    fn what_preserves_unknown_fields_loses_none() {
        let served = object(&json!({ "pod": object(&json!({ "old": {"type": "string"} })) }));
        let new = object(&json!({ "pod": {"type": "object", "x-kubernetes-preserve-unknown-fields": true} }));
        assert_eq!(between(&served, &new), Change::default());
    }

    #[test]
    fn items_of_lists_and_values_of_maps_are_compared() {
        let with = |field: &str| {
            object(&json!({
                "list": {"type": "array", "items": object(&json!({ field: {"type": "string"} }))},
                "map": {"type": "object", "additionalProperties": object(&json!({ field: {"type": "string"} }))},
            }))
        };
        assert_eq!(between(&with("a"), &with("b")).lost, ["v1 list[].a", "v1 map[].a"]);
    }

    #[test]
    fn our_own_definitions_are_no_change_to_themselves() {
        for definition in crate::crd::each() {
            assert_eq!(Change::between(&definition, &definition), Change::default());
        }
    }

    #[test]
    fn a_definition_without_our_status_fields_gets_them() {
        let new = crate::crd::each().next().unwrap();
        let mut tree = serde_json::to_value(&new).unwrap();
        let status = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties";
        tree.pointer_mut(status).unwrap().as_object_mut().unwrap().shift_remove("intent");
        let served: CustomResourceDefinition = serde_json::from_value(tree).unwrap();
        assert_eq!(Change::between(&served, &new).added, ["v1beta1 status.intent"]);
        assert_eq!(Change::between(&new, &served).lost, ["v1beta1 status.intent"]);
    }
}
