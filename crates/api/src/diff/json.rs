//! Differences of two JSON values, down to the leaves, in the words of upstream's event.

use serde_json::Value;

use crate::number;
use crate::secrets;

/// One leaf that differs.
pub(super) struct Row {
    pub(super) path: String,
    pub(super) from: String,
    pub(super) to: String,
}

/// A spec part as JSON. Spec parts are plain data, so that this cannot fail; if it did, the whole part
/// would show as changed to nothing.
pub(super) fn value<T: serde::Serialize>(part: &T) -> Value {
    serde_json::to_value(part).unwrap_or(Value::Null)
}

/// A pod template without what is not part of one: `apiVersion` and `kind`, which people copy from pods.
pub(super) fn template(template: &Value) -> Value {
    let mut template = template.clone();
    if let Value::Object(map) = &mut template {
        map.retain(|key, _| key == "metadata" || key == "spec");
    }
    template
}

/// The rows in which two values differ.
pub(super) fn difference(path: &str, from: &Value, to: &Value) -> Vec<Row> {
    let mut rows = Vec::new();
    walk(path, from, to, &mut rows);
    rows
}

fn walk(path: &str, from: &Value, to: &Value, rows: &mut Vec<Row>) {
    match (from, to) {
        (Value::Object(old), Value::Object(new)) => {
            // The value of `{name: DB_PASSWORD, value: …}` is as secret as its name says.
            let secret = secrets::names_a_secret(from) || secrets::names_a_secret(to);
            let added = new.keys().filter(|key| !old.contains_key(*key));
            for key in old.keys().chain(added) {
                let child = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                let path = format!("{path}.{key}");
                if secret && key == "value" {
                    leaf(&path, &child(old), &child(new), true, rows);
                } else {
                    walk(&path, &child(old), &child(new), rows);
                }
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            for index in 0..old.len().max(new.len()) {
                let child = |items: &[Value]| items.get(index).cloned().unwrap_or_default();
                let path = format!("{path}.{index}");
                let secret =
                    secrets::follows_a_secret_flag(old, index) || secrets::follows_a_secret_flag(new, index);
                if secret {
                    leaf(&path, &child(old), &child(new), true, rows);
                } else {
                    walk(&path, &child(old), &child(new), rows);
                }
            }
        }
        (
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_),
            _,
        ) => leaf(path, from, to, secrets::is_secret_path(path), rows),
    }
}

fn leaf(path: &str, from: &Value, to: &Value, secret: bool, rows: &mut Vec<Row>) {
    if from == to {
        return;
    }
    let removed_part = to.is_null() && (from.is_object() || from.is_array());
    let shown = |value: &Value| match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_)
            if secret =>
        {
            secrets::BLOT.to_owned()
        }
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        Value::String(text) => secrets::blot_assignment(text),
        Value::Number(number) => number::text(number),
        Value::Bool(value) => value.to_string(),
        Value::Array(_) | Value::Object(_) => secrets::blot(value).to_string(),
    };
    let from = if removed_part { "{..}".to_owned() } else { shown(from) };
    rows.push(Row { path: path.to_owned(), from, to: shown(to) });
}
