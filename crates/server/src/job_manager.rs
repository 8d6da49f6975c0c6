//! What only a JobManager knows of a job, in the shapes of the pages: checkpoints, failures, the graph and what it does
//! now. Refuses to change anything in Flink.

use std::collections::{BTreeMap, HashMap};

use drey_flink::rest::{
    AggregatedMetric, Checkpoint, CheckpointConfiguration, CheckpointStatistics, CheckpointStatus,
    ExternalPath, Externalization, JobException, JobExceptions,
};
use drey_flink::{FlinkRest, JobId, RestError};
use futures::future::{join_all, try_join_all};
use schemars::JsonSchema;
use serde::Serialize;

/// What a JobManager tells of a job's checkpoints.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Checkpoints {
    counts: Counts,
    /// What the job was restored from.
    restored: Option<RestoredCheckpoint>,
    /// Over the completed ones that Flink remembers.
    summary: Option<CheckpointSummary>,
    /// The newest first.
    history: Vec<CheckpointRow>,
    /// How they are taken.
    configuration: Vec<Setting>,
}

/// One setting, in words.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
struct Setting {
    name: &'static str,
    value: String,
}

/// How many there were.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Counts {
    completed: u64,
    failed: u64,
    in_progress: u64,
    restored: u64,
}

#[derive(Debug, Serialize, JsonSchema)]
struct RestoredCheckpoint {
    id: u64,
    /// When, epoch milliseconds.
    at: Option<i64>,
    savepoint: bool,
    path: Option<String>,
}

/// One checkpoint or savepoint.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct CheckpointRow {
    id: u64,
    /// `IN_PROGRESS`, `COMPLETED` or `FAILED`.
    status: &'static str,
    savepoint: bool,
    /// Epoch milliseconds.
    triggered_at: Option<i64>,
    duration_ms: Option<i64>,
    size_bytes: u64,
    failure: Option<String>,
    path: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct CheckpointSummary {
    duration_ms: Spread,
    size_bytes: Spread,
}

/// The checkpoints of a job; `None` when Flink does not know the job (any more).
pub(crate) async fn checkpoints(flink: &FlinkRest, job: JobId) -> Result<Option<Checkpoints>, RestError> {
    let (statistics, configuration) =
        tokio::join!(flink.checkpoints(job), flink.checkpoint_configuration(job));
    let Some(statistics) = statistics? else { return Ok(None) };
    Ok(Some(shown(statistics, &configuration.unwrap_or_default())))
}

fn shown(statistics: CheckpointStatistics, configuration: &CheckpointConfiguration) -> Checkpoints {
    let counts = &statistics.counts;
    Checkpoints {
        counts: Counts {
            completed: counts.completed,
            failed: counts.failed,
            in_progress: counts.in_progress,
            restored: counts.restored,
        },
        restored: statistics.latest.restored.map(|restored| RestoredCheckpoint {
            id: restored.id,
            at: restored.restored_at_ms,
            savepoint: restored.is_savepoint,
            path: location(restored.external_path.as_ref()),
        }),
        summary: summary(&statistics.history),
        history: statistics.history.into_iter().map(checkpoint).collect(),
        configuration: settings(configuration),
    }
}

fn settings(configuration: &CheckpointConfiguration) -> Vec<Setting> {
    // As large as a Java number can be: checkpoints are taken only when somebody asks.
    const NEVER_MS: i64 = i64::MAX / 2;
    let interval = |ms: i64| if ms >= NEVER_MS { "only when asked for".to_owned() } else { span(ms) };
    let word = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let kept = |kept: Externalization| match (kept.enabled, kept.delete_on_cancellation) {
        (false, _) => "no".to_owned(),
        (true, true) => "when it fails".to_owned(),
        (true, false) => "when it fails or is cancelled".to_owned(),
    };
    let count = |count: i64| count.to_string();
    [
        ("Interval", configuration.interval_ms.map(interval)),
        ("Least pause between two", configuration.min_pause_ms.map(span)),
        ("Timeout", configuration.timeout_ms.map(span)),
        ("Guarantee", configuration.mode.as_ref().map(|mode| mode.replace('_', " "))),
        ("At once", configuration.concurrent_max.map(count)),
        ("Failures in a row that are borne", configuration.tolerable_failed_checkpoints.map(count)),
        ("Unaligned", configuration.unaligned_checkpoints.map(word)),
        ("Kept after the job", configuration.externalization.map(kept)),
        ("State backend", configuration.state_backend.clone()),
        ("Storage", configuration.checkpoint_storage.clone()),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some(Setting { name, value: value? }))
    .collect()
}

fn span(ms: i64) -> String {
    match ms {
        ms if ms >= 60_000 && ms % 60_000 == 0 => format!("{} min", ms / 60_000),
        ms if ms >= 1_000 && ms % 1_000 == 0 => format!("{} s", ms / 1_000),
        ms => format!("{ms} ms"),
    }
}

/// What one checkpoint took each vertex.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CheckpointInDepth {
    vertices: Vec<VertexTook>,
}

/// What a checkpoint took one vertex: the figures of its slowest subtask.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct VertexTook {
    name: String,
    /// From the trigger to the acknowledgement.
    duration_ms: Option<i64>,
    /// From the trigger until the first barrier came in.
    start_delay_ms: Option<i64>,
    /// From the first barrier to the last.
    alignment_ms: Option<i64>,
    /// While records waited.
    sync_ms: Option<i64>,
    /// While records went on.
    async_ms: Option<i64>,
    /// State of all subtasks.
    size_bytes: Option<i64>,
}

/// What checkpoint `id` took each vertex.
pub(crate) async fn checkpoint_in_depth(
    flink: &FlinkRest,
    job: JobId,
    id: u64,
) -> Result<CheckpointInDepth, RestError> {
    let detail = flink.job_detail(job).await?;
    let asked = detail.vertices.into_iter().take(VERTICES_MAX).map(async |vertex| {
        let took = flink.checkpoint_of_vertex(job, id, &vertex.id).await?;
        Ok(VertexTook {
            name: vertex.name,
            duration_ms: took.end_to_end_ms,
            start_delay_ms: took.start_delay_ms,
            alignment_ms: took.alignment_ms,
            sync_ms: took.sync_ms,
            async_ms: took.async_ms,
            size_bytes: took.state_bytes,
        })
    });
    Ok(CheckpointInDepth { vertices: try_join_all(asked).await? })
}

fn location(path: Option<&ExternalPath>) -> Option<String> {
    path.and_then(ExternalPath::location).map(str::to_owned)
}

fn checkpoint(checkpoint: Checkpoint) -> CheckpointRow {
    CheckpointRow {
        id: checkpoint.id,
        status: match checkpoint.status {
            CheckpointStatus::InProgress => "IN_PROGRESS",
            CheckpointStatus::Completed => "COMPLETED",
            CheckpointStatus::Failed => "FAILED",
        },
        savepoint: checkpoint.is_savepoint,
        triggered_at: checkpoint.triggered_at_ms,
        duration_ms: duration_ms(&checkpoint),
        size_bytes: checkpoint.state_bytes,
        path: location(checkpoint.external_path.as_ref()),
        failure: checkpoint.failure_message,
    }
}

fn duration_ms(checkpoint: &Checkpoint) -> Option<i64> {
    let end = checkpoint.failed_at_ms.or(checkpoint.acknowledged_at_ms)?;
    Some((end - checkpoint.triggered_at_ms?).max(0))
}

#[derive(Debug, Serialize, JsonSchema)]
struct Spread {
    min: i64,
    avg: i64,
    max: i64,
    p50: i64,
    p95: i64,
    p99: i64,
}

impl Spread {
    fn of(mut values: Vec<i64>) -> Option<Spread> {
        values.sort_unstable();
        let (min, max) = (*values.first()?, *values.last()?);
        let count = i64::try_from(values.len()).ok()?;
        let rank = |hundredths: usize| values[((values.len() - 1) * hundredths).div_ceil(100)];
        Some(Spread {
            min,
            max,
            avg: values.iter().sum::<i64>() / count,
            p50: rank(50),
            p95: rank(95),
            p99: rank(99),
        })
    }
}

fn summary(history: &[Checkpoint]) -> Option<CheckpointSummary> {
    let completed: Vec<&Checkpoint> =
        history.iter().filter(|checkpoint| checkpoint.status == CheckpointStatus::Completed).collect();
    let durations = completed.iter().filter_map(|checkpoint| duration_ms(checkpoint)).collect();
    let sizes =
        completed.iter().filter_map(|checkpoint| i64::try_from(checkpoint.state_bytes).ok()).collect();
    Some(CheckpointSummary { duration_ms: Spread::of(durations)?, size_bytes: Spread::of(sizes)? })
}

/// Why a job failed.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Exceptions {
    items: Vec<Failure>,
    /// There were more than Flink remembers.
    truncated: bool,
}

/// One failure.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "JobException")]
#[serde(rename_all = "camelCase")]
struct Failure {
    /// Epoch milliseconds.
    at: Option<i64>,
    /// The root cause.
    title: String,
    stack: String,
    task: Option<String>,
    task_manager: Option<String>,
    /// Outermost first, the root cause last.
    chain: Vec<String>,
}

/// Why a job failed, the root cause first.
pub(crate) fn exceptions(exceptions: JobExceptions) -> Exceptions {
    let failure = |entry: JobException| {
        let chain = chain(&entry.stack_trace);
        Failure {
            at: entry.timestamp_ms,
            title: chain.last().cloned().unwrap_or(entry.name),
            stack: entry.stack_trace,
            task: entry.task_name,
            task_manager: entry.taskmanager_id.or(entry.endpoint),
            chain,
        }
    };
    Exceptions {
        items: exceptions.entries.into_iter().map(failure).collect(),
        truncated: exceptions.truncated,
    }
}

/// The first line of each exception of a stack trace, outermost first.
fn chain(stack: &str) -> Vec<String> {
    let is_frame = |line: &str| line.starts_with(char::is_whitespace);
    let mut chain: Vec<String> = Vec::new();
    for line in stack.lines().filter(|line| !line.is_empty() && !is_frame(line)) {
        match line.strip_prefix("Caused by: ") {
            Some(cause) => chain.push(cause.to_owned()),
            None if chain.is_empty() => chain.push(line.to_owned()),
            // A message of several lines.
            None => {}
        }
    }
    chain
}

/// What is asked of a vertex: records that it has seen, in all and a second, and its watermark, over its subtasks.
const OF_VERTEX: [&str; 5] = [
    "numRecordsIn",
    "numRecordsOut",
    "numRecordsInPerSecond",
    "numRecordsOutPerSecond",
    "currentInputWatermark",
];
/// What TaskManagers use.
const USED: [&str; 3] = ["Status.JVM.Memory.Heap.Used", "Status.JVM.Memory.Heap.Max", "Status.JVM.CPU.Load"];
/// The most vertices that are asked for their metrics.
const VERTICES_MAX: usize = 60;

fn find<'a>(metrics: &'a [AggregatedMetric], name: &str) -> Option<&'a AggregatedMetric> {
    metrics.iter().find(|metric| metric.id == name)
}

fn sum(metrics: &[AggregatedMetric], name: &str) -> Option<f64> {
    find(metrics, name)?.sum.filter(|value| value.is_finite())
}

/// The watermark of a vertex is that of its slowest subtask. Flink's smallest number stands for none yet, and its largest
/// for the end of all inputs: neither is a moment.
#[expect(clippy::cast_possible_truncation, reason = "it is held to the range of moments before")]
fn watermark(metrics: &[AggregatedMetric]) -> Option<i64> {
    let least = find(metrics, "currentInputWatermark")?.min?;
    let moments = jiff::Timestamp::MIN.as_millisecond()..=jiff::Timestamp::MAX.as_millisecond();
    Some(least as i64).filter(|at_ms| moments.contains(at_ms))
}

/// The graph of a job.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Graph {
    vertices: Vec<Vertex>,
}

/// One vertex of the graph.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Vertex {
    id: String,
    name: String,
    parallelism: u64,
    status: String,
    /// Ids of the vertices that it reads from.
    inputs: Vec<String>,
    /// How many tasks are in which state.
    tasks: BTreeMap<String, u64>,
    /// Epoch milliseconds of event time.
    watermark: Option<i64>,
    records_in: Option<f64>,
    records_out: Option<f64>,
    /// Share of time, 0 to 1.
    back_pressure: Option<f64>,
    /// Share of time, 0 to 1.
    busy: Option<f64>,
}

/// The vertices of a job, how they are connected and how much each waits. What one vertex does not tell is left out.
pub(crate) async fn graph(flink: &FlinkRest, job: JobId) -> Result<Graph, RestError> {
    let detail = flink.job_detail(job).await?;
    let asked = detail.vertices.iter().take(VERTICES_MAX).map(async |vertex| {
        tokio::join!(flink.vertex_metrics(job, &vertex.id, &OF_VERTEX), flink.back_pressure(job, &vertex.id))
    });
    let mut told = join_all(asked).await.into_iter();
    let mut inputs: HashMap<String, Vec<String>> = detail
        .plan
        .nodes
        .into_iter()
        .map(|node| (node.id, node.inputs.into_iter().map(|input| input.id).collect()))
        .collect();
    let vertices = detail.vertices.into_iter().map(|vertex| {
        let (metrics, pressure) = told.next().map_or((Vec::new(), None), |(metrics, pressure)| {
            (metrics.unwrap_or_default(), pressure.ok().flatten())
        });
        Vertex {
            inputs: inputs.remove(&vertex.id).unwrap_or_default(),
            tasks: vertex.tasks.into_iter().filter(|(_, count)| *count > 0).collect(),
            id: vertex.id,
            name: vertex.name,
            parallelism: vertex.parallelism,
            status: vertex.status,
            watermark: watermark(&metrics),
            records_in: sum(&metrics, "numRecordsIn"),
            records_out: sum(&metrics, "numRecordsOut"),
            back_pressure: pressure.map(|pressure| pressure.back_pressured),
            busy: pressure.map(|pressure| pressure.busy),
        }
    });
    Ok(Graph { vertices: vertices.collect() })
}

/// What a job does at one moment.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Metrics {
    /// Epoch milliseconds.
    at: i64,
    values: Vec<Metric>,
}

/// One number.
#[derive(Debug, Serialize, JsonSchema)]
struct Metric {
    name: &'static str,
    /// `records/s`, `bytes`, `ratio` or `count`.
    unit: &'static str,
    value: Option<f64>,
    /// What it can be at most.
    limit: Option<f64>,
}

/// What a job does at this moment: records of its sources and sinks a second, and what its TaskManagers use.
pub(crate) async fn metrics(flink: &FlinkRest, job: JobId, now_ms: i64) -> Result<Metrics, RestError> {
    let detail = flink.job_detail(job).await?;
    let has_input = |id: &str| detail.plan.nodes.iter().any(|node| node.id == id && !node.inputs.is_empty());
    let feeds =
        |id: &str| detail.plan.nodes.iter().any(|node| node.inputs.iter().any(|input| input.id == id));
    let asked = detail.vertices.iter().take(VERTICES_MAX).map(async |vertex| {
        (vertex, flink.vertex_metrics(job, &vertex.id, &OF_VERTEX).await.unwrap_or_default())
    });
    let (told, used, health) =
        tokio::join!(join_all(asked), flink.taskmanagers_metrics(&USED), flink.metrics(job));
    let used = used.unwrap_or_default();
    let health = health.unwrap_or_default();
    // Between vertices alone are records counted: a source has no input and a sink no output.
    let add = |known: Option<f64>, more: Option<f64>| match (known, more) {
        (None, None) => None,
        (known, more) => Some(known.unwrap_or(0.0) + more.unwrap_or(0.0)),
    };
    let (mut read, mut written) = (None, None);
    for (vertex, metrics) in &told {
        if !has_input(&vertex.id) {
            read = add(read, sum(metrics, "numRecordsOutPerSecond"));
        }
        if !feeds(&vertex.id) {
            written = add(written, sum(metrics, "numRecordsInPerSecond"));
        }
    }
    let metric = |name, unit, value| Metric { name, unit, value, limit: None };
    #[expect(clippy::cast_precision_loss, reason = "counts of restarts and checkpoints are small")]
    let count = |count: Option<u64>| count.map(|count| count as f64);
    let heap_max = sum(&used, USED[1]).filter(|bytes| *bytes > 0.0);
    Ok(Metrics {
        at: now_ms,
        values: vec![
            metric("Records from sources", "records/s", read),
            metric("Records to sinks", "records/s", written),
            Metric { limit: heap_max, ..metric("TaskManagers' heap", "bytes", sum(&used, USED[0])) },
            metric("TaskManagers' processors", "ratio", sum(&used, USED[2])),
            metric("Restarts", "count", count(health.restarts)),
            metric("Checkpoints completed", "count", count(health.completed_checkpoints)),
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_cause_is_the_last_of_the_chain() {
        let stack = "a.Outer: it failed\nand more of it\n\tat x.Y(Z.java:1)\nCaused by: b.Middle: why\n\t... 3 more\n\
                     Caused by: c.Root: Topic not found\n\tat q";
        assert_eq!(chain(stack), ["a.Outer: it failed", "b.Middle: why", "c.Root: Topic not found"]);
        assert!(chain("").is_empty());
    }

    #[test]
    fn settings_are_said_in_words_and_what_is_not_told_is_left_out() {
        let configuration: CheckpointConfiguration = serde_json::from_str(
            r#"{"mode":"exactly_once","interval":9223372036854775807,"timeout":600000,"min_pause":1500,
                "externalization":{"enabled":true,"delete_on_cancellation":false}}"#,
        )
        .expect("an answer");
        let told: Vec<(&str, String)> =
            settings(&configuration).into_iter().map(|setting| (setting.name, setting.value)).collect();
        let said = |name, value: &str| (name, value.to_owned());
        assert_eq!(
            told,
            [
                said("Interval", "only when asked for"),
                said("Least pause between two", "1500 ms"),
                said("Timeout", "10 min"),
                said("Guarantee", "exactly once"),
                said("Kept after the job", "when it fails or is cancelled"),
            ]
        );
    }

    #[test]
    fn a_watermark_is_a_moment_or_none() {
        let of = |min: f64| {
            let told = serde_json::json!([{ "id": "currentInputWatermark", "min": min }]);
            watermark(&serde_json::from_value::<Vec<AggregatedMetric>>(told).expect("metrics"))
        };
        assert_eq!(of(1_700_000_000_000.0), Some(1_700_000_000_000));
        assert_eq!((of(-9_223_372_036_854_775_808.0), of(9.223_372_036_854_776e18)), (None, None));
    }

    #[test]
    fn spreads_are_of_what_there_is() {
        assert!(Spread::of(Vec::new()).is_none());
        let spread = Spread::of((1..=100).rev().collect()).expect("some");
        assert_eq!(
            (spread.min, spread.avg, spread.max, spread.p50, spread.p95, spread.p99),
            (1, 50, 100, 51, 96, 100)
        );
        let one = Spread::of(vec![7]).expect("one");
        assert_eq!((one.p50, one.p99), (7, 7));
    }
}
