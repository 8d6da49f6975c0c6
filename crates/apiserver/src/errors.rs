//! The one error of the request path, and its shape on the wire: a Kubernetes `Status` object.
//!
//! Clients match on `reason`, `code`, `details` and often on the message text itself, so each constructor
//! here gives the words of kube-apiserver. It refuses to know which handler failed.

use http::StatusCode;
use serde_json::{Map, Value, json};

/// Stands for the answer of a router that knows no such path; it never goes on the wire.
const PAGE_NOT_FOUND: &str = "PageNotFound";

/// A resource as messages name it: `flinkdeployments.flink.apache.org`, or `configmaps` for the core group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Qualified {
    /// API group; empty for core.
    pub(crate) group: String,
    /// The plural resource name.
    pub(crate) resource: String,
}

impl std::fmt::Display for Qualified {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.group.as_str() {
            "" => out.write_str(&self.resource),
            group => write!(out, "{}.{group}", self.resource),
        }
    }
}

/// One entry of `details.causes`: what is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FieldError {
    /// `FieldValueInvalid`, `FieldValueRequired`, `FieldValueNotSupported`, …
    pub(crate) reason: &'static str,
    /// Path such as `spec.job.parallelism` or `spec.args[0]`.
    pub(crate) field: String,
    /// Text after the field, such as `Required value`.
    pub(crate) message: String,
}

impl FieldError {
    pub(crate) fn required(field: impl Into<String>, detail: &str) -> FieldError {
        let message =
            if detail.is_empty() { "Required value".to_owned() } else { format!("Required value: {detail}") };
        FieldError { reason: "FieldValueRequired", field: field.into(), message }
    }

    pub(crate) fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> FieldError {
        let message = format!("Invalid value: {}: {detail}", shown(value));
        FieldError { reason: "FieldValueInvalid", field: field.into(), message }
    }

    /// The schema validator shows the *type name* of a value that has the wrong type, not the value.
    pub(crate) fn wrong_type(field: impl Into<String>, shown: &str, detail: &str) -> FieldError {
        let message = format!("Invalid value: {}: {detail}", json!(shown));
        FieldError { reason: "FieldValueTypeInvalid", field: field.into(), message }
    }

    pub(crate) fn unsupported(field: impl Into<String>, value: &Value, supported: &[String]) -> FieldError {
        let message =
            format!("Unsupported value: {}: supported values: {}", shown(value), supported.join(", "));
        FieldError { reason: "FieldValueNotSupported", field: field.into(), message }
    }

    pub(crate) fn forbidden(field: impl Into<String>, detail: &str) -> FieldError {
        FieldError {
            reason: "FieldValueForbidden",
            field: field.into(),
            message: format!("Forbidden: {detail}"),
        }
    }

    pub(crate) fn duplicate(field: impl Into<String>, value: &Value) -> FieldError {
        let message = format!("Duplicate value: {}", shown(value));
        FieldError { reason: "FieldValueDuplicate", field: field.into(), message }
    }

    pub(crate) fn too_many(field: impl Into<String>, actual: usize, most: usize) -> FieldError {
        let plural = if most == 1 { "item" } else { "items" };
        let message = format!("Too many: {actual}: must have at most {most} {plural}");
        FieldError { reason: "FieldValueTooMany", field: field.into(), message }
    }

    pub(crate) fn too_long(field: impl Into<String>, most: usize) -> FieldError {
        let message = format!("Too long: may not be more than {most} bytes");
        FieldError { reason: "FieldValueTooLong", field: field.into(), message }
    }

    fn text(&self) -> String {
        format!("{}: {}", self.field, self.message)
    }
}

/// A value as Go's `%v`/`%q` shows it in field errors: strings quoted, the rest as JSON.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        other => other.to_string(),
    }
}

/// Why a request was refused, ready to be written as a `Status`.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    pub(crate) code: StatusCode,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    /// Behind a pointer, so that results stay small.
    extras: Box<Extras>,
}

/// What few errors have.
#[derive(Clone, Debug, Default)]
struct Extras {
    details: Option<Value>,
    retry_after_seconds: Option<u32>,
    warnings: Vec<String>,
    continue_token: Option<String>,
}

impl ApiError {
    fn new(code: StatusCode, reason: &'static str, message: String) -> ApiError {
        ApiError { code, reason, message, extras: Box::default() }
    }

    /// Texts for `Warning` headers, which go out with refusals too.
    pub(crate) fn warnings(&self) -> &[String] {
        &self.extras.warnings
    }

    pub(crate) fn warn(&mut self, text: &str) {
        self.extras.warnings.push(text.to_owned());
    }

    /// Seconds for the `Retry-After` header.
    pub(crate) fn retry_after_seconds(&self) -> Option<u32> {
        self.extras.retry_after_seconds
    }

    fn with_details(mut self, details: Value) -> ApiError {
        self.extras.details = Some(details);
        self
    }

    pub(crate) fn not_found(resource: &Qualified, name: &str) -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, "NotFound", format!("{resource} \"{name}\" not found"))
            .with_details(named(name, &resource.group, &resource.resource))
    }

    /// The path itself is not served.
    pub(crate) fn no_such_resource() -> ApiError {
        let message = "the server could not find the requested resource".to_owned();
        ApiError::new(StatusCode::NOT_FOUND, "NotFound", message).with_details(json!({}))
    }

    /// The path belongs to no API group at all: answered as plain text, as the real server's router does.
    pub(crate) fn page_not_found() -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, PAGE_NOT_FOUND, "404 page not found\n".to_owned())
    }

    /// Whether the answer is text instead of a `Status`.
    pub(crate) fn is_plain_text(&self) -> bool {
        self.reason == PAGE_NOT_FOUND
    }

    pub(crate) fn already_exists(resource: &Qualified, name: &str) -> ApiError {
        ApiError::new(StatusCode::CONFLICT, "AlreadyExists", format!("{resource} \"{name}\" already exists"))
            .with_details(named(name, &resource.group, &resource.resource))
    }

    pub(crate) fn conflict(resource: &Qualified, name: &str, why: &str) -> ApiError {
        let message = format!("Operation cannot be fulfilled on {resource} \"{name}\": {why}");
        ApiError::new(StatusCode::CONFLICT, "Conflict", message).with_details(named(
            name,
            &resource.group,
            &resource.resource,
        ))
    }

    pub(crate) fn modified(resource: &Qualified, name: &str) -> ApiError {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        ApiError::conflict(resource, name, why)
    }

    pub(crate) fn forbidden(resource: &Qualified, name: &str, why: &str) -> ApiError {
        let message = match name {
            "" => format!("{resource} is forbidden: {why}"),
            name => format!("{resource} \"{name}\" is forbidden: {why}"),
        };
        ApiError::new(StatusCode::FORBIDDEN, "Forbidden", message).with_details(named(
            name,
            &resource.group,
            &resource.resource,
        ))
    }

    /// Creating something inside a namespace that is going away.
    pub(crate) fn namespace_terminating(resource: &Qualified, name: &str, namespace: &str) -> ApiError {
        let why =
            format!("unable to create new content in namespace {namespace} because it is being terminated");
        let mut details = named(name, &resource.group, &resource.resource);
        details["causes"] = json!([{
            "reason": "NamespaceTerminating",
            "message": format!("namespace {namespace} is being terminated"),
            "field": "metadata.namespace",
        }]);
        ApiError::forbidden(resource, name, &why).with_details(details)
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, "BadRequest", message.into())
    }

    pub(crate) fn unauthorized() -> ApiError {
        ApiError::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized".to_owned())
    }

    /// Validation failed: 422 with one cause per field.
    pub(crate) fn invalid(group: &str, kind: &str, name: &str, errors: &[FieldError]) -> ApiError {
        let mut texts: Vec<String> = Vec::new();
        for error in errors.iter().map(FieldError::text) {
            if !texts.contains(&error) {
                texts.push(error);
            }
        }
        let joined = match texts.as_slice() {
            [only] => only.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let qualified = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let causes: Vec<Value> = errors
            .iter()
            .map(|error| json!({"reason": error.reason, "message": error.message, "field": error.field}))
            .collect();
        let mut details = named(name, group, kind);
        details["causes"] = Value::Array(causes);
        ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Invalid",
            format!("{qualified} \"{name}\" is invalid: {joined}"),
        )
        .with_details(details)
    }

    /// A JSON patch that does not apply.
    pub(crate) fn patch_rejected(why: &str) -> ApiError {
        let message = "the server rejected our request due to an error in our request".to_owned();
        tracing::debug!(why, "JSON patch refused");
        ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message).with_details(json!({}))
    }

    pub(crate) fn method_not_allowed() -> ApiError {
        let message = "the server does not allow this method on the requested resource".to_owned();
        ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message).with_details(json!({}))
    }

    /// As [`ApiError::method_not_allowed`], in the words of custom resources.
    pub(crate) fn verb_not_supported(resource: &Qualified, verb: &str) -> ApiError {
        let message = format!("{verb} is not supported on resources of kind \"{resource}\"");
        ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message).with_details(named(
            "",
            &resource.group,
            &resource.resource,
        ))
    }

    /// An error that the real server does not classify: 500 without a reason.
    pub(crate) fn unclassified(message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "", message.into())
    }

    /// A patched document that cannot be read as its kind.
    pub(crate) fn patched_undecodable(document: &Value, problem: &str) -> ApiError {
        let error = FieldError::invalid("patch", &json!(document.to_string()), problem);
        ApiError::invalid("", "", "", &[error])
    }

    pub(crate) fn unsupported_media_type(message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message.into())
    }

    /// With `details` present and empty, as Go's router leaves them.
    pub(crate) fn without_details(self) -> ApiError {
        self.with_details(json!({}))
    }

    pub(crate) fn not_acceptable(message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", message.into())
    }

    pub(crate) fn body_too_large(limit_bytes: usize) -> ApiError {
        let message = format!("Request entity too large: limit is {limit_bytes}");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message)
    }

    /// As [`ApiError::body_too_large`], for a limit that is not about bytes.
    pub(crate) fn request_too_large(message: String) -> ApiError {
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message)
    }

    /// A part of the Kubernetes API that this server leaves out; the message names it.
    pub(crate) fn not_implemented(what: &str) -> ApiError {
        let message = format!("this embedded API server does not implement {what}");
        ApiError::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", message)
    }

    pub(crate) fn internal(why: impl std::fmt::Display) -> ApiError {
        let message = format!("Internal error occurred: {why}");
        let details = json!({"causes": [{"message": why.to_string()}]});
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message).with_details(details)
    }

    /// A list or watch asks for a revision that lies before what is still remembered.
    pub(crate) fn expired(message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::GONE, "Expired", message.into())
    }

    /// As [`ApiError::expired`], with a token from which an inconsistent list can go on.
    pub(crate) fn expired_with_continue(message: impl Into<String>, token: String) -> ApiError {
        // `metadata.continue` of an expired list lets it go on from the newest state.
        let mut error = ApiError::expired(message);
        error.extras.continue_token = Some(token);
        error
    }

    /// A read asks for a revision that has not happened yet.
    pub(crate) fn revision_from_the_future(asked: u64, current: u64) -> ApiError {
        let details = json!({
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        });
        let mut error = ApiError::new(
            StatusCode::GATEWAY_TIMEOUT,
            "Timeout",
            format!("Timeout: Too large resource version: {asked}, current: {current}"),
        )
        .with_details(details);
        error.extras.retry_after_seconds = Some(1);
        error
    }

    /// Asks the client to try again in a second.
    pub(crate) fn retry_later(mut self) -> ApiError {
        self.extras.retry_after_seconds = Some(1);
        if let Some(details) = &mut self.extras.details {
            details["retryAfterSeconds"] = json!(1);
        }
        self
    }

    /// The `Status` object that goes on the wire.
    pub(crate) fn to_status(&self) -> Value {
        let mut metadata = Map::new();
        if let Some(token) = &self.extras.continue_token {
            metadata.insert("continue".to_owned(), json!(token));
        }
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": metadata,
            "status": "Failure",
            "message": self.message,
        });
        if !self.reason.is_empty() {
            status["reason"] = json!(self.reason);
        }
        if let Some(details) = &self.extras.details {
            status["details"] = details.clone();
        }
        status["code"] = json!(self.code.as_u16());
        status
    }
}

/// `details` with only the members that are not empty, as Go's `omitempty` leaves them.
fn named(name: &str, group: &str, kind: &str) -> Value {
    let members = [("name", name), ("group", group), ("kind", kind)];
    let map: Map<String, Value> = members
        .into_iter()
        .filter(|(_, text)| !text.is_empty())
        .map(|(key, text)| (key.to_owned(), json!(text)))
        .collect();
    Value::Object(map)
}
