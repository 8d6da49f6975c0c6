//! Get and list: which objects, as of which revision. How they are shown is `render.rs`'s matter.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use crate::answer::{Answer, Content, List};
use crate::errors::{ApiError, FieldError};
use crate::limits::FUTURE_REVISION_WAIT_MS;
use crate::path::Query;
use crate::selector::Selector;
use crate::server::Server;
use crate::state::{Collection, Entry, ObjectName, decode};
use crate::write::Scope;

/// How a read's `resourceVersion` binds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// No resourceVersion: the newest.
    Newest,
    /// `0`: whatever is there.
    Any,
    /// Not older than this.
    NotOlderThan(u64),
    /// Exactly this.
    Exactly(u64),
}

/// A resourceVersion that is no number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax")]
pub(crate) struct NoRevision {
    text: String,
}

/// Reads a resourceVersion parameter.
pub(crate) fn parse_revision(text: &str) -> Result<u64, NoRevision> {
    text.parse().map_err(|_| NoRevision { text: text.to_owned() })
}

fn list_revision(text: &str) -> Result<u64, ApiError> {
    parse_revision(text)
        .map_err(|problem| ApiError::bad_request(format!("invalid resource version: {problem}")))
}

impl Freshness {
    /// Of a get or list.
    pub(crate) fn of_query(query: &Query) -> Result<Freshness, ApiError> {
        let (revision, matching) = (query.get("resourceVersion"), query.get("resourceVersionMatch"));
        let initial = query.has("sendInitialEvents");
        let not_for_lists =
            || FieldError::forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list");
        let refuse = |detail: &str| {
            let mut errors = vec![FieldError::forbidden("resourceVersionMatch", detail)];
            errors.extend(initial.then(not_for_lists));
            Err(invalid_options(&errors))
        };
        if initial && (revision.is_some() || matching.is_none()) {
            return Err(invalid_options(&[not_for_lists()]));
        }
        match (revision, matching) {
            (None, None) => Ok(Freshness::Newest),
            (None, Some(_)) => refuse("resourceVersionMatch is forbidden unless resourceVersion is provided"),
            (Some("0"), Some("Exact")) => {
                refuse("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"")
            }
            (Some("0"), _) => Ok(Freshness::Any),
            (Some(text), Some("Exact")) => Ok(Freshness::Exactly(list_revision(text)?)),
            (Some(text), None) if query.get("limit").is_some() => {
                // Paging with a revision and no rule means exactly that revision.
                Ok(Freshness::Exactly(list_revision(text)?))
            }
            (Some(text), None | Some("NotOlderThan")) => Ok(Freshness::NotOlderThan(list_revision(text)?)),
            (Some(_), Some(other)) => {
                let supported = ["\"Exact\"".to_owned(), "\"NotOlderThan\"".to_owned(), "\"\"".to_owned()];
                let error = FieldError::unsupported("resourceVersionMatch", &json!(other), &supported);
                Err(invalid_options(&[error]))
            }
        }
    }
}

/// Options of lists and watches that do not go together.
pub(crate) fn invalid_options(errors: &[FieldError]) -> ApiError {
    ApiError::invalid("meta.k8s.io", "ListOptions", "", errors)
}

/// Waits until the server has reached a revision, at most three seconds.
pub(crate) async fn reach(server: &Server, revision: u64) -> Result<(), ApiError> {
    let mut progress = server.shared.subscribe();
    let reached = progress.wait_for(|progress| progress.committed >= revision);
    match tokio::time::timeout(Duration::from_millis(FUTURE_REVISION_WAIT_MS), reached).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(ApiError::revision_from_the_future(revision, server.shared.committed())),
    }
}

/// One object.
pub(crate) fn get(server: &Server, scope: &Scope, name: &str) -> Result<Answer, ApiError> {
    let state = server.shared.lock();
    let entry =
        state.get(&scope.key(name)).ok_or_else(|| ApiError::not_found(&scope.kind.qualified(), name))?;
    let content = Content::Object { kind: Arc::clone(&scope.kind), body: entry.body.clone() };
    Ok(Answer { code: StatusCode::OK, content, warnings: Vec::new(), revision: entry.revision })
}

/// What a list asks for.
pub(crate) struct ListRequest {
    selector: Selector,
    freshness: Freshness,
    limit: usize,
    from: Option<ContinueFrom>,
}

/// Where the next page starts.
#[derive(Clone, Debug)]
struct ContinueFrom {
    revision: u64,
    after: ObjectName,
}

impl ListRequest {
    pub(crate) fn parse(query: &Query, scope: &Scope) -> Result<ListRequest, ApiError> {
        let selector = Selector::parse(
            query.get("labelSelector").unwrap_or(""),
            query.get("fieldSelector").unwrap_or(""),
            &scope.kind,
        )?;
        let limit = match query.get("limit") {
            None => 0,
            Some(text) => text.parse::<i64>().map_err(|_| {
                ApiError::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))
            })?,
        };
        let from = match query.get("continue") {
            None => None,
            Some(_) if query.get("resourceVersion").is_some_and(|revision| revision != "0") => {
                return Err(ApiError::bad_request(
                    "specifying resource version is not allowed when using continue",
                ));
            }
            Some(token) => Some(read_token(token)?),
        };
        let freshness = if from.is_some() { Freshness::Newest } else { Freshness::of_query(query)? };
        // Whatever is there is the whole list: paging begins only where order is promised.
        let limit = if freshness == Freshness::Any { 0 } else { limit };
        Ok(ListRequest { selector, freshness, limit: usize::try_from(limit).unwrap_or(0), from })
    }
}

fn read_token(token: &str) -> Result<ContinueFrom, ApiError> {
    let broken =
        || ApiError::bad_request(format!("invalid continue token: continue key is not valid: {token:?}"));
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| broken())?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|_| broken())?;
    let revision = value["rv"].as_u64().ok_or_else(broken)?;
    let (namespace, name) =
        value["start"].as_str().and_then(|start| start.split_once('/')).ok_or_else(broken)?;
    Ok(ContinueFrom { revision, after: ObjectName::new(namespace, name) })
}

fn write_token(revision: u64, last: &ObjectName) -> String {
    let start = format!("{}/{}", last.namespace, last.name);
    URL_SAFE_NO_PAD.encode(json!({"v": "meta.k8s.io/v1", "rv": revision, "start": start}).to_string())
}

/// A page of objects.
pub(crate) async fn list(server: &Server, scope: &Scope, request: &ListRequest) -> Result<Answer, ApiError> {
    if let Freshness::NotOlderThan(revision) | Freshness::Exactly(revision) = request.freshness {
        reach(server, revision).await?;
    }
    let list = page(server, scope, request)?;
    let revision = list.revision;
    Ok(Answer { code: StatusCode::OK, content: Content::List(list), warnings: Vec::new(), revision })
}

fn page(server: &Server, scope: &Scope, request: &ListRequest) -> Result<List, ApiError> {
    let state = server.shared.lock();
    let collection = state.collection(&scope.kind.collection);
    let revision = match (&request.from, request.freshness) {
        (Some(from), _) if from.revision > 0 => from.revision,
        (_, Freshness::Exactly(revision)) => revision,
        _ => state.revision,
    };
    let after = request.from.as_ref().map(|from| &from.after);
    let Some(snapshot) = collection.at_revision(revision) else {
        return Err(too_old(request.from.as_ref()));
    };
    let all = match request.selector.only_name() {
        Some(name) if revision == state.revision && after.is_none() => by_name(collection, scope, name),
        _ => snapshot.range(&scope.namespace, after),
    };
    Ok(take_page(scope, request, &all, revision))
}

fn take_page(scope: &Scope, request: &ListRequest, all: &[(&ObjectName, &Entry)], revision: u64) -> List {
    let everything = request.selector.is_everything();
    let mut bodies: Vec<Bytes> = Vec::new();
    let mut last = None;
    let mut seen = 0;
    for (name, entry) in all {
        if request.limit > 0 && bodies.len() == request.limit {
            break;
        }
        seen += 1;
        if everything || request.selector.matches(&decode(&entry.body), &scope.kind) {
            bodies.push(entry.body.clone());
            last = Some(*name);
        }
    }
    let rest = &all[seen..];
    let more = match everything {
        true => !rest.is_empty(),
        false => rest.iter().any(|(_, entry)| request.selector.matches(&decode(&entry.body), &scope.kind)),
    };
    List {
        kind: Arc::clone(&scope.kind),
        bodies,
        revision,
        continue_token: last.filter(|_| more).map(|last| write_token(revision, last)),
        remaining: (more && everything).then_some(rest.len()),
    }
}

/// The objects with one name, without walking the others.
fn by_name<'a>(collection: &'a Collection, scope: &Scope, name: &str) -> Vec<(&'a ObjectName, &'a Entry)> {
    if scope.kind.namespaced && scope.namespace.is_empty() {
        return collection.objects.iter().filter(|(object, _)| &*object.name == name).collect();
    }
    let wanted = ObjectName::new(&scope.namespace, name);
    collection.objects.get_key_value(&wanted).into_iter().collect()
}

fn too_old(from: Option<&ContinueFrom>) -> ApiError {
    match from {
        None => ApiError::expired("The resourceVersion for the provided list is too old."),
        Some(from) => ApiError::expired_with_continue(
            "The provided continue parameter is too old to display a consistent list result. You can start a new \
             list without the continue parameter, or use the continue token in this response to retrieve the \
             remainder of the results. Continuing with the provided token results in an inconsistent list - \
             objects that were created, modified, or deleted between the time the first chunk was returned and \
             now may show up in the list.",
            write_token(0, &from.after),
        ),
    }
}
