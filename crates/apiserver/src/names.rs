//! What names, labels and annotations may look like, in the words of apimachinery's validation.

use serde_json::{Value, json};

use crate::errors::FieldError;
use crate::kinds::Family;
use crate::limits::ANNOTATIONS_BYTES_MAX;

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
    and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
    start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
    alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for \
    validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end \
    with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
    '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or \
    '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex \
    used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/// Checks `metadata`: name, labels, annotations, finalizers and owners.
pub(crate) fn check_metadata(metadata: &Value, family: Family) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let name = metadata["name"].as_str().unwrap_or("");
    if name.is_empty() {
        errors.push(FieldError::required("metadata.name", "name or generateName is required"));
    } else if let Some(problem) = name_problem(name, family) {
        errors.push(FieldError::invalid("metadata.name", &json!(name), &problem));
    }
    let entries = |member: &str| metadata[member].as_object().into_iter().flatten();
    for (key, value) in entries("labels") {
        let problems = qualified_problems(key);
        errors.extend(
            problems.iter().map(|problem| FieldError::invalid("metadata.labels", &json!(key), problem)),
        );
        if let Some(problem) = value.as_str().and_then(label_value_problem) {
            errors.push(FieldError::invalid("metadata.labels", value, &problem));
        }
    }
    let mut annotation_bytes = 0;
    for (key, value) in entries("annotations") {
        annotation_bytes += key.len() + value.as_str().map_or(0, str::len);
        let problems = qualified_problems(&key.to_lowercase());
        errors.extend(
            problems.iter().map(|problem| FieldError::invalid("metadata.annotations", &json!(key), problem)),
        );
    }
    if annotation_bytes > ANNOTATIONS_BYTES_MAX {
        errors.push(FieldError::too_long("metadata.annotations", ANNOTATIONS_BYTES_MAX));
    }
    errors.extend(check_finalizers(&metadata["finalizers"], family));
    errors.extend(check_owners(&metadata["ownerReferences"]));
    errors
}

fn check_finalizers(finalizers: &Value, family: Family) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (index, finalizer) in finalizers.as_array().into_iter().flatten().enumerate() {
        let text = finalizer.as_str().unwrap_or("");
        let problems = qualified_problems(text);
        errors.extend(
            problems.iter().map(|problem| FieldError::invalid("metadata.finalizers", finalizer, problem)),
        );
        let standard = matches!(text, "foregroundDeletion" | "orphan" | "kubernetes");
        if family != Family::Custom && !text.contains('/') && !standard {
            let detail = "name is neither a standard finalizer name nor is it fully qualified";
            errors.push(FieldError::invalid(format!("metadata.finalizers[{index}]"), finalizer, detail));
        }
    }
    errors
}

fn check_owners(owners: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut controllers = Vec::new();
    for owner in owners.as_array().into_iter().flatten() {
        let text = |member: &str| owner[member].as_str().unwrap_or("");
        for member in ["apiVersion", "kind", "name", "uid"] {
            if text(member).is_empty() {
                let path = format!("metadata.ownerReferences.{member}");
                let detail =
                    if member == "apiVersion" { "version must not be empty" } else { "must not be empty" };
                errors.push(FieldError::invalid(path, &json!(""), detail));
            }
        }
        if owner["controller"] == true {
            controllers.push(format!("{}/{}", text("kind"), text("name")));
        }
    }
    if let [first, second, ..] = controllers.as_slice() {
        let detail = format!(
            "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {second}"
        );
        errors.push(FieldError::invalid("metadata.ownerReferences", owners, &detail));
    }
    errors
}

/// Checks what the metadata schema of every kind demands, in the words of Go's decoder.
///
/// `custom` objects are decoded on their own in the real server, which shows in the paths.
pub(crate) fn metadata_type_problem(metadata: &Value, custom: bool) -> Option<String> {
    let map = match metadata {
        Value::Null => return None,
        Value::Object(map) => map,
        other if custom => {
            let found = json_type(other);
            return Some(format!("json: cannot unmarshal {found} into Go value of type v1.ObjectMeta"));
        }
        other => return Some(unmarshal(other, "metadata", "v1.ObjectMeta")),
    };
    for (field, value) in map {
        let path = if custom { field.clone() } else { format!("metadata.{field}") };
        let problem = match (field.as_str(), value) {
            (_, Value::Null) => None,
            (
                "name" | "generateName" | "namespace" | "uid" | "resourceVersion" | "selfLink",
                Value::String(_),
            ) => None,
            ("name" | "generateName" | "namespace" | "uid" | "resourceVersion" | "selfLink", other) => {
                Some(unmarshal(other, &path, "string"))
            }
            ("labels" | "annotations", Value::Object(entries)) => entries
                .values()
                .find(|entry| !entry.is_string() && !entry.is_null())
                .map(|entry| unmarshal(entry, &path, "string")),
            ("labels" | "annotations", other) => Some(unmarshal(other, &path, "map[string]string")),
            ("finalizers", Value::Array(entries)) => {
                entries.iter().find(|entry| !entry.is_string()).map(|entry| unmarshal(entry, &path, "string"))
            }
            ("finalizers", other) => Some(unmarshal(other, &path, "[]string")),
            ("ownerReferences", Value::Array(_)) => None,
            ("ownerReferences", other) => Some(unmarshal(other, &path, "[]v1.OwnerReference")),
            _ => None,
        };
        if problem.is_some() {
            return problem;
        }
    }
    None
}

fn unmarshal(value: &Value, path: &str, into: &str) -> String {
    let found = json_type(value);
    format!("json: cannot unmarshal {found} into Go struct field ObjectMeta.{path} of type {into}")
}

fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn name_problem(name: &str, family: Family) -> Option<String> {
    match family {
        Family::Namespace if name.contains('.') => Some("must not contain dots".to_owned()),
        Family::Namespace => too_long(name, 63).or_else(|| (!is_label(name)).then(|| LABEL.to_owned())),
        Family::Service => {
            let starts_well = name.starts_with(|first: char| first.is_ascii_lowercase());
            too_long(name, 63).or_else(|| (!is_label(name) || !starts_well).then(|| LABEL_1035.to_owned()))
        }
        // The real server validates no metadata of core events; controllers rely on it for names with capitals.
        Family::CoreEvent => path_segment_problem(name),
        Family::Custom
        | Family::ConfigMap
        | Family::Secret
        | Family::NewEvent
        | Family::Lease
        | Family::Deployment
        | Family::Pod
        | Family::ServiceAccount
        | Family::CustomResourceDefinition
        | Family::AccessReview
        | Family::RulesReview => {
            too_long(name, 253).or_else(|| (!is_subdomain(name)).then(|| SUBDOMAIN.to_owned()))
        }
    }
}

fn path_segment_problem(name: &str) -> Option<String> {
    match name {
        "." | ".." => Some(format!("may not be '{name}'")),
        _ => name.chars().find(|c| matches!(c, '/' | '%')).map(|c| format!("may not contain '{c}'")),
    }
}

fn too_long(text: &str, most: usize) -> Option<String> {
    (text.len() > most).then(|| format!("must be no more than {most} bytes"))
}

fn is_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    let edge =
        |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
}

pub(crate) fn is_subdomain(text: &str) -> bool {
    text.split('.').all(is_label)
}

fn is_name_part(text: &str) -> bool {
    let bytes = text.as_bytes();
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// What is wrong with the key of a label or annotation.
pub(crate) fn qualified_problems(key: &str) -> Vec<String> {
    let (prefix, name) = match key.split('/').collect::<Vec<_>>().as_slice() {
        [name] => (None, *name),
        [prefix, name] => (Some(*prefix), *name),
        _ => {
            let shape = QUALIFIED.replacen("name part", "a valid label key", 1);
            return vec![format!(
                "{shape} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    let mut problems = Vec::new();
    match prefix {
        Some("") => problems.push("prefix part must be non-empty".to_owned()),
        Some(prefix) if !is_subdomain(prefix) => problems.push(format!("prefix part {SUBDOMAIN}")),
        Some(_) | None => {}
    }
    if name.is_empty() {
        problems.push("name part must be non-empty".to_owned());
    }
    if name.len() > 63 {
        problems.push("name part must be no more than 63 bytes".to_owned());
    }
    if !is_name_part(name) {
        problems.push(QUALIFIED.to_owned());
    }
    problems
}

/// What is wrong with a label value.
pub(crate) fn label_value_problem(value: &str) -> Option<String> {
    too_long(value, 63)
        .or_else(|| (!value.is_empty() && !is_name_part(value)).then(|| LABEL_VALUE.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_by_family() {
        for (name, family, good) in [
            ("my-name", Family::ConfigMap, true),
            ("my.name", Family::ConfigMap, true),
            ("my.name", Family::Namespace, false),
            ("1abc", Family::Namespace, true),
            ("1abc", Family::Service, false),
            ("My", Family::Custom, false),
            ("-a", Family::Custom, false),
            ("a..b", Family::Custom, false),
        ] {
            assert_eq!(name_problem(name, family).is_none(), good, "{name} {family:?}");
        }
        let long = "a".repeat(254);
        assert!(name_problem(&long, Family::Custom).unwrap().contains("253"));
    }

    #[test]
    fn label_keys_and_values() {
        assert!(qualified_problems("app.kubernetes.io/name").is_empty());
        assert!(qualified_problems("/x")[0].contains("prefix"));
        assert_eq!(qualified_problems("a b").len(), 1);
        assert_eq!(label_value_problem(""), None);
        assert!(label_value_problem("-").is_some());
    }
}
