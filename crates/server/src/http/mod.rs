//! The dashboard over HTTP: routes, and what they share. Refuses to decide who may do what and what is in an answer.

mod answer;
mod assets;
mod fleet;
mod flink;
mod flink_pages;
mod guard;
mod heimdall;
mod logs;
mod pace;
mod resource;
mod sign_in;
mod stream;
mod visit;
mod who;
mod writes;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{any, get, post};
use serde::Serialize;

use crate::server::Shared;
pub(crate) use pace::Pace;

/// Links to elsewhere, and the name that rows are shown by: patterns with `$jobName`, `$namespace` and
/// `$metadata.<label>`.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Links {
    /// How resources are called on the page.
    pub display_name: String,
    /// The links, as name and pattern.
    pub links: Vec<Link>,
}

/// One link.
#[derive(Clone, Debug, Serialize)]
pub struct Link {
    /// Its text.
    pub name: String,
    /// Its address, a pattern.
    pub pattern: String,
}

/// Everything that is served, below the base path.
pub(crate) fn router(shared: &Arc<Shared>) -> Router {
    let api = Router::new()
        .route("/session", get(fleet::session))
        .route("/fleet", get(fleet::fleet))
        .route("/fleet.csv", get(fleet::csv))
        .route("/stream", get(stream::stream))
        .route("/ns/{namespace}/{kind}/{name}", get(resource::detail))
        .route("/ns/{namespace}/{kind}/{name}/yaml", get(resource::yaml))
        .route("/ns/{namespace}/{kind}/{name}/actions/{action}", post(writes::act))
        .route("/ns/{namespace}/{kind}/{name}/edit", post(writes::edit))
        .route("/ns/{namespace}/{kind}/{name}/timeline", get(resource::timeline))
        .route("/ns/{namespace}/{kind}/{name}/snapshots", get(resource::snapshots))
        .route("/ns/{namespace}/{kind}/{name}/checkpoints", get(flink::checkpoints))
        .route("/ns/{namespace}/{kind}/{name}/exceptions", get(flink::exceptions))
        .route("/ns/{namespace}/{kind}/{name}/graph", get(flink::graph))
        .route("/ns/{namespace}/{kind}/{name}/metrics", get(flink::metrics))
        .route("/ns/{namespace}/{kind}/{name}/flink", get(flink_pages::open))
        .route("/ns/{namespace}/{kind}/{name}/processes", get(logs::processes))
        .route("/ns/{namespace}/{kind}/{name}/logs/{process}", get(logs::log))
        .route("/ns/{namespace}/{kind}/{name}/logs/{process}/stream", get(logs::stream))
        .fallback(answer::no_such_address)
        .method_not_allowed_fallback(answer::no_such_method)
        .layer(from_fn_with_state(shared.clone(), guard::let_in))
        .route("/sign-in", post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out));
    let of_heimdall = Router::new()
        .route("/jobs", get(heimdall::jobs))
        .route("/config", get(heimdall::config))
        .layer(from_fn_with_state(shared.clone(), guard::let_in))
        .route("/q/health", get(heimdall::live))
        .route("/q/health/live", get(heimdall::live))
        .route("/q/health/started", get(heimdall::live))
        .route("/q/health/ready", get(heimdall::ready));
    Router::new()
        .nest("/api/v1", api)
        .merge(of_heimdall)
        .route("/flink/{namespace}/{name}/{ticket}/", any(flink_pages::first))
        .route("/flink/{namespace}/{name}/{ticket}/{*path}", any(flink_pages::page))
        .fallback(assets::page)
        .layer(from_fn_with_state(shared.clone(), guard::protect))
        .with_state(shared.clone())
}
