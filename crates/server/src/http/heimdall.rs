//! Heimdall's addresses. Refuses to say more than Heimdall does.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use futures::future::try_join_all;
use kube::Api;
use kube::api::ListParams;
use kube::core::DynamicObject;
use serde_json::{Value, json};

use super::answer::Refusal;
use super::visit::Visit;
use crate::heimdall::{self, Job};
use crate::key::FleetKind;
use crate::server::Shared;

/// How many objects one page of a list holds.
const PAGE: u32 = 500;

pub(super) async fn jobs(visit: Visit) -> Result<Json<Vec<Job>>, Refusal> {
    let resource = FleetKind::Deployment.resource();
    let client = &visit.client();
    let scopes: Vec<Api<DynamicObject>> = match visit.namespaces.as_slice() {
        [] => vec![Api::all_with(client.clone(), &resource)],
        some => some.iter().map(|name| Api::namespaced_with(client.clone(), name, &resource)).collect(),
    };
    let found = try_join_all(scopes.iter().map(list)).await?;
    Ok(Json(found.into_iter().flatten().collect()))
}

async fn list(api: &Api<DynamicObject>) -> Result<Vec<Job>, kube::Error> {
    let mut jobs = Vec::new();
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = api.list(&params).await?;
        let objects = page.items.into_iter().filter_map(|object| serde_json::to_value(object).ok());
        jobs.extend(objects.map(|object| heimdall::job(&object)));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(jobs),
        }
    }
}

pub(super) async fn config(visit: Visit) -> Json<Value> {
    Json(visit.heimdall.config())
}

pub(super) async fn live() -> Json<Value> {
    Json(json!({ "status": "UP", "checks": [] }))
}

/// Ready while what is shown is known and not out of date.
pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> (StatusCode, Json<Value>) {
    let news = shared.store.news();
    if news.complete && news.stale.is_none() {
        (StatusCode::OK, Json(json!({ "status": "UP", "checks": [] })))
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "DOWN", "checks": [] })))
    }
}
