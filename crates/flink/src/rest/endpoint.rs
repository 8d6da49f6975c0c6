//! The calls that drey makes, each once: its method, its path, since which Flink it exists.
//!
//! This module refuses to know bodies and answers.

use std::fmt;

use reqwest::Method;

use crate::version::FlinkVersion;

/// One call of Flink's REST interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// Anything that Flink's own front end reads.
    Page,
    /// Version, slots and job counts of the cluster.
    Overview,
    /// The dashboard's configuration, with version and revision.
    Config,
    /// The JobManager's effective configuration.
    JobManagerConfig,
    /// All jobs with their states.
    JobsOverview,
    /// One job with its vertices.
    JobDetail,
    /// Why a job failed or restarted.
    JobExceptions,
    /// How a job ended.
    ExecutionResult,
    /// Metrics of a job.
    JobMetrics,
    /// Metrics of a vertex, over its subtasks.
    VertexMetrics,
    /// How much a vertex waits for those after it.
    BackPressure,
    /// Checkpoint counts, latest checkpoints and history.
    Checkpoints,
    /// How checkpoints are taken.
    CheckpointConfig,
    /// One checkpoint.
    CheckpointDetail,
    /// What one checkpoint took one vertex.
    CheckpointOfVertex,
    /// Starts a checkpoint.
    CheckpointTrigger,
    /// How a triggered checkpoint goes.
    CheckpointStatus,
    /// Starts a savepoint.
    SavepointTrigger,
    /// How a triggered savepoint or stop goes.
    SavepointStatus,
    /// Stops a job with a savepoint.
    Stop,
    /// Cancels a job.
    Cancel,
    /// Starts removing a savepoint's files.
    SavepointDisposal,
    /// How removing goes.
    SavepointDisposalStatus,
    /// The TaskManagers.
    TaskManagers,
    /// Metrics over all TaskManagers.
    TaskManagersMetrics,
    /// The parallelism bounds of each vertex, read.
    ResourceRequirements,
    /// The parallelism bounds of each vertex, written.
    ResourceRequirementsUpdate,
    /// The jars that were handed to a session cluster.
    JarList,
    /// Hands a jar to a session cluster.
    JarUpload,
    /// Has the program of an uploaded jar say which job it makes, without starting it.
    JarPlan,
    /// Starts a job from an uploaded jar.
    JarRun,
    /// Removes an uploaded jar.
    JarDelete,
    /// Ends the cluster.
    Shutdown,
}

impl Endpoint {
    /// Every call, in the order of the declaration.
    pub const ALL: [Self; 32] = [
        Self::Overview,
        Self::Config,
        Self::JobManagerConfig,
        Self::JobsOverview,
        Self::JobDetail,
        Self::JobExceptions,
        Self::ExecutionResult,
        Self::JobMetrics,
        Self::VertexMetrics,
        Self::BackPressure,
        Self::Checkpoints,
        Self::CheckpointConfig,
        Self::CheckpointDetail,
        Self::CheckpointOfVertex,
        Self::CheckpointTrigger,
        Self::CheckpointStatus,
        Self::SavepointTrigger,
        Self::SavepointStatus,
        Self::Stop,
        Self::Cancel,
        Self::SavepointDisposal,
        Self::SavepointDisposalStatus,
        Self::TaskManagers,
        Self::TaskManagersMetrics,
        Self::ResourceRequirements,
        Self::ResourceRequirementsUpdate,
        Self::JarList,
        Self::JarUpload,
        Self::JarPlan,
        Self::JarRun,
        Self::JarDelete,
        Self::Shutdown,
    ];

    /// The HTTP method and the path, whose variable segments begin with `:` as in Flink's documentation.
    #[must_use]
    pub const fn method_and_path(self) -> (Method, &'static str) {
        match self {
            Self::Page => (Method::GET, "/"),
            Self::Overview => (Method::GET, "/overview"),
            Self::Config => (Method::GET, "/config"),
            Self::JobManagerConfig => (Method::GET, "/jobmanager/config"),
            Self::JobsOverview => (Method::GET, "/jobs/overview"),
            Self::JobDetail => (Method::GET, "/jobs/:jobid"),
            Self::JobExceptions => (Method::GET, "/jobs/:jobid/exceptions"),
            Self::ExecutionResult => (Method::GET, "/jobs/:jobid/execution-result"),
            Self::JobMetrics => (Method::GET, "/jobs/:jobid/metrics"),
            Self::VertexMetrics => (Method::GET, "/jobs/:jobid/vertices/:vertexid/subtasks/metrics"),
            Self::BackPressure => (Method::GET, "/jobs/:jobid/vertices/:vertexid/backpressure"),
            Self::Checkpoints => (Method::GET, "/jobs/:jobid/checkpoints"),
            Self::CheckpointConfig => (Method::GET, "/jobs/:jobid/checkpoints/config"),
            Self::CheckpointDetail => (Method::GET, "/jobs/:jobid/checkpoints/details/:checkpointid"),
            Self::CheckpointOfVertex => {
                (Method::GET, "/jobs/:jobid/checkpoints/details/:checkpointid/subtasks/:vertexid")
            }
            Self::CheckpointTrigger => (Method::POST, "/jobs/:jobid/checkpoints"),
            Self::CheckpointStatus => (Method::GET, "/jobs/:jobid/checkpoints/:triggerid"),
            Self::SavepointTrigger => (Method::POST, "/jobs/:jobid/savepoints"),
            Self::SavepointStatus => (Method::GET, "/jobs/:jobid/savepoints/:triggerid"),
            Self::Stop => (Method::POST, "/jobs/:jobid/stop"),
            Self::Cancel => (Method::PATCH, "/jobs/:jobid"),
            Self::SavepointDisposal => (Method::POST, "/savepoint-disposal"),
            Self::SavepointDisposalStatus => (Method::GET, "/savepoint-disposal/:triggerid"),
            Self::TaskManagers => (Method::GET, "/taskmanagers"),
            Self::TaskManagersMetrics => (Method::GET, "/taskmanagers/metrics"),
            Self::ResourceRequirements => (Method::GET, "/jobs/:jobid/resource-requirements"),
            Self::ResourceRequirementsUpdate => (Method::PUT, "/jobs/:jobid/resource-requirements"),
            Self::JarList => (Method::GET, "/jars"),
            Self::JarPlan => (Method::POST, "/jars/:jarid/plan"),
            Self::JarUpload => (Method::POST, "/jars/upload"),
            Self::JarRun => (Method::POST, "/jars/:jarid/run"),
            Self::JarDelete => (Method::DELETE, "/jars/:jarid"),
            Self::Shutdown => (Method::DELETE, "/cluster"),
        }
    }

    /// Whether Flink of `version` has this call.
    #[must_use]
    pub const fn exists_in(self, version: FlinkVersion) -> bool {
        match self {
            Self::CheckpointTrigger | Self::CheckpointStatus => version.is_at_least(1, 17),
            Self::ResourceRequirements | Self::ResourceRequirementsUpdate => version.is_at_least(1, 18),
            Self::Page
            | Self::Overview
            | Self::Config
            | Self::JobManagerConfig
            | Self::JobsOverview
            | Self::JobDetail
            | Self::JobExceptions
            | Self::ExecutionResult
            | Self::JobMetrics
            | Self::VertexMetrics
            | Self::BackPressure
            | Self::Checkpoints
            | Self::CheckpointConfig
            | Self::CheckpointDetail
            | Self::CheckpointOfVertex
            | Self::SavepointTrigger
            | Self::SavepointStatus
            | Self::Stop
            | Self::Cancel
            | Self::SavepointDisposal
            | Self::SavepointDisposalStatus
            | Self::TaskManagers
            | Self::TaskManagersMetrics
            | Self::JarList
            | Self::JarUpload
            | Self::JarPlan
            | Self::JarRun
            | Self::JarDelete
            | Self::Shutdown => true,
        }
    }
}

/// Writes the method and the path, such as `POST /jobs/:jobid/stop`.
impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (method, path) = self.method_and_path();
        write!(formatter, "{method} {path}")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::Endpoint;

    #[test]
    fn no_two_calls_are_the_same() {
        let names: HashSet<String> = Endpoint::ALL.iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), Endpoint::ALL.len());
    }
}
