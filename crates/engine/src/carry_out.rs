//! What follows a decision that is on record: its one action, in a task of its own, the words for people, and the next look.
//! Refuses to decide and to write a status.

use std::sync::Arc;
use std::time::Duration;

use drey_core::observed::{Observed, Refused};
use drey_core::{Action, Decision, Event, EventKind, Journal};
use tracing::Instrument;

use crate::act::{self, LEADERSHIP_ENDED, Outcome, Subject};
use crate::after::After;
use crate::engine::{Shared, again};
use crate::index::Said;
use crate::launcher::LaunchError;
use crate::object::{Key, Stored};
use crate::plan_poll;
use crate::spans;
use crate::view::Census;

/// The journal is on record: begin the action, tell people, arrange what comes next.
pub(crate) async fn carry_out(
    shared: &Arc<Shared>,
    stored: Arc<Stored>,
    observed: &Observed,
    decision: Decision,
    wake: Duration,
    census: Census,
) -> After {
    let key = &stored.key.clone();
    let target = stored.target();
    let generation = stored.generation;
    let waiting = waiting(&decision.journal);
    shared.index.with(key, |slot| {
        slot.pace = decision.pace;
        // A finalizer has no intent that counts its attempts.
        if !decision.action.as_ref().is_some_and(changes_finalizers) {
            slot.failures = 0;
        }
        slot.said = Said {
            sentence: sentence(&decision, shared.leadership.epoch()).into(),
            waiting: waiting.clone(),
            error: None,
            census: Some(census),
        };
    });
    for event in decision.events {
        shared.recorder.record(&target, generation, event);
    }
    plan_poll::arrange(shared, &stored, observed, &decision.journal, decision.pace).await;
    match decision.action {
        None => After::Wake(
            expose(shared, &stored, &decision.journal).await.map_or(wake, |again| wake.min(again)),
        ),
        // What is on record is taken up by whoever leads next, by looking.
        Some(_) if !shared.leadership.is_held() => After::NotLeading,
        Some(action) => {
            let deployed = decision.journal.deployed().map(|deployed| deployed.desired.clone());
            let seq = decision.journal.intent.as_ref().map_or(decision.journal.seq, |intent| intent.seq);
            begin(shared, Subject { stored, deployed }, action, seq);
            After::Busy
        }
    }
}

const DEPOSED: &str = "another operator process has taken over this resource";

/// Keeps in order what stands in front of the cluster. Tells once when it cannot, and after how long to try again.
async fn expose(shared: &Shared, stored: &Stored, journal: &Journal) -> Option<Duration> {
    let deployed = journal.deployed()?;
    if stored.deleting {
        return None;
    }
    let target = stored.target();
    let exposing = shared.actor.launcher.expose(&target, &deployed.desired);
    let failure = match tokio::time::timeout(shared.limits.request_timeout, exposing).await {
        Ok(Ok(())) => None,
        Ok(Err(LaunchError::Refused(message) | LaunchError::UnknownOutcome(message))) => Some(message),
        Err(_) => Some("`spec.ingress` could not be made yet: the API server does not answer".to_owned()),
    };
    let told = shared.index.with(&stored.key, |slot| {
        std::mem::replace(&mut slot.exposure_failure, failure.as_deref().map(Arc::from))
    });
    let message = failure?;
    if told.flatten().as_deref() != Some(&*message) {
        let event =
            Event { reason: "IngressManagement", kind: EventKind::Warning, component: "Operator", message };
        shared.recorder.record(&target, stored.generation, event);
    }
    Some(EXPOSE_RETRY)
}

/// When something in front of a cluster that could not be made is tried again.
const EXPOSE_RETRY: Duration = Duration::from_secs(60);

fn waiting(journal: &Journal) -> Option<(drey_core::WaitingFor, Arc<str>)> {
    let waiting = journal.waiting.as_ref()?;
    let reason = drey_core::WaitingFor::ALL.iter().find(|reason| reason.as_str() == &*waiting.reason)?;
    Some((*reason, waiting.message.clone()))
}

fn sentence(decision: &Decision, epoch: i64) -> String {
    if decision.journal.is_of_later_leader(epoch) {
        return DEPOSED.to_owned();
    }
    match (&decision.action, &decision.journal.waiting) {
        (Some(action), _) => act::words(action).to_owned(),
        (None, Some(waiting)) => waiting.message.to_string(),
        (None, None) => "nothing to do".to_owned(),
    }
}

/// Performs `action` in a task of its own. The next step comes when it is over.
fn begin(shared: &Arc<Shared>, subject: Subject, action: Action, seq: i64) {
    let kind = act::kind(&action);
    let key = subject.stored.key.clone();
    shared.metrics.acted(kind, crate::metrics::BEGUN);
    shared.index.with(&key, |slot| slot.acting = Some(act::words(&action)));
    let shared = shared.clone();
    let tasks = shared.tasks.clone();
    let span = spans::action(kind, seq);
    let within = span.clone();
    let performing = async move {
        let mut over = ActionGuard { shared: &shared, key: &key, has_failed: false };
        let outcome = tokio::select! {
            outcome = shared.actor.perform(&subject, &action) => outcome,
            () = shared.leadership.ended() => Outcome::Unknown(LEADERSHIP_ENDED.to_owned()),
        };
        let (label, failure) = (outcome.label(), outcome.failure());
        tracing::info!(resource = %key, action = kind, outcome = label, failure, "action");
        shared.metrics.acted(kind, outcome.label());
        spans::acted(&span, &outcome);
        over.has_failed = changes_finalizers(&action) && failure.is_some();
        remember(&shared, &subject.stored, &action, seq, outcome);
        drop(over);
    };
    tasks.spawn(performing.instrument(within));
}

/// Only what memory alone can hold: a certain refusal, an id that Flink chose, and the resource as it is now.
fn remember(shared: &Shared, stored: &Stored, action: &Action, seq: i64, outcome: Outcome) {
    shared.index.with(&stored.key, |slot| {
        // The resource may have been deleted and created again meanwhile.
        if slot.stored.uid != stored.uid {
            return;
        }
        slot.refused = None;
        match outcome {
            Outcome::Changed(now) if matches!(action, Action::AddFinalizer) => {
                slot.take(*now);
                return;
            }
            Outcome::Changed(_) | Outcome::Done | Outcome::Unknown(_) => {}
            Outcome::Disposing(trigger) => slot.disposal = Some((seq, trigger)),
            Outcome::Refused(message) => slot.refused = Some(Refused { seq, message }),
        }
        // The object may have changed, or have gone with its last finalizer: read it before deciding again.
        slot.in_doubt |= changes_finalizers(action);
    });
}

fn changes_finalizers(action: &Action) -> bool {
    matches!(action, Action::AddFinalizer | Action::RemoveFinalizer)
}

/// Ends an action also when it panics.
struct ActionGuard<'a> {
    shared: &'a Shared,
    key: &'a Key,
    /// It is tried again after a growing delay.
    has_failed: bool,
}

impl Drop for ActionGuard<'_> {
    fn drop(&mut self) {
        self.shared.index.with(self.key, |slot| {
            slot.acting = None;
            slot.cluster.at = None;
        });
        self.shared.poller.poke(self.key);
        if self.has_failed {
            again(self.shared, self.key);
        } else {
            self.shared.queue.add(self.key);
        }
    }
}
