//! What only a JobManager knows of a job, in the shapes of the pages: checkpoints, failures, the graph and what it does now. Refuses to change
//! anything in Flink.

use drey_flink::rest::{
    AggregatedMetric, Checkpoint, CheckpointStatistics, CheckpointStatus, ExternalPath, JobExceptions,
};
use drey_flink::{FlinkRest, JobId, RestError};
use futures::future::join_all;
use serde::Serialize;
use serde_json::{Map, Value, json};

/// The checkpoints of a job; `None` when Flink does not know the job (any more).
pub(crate) async fn checkpoints(flink: &FlinkRest, job: JobId) -> Result<Option<Value>, RestError> {
    let Some(statistics) = flink.checkpoints(job).await? else { return Ok(None) };
    Ok(Some(shown(&statistics)))
}

fn shown(statistics: &CheckpointStatistics) -> Value {
    let counts = &statistics.counts;
    let restored = statistics.latest.restored.as_ref().map(|restored| {
        json!({
            "id": restored.id, "at": restored.restored_at_ms, "savepoint": restored.is_savepoint,
            "path": restored.external_path.as_ref().and_then(ExternalPath::location),
        })
    });
    let history: Vec<Value> = statistics.history.iter().map(checkpoint).collect();
    json!({
        "counts": {
            "completed": counts.completed, "failed": counts.failed, "inProgress": counts.in_progress,
            "restored": counts.restored,
        },
        "restored": restored,
        "summary": summary(&statistics.history),
        "history": history,
        "config": {},
    })
}

fn checkpoint(checkpoint: &Checkpoint) -> Value {
    let status = match checkpoint.status {
        CheckpointStatus::InProgress => "IN_PROGRESS",
        CheckpointStatus::Completed => "COMPLETED",
        CheckpointStatus::Failed => "FAILED",
    };
    json!({
        "id": checkpoint.id,
        "status": status,
        "savepoint": checkpoint.is_savepoint,
        "triggeredAt": checkpoint.triggered_at_ms,
        "durationMs": duration_ms(checkpoint),
        "sizeBytes": checkpoint.state_bytes,
        "alignmentMs": null,
        "failure": checkpoint.failure_message,
        "path": checkpoint.external_path.as_ref().and_then(ExternalPath::location),
    })
}

fn duration_ms(checkpoint: &Checkpoint) -> Option<i64> {
    let end = checkpoint.failed_at_ms.or(checkpoint.acknowledged_at_ms)?;
    Some((end - checkpoint.triggered_at_ms?).max(0))
}

#[derive(Serialize)]
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

/// Over the completed ones that Flink remembers.
fn summary(history: &[Checkpoint]) -> Value {
    let completed: Vec<&Checkpoint> =
        history.iter().filter(|checkpoint| checkpoint.status == CheckpointStatus::Completed).collect();
    let durations = completed.iter().filter_map(|checkpoint| duration_ms(checkpoint)).collect();
    let sizes =
        completed.iter().filter_map(|checkpoint| i64::try_from(checkpoint.state_bytes).ok()).collect();
    match (Spread::of(durations), Spread::of(sizes)) {
        (Some(duration), Some(size)) => json!({ "durationMs": duration, "sizeBytes": size }),
        _ => Value::Null,
    }
}

/// Why a job failed, the root cause first.
pub(crate) fn exceptions(exceptions: &JobExceptions) -> Value {
    let items: Vec<Value> = exceptions
        .entries
        .iter()
        .map(|entry| {
            let chain = chain(&entry.stack_trace);
            let title = chain.last().cloned().unwrap_or_else(|| entry.name.clone());
            json!({
                "at": entry.timestamp_ms, "title": title, "stack": entry.stack_trace, "task": entry.task_name,
                "taskManager": entry.taskmanager_id.as_ref().or(entry.endpoint.as_ref()), "chain": chain,
            })
        })
        .collect();
    json!({ "items": items, "truncated": exceptions.truncated })
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

/// Records that a vertex has seen, in all and a second, over its subtasks.
const RECORDS: [&str; 4] =
    ["numRecordsIn", "numRecordsOut", "numRecordsInPerSecond", "numRecordsOutPerSecond"];
/// What TaskManagers use.
const USED: [&str; 3] = ["Status.JVM.Memory.Heap.Used", "Status.JVM.Memory.Heap.Max", "Status.JVM.CPU.Load"];
/// The most vertices that are asked for their metrics.
const VERTICES_MAX: usize = 60;

fn sum(metrics: &[AggregatedMetric], name: &str) -> Option<f64> {
    metrics.iter().find(|metric| metric.id == name)?.sum.filter(|value| value.is_finite())
}

/// The vertices of a job, how they are connected and how much each waits. What one vertex does not tell is left out.
pub(crate) async fn graph(flink: &FlinkRest, job: JobId) -> Result<Value, RestError> {
    let detail = flink.job_detail(job).await?;
    let asked = detail.vertices.iter().take(VERTICES_MAX).map(async |vertex| {
        tokio::join!(flink.vertex_metrics(job, &vertex.id, &RECORDS), flink.back_pressure(job, &vertex.id))
    });
    let told = join_all(asked).await;
    let vertices = detail.vertices.iter().enumerate().map(|(index, vertex)| {
        let (records, pressure) = match told.get(index) {
            Some((records, pressure)) => {
                (records.as_deref().unwrap_or_default(), pressure.as_ref().ok().copied().flatten())
            }
            None => (&[][..], None),
        };
        let node = detail.plan.nodes.iter().find(|node| node.id == vertex.id);
        let inputs: Vec<&str> =
            node.map(|node| node.inputs.iter().map(|input| input.id.as_str()).collect()).unwrap_or_default();
        let tasks: Map<String, Value> = vertex
            .tasks
            .iter()
            .filter(|(_, count)| **count > 0)
            .map(|(state, count)| (state.clone(), json!(count)))
            .collect();
        json!({
            "id": vertex.id, "name": vertex.name, "parallelism": vertex.parallelism, "status": vertex.status,
            "inputs": inputs, "tasks": tasks, "watermark": null,
            "recordsIn": sum(records, "numRecordsIn"), "recordsOut": sum(records, "numRecordsOut"),
            "backPressure": pressure.map(|pressure| pressure.back_pressured),
            "busy": pressure.map(|pressure| pressure.busy),
        })
    });
    Ok(json!({ "vertices": vertices.collect::<Vec<_>>() }))
}

/// What a job does at this moment: records of its sources and sinks a second, and what its TaskManagers use.
pub(crate) async fn metrics(flink: &FlinkRest, job: JobId, now_ms: i64) -> Result<Value, RestError> {
    let detail = flink.job_detail(job).await?;
    let has_input = |id: &str| detail.plan.nodes.iter().any(|node| node.id == id && !node.inputs.is_empty());
    let feeds =
        |id: &str| detail.plan.nodes.iter().any(|node| node.inputs.iter().any(|input| input.id == id));
    let asked = detail.vertices.iter().take(VERTICES_MAX).map(async |vertex| {
        (vertex, flink.vertex_metrics(job, &vertex.id, &RECORDS).await.unwrap_or_default())
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
    let value = |name: &str, unit: &str, value: Option<f64>, limit: Option<f64>| json!({ "name": name, "unit": unit, "value": value, "limit": limit });
    #[expect(clippy::cast_precision_loss, reason = "counts of restarts and checkpoints are small")]
    let count = |count: Option<u64>| count.map(|count| count as f64);
    let heap_max = sum(&used, USED[1]).filter(|bytes| *bytes > 0.0);
    Ok(json!({ "at": now_ms, "values": [
        value("Records from sources", "records/s", read, None),
        value("Records to sinks", "records/s", written, None),
        value("TaskManagers' heap", "bytes", sum(&used, USED[0]), heap_max),
        value("TaskManagers' processors", "ratio", sum(&used, USED[2]), None),
        value("Restarts", "count", count(health.restarts), None),
        value("Checkpoints completed", "count", count(health.completed_checkpoints), None),
    ] }))
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
