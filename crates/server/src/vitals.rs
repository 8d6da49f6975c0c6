//! What only JobManagers tell of the rows that somebody looks at: how old the newest checkpoint is, and how often the job
//! was restarted. Rows that nobody looks at are not asked for. Refuses to wait long for anyone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use drey_flink::{FlinkRest, JobId};
use futures::StreamExt;
use futures::stream::iter;
use tokio::time::{Instant, interval, timeout};

use crate::key::Key;
use crate::row::Row;
use crate::server::{Shared, now_ms};

/// For how long a row counts as looked at after a page was given it.
const LOOKED_AT: Duration = Duration::from_secs(60);
/// How often a JobManager is asked.
const AGE_MAX: Duration = Duration::from_secs(15);
/// How often is looked whom to ask.
const TICK: Duration = Duration::from_secs(2);
/// How many are asked at the same time.
const AT_ONCE: usize = 16;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// Restarts are counted within so long.
const RESTARTS_WITHIN_MS: i64 = 3_600_000;

/// Which rows somebody looks at.
#[derive(Debug, Default)]
pub(crate) struct Looks(Mutex<HashMap<Key, Look>>);

#[derive(Clone, Copy, Debug)]
struct Look {
    at: Instant,
    asked_at: Option<Instant>,
}

impl Looks {
    /// A page was given these rows.
    pub(crate) fn note(&self, rows: &[Arc<Row>]) {
        let now = Instant::now();
        let mut looks = self.lock();
        for row in rows.iter().filter(|row| row.runs.is_some()) {
            looks.entry(row.id.clone()).or_insert(Look { at: now, asked_at: None }).at = now;
        }
    }

    /// Whom to ask now. Forgets what nobody looks at any more.
    fn due(&self) -> Vec<Key> {
        let now = Instant::now();
        let mut looks = self.lock();
        looks.retain(|_, look| now.duration_since(look.at) < LOOKED_AT);
        let due = looks
            .iter_mut()
            .filter(|(_, look)| look.asked_at.is_none_or(|asked_at| now.duration_since(asked_at) >= AGE_MAX));
        due.map(|(key, look)| {
            look.asked_at = Some(now);
            key.clone()
        })
        .collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Look>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks for ever.
pub(crate) async fn follow(shared: &Shared) {
    let mut tick = interval(TICK);
    loop {
        tick.tick().await;
        iter(shared.looks.due()).for_each_concurrent(AT_ONCE, async |key| ask(shared, &key).await).await;
    }
}

async fn ask(shared: &Shared, key: &Key) {
    let Some(row) = shared.store.row(key) else { return };
    let Some(runs) = &row.runs else { return };
    let Some(job) = runs.job_id.parse().ok() else { return };
    let Some(flink) = shared.clusters.job_manager(&runs.cluster).await else { return };
    let flink = flink.with_deadline(PATIENCE);
    // One that does not answer changes nothing: what was known gets older, which is what is shown.
    if let Ok(Some(told)) = timeout(PATIENCE, told(&flink, job)).await {
        shared.store.amend(key, |row| {
            row.last_checkpoint_at = row.last_checkpoint_at.max(told.last_checkpoint_at);
            row.restarts = told.restarts;
        });
    }
}

struct Told {
    last_checkpoint_at: Option<i64>,
    restarts: Option<u32>,
}

async fn told(flink: &FlinkRest, job: JobId) -> Option<Told> {
    let statistics = flink.checkpoints(job).await.ok()?;
    let latest = statistics.map(|statistics| statistics.latest);
    let ends = latest.into_iter().flat_map(|latest| [latest.completed, latest.savepoint]).flatten();
    let last_checkpoint_at = ends.filter_map(|checkpoint| checkpoint.acknowledged_at_ms).max();
    Some(Told { last_checkpoint_at, restarts: restarts(flink, job).await })
}

/// Failures within the last hour, of which each has led to a restart.
async fn restarts(flink: &FlinkRest, job: JobId) -> Option<u32> {
    if flink.metrics(job).await.ok()?.restarts? == 0 {
        return Some(0);
    }
    let since_ms = now_ms() - RESTARTS_WITHIN_MS;
    let failures = flink.exceptions(job).await.ok()?.entries;
    let recent =
        failures.iter().filter(|failure| failure.timestamp_ms.is_some_and(|at_ms| at_ms >= since_ms));
    u32::try_from(recent.count()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::FleetKind;
    use serde_json::json;

    fn row(name: &str, state: &str) -> Arc<Row> {
        let object = json!({
            "metadata": { "name": name, "namespace": "n" }, "spec": { "job": {} },
            "status": { "jobStatus": { "state": state, "jobId": "00000000000000000000000000000001" } },
        });
        Arc::new(Row::of(&"c".into(), FleetKind::Deployment, &object).expect("it has a name"))
    }

    #[tokio::test(start_paused = true)]
    async fn only_running_jobs_that_somebody_looks_at_are_asked_and_not_too_often() {
        let looks = Looks::default();
        let (runs, suspended) = (row("runs", "RUNNING"), row("suspended", "FINISHED"));
        looks.note(&[runs.clone(), suspended]);
        assert_eq!(looks.due(), std::slice::from_ref(&runs.id));
        assert!(looks.due().is_empty(), "it was just asked");
        tokio::time::advance(AGE_MAX).await;
        assert_eq!(looks.due(), std::slice::from_ref(&runs.id));
        tokio::time::advance(LOOKED_AT).await;
        assert!(looks.due().is_empty(), "nobody looks at it any more");
        looks.note(std::slice::from_ref(&runs));
        assert_eq!(looks.due(), std::slice::from_ref(&runs.id));
    }
}
