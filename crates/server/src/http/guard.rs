//! What every request passes: who may come in, which names the server answers to, and what browsers must not do with
//! its answers. Refuses to know what is asked for.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::answer::{Kind, Refusal};
use crate::server::Shared;

/// Which every request that changes something carries: no form and no foreign page can set it.
const SAME_ORIGIN: &str = "x-drey";

/// What browsers may load and where they may show it. Nothing comes from elsewhere.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'self'; \
                      form-action 'self'; frame-ancestors 'none'";

/// Refuses names that are not the server's own, and sets the headers of every answer.
pub(super) async fn protect(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let mut response = match host(&shared, request.headers()) {
        Ok(()) => match signed_in(&shared, request.uri()) {
            Some(response) => response,
            None => next.run(request).await,
        },
        Err(refusal) => refusal.into_response(),
    };
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

/// Refuses whoever shows no token where one is asked for, and requests that a foreign page may have sent.
pub(super) async fn let_in(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    if !shared.access.lets_in(token(&shared, headers)) {
        return Refusal::new(Kind::Unauthorized, "this needs the token that drey printed")
            .hint("open the address that `drey up` prints, or run `drey up` again to see it")
            .into_response();
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        if let Some(reason) = shared.access.read_only() {
            return Refusal::new(Kind::ReadOnly, reason).into_response();
        }
        if let Err(refusal) = own_page(headers) {
            return refusal.into_response();
        }
    }
    let mut response = next.run(request).await;
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
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

/// `?token=…` in the printed address becomes a cookie, so that it stands in no history and no link.
fn signed_in(shared: &Shared, uri: &Uri) -> Option<Response> {
    let query = uri.query()?;
    let shown = query.split('&').find_map(|pair| pair.strip_prefix("token="))?;
    let rest: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("token=")).collect();
    let rest = if rest.is_empty() { String::new() } else { format!("?{}", rest.join("&")) };
    let path = uri.path().trim_start_matches('/');
    let base = &shared.base_path;
    let place = format!("{base}{path}{rest}");
    let cookie = if shared.access.lets_in(Some(shown)) {
        format!("{}={shown}; Path={base}; HttpOnly; SameSite=Strict", shared.cookie)
    } else {
        format!("{}=; Path={base}; HttpOnly; SameSite=Strict; Max-Age=0", shared.cookie)
    };
    let headers = [
        (header::LOCATION, HeaderValue::from_str(&place).ok()?),
        (header::SET_COOKIE, HeaderValue::from_str(&cookie).ok()?),
    ];
    Some((StatusCode::SEE_OTHER, headers).into_response())
}

fn token<'a>(shared: &Shared, headers: &'a HeaderMap) -> Option<&'a str> {
    let bearer =
        headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    bearer.or_else(|| {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        cookies.flat_map(|cookies| cookies.split(';')).find_map(|cookie| {
            cookie.trim().split_once('=').filter(|(name, _)| *name == shared.cookie).map(|(_, value)| value)
        })
    })
}

fn own_page(headers: &HeaderMap) -> Result<(), Refusal> {
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
