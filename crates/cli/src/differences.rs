//! In which fields two versions of an object differ, as a person would name them. What the server keeps for itself does not
//! count, and secrets are not shown. Pure.

use std::fmt;

use drey_api::kinds::LAST_APPLIED;
use drey_api::secrets;
use serde_json::Value;

/// Fields of `metadata` that nobody writes in a file.
const OF_THE_SERVER: [&str; 6] =
    ["managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink"];

/// One field that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its path, such as `spec.job.parallelism`.
    pub path: String,
    /// What it was; `None` when it was not there.
    pub from: Option<String>,
    /// What it is; `None` when it is gone.
    pub to: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [from, to] = [&self.from, &self.to].map(|value| value.as_deref().unwrap_or("nothing"));
        write!(f, "{}: {from} -> {to}", self.path)
    }
}

/// The fields in which `after` differs from `before`, in their order.
#[must_use]
pub fn between(before: &Value, after: &Value) -> Vec<Difference> {
    let (before, after) = (shown(before), shown(after));
    let (masked_before, masked_after) = (secrets::blot(&before), secrets::blot(&after));
    let mut found = Vec::new();
    walk("", [Some(&before), Some(&after)], [Some(&masked_before), Some(&masked_after)], &mut found);
    found
}

fn shown(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        OF_THE_SERVER.iter().for_each(|field| drop(metadata.remove(*field)));
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove(LAST_APPLIED);
            if annotations.is_empty() {
                metadata.remove("annotations");
            }
        }
    }
    object
}

/// `masked` are the same two, as they may be shown.
fn walk(path: &str, pair: [Option<&Value>; 2], masked: [Option<&Value>; 2], found: &mut Vec<Difference>) {
    if pair[0] == pair[1] {
        return;
    }
    let objects = pair.map(|value| value.and_then(Value::as_object));
    // What is an object on one side only is told field by field too, but for an empty one.
    let as_fields = objects.iter().flatten().any(|fields| !fields.is_empty())
        && pair.iter().flatten().all(|value| value.is_object());
    if !as_fields {
        let text = |value: Option<&Value>| value.map(in_words);
        found.push(Difference { path: path.to_owned(), from: text(masked[0]), to: text(masked[1]) });
        return;
    }
    let mut keys: Vec<&String> = objects.iter().flatten().flat_map(|fields| fields.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    for key in keys {
        let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let field = |value: Option<&'_ Value>| value.and_then(|value| value.get(key)).cloned();
        let (values, shown) = (pair.map(field), masked.map(field));
        walk(&below, [values[0].as_ref(), values[1].as_ref()], [shown[0].as_ref(), shown[1].as_ref()], found);
    }
}

fn in_words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn differences(before: &Value, after: &Value) -> Vec<(String, Option<String>, Option<String>)> {
        between(before, after).into_iter().map(|it| (it.path, it.from, it.to)).collect()
    }

    #[test]
    fn fields_are_named_one_by_one_and_what_is_the_servers_is_left_out() {
        let before = json!({ "metadata": { "resourceVersion": "1", "annotations": { LAST_APPLIED: "{}" } },
            "spec": { "job": { "parallelism": 1, "args": ["a"] }, "gone": { "x": 1 } }, "status": { "a": 1 } });
        let after = json!({ "metadata": { "resourceVersion": "2", "labels": { "team": "a" } },
            "spec": { "job": { "parallelism": 2, "args": ["a", "b"] } } });
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            differences(&before, &after),
            [
                ("metadata.labels.team".to_owned(), None, text("a")),
                ("spec.gone.x".to_owned(), text("1"), None),
                ("spec.job.args".to_owned(), text(r#"["a"]"#), text(r#"["a","b"]"#)),
                ("spec.job.parallelism".to_owned(), text("1"), text("2")),
            ]
        );
        assert_eq!(between(&before, &before), []);
    }

    #[test]
    fn a_secret_that_changes_is_named_and_not_shown() {
        let spec = |secret: &str| json!({ "spec": { "flinkConfiguration": { "s3.secret-key": secret } } });
        let found = between(&spec("one"), &spec("two"));
        assert_eq!(found.len(), 1);
        assert!(!format!("{found:?}").contains("one") && !format!("{found:?}").contains("two"), "{found:?}");
    }
}
