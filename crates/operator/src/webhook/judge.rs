//! What is said to a review: the rules of `drey_api` for what is asked, and nothing of its own. No client, no clock.
//!
//! The engine applies the same rules to every spec before it acts, so nothing hangs on being asked.

use drey_api::defaults::Defaults;
use drey_api::desired::{self, Context, Problem};
use drey_api::kinds::{
    self, CANARY_LABEL, FlinkDeploymentSpec, FlinkSessionJobSpec, FlinkStateSnapshotSpec, GROUP, ReadError,
};
use drey_api::reconciled;
use serde_json::{Value, json};

use super::review::{BadReview, Operation, Request, Verdict};

const TARGET_SESSION_LABEL: &str = "target.session";

/// Whether the object may be as it is to be.
pub(super) fn validate(request: &Request, defaults: &Defaults) -> Result<Verdict, BadReview> {
    let Some(object) = subject(request)? else { return Ok(Verdict::Allowed) };
    if is_canary(object) || is_spec_unchanged(request, object) {
        return Ok(Verdict::Allowed);
    }
    let spec = object.get("spec").unwrap_or(&Value::Null);
    let judged = match request.kind.kind.as_str() {
        "FlinkDeployment" => deployment(request, object, spec, defaults),
        "FlinkSessionJob" => readable(kinds::read::<FlinkSessionJobSpec>(spec)),
        "FlinkStateSnapshot" => readable(kinds::read::<FlinkStateSnapshotSpec>(spec)),
        _ => Ok(()),
    };
    Ok(judged.map_or_else(refusal, |()| Verdict::Allowed))
}

/// What is added to the object.
pub(super) fn mutate(request: &Request) -> Result<Verdict, BadReview> {
    let Some(object) = subject(request)? else { return Ok(Verdict::Allowed) };
    if request.kind.kind != "FlinkSessionJob" {
        return Ok(Verdict::Allowed);
    }
    let Some(session) = object.pointer("/spec/deploymentName").and_then(Value::as_str) else {
        return Ok(Verdict::Allowed);
    };
    let labels = object.pointer("/metadata/labels").filter(|labels| labels.is_object());
    if labels.and_then(|labels| labels.get(TARGET_SESSION_LABEL)).and_then(Value::as_str) == Some(session) {
        return Ok(Verdict::Allowed);
    }
    let operation = match labels {
        Some(_) => json!({
            "op": "add",
            "path": format!("/metadata/labels/{TARGET_SESSION_LABEL}"),
            "value": session,
        }),
        None => {
            json!({ "op": "add", "path": "/metadata/labels", "value": { TARGET_SESSION_LABEL: session } })
        }
    };
    Ok(Verdict::Patched(json!([operation])))
}

/// The object that is judged: one of Flink's, that is made or changed as a whole.
fn subject(request: &Request) -> Result<Option<&Value>, BadReview> {
    let is_part = request.sub_resource.as_deref().is_some_and(|part| !part.is_empty());
    let is_written = matches!(request.operation, Operation::Create | Operation::Update);
    if request.kind.group != GROUP || is_part || !is_written {
        return Ok(None);
    }
    let object = request.object.as_ref().filter(|object| object.is_object());
    object.map(Some).ok_or_else(|| BadReview("request.object: expected the object, found none".to_owned()))
}

fn is_canary(object: &Value) -> bool {
    let labels = object.pointer("/metadata/labels");
    labels.and_then(|labels| labels.get(CANARY_LABEL)).and_then(Value::as_str) == Some("true")
}

/// Whoever changes labels or takes a finalizer away is not the one who broke a rule, and a resource that cannot be
/// deleted helps nobody.
fn is_spec_unchanged(request: &Request, object: &Value) -> bool {
    let old = request.old_object.as_ref().filter(|_| request.operation == Operation::Update);
    old.is_some_and(|old| old.get("spec") == object.get("spec"))
}

fn deployment(
    request: &Request,
    object: &Value,
    spec: &Value,
    defaults: &Defaults,
) -> Result<(), Vec<Problem>> {
    let spec = kinds::read::<FlinkDeploymentSpec>(spec).map_err(|error| unreadable(&error))?;
    // The status that counts is the stored one: a new object has none, and an edit does not change it.
    let last = request
        .old_object
        .as_ref()
        .and_then(|old| old.pointer("/status/reconciliationStatus/lastReconciledSpec"))
        .and_then(Value::as_str)
        .and_then(|text| reconciled::decode(text).ok());
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    let context = Context { namespace: &request.namespace, name, defaults, last: last.as_ref() };
    desired::parse(&spec, &context).map(drop).map_err(|invalid| invalid.errors)
}

fn readable<T>(read: Result<T, ReadError>) -> Result<(), Vec<Problem>> {
    read.map(drop).map_err(|error| unreadable(&error))
}

/// As the engine says it in `status.error`.
fn unreadable(error: &ReadError) -> Vec<Problem> {
    vec![Problem { field: format!("spec.{}", error.path), message: error.to_string(), hint: None }]
}

/// The first problem in the operator's words; its field and hint, and all others, are warnings.
fn refusal(problems: Vec<Problem>) -> Verdict {
    let mut warnings = Vec::new();
    for (index, problem) in problems.iter().enumerate() {
        let hint = problem.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        match (index, hint.as_str()) {
            (0, "") => {}
            (0, hint) => warnings.push(format!("{}:{hint}", problem.field)),
            (_, hint) => warnings.push(format!("{}: {}{hint}", problem.field, problem.message)),
        }
    }
    let message = problems.into_iter().next().map_or_else(String::new, |problem| problem.message);
    Verdict::Refused { message, warnings }
}
