//! In and out: a token that lets in becomes a cookie that no script reads. Refuses to keep tokens.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::answer::{Kind, Refusal};
use super::{guard, who};
use crate::access::Access;
use crate::persons::Proof;
use crate::server::Shared;

/// What somebody shows.
#[derive(Deserialize)]
pub(super) struct Shown {
    token: String,
}

pub(super) async fn sign_in(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Json(shown): Json<Shown>,
) -> Result<Response, Refusal> {
    guard::own_page(&headers)?;
    let token = shown.token.trim();
    match &shared.access {
        Access::Token(_) if shared.access.is_token(token) => {}
        Access::Token(_) => {
            return Err(Refusal::new(Kind::Unauthorized, "this is not the token that drey printed"));
        }
        Access::ClusterToken(persons) => {
            who::person(persons, &Proof::Token(token.to_owned())).await?;
        }
        Access::ReadOnly { .. } | Access::Proxy { .. } => {
            return Err(Refusal::new(Kind::Invalid, "nobody signs in here with a token"));
        }
    }
    let cookie = cookie(&shared, &headers, Some(token))
        .ok_or_else(|| Refusal::new(Kind::Invalid, "a token has no such characters"))?;
    Ok(([(header::SET_COOKIE, cookie)], StatusCode::NO_CONTENT).into_response())
}

pub(super) async fn sign_out(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    guard::own_page(&headers)?;
    let cookie = cookie(&shared, &headers, None);
    Ok((cookie.map(|cookie| [(header::SET_COOKIE, cookie)]), StatusCode::NO_CONTENT).into_response())
}

/// `?token=…` in the printed address becomes the cookie too, so that it stands in no history and no link.
pub(super) fn by_address(shared: &Shared, headers: &HeaderMap, uri: &Uri) -> Option<Response> {
    if !matches!(shared.access, Access::Token(_)) {
        return None;
    }
    let query = uri.query()?;
    let shown = query.split('&').find_map(|pair| pair.strip_prefix("token="))?;
    let rest: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("token=")).collect();
    let rest = if rest.is_empty() { String::new() } else { format!("?{}", rest.join("&")) };
    let path = uri.path().trim_start_matches('/');
    let place = HeaderValue::from_str(&format!("{}{path}{rest}", shared.base_path)).ok()?;
    let cookie = cookie(shared, headers, shared.access.is_token(shown).then_some(shown))?;
    Some((StatusCode::SEE_OTHER, [(header::LOCATION, place), (header::SET_COOKIE, cookie)]).into_response())
}

/// The cookie that holds `token`, or ends the one that does.
fn cookie(shared: &Shared, headers: &HeaderMap, token: Option<&str>) -> Option<HeaderValue> {
    let legal = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b';' | b',' | b'"' | b'\\');
    let value = token.unwrap_or_default();
    if !value.bytes().all(legal) {
        return None;
    }
    let ends = if token.is_none() { "; Max-Age=0" } else { "" };
    let encrypted = headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https");
    let secure = if encrypted { "; Secure" } else { "" };
    let (name, base) = (&shared.cookie, &shared.base_path);
    HeaderValue::from_str(&format!("{name}={value}; Path={base}; HttpOnly; SameSite=Strict{secure}{ends}"))
        .ok()
}
