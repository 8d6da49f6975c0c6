//! The open intent: did it happen? Evidence for each kind, in one place: done, certainly not done, or not known
//! yet. Only what is certainly not done is sent again, and only what is settled is closed.

use std::sync::Arc;

use drey_api::kinds::{FlinkJobState, JobState, ReconciliationState, SavepointFormat, UpgradeMode};

use super::{Draft, Flow, complete, rollback, scale, stop};
use crate::assess::{Situation, assess};
use crate::decision::{Action, Deployment, WaitingFor};
use crate::goal::{Goal, goal};
use crate::intent::{DeployTarget, Intent, IntentKind, SnapshotCause};
use crate::journal::{End, Last, Restored, SavepointCause, SavepointRecord};
use crate::observed::{Cluster, Operation, Seen, StoredSnapshot};
use crate::restore::Restore;

/// Resolves the open intent as far as the evidence allows.
pub(super) fn resolve(draft: &mut Draft<'_>) -> Flow {
    let Some(intent) = draft.journal.intent.clone() else { return Flow::GoOn };
    match &intent.kind {
        IntentKind::Deploy { .. } => deploy(draft),
        IntentKind::Complete { cluster_uid } => complete::go_on(draft, &intent, cluster_uid),
        IntentKind::Scale { cluster_uid } => scale::go_on(draft, &intent, cluster_uid),
        IntentKind::Stop { target_directory, .. } => stop_with_savepoint(draft, &intent, target_directory),
        IntentKind::Cancel { .. } => cancel(draft, &intent),
        IntentKind::Teardown { cluster_uid } => teardown(draft, cluster_uid),
        IntentKind::Savepoint { target_directory, cause, .. } => {
            savepoint(draft, &intent, target_directory, *cause)
        }
        IntentKind::Checkpoint { cause, .. } => checkpoint(draft, &intent, *cause),
        IntentKind::Dispose { path } => dispose(draft, &intent, path),
    }
}

// ---- deploy ---------------------------------------------------------------------------------------------------

/// Sees whether the cluster of the open deploy intent exists, and creates it if certainly not.
pub(super) fn deploy(draft: &mut Draft<'_>) -> Flow {
    let Some(intent) = draft.journal.intent.clone() else { return Flow::GoOn };
    let IntentKind::Deploy { restore, target, .. } = &intent.kind else { return Flow::GoOn };
    match &draft.observed.cluster {
        Seen::Unknown => draft.wait(WaitingFor::ClusterNotKnown, "the cluster could not be looked at"),
        Seen::Present(cluster) if !cluster.owned => {
            stop::name_taken(draft);
            Flow::Done
        }
        Seen::Present(cluster) if cluster.terminating && !is_of_run(draft, cluster) => {
            draft.wait(WaitingFor::ClusterTerminating, "an earlier cluster is going away")
        }
        Seen::Present(cluster) => {
            let cluster = cluster.clone();
            created(draft, &intent, &cluster, *target)
        }
        Seen::Absent if !draft.is_live() => Flow::Done,
        // Before anything was sent, the evidence is still that of the run before.
        Seen::Absent if intent.attempts > 0 && has_left_traces(draft, restore) => {
            // It was created, ran, and is gone again: that is a lost cluster, and not one to create for the first time.
            draft.close();
            deployed(draft, *target, false);
            Flow::GoOn
        }
        Seen::Absent => not_created(draft, &intent, restore, *target),
    }
}

/// Whether this is the cluster of the run that the open intent starts.
fn is_of_run(draft: &Draft<'_>, cluster: &Cluster) -> bool {
    draft.journal.run.as_ref().is_some_and(|run| {
        cluster.seq == Some(run.seq)
            || (cluster.seq.is_some() && cluster.job_id.as_ref() == Some(&run.job_id))
    })
}

/// Whether Flink has written anything under the new run's own job id. Last-state goes on under an old one, and is the
/// same however often it is started.
fn has_left_traces(draft: &Draft<'_>, restore: &Restore) -> bool {
    let Some(run) = draft.journal.run.as_ref().filter(|_| *restore != Restore::LastState) else {
        return false;
    };
    let observed = draft.observed;
    observed.high_availability.present().is_some_and(|data| data.job(&run.job_id).is_some())
        || observed.retained_checkpoint.present().is_some()
        || observed.job_result.present().is_some()
}

fn created(draft: &mut Draft<'_>, intent: &Intent, cluster: &Cluster, target: DeployTarget) -> Flow {
    let same_attempt = draft.journal.run.as_ref().is_some_and(|run| cluster.seq == Some(run.seq));
    if !is_of_run(draft, cluster) || (cluster.missing.is_some() && !same_attempt) {
        if !draft.is_live() {
            return Flow::Done;
        }
        // An operator that lost its leadership created it late, from a source that is no longer the newest.
        draft.close();
        return stop::take_down(draft, cluster);
    }
    let Some(run) = &mut draft.journal.run else { return Flow::GoOn };
    run.cluster_uid = Some(cluster.uid.clone());
    // A late create of an earlier attempt: same run, older spec. The next steps bring it up to date.
    let outdated = cluster.generation.is_some_and(|generation| generation < run.generation);
    if !cluster.terminating && cluster.missing.is_some() && !gives_way(draft, intent, target) {
        return complete::create_missing(draft, intent, cluster, target);
    }
    draft.close();
    deployed(draft, target, outdated);
    Flow::GoOn
}

/// The cluster of the intent exists, or existed.
fn deployed(draft: &mut Draft<'_>, target: DeployTarget, outdated: bool) {
    draft.journal.state = match (target, outdated) {
        (DeployTarget::Reconciled, false) => ReconciliationState::Deployed,
        (DeployTarget::Reconciled, true) => ReconciliationState::Upgrading,
        (DeployTarget::Stable, _) => ReconciliationState::RolledBack,
    };
    draft.journal.reconciled_at_ms = draft.now.0;
    if let Some(reconciled) = &mut draft.journal.reconciled {
        reconciled.job_state = JobState::Running;
    }
}

/// The words for an action that is on its way, or was certainly not applied.
pub(super) fn refused_or_waiting(draft: &mut Draft<'_>, intent: &Intent, waiting: impl FnOnce() -> String) {
    if !refused(draft, intent) {
        draft.wait(WaitingFor::ClusterCreating, waiting());
    }
}

/// Waits for an action that was certainly not applied, when the last one was not. Returns whether it does.
pub(super) fn refused(draft: &mut Draft<'_>, intent: &Intent) -> bool {
    let refused = draft.observed.refused.as_ref().filter(|refused| refused.seq == intent.seq);
    let Some(message) = refused.map(|refused| refused.message.clone()) else { return false };
    draft.problem("Error", "JobManagerDeployment", message.clone());
    draft.wait(WaitingFor::ActionRefused, message);
    true
}

fn not_created(draft: &mut Draft<'_>, intent: &Intent, restore: &Restore, target: DeployTarget) -> Flow {
    if let Some(flow) = overtaken(draft, intent, target) {
        return flow;
    }
    refused_or_waiting(draft, intent, || "the cluster is being created".to_owned());
    if !draft.is_due() {
        return Flow::Done;
    }
    match prepare(draft, restore) {
        Ok(Some(action)) => draft.send(action),
        Ok(None) => {
            if let Some(deployment) = deployment(draft, target) {
                draft.send(Action::Deploy(Box::new(deployment)));
            }
        }
        Err(()) => {
            draft.wait(WaitingFor::RestoreSourceNotKnown, "The high-availability store could not be read.");
        }
    }
    Flow::Done
}

/// Whether what is wanted has changed so that what the intent makes is not wanted any more.
fn gives_way(draft: &mut Draft<'_>, intent: &Intent, target: DeployTarget) -> bool {
    let edited = draft.resource.generation != intent.generation;
    let unwanted = match goal(draft.resource, &draft.journal) {
        Goal::Delete => true,
        Goal::Run(_) | Goal::Suspend(_) => edited,
        Goal::Refuse(_) | Goal::KeepLast(_) => false,
    };
    unwanted || rolls_back(draft, intent, target)
}

pub(super) fn rolls_back(draft: &mut Draft<'_>, intent: &Intent, target: DeployTarget) -> bool {
    target == DeployTarget::Reconciled
        && draft.resource.generation == intent.generation
        && rollback::is_due(draft)
}

/// Nothing was created, and what is wanted has changed: the intent gives way. What the run was to be restored from
/// stays on record as its base.
fn overtaken(draft: &mut Draft<'_>, intent: &Intent, target: DeployTarget) -> Option<Flow> {
    if !gives_way(draft, intent, target) {
        return None;
    }
    let rolls_back = rolls_back(draft, intent, target);
    draft.close();
    if let Some(run) = &mut draft.journal.run {
        run.never_ran = matches!(run.restored, Restored::Empty | Restored::Path(_));
    }
    draft.mark_stopped(match draft.journal.run.as_ref().map(|run| &run.restored) {
        Some(Restored::Path(_)) => UpgradeMode::Savepoint,
        Some(Restored::Empty) => UpgradeMode::Stateless,
        Some(Restored::LastState) | None => UpgradeMode::LastState,
    });
    if rolls_back {
        rollback::begin(draft);
        return Some(Flow::Done);
    }
    Some(Flow::GoOn)
}

/// What the high-availability store must not bring back is removed before the cluster exists.
fn prepare(draft: &Draft<'_>, restore: &Restore) -> Result<Option<Action>, ()> {
    match (&draft.observed.high_availability, restore) {
        (Seen::Unknown, _) => Err(()),
        (Seen::Absent, _) => Ok(None),
        (Seen::Present(data), Restore::Empty | Restore::Path(_)) if !data.maps.is_empty() => {
            Ok(Some(Action::DeleteHighAvailability(data.maps.clone())))
        }
        (Seen::Present(data), Restore::LastState) if !data.job_graphs.is_empty() => {
            Ok(Some(Action::StripJobGraphs(data.job_graphs.clone())))
        }
        (Seen::Present(_), _) => Ok(None),
    }
}

/// What the cluster of the current run is made from.
pub(super) fn deployment(draft: &Draft<'_>, target: DeployTarget) -> Option<Deployment> {
    let run = draft.journal.run.as_ref()?;
    let recorded = match target {
        DeployTarget::Reconciled => draft.journal.reconciled.as_ref()?,
        DeployTarget::Stable => draft.journal.stable()?,
    };
    let desired = recorded.desired.clone();
    let allow = desired.spec.job.as_ref().and_then(|job| job.allow_non_restored_state).unwrap_or(false);
    Some(Deployment {
        seq: run.seq,
        generation: run.generation,
        allow_non_restored_state: allow,
        desired,
        job_id: run.job_id.clone(),
        restore: match &run.restored {
            Restored::Empty => Restore::Empty,
            Restored::Path(path) => Restore::Path(path.clone()),
            Restored::LastState => Restore::LastState,
        },
    })
}

// ---- stop, cancel, teardown -----------------------------------------------------------------------------------

fn stop_with_savepoint(draft: &mut Draft<'_>, intent: &Intent, directory: &Arc<str>) -> Flow {
    let observed = draft.observed;
    let operation = observed.operation(intent.seq);
    if let Some(Seen::Present(Operation::Completed { snapshot: Some(snapshot) })) = operation {
        return stopped(draft, snapshot.clone());
    }
    match assess(observed, &draft.journal) {
        Situation::NotKnown => draft.wait(WaitingFor::ClusterNotKnown, "the cluster could not be looked at"),
        Situation::Gone => lost_while_stopping(draft),
        // A JobManager that does not come up again answers nothing any more; what it completed is in the directory.
        Situation::Failing(..) => {
            draft.close();
            Flow::GoOn
        }
        Situation::Ended(state) => ended_while_stopping(draft, directory, state),
        Situation::Foreign | Situation::Terminating => draft
            .wait(WaitingFor::ClusterTerminating, "the cluster went away while the job was being stopped"),
        situation => match operation {
            Some(Seen::Present(Operation::Failed { cause })) => {
                let cause = cause.clone();
                stop_failed(draft, directory, &cause)
            }
            Some(Seen::Absent) => not_stopping(draft, intent, situation),
            Some(Seen::Present(_) | Seen::Unknown) | None => {
                draft.wait(WaitingFor::SavepointBeforeStop, "the job is being stopped with a savepoint")
            }
        },
    }
}

/// The savepoint is complete and the job ended with it: nothing newer can exist.
fn stopped(draft: &mut Draft<'_>, snapshot: StoredSnapshot) -> Flow {
    record_savepoint(draft, &snapshot, SavepointCause::Upgrade);
    if let Some(run) = &mut draft.journal.run {
        // The job ended with this one: whatever else was asked for is older or never came to be.
        run.open_directories.clear();
        run.newest_savepoint = Some(snapshot.clone());
        run.end = Some(End { state: FlinkJobState::Finished, last: Last::Snapshot(snapshot.clone()) });
    }
    draft.journal.job.upgrade_savepoint_path = Some(snapshot.path);
    draft.close();
    draft.mark_stopped(UpgradeMode::Savepoint);
    draft.set_job_state(FlinkJobState::Finished);
    Flow::GoOn
}

/// The cluster died during the stop. The savepoint may be complete all the same: its directory stays open, and the
/// restore source is chosen with it.
fn lost_while_stopping(draft: &mut Draft<'_>) -> Flow {
    if !draft.is_live() {
        return Flow::Done;
    }
    draft.close();
    draft.mark_stopped(UpgradeMode::LastState);
    Flow::GoOn
}

/// The job ended, and Flink does not tell by what: the stop's own directory does.
fn ended_while_stopping(draft: &mut Draft<'_>, directory: &str, state: FlinkJobState) -> Flow {
    if !draft.is_live() {
        return Flow::Done;
    }
    match &draft.observed.open_snapshot {
        // One in the directory of an earlier request is not what the job ended with.
        Seen::Present(snapshot) if state == FlinkJobState::Finished && is_below(snapshot, directory) => {
            let snapshot = snapshot.clone();
            stopped(draft, snapshot)
        }
        Seen::Unknown if stop::can_tell_last(draft) => draft
            .wait(WaitingFor::StorageNotKnown, "the job ended; its savepoint directory could not be read"),
        Seen::Unknown | Seen::Absent | Seen::Present(_) => {
            // What the job left is on record as its end, or its directory stays open for the choice.
            draft.close();
            Flow::GoOn
        }
    }
}

/// Flink gave the savepoint up and the job goes on.
fn stop_failed(draft: &mut Draft<'_>, directory: &Arc<str>, cause: &str) -> Flow {
    if !draft.is_live() {
        return Flow::Done;
    }
    if settle_directory(draft, directory).is_err() {
        return draft
            .wait(WaitingFor::StorageNotKnown, "the savepoint failed; its directory could not be read");
    }
    draft.problem("SavepointError", "Job", format!("Savepoint for the stop failed: {cause}"));
    draft.close();
    draft.wake_within(draft.policy.retry_delay_max_ms.min(10_000));
    draft.wait(WaitingFor::SavepointBeforeStop, "the savepoint failed and is tried again")
}

/// What is complete in the directory of a failed request counts as a snapshot of the run. Where nobody can ever look,
/// the job goes on as Flink itself does: from its last checkpoint.
fn settle_directory(draft: &mut Draft<'_>, directory: &Arc<str>) -> Result<(), ()> {
    match &draft.observed.open_snapshot {
        Seen::Unknown if !draft.observed.storage_hidden => return Err(()),
        Seen::Present(snapshot) => {
            let snapshot = snapshot.clone();
            note_newest_savepoint(draft, &snapshot);
        }
        Seen::Unknown | Seen::Absent => {}
    }
    forget_directory(draft, directory);
    Ok(())
}

fn forget_directory(draft: &mut Draft<'_>, directory: &Arc<str>) {
    if let Some(run) = &mut draft.journal.run {
        run.open_directories.retain(|open| open != directory);
    }
}

/// Flink answers and knows nothing of the request.
fn not_stopping(draft: &mut Draft<'_>, intent: &Intent, situation: Situation<'_>) -> Flow {
    let IntentKind::Stop { job_id, trigger_id, target_directory, drain } = &intent.kind else {
        return Flow::GoOn;
    };
    draft.wait(WaitingFor::SavepointBeforeStop, "the job is being stopped with a savepoint");
    if !draft.is_due() || !draft.is_live() {
        return Flow::Done;
    }
    match &draft.observed.open_snapshot {
        // The JobManager died when the savepoint was complete. What came before it is out of the sinks, and the job, which
        // goes on from a checkpoint, brings it again as soon as it completes the next one.
        Seen::Present(snapshot) if is_below(snapshot, target_directory) => {
            let snapshot = snapshot.clone();
            record_savepoint(draft, &snapshot, SavepointCause::Upgrade);
            draft.close();
            if stop::store_is_ahead(draft, &snapshot) {
                forget_directory(draft, target_directory);
                return Flow::GoOn;
            }
            return stop::teardown(draft, UpgradeMode::Savepoint);
        }
        Seen::Unknown if !draft.observed.storage_hidden => {
            return draft
                .wait(WaitingFor::StorageNotKnown, "the savepoint directory of the stop could not be read");
        }
        Seen::Unknown | Seen::Absent | Seen::Present(_) => {}
    }
    if matches!(situation, Situation::Unsettled(_) | Situation::JobMissing) && may_run_again(draft, intent) {
        return Flow::Done;
    }
    if situation != Situation::Running {
        // A job that does not run takes no savepoint: plan anew. The directory stays open, in case the request arrives
        // late; where nobody can look into it, the job goes on as Flink itself did.
        if matches!(situation, Situation::Unsettled(_)) && draft.observed.storage_hidden {
            forget_directory(draft, target_directory);
        }
        draft.close();
        draft.waiting = None;
        return Flow::GoOn;
    }
    let format = draft
        .journal
        .deployed()
        .map_or(SavepointFormat::Canonical, |deployed| deployed.desired.options.savepoint_format);
    draft.send(Action::Stop {
        job_id: job_id.clone(),
        trigger_id: trigger_id.clone(),
        target_directory: target_directory.clone(),
        drain: *drain,
        format,
    });
    Flow::Done
}

/// Whether a snapshot is in the directory of a request, `…/<uid>/<name>`. What stands before that may be spelt in
/// another way: `file:/a` is `file:///a`.
fn is_below(snapshot: &StoredSnapshot, directory: &str) -> bool {
    let own = directory.rmatch_indices('/').nth(1).map_or(directory, |(at, _)| &directory[at..]);
    snapshot.path.contains(&format!("{own}/"))
}

/// A JobManager that knows nothing of a request has restarted since, or was restarting then. Its job runs again soon, and
/// takes the same request; what a teardown leaves open cannot be looked for where storage is not readable.
fn may_run_again(draft: &mut Draft<'_>, intent: &Intent) -> bool {
    // A clock that was set back must not keep the job from its upgrade.
    let asked_ms = (draft.now.0 - intent.attempted_at_ms).abs();
    let left_ms = RESTART_MS - asked_ms;
    if left_ms > 0 {
        draft.wake_within(left_ms);
    }
    left_ms > 0
}

/// How long a job may take to run again after its JobManager has restarted.
const RESTART_MS: i64 = 2 * super::rest::JOB_SUBMISSION_MS;

fn cancel(draft: &mut Draft<'_>, intent: &Intent) -> Flow {
    let IntentKind::Cancel { job_id } = &intent.kind else { return Flow::GoOn };
    match assess(draft.observed, &draft.journal) {
        Situation::NotKnown => draft.wait(WaitingFor::ClusterNotKnown, "the cluster could not be looked at"),
        // A job that Flink does not know any more cannot be cancelled either, nor one whose JobManager does not come up.
        Situation::Gone
        | Situation::Ended(_)
        | Situation::Foreign
        | Situation::Terminating
        | Situation::Failing(..)
        | Situation::JobMissing => {
            // What the job left is read by the stop that follows.
            draft.close();
            Flow::GoOn
        }
        Situation::Running | Situation::Unsettled(_) => {
            draft.wait(WaitingFor::JobCancelling, "the job is being cancelled");
            if draft.is_due() {
                draft.send(Action::Cancel { job_id: job_id.clone() });
            }
            Flow::Done
        }
        Situation::Starting | Situation::Unreachable | Situation::Cancelling => {
            draft.wait(WaitingFor::JobCancelling, "the job is being cancelled")
        }
    }
}

fn teardown(draft: &mut Draft<'_>, uid: &Arc<str>) -> Flow {
    match &draft.observed.cluster {
        Seen::Unknown => draft.wait(WaitingFor::ClusterNotKnown, "the cluster could not be looked at"),
        Seen::Absent if !draft.is_live() => Flow::Done,
        Seen::Absent => {
            draft.close();
            Flow::GoOn
        }
        Seen::Present(cluster) if cluster.uid != *uid => {
            draft.close();
            Flow::GoOn
        }
        Seen::Present(cluster) => {
            let terminating = cluster.terminating;
            draft.wait(WaitingFor::ClusterTerminating, "the old cluster is being taken down");
            if !terminating && draft.is_due() && draft.is_live() {
                draft.send(Action::DeleteCluster { uid: uid.clone() });
            }
            Flow::Done
        }
    }
}

// ---- snapshots ------------------------------------------------------------------------------------------------

fn savepoint(draft: &mut Draft<'_>, intent: &Intent, directory: &Arc<str>, cause: SnapshotCause) -> Flow {
    let observed = draft.observed;
    let operation = observed.operation(intent.seq);
    let situation = assess(observed, &draft.journal);
    match operation {
        Some(Seen::Present(Operation::Completed { snapshot: Some(snapshot) })) => {
            let snapshot = snapshot.clone();
            let why = match cause {
                SnapshotCause::Manual { nonce } => SavepointCause::Manual(nonce),
                SnapshotCause::Periodic => SavepointCause::Periodic,
            };
            record_savepoint(draft, &snapshot, why);
            forget_directory(draft, directory);
            handled_savepoint(draft, cause);
            draft.close();
            Flow::GoOn
        }
        Some(Seen::Present(Operation::Failed { cause: failure })) => {
            let failure = failure.clone();
            if !draft.is_live() {
                return Flow::Done;
            }
            if settle_directory(draft, directory).is_err() {
                return draft.wait(
                    WaitingFor::StorageNotKnown,
                    "the savepoint failed; its directory could not be read",
                );
            }
            give_up_savepoint(draft, cause, &failure)
        }
        Some(Seen::Absent) if situation == Situation::Running => send_savepoint(draft, intent, cause),
        _ if snapshot_is_lost(draft, situation) => {
            give_up_unheard(draft, directory, cause, "the job did not go on running")
        }
        Some(Seen::Absent | Seen::Unknown | Seen::Present(_)) | None => {
            draft.wait(WaitingFor::SnapshotInProgress, "a savepoint is under way")
        }
    }
}

/// The job that takes the snapshot is gone, over, or will not answer for it any more.
fn snapshot_is_lost(draft: &Draft<'_>, situation: Situation<'_>) -> bool {
    match situation {
        Situation::Gone | Situation::Foreign | Situation::Terminating | Situation::Ended(_) => true,
        Situation::Failing(..) | Situation::JobMissing | Situation::Unsettled(_) | Situation::Cancelling => {
            let seq = draft.journal.intent.as_ref().map_or(draft.journal.seq, |intent| intent.seq);
            let operation = draft.observed.operation(seq);
            matches!(operation, Some(Seen::Absent)) || matches!(situation, Situation::Failing(..))
        }
        // Deleting does not wait for a snapshot of a JobManager that does not answer.
        Situation::Starting | Situation::Unreachable => draft.resource.deleting,
        Situation::NotKnown | Situation::Running => false,
    }
}

fn send_savepoint(draft: &mut Draft<'_>, intent: &Intent, cause: SnapshotCause) -> Flow {
    let IntentKind::Savepoint { job_id, trigger_id, target_directory, .. } = &intent.kind else {
        return Flow::GoOn;
    };
    let options = draft.journal.deployed().map(|deployed| &deployed.desired.options);
    let grace_ms = options.map_or(60_000, |options| options.savepoint_grace_period_ms);
    let format = options.map_or(SavepointFormat::Canonical, |options| options.savepoint_format);
    if (draft.now.0 - intent.started_at_ms).abs() > grace_ms && intent.attempts > 1 {
        return give_up_unheard(
            draft,
            target_directory,
            cause,
            "Flink did not accept it within the grace period",
        );
    }
    draft.wait(WaitingFor::SnapshotInProgress, "a savepoint is being triggered");
    if draft.is_due() {
        draft.send(Action::Savepoint {
            job_id: job_id.clone(),
            trigger_id: trigger_id.clone(),
            target_directory: target_directory.clone(),
            format,
        });
    }
    Flow::Done
}

/// It may be complete without anybody having heard of it: its directory stays open, if it can be looked into. Where it
/// cannot, Flink's own rule holds: the job never goes on from such a savepoint, only from its checkpoints (FLIP-203).
fn give_up_unheard(draft: &mut Draft<'_>, directory: &Arc<str>, cause: SnapshotCause, why: &str) -> Flow {
    if !draft.is_live() {
        return Flow::Done;
    }
    if draft.observed.storage_hidden {
        forget_directory(draft, directory);
    }
    give_up_savepoint(draft, cause, why)
}

fn give_up_savepoint(draft: &mut Draft<'_>, cause: SnapshotCause, why: &str) -> Flow {
    draft.warning("SavepointError", "Snapshot", format!("Savepoint failed: {why}"));
    handled_savepoint(draft, cause);
    draft.close();
    Flow::GoOn
}

fn handled_savepoint(draft: &mut Draft<'_>, cause: SnapshotCause) {
    match cause {
        SnapshotCause::Manual { nonce } => {
            if let Some(reconciled) = &mut draft.journal.reconciled {
                reconciled.savepoint_nonce = Some(nonce);
            }
        }
        SnapshotCause::Periodic => {}
    }
}

fn checkpoint(draft: &mut Draft<'_>, intent: &Intent, cause: SnapshotCause) -> Flow {
    let observed = draft.observed;
    let operation = observed.operation(intent.seq);
    let situation = assess(observed, &draft.journal);
    match operation {
        Some(Seen::Present(Operation::Completed { .. })) => {
            let nonce = match cause {
                SnapshotCause::Manual { nonce } => Some(nonce),
                SnapshotCause::Periodic => None,
            };
            draft.journal.checkpoints.last = Some((draft.now.0, nonce));
            close_checkpoint(draft, cause)
        }
        Some(Seen::Present(Operation::Failed { cause: failure })) => {
            let message = format!("Checkpoint failed: {failure}");
            draft.warning("CheckpointError", "Snapshot", message);
            close_checkpoint(draft, cause)
        }
        Some(Seen::Absent) if situation == Situation::Running => send_checkpoint(draft, intent, cause),
        _ if snapshot_is_lost(draft, situation) => {
            draft.warning("CheckpointError", "Snapshot", "Checkpoint failed: the job did not go on running");
            close_checkpoint(draft, cause)
        }
        Some(Seen::Absent | Seen::Unknown | Seen::Present(_)) | None => {
            draft.wait(WaitingFor::SnapshotInProgress, "a checkpoint is under way")
        }
    }
}

fn send_checkpoint(draft: &mut Draft<'_>, intent: &Intent, cause: SnapshotCause) -> Flow {
    let IntentKind::Checkpoint { job_id, trigger_id, .. } = &intent.kind else { return Flow::GoOn };
    let options = draft.journal.deployed().map(|deployed| &deployed.desired.options);
    let grace_ms = options.map_or(60_000, |options| options.checkpoint_grace_period_ms);
    if (draft.now.0 - intent.started_at_ms).abs() > grace_ms && intent.attempts > 1 {
        draft.warning("CheckpointError", "Snapshot", "Checkpoint was not accepted within the grace period");
        return close_checkpoint(draft, cause);
    }
    draft.wait(WaitingFor::SnapshotInProgress, "a checkpoint is being triggered");
    if draft.is_due() {
        draft.send(Action::Checkpoint { job_id: job_id.clone(), trigger_id: trigger_id.clone() });
    }
    Flow::Done
}

fn close_checkpoint(draft: &mut Draft<'_>, cause: SnapshotCause) -> Flow {
    if let (SnapshotCause::Manual { nonce }, Some(reconciled)) = (cause, &mut draft.journal.reconciled) {
        reconciled.checkpoint_nonce = Some(nonce);
    }
    draft.close();
    Flow::GoOn
}

fn dispose(draft: &mut Draft<'_>, intent: &Intent, path: &Arc<str>) -> Flow {
    let operation = draft.observed.operation(intent.seq).cloned();
    match operation {
        Some(Seen::Present(Operation::Completed { .. })) => {
            draft.journal.savepoints.history.retain(|record| record.snapshot.path != *path);
            draft.close();
            return Flow::GoOn;
        }
        Some(Seen::Present(Operation::Failed { cause })) if intent.attempts <= 1 => {
            draft.warning("SavepointError", "Snapshot", format!("Savepoint disposal failed: {cause}"));
        }
        _ => {}
    }
    // Disposal can wait: anything else that is wanted goes first. The entry stays in the history.
    if !super::snapshots::may_dispose(draft.resource, &draft.journal, draft.observed) {
        draft.close();
        return Flow::GoOn;
    }
    if draft.is_due() {
        draft.send(Action::Dispose { path: path.clone() });
    }
    draft.at_rest = true;
    Flow::Done
}

fn record_savepoint(draft: &mut Draft<'_>, snapshot: &StoredSnapshot, cause: SavepointCause) {
    note_newest_savepoint(draft, snapshot);
    let format = draft
        .journal
        .deployed()
        .map_or(SavepointFormat::Canonical, |deployed| deployed.desired.options.savepoint_format);
    let known = draft.journal.savepoints.history.iter().any(|record| record.snapshot.path == snapshot.path);
    if !known {
        draft.journal.savepoints.history.push(SavepointRecord {
            completed_at_ms: draft.now.0,
            snapshot: snapshot.clone(),
            cause,
            format,
        });
    }
}

fn note_newest_savepoint(draft: &mut Draft<'_>, snapshot: &StoredSnapshot) {
    let Some(run) = &mut draft.journal.run else { return };
    let newer =
        run.newest_savepoint.as_ref().is_none_or(|known| known.checkpoint_id <= snapshot.checkpoint_id);
    if newer {
        run.newest_savepoint = Some(snapshot.clone());
    }
}
