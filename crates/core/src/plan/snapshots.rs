//! Snapshots of a running job: asked for by a nonce, by a schedule, and the history that is kept of them.

use std::sync::Arc;

use drey_api::desired::Desired;
use drey_api::diff::Effect;
use drey_api::kinds::JobState;

use super::Draft;
use crate::assess::{Situation, assess};
use crate::decision::{Action, WaitingFor};
use crate::goal::{Goal, goal};
use crate::intent::{IntentKind, SnapshotCause};
use crate::journal::{Journal, SavepointCause, SavepointRecord};
use crate::observed::Observed;
use crate::resource::Resource;

/// Plans snapshots of a running job at rest.
pub(crate) fn plan(draft: &mut Draft<'_>, desired: &Arc<Desired>) {
    let Some(reconciled) = &draft.journal.reconciled else { return };
    let job = desired.spec.job.as_ref();
    let savepoint_nonce = job.and_then(|job| job.savepoint_trigger_nonce);
    let checkpoint_nonce = job.and_then(|job| job.checkpoint_trigger_nonce);
    if let Some(nonce) = savepoint_nonce.filter(|_| savepoint_nonce != reconciled.savepoint_nonce) {
        savepoint(draft, desired, SnapshotCause::Manual { nonce });
    } else if let Some(nonce) = checkpoint_nonce.filter(|_| checkpoint_nonce != reconciled.checkpoint_nonce) {
        checkpoint(draft, SnapshotCause::Manual { nonce });
    } else if let Some(path) = superfluous(&draft.journal, desired, draft.now.0) {
        // Before what a schedule asks for: one that is always due must not let the history grow.
        draft.open(IntentKind::Dispose { path: path.clone() }, Some(Action::Dispose { path }));
    } else if periodic_savepoint_is_due(draft, desired) {
        draft.journal.savepoints.last_periodic_at_ms = draft.now.0;
        savepoint(draft, desired, SnapshotCause::Periodic);
    } else if periodic_checkpoint_is_due(draft, desired) {
        draft.journal.checkpoints.last_periodic_at_ms = draft.now.0;
        checkpoint(draft, SnapshotCause::Periodic);
    }
}

fn savepoint(draft: &mut Draft<'_>, desired: &Desired, cause: SnapshotCause) {
    let Some(job_id) = draft.journal.run.as_ref().map(|run| run.job_id.clone()) else { return };
    let Some(target_directory) = super::stop::savepoint_directory(draft, desired) else { return };
    if let Some(run) = &mut draft.journal.run {
        run.open_directories.push(target_directory.clone());
    }
    let trigger_id = draft.next_trigger_id();
    let action = Action::Savepoint {
        job_id: job_id.clone(),
        trigger_id: trigger_id.clone(),
        target_directory: target_directory.clone(),
        format: desired.options.savepoint_format,
    };
    draft.open(IntentKind::Savepoint { job_id, trigger_id, target_directory, cause }, Some(action));
    draft.wait(WaitingFor::SnapshotInProgress, "a savepoint is being triggered");
}

fn checkpoint(draft: &mut Draft<'_>, cause: SnapshotCause) {
    let Some(job_id) = draft.journal.run.as_ref().map(|run| run.job_id.clone()) else { return };
    let trigger_id = draft.next_trigger_id();
    let action = Action::Checkpoint { job_id: job_id.clone(), trigger_id: trigger_id.clone() };
    draft.open(IntentKind::Checkpoint { job_id, trigger_id, cause }, Some(action));
    draft.wait(WaitingFor::SnapshotInProgress, "a checkpoint is being triggered");
}

fn periodic_savepoint_is_due(draft: &mut Draft<'_>, desired: &Desired) -> bool {
    let Some(schedule) = &desired.options.periodic_savepoint else { return false };
    let last_ms = draft.journal.savepoints.last_periodic_at_ms.max(draft.resource.created_at_ms);
    let next_ms = schedule.next_after(last_ms);
    is_due(draft, next_ms)
}

fn periodic_checkpoint_is_due(draft: &mut Draft<'_>, desired: &Desired) -> bool {
    let Some(schedule) = &desired.options.periodic_checkpoint else { return false };
    let last_ms = draft.journal.checkpoints.last_periodic_at_ms.max(draft.resource.created_at_ms);
    let next_ms = schedule.next_after(last_ms);
    is_due(draft, next_ms)
}

fn is_due(draft: &mut Draft<'_>, next_ms: Option<i64>) -> bool {
    let Some(next_ms) = next_ms else { return false };
    let left_ms = next_ms - draft.now.0;
    if left_ms > 0 {
        draft.wake_within(left_ms);
    }
    left_ms <= 0
}

/// The oldest savepoint that the history limits no longer keep, and that nothing stands on.
fn superfluous(journal: &Journal, desired: &Desired, now_ms: i64) -> Option<Arc<str>> {
    let options = &desired.options;
    if !options.savepoint_cleanup_enabled {
        return None;
    }
    let history = &journal.savepoints.history;
    // The newest of all is always kept, whatever its age.
    let (_, older) = history.split_last()?;
    let keep = usize::try_from(options.savepoint_history_max_count.max(1)).unwrap_or(usize::MAX);
    let surplus = history.len().saturating_sub(keep);
    older
        .iter()
        .enumerate()
        .filter(|(_, record)| is_ours_to_dispose(record) && !is_stood_on(journal, &record.snapshot.path))
        .find(|(index, record)| {
            *index < surplus || now_ms - record.completed_at_ms > options.savepoint_history_max_age_ms
        })
        .map(|(_, record)| record.snapshot.path.clone())
}

/// Upstream counts manual savepoints in the history that it cleans; who asked for one by hand keeps it.
fn is_ours_to_dispose(record: &SavepointRecord) -> bool {
    match record.cause {
        SavepointCause::Periodic | SavepointCause::Upgrade => true,
        SavepointCause::Manual(_) | SavepointCause::Unknown => false,
    }
}

/// Whether a run, a pending restore or the spec still needs this snapshot.
fn is_stood_on(journal: &Journal, path: &Arc<str>) -> bool {
    let is = |other: Option<&str>| other == Some(&**path);
    let base = journal.run.as_ref().and_then(|run| match &run.base {
        crate::journal::Base::Path(path) => Some(&**path),
        crate::journal::Base::Empty | crate::journal::Base::Unrecorded => None,
    });
    let newest = journal.run.as_ref().and_then(|run| run.newest_savepoint.as_ref());
    let initial = journal.reconciled.as_ref().and_then(|r| r.desired.spec.job.as_ref());
    is(journal.job.upgrade_savepoint_path.as_deref())
        || is(base)
        || is(newest.map(|snapshot| &*snapshot.path))
        || is(initial.and_then(|job| job.initial_savepoint_path.as_deref()))
}

/// Whether disposing of a savepoint may go on: the job runs, and nothing else is wanted.
pub(crate) fn may_dispose(resource: &Resource, journal: &Journal, observed: &Observed) -> bool {
    let at_rest = journal.observed_generation == Some(resource.generation);
    let Goal::Run(desired) = goal(resource, journal) else { return false };
    let unchanged = journal.reconciled.as_ref().is_some_and(|reconciled| {
        reconciled.job_state == JobState::Running
            && drey_api::diff::compare(&reconciled.desired.spec, &desired.spec)
                .is_none_or(|change| change.effect == Effect::Ignore)
    });
    at_rest && unchanged && assess(observed, journal) == Situation::Running
}
