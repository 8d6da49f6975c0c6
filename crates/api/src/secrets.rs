//! Which values are not for everyone's eyes. Events can be read by more people than Secrets can, and a
//! value that is blotted out in vain costs less than one that leaks.

use serde_json::Value;

/// What stands in place of a secret.
pub const BLOT: &str = "******";

/// Whether a key says that its value is a secret: a word of it is, or ends in, `password`, `secret`,
/// `token`, `credential` or `key`.
pub(crate) fn is_secret_key(key: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    let anywhere = ["password", "passwd", "secret", "token", "credential", "basic-auth", "auth-params"];
    anywhere.iter().any(|word| lower.contains(word))
        || lower.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word.ends_with("key"))
}

/// Whether the last name of a path says so. Names of Kubernetes fields which only refer to Secrets are
/// no secrets themselves.
pub(crate) fn is_secret_path(path: &str) -> bool {
    let last = path.rsplit('.').next().unwrap_or(path);
    let refers = ["secretName", "secretRef", "secretKeyRef", "topologyKey", "key", "imagePullSecrets"];
    let switches = ["automountServiceAccountToken"];
    !refers.contains(&last) && !switches.contains(&last) && is_secret_key(last)
}

/// Whether an object is an environment variable with a secret's name.
pub(crate) fn names_a_secret(object: &Value) -> bool {
    object.get("value").is_some() && object.get("name").and_then(Value::as_str).is_some_and(is_secret_key)
}

/// Whether the argument before this one is a flag such as `--password`.
pub(crate) fn follows_a_secret_flag(arguments: &[Value], index: usize) -> bool {
    index
        .checked_sub(1)
        .and_then(|before| arguments.get(before))
        .and_then(Value::as_str)
        .is_some_and(|flag| flag.starts_with('-') && !flag.contains('=') && is_secret_key(flag))
}

/// Blots out what follows `password=` and the like, anywhere in a text.
pub(crate) fn blot_assignment(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for (index, word) in text.split(' ').enumerate() {
        if index > 0 {
            shown.push(' ');
        }
        match word.split_once('=') {
            Some((name, _)) if is_secret_key(name) => {
                shown.push_str(name);
                shown.push('=');
                shown.push_str(BLOT);
            }
            Some(_) | None => shown.push_str(word),
        }
    }
    shown
}

/// A value with every secret in it blotted out.
#[must_use]
pub fn blot(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let named = names_a_secret(value);
            let blotted = map.iter().map(|(key, child)| {
                let secret = named && key == "value" || !child.is_object() && is_secret_path(key);
                (key.clone(), if secret { Value::from(BLOT) } else { blot(child) })
            });
            Value::Object(blotted.collect())
        }
        Value::Array(items) => {
            let blotted = items.iter().enumerate().map(|(index, item)| {
                if follows_a_secret_flag(items, index) { Value::from(BLOT) } else { blot(item) }
            });
            Value::Array(blotted.collect())
        }
        Value::String(text) => Value::from(blot_assignment(text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}
