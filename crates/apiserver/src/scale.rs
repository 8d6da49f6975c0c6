//! The scale subresource: a view of an object as `autoscaling/v1` `Scale`, and back.

use serde_json::{Value, json};

use crate::errors::{ApiError, FieldError};
use crate::jsonpath;
use crate::kinds::{Kind, ScalePaths};
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
    if count < 0 {
        let detail = "must be greater than or equal to 0";
        return refuse(FieldError::invalid("spec.replicas", replicas, detail));
    }
    if !jsonpath::set(value, &paths.spec_replicas, json!(count)) {
        return Err(ApiError::internal(format!("the scale path {} does not fit", paths.spec_replicas)));
    }
    Ok(())
}
