//! Delete and deletecollection: preconditions, what is answered, and handing over to `gc.rs`.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use crate::answer::{Answer, Content, List};
use crate::errors::{ApiError, FieldError, Qualified};
use crate::gc::{Propagation, Sweep};
use crate::kinds::{Family, Kind};
use crate::object::meta_text;
use crate::path::Query;
use crate::selector::Selector;
use crate::server::Server;
use crate::state::{ObjectKey, State, decode};
use crate::write::Scope;

/// `DeleteOptions`, from the body or the query.
#[derive(Clone, Debug)]
pub(crate) struct DeleteOptions {
    propagation: Propagation,
    uid: Option<String>,
    revision: Option<String>,
    dry_run: bool,
}

impl DeleteOptions {
    /// Reads the body when there is one, else the query parameters.
    pub(crate) fn parse(body: Option<&Value>, query: &Query) -> Result<DeleteOptions, ApiError> {
        let none = Value::Null;
        let body = body.unwrap_or(&none);
        let invalid = |error| Err(ApiError::invalid("meta.k8s.io", "DeleteOptions", "", &[error]));
        let policy = body["propagationPolicy"].as_str().or_else(|| query.get("propagationPolicy"));
        let orphan = body["orphanDependents"]
            .as_bool()
            .or_else(|| query.has("orphanDependents").then(|| query.flag("orphanDependents")));
        let propagation = match (policy, orphan) {
            (Some(_), Some(_)) => {
                let detail = "orphanDependents and deletionPropagation cannot be both set";
                return invalid(FieldError::invalid("propagationPolicy", &json!(policy), detail));
            }
            (Some("Background"), _) | (None, None | Some(false)) => Propagation::Background,
            (Some("Foreground"), _) => Propagation::Foreground,
            (Some("Orphan"), _) | (None, Some(true)) => Propagation::Orphan,
            (Some(other), None) => {
                let supported =
                    ["\"Foreground\"", "\"Background\"", "\"Orphan\"", "\"nil\""].map(str::to_owned);
                return invalid(FieldError::unsupported("propagationPolicy", &json!(other), &supported));
            }
        };
        let dry_run =
            parse_dry_run(body["dryRun"][0].as_str().or_else(|| query.get("dryRun")), "DeleteOptions")?;
        let text = |member: &str| body["preconditions"][member].as_str().map(str::to_owned);
        Ok(DeleteOptions { propagation, uid: text("uid"), revision: text("resourceVersion"), dry_run })
    }
}

/// The `dryRun` parameter: `All` or nothing.
pub(crate) fn parse_dry_run(value: Option<&str>, options: &str) -> Result<bool, ApiError> {
    match value {
        None => Ok(false),
        Some("All") => Ok(true),
        Some(other) => {
            let error = FieldError::unsupported("dryRun", &json!([other]), &["\"All\"".to_owned()]);
            Err(ApiError::invalid("meta.k8s.io", options, "", &[error]))
        }
    }
}

/// Deletes one object.
pub(crate) fn delete(
    server: &Server,
    scope: &Scope,
    name: &str,
    options: &DeleteOptions,
) -> Result<Answer, ApiError> {
    let kind = &scope.kind;
    let mut state = server.shared.lock();
    let key = scope.key(name);
    let old = state.decode(&key).ok_or_else(|| ApiError::not_found(&kind.qualified(), name))?;
    check_preconditions(&old, scope, name, options)?;
    if kind.family == Family::Namespace
        && matches!(name, "default" | "kube-system" | "kube-public" | "kube-node-lease")
    {
        let why = "this namespace may not be deleted";
        return Err(ApiError::forbidden(&kind.qualified(), name, why));
    }
    let (left, last) = perform(server, &mut state, &key, &old, options);
    let revision = server.shared.seal(&mut state);
    let content = match left {
        Some(body) => Content::Object { kind: Arc::clone(kind), body },
        // These kinds are answered with the object itself even when it is gone.
        None if returns_object(kind.family) => Content::Object { kind: Arc::clone(kind), body: last },
        None => Content::Json(success(&old, scope, name)),
    };
    Ok(Answer { code: StatusCode::OK, content, warnings: Vec::new(), revision })
}

fn returns_object(family: Family) -> bool {
    matches!(family, Family::Pod | Family::Service | Family::ServiceAccount | Family::Namespace)
}

fn success(old: &Value, scope: &Scope, name: &str) -> Value {
    let mut details = json!({"name": name});
    if !scope.kind.group.is_empty() {
        details["group"] = json!(scope.kind.group);
    }
    details["kind"] = json!(scope.kind.plural);
    details["uid"] = json!(meta_text(old, "uid"));
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}

/// Deletes; returns the object with its deletion mark, if it had to wait for anything, and its last state.
fn perform(
    server: &Server,
    state: &mut State,
    key: &ObjectKey,
    old: &Value,
    options: &DeleteOptions,
) -> (Option<Bytes>, Bytes) {
    let before = state.get(key).map(|entry| entry.body.clone()).unwrap_or_default();
    if options.dry_run {
        let held = old["metadata"]["finalizers"].is_array();
        return (held.then(|| before.clone()), before);
    }
    let marked = Sweep::new(state, server.clock.now_ms()).delete(key, options.propagation);
    let left = state.get(key).map(|entry| entry.body.clone());
    (left.or(marked), before)
}

fn check_preconditions(
    old: &Value,
    scope: &Scope,
    name: &str,
    options: &DeleteOptions,
) -> Result<(), ApiError> {
    let Kind { group, kind, .. } = &*scope.kind;
    // Here the real server names the kind where other conflicts name the resource.
    let qualified = Qualified { group: group.clone(), resource: kind.clone() };
    let checks = [
        (&options.uid, "uid", "UID", "deleted and then recreated"),
        (&options.revision, "resourceVersion", "ResourceVersion", "modified"),
    ];
    for (wanted, member, shown, why) in checks {
        let actual = meta_text(old, member);
        if let Some(wanted) = wanted.as_deref().filter(|wanted| *wanted != actual) {
            let why = format!(
                "the {shown} in the precondition ({wanted}) does not match the {shown} in record ({actual}). The \
                 object might have been {why}"
            );
            return Err(ApiError::conflict(&qualified, name, &why));
        }
    }
    Ok(())
}

/// Deletes every object that matches.
pub(crate) fn delete_collection(
    server: &Server,
    scope: &Scope,
    query: &Query,
    options: &DeleteOptions,
) -> Result<Answer, ApiError> {
    let selector = Selector::parse(
        query.get("labelSelector").unwrap_or(""),
        query.get("fieldSelector").unwrap_or(""),
        &scope.kind,
    )?;
    let mut state = server.shared.lock();
    let collection = state.collection(&scope.kind.collection);
    let inside = |namespace: &str| scope.namespace.is_empty() || namespace == scope.namespace;
    let matching: Vec<(ObjectKey, Value)> = collection
        .objects
        .iter()
        .filter(|(object, _)| inside(&object.namespace))
        .map(|(object, entry)| (object, decode(&entry.body)))
        .filter(|(_, value)| selector.matches(value, &scope.kind))
        .map(|(object, value)| (scope_key(scope, &object.namespace, &object.name), value))
        .collect();
    let mut bodies = Vec::with_capacity(matching.len());
    for (key, value) in &matching {
        let (left, before) = perform(server, &mut state, key, value, options);
        bodies.push(left.unwrap_or(before));
    }
    let revision = server.shared.seal(&mut state);
    let list =
        List { kind: Arc::clone(&scope.kind), bodies, revision, continue_token: None, remaining: None };
    Ok(Answer { code: StatusCode::OK, content: Content::List(list), warnings: Vec::new(), revision })
}

fn scope_key(scope: &Scope, namespace: &str, name: &str) -> ObjectKey {
    ObjectKey::new(&scope.kind.collection, namespace, name)
}
