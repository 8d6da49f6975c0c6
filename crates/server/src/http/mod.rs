//! The dashboard over HTTP: routes, and what they share. Refuses to decide who may do what and what is in an answer.

mod answer;
mod assets;
mod described;
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

use axum::middleware::from_fn_with_state;
use axum::routing::{any, get, post};
use axum::{Json, Router};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::detail::Detail;
use crate::fleet::Fleet;
use crate::job_manager::{CheckpointInDepth, Checkpoints, Exceptions, Graph, Metrics};
use crate::server::Shared;
use described::{Described, Operation};
pub(crate) use pace::Pace;

/// Links to elsewhere, and the name that rows are shown by: patterns with `$jobName`, `$namespace` and
/// `$metadata.<label>`.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Links {
    /// How resources are called on the page.
    pub display_name: String,
    /// The links, as name and pattern.
    pub links: Vec<Link>,
}

/// One link.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Link {
    /// Its text.
    pub name: String,
    /// Its address, a pattern.
    pub pattern: String,
}

/// What the pages ask.
fn api() -> Described {
    const OF: &str = "/ns/{namespace}/{kind}/{name}";
    let of = |part: &str| format!("{OF}{part}");
    Described::new()
        .get("/session", Operation::json::<fleet::Session>("Who asks, and what is looked at"), fleet::session)
        .get(
            "/fleet",
            Operation::json::<Fleet>("A window of the rows").query::<fleet::Wanted>(),
            fleet::fleet,
        )
        .get("/fleet.csv", Operation::text("All rows", "text/csv").query::<fleet::Wanted>(), fleet::csv)
        .get("/stream", Operation::events::<stream::Message>("What changes from now on"), stream::stream)
        .get(OF, Operation::json::<Detail>("A resource in depth"), resource::detail)
        .get(&of("/yaml"), Operation::json::<resource::Yaml>("As it is written"), resource::yaml)
        .get(&of("/timeline"), Operation::json::<resource::Timeline>("What happened"), resource::timeline)
        .get(
            &of("/snapshots"),
            Operation::json::<resource::Snapshots>("What was kept of it"),
            resource::snapshots,
        )
        .post(
            &of("/actions/{action}"),
            Operation::json::<writes::ActionAnswer>("Does something, or says what would be done")
                .body::<writes::ActionRequest>(),
            writes::act,
        )
        .post(
            &of("/edit"),
            Operation::json::<writes::EditAnswer>("Writes it anew, or says what would change")
                .body::<writes::EditRequest>(),
            writes::edit,
        )
        .get(
            &of("/checkpoints"),
            Operation::json::<Checkpoints>("Checkpoints, of Flink's memory"),
            flink::checkpoints,
        )
        .get(
            &of("/checkpoints/{id}"),
            Operation::json::<CheckpointInDepth>("What one checkpoint took each vertex"),
            flink::checkpoint,
        )
        .get(&of("/exceptions"), Operation::json::<Exceptions>("Why the job failed"), flink::exceptions)
        .get(&of("/graph"), Operation::json::<Graph>("The graph of the job"), flink::graph)
        .get(&of("/metrics"), Operation::json::<Metrics>("What the job does now"), flink::metrics)
        .get(&of("/flink"), Operation::elsewhere("Leads to Flink's own pages"), flink_pages::open)
        .get(&of("/processes"), Operation::json::<logs::Processes>("Its processes"), logs::processes)
        .get(
            &of("/logs/{process}"),
            Operation::text("The log of a process", "text/plain").query::<logs::Wanted>(),
            logs::log,
        )
        .get(
            &of("/logs/{process}/stream"),
            Operation::text("What is added to the log", "text/event-stream"),
            logs::stream,
        )
}

/// The document about what is served below `api/v1`: OpenAPI 3.1.
#[must_use]
pub fn openapi() -> Value {
    api().into_parts().1
}

/// Everything that is served, below the base path.
pub(crate) fn router(shared: &Arc<Shared>) -> Router {
    let (api, document) = api().into_parts();
    let api = api
        .route("/openapi.json", get(async move || Json(document)))
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
