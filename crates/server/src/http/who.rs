//! Who sends a request, by what stands in it: the token of the one who started drey, a token of the cluster, or what a
//! trusted proxy says. Refuses to know what they may do.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request};
use axum::http::header::{self, HeaderMap};

use super::answer::{Kind, Refusal};
use crate::access::Access;
use crate::caller::Caller;
use crate::persons::{NotKnown, Persons, Proof};
use crate::server::Shared;

/// Where proxies write the name of who has signed in with them, and the groups: oauth2-proxy's names, as it passes them on
/// and as it answers nginx.
const PROXY_USER: [&str; 2] = ["x-forwarded-user", "x-auth-request-user"];
const PROXY_GROUPS: [&str; 2] = ["x-forwarded-groups", "x-auth-request-groups"];

/// Says who asks.
pub(super) async fn asks(
    shared: &Shared,
    headers: &HeaderMap,
    peer: Option<IpAddr>,
) -> Result<Caller, Refusal> {
    match &shared.access {
        Access::ReadOnly { reason } => Ok(Caller::Anybody(Arc::from(reason.as_str()))),
        Access::Token(_) => match token(shared, headers) {
            Some(token) if shared.access.is_token(token) => Ok(Caller::Owner),
            Some(_) | None => Err(unknown("this needs the token that drey printed").on(TOKEN).hint(
                "open the address that `drey up` or `drey dashboard` printed, or paste it or its token here",
            )),
        },
        Access::ClusterToken(persons) => match token(shared, headers) {
            Some(token) => person(persons, &Proof::Token(token.to_owned())).await,
            None => Err(no_cluster_token("sign in with a token of the cluster")),
        },
        Access::Proxy { persons, trusted } => {
            let trusted = peer.is_some_and(|peer| Access::trusts(trusted, peer));
            match named(headers).filter(|_| trusted) {
                Some(proof) => person(persons, &proof).await,
                None => Err(unknown("the proxy in front of this does not say who asks")
                    .hint("sign in there, and load this page again")),
            }
        }
    }
}

/// The person whom a token of the cluster belongs to, or whom a proxy names.
pub(super) async fn person(persons: &Persons, proof: &Proof) -> Result<Caller, Refusal> {
    persons.who(proof).await.map(Caller::Person).map_err(|error| match &error {
        NotKnown::Refused => no_cluster_token(&error.to_string()),
        NotKnown::Reserved(_) => Refusal::new(Kind::Forbidden, error.to_string()),
        NotKnown::Failed(_) => Refusal::new(Kind::Unreachable, error.to_string()),
    })
}

/// The address that a request comes from.
pub(super) fn peer(request: &Request) -> Option<IpAddr> {
    request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip())
}

/// The field that the page asks for when a token would help.
const TOKEN: &str = "token";

fn unknown(message: &str) -> Refusal {
    Refusal::new(Kind::Unauthorized, message)
}

fn no_cluster_token(message: &str) -> Refusal {
    unknown(message).on(TOKEN).hint("`kubectl create token <service account>` makes one")
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

fn named(headers: &HeaderMap) -> Option<Proof> {
    let first = |names: [&str; 2]| names.into_iter().find_map(|name| headers.get(name)?.to_str().ok());
    let user = first(PROXY_USER).map(str::trim).filter(|user| !user.is_empty())?;
    let groups = first(PROXY_GROUPS).unwrap_or_default();
    let groups = groups.split(',').map(str::trim).filter(|group| !group.is_empty());
    Some(Proof::Named { user: user.to_owned(), groups: groups.map(str::to_owned).collect() })
}
