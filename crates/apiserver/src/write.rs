//! Create, update and patch, with their status and scale subresources.
//!
//! Each function runs under the lock from looking at the old object to writing the new one, so that
//! optimistic concurrency needs nothing but the comparison of revisions.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use crate::admission::{FieldValidation, check, shape};
use crate::answer::{Answer, Content};
use crate::document::Document;
use crate::errors::{ApiError, FieldError};
use crate::event_forms::{to_served, to_stored};
use crate::gc::Sweep;
use crate::kinds::{Family, Kind, settle_crd};
use crate::limits::{GENERATE_NAME_ATTEMPTS, OBJECT_BYTES_MAX};
use crate::object::{copy_member, copy_metadata, finalizers, is_deleting, meta_text};
use crate::patch::{PatchKind, apply};
use crate::server::Server;
use crate::state::{Entry, ObjectKey, State};

/// Where a request acts.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    pub(crate) kind: Arc<Kind>,
    /// Empty for cluster-scoped kinds and for all namespaces.
    pub(crate) namespace: String,
}

impl Scope {
    pub(crate) fn key(&self, name: &str) -> ObjectKey {
        ObjectKey::new(&self.kind.collection, &self.namespace, name)
    }
}

/// Parameters that every write takes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WriteOptions {
    pub(crate) dry_run: bool,
    pub(crate) unknown_fields: FieldValidation,
}

/// Which part of the object a write may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Main,
    Status,
}

/// Where the new object of an update comes from.
pub(crate) enum Change {
    /// The whole document of a PUT.
    Replace(Document),
    /// A patch of the current one.
    Patch(PatchKind, Value),
}

/// Creates an object.
pub(crate) fn create(
    server: &Server,
    scope: &Scope,
    document: Document,
    options: WriteOptions,
) -> Result<Answer, ApiError> {
    let kind = &scope.kind;
    let Document { mut value, duplicates } = document;
    let mut warnings = shape(&mut value, kind, options.unknown_fields, &duplicates)
        .map_err(|refusal| refusal.of_document(kind))?;
    settle_namespace(&mut value, scope)?;
    if !meta_text(&value, "resourceVersion").is_empty() {
        return Err(ApiError::unclassified("resourceVersion should not be set on objects to be created"));
    }
    let mut state = server.shared.lock();
    check_namespace(&state, scope, meta_text(&value, "name"))?;
    let generated = generate_name(&mut state, scope, &mut value);
    prepare_create(&mut state, kind, &mut value, &server.clock.now_text());
    warnings.extend(check(&value, None, kind, Part::Main)?);
    let name = meta_text(&value, "name").to_owned();
    let key = scope.key(&name);
    if state.get(&key).is_some() {
        return Err(match generated {
            true => ApiError::already_exists(&kind.qualified(), &name).retry_later(),
            false => ApiError::already_exists(&kind.qualified(), &name),
        });
    }
    if kind.family == Family::CustomResourceDefinition {
        settle_crd(&mut value, None, &server.clock.now_text());
    }
    check_size(&value)?;
    let body = if options.dry_run {
        encode(&value)
    } else {
        let now_ms = server.clock.now_ms();
        let body = state.write(&key, &mut value, now_ms);
        Sweep::new(&mut state, now_ms).after_write(&key, &value);
        crate::expiry::sweep_events(&mut state, kind.family, now_ms);
        body
    };
    let revision = server.shared.seal(&mut state);
    let content = Content::Object { kind: Arc::clone(kind), body };
    Ok(Answer { code: StatusCode::CREATED, content, warnings, revision })
}

fn settle_namespace(value: &mut Value, scope: &Scope) -> Result<(), ApiError> {
    if !scope.kind.namespaced {
        if let Some(metadata) = value["metadata"].as_object_mut() {
            metadata.shift_remove("namespace");
        }
        return Ok(());
    }
    match meta_text(value, "namespace") {
        "" => value["metadata"]["namespace"] = json!(scope.namespace),
        given if given == scope.namespace => {}
        _ => {
            let message =
                "the namespace of the provided object does not match the namespace sent on the request";
            return Err(ApiError::bad_request(message));
        }
    }
    Ok(())
}

fn check_namespace(state: &State, scope: &Scope, name: &str) -> Result<(), ApiError> {
    if !scope.kind.namespaced {
        return Ok(());
    }
    match state.get(&ObjectKey::namespace(&scope.namespace)) {
        None => {
            let namespaces =
                crate::errors::Qualified { group: String::new(), resource: "namespaces".to_owned() };
            Err(ApiError::not_found(&namespaces, &scope.namespace))
        }
        Some(Entry { deleting: true, .. }) => {
            Err(ApiError::namespace_terminating(&scope.kind.qualified(), name, &scope.namespace))
        }
        Some(_) => Ok(()),
    }
}

/// Gives a name from `generateName`. Returns whether it did.
fn generate_name(state: &mut State, scope: &Scope, value: &mut Value) -> bool {
    let base = meta_text(value, "generateName").to_owned();
    if !meta_text(value, "name").is_empty() || base.is_empty() {
        return false;
    }
    // Room for the suffix within the 63 letters of a label.
    let base: String = base.chars().take(63 - crate::ids::SUFFIX_LENGTH).collect();
    for _ in 0..GENERATE_NAME_ATTEMPTS {
        let name = format!("{base}{}", state.ids.suffix());
        let free = state.get(&scope.key(&name)).is_none();
        value["metadata"]["name"] = json!(name);
        if free {
            break;
        }
    }
    true
}

fn prepare_create(state: &mut State, kind: &Kind, value: &mut Value, now: &str) {
    if kind.status
        && let Some(root) = value.as_object_mut()
        && kind.family != Family::Namespace
        && kind.family != Family::Pod
    {
        root.shift_remove("status");
    }
    let uid = state.ids.uid().to_string();
    let metadata = &mut value["metadata"];
    if let Some(members) = metadata.as_object_mut() {
        for member in ["deletionTimestamp", "deletionGracePeriodSeconds", "generation"] {
            members.shift_remove(member);
        }
    }
    metadata["uid"] = json!(uid);
    metadata["creationTimestamp"] = json!(now);
    if kind.has_generation() {
        metadata["generation"] = json!(1);
    }
    match kind.family {
        Family::Namespace => {
            let name = metadata["name"].clone();
            metadata["labels"]["kubernetes.io/metadata.name"] = name;
            value["status"] = json!({"phase": "Active"});
        }
        Family::Pod => value["status"] = json!({"phase": "Pending"}),
        Family::Deployment => value["status"] = json!({}),
        Family::Service => value["status"] = json!({"loadBalancer": {}}),
        Family::Custom
        | Family::ConfigMap
        | Family::Secret
        | Family::CoreEvent
        | Family::NewEvent
        | Family::Lease
        | Family::ServiceAccount
        | Family::CustomResourceDefinition
        | Family::AccessReview
        | Family::RulesReview => {}
    }
}

/// Updates an object or its status by a PUT or a patch.
pub(crate) fn update(
    server: &Server,
    scope: &Scope,
    name: &str,
    part: Part,
    change: Change,
    options: WriteOptions,
) -> Result<Answer, ApiError> {
    let kind = &scope.kind;
    let mut state = server.shared.lock();
    let key = scope.key(name);
    let Some(old) = state.decode(&key) else {
        drop(state);
        return missing(server, scope, name, part, change, options);
    };
    let is_put = matches!(change, Change::Replace(_));
    let (mut value, mut warnings) = wanted(kind, &old, change, options)?;
    check_identity(&value, &old, scope, name, is_put)?;
    check_revision(&value, &old, kind, is_put)?;
    merge_parts(&mut value, &old, kind, part);
    warnings.extend(check(&value, Some(&old), kind, part)?);
    if kind.family == Family::CustomResourceDefinition && part == Part::Main {
        settle_crd(&mut value, Some(&old), &server.clock.now_text());
    }
    check_size(&value)?;
    let body = store_update(server, &mut state, &key, &old, value, options);
    let revision = server.shared.seal(&mut state);
    Ok(Answer {
        code: StatusCode::OK,
        content: Content::Object { kind: Arc::clone(kind), body },
        warnings,
        revision,
    })
}

/// A PUT to a name that does not exist.
fn missing(
    server: &Server,
    scope: &Scope,
    name: &str,
    part: Part,
    change: Change,
    options: WriteOptions,
) -> Result<Answer, ApiError> {
    match change {
        Change::Replace(document) if scope.kind.creates_on_update() && part == Part::Main => {
            create(server, scope, document, options)
        }
        Change::Replace(_) | Change::Patch(..) => Err(ApiError::not_found(&scope.kind.qualified(), name)),
    }
}

/// The object that the client wants, shaped, with warnings.
fn wanted(
    kind: &Kind,
    old: &Value,
    change: Change,
    options: WriteOptions,
) -> Result<(Value, Vec<String>), ApiError> {
    match change {
        Change::Replace(Document { mut value, duplicates }) => {
            let warnings = shape(&mut value, kind, options.unknown_fields, &duplicates)
                .map_err(|refusal| refusal.of_document(kind))?;
            Ok((value, warnings))
        }
        Change::Patch(patch_kind, patch) => {
            let mut value = old.clone();
            to_served(&mut value, kind);
            apply(patch_kind, &mut value, &patch)?;
            let patched = value.clone();
            let warnings = shape(&mut value, kind, options.unknown_fields, &[])
                .map_err(|refusal| refusal.of_patched(&patched))?;
            Ok((value, warnings))
        }
    }
}

fn check_identity(
    value: &Value,
    old: &Value,
    scope: &Scope,
    name: &str,
    is_put: bool,
) -> Result<(), ApiError> {
    let given = meta_text(value, "name");
    if given.is_empty() {
        let message =
            format!("the name of the object ({name} based on URL) was undeterminable: name must be provided");
        return Err(ApiError::bad_request(message));
    }
    if given != name {
        let message = format!("the name of the object ({given}) does not match the name on the URL ({name})");
        return Err(ApiError::bad_request(message));
    }
    let namespace = meta_text(value, "namespace");
    if scope.kind.namespaced && !namespace.is_empty() && namespace != scope.namespace {
        let message = "the namespace of the provided object does not match the namespace sent on the request";
        return Err(ApiError::bad_request(message));
    }
    let (uid, old_uid) = (meta_text(value, "uid"), meta_text(old, "uid"));
    // A patch that changes the uid fails validation instead.
    if is_put && !uid.is_empty() && uid != old_uid {
        let Scope { kind, namespace } = scope;
        let group = if kind.group.is_empty() { String::new() } else { format!("{}/", kind.group) };
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: /registry/{group}{}/{namespace}/{name}, ResourceVersion: 0, \
             AdditionalErrorMsg: Precondition failed: UID in precondition: {uid}, UID in object meta: {old_uid}",
            kind.plural
        );
        return Err(ApiError::conflict(&kind.qualified(), name, &why));
    }
    Ok(())
}

fn check_revision(value: &Value, old: &Value, kind: &Kind, is_put: bool) -> Result<(), ApiError> {
    let name = meta_text(old, "name");
    match meta_text(value, "resourceVersion") {
        "" | "0" if is_put && kind.needs_revision_on_update() => {
            let error = FieldError {
                reason: "FieldValueInvalid",
                field: "metadata.resourceVersion".to_owned(),
                message: "Invalid value: 0: must be specified for an update".to_owned(),
            };
            Err(ApiError::invalid(&kind.group, &kind.plural, name, &[error]))
        }
        "" | "0" => Ok(()),
        given if given.parse::<u64>().is_err() => {
            let message = format!("strconv.ParseUint: parsing {given:?}: invalid syntax");
            Err(ApiError::unclassified(message))
        }
        given if given == meta_text(old, "resourceVersion") => Ok(()),
        _ => Err(ApiError::modified(&kind.qualified(), name)),
    }
}

/// Keeps what this write may not change, and counts the generation.
fn merge_parts(value: &mut Value, old: &Value, kind: &Kind, part: Part) {
    const OWNED_BY_SERVER: [&str; 6] = [
        "name",
        "namespace",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
    ];
    match part {
        Part::Status => {
            let mut merged = old.clone();
            copy_member(value, &mut merged, "status");
            *value = merged;
            return;
        }
        Part::Main if kind.status => copy_member(old, value, "status"),
        Part::Main => {}
    }
    copy_metadata(old, value, &OWNED_BY_SERVER);
    if meta_text(value, "uid").is_empty() {
        copy_metadata(old, value, &["uid"]);
    }
    if kind.has_generation() && desired_state_differs(value, old, kind) {
        let generation = old["metadata"]["generation"].as_i64().unwrap_or(0);
        value["metadata"]["generation"] = json!(generation + 1);
    }
}

/// Whether the part that `generation` counts has changed: everything but metadata and status.
fn desired_state_differs(value: &Value, old: &Value, kind: &Kind) -> bool {
    let counted = |member: &str| !(member == "metadata" || member == "status" && kind.status);
    let members = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let (new, old) = (members(value), members(old));
    new.keys()
        .chain(old.keys())
        .filter(|member| counted(member))
        .any(|member| new.get(member) != old.get(member))
}

/// Writes unless nothing changed; an object that was being deleted and lost its last finalizer goes.
fn store_update(
    server: &Server,
    state: &mut State,
    key: &ObjectKey,
    old: &Value,
    mut value: Value,
    options: WriteOptions,
) -> Bytes {
    value["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"].clone();
    let released = is_deleting(&value) && finalizers(&value).is_empty() && !finalizers(old).is_empty();
    if options.dry_run || (value == *old && !released) {
        return encode(&value);
    }
    let now_ms = server.clock.now_ms();
    let body = state.write(key, &mut value, now_ms);
    let owners_changed = value["metadata"]["ownerReferences"] != old["metadata"]["ownerReferences"];
    if is_deleting(&value) || owners_changed {
        Sweep::new(state, now_ms).after_write(key, &value);
    }
    body
}

fn check_size(value: &Value) -> Result<(), ApiError> {
    // Encoding is the exact measure; for small objects, nearly all, the length of their texts is enough.
    if text_bytes(value) < OBJECT_BYTES_MAX / 4 {
        return Ok(());
    }
    let size = encode(value).len();
    if size > OBJECT_BYTES_MAX {
        return Err(ApiError::request_too_large(format!(
            "the object takes {size} bytes, but at most {OBJECT_BYTES_MAX} can be stored: keep large data outside"
        )));
    }
    Ok(())
}

/// The bytes of all keys and texts, with some for each scalar: less than four times this is what encoding takes,
/// unless most letters need escapes.
fn text_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(list) => list.iter().map(|item| text_bytes(item) + 1).sum(),
        Value::Object(map) => map.iter().map(|(key, inner)| key.len() + 4 + text_bytes(inner)).sum(),
    }
}

fn encode(value: &Value) -> Bytes {
    Bytes::from(serde_json::to_vec(value).expect("a JSON tree with string keys always encodes"))
}

/// `GET …/scale`.
pub(crate) fn read_scale(server: &Server, scope: &Scope, name: &str) -> Result<Answer, ApiError> {
    let state = server.shared.lock();
    let not_found = || ApiError::not_found(&scope.kind.qualified(), name);
    let old = state.decode(&scope.key(name)).ok_or_else(not_found)?;
    let scale = crate::scale::of(&old, &scope.kind)?;
    Ok(Answer { revision: state.revision, ..Answer::json(StatusCode::OK, scale) })
}

/// PUT or PATCH of `…/scale`.
pub(crate) fn update_scale(
    server: &Server,
    scope: &Scope,
    name: &str,
    change: Change,
    options: WriteOptions,
) -> Result<Answer, ApiError> {
    let kind = &scope.kind;
    let mut state = server.shared.lock();
    let key = scope.key(name);
    let old = state.decode(&key).ok_or_else(|| ApiError::not_found(&kind.qualified(), name))?;
    let mut wanted = crate::scale::of(&old, kind)?;
    match change {
        Change::Replace(document) => wanted = document.value,
        Change::Patch(patch_kind, patch) => apply(patch_kind, &mut wanted, &patch)?,
    }
    check_identity(&wanted, &old, scope, name, true)?;
    check_revision(&wanted, &old, kind, false)?;
    let mut value = old.clone();
    to_served(&mut value, kind);
    crate::scale::set(&mut value, kind, &wanted)?;
    to_stored(&mut value, kind);
    merge_parts(&mut value, &old, kind, Part::Main);
    let warnings = check(&value, Some(&old), kind, Part::Main)?;
    let body = store_update(server, &mut state, &key, &old, value, options);
    let revision = server.shared.seal(&mut state);
    let scale = crate::scale::of(&crate::state::decode(&body), kind)?;
    Ok(Answer { revision, warnings, ..Answer::json(StatusCode::OK, scale) })
}
