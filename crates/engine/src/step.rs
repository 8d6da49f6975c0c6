//! One step of one resource: assemble the evidence, decide, write the journal, and hand the decision on to be carried out.
//! This order is the whole safety of the engine; nothing in it waits for Flink.
//!
//! ```text
//!   in doubt? ─► read the object
//!   object ─► Resource, Journal ─► (first poll) ─► Observed (memory) ─► decide ─► look closer? ─► Observed (live) ─► decide
//!     ─► invariants ─► one PUT ─► carry_out
//! ```

use std::sync::Arc;
use std::time::Duration;

use drey_api::desired::{self, Context, Desired, Invalid, Problem};
use drey_api::kinds::{FlinkDeploymentSpec, FlinkDeploymentStatus};
use drey_api::reconciled;
use drey_core::observed::{Cluster, ClusterPhase, Observed};
use drey_core::{Action, Decision, Journal, Pace, Resource, Seen, decide, status};
use tokio::time::Instant;
use tracing::Instrument;

use crate::act::LEADERSHIP_ENDED;
use crate::after::After;
use crate::carry_out::carry_out;
use crate::engine::Shared;
use crate::index::ClusterLook;
use crate::invariants;
use crate::journal::{self, Read, Written};
use crate::limits::jittered;
use crate::narrate;
use crate::object::{Key, Stored};
use crate::observe::{self, Remembered};
use crate::plan_poll;
use crate::settings::Current;
use crate::spans;

/// What a step works on.
struct Subjects {
    stored: Arc<Stored>,
    resource: Resource,
    journal: Journal,
}

/// Steps `key` once.
pub(crate) async fn step(shared: &Arc<Shared>, key: &Key) -> After {
    let span = spans::reconcile(key);
    let after = take(shared, key).instrument(span.clone()).await;
    spans::stepped(&span, &after);
    after
}

async fn take(shared: &Arc<Shared>, key: &Key) -> After {
    if !shared.leadership.is_held() {
        return After::NotLeading;
    }
    let settings = shared.current();
    let stored = match current(shared, key).await {
        Ok(stored) => stored,
        Err(after) => return after,
    };
    let subjects = match interpret(&settings, stored) {
        Ok(subjects) => subjects,
        Err(message) => return After::Freeze(message),
    };
    let cluster = look(shared, &subjects.stored).await;
    if let Some(after) = await_first_poll(shared, &subjects, &cluster).await {
        return after;
    }
    let (observed, decision) = judge(shared, &settings, &subjects, cluster).await;
    spans::decided(&subjects.resource, &decision);
    if let Err(broken) =
        invariants::check(&subjects.resource, &observed, &subjects.journal, &settings.policy, &decision)
    {
        shared.metrics.invariant_broken();
        return After::Freeze(broken.to_string());
    }
    let stored = match write(shared, &subjects, &decision).await {
        Ok(stored) => stored,
        Err(after) => return after,
    };
    let wake = wake(shared, &settings, &subjects, &observed, &decision);
    narrate::tell(&subjects.resource, &observed, &subjects.journal, &decision);
    let census = narrate::census(&subjects.resource, &decision.journal);
    carry_out(shared, stored, &observed, decision, wake, census).await
}

/// The object as it is, never older than what this engine wrote.
async fn current(shared: &Arc<Shared>, key: &Key) -> Result<Arc<Stored>, After> {
    let state = shared.index.with(key, |slot| {
        slot.unstepped = false;
        (slot.acting.is_some(), slot.in_doubt, slot.stored.clone())
    });
    let Some((acting, in_doubt, stored)) = state else { return Err(After::Gone) };
    if acting {
        return Err(After::Busy);
    }
    if in_doubt {
        match journal::read(&shared.actor, key).await {
            Read::Absent => return Err(After::Gone),
            Read::Failed(message) => {
                return Err(After::Retry(format!("the resource could not be read: {message}")));
            }
            Read::Present(read) => drop(shared.index.offer_read(*read)),
        }
    }
    let state = shared.index.with(key, |slot| {
        slot.unstepped = false;
        (slot.is_frozen(), slot.stored.clone())
    });
    match state {
        None => Err(After::Gone),
        Some((true, _)) => Err(After::Frozen),
        Some((false, latest)) => Ok(if in_doubt { latest } else { stored }),
    }
}

/// Reads spec and status. A spec that cannot be read is a refused spec; a status that cannot be read leaves nothing
/// to decide on.
fn interpret(settings: &Current, stored: Arc<Stored>) -> Result<Subjects, String> {
    let status: FlinkDeploymentStatus = match &stored.status {
        None => FlinkDeploymentStatus::default(),
        Some(status) => drey_api::kinds::read(&status.tree())
            .map_err(|error| format!("the status cannot be read: status.{error}; {HOW_TO_MEND_A_STATUS}"))?,
    };
    let resolve = |spec: &FlinkDeploymentSpec| parse(settings, &stored, spec, None);
    let journal = status::read(&status, &resolve)
        .map_err(|error| format!("the status cannot be read: {error}; {HOW_TO_MEND_A_STATUS}"))?;
    let last =
        status.reconciliation_status.as_ref().and_then(|status| status.last_reconciled_spec.as_deref());
    let last = last.and_then(|text| reconciled::decode(text).ok());
    let desired = drey_api::kinds::read::<FlinkDeploymentSpec>(&stored.spec.tree())
        .map_err(|error| Invalid {
            errors: vec![Problem {
                field: format!("spec.{}", error.path),
                message: error.to_string(),
                hint: None,
            }],
        })
        .and_then(|spec| parse(settings, &stored, &spec, last.as_ref()));
    let resource = Resource {
        uid: stored.uid.clone(),
        namespace: stored.key.namespace.clone(),
        name: stored.key.name.clone(),
        generation: stored.generation,
        created_at_ms: stored.created_at_ms,
        deleting: stored.deleting,
        finalizer: stored.has_finalizer(),
        desired: desired.map(Arc::new).map_err(Arc::new),
    };
    Ok(Subjects { stored, resource, journal })
}

const HOW_TO_MEND_A_STATUS: &str = "correct that field with `kubectl edit --subresource=status`";

fn parse(
    settings: &Current,
    stored: &Stored,
    spec: &FlinkDeploymentSpec,
    last: Option<&reconciled::Reconciled>,
) -> Result<Desired, Invalid> {
    let context = Context {
        namespace: &stored.key.namespace,
        name: &stored.key.name,
        defaults: &settings.defaults,
        last,
    };
    desired::parse(spec, &context)
}

/// An engine that has just started knows nothing of a JobManager that has been running for long. It asks it first,
/// so that its own start changes no status.
async fn await_first_poll(
    shared: &Arc<Shared>,
    subjects: &Subjects,
    cluster: &Seen<Cluster>,
) -> Option<After> {
    let Subjects { stored, journal, .. } = subjects;
    let seen = cluster.present().filter(|cluster| cluster.owned && !cluster.terminating)?;
    let run = journal.run.as_ref()?;
    // One that the Java operator made carries no number, and nobody has written down its uid.
    let taken_over = run.seq == 0 && run.cluster_uid.is_none() && seen.seq.is_none();
    if run.cluster_uid.as_ref() != Some(&seen.uid) && !taken_over {
        return None;
    }
    let polled = shared
        .index
        .with(&stored.key, |slot| slot.poll.as_ref().is_some_and(|poll| poll.cluster_uid == seen.uid));
    if seen.phase != ClusterPhase::Available || journal.deployed().is_none() || polled != Some(false) {
        return None;
    }
    let observed = observe::from_memory(cluster.clone(), &Remembered { poll: None, refused: None });
    plan_poll::arrange(shared, stored, &observed, journal, Pace::Slow).await;
    shared.index.with(&stored.key, |slot| slot.said.sentence = "asking the JobManager".into());
    // The poll's end asks for the next step, whatever it comes to.
    Some(After::Wake(shared.limits.poll.call_timeout))
}

/// Decides; looks closer at most once.
async fn judge(
    shared: &Arc<Shared>,
    settings: &Current,
    subjects: &Subjects,
    cluster: Seen<Cluster>,
) -> (Observed, Decision) {
    let Subjects { stored, resource, journal } = subjects;
    let remembered = shared
        .index
        .with(&stored.key, |slot| Remembered { poll: slot.poll.clone(), refused: slot.refused.clone() })
        .unwrap_or(Remembered { poll: None, refused: None });
    let observed = observe::from_memory(cluster, &remembered);
    let decision = decide(resource, &observed, journal, &settings.policy, shared.clock.now());
    let blind = decision.action.as_ref().is_some_and(Action::needs_live_read);
    if !decision.look_closer && !blind {
        return (observed, decision);
    }
    let observed = observe::live(&shared.actor, stored, journal, &remembered).await;
    shared.index.with(&stored.key, |slot| {
        slot.cluster = ClusterLook { seen: observed.cluster.clone(), at: Some(Instant::now()) };
    });
    let decision = decide(resource, &observed, journal, &settings.policy, shared.clock.now());
    (observed, decision)
}

/// The cluster as it was last seen, or seen now when that is too long ago.
async fn look(shared: &Shared, stored: &Stored) -> Seen<Cluster> {
    let known = shared.index.with(&stored.key, |slot| {
        let age_max = match slot.pace {
            Pace::Fast => shared.limits.look_age_fast,
            Pace::Slow => shared.limits.look_age_slow,
        };
        let fresh = slot.cluster.at.is_some_and(|at| at.elapsed() <= age_max);
        (fresh && !slot.cluster.seen.is_unknown()).then(|| slot.cluster.seen.clone())
    });
    if let Some(Some(seen)) = known {
        return seen;
    }
    let began = Instant::now();
    let seen = observe::glance(&shared.actor, &stored.target()).await;
    shared.index.with(&stored.key, |slot| {
        slot.cluster = ClusterLook { seen: seen.clone(), at: Some(began) };
    });
    seen
}

/// Writes the journal when it changed. After this, what the decision says is on record.
async fn write(shared: &Shared, subjects: &Subjects, decision: &Decision) -> Result<Arc<Stored>, After> {
    let Subjects { stored, resource, journal } = subjects;
    if decision.journal == *journal {
        return Ok(stored.clone());
    }
    if !shared.leadership.is_held() {
        return Err(After::NotLeading);
    }
    let status = status::write(&decision.journal, resource);
    let writing = journal::write(&shared.actor.client, &shared.limits, stored, &status);
    let written = tokio::select! {
        written = writing => written,
        () = shared.leadership.ended() => Written::Unknown(LEADERSHIP_ENDED.to_owned()),
    };
    shared.metrics.status_written(written.label());
    match written {
        Written::Same => Ok(stored.clone()),
        Written::Acknowledged(written) => {
            let written = *written;
            shared.index.offer(written.clone());
            shared.index.with(&stored.key, |slot| {
                slot.unstepped &= slot.stored.version != written.version;
            });
            Ok(Arc::new(written))
        }
        Written::Conflict => {
            shared.index.with(&stored.key, |slot| slot.in_doubt = true);
            Err(After::Again)
        }
        Written::Gone => {
            shared.index.with(&stored.key, |slot| slot.in_doubt = true);
            Err(After::Again)
        }
        Written::Refused(message) => Err(After::Retry(format!("the status is not taken: {message}"))),
        Written::Unknown(message) => {
            shared.index.with(&stored.key, |slot| slot.in_doubt = true);
            Err(After::Retry(format!("whether the status was written is not known: {message}")))
        }
    }
}

/// Shorter waits than this are kept to the millisecond.
const SPREAD_FROM: Duration = Duration::from_secs(4);

/// When to step again if nothing happens. A decision at rest asks for the interval at rest when nothing is due within
/// it; when the next thing is due, the same decision tells under a policy that is in no hurry. Resources at rest are
/// thus stepped on changes, when something is due, and else only at a heartbeat.
fn wake(
    shared: &Shared,
    settings: &Current,
    subjects: &Subjects,
    observed: &Observed,
    decision: &Decision,
) -> Duration {
    let duration = |ms: i64| Duration::from_millis(u64::try_from(ms).unwrap_or(0).max(1));
    let asked = duration(decision.wake_after_ms);
    let nothing_due = decision.wake_after_ms == settings.policy.rest_interval_ms;
    if decision.pace == Pace::Fast || decision.action.is_some() || !nothing_due {
        // What began to wait together is not looked at together for ever; earlier does no harm.
        return if asked < SPREAD_FROM { asked } else { jittered(asked, subjects.stored.key.seed()) };
    }
    let Subjects { stored, resource, journal } = subjects;
    let later = decide(resource, observed, journal, &settings.patient, shared.clock.now());
    if later.pace == Pace::Fast || later.action.is_some() {
        return asked;
    }
    if later.wake_after_ms < settings.patient.rest_interval_ms {
        return duration(later.wake_after_ms);
    }
    jittered(duration(later.wake_after_ms), stored.key.seed())
}
