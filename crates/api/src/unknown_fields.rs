//! Fields of a manifest that its kind does not have, with the known name that was probably meant.
//!
//! The API server drops such fields without a word (or with a warning that scrolls by), and a mistyped
//! `upgradeMode` costs state. What is known comes from the schemas of [`crate::crd`].

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::Value;

use crate::crd;

/// How many letters may differ between a name and the one that was meant.
const DISTANCE_MAX: usize = 2;

/// Fields that the kind of this object does not have, each as a path, with the name that was probably
/// meant: ``spec.job.paralelism (did you mean `parallelism`?)``. In pod templates, which keep fields of
/// newer Kubernetes versions, only names that look mistyped are told. Empty for kinds that are not ours.
#[must_use]
pub fn unknown_fields(object: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let schema = object.get("kind").and_then(Value::as_str).and_then(schema);
    if let (Some(schema), Value::Object(fields)) = (&schema, object) {
        let known = ["apiVersion", "kind", "metadata", "spec", "status"];
        for (name, value) in fields {
            match schema.pointer(&format!("/properties/{name}")) {
                Some(schema) => walk(name, value, schema, &mut found),
                None if known.contains(&name.as_str()) => {}
                None => found.push(told(name, nearest(name, known.into_iter()))),
            }
        }
    }
    found
}

/// The schema of one of our kinds. Kept as text between calls, as the definitions of [`crd::each`] are.
fn schema(kind: &str) -> Option<Value> {
    static SCHEMAS: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    let schema_of = |definition: &_| {
        let value = serde_json::to_value(definition).ok()?;
        Some(value.pointer("/spec/versions/0/schema/openAPIV3Schema")?.to_string())
    };
    let schemas = SCHEMAS.get_or_init(|| {
        crd::each()
            .filter_map(|definition| Some((definition.spec.names.kind.clone(), schema_of(&definition)?)))
            .collect()
    });
    serde_json::from_str(schemas.get(kind)?).ok()
}

fn walk(path: &str, value: &Value, schema: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let properties = schema.get("properties").and_then(Value::as_object);
            for (name, value) in fields {
                let child = format!("{path}.{name}");
                match properties {
                    Some(properties) => match properties.get(name) {
                        Some(schema) => walk(&child, value, schema, found),
                        None => unknown(&child, name, schema, properties.keys().map(String::as_str), found),
                    },
                    None => {
                        if let Some(schema) = schema.get("additionalProperties") {
                            walk(&child, value, schema, found);
                        }
                    }
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                for (index, item) in items.iter().enumerate() {
                    walk(&format!("{path}[{index}]"), item, schema, found);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn unknown<'a>(
    path: &str,
    name: &str,
    schema: &Value,
    known: impl Iterator<Item = &'a str>,
    found: &mut Vec<String>,
) {
    let meant = nearest(name, known);
    let keeps_unknown = schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
    if meant.is_some() || !keeps_unknown {
        found.push(told(path, meant));
    }
}

fn told(path: &str, meant: Option<&str>) -> String {
    match meant {
        Some(meant) => format!("{path} (did you mean `{meant}`?)"),
        None => path.to_owned(),
    }
}

/// The known name that a name was probably meant to be; `None` when none is near.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    known
        .map(|candidate| (distance(&lower, &candidate.to_lowercase()), candidate))
        // Of short names nearly all are near to each other.
        .filter(|(distance, _)| *distance <= DISTANCE_MAX && *distance * 2 < name.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut older: Vec<usize> = Vec::new();
    let mut old: Vec<usize> = (0..=right.len()).collect();
    for i in 1..=left.len() {
        let mut new = vec![i];
        for j in 1..=right.len() {
            let replaced = old[j - 1] + usize::from(left[i - 1] != right[j - 1]);
            let mut best = replaced.min(old[j] + 1).min(new[j - 1] + 1);
            let swapped = i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1];
            if swapped {
                best = best.min(older[j - 2] + 1);
            }
            new.push(best);
        }
        older = std::mem::replace(&mut old, new);
    }
    old[right.len()]
}
