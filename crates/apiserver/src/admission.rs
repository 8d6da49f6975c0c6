//! From a client's document to an object that may be stored: shape, unknown fields, defaults, validation.
//!
//! Pure: it takes the old object and gives the new one or the reasons against it. It refuses to know about
//! storage, revisions and HTTP.

use base64::Engine as _;
use serde_json::{Value, json};

use crate::errors::{ApiError, FieldError};
use crate::event_forms::to_stored;
use crate::kinds::{Family, Kind, check_crd};
use crate::limits::DATA_BYTES_MAX;
use crate::names::{check_metadata, metadata_type_problem};
use crate::object::{drop_nulls, meta_text, order_root, tidy_metadata};
use crate::schema::{apply_defaults, prune, type_errors, validate, validate_member};
use crate::write::Part;

/// What to do with fields that the schema does not know: the `fieldValidation` parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    Ignore,
    /// What the real server does unless told otherwise.
    #[default]
    Warn,
    Strict,
}

/// Why a document cannot become an object.
#[derive(Clone, Debug)]
pub(crate) enum Refusal {
    /// It does not decode as its kind; the text is the decoder's.
    Undecodable(String),
    Other(ApiError),
}

impl Refusal {
    /// The answer to a document that a client sent whole.
    pub(crate) fn of_document(self, kind: &Kind) -> ApiError {
        match self {
            Refusal::Undecodable(problem) => cannot_handle(kind, &problem),
            Refusal::Other(error) => error,
        }
    }

    /// The answer to a document that a patch made.
    pub(crate) fn of_patched(self, document: &Value) -> ApiError {
        match self {
            Refusal::Undecodable(problem) => ApiError::patched_undecodable(document, &problem),
            Refusal::Other(error) => error,
        }
    }
}

/// Checks the shape of a document and brings it into the stored form, without unknown fields, with defaults.
/// `duplicates` are the fields that the document names twice. Returns warnings.
pub(crate) fn shape(
    value: &mut Value,
    kind: &Kind,
    unknown: FieldValidation,
    duplicates: &[String],
) -> Result<Vec<String>, Refusal> {
    check_type(value, kind).map_err(Refusal::Other)?;
    let custom = kind.family == Family::Custom;
    if let Some(problem) = metadata_type_problem(&value["metadata"], custom) {
        return Err(Refusal::Undecodable(problem));
    }
    let mut odd: Vec<String> = duplicates.iter().map(|path| format!("duplicate field \"{path}\"")).collect();
    let mut unknown_paths = tidy_metadata(value);
    if let Some(schema) = &kind.schema {
        if !custom {
            if let Some(problem) = type_errors(value, schema, &kind.kind) {
                return Err(Refusal::Undecodable(problem));
            }
            drop_nulls(value, schema);
        }
        unknown_paths.extend(prune(value, schema).unknown);
        apply_defaults(value, schema);
    }
    odd.extend(unknown_paths.iter().map(|path| format!("unknown field \"{path}\"")));
    let warnings = match unknown {
        FieldValidation::Ignore => Vec::new(),
        FieldValidation::Warn => odd,
        FieldValidation::Strict if odd.is_empty() => odd,
        FieldValidation::Strict => {
            return Err(Refusal::Undecodable(format!("strict decoding error: {}", odd.join(", "))));
        }
    };
    to_stored(value, kind);
    value["kind"] = json!(kind.kind);
    default_builtin(value, kind.family);
    order_root(value);
    Ok(warnings)
}

fn cannot_handle(kind: &Kind, problem: &str) -> ApiError {
    let Kind { kind: name, version, .. } = kind;
    ApiError::bad_request(format!("{name} in version \"{version}\" cannot be handled as a {name}: {problem}"))
}

fn check_type(value: &Value, kind: &Kind) -> Result<(), ApiError> {
    let Kind { kind: name, .. } = kind;
    if !value.is_object() {
        let message =
            format!("the object provided is unrecognized (must be of type {name}): it is not a JSON object");
        return Err(ApiError::bad_request(message));
    }
    let found_version = value["apiVersion"].as_str().unwrap_or("");
    let found_kind = value["kind"].as_str().unwrap_or("");
    match kind.family {
        Family::Custom => check_custom_type(value, kind, found_version, found_kind),
        _ => check_builtin_type(kind, found_version, found_kind),
    }
}

fn check_custom_type(value: &Value, kind: &Kind, version: &str, found: &str) -> Result<(), ApiError> {
    let expected = kind.api_version();
    if found.is_empty() {
        let text = value.to_string();
        let start: String = text.chars().take(30).collect();
        let message = format!(
            "the object provided is unrecognized (must be of type {}): Object 'Kind' is missing in '{text}' ({start} ...)",
            kind.kind
        );
        return Err(ApiError::bad_request(message));
    }
    if version != expected {
        let message = format!(
            "the API version in the data ({version}) does not match the expected API version ({expected})"
        );
        return Err(ApiError::bad_request(message));
    }
    if found != kind.kind {
        let error = FieldError::invalid("kind", &json!(found), &format!("must be {}", kind.kind));
        return Err(ApiError::invalid(&kind.group, found, meta_text(value, "name"), &[error]));
    }
    Ok(())
}

fn check_builtin_type(kind: &Kind, version: &str, found: &str) -> Result<(), ApiError> {
    let Kind { kind: name, .. } = kind;
    let expected = kind.api_version();
    let last = |version: &str| version.rsplit('/').next().unwrap_or(version).to_owned();
    let refuse = |problem: String| {
        let (found, version) = (if found.is_empty() { name } else { found }, last(version));
        let message = format!("{found} in version \"{version}\" cannot be handled as a {name}: {problem}");
        Err(ApiError::bad_request(message))
    };
    if !version.is_empty() && version != expected {
        let shown = if found.is_empty() { name } else { found };
        return refuse(format!(
            "no kind \"{shown}\" is registered for version \"{version}\" in scheme \"pkg/runtime/scheme.go:111\""
        ));
    }
    if !found.is_empty() && found != name {
        let internal =
            if kind.group.is_empty() { "core" } else { kind.group.split('.').next().unwrap_or("") };
        return refuse(format!(
            "converting ({}.{found}) to ({internal}.{name}): unknown conversion",
            kind.version
        ));
    }
    Ok(())
}

/// The few defaults of core kinds that clients rely on.
fn default_builtin(value: &mut Value, family: Family) {
    match family {
        Family::Secret => default_secret(value),
        Family::Namespace => {
            value["spec"]["finalizers"] = match value["spec"]["finalizers"].take() {
                Value::Array(list) => Value::Array(list),
                _ => json!(["kubernetes"]),
            };
            if value["status"]["phase"].is_null() {
                value["status"]["phase"] = json!("Active");
            }
        }
        Family::Service => {
            for (member, default) in [("type", json!("ClusterIP")), ("sessionAffinity", json!("None"))] {
                if value["spec"][member].is_null() {
                    value["spec"][member] = default;
                }
            }
            for port in value["spec"]["ports"].as_array_mut().into_iter().flatten() {
                if port["protocol"].is_null() {
                    port["protocol"] = json!("TCP");
                }
                if port["targetPort"].is_null() {
                    port["targetPort"] = port["port"].clone();
                }
            }
        }
        Family::Deployment => {
            if value["spec"]["replicas"].is_null() {
                value["spec"]["replicas"] = json!(1);
            }
        }
        Family::Pod => {
            if value["status"]["phase"].is_null() {
                value["status"]["phase"] = json!("Pending");
            }
        }
        Family::Custom
        | Family::ConfigMap
        | Family::CoreEvent
        | Family::NewEvent
        | Family::Lease
        | Family::ServiceAccount
        | Family::CustomResourceDefinition
        | Family::AccessReview
        | Family::RulesReview => {}
    }
}

/// `stringData` is write-only: it becomes `data`.
fn default_secret(value: &mut Value) {
    if value["type"].is_null() {
        value["type"] = json!("Opaque");
    }
    let Some(root) = value.as_object_mut() else { return };
    let Some(Value::Object(plain)) = root.shift_remove("stringData") else { return };
    for (key, text) in plain {
        let text = text.as_str().unwrap_or("");
        value["data"][key] = json!(base64::engine::general_purpose::STANDARD.encode(text));
    }
}

/// Validates a shaped object. `old` is what it replaces, `part` what the request may change. Returns warnings.
pub(crate) fn check(
    value: &Value,
    old: Option<&Value>,
    kind: &Kind,
    part: Part,
) -> Result<Vec<String>, ApiError> {
    let mut errors = Vec::new();
    let mut warnings = Vec::new();
    errors.extend(check_metadata(&value["metadata"], kind.family));
    if let Some(old) = old {
        errors.extend(check_update(value, old, kind));
    }
    match (kind.family, &kind.schema) {
        (Family::Custom, Some(schema)) if part == Part::Status => {
            errors.extend(validate_member(value, schema, "status"));
        }
        (Family::Custom, Some(schema)) => {
            errors.extend(validate(value, schema));
            errors.extend(crate::scale::check(value, kind));
        }
        (Family::CustomResourceDefinition, _) => {
            let outcome = check_crd(value, old);
            errors.extend(outcome.errors);
            warnings.extend(outcome.warnings);
        }
        _ => errors.extend(check_builtin(value, kind.family)),
    }
    if errors.is_empty() {
        return Ok(warnings);
    }
    Err(ApiError::invalid(&kind.group, &kind.kind, meta_text(value, "name"), &errors))
}

fn check_update(value: &Value, old: &Value, kind: &Kind) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if crate::object::is_deleting(old) {
        let before = crate::object::finalizers(old);
        let fresh: Vec<String> =
            crate::object::finalizers(value).into_iter().filter(|one| !before.contains(one)).collect();
        if !fresh.is_empty() {
            let shown: Vec<String> = fresh.iter().map(|one| format!("{one:?}")).collect();
            let detail = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                shown.join(", ")
            );
            let error = FieldError::forbidden("metadata.finalizers", &detail);
            // Metadata is validated twice on updates there, and both causes are listed.
            errors.extend([error.clone(), error]);
        }
    }
    if !meta_text(value, "uid").is_empty() && value["metadata"]["uid"] != old["metadata"]["uid"] {
        let error = FieldError::invalid("metadata.uid", &value["metadata"]["uid"], "field is immutable");
        errors.extend([error.clone(), error]);
    }
    let frozen = old["immutable"] == true;
    match kind.family {
        Family::ConfigMap | Family::Secret if frozen => {
            if value["immutable"] != true {
                errors.push(FieldError::forbidden("immutable", "field is immutable when `immutable` is set"));
            }
            for member in ["data", "binaryData"] {
                if value.get(member) != old.get(member) {
                    errors.push(FieldError::forbidden(member, "field is immutable when `immutable` is set"));
                }
            }
        }
        Family::Secret if value["type"] != old["type"] => {
            errors.push(FieldError::invalid("type", &value["type"], "field is immutable"));
        }
        Family::Deployment if value["spec"]["selector"] != old["spec"]["selector"] => {
            let selector = &value["spec"]["selector"];
            errors.push(FieldError::invalid("spec.selector", selector, "field is immutable"));
        }
        _ => {}
    }
    errors
}

fn check_builtin(value: &Value, family: Family) -> Vec<FieldError> {
    let mut errors = Vec::new();
    match family {
        Family::ConfigMap | Family::Secret => {
            for member in ["data", "binaryData"] {
                for key in value[member].as_object().into_iter().flatten().map(|(key, _)| key) {
                    if let Some(problem) = data_key_problem(key) {
                        errors.push(FieldError::invalid(format!("{member}[{key}]"), &json!(key), &problem));
                    }
                }
            }
            if data_bytes(value) > DATA_BYTES_MAX {
                let field = if family == Family::Secret { "data" } else { "[]" };
                errors.push(FieldError::too_long(field, DATA_BYTES_MAX));
            }
        }
        Family::Deployment => {
            if value["spec"]["selector"].is_null() {
                errors.push(FieldError::required("spec.selector", ""));
            }
        }
        Family::Service => {
            if value["spec"]["ports"].as_array().is_none_or(Vec::is_empty)
                && value["spec"]["clusterIP"] != "None"
                && value["spec"]["type"] != "ExternalName"
            {
                errors.push(FieldError::required("spec.ports", ""));
            }
        }
        Family::Pod => {
            if value["spec"]["containers"].as_array().is_none_or(Vec::is_empty) {
                errors.push(FieldError::required("spec.containers", ""));
            }
        }
        Family::CoreEvent | Family::NewEvent => {
            let (own, regarding) = (meta_text(value, "namespace"), &value["involvedObject"]["namespace"]);
            let regarding = regarding.as_str().unwrap_or("");
            let fits =
                if regarding.is_empty() { own == "default" || own.is_empty() } else { own == regarding };
            if !fits {
                let detail = "does not match event.namespace";
                errors.push(FieldError::invalid("involvedObject.namespace", &json!(regarding), detail));
            }
        }
        Family::Lease => {
            let seconds = &value["spec"]["leaseDurationSeconds"];
            if seconds.as_i64().is_some_and(|seconds| seconds <= 0) {
                errors.push(FieldError::invalid(
                    "spec.leaseDurationSeconds",
                    seconds,
                    "must be greater than 0",
                ));
            }
        }
        Family::Custom
        | Family::Namespace
        | Family::ServiceAccount
        | Family::CustomResourceDefinition
        | Family::AccessReview
        | Family::RulesReview => {}
    }
    errors
}

/// The size of all values of a ConfigMap or Secret, base64 undone.
fn data_bytes(value: &Value) -> usize {
    let sum = |member: &str| -> usize {
        let values = value[member].as_object().into_iter().flatten();
        values.filter_map(|(_, text)| text.as_str()).map(str::len).sum()
    };
    let (plain, encoded) = match value["kind"] == "Secret" {
        true => (0, sum("data")),
        false => (sum("data"), sum("binaryData")),
    };
    plain + encoded / 4 * 3
}

fn data_key_problem(key: &str) -> Option<String> {
    if key.is_empty() || key.len() > 253 {
        return Some("must be no more than 253 bytes and not empty".to_owned());
    }
    let fits = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    if !fits {
        return Some(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or \
             'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
                .to_owned(),
        );
    }
    matches!(key, "." | "..").then(|| format!("must not be '{key}'"))
}
