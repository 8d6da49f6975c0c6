//! The cluster health check (`kubernetes.operator.cluster.health-check.*`): too many restarts in the window, or no
//! checkpoint for too long.

use drey_api::options::{HealthCheck, Options};

use crate::Now;
use crate::journal::HealthRecord;
use crate::observed::HealthMetrics;

/// What the check says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All is well, or not enough is known.
    Healthy,
    /// The job is to be restarted, and why.
    Unhealthy(String),
}

/// Compares the counters with those on record.
pub fn judge(
    check: &HealthCheck,
    options: &Options,
    record: Option<HealthRecord>,
    metrics: HealthMetrics,
    now: Now,
) -> (HealthRecord, Verdict) {
    let Some(mut record) = record.filter(|record| is_same_run(record, metrics)) else {
        return (begin(metrics, now), Verdict::Healthy);
    };
    let verdict = match restarts(check, &mut record, metrics, now) {
        Verdict::Healthy => checkpoints(check, options, &mut record, metrics, now),
        unhealthy @ Verdict::Unhealthy(_) => unhealthy,
    };
    record.healthy = verdict == Verdict::Healthy;
    (record, verdict)
}

/// Counters that fell belong to a new JobManager.
fn is_same_run(record: &HealthRecord, metrics: HealthMetrics) -> bool {
    metrics.restarts >= record.restarts && metrics.completed_checkpoints >= record.completed_checkpoints
}

fn begin(metrics: HealthMetrics, now: Now) -> HealthRecord {
    HealthRecord {
        window_started_at_ms: now.0,
        restarts: metrics.restarts,
        completed_checkpoints: metrics.completed_checkpoints,
        completed_rose_at_ms: now.0,
        healthy: true,
    }
}

fn restarts(check: &HealthCheck, record: &mut HealthRecord, metrics: HealthMetrics, now: Now) -> Verdict {
    let elapsed_ms = (now.0 - record.window_started_at_ms).max(0);
    let restarts = metrics.restarts - record.restarts;
    if restarts > check.restarts_threshold && elapsed_ms <= check.restarts_window_ms {
        return too_many(restarts, elapsed_ms);
    }
    if elapsed_ms < check.restarts_window_ms {
        return Verdict::Healthy;
    }
    let scaled = restarts.saturating_mul(check.restarts_window_ms) / elapsed_ms.max(1);
    record.window_started_at_ms = now.0;
    record.restarts = metrics.restarts;
    if scaled > check.restarts_threshold { too_many(restarts, elapsed_ms) } else { Verdict::Healthy }
}

fn too_many(restarts: i64, elapsed_ms: i64) -> Verdict {
    Verdict::Unhealthy(format!("the job restarted {restarts} times in {} s", elapsed_ms / 1_000))
}

fn checkpoints(
    check: &HealthCheck,
    options: &Options,
    record: &mut HealthRecord,
    metrics: HealthMetrics,
    now: Now,
) -> Verdict {
    let Some(window_ms) = checkpoint_window_ms(check, options) else { return Verdict::Healthy };
    let idle_ms = now.0 - record.completed_rose_at_ms;
    if metrics.completed_checkpoints > record.completed_checkpoints {
        // Written down four times a window and not at each checkpoint: a healthy job at rest costs few writes.
        if idle_ms > window_ms / 4 {
            record.completed_checkpoints = metrics.completed_checkpoints;
            record.completed_rose_at_ms = now.0;
        }
        return Verdict::Healthy;
    }
    if idle_ms <= window_ms {
        return Verdict::Healthy;
    }
    Verdict::Unhealthy(format!("no checkpoint was completed for {} s", idle_ms / 1_000))
}

/// The window in which a checkpoint must complete; `None` when it is not checked. Upstream: the configured window,
/// but at least (checkpoint interval or timeout, whichever is longer) × (tolerable failures + 2).
fn checkpoint_window_ms(check: &HealthCheck, options: &Options) -> Option<i64> {
    if !check.checkpoint_progress_enabled {
        return None;
    }
    let by_interval = options.checkpoint_interval_ms.map(|interval_ms| {
        interval_ms
            .max(options.checkpoint_timeout_ms)
            .saturating_mul(options.tolerable_failed_checkpoints.max(0).saturating_add(2))
    });
    match (check.checkpoint_progress_window_ms, by_interval) {
        (Some(window_ms), Some(floor_ms)) => Some(window_ms.max(floor_ms)),
        (Some(window_ms), None) => Some(window_ms),
        (None, floor_ms) => floor_ms,
    }
}
