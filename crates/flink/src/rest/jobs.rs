//! What Flink says of jobs: state, tasks, vertices, exceptions, result and metrics.
//!
//! This module refuses to judge: whether a state is good or bad is decided elsewhere.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::lenient;
use super::words::messages;
use crate::identifiers::JobId;
use crate::limits;

/// The state of a job (Flink's `JobStatus`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum JobState {
    /// Received, not yet set up.
    Initializing,
    /// Set up, nothing runs yet.
    Created,
    /// At least scheduled; [`JobOverview::all_tasks_running`] tells more.
    Running,
    /// Failed, and tasks are being cancelled.
    Failing,
    /// Failed for good.
    Failed,
    /// Being cancelled.
    Cancelling,
    /// Cancelled for good.
    Canceled,
    /// Ended well for good, also by stop-with-savepoint.
    Finished,
    /// Waiting to run again after a failure.
    Restarting,
    /// Ended in this JobManager only; another may recover it.
    Suspended,
    /// Waiting to find its tasks again.
    Reconciling,
    /// A word that this version of drey does not know.
    #[serde(other)]
    Unrecognised,
}

impl JobState {
    /// Whether no JobManager runs the job again (Flink's "globally terminal").
    #[must_use]
    pub const fn is_globally_terminal(self) -> bool {
        match self {
            Self::Failed | Self::Canceled | Self::Finished => true,
            Self::Initializing
            | Self::Created
            | Self::Running
            | Self::Failing
            | Self::Cancelling
            | Self::Restarting
            | Self::Suspended
            | Self::Reconciling
            | Self::Unrecognised => false,
        }
    }

    /// Flink's word for the state, such as `RUNNING`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Initializing => "INITIALIZING",
            Self::Created => "CREATED",
            Self::Running => "RUNNING",
            Self::Failing => "FAILING",
            Self::Failed => "FAILED",
            Self::Cancelling => "CANCELLING",
            Self::Canceled => "CANCELED",
            Self::Finished => "FINISHED",
            Self::Restarting => "RESTARTING",
            Self::Suspended => "SUSPENDED",
            Self::Reconciling => "RECONCILING",
            Self::Unrecognised => "UNRECOGNISED",
        }
    }
}

/// How many tasks of a job are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct TaskCounts {
    /// All tasks.
    #[serde(default, deserialize_with = "lenient::count")]
    pub total: u64,
    /// Tasks that run.
    #[serde(default, deserialize_with = "lenient::count")]
    pub running: u64,
    /// Tasks that have ended well.
    #[serde(default, deserialize_with = "lenient::count")]
    pub finished: u64,
    /// Tasks that have failed.
    #[serde(default, deserialize_with = "lenient::count")]
    pub failed: u64,
}

/// One job in the list of jobs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct JobOverview {
    /// The job's identifier.
    #[serde(rename = "jid")]
    pub id: JobId,
    /// The job's name (`pipeline.name`).
    pub name: String,
    /// The job's state.
    pub state: JobState,
    /// When this JobManager started the job, in milliseconds since 1970.
    #[serde(default, rename = "start-time", deserialize_with = "lenient::time_ms")]
    pub start_time_ms: Option<i64>,
    /// When the job ended, in milliseconds since 1970.
    #[serde(default, rename = "end-time", deserialize_with = "lenient::time_ms")]
    pub end_time_ms: Option<i64>,
    /// When its state last changed, in milliseconds since 1970.
    #[serde(default, rename = "last-modification", deserialize_with = "lenient::time_ms")]
    pub last_modification_ms: Option<i64>,
    /// Its tasks by state.
    #[serde(default)]
    pub tasks: TaskCounts,
}

impl JobOverview {
    /// Whether every task runs or has finished. Flink calls a job RUNNING before that; the Kubernetes
    /// operator then still reports it as CREATED.
    #[must_use]
    pub const fn all_tasks_running(&self) -> bool {
        self.tasks.running + self.tasks.finished >= self.tasks.total
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct JobsAnswer {
    pub(super) jobs: Vec<JobOverview>,
}

/// One job with its vertices.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct JobDetail {
    /// The job's identifier.
    #[serde(rename = "jid")]
    pub id: JobId,
    /// The job's name.
    pub name: String,
    /// The job's state.
    pub state: JobState,
    /// `STREAMING` or `BATCH`; missing below Flink 1.19.
    #[serde(default)]
    pub job_type: Option<String>,
    /// When this JobManager started the job, in milliseconds since 1970.
    #[serde(default, rename = "start-time", deserialize_with = "lenient::time_ms")]
    pub start_time_ms: Option<i64>,
    /// When the job ended, in milliseconds since 1970.
    #[serde(default, rename = "end-time", deserialize_with = "lenient::time_ms")]
    pub end_time_ms: Option<i64>,
    /// The vertices, sources first.
    #[serde(default)]
    pub vertices: Vec<Vertex>,
    /// How they are connected.
    #[serde(default)]
    pub plan: JobPlan,
}

/// How the vertices of a job are connected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct JobPlan {
    /// One for each vertex.
    #[serde(default)]
    pub nodes: Vec<PlanNode>,
}

/// One vertex in the plan.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PlanNode {
    /// The vertex's identifier.
    pub id: String,
    /// Where its records come from.
    #[serde(default)]
    pub inputs: Vec<PlanInput>,
}

/// One edge of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PlanInput {
    /// Identifier of the vertex that the records come from.
    pub id: String,
}

/// One vertex of a job.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Vertex {
    /// The vertex's identifier, 32 hexadecimal digits.
    pub id: String,
    /// The operators chained in it.
    pub name: String,
    /// How many subtasks it has.
    #[serde(default, deserialize_with = "lenient::count")]
    pub parallelism: u64,
    /// How many it could have at most with its state.
    #[serde(default, deserialize_with = "lenient::count")]
    pub max_parallelism: u64,
    /// Flink's word for its state, such as `RUNNING`.
    #[serde(default)]
    pub status: String,
    /// How many subtasks are in each state.
    #[serde(default)]
    pub tasks: BTreeMap<String, u64>,
}

/// Why a job failed or restarted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobExceptions {
    /// The exceptions, newest first.
    pub entries: Vec<JobException>,
    /// Whether Flink has older ones.
    pub truncated: bool,
}

/// One failure of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobException {
    /// The class of the exception.
    pub name: String,
    /// The stack trace, at most [`limits::STACK_TRACE_BYTES_MAX`].
    pub stack_trace: String,
    /// When it happened, in milliseconds since 1970.
    pub timestamp_ms: Option<i64>,
    /// The task, if one task failed.
    pub task_name: Option<String>,
    /// Host and port of the TaskManager.
    pub endpoint: Option<String>,
    /// The TaskManager's identifier.
    pub taskmanager_id: Option<String>,
    /// Labels that failure enrichers gave it (Flink 1.18 and later).
    pub failure_labels: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ExceptionsAnswer {
    #[serde(default)]
    exception_history: ExceptionHistory,
}

#[derive(Debug, Default, Deserialize)]
struct ExceptionHistory {
    #[serde(default)]
    entries: Vec<ExceptionEntry>,
    #[serde(default)]
    truncated: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExceptionEntry {
    #[serde(default)]
    exception_name: String,
    #[serde(default)]
    stacktrace: String,
    #[serde(default, deserialize_with = "lenient::time_ms")]
    timestamp: Option<i64>,
    #[serde(default)]
    task_name: Option<String>,
    #[serde(default)]
    endpoint: Option<String>,
    #[serde(default)]
    location: Option<String>,
    #[serde(default)]
    task_manager_id: Option<String>,
    #[serde(default)]
    failure_labels: Option<BTreeMap<String, String>>,
}

impl ExceptionsAnswer {
    pub(super) fn into_exceptions(self) -> JobExceptions {
        let ExceptionHistory { entries, truncated } = self.exception_history;
        JobExceptions {
            entries: entries.into_iter().map(ExceptionEntry::into_exception).collect(),
            truncated,
        }
    }
}

impl ExceptionEntry {
    fn into_exception(self) -> JobException {
        // Flink writes "(unassigned)" where it knows no TaskManager, and called the endpoint "location".
        let known = |text: Option<String>| text.filter(|text| !text.is_empty() && text != "(unassigned)");
        JobException {
            name: self.exception_name,
            stack_trace: limits::shorten(&self.stacktrace, limits::STACK_TRACE_BYTES_MAX),
            timestamp_ms: self.timestamp,
            task_name: known(self.task_name),
            endpoint: known(self.endpoint).or_else(|| known(self.location)),
            taskmanager_id: known(self.task_manager_id),
            failure_labels: self.failure_labels.unwrap_or_default(),
        }
    }
}

/// An exception that ended a job or an operation, as Flink serialises it. The Java object itself is left out.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FailureCause {
    /// The class of the outermost exception.
    #[serde(default)]
    pub class: String,
    /// The stack trace with its causes.
    #[serde(default)]
    pub stack_trace: String,
}

impl FailureCause {
    /// The messages of the exception and of what caused it, one after the other, without the stack.
    #[must_use]
    pub fn summary(&self) -> String {
        let messages = messages(&self.stack_trace);
        if messages.is_empty() {
            self.class.clone()
        } else {
            limits::shorten(&messages, limits::ERROR_TEXT_BYTES_MAX)
        }
    }
}

impl FailureCause {
    /// The savepoint that was completed before the job failed while stopping. Flink names it only in the
    /// message of its `StopWithSavepointStoppingException`; a job that failed so has it in its execution
    /// result too.
    #[must_use]
    pub fn completed_savepoint(&self) -> Option<&str> {
        let (_, rest) = self.stack_trace.split_once("A savepoint has been created at: ")?;
        let (path, _) = rest.split_once(", but the corresponding job")?;
        Some(path.trim()).filter(|path| !path.is_empty() && !path.contains('\n'))
    }
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExecutionResult {
    /// It has not ended.
    InProgress,
    /// It ended well.
    Succeeded {
        /// How long it ran, in milliseconds.
        run_time_ms: Option<i64>,
    },
    /// It failed.
    Failed {
        /// Why, if Flink says.
        cause: Option<FailureCause>,
    },
    /// It was cancelled.
    Canceled,
    /// It ended, and Flink cannot tell how.
    Unknown,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct ExecutionResultAnswer {
    status: QueueStatus,
    #[serde(default)]
    job_execution_result: Option<ExecutionResultBody>,
}

#[derive(Debug, Deserialize)]
pub(super) struct QueueStatus {
    pub(super) id: QueueStatusId,
}

/// Where an asynchronous operation stands. `COMPLETED` says that it ended, not that it went well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum QueueStatusId {
    InProgress,
    Completed,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ExecutionResultBody {
    application_status: ApplicationStatus,
    #[serde(default, rename = "net-runtime", deserialize_with = "lenient::optional_integer")]
    run_time_ms: Option<i64>,
    #[serde(default)]
    failure_cause: Option<FailureCause>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum ApplicationStatus {
    Succeeded,
    Failed,
    Canceled,
    Unknown,
}

impl ExecutionResultAnswer {
    pub(super) fn into_result(self) -> Result<ExecutionResult, String> {
        match (self.status.id, self.job_execution_result) {
            (QueueStatusId::InProgress, _) => Ok(ExecutionResult::InProgress),
            (QueueStatusId::Completed, Some(body)) => Ok(match body.application_status {
                ApplicationStatus::Succeeded => ExecutionResult::Succeeded { run_time_ms: body.run_time_ms },
                ApplicationStatus::Failed => ExecutionResult::Failed { cause: body.failure_cause },
                ApplicationStatus::Canceled => ExecutionResult::Canceled,
                ApplicationStatus::Unknown => ExecutionResult::Unknown,
            }),
            (QueueStatusId::Completed, None) => Err("COMPLETED without `job-execution-result`".to_owned()),
        }
    }
}

/// How much a vertex waits, between 0 and 1, at the worst of its subtasks.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct BackPressure {
    /// Waits for those after it.
    pub back_pressured: f64,
    /// Works.
    pub busy: f64,
}

#[derive(Debug, Deserialize)]
pub(super) struct BackPressureAnswer {
    #[serde(default)]
    subtasks: Vec<SubtaskPressure>,
}

#[derive(Debug, Deserialize)]
struct SubtaskPressure {
    #[serde(default)]
    ratio: f64,
    #[serde(default, rename = "busyRatio")]
    busy_ratio: f64,
}

impl BackPressureAnswer {
    /// `None` until Flink has measured it.
    pub(super) fn into_back_pressure(self) -> Option<BackPressure> {
        let worst = |of: fn(&SubtaskPressure) -> f64| {
            self.subtasks.iter().map(of).fold(0.0, f64::max).clamp(0.0, 1.0)
        };
        (!self.subtasks.is_empty())
            .then(|| BackPressure { back_pressured: worst(|it| it.ratio), busy: worst(|it| it.busy_ratio) })
    }
}

/// One metric over several subtasks or TaskManagers.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct AggregatedMetric {
    /// Its name.
    pub id: String,
    /// The sum.
    #[serde(default)]
    pub sum: Option<f64>,
    /// The least.
    #[serde(default)]
    pub min: Option<f64>,
    /// The largest.
    #[serde(default)]
    pub max: Option<f64>,
}

/// The metrics that tell whether a job is healthy. Each is `None` until Flink has measured it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JobMetrics {
    /// Restarts since this JobManager started the job (`numRestarts`, else the older `fullRestarts`).
    pub restarts: Option<u64>,
    /// Checkpoints completed since then (`numberOfCompletedCheckpoints`).
    pub completed_checkpoints: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct MetricEntry {
    id: String,
    #[serde(default)]
    value: Option<String>,
}

impl JobMetrics {
    pub(super) const NAMES: [&'static str; 3] =
        ["numRestarts", "fullRestarts", "numberOfCompletedCheckpoints"];

    pub(super) fn from_entries(entries: &[MetricEntry]) -> Result<Self, String> {
        let [restarts, full_restarts, checkpoints] = Self::NAMES;
        Ok(Self {
            restarts: read(entries, restarts)?.or(read(entries, full_restarts)?),
            completed_checkpoints: read(entries, checkpoints)?,
        })
    }
}

/// The value of one metric. Flink writes every value as text, and a negative or non-numeric one for
/// "not measured".
fn read(entries: &[MetricEntry], name: &str) -> Result<Option<u64>, String> {
    let Some(text) = entries.iter().find(|entry| entry.id == name).and_then(|entry| entry.value.as_deref())
    else {
        return Ok(None);
    };
    if matches!(text, "NaN" | "null" | "") {
        return Ok(None);
    }
    let number: i64 = text.parse().map_err(|_| format!("metric `{name}` is not an integer: `{text}`"))?;
    Ok(u64::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use super::{FailureCause, JobMetrics, JobState, MetricEntry};

    #[test]
    fn a_state_of_a_later_flink_hides_no_other_job() {
        assert_eq!(serde_json::from_str::<JobState>("\"CANCELLING\"").unwrap(), JobState::Cancelling);
        assert_eq!(serde_json::from_str::<JobState>("\"PAUSED\"").unwrap(), JobState::Unrecognised);
    }

    #[test]
    fn every_word_reads_back_as_its_state() {
        for word in ["INITIALIZING", "CREATED", "RUNNING", "FAILING", "FAILED", "CANCELED", "FINISHED"]
            .into_iter()
            .chain(["CANCELLING", "RESTARTING", "SUSPENDED", "RECONCILING"])
        {
            let state: JobState = serde_json::from_value(word.into()).unwrap();
            assert_eq!(state.word(), word);
        }
    }

    #[test]
    fn a_summary_has_the_messages_and_no_frames() {
        let cause = FailureCause {
            class: "a.B".to_owned(),
            stack_trace: "a.B: outer\n\tat x.Y(Z.java:1)\nCaused by: c.D: inner\n\tat q\n\t... 4 more\n"
                .to_owned(),
        };
        assert_eq!(cause.summary(), "a.B: outer: c.D: inner");
        let bare = FailureCause { class: "a.B".to_owned(), stack_trace: String::new() };
        assert_eq!(bare.summary(), "a.B");
    }

    #[test]
    fn metrics_that_are_not_measured_are_none() {
        let entry = |id: &str, value: &str| MetricEntry { id: id.to_owned(), value: Some(value.to_owned()) };
        let metrics = JobMetrics::from_entries(&[
            entry("fullRestarts", "3"),
            entry("numberOfCompletedCheckpoints", "NaN"),
        ]);
        assert_eq!(metrics, Ok(JobMetrics { restarts: Some(3), completed_checkpoints: None }));
        assert!(JobMetrics::from_entries(&[entry("numRestarts", "many")]).is_err());
    }
}
