//! What a browser may see of an object: without secrets and without bookkeeping. Refuses to know who looks.

use drey_api::kinds::LAST_APPLIED;
use drey_api::secrets;
use serde_json::Value;

/// Takes out of `object` what nobody should see; returns the paths of what was masked.
pub(crate) fn mask(object: &mut Value) -> Vec<String> {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove(LAST_APPLIED);
        }
    }
    mask_texts(object);
    let before = std::mem::take(object);
    *object = secrets::blot(&before);
    let mut masked = Vec::new();
    differences(&before, object, "", &mut masked);
    masked
}

/// The status holds whole specs in texts.
fn mask_texts(value: &mut Value) {
    match value {
        Value::String(text) if text.starts_with('{') => {
            if let Ok(inside) = serde_json::from_str::<Value>(text) {
                *text = secrets::blot(&inside).to_string();
            }
        }
        Value::Object(fields) => fields.values_mut().for_each(mask_texts),
        Value::Array(items) => items.iter_mut().for_each(mask_texts),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn differences(before: &Value, after: &Value, path: &str, found: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            for (key, inner) in old {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                differences(inner, new.get(key).unwrap_or(&Value::Null), &path, found);
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                differences(old, new, &format!("{path}[{index}]"), found);
            }
        }
        (before, after) if before != after => found.push(path.to_owned()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_masked_wherever_they_stand() {
        let inner = json!({ "spec": { "flinkConfiguration": { "s3.secret-key": "hidden-1" } } }).to_string();
        let mut object = json!({
            "metadata": { "name": "a", "managedFields": [1],
                "annotations": { "kubectl.kubernetes.io/last-applied-configuration": "{\"hidden-2\":1}" } },
            "spec": {
                "flinkConfiguration": { "s3.secret-key": "hidden-3", "security": { "ssl": { "internal": { "keystore-password": "hidden-4" } } }, "parallelism.default": "2" },
                "job": { "args": ["--password", "hidden-6", "--token=hidden-7", "plain"] },
                "podTemplate": { "spec": {
                    "volumes": [{ "name": "v", "secret": { "secretName": "shown" } }],
                    "containers": [{ "env": [{ "name": "DB_PASSWORD", "value": "hidden-5" }] }] } },
            },
            "status": { "reconciliationStatus": { "lastReconciledSpec": inner } },
        });
        let masked = mask(&mut object);
        let text = object.to_string();
        assert!(!text.contains("hidden"), "{text}");
        assert!(
            text.contains("shown")
                && text.contains("\"parallelism.default\":\"2\"")
                && text.contains("plain"),
            "{text}"
        );
        assert!(masked.contains(&"spec.flinkConfiguration.s3.secret-key".to_owned()), "{masked:?}");
        assert!(!masked.iter().any(|path| path.contains("volumes")), "{masked:?}");
    }
}
