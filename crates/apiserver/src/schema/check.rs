//! Whether a CRD's schema is structural, in the words of apiextensions.

use serde_json::Value;

use crate::errors::FieldError;

/// What is wrong with an `openAPIV3Schema`, and the paths of CEL rules in it (which are not evaluated).
pub(crate) struct SchemaReport {
    pub(crate) errors: Vec<FieldError>,
    pub(crate) rules: Vec<String>,
}

/// Checks the parts of the structural rules that authors meet: every node has a type, no references,
/// no `additionalProperties` beside `properties`, arrays have items.
pub(crate) fn check_structural(schema: &Value, path: &str) -> SchemaReport {
    let mut report = SchemaReport { errors: Vec::new(), rules: Vec::new() };
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        let at = format!("{path}.type");
        match schema.get("type") {
            None => report.errors.push(FieldError::required(at, "must not be empty at the root")),
            Some(other) => report.errors.push(FieldError::invalid(at, other, "must be object at the root")),
        }
    }
    walk(schema, path, true, &mut report);
    report
}

fn walk(schema: &Value, path: &str, root: bool, report: &mut SchemaReport) {
    let Some(object) = schema.as_object() else { return };
    if object.contains_key("$ref") {
        report.errors.push(FieldError::forbidden(format!("{path}.$ref"), "$ref is not supported"));
    }
    if object.get("x-kubernetes-validations").and_then(Value::as_array).is_some_and(|rules| !rules.is_empty())
    {
        report.rules.push(path.to_owned());
    }
    let flag = |key: &str| object.get(key).and_then(Value::as_bool).unwrap_or(false);
    let typed = object.contains_key("type")
        || flag("x-kubernetes-int-or-string")
        || flag("x-kubernetes-preserve-unknown-fields");
    if !root && !typed {
        let detail = "must not be empty for specified object fields";
        report.errors.push(FieldError::required(format!("{path}.type"), detail));
    }
    let both = object.get("properties").is_some_and(|value| !value.is_null())
        && object.get("additionalProperties").is_some_and(|value| value.as_bool() != Some(false));
    if both {
        let detail = "additionalProperties and properties are mutual exclusive";
        report.errors.push(FieldError::forbidden(format!("{path}.additionalProperties"), detail));
    }
    if object.get("type").and_then(Value::as_str) == Some("array") && !object.contains_key("items") {
        report.errors.push(FieldError::required(format!("{path}.items"), "must be specified"));
    }
    children(schema, path, report);
}

fn children(schema: &Value, path: &str, report: &mut SchemaReport) {
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        for (name, inner) in properties {
            walk(inner, &format!("{path}.properties[{name}]"), false, report);
        }
    }
    if let Some(items) = schema.get("items") {
        walk(items, &format!("{path}.items"), false, report);
    }
    if let Some(each) = schema.get("additionalProperties").filter(|each| each.is_object()) {
        walk(each, &format!("{path}.additionalProperties"), false, report);
    }
}
