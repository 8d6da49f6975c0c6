//! What the JobManager of a resource tells. One that does not answer is an answer too: it says so in time. Refuses to know
//! how JobManagers are reached.

use std::future::Future;
use std::time::Duration;

use axum::Json;
use axum::extract::Path;
use drey_flink::{FlinkRest, JobId, RestError};
use serde_json::Value;

use super::answer::{Kind, Refusal};
use super::resource::{Address, fetch};
use super::visit::Visit;
use crate::cluster::ClusterName;
use crate::job_manager::{self, CheckpointInDepth, Checkpoints, Exceptions, Graph, Metrics};
use crate::key::FleetKind;
use crate::server::now_ms;

/// How long a page waits for a JobManager.
const PATIENCE: Duration = Duration::from_secs(4);

pub(super) async fn checkpoints(visit: Visit, address: Address) -> Result<Json<Checkpoints>, Refusal> {
    let (flink, job) = with_job(&visit, address).await?;
    let found = ask(job_manager::checkpoints(&flink, job)).await?;
    found
        .map(Json)
        .ok_or_else(|| Refusal::new(Kind::Unreachable, "the JobManager does not know the job (yet)"))
}

pub(super) async fn checkpoint(
    visit: Visit,
    Path((namespace, kind, name, id)): Path<(String, String, String, u64)>,
) -> Result<Json<CheckpointInDepth>, Refusal> {
    let (flink, job) = with_job(&visit, Path((namespace, kind, name))).await?;
    Ok(Json(ask(job_manager::checkpoint_in_depth(&flink, job, id)).await?))
}

pub(super) async fn exceptions(visit: Visit, address: Address) -> Result<Json<Exceptions>, Refusal> {
    let (flink, job) = with_job(&visit, address).await?;
    Ok(Json(job_manager::exceptions(ask(flink.exceptions(job)).await?)))
}

pub(super) async fn graph(visit: Visit, address: Address) -> Result<Json<Graph>, Refusal> {
    let (flink, job) = with_job(&visit, address).await?;
    Ok(Json(ask(job_manager::graph(&flink, job)).await?))
}

pub(super) async fn metrics(visit: Visit, address: Address) -> Result<Json<Metrics>, Refusal> {
    let (flink, job) = with_job(&visit, address).await?;
    Ok(Json(ask(job_manager::metrics(&flink, job, now_ms())).await?))
}

/// The JobManager of this resource, and the resource.
async fn reach(visit: &Visit, address: Address) -> Result<(FlinkRest, Value), Refusal> {
    let (key, object) = fetch(visit, address).await?;
    if key.kind != FleetKind::Deployment {
        return Err(Refusal::new(Kind::Unreachable, "this kind has no JobManager of its own"));
    }
    match visit.clusters.job_manager(&ClusterName::of(&object)).await {
        Some(flink) => Ok((flink.with_deadline(PATIENCE), object)),
        None => Err(Refusal::new(
            Kind::Unreachable,
            "there is no cluster now, so that there is no JobManager to ask",
        )),
    }
}

async fn with_job(visit: &Visit, address: Address) -> Result<(FlinkRest, JobId), Refusal> {
    let (flink, object) = reach(visit, address).await?;
    let id = object.pointer("/status/jobStatus/jobId").or_else(|| object.pointer("/status/run/jobId"));
    let id = id.and_then(Value::as_str).and_then(|id| id.parse().ok());
    match id {
        Some(id) => Ok((flink, id)),
        None => Err(Refusal::new(Kind::Unreachable, "the job has no id yet")),
    }
}

async fn ask<T>(asking: impl Future<Output = Result<T, RestError>>) -> Result<T, Refusal> {
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(Refusal::new(Kind::Unreachable, format!("the JobManager says: {error}"))),
        Err(_) => {
            Err(Refusal::new(Kind::Unreachable, format!("the JobManager did not answer within {PATIENCE:?}")))
        }
    }
}
