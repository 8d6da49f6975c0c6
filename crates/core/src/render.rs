//! From a planned step to the decision: the words, the conditions and the next look. The same words feed status,
//! events, `drey describe`, the dashboard and the logs.

use std::borrow::Cow;
use std::sync::Arc;

use drey_api::kinds::{
    FlinkJobState, JobManagerDeploymentStatus, JobState, LifecycleState, ReconciliationState,
};

use crate::Now;
use crate::decision::{Action, Decision, Pace, WaitingFor};
use crate::goal::job_state;
use crate::journal::{ConditionRecord, Journal, Problem, Stable, WaitRecord};
use crate::plan::Draft;
use crate::resource::{Policy, Resource};

/// Completes a step.
pub(crate) fn decision(
    resource: &Resource,
    before: &Journal,
    mut draft: Draft<'_>,
    policy: &Policy,
    now: Now,
) -> Decision {
    if draft.look_closer {
        return Decision { look_closer: true, ..unchanged(before, policy) };
    }
    if draft.action == Some(Action::AddFinalizer) && draft.waiting.is_none() {
        // Nothing has begun that could be told; what was seen meanwhile is seen again by the next step.
        return Decision { action: draft.action, ..unchanged(before, policy) };
    }
    draft.journal.waiting = draft.waiting.as_ref().map(|waiting| WaitRecord {
        reason: shared(before.waiting.as_ref().map(|last| &last.reason), waiting.what.as_str()),
        message: shared(before.waiting.as_ref().map(|last| &last.message), &waiting.message),
        stalled: waiting.what.is_stalled(),
    });
    clear_error(&mut draft.journal);
    record_problem(&mut draft, before);
    draft.journal.conditions = conditions(resource, &draft.journal, &before.conditions, now);
    // Who leads goes on record with what is done or seen, and is no news of its own: a new leader over thousands that are
    // at rest writes nothing.
    if draft.journal != *before || draft.action.is_some() {
        draft.journal.epoch = policy.epoch;
    }
    let busy = draft.action.is_some() || draft.journal.intent.is_some() || !draft.at_rest;
    let interval_ms = if busy { patience_ms(&draft.journal, policy, now) } else { policy.rest_interval_ms };
    Decision {
        wake_after_ms: draft.wake_after_ms.map_or(interval_ms, |wake_ms| wake_ms.min(interval_ms)),
        pace: if busy { Pace::Fast } else { Pace::Slow },
        journal: draft.journal,
        action: draft.action,
        look_closer: false,
        events: draft.events,
    }
}

/// How often something that is under way is looked at although nothing is heard of it: the longer it takes already,
/// the less often, down to a thirtieth, so that a thousand JobManagers that hang cost little. News of it does not wait
/// for that.
fn patience_ms(journal: &Journal, policy: &Policy, now: Now) -> i64 {
    let waits = journal.conditions.iter().find(|record| &*record.kind == "Reconciling" && record.status);
    let waited_ms = waits.map_or(0, |record| now.0.saturating_sub(record.since_ms));
    (waited_ms / 4).clamp(policy.progress_interval_ms, policy.progress_interval_ms.saturating_mul(30))
}

/// Nothing is written and nothing done.
pub(crate) fn unchanged(before: &Journal, policy: &Policy) -> Decision {
    Decision {
        journal: before.clone(),
        action: None,
        look_closer: false,
        events: Vec::new(),
        pace: Pace::Fast,
        wake_after_ms: policy.progress_interval_ms,
    }
}

fn record_problem(draft: &mut Draft<'_>, before: &Journal) {
    let Some((reason, component, message)) = draft.problem.take() else { return };
    let problem = Problem { reason: Arc::from(reason), message: message.clone() };
    if before.error.as_ref() != Some(&problem) {
        draft.warning(reason, component, &*message);
    }
    draft.journal.error = Some(problem);
}

/// Upstream clears the error when the deployment is stable and neither JobManager nor job are in error.
fn clear_error(journal: &mut Journal) {
    let well = journal.waiting.is_none()
        && journal.state == ReconciliationState::Deployed
        && journal.stable == Stable::Same
        && journal.job.state != Some(FlinkJobState::Failed);
    if well {
        journal.error = None;
    }
}

/// Upstream's one word for the whole resource.
pub fn lifecycle(resource: &Resource, journal: &Journal) -> LifecycleState {
    if resource.deleting {
        return LifecycleState::Deleting;
    }
    let Some(reconciled) = &journal.reconciled else {
        return if journal.error.is_some() { LifecycleState::Failed } else { LifecycleState::Created };
    };
    match journal.state {
        ReconciliationState::Upgrading => return upgrading(journal),
        ReconciliationState::RollingBack => return LifecycleState::RollingBack,
        ReconciliationState::Deployed | ReconciliationState::RolledBack => {}
    }
    if reconciled.job_state == JobState::Suspended && journal.state == ReconciliationState::Deployed {
        return LifecycleState::Suspended;
    }
    if journal.job.state == Some(FlinkJobState::Failed) || is_given_up(journal) {
        return LifecycleState::Failed;
    }
    match (journal.state, &journal.stable) {
        (ReconciliationState::RolledBack, _) => LifecycleState::RolledBack,
        (_, Stable::Same) => LifecycleState::Stable,
        (_, Stable::None | Stable::Other(_)) => LifecycleState::Deployed,
    }
}

/// A spec whose cluster is created shows as deployed as soon as the intent to create it is on record.
fn upgrading(journal: &Journal) -> LifecycleState {
    if is_given_up(journal) { LifecycleState::Failed } else { LifecycleState::Upgrading }
}

/// Only a person can go on from here.
fn is_given_up(journal: &Journal) -> bool {
    journal.error.as_ref().is_some_and(|error| error.message.contains("Manual restore required"))
}

fn conditions(
    resource: &Resource,
    journal: &Journal,
    before: &[ConditionRecord],
    now: Now,
) -> Vec<ConditionRecord> {
    let generation = resource.generation;
    [running(journal), ready(resource, journal), reconciling(journal), stalled(journal)]
        .into_iter()
        .map(|(kind, status, reason, message)| {
            let last = before.iter().find(|record| &*record.kind == kind);
            ConditionRecord {
                kind: shared(last.map(|record| &record.kind), kind),
                status,
                reason: shared(last.map(|record| &record.reason), &reason),
                message: shared(last.map(|record| &record.message), &message),
                since_ms: last
                    .filter(|record| record.status == status)
                    .map_or(now.0, |record| record.since_ms),
                observed_generation: generation,
            }
        })
        .collect()
}

/// The text of the last record again, where it is the same: most steps change no word.
fn shared(last: Option<&Arc<str>>, text: &str) -> Arc<str> {
    last.filter(|last| &***last == text).map_or_else(|| Arc::from(text), Arc::clone)
}

type Words<'j> = (&'static str, bool, Cow<'j, str>, Cow<'j, str>);

/// Upstream's condition.
fn running(journal: &Journal) -> Words<'_> {
    if journal.reconciled.as_ref().is_some_and(|recorded| recorded.desired.spec.job.is_none()) {
        let up = journal.job_manager == JobManagerDeploymentStatus::Ready;
        return ("Running", up, journal.job_manager.reason().into(), journal.job_manager.message().into());
    }
    let state = journal.job.state.unwrap_or(FlinkJobState::Reconciling);
    let word = state.as_str();
    let mut reason = word[..1].to_owned();
    reason.push_str(&word[1..].to_lowercase());
    ("Running", state == FlinkJobState::Running, reason.into(), format!("Job status {word}").into())
}

fn ready<'j>(resource: &Resource, journal: &'j Journal) -> Words<'j> {
    let state = lifecycle(resource, journal);
    let current = journal.observed_generation == Some(resource.generation);
    let ready = match state {
        // A snapshot that is being taken does not make a running job less ready.
        LifecycleState::Stable => current && journal.waiting.as_ref().is_none_or(takes_snapshot),
        LifecycleState::Suspended => current,
        // Created suspended: it is as the spec asks, and has never been anything else.
        LifecycleState::Created => current && is_to_wait(resource, journal),
        LifecycleState::Upgrading
        | LifecycleState::Deployed
        | LifecycleState::RollingBack
        | LifecycleState::RolledBack
        | LifecycleState::Failed
        | LifecycleState::Deleting
        | LifecycleState::Deleted => false,
    };
    let (reason, message): (Cow<'_, str>, Cow<'_, str>) = match (&journal.waiting, ready) {
        (Some(waiting), false) => words_of(waiting),
        (_, true) if matches!(state, LifecycleState::Suspended | LifecycleState::Created) => {
            ("Suspended".into(), "the job is suspended, as the spec asks".into())
        }
        (_, true) => ("Stable".into(), "the spec is deployed and stable".into()),
        (None, false) if state == LifecycleState::RolledBack => ("RolledBack".into(), ROLLED_BACK.into()),
        (None, false) => (camel(state.as_str()).into(), format!("lifecycle state {}", state.as_str()).into()),
    };
    ("Ready", ready, reason, message)
}

fn is_to_wait(resource: &Resource, journal: &Journal) -> bool {
    let suspended = resource.desired.as_ref().is_ok_and(|desired| job_state(desired) == JobState::Suspended);
    suspended && journal.waiting.is_none()
}

fn words_of(waiting: &WaitRecord) -> (Cow<'_, str>, Cow<'_, str>) {
    ((&*waiting.reason).into(), (&*waiting.message).into())
}

fn takes_snapshot(waiting: &WaitRecord) -> bool {
    &*waiting.reason == WaitingFor::SnapshotInProgress.as_str()
}

fn reconciling(journal: &Journal) -> Words<'_> {
    let waiting = journal.waiting.as_ref().filter(|waiting| !waiting.stalled);
    let (reason, message) = waiting.map_or(("Settled".into(), "".into()), words_of);
    ("Reconciling", waiting.is_some(), reason, message)
}

fn stalled(journal: &Journal) -> Words<'_> {
    match &journal.waiting {
        Some(waiting) if waiting.stalled => {
            let (reason, message) = words_of(waiting);
            ("Stalled", true, reason, message)
        }
        // What the spec asks for does not come by itself any more.
        None if journal.state == ReconciliationState::RolledBack => {
            ("Stalled", true, "RolledBack".into(), ROLLED_BACK.into())
        }
        Some(_) | None => ("Stalled", false, "Progressing".into(), "".into()),
    }
}

const ROLLED_BACK: &str = "the spec did not become stable and the last stable one runs: edit the spec";

/// `ROLLED_BACK` → `RolledBack`: a condition reason has no underscore.
fn camel(word: &str) -> String {
    word.split('_').map(|part| format!("{}{}", &part[..1], part[1..].to_lowercase())).collect()
}
