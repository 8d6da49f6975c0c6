//! The scale subresource: a view of an object as `autoscaling/v1` `Scale`, and back.

use serde_json::{Value, json};

use crate::errors::{ApiError, FieldError};
use crate::jsonpath;
use crate::kinds::{Family, Kind, ScalePaths};
use crate::object::meta_text;

fn paths(kind: &Kind) -> Result<&ScalePaths, ApiError> {
    kind.scale.as_ref().ok_or_else(ApiError::no_such_resource)
}

/// The `Scale` of an object.
pub(crate) fn of(value: &Value, kind: &Kind) -> Result<Value, ApiError> {
    let paths = paths(kind)?;
    let number = |path: &str| jsonpath::find(value, path).first().and_then(|found| found.as_i64());
    let mut metadata = json!({"name": meta_text(value, "name")});
    for member in ["namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(found) = value["metadata"].get(member) {
            metadata[member] = found.clone();
        }
    }
    let mut status = json!({"replicas": number(&paths.status_replicas).unwrap_or(0)});
    if let Some(selector) = selector(value, paths) {
        status["selector"] = json!(selector);
    }
    Ok(json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": {"replicas": number(&paths.spec_replicas).unwrap_or(0)},
        "status": status,
    }))
}

/// A text from the CRD's `labelSelectorPath`, or a Deployment's `matchLabels` as text.
fn selector(value: &Value, paths: &ScalePaths) -> Option<String> {
    if let Some(path) = &paths.label_selector {
        return jsonpath::find(value, path).first().and_then(|found| found.as_str()).map(str::to_owned);
    }
    let labels = value["spec"]["selector"]["matchLabels"].as_object()?;
    let mut parts: Vec<String> =
        labels.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or(""))).collect();
    parts.sort();
    Some(parts.join(","))
}

/// Checks the replicas of a custom object as its accessor does, which knows no whole fractions.
pub(crate) fn check(value: &Value, kind: &Kind) -> Vec<FieldError> {
    let Some(paths) = &kind.scale else { return Vec::new() };
    let path = &paths.spec_replicas;
    let refuse = |shown: &Value, detail: &str| vec![FieldError::invalid(path, shown, detail)];
    let mut node = value;
    for member in path.split('.').filter(|member| !member.is_empty()) {
        match node {
            Value::Object(map) => match map.get(member) {
                Some(inner) => node = inner,
                None => return Vec::new(),
            },
            other => {
                let found = go_type(other);
                let detail = format!(
                    "{path} accessor error: {} is of the type {found}, expected map[string]interface{{}}",
                    go_text(other)
                );
                return refuse(&json!(0), &detail);
            }
        }
    }
    match node.as_i64() {
        Some(count) if count < 0 => refuse(node, "should be a non-negative integer"),
        Some(count) if count > i64::from(i32::MAX) => {
            refuse(node, &format!("should be less than or equal to {}", i32::MAX))
        }
        Some(_) => Vec::new(),
        None => {
            let detail = format!(
                "{path} accessor error: {} is of the type {}, expected int64",
                go_text(node),
                go_type(node)
            );
            refuse(&json!(0), &detail)
        }
    }
}

/// A value as Go's `%v` writes it.
fn go_text(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) => {
            number.as_f64().map_or_else(|| number.to_string(), |float| float.to_string())
        }
        Value::Array(list) => format!("[{}]", list.iter().map(go_text).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => {
            let entries: Vec<String> =
                map.iter().map(|(key, inner)| format!("{key}:{}", go_text(inner))).collect();
            format!("map[{}]", entries.join(" "))
        }
        Value::Bool(flag) => flag.to_string(),
    }
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// Sets the replicas of an object from a `Scale`.
pub(crate) fn set(value: &mut Value, kind: &Kind, scale: &Value) -> Result<(), ApiError> {
    let paths = paths(kind)?;
    let name = meta_text(value, "name").to_owned();
    let refuse = |error| Err(ApiError::invalid("autoscaling", "Scale", &name, &[error]));
    let replicas = &scale["spec"]["replicas"];
    let count = match replicas {
        Value::Null => 0,
        other => match other.as_i64() {
            Some(count) => count,
            None => return refuse(FieldError::invalid("spec.replicas", replicas, "must be an integer")),
        },
    };
    // Custom objects are checked as a whole afterwards.
    if count < 0 && kind.family != Family::Custom {
        let detail = "must be greater than or equal to 0";
        return refuse(FieldError::invalid("spec.replicas", replicas, detail));
    }
    if !jsonpath::set(value, &paths.spec_replicas, json!(count)) {
        return Err(ApiError::internal(format!("the scale path {} does not fit", paths.spec_replicas)));
    }
    Ok(())
}
