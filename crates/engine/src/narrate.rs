//! One line of the log for each decision that changes anything: which resource, what is intended, why, and on what
//! evidence. The words are those of the status. Refuses to decide.

use drey_core::observed::{Cluster, ClusterPhase, Observed, Rest};
use drey_core::{Decision, Journal, Resource, Seen, render};

use crate::act;
use crate::view::Census;

/// Tells of `decision`, unless it changes nothing.
pub(crate) fn tell(resource: &Resource, observed: &Observed, before: &Journal, decision: &Decision) {
    let after = &decision.journal;
    if decision.action.is_none() && after == before {
        return;
    }
    let intent = after.intent.as_ref();
    let waiting = after.waiting.as_ref();
    tracing::info!(
        resource = %format_args!("{}/{}", resource.namespace, resource.name),
        generation = resource.generation,
        lifecycle = %render::lifecycle(resource, after),
        intent = intent.map_or("none", |intent| intent.kind.name()),
        seq = after.seq,
        action = decision.action.as_ref().map_or("none", act::kind),
        reason = waiting.map_or("none", |waiting| &*waiting.reason),
        waits_for = waiting.map_or("", |waiting| &*waiting.message),
        evidence = evidence(observed),
        "decision"
    );
}

/// What was seen, in a few words.
fn evidence(observed: &Observed) -> String {
    let cluster = match &observed.cluster {
        Seen::Unknown => "cluster not known".to_owned(),
        Seen::Absent => "no cluster".to_owned(),
        Seen::Present(cluster) => format!("cluster {}", phase(cluster)),
    };
    let rest = observed.rest.as_ref().map_or_else(|| "JobManager not asked".to_owned(), answer);
    let how = if observed.live { "read now" } else { "from memory" };
    format!("{cluster}, {rest}, {how}")
}

fn phase(cluster: &Cluster) -> String {
    let phase = match &cluster.phase {
        ClusterPhase::Starting => "starting".to_owned(),
        ClusterPhase::Available => "available".to_owned(),
        ClusterPhase::Failing { reason, .. } => format!("failing ({reason})"),
    };
    let foreign = if cluster.owned { "" } else { " and somebody else's" };
    let going = if cluster.terminating { " and terminating" } else { "" };
    format!("{phase}{foreign}{going}")
}

fn answer(rest: &Rest) -> String {
    match (rest.reachable, &rest.job) {
        (false, _) => "JobManager silent".to_owned(),
        (true, Seen::Unknown) => "job not known".to_owned(),
        (true, Seen::Absent) => "no job".to_owned(),
        (true, Seen::Present(job)) => format!("job {}", job.state),
    }
}

/// What is counted of a resource.
pub(crate) fn census(resource: &Resource, journal: &Journal) -> Census {
    let info = |key: &str| journal.cluster_info.get(key);
    let number =
        |key: &str| info(key).and_then(|text| text.parse::<f64>().ok()).filter(|value| value.is_finite());
    Census {
        lifecycle: render::lifecycle(resource, journal),
        job_manager: journal.job_manager,
        flink_version: info("flink-version").map(|version| version.as_str().into()),
        cpu: number("total-cpu").unwrap_or(0.0),
        memory_bytes: info("total-memory").and_then(|text| text.parse().ok()).unwrap_or(0),
    }
}
