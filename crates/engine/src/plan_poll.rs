//! From a decision to what is asked of the JobManager next. Refuses to ask.

use std::sync::Arc;
use std::time::Duration;

use drey_api::configuration::parse_duration_ms;
use drey_api::desired::Desired;
use drey_api::kinds::JobManagerDeploymentStatus;
use drey_core::intent::IntentKind;
use drey_core::observed::{Cluster, Observed};
use drey_core::{Journal, Pace};
use reqwest::Url;
use tokio::time::timeout;

use crate::engine::Shared;
use crate::object::Stored;
use crate::poll::{Operation, Plan};

/// Polls the JobManager as the journal needs it, or not at all when there is none.
pub(crate) async fn arrange(
    shared: &Arc<Shared>,
    stored: &Stored,
    observed: &Observed,
    journal: &Journal,
    pace: Pace,
) {
    let key = &stored.key;
    let cluster = observed.cluster.present().filter(|cluster| cluster.owned);
    let (Some(cluster), Some(run), Some(deployed)) = (cluster, &journal.run, journal.deployed()) else {
        // Not knowing is no reason to stop asking.
        if !observed.cluster.is_unknown() {
            shared.poller.remove(key);
            shared.index.with(key, |slot| slot.poll = None);
        }
        return;
    };
    let options = &deployed.desired.options;
    let plan = Plan {
        cluster_uid: cluster.uid.clone(),
        job_id: run.job_id.clone(),
        operation: operation(shared, stored, journal),
        operation_of: journal.intent.as_ref().map_or(journal.seq, |intent| intent.seq),
        checkpoints: options.max_allowed_checkpoint_age_ms.is_some(),
        health: options.health.is_some(),
        cluster_info: journal.cluster_info.is_empty(),
        has_answered: run.cluster_uid.as_ref() == Some(&cluster.uid)
            && journal.job_manager == JobManagerDeploymentStatus::Ready,
        statistics_age_max: statistics_age_max(cluster, &deployed.desired),
        pace,
    };
    let endpoint = if shared.poller.needs_endpoint(key, &cluster.uid) {
        let target = stored.target();
        let look = shared.actor.launcher.rest_endpoint(&target, &deployed.desired);
        timeout(shared.limits.look_timeout, look).await.ok().flatten().and_then(|text| Url::parse(&text).ok())
    } else {
        None
    };
    shared.poller.set(key, plan, endpoint);
}

/// Flink's own value of `web.refresh-interval`, for which it may answer about checkpoints from memory.
const REFRESH_INTERVAL: Duration = Duration::from_secs(3);

/// How old an answer about checkpoints may be. Launchers turn Flink's memory of them off for the clusters that they
/// make, which Flink knows since 1.18; others, such as those of the Java operator, have it as configured.
fn statistics_age_max(cluster: &Cluster, deployed: &Desired) -> Duration {
    let version = cluster.flink_version.unwrap_or(deployed.flink_version);
    if cluster.seq.is_some() && (version.major(), version.minor()) >= (1, 18) {
        return Duration::ZERO;
    }
    ["rest.cache.checkpoint-statistics.timeout", "web.refresh-interval"]
        .iter()
        .find_map(|key| deployed.configuration.get(*key))
        .and_then(|text| parse_duration_ms(text).ok())
        .and_then(|ms| u64::try_from(ms).ok())
        .map_or(REFRESH_INTERVAL, Duration::from_millis)
}

fn operation(shared: &Shared, stored: &Stored, journal: &Journal) -> Operation {
    let Some(intent) = &journal.intent else { return Operation::None };
    let (trigger, asked): (_, fn(drey_flink::TriggerId) -> Operation) = match &intent.kind {
        IntentKind::Stop { trigger_id, .. } | IntentKind::Savepoint { trigger_id, .. } => {
            (trigger_id, Operation::Savepoint)
        }
        IntentKind::Checkpoint { trigger_id, .. } => (trigger_id, Operation::Checkpoint),
        IntentKind::Dispose { .. } => return disposal(shared, stored, intent.seq),
        IntentKind::Deploy { .. }
        | IntentKind::Complete { .. }
        | IntentKind::Scale { .. }
        | IntentKind::Cancel { .. }
        | IntentKind::Teardown { .. } => return Operation::None,
    };
    // An id that Flink cannot read was never taken by it.
    trigger.as_str().parse().map_or(Operation::NotAsked, asked)
}

/// Flink names disposals itself. An id that was lost with its process is not found again; disposing twice is
/// harmless.
fn disposal(shared: &Shared, stored: &Stored, seq: i64) -> Operation {
    let known = shared.index.with(&stored.key, |slot| slot.disposal);
    match known.flatten() {
        Some((asked, trigger)) if asked == seq => Operation::Disposal(trigger),
        Some(_) | None => Operation::NotAsked,
    }
}
