//! Flink's own pages, in place and only to look at. What a JobManager serves is code of the job's: it runs in a sandbox of
//! the browser, where it has no cookies and reaches nothing of the dashboard's. Refuses to pass on what changes anything.

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use drey_flink::RestError;
use drey_flink::rest::only_read::is_only_read;
use serde_json::{Value, json};
use std::sync::Arc;

use super::answer::{Kind, Refusal};
use super::resource::{Address, fetch};
use super::visit::Visit;
use crate::cluster::ClusterName;
use crate::key::FleetKind;
use crate::server::Shared;

/// What the browser lets these pages do, wherever they are shown: they are of no origin.
const SANDBOX: &str = "sandbox allow-scripts allow-popups allow-downloads; frame-ancestors 'none'";

/// What is passed on of an answer.
const PASSED_ON: [HeaderName; 5] = [
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::ETAG,
    header::LAST_MODIFIED,
    header::CACHE_CONTROL,
];

/// An answer that brings what protects it.
#[derive(Clone, Copy)]
pub(super) struct Sandboxed;

/// Leads whoever may look at the resource to its pages.
pub(super) async fn open(visit: Visit, address: Address) -> Result<Response, Refusal> {
    let (key, object) = fetch(&visit, address).await?;
    if key.kind != FleetKind::Deployment {
        return Err(Refusal::new(Kind::Unreachable, "this kind has no JobManager of its own"));
    }
    let ticket = visit
        .tickets
        .issue(ClusterName::of(&object))
        .map_err(|error| Refusal::new(Kind::Internal, format!("no ticket could be made: {error}")))?;
    let place = format!("{}flink/{}/{}/{ticket}/", visit.base_path, key.namespace, key.name);
    let place = HeaderValue::from_str(&place)
        .map_err(|_| Refusal::new(Kind::NotFound, "no resource is called that"))?;
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response())
}

type PageAddress = Path<(String, String, String, String)>;

pub(super) async fn first(
    shared: State<Arc<Shared>>,
    method: Method,
    Path((namespace, name, ticket)): Path<(String, String, String)>,
    query: RawQuery,
    headers: HeaderMap,
) -> Response {
    page(shared, method, Path((namespace, name, ticket, String::new())), query, headers).await
}

pub(super) async fn page(
    State(shared): State<Arc<Shared>>,
    method: Method,
    Path((namespace, name, ticket, path)): PageAddress,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let answer = match shared.tickets.opens(&ticket, &namespace, &name) {
        Some(cluster) if method == Method::GET => {
            pass_on(&shared, &cluster, &path, query.as_deref(), &headers).await
        }
        Some(_) => Err(Refusal::new(Kind::ReadOnly, "Flink's own pages are only to look at here")
            .hint("the dashboard has what can be done with a job")),
        None => Err(Refusal::new(Kind::Unauthorized, "this address has run out")
            .hint("open Flink's pages from the dashboard again")),
    };
    let mut response = answer.unwrap_or_else(IntoResponse::into_response);
    response.extensions_mut().insert(Sandboxed);
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, SANDBOX),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // Pages of no origin ask from nowhere, and Flink's with credentials, though they have none; who has the ticket may
        // read.
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "null"),
        (header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn pass_on(
    shared: &Shared,
    cluster: &ClusterName,
    path: &str,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    if !is_plain(path) || !is_only_read(path) {
        return Err(Refusal::new(Kind::NotFound, "Flink has no page at this address that is only read"));
    }
    let flink = shared.clusters.job_manager(cluster).await;
    let flink = flink.ok_or_else(|| Refusal::new(Kind::Unreachable, "there is no cluster now"))?;
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let unreachable =
        |error: RestError| Refusal::new(Kind::Unreachable, format!("the JobManager says: {error}"));
    let answer = flink.page(path, query, accept).await.map_err(unreachable)?;
    if path == "config" {
        let config: Value = answer
            .json()
            .await
            .map_err(|_| Refusal::new(Kind::Unreachable, "the JobManager's answer cannot be read"))?;
        return Ok(axum::Json(without_deeds(config)).into_response());
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    for name in PASSED_ON {
        if let Some(value) = answer.headers().get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    *response.body_mut() = Body::from_stream(answer.bytes_stream());
    Ok(response)
}

/// Only what Flink's own addresses are made of: nothing that a server on the way could take for another address.
fn is_plain(path: &str) -> bool {
    let legal =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/' | b':' | b'~');
    path.bytes().all(legal)
        && !path.starts_with('/')
        && path.split('/').all(|part| part != "." && part != "..")
}

/// Flink's page hides the buttons that its configuration switches off.
fn without_deeds(mut config: Value) -> Value {
    for feature in ["web-submit", "web-cancel", "web-rescale"] {
        if let Some(known) = config.pointer_mut(&format!("/features/{feature}")) {
            *known = json!(false);
        }
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_paths_are_passed_on() {
        for path in ["", "index.html", "jobs/0123/vertices/ab:c", "taskmanagers/10.0.0.1:6122-ab12cd/logs"] {
            assert!(is_plain(path), "{path}");
        }
        for path in ["..", "a/../b", "/etc", "//evil.example", "a%2fb", "a\\b", "a b", "./x", "é"] {
            assert!(!is_plain(path), "{path}");
        }
    }

    #[test]
    fn the_pages_offer_no_deeds() {
        let config = json!({ "flink-version": "1.20", "features": { "web-submit": true, "web-cancel": true, "web-history": false } });
        let shown = without_deeds(config);
        assert_eq!(
            shown["features"],
            json!({ "web-submit": false, "web-cancel": false, "web-history": false })
        );
    }
}
