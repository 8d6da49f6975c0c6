//! Operations that Flink runs on its own after the request: savepoints, stops, checkpoints, disposals.
//!
//! Their ids are chosen by the client beforehand, so that asking twice starts them once. This module
//! refuses to wait for them.

use serde::Deserialize;
use serde_json::{Value, json};

use super::jobs::{FailureCause, QueueStatus, QueueStatusId};
use super::lenient;
use crate::identifiers::TriggerId;
use crate::limits;

/// Where an asynchronous operation stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AsyncResult<T> {
    /// It goes on.
    InProgress,
    /// It ended well, with this outcome.
    Completed(T),
    /// It ended badly. Flink reports this as `COMPLETED` too, with a failure cause.
    Failed(OperationFailure),
    /// This JobManager does not know the trigger: it was never asked, has restarted since, or has
    /// forgotten the result (`rest.async.store-duration`, 5 minutes by default).
    UnknownTrigger,
}

/// Why an operation ended badly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationFailure {
    /// Flink's exception.
    pub cause: FailureCause,
    /// The savepoint that was completed before stopping failed. It holds the job's state; but the job may
    /// have gone on since, in which case it is older than the job's newest checkpoint.
    pub savepoint: Option<String>,
}

/// How a savepoint is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SavepointFormat {
    /// Readable by every state backend.
    Canonical,
    /// The state backend's own, which is quicker.
    Native,
}

impl SavepointFormat {
    const fn word(self) -> &'static str {
        match self {
            Self::Canonical => "CANONICAL",
            Self::Native => "NATIVE",
        }
    }
}

/// How a triggered checkpoint is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckpointKind {
    /// As the job is configured.
    Configured,
    /// Complete in itself.
    Full,
    /// The difference from the one before.
    Incremental,
}

impl CheckpointKind {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Configured => "CONFIGURED",
            Self::Full => "FULL",
            Self::Incremental => "INCREMENTAL",
        }
    }
}

/// What a savepoint is asked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavepointRequest {
    /// The id of the operation.
    pub trigger: TriggerId,
    /// The directory to make it in; `None` takes the configured one (`execution.checkpointing.savepoint-dir`).
    pub target_directory: Option<String>,
    /// How it is written.
    pub format: SavepointFormat,
}

impl SavepointRequest {
    pub(super) fn body(&self) -> Value {
        json!({
            "cancel-job": false,
            "target-directory": self.target_directory,
            "formatType": self.format.word(),
            "triggerId": self.trigger,
        })
    }
}

/// What a stop is asked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopRequest {
    /// The id of the operation.
    pub trigger: TriggerId,
    /// The directory to make the savepoint in; `None` takes the configured one.
    pub target_directory: Option<String>,
    /// Whether windows and timers fire to the end before, so that the job cannot go on later.
    pub drain: bool,
    /// How the savepoint is written.
    pub format: SavepointFormat,
}

impl StopRequest {
    pub(super) fn body(&self) -> Value {
        json!({
            "targetDirectory": self.target_directory,
            "drain": self.drain,
            "formatType": self.format.word(),
            "triggerId": self.trigger,
        })
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct StatusAnswer {
    status: QueueStatus,
    #[serde(default)]
    operation: Option<Operation>,
}

#[derive(Debug, Default, Deserialize)]
struct Operation {
    #[serde(default)]
    location: Option<String>,
    #[serde(default, rename = "checkpointId", deserialize_with = "lenient::optional_integer")]
    checkpoint_id: Option<i64>,
    // Savepoints and disposals write `failure-cause`, checkpoints write `failureCause`.
    #[serde(default, rename = "failure-cause", alias = "failureCause")]
    failure_cause: Option<FailureCause>,
}

impl StatusAnswer {
    pub(super) fn into_savepoint(self) -> Result<AsyncResult<String>, String> {
        self.finish(|operation| {
            let location = operation.location.filter(|location| !location.is_empty());
            location.ok_or_else(|| "COMPLETED with neither `location` nor `failure-cause`".to_owned())
        })
    }

    pub(super) fn into_checkpoint(self) -> Result<AsyncResult<u64>, String> {
        self.finish(|operation| {
            let id = operation.checkpoint_id.and_then(|id| u64::try_from(id).ok());
            id.ok_or_else(|| "COMPLETED with neither `checkpointId` nor `failureCause`".to_owned())
        })
    }

    pub(super) fn into_disposal(self) -> Result<AsyncResult<()>, String> {
        self.finish(|_operation| Ok(()))
    }

    fn finish<T>(self, read: impl FnOnce(Operation) -> Result<T, String>) -> Result<AsyncResult<T>, String> {
        if self.status.id == QueueStatusId::InProgress {
            return Ok(AsyncResult::InProgress);
        }
        let mut operation = self.operation.unwrap_or_default();
        if let Some(cause) = operation.failure_cause.take() {
            return Ok(AsyncResult::Failed(OperationFailure::new(cause)));
        }
        read(operation).map(AsyncResult::Completed)
    }
}

impl OperationFailure {
    fn new(cause: FailureCause) -> Self {
        let savepoint = cause.completed_savepoint().map(str::to_owned);
        let stack_trace = limits::shorten(&cause.stack_trace, limits::STACK_TRACE_BYTES_MAX);
        Self { savepoint, cause: FailureCause { class: cause.class, stack_trace } }
    }
}
