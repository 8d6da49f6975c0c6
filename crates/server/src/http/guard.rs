//! What every request passes: who may come in, which names the server answers to, and what browsers must not do with
//! its answers. Refuses to know what is asked for.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::Method;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::answer::{Kind, Refusal};
use super::flink_pages::Sandboxed;
use super::{sign_in, who};
use crate::caller::Caller;
use crate::server::Shared;

/// Which every request that changes something carries: no form and no foreign page can set it.
const SAME_ORIGIN: &str = "x-drey";

/// What browsers may load and where they may show it. Nothing comes from elsewhere.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'self'; \
                      form-action 'self'; frame-ancestors 'none'";

/// Refuses names that are not the server's own, and sets the headers of every answer.
pub(super) async fn protect(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let mut response = match host(&shared, request.headers()) {
        Ok(()) => match sign_in::by_address(&shared, request.headers(), request.uri()) {
            Some(response) => response,
            None => next.run(request).await,
        },
        Err(refusal) => refusal.into_response(),
    };
    if response.extensions().get::<Sandboxed>().is_some() {
        return response;
    }
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Refuses whoever nobody knows, and requests that a foreign page may have sent.
pub(super) async fn let_in(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    let peer = who::peer(&request);
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    let caller = match asker(&shared, request.headers(), peer, changes).await {
        Ok(caller) => caller,
        Err(refusal) => return refusal.into_response(),
    };
    request.extensions_mut().insert(caller);
    let mut response = next.run(request).await;
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn asker(
    shared: &Shared,
    headers: &HeaderMap,
    peer: Option<IpAddr>,
    changes: bool,
) -> Result<Caller, Refusal> {
    shared.pace.check(peer)?;
    let caller = who::asks(shared, headers, peer).await?;
    if changes {
        if let Some(reason) = caller.read_only() {
            return Err(Refusal::new(Kind::ReadOnly, reason));
        }
        own_page(headers)?;
    }
    Ok(caller)
}

/// A name that leads to this server and is not its own is somebody's trick: a page of theirs would count as of the same
/// origin.
fn host(shared: &Shared, headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(names) = &shared.hosts else { return Ok(()) };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = without_port(host);
    let is_loopback =
        name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    if is_loopback || names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    Err(Refusal::new(Kind::Forbidden, "the server is not called that")
        .hint("use the address that drey printed"))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty() => name,
        Some(_) | None => host,
    }
}

/// Refuses what no page of the dashboard has sent.
pub(super) fn own_page(headers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let foreign = text(header::ORIGIN)
        .is_some_and(|origin| origin.split_once("://").map(|(_, host)| host) != text(header::HOST));
    if foreign || !headers.contains_key(SAME_ORIGIN) {
        return Err(Refusal::new(Kind::Forbidden, "only the dashboard's own pages may change anything")
            .hint("send the header `X-Drey: 1`"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::without_port;

    #[test]
    fn ports_are_taken_off_names() {
        for (host, name) in
            [("a:80", "a"), ("a", "a"), ("[::1]:80", "[::1]"), ("127.0.0.1:1", "127.0.0.1"), (":80", ":80")]
        {
            assert_eq!(without_port(host), name);
        }
    }
}
