//! What Flink says of the cluster: version, slots, TaskManagers, parallelism bounds.
//!
//! This module refuses to know what resources were asked for.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::lenient;

/// Version, slots and job counts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ClusterOverview {
    /// Such as `1.20.3`.
    pub flink_version: String,
    /// The abbreviated commit that Flink was built from.
    #[serde(default)]
    pub flink_commit: String,
    /// Registered TaskManagers.
    #[serde(default, deserialize_with = "lenient::count")]
    pub taskmanagers: u64,
    /// Slots of all TaskManagers.
    #[serde(default, deserialize_with = "lenient::count")]
    pub slots_total: u64,
    /// Slots that are free.
    #[serde(default, deserialize_with = "lenient::count")]
    pub slots_available: u64,
    /// Jobs that are not terminal.
    #[serde(default, deserialize_with = "lenient::count")]
    pub jobs_running: u64,
}

/// The dashboard's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ClusterConfiguration {
    /// Such as `1.20.3`.
    pub flink_version: String,
    /// Commit and date that Flink was built from, such as `f7dc7bd @ 2025-05-18T12:30:06+02:00`.
    #[serde(default)]
    pub flink_revision: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct ConfigurationEntry {
    pub(super) key: String,
    #[serde(default)]
    pub(super) value: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct TaskManagersAnswer {
    pub(super) taskmanagers: Vec<TaskManager>,
}

/// One registered TaskManager.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskManager {
    /// Its resource id: host and port of its RPC address, and a suffix.
    pub id: String,
    /// When the JobManager last heard of it, in milliseconds since 1970.
    #[serde(default, rename = "timeSinceLastHeartbeat", deserialize_with = "lenient::time_ms")]
    pub last_heartbeat_ms: Option<i64>,
    /// Its slots.
    #[serde(default, rename = "slotsNumber", deserialize_with = "lenient::count")]
    pub slots: u64,
    /// Its free slots.
    #[serde(default, deserialize_with = "lenient::count")]
    pub free_slots: u64,
    /// The machine under it.
    #[serde(default)]
    pub hardware: Hardware,
    /// The memory it was configured with.
    #[serde(default)]
    pub memory_configuration: MemoryConfiguration,
}

/// The machine under a TaskManager.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hardware {
    /// CPU cores that its JVM sees.
    #[serde(default, deserialize_with = "lenient::count")]
    pub cpu_cores: u64,
    /// Physical memory in bytes.
    #[serde(default, rename = "physicalMemory", deserialize_with = "lenient::count")]
    pub physical_memory_bytes: u64,
}

/// The memory that a TaskManager was configured with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryConfiguration {
    /// `taskmanager.memory.process.size` in bytes.
    #[serde(default, rename = "totalProcessMemory", deserialize_with = "lenient::count")]
    pub total_process_bytes: u64,
    /// The JVM's heap for tasks in bytes.
    #[serde(default, rename = "taskHeap", deserialize_with = "lenient::count")]
    pub task_heap_bytes: u64,
    /// Managed memory in bytes.
    #[serde(default, rename = "managedMemory", deserialize_with = "lenient::count")]
    pub managed_bytes: u64,
}

/// The parallelism bounds of each vertex, by vertex id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct ResourceRequirements {
    /// Vertex id (32 hexadecimal digits) → bounds.
    pub vertices: BTreeMap<String, VertexRequirements>,
}

/// What one vertex requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct VertexRequirements {
    /// Its parallelism.
    pub parallelism: ParallelismBounds,
}

/// The bounds within which the adaptive scheduler chooses, both inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ParallelismBounds {
    /// Fewer slots than this and the job waits.
    #[serde(deserialize_with = "lenient::integer")]
    pub lower_bound: i64,
    /// More slots than this are not used. -1 stands for no bound.
    #[serde(deserialize_with = "lenient::integer")]
    pub upper_bound: i64,
}

impl ResourceRequirements {
    pub(super) fn body(&self) -> Value {
        let vertices = self.vertices.iter().map(|(id, vertex)| {
            let ParallelismBounds { lower_bound, upper_bound } = vertex.parallelism;
            (id.clone(), json!({ "parallelism": { "lowerBound": lower_bound, "upperBound": upper_bound } }))
        });
        Value::Object(vertices.collect())
    }
}
