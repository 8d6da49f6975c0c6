//! What Flink says of checkpoints and savepoints of a job.
//!
//! This module refuses to choose one to restore from: it only says which there are.

use serde::Deserialize;

use super::lenient;

/// Counts, latest checkpoints and history of a job **in this JobManager**: a JobManager that took over
/// knows the one it restored and those since.
///
/// **The answer may be old**: Flink keeps it for `rest.cache.checkpoint-statistics.timeout` (3 s by
/// default), also across a savepoint and the job's end. Who restores from what it says waits that long
/// after the job has ended, or sets the option to `0 s`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CheckpointStatistics {
    /// How many of each.
    #[serde(default)]
    pub counts: CheckpointCounts,
    /// The latest of each kind.
    #[serde(default)]
    pub latest: LatestCheckpoints,
    /// The latest ones, newest first (`web.checkpoints.history`, 10 by default).
    #[serde(default)]
    pub history: Vec<Checkpoint>,
}

/// How many checkpoints this JobManager has seen, savepoints included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct CheckpointCounts {
    /// Restores, including those after a failure.
    #[serde(default, deserialize_with = "lenient::count")]
    pub restored: u64,
    /// All that were started.
    #[serde(default, deserialize_with = "lenient::count")]
    pub total: u64,
    /// Those that go on now.
    #[serde(default, deserialize_with = "lenient::count")]
    pub in_progress: u64,
    /// Those that completed.
    #[serde(default, deserialize_with = "lenient::count")]
    pub completed: u64,
    /// Those that failed.
    #[serde(default, deserialize_with = "lenient::count")]
    pub failed: u64,
}

/// The latest checkpoint of each kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct LatestCheckpoints {
    /// The latest completed checkpoint that is no savepoint.
    #[serde(default)]
    pub completed: Option<Checkpoint>,
    /// The latest completed savepoint.
    #[serde(default)]
    pub savepoint: Option<Checkpoint>,
    /// The latest that failed.
    #[serde(default)]
    pub failed: Option<Checkpoint>,
    /// The one that the job was last restored from.
    #[serde(default)]
    pub restored: Option<RestoredCheckpoint>,
}

/// Where a checkpoint stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CheckpointStatus {
    /// It goes on.
    InProgress,
    /// It can be restored from, unless it was discarded.
    Completed,
    /// It failed.
    Failed,
}

/// Where a checkpoint's metadata lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExternalPath {
    /// At this location.
    At(String),
    /// Only in the JobManager's memory, so that it ends with it (no `execution.checkpointing.dir` is set).
    NotAddressable,
}

impl ExternalPath {
    /// What Flink writes when a checkpoint has no location.
    pub const NOT_ADDRESSABLE: &'static str = "<checkpoint-not-externally-addressable>";

    /// The location, if there is one.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        match self {
            Self::At(location) => Some(location),
            Self::NotAddressable => None,
        }
    }
}

impl<'de> Deserialize<'de> for ExternalPath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(if text == Self::NOT_ADDRESSABLE { Self::NotAddressable } else { Self::At(text) })
    }
}

/// One checkpoint or savepoint.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Checkpoint {
    /// Its number; it grows through the whole life of a job, restores included.
    #[serde(deserialize_with = "lenient::number")]
    pub id: u64,
    /// Where it stands.
    pub status: CheckpointStatus,
    /// Whether it is a savepoint (also one made by stopping).
    #[serde(default)]
    pub is_savepoint: bool,
    /// When it was started, in milliseconds since 1970.
    #[serde(default, rename = "trigger_timestamp", deserialize_with = "lenient::time_ms")]
    pub triggered_at_ms: Option<i64>,
    /// When the last task acknowledged it, in milliseconds since 1970; the end of a completed one.
    #[serde(default, rename = "latest_ack_timestamp", deserialize_with = "lenient::time_ms")]
    pub acknowledged_at_ms: Option<i64>,
    /// When it failed, in milliseconds since 1970.
    #[serde(default, rename = "failure_timestamp", deserialize_with = "lenient::time_ms")]
    pub failed_at_ms: Option<i64>,
    /// Why it failed.
    #[serde(default)]
    pub failure_message: Option<String>,
    /// How much state it holds, in bytes; an incremental one counts what it shares.
    #[serde(default, rename = "state_size", deserialize_with = "lenient::count")]
    pub state_bytes: u64,
    /// Where its metadata lies, once completed.
    #[serde(default)]
    pub external_path: Option<ExternalPath>,
    /// Whether its files were removed since.
    #[serde(default)]
    pub discarded: bool,
    /// Flink's word for its kind, such as `CHECKPOINT`, `UNALIGNED_CHECKPOINT`, `SAVEPOINT`, `SYNC_SAVEPOINT`.
    #[serde(default)]
    pub checkpoint_type: Option<String>,
}

/// How checkpoints of a job are taken. What a version of Flink does not tell is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct CheckpointConfiguration {
    /// Such as `exactly_once`.
    #[serde(default)]
    pub mode: Option<String>,
    /// How long from the beginning of one to that of the next, milliseconds; very large when only asked for.
    #[serde(default, rename = "interval", deserialize_with = "lenient::optional_integer")]
    pub interval_ms: Option<i64>,
    /// How long one may take, milliseconds.
    #[serde(default, rename = "timeout", deserialize_with = "lenient::optional_integer")]
    pub timeout_ms: Option<i64>,
    /// How long at least from the end of one to the beginning of the next, milliseconds.
    #[serde(default, rename = "min_pause", deserialize_with = "lenient::optional_integer")]
    pub min_pause_ms: Option<i64>,
    /// How many at once.
    #[serde(default, rename = "max_concurrent", deserialize_with = "lenient::optional_integer")]
    pub concurrent_max: Option<i64>,
    /// How many may fail one after the other until the job does.
    #[serde(default, deserialize_with = "lenient::optional_integer")]
    pub tolerable_failed_checkpoints: Option<i64>,
    /// Whether they pass records that wait.
    #[serde(default)]
    pub unaligned_checkpoints: Option<bool>,
    /// What becomes of them when the job ends.
    #[serde(default)]
    pub externalization: Option<Externalization>,
    /// Such as `EmbeddedRocksDBStateBackend`.
    #[serde(default)]
    pub state_backend: Option<String>,
    /// Such as `FileSystemCheckpointStorage`.
    #[serde(default)]
    pub checkpoint_storage: Option<String>,
}

/// What becomes of checkpoints when the job ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Externalization {
    /// They stay when the job fails.
    pub enabled: bool,
    /// They go when it is cancelled.
    #[serde(default)]
    pub delete_on_cancellation: bool,
}

/// What a checkpoint took one vertex. Each figure is that of the slowest or largest subtask; `None` before any has
/// acknowledged it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "VertexCheckpointAnswer")]
pub struct VertexCheckpoint {
    /// From the trigger to the acknowledgement, milliseconds.
    pub end_to_end_ms: Option<i64>,
    /// From the trigger until the first barrier came in, milliseconds.
    pub start_delay_ms: Option<i64>,
    /// From the first barrier to the last, milliseconds.
    pub alignment_ms: Option<i64>,
    /// While records waited, milliseconds.
    pub sync_ms: Option<i64>,
    /// While records went on, milliseconds.
    pub async_ms: Option<i64>,
    /// State of all subtasks, bytes.
    pub state_bytes: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct VertexCheckpointAnswer {
    state_size: Option<i64>,
    summary: VertexSummary,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct VertexSummary {
    end_to_end_duration: Largest,
    start_delay: Largest,
    alignment: Alignment,
    checkpoint_duration: Phases,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Alignment {
    duration: Largest,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Phases {
    sync: Largest,
    r#async: Largest,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Largest {
    max: Option<i64>,
}

impl From<VertexCheckpointAnswer> for VertexCheckpoint {
    fn from(answer: VertexCheckpointAnswer) -> VertexCheckpoint {
        // Flink says -1 for "not yet".
        let known = |largest: Largest| largest.max.filter(|largest| *largest >= 0);
        let summary = answer.summary;
        VertexCheckpoint {
            end_to_end_ms: known(summary.end_to_end_duration),
            start_delay_ms: known(summary.start_delay),
            alignment_ms: known(summary.alignment.duration),
            sync_ms: known(summary.checkpoint_duration.sync),
            async_ms: known(summary.checkpoint_duration.r#async),
            state_bytes: answer.state_size.filter(|bytes| *bytes >= 0),
        }
    }
}

/// The checkpoint that a job was restored from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RestoredCheckpoint {
    /// Its number.
    #[serde(deserialize_with = "lenient::number")]
    pub id: u64,
    /// When it was restored, in milliseconds since 1970.
    #[serde(default, rename = "restore_timestamp", deserialize_with = "lenient::time_ms")]
    pub restored_at_ms: Option<i64>,
    /// Whether it is a savepoint.
    #[serde(default)]
    pub is_savepoint: bool,
    /// Where its metadata lies.
    #[serde(default)]
    pub external_path: Option<ExternalPath>,
}

/// A checkpoint that a job may be restored from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestorePoint {
    /// Its number.
    pub id: u64,
    /// Where its metadata lies.
    pub path: ExternalPath,
    /// Whether it is a savepoint.
    pub is_savepoint: bool,
    /// Whether its files were removed, so that it cannot be restored from. If the newest one says so, there
    /// is a newer one that this answer does not show yet, or the job was told to keep none.
    pub discarded: bool,
}

impl CheckpointStatistics {
    /// The newest of the latest completed checkpoint, the latest savepoint and the restored one, by
    /// number, as the Kubernetes operator picks it; discarded or not, since an older one is never what is
    /// wanted. `None` if there is none.
    #[must_use]
    pub fn newest_restore_point(&self) -> Option<RestorePoint> {
        let LatestCheckpoints { completed, savepoint, failed: _, restored } = &self.latest;
        let taken = [completed, savepoint].into_iter().flatten().map(Checkpoint::restore_point);
        let points = taken.chain(restored.iter().map(RestoredCheckpoint::restore_point));
        points.flatten().max_by_key(|point| point.id)
    }
}

impl Checkpoint {
    fn restore_point(&self) -> Option<RestorePoint> {
        let path = self.external_path.clone()?;
        Some(RestorePoint { id: self.id, path, is_savepoint: self.is_savepoint, discarded: self.discarded })
    }
}

impl RestoredCheckpoint {
    fn restore_point(&self) -> Option<RestorePoint> {
        let path = self.external_path.clone()?;
        Some(RestorePoint { id: self.id, path, is_savepoint: self.is_savepoint, discarded: false })
    }
}

#[cfg(test)]
mod tests {
    use super::{CheckpointStatistics, ExternalPath, VertexCheckpoint};

    fn newest(latest: &str) -> Option<(u64, Option<String>, bool)> {
        let statistics: CheckpointStatistics =
            serde_json::from_str(&format!("{{\"latest\":{latest}}}")).unwrap();
        statistics
            .newest_restore_point()
            .map(|point| (point.id, point.path.location().map(str::to_owned), point.discarded))
    }

    #[test]
    fn the_newest_restore_point_is_the_highest_number() {
        let completed = r#""completed":{"id":4,"status":"COMPLETED","external_path":"file:/c4"}"#;
        let savepoint =
            r#""savepoint":{"id":5,"status":"COMPLETED","is_savepoint":true,"external_path":"file:/s5"}"#;
        let discarded =
            r#""savepoint":{"id":5,"status":"COMPLETED","external_path":"file:/d5","discarded":true}"#;
        let restored = r#""restored":{"id":9,"is_savepoint":false,"external_path":"file:/r9"}"#;
        let at = |id, path: &str| Some((id, Some(path.to_owned()), path == "file:/d5"));
        assert_eq!(newest(&format!("{{{completed},{savepoint}}}")), at(5, "file:/s5"));
        assert_eq!(newest(&format!("{{{completed},{discarded}}}")), at(5, "file:/d5"));
        assert_eq!(newest(&format!("{{{completed},{restored}}}")), at(9, "file:/r9"));
        assert_eq!(newest(r#"{"completed":null,"failed":{"id":9,"status":"FAILED"}}"#), None);
    }

    #[test]
    fn what_a_checkpoint_took_a_vertex_is_that_of_its_slowest_subtask() {
        let text = r#"{"id":7,"status":"COMPLETED","state_size":2048,"summary":{
            "end_to_end_duration":{"min":3,"max":9,"avg":6},"start_delay":{"max":-1},
            "checkpoint_duration":{"sync":{"max":1},"async":{"max":5}},"alignment":{"buffered":{"max":0},"duration":{"max":4}}},
            "subtasks":[{"index":0,"status":"pending_or_failed"}]}"#;
        let took: VertexCheckpoint = serde_json::from_str(text).unwrap();
        assert_eq!((took.end_to_end_ms, took.start_delay_ms, took.alignment_ms), (Some(9), None, Some(4)));
        assert_eq!((took.sync_ms, took.async_ms, took.state_bytes), (Some(1), Some(5), Some(2048)));
        assert_eq!(serde_json::from_str::<VertexCheckpoint>("{}").unwrap(), VertexCheckpoint::default());
    }

    #[test]
    fn a_checkpoint_in_memory_has_no_location() {
        let text = format!(
            r#"{{"completed":{{"id":1,"status":"COMPLETED","external_path":"{}"}}}}"#,
            ExternalPath::NOT_ADDRESSABLE
        );
        assert_eq!(newest(&text), Some((1, None, false)));
    }
}
