//! A typed client of one JobManager's REST interface, for Flink 1.18 to 2.x.
//!
//! It refuses to repeat, to cache, to follow redirects and to decide. Each call is one request, one
//! answer, one deadline. Nothing here waits for an operation of Flink to end.

pub mod checkpoints;
pub mod cluster;
mod endpoint;
mod error;
pub mod jars;
pub mod jobs;
mod lenient;
pub mod only_read;
pub mod operations;
pub mod tls;
mod transport;
mod words;

use std::time::Duration;

use reqwest::Url;
use serde::Deserialize;
use serde_json::{Value, json};

pub use self::checkpoints::{
    Checkpoint, CheckpointConfiguration, CheckpointStatistics, CheckpointStatus, ExternalPath,
    Externalization, RestorePoint, VertexCheckpoint,
};
pub use self::cluster::{ClusterConfiguration, ClusterOverview, ResourceRequirements, TaskManager};
pub use self::endpoint::Endpoint;
pub use self::error::{Doubt, Refusal, RestError};
pub use self::jars::{JarRun, StoredJar};
pub use self::jobs::{
    AggregatedMetric, BackPressure, ExecutionResult, FailureCause, JobDetail, JobException, JobExceptions,
    JobMetrics, JobOverview, JobPlan, JobState, PlanInput, PlanNode,
};
pub use self::operations::{AsyncResult, CheckpointKind, SavepointFormat, SavepointRequest, StopRequest};
use self::transport::Request;
use crate::identifiers::{JobId, TriggerId};
use crate::limits;

/// The client of one JobManager. Cheap to make and to clone: connections belong to the `reqwest::Client`,
/// of which a process has one.
#[derive(Debug, Clone)]
pub struct FlinkRest {
    http: reqwest::Client,
    base: Url,
    deadline: Duration,
}

impl FlinkRest {
    /// A client that calls `base`, which may have a path of its own (such as a proxy's), and gives each
    /// call [`limits::CALL_DEADLINE`].
    #[must_use]
    pub const fn new(http: reqwest::Client, base: Url) -> Self {
        Self { http, base, deadline: limits::CALL_DEADLINE }
    }

    /// The same client with another deadline for each call, connecting included.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// The address that is called.
    #[must_use]
    pub const fn base(&self) -> &Url {
        &self.base
    }

    /// One page or file of Flink's own front end, or one answer that it reads: whatever is at `path`, as it comes.
    ///
    /// # Errors
    /// Whether or not it was sent, nothing was changed: [`RestError`] says why there is no answer. A status that is no
    /// success is an answer.
    pub async fn page(
        &self,
        path: &str,
        query: Option<&str>,
        accept: Option<&str>,
    ) -> Result<reqwest::Response, RestError> {
        transport::page(&self.http, &self.base, self.deadline, (path, query, accept)).await
    }

    /// Version, slots and job counts.
    ///
    /// # Errors
    /// As every call here: see [`RestError`].
    pub async fn overview(&self) -> Result<ClusterOverview, RestError> {
        self.call(Request::new(Endpoint::Overview)).await
    }

    /// Version and revision as the dashboard shows them.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn configuration(&self) -> Result<ClusterConfiguration, RestError> {
        self.call(Request::new(Endpoint::Config)).await
    }

    /// The JobManager's effective configuration, key by key. Flink masks secrets.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn jobmanager_configuration(&self) -> Result<Vec<(String, String)>, RestError> {
        let entries: Vec<cluster::ConfigurationEntry> =
            self.call(Request::new(Endpoint::JobManagerConfig)).await?;
        Ok(entries.into_iter().map(|entry| (entry.key, entry.value)).collect())
    }

    /// All jobs that the JobManager knows now. A JobManager that is still recovering knows none.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn jobs(&self) -> Result<Vec<JobOverview>, RestError> {
        let answer: jobs::JobsAnswer = self.call(Request::new(Endpoint::JobsOverview)).await?;
        Ok(answer.jobs)
    }

    /// The one job `id` out of [`Self::jobs`], or `None` if this JobManager does not know it now.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn job(&self, id: JobId) -> Result<Option<JobOverview>, RestError> {
        Ok(self.jobs().await?.into_iter().find(|job| job.id == id))
    }

    /// One job with its vertices.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn job_detail(&self, id: JobId) -> Result<JobDetail, RestError> {
        self.call(Request::new(Endpoint::JobDetail).with(&id)).await
    }

    /// Why the job failed or restarted, newest first, at most [`limits::EXCEPTIONS_MAX`].
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn exceptions(&self, id: JobId) -> Result<JobExceptions, RestError> {
        let request = Request::new(Endpoint::JobExceptions)
            .with(&id)
            .query("maxExceptions", limits::EXCEPTIONS_MAX.to_string());
        let answer: jobs::ExceptionsAnswer = self.call(request).await?;
        Ok(answer.into_exceptions())
    }

    /// How the job ended, or that it has not.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn execution_result(&self, id: JobId) -> Result<ExecutionResult, RestError> {
        let answer: jobs::ExecutionResultAnswer =
            self.call(Request::new(Endpoint::ExecutionResult).with(&id)).await?;
        answer.into_result().map_err(|reason| unexpected(Endpoint::ExecutionResult, reason))
    }

    /// The metrics that tell a healthy job: restarts and completed checkpoints.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn metrics(&self, id: JobId) -> Result<JobMetrics, RestError> {
        let request = Request::new(Endpoint::JobMetrics).with(&id).query("get", JobMetrics::NAMES.join(","));
        let entries: Vec<jobs::MetricEntry> = self.call(request).await?;
        JobMetrics::from_entries(&entries).map_err(|reason| unexpected(Endpoint::JobMetrics, reason))
    }

    /// Metrics of a vertex over its subtasks, by their names in Flink; those that it does not have are left out.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn vertex_metrics(
        &self,
        id: JobId,
        vertex: &str,
        names: &[&str],
    ) -> Result<Vec<AggregatedMetric>, RestError> {
        let request = Request::new(Endpoint::VertexMetrics).with(&id).with(&vertex);
        self.call(request.query("get", names.join(","))).await
    }

    /// How much a vertex waits; `None` until Flink has measured it.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn back_pressure(&self, id: JobId, vertex: &str) -> Result<Option<BackPressure>, RestError> {
        let request = Request::new(Endpoint::BackPressure).with(&id).with(&vertex);
        let answer: jobs::BackPressureAnswer = self.call(request).await?;
        Ok(answer.into_back_pressure())
    }

    /// Metrics over all TaskManagers, by their names in Flink.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn taskmanagers_metrics(&self, names: &[&str]) -> Result<Vec<AggregatedMetric>, RestError> {
        self.call(Request::new(Endpoint::TaskManagersMetrics).query("get", names.join(","))).await
    }

    /// Checkpoint counts, the latest checkpoints and the history. `None` if the job has checkpointing
    /// switched off (Flink then answers that there is nothing). The answer may be seconds old: see
    /// [`CheckpointStatistics`].
    ///
    /// # Errors
    /// See [`RestError`]; `NotFound` means that the job is not known.
    pub async fn checkpoints(&self, id: JobId) -> Result<Option<CheckpointStatistics>, RestError> {
        match self.call(Request::new(Endpoint::Checkpoints).with(&id)).await {
            Ok(statistics) => Ok(Some(statistics)),
            Err(RestError::NotFound { message, .. }) if message.contains(CHECKPOINTING_OFF) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// One checkpoint. Flink keeps the latest few (`web.checkpoints.history`, 10 by default).
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn checkpoint(&self, id: JobId, checkpoint_id: u64) -> Result<Checkpoint, RestError> {
        self.call(Request::new(Endpoint::CheckpointDetail).with(&id).with(&checkpoint_id)).await
    }

    /// How checkpoints of a job are taken.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn checkpoint_configuration(&self, id: JobId) -> Result<CheckpointConfiguration, RestError> {
        self.call(Request::new(Endpoint::CheckpointConfig).with(&id)).await
    }

    /// What a checkpoint took one vertex.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn checkpoint_of_vertex(
        &self,
        id: JobId,
        checkpoint_id: u64,
        vertex: &str,
    ) -> Result<VertexCheckpoint, RestError> {
        let request = Request::new(Endpoint::CheckpointOfVertex).with(&id).with(&checkpoint_id).with(&vertex);
        self.call(request).await
    }

    /// Starts a checkpoint, once for each `trigger`. Flink 1.17 and later.
    ///
    /// # Errors
    /// See [`RestError`]; after `UnknownOutcome` ask for the same `trigger` again, or look at its status.
    pub async fn trigger_checkpoint(
        &self,
        id: JobId,
        trigger: TriggerId,
        kind: CheckpointKind,
    ) -> Result<(), RestError> {
        let body = json!({ "checkpointType": kind.word(), "triggerId": trigger });
        self.trigger(Request::new(Endpoint::CheckpointTrigger).with(&id).body(body), trigger).await
    }

    /// How the checkpoint of `trigger` goes; completed, it has the checkpoint's number.
    ///
    /// # Errors
    /// See [`RestError`]. A trigger that is not known is no error: [`AsyncResult::UnknownTrigger`].
    pub async fn checkpoint_result(
        &self,
        id: JobId,
        trigger: TriggerId,
    ) -> Result<AsyncResult<u64>, RestError> {
        let request = Request::new(Endpoint::CheckpointStatus).with(&id).with(&trigger);
        self.asynchronous(request, operations::StatusAnswer::into_checkpoint).await
    }

    /// Starts a savepoint, once for each `request.trigger`.
    ///
    /// # Errors
    /// See [`RestError`]; after `UnknownOutcome` ask for the same trigger again, or look at its status.
    pub async fn trigger_savepoint(&self, id: JobId, request: &SavepointRequest) -> Result<(), RestError> {
        let call = Request::new(Endpoint::SavepointTrigger).with(&id).body(request.body());
        self.trigger(call, request.trigger).await
    }

    /// Stops the job with a savepoint, once for each `request.trigger`.
    ///
    /// The job's end is reported by [`Self::savepoint_result`]. **The JobManager of an application waits
    /// until that result was read, and exits within a second after**; so a reader that may lose what it
    /// has read finds the savepoint by its target directory, of which every stop should have its own.
    ///
    /// # Errors
    /// See [`RestError`]; after `UnknownOutcome` ask for the same trigger again, or look at its status.
    pub async fn stop_with_savepoint(&self, id: JobId, request: &StopRequest) -> Result<(), RestError> {
        let call = Request::new(Endpoint::Stop).with(&id).body(request.body());
        self.trigger(call, request.trigger).await
    }

    /// How the savepoint or the stop of `trigger` goes; completed, it has the savepoint's location.
    ///
    /// # Errors
    /// See [`RestError`]. A trigger that is not known is no error: [`AsyncResult::UnknownTrigger`].
    pub async fn savepoint_result(
        &self,
        id: JobId,
        trigger: TriggerId,
    ) -> Result<AsyncResult<String>, RestError> {
        let request = Request::new(Endpoint::SavepointStatus).with(&id).with(&trigger);
        self.asynchronous(request, operations::StatusAnswer::into_savepoint).await
    }

    /// Asks the job to cancel. It ends some time later.
    ///
    /// # Errors
    /// See [`RestError`]; a job that has ended already is `Refused` (409) or `NotFound`.
    pub async fn cancel(&self, id: JobId) -> Result<(), RestError> {
        let request = Request::new(Endpoint::Cancel).with(&id).query("mode", "cancel".to_owned());
        self.call::<Value>(request).await.map(drop)
    }

    /// Starts removing the savepoint at `location`. Flink takes no trigger id from the client here and
    /// returns its own; removing twice does no harm.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn dispose_savepoint(&self, location: &str) -> Result<TriggerId, RestError> {
        let body = json!({ "savepoint-path": location });
        let answer: TriggerAnswer = self.call(Request::new(Endpoint::SavepointDisposal).body(body)).await?;
        Ok(answer.request_id)
    }

    /// How removing a savepoint goes.
    ///
    /// # Errors
    /// See [`RestError`]. A trigger that is not known is no error: [`AsyncResult::UnknownTrigger`].
    pub async fn disposal_result(&self, trigger: TriggerId) -> Result<AsyncResult<()>, RestError> {
        let request = Request::new(Endpoint::SavepointDisposalStatus).with(&trigger);
        self.asynchronous(request, operations::StatusAnswer::into_disposal).await
    }

    /// The TaskManagers that are registered now.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn taskmanagers(&self) -> Result<Vec<TaskManager>, RestError> {
        let answer: cluster::TaskManagersAnswer = self.call(Request::new(Endpoint::TaskManagers)).await?;
        Ok(answer.taskmanagers)
    }

    /// The parallelism bounds of each vertex. Flink 1.18 and later.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn resource_requirements(&self, id: JobId) -> Result<ResourceRequirements, RestError> {
        self.call(Request::new(Endpoint::ResourceRequirements).with(&id)).await
    }

    /// Sets the parallelism bounds of every vertex; the adaptive scheduler then rescales the job. Setting
    /// the same twice does no harm.
    ///
    /// # Errors
    /// See [`RestError`]; Flink refuses bounds that leave a vertex out.
    pub async fn set_resource_requirements(
        &self,
        id: JobId,
        requirements: &ResourceRequirements,
    ) -> Result<(), RestError> {
        let body = requirements.body();
        let request = Request::new(Endpoint::ResourceRequirementsUpdate).with(&id).body(body);
        self.call::<Value>(request).await.map(drop)
    }

    /// The jars that a session cluster keeps. One that has just been handed over is among them.
    ///
    /// # Errors
    /// See [`RestError`]; `NoSuchCall` means that the cluster takes no jars (`web.submit.enable: false`, or an
    /// application cluster).
    pub async fn jars(&self) -> Result<Vec<StoredJar>, RestError> {
        let answer: jars::ListAnswer = self.call(Request::new(Endpoint::JarList)).await?;
        Ok(answer.files)
    }

    /// Has the program of the jar with this id run up to where it would start its job, and returns the job's name. Flink
    /// before 1.19 says none. Nothing is started, but whatever else `main` does is done.
    ///
    /// # Errors
    /// See [`RestError`]: an unknown class, or a `main` that throws.
    pub async fn plan_jar(&self, jar_id: &str, run: &JarRun) -> Result<Option<String>, RestError> {
        let request = Request::new(Endpoint::JarPlan).with(&jar_id).body(run.plan_body());
        Ok(self.call::<jars::PlanAnswer>(request).await?.plan.name)
    }

    /// Hands a jar to a session cluster, piece by piece as it is read; returns the id by which it is run. `deadline` is for
    /// all of it: jars are large, and networks slow.
    ///
    /// # Errors
    /// See [`RestError`]; after `UnknownOutcome` the jar may be there, which does no harm.
    pub async fn upload_jar(
        &self,
        name: &str,
        content: reqwest::Body,
        length_bytes: u64,
        deadline: Duration,
    ) -> Result<String, RestError> {
        let jar =
            reqwest::multipart::Part::stream_with_length(content, length_bytes).file_name(name.to_owned());
        let form = reqwest::multipart::Form::new().part("jarfile", jar);
        let answer: jars::UploadAnswer = transport::upload(&self.http, &self.base, deadline, form).await?;
        Ok(answer.jar_id())
    }

    /// Starts a job from the jar with this id, once for each `run.job_id`: who asks again is refused.
    ///
    /// # Errors
    /// See [`RestError`]; after `UnknownOutcome` look for the job by its id.
    pub async fn run_jar(&self, jar_id: &str, run: &JarRun) -> Result<JobId, RestError> {
        let request = Request::new(Endpoint::JarRun).with(&jar_id).body(run.body());
        Ok(self.call::<jars::RunAnswer>(request).await?.jobid)
    }

    /// Removes the jar with this id.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn delete_jar(&self, jar_id: &str) -> Result<(), RestError> {
        self.call::<Value>(Request::new(Endpoint::JarDelete).with(&jar_id)).await.map(drop)
    }

    /// Ends the cluster: its processes exit with 0.
    ///
    /// # Errors
    /// See [`RestError`]. The connection may break while the cluster goes down: `UnknownOutcome`.
    pub async fn shut_down(&self) -> Result<(), RestError> {
        self.call::<Value>(Request::new(Endpoint::Shutdown)).await.map(drop)
    }

    async fn call<T: serde::de::DeserializeOwned>(&self, request: Request) -> Result<T, RestError> {
        transport::call(&self.http, &self.base, self.deadline, request).await
    }

    async fn trigger(&self, request: Request, asked: TriggerId) -> Result<(), RestError> {
        let endpoint = request.endpoint();
        let answer: TriggerAnswer = self.call(request).await?;
        if answer.request_id == asked {
            return Ok(());
        }
        let got = answer.request_id;
        Err(unexpected(endpoint, format!("the operation was to be called {asked}, Flink calls it {got}")))
    }

    async fn asynchronous<T>(
        &self,
        request: Request,
        read: fn(operations::StatusAnswer) -> Result<AsyncResult<T>, String>,
    ) -> Result<AsyncResult<T>, RestError> {
        let endpoint = request.endpoint();
        match self.call::<operations::StatusAnswer>(request).await {
            Ok(answer) => read(answer).map_err(|reason| unexpected(endpoint, reason)),
            Err(RestError::NotFound { .. }) => Ok(AsyncResult::UnknownTrigger),
            Err(error) => Err(error),
        }
    }
}

/// What Flink says instead of checkpoint statistics when the job takes no checkpoints.
const CHECKPOINTING_OFF: &str = "Checkpointing has not been enabled";

#[derive(Debug, Deserialize)]
struct TriggerAnswer {
    #[serde(rename = "request-id")]
    request_id: TriggerId,
}

/// An answer that is JSON of the right shape but says something that makes no sense.
const fn unexpected(endpoint: Endpoint, reason: String) -> RestError {
    RestError::UnknownOutcome { endpoint, doubt: Doubt::Unreadable { reason, beginning: String::new() } }
}
