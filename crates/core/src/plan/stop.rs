//! Ends the present run so that its state is kept: which way, given what is wanted and what the situation is. Every
//! way ends with a teardown; which snapshot comes out of it is not decided here but read afterwards.

use std::sync::Arc;

use drey_api::desired::Desired;
use drey_api::diff::Effect;
use drey_api::kinds::{FlinkJobState, JobState, UpgradeMode};

use super::{Draft, Flow};
use crate::assess::{Situation, assess};
use crate::decision::{Action, WaitingFor};
use crate::goal::job_state;
use crate::intent::IntentKind;
use crate::journal::Last;
use crate::observed::{Cluster, ClusterPhase, StoredSnapshot};

/// How a running job is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Stop with savepoint.
    Savepoint,
    /// Cancel, and use the last checkpoint by its path.
    Cancel,
    /// Take the cluster down; high availability keeps the last checkpoint.
    Teardown,
    /// Not now.
    Wait(WaitingFor, &'static str),
}

/// Plans the stop of the present run, before an upgrade or a suspension.
pub(super) fn plan(draft: &mut Draft<'_>, desired: &Arc<Desired>, effect: Effect) {
    let mode = wanted_mode(draft, desired, effect);
    let observed = draft.observed;
    match assess(observed, &draft.journal) {
        Situation::NotKnown => {
            draft.wait(WaitingFor::ClusterNotKnown, "the cluster could not be looked at");
        }
        Situation::Foreign => name_taken(draft),
        Situation::Terminating => {
            draft.wait(WaitingFor::ClusterTerminating, "the old cluster is going away");
        }
        Situation::Gone => {
            if draft.is_live() {
                draft.mark_stopped(stopped_mode(mode));
                super::start::plan(draft, desired, effect);
            }
        }
        Situation::Ended(_) => ended(draft),
        // It may have ended without anybody having seen it.
        Situation::JobMissing | Situation::Failing(..) if !draft.is_live() => {}
        // There is no job any more that could be stopped or cancelled.
        Situation::JobMissing if is_settled_missing(draft) => {
            teardown(draft, stopped_mode(mode));
        }
        situation => match way(draft, desired, mode, situation) {
            Way::Savepoint => with_savepoint(draft, desired),
            Way::Cancel => cancel(draft),
            Way::Teardown => {
                teardown(draft, stopped_mode(mode));
            }
            Way::Wait(what, message) => {
                draft.wait(what, message);
            }
        },
    }
}

/// The upgrade mode that counts: a redeploy from a given savepoint gives the present state up.
fn wanted_mode(draft: &Draft<'_>, desired: &Desired, effect: Effect) -> UpgradeMode {
    if effect == Effect::SavepointRedeploy && job_state(desired) == JobState::Running {
        return UpgradeMode::Stateless;
    }
    let from_spec = desired.spec.job.as_ref().map(|job| job.upgrade_mode);
    let from_record = draft.journal.reconciled.as_ref().map(|reconciled| reconciled.upgrade_mode);
    from_spec.or(from_record).unwrap_or(UpgradeMode::Stateless)
}

fn stopped_mode(mode: UpgradeMode) -> UpgradeMode {
    match mode {
        UpgradeMode::Stateless => UpgradeMode::Stateless,
        UpgradeMode::LastState | UpgradeMode::Savepoint => UpgradeMode::LastState,
    }
}

/// The whole table of upgrade modes × situations (upstream's order of conditions).
fn way(draft: &Draft<'_>, desired: &Desired, mode: UpgradeMode, situation: Situation<'_>) -> Way {
    let version_changed = version_changed(draft, desired);
    match (mode, situation) {
        (_, Situation::Cancelling) => Way::Wait(WaitingFor::JobCancelling, "the job is being cancelled"),
        (UpgradeMode::Stateless, _) => Way::Teardown,
        // A stop was asked for, its answer is lost, and Flink knows of no job: it may have ended with the savepoint,
        // which is looked for once the cluster is gone.
        (_, Situation::JobMissing | Situation::Failing(..)) if has_open_requests(draft) => Way::Teardown,
        (UpgradeMode::Savepoint, Situation::Running) => Way::Savepoint,
        (UpgradeMode::Savepoint, other) => {
            if version_changed || desired.options.last_state_fallback || never_available(draft) {
                last_state(draft, desired, other, version_changed)
            } else {
                Way::Wait(
                    WaitingFor::JobNotRunning,
                    "the job is not RUNNING, so no savepoint can be taken, and \
                     `kubernetes.operator.job.upgrade.last-state-fallback.enabled` is false",
                )
            }
        }
        (UpgradeMode::LastState, other) => last_state(draft, desired, other, version_changed),
    }
}

fn last_state(draft: &Draft<'_>, desired: &Desired, situation: Situation<'_>, version_changed: bool) -> Way {
    let kept_by_store =
        draft.journal.deployed().is_some_and(|deployed| deployed.desired.options.high_availability);
    let cancellable = matches!(situation, Situation::Running | Situation::Unsettled(_));
    if version_changed {
        return match situation {
            Situation::Running if desired.options.savepoint_directory.is_some() => Way::Savepoint,
            _ if cancellable => Way::Cancel,
            _ if never_available(draft) && !store_holds_state(draft) => Way::Teardown,
            _ => Way::Wait(
                WaitingFor::JobNotRunning,
                "the Flink version changes, which needs a savepoint or a cancelled job, and the job is not RUNNING",
            ),
        };
    }
    let may_cancel = cancellable && (!kept_by_store || desired.options.last_state_job_cancel);
    match situation {
        Situation::Running => match checkpoint_age(draft, desired) {
            Some(way) => way,
            None if may_cancel => Way::Cancel,
            None => Way::Teardown,
        },
        _ if may_cancel => Way::Cancel,
        _ if kept_by_store || never_available(draft) => Way::Teardown,
        _ => Way::Wait(
            WaitingFor::JobNotRunning,
            "the job is not RUNNING and high availability is off, so that its last checkpoint is not known: \
             the upgrade waits until the job runs; `upgradeMode: stateless` gives its state up",
        ),
    }
}

/// `kubernetes.operator.job.upgrade.last-state.max.allowed.checkpoint.age`: too old a checkpoint asks for a
/// savepoint; one under way that is young enough is waited for.
fn checkpoint_age(draft: &Draft<'_>, desired: &Desired) -> Option<Way> {
    let age_max_ms = desired.options.max_allowed_checkpoint_age_ms?;
    let rest = draft.observed.rest.as_ref()?;
    let now_ms = draft.now.0;
    let job_started_ms = rest.job.present().map_or(0, |job| job.started_at_ms);
    if now_ms - job_started_ms < age_max_ms {
        return None;
    }
    let Some(checkpoints) = rest.checkpoints.present() else {
        return Some(Way::Wait(WaitingFor::RestoreSourceNotKnown, "the job's checkpoints are not known yet"));
    };
    let young = |at_ms: Option<i64>| at_ms.is_some_and(|at_ms| now_ms - at_ms < age_max_ms);
    if young(checkpoints.newest_completed_at_ms) {
        None
    } else if young(checkpoints.pending_since_ms) {
        Some(Way::Wait(WaitingFor::CheckpointInProgress, "a checkpoint young enough is under way"))
    } else if desired.options.savepoint_directory.is_some() {
        Some(Way::Savepoint)
    } else {
        None
    }
}

/// Whether high availability holds a checkpoint that came after `snapshot`, as far as a live look tells.
pub(super) fn store_is_ahead(draft: &Draft<'_>, snapshot: &StoredSnapshot) -> bool {
    newest_in_store(draft).is_some_and(|newest| Some(newest) > snapshot.checkpoint_id)
}

/// Whether high availability holds a checkpoint of the run, as far as a live look tells. Without one, the teardown that
/// is planned asks for the look first.
fn store_holds_state(draft: &Draft<'_>) -> bool {
    draft.observed.live && newest_in_store(draft).is_some()
}

/// The newest checkpoint of the run that high availability holds.
fn newest_in_store(draft: &Draft<'_>) -> Option<u64> {
    let run = draft.journal.run.as_ref()?;
    draft.observed.high_availability.present()?.job(&run.job_id)?.newest_checkpoint_id
}

/// A JobManager that has just restarted knows its job again soon. One that has not for a minute never will.
pub(super) fn is_settled_missing(draft: &mut Draft<'_>) -> bool {
    draft.set_job_state(FlinkJobState::Reconciling);
    // A clock that was set back begins the minute anew.
    let since_ms = draft.journal.job.updated_at_ms.unwrap_or(draft.now.0).min(draft.now.0);
    draft.journal.job.updated_at_ms = Some(since_ms);
    let left_ms = super::rest::JOB_SUBMISSION_MS - (draft.now.0 - since_ms);
    if left_ms > 0 {
        draft.wake_within(left_ms);
    }
    left_ms <= 0
}

fn has_open_requests(draft: &Draft<'_>) -> bool {
    draft.journal.run.as_ref().is_some_and(|run| !run.open_directories.is_empty())
}

/// Whether no job can have run in this cluster, nor will while it goes away: its JobManager never came up, and cannot.
/// One that is merely still starting may run its job before the deletion reaches it.
pub(super) fn never_available(draft: &Draft<'_>) -> bool {
    draft.observed.cluster.present().is_some_and(cannot_run)
}

fn cannot_run(cluster: &Cluster) -> bool {
    let fails = matches!(cluster.phase, ClusterPhase::Failing { .. }) || cluster.missing.is_some();
    cluster.never_available && fails
}

/// Whether the next run uses another Flink version than the present one.
pub(super) fn version_changed(draft: &Draft<'_>, desired: &Desired) -> bool {
    draft.journal.deployed().is_some_and(|deployed| deployed.desired.flink_version != desired.flink_version)
}

/// Stop with savepoint, into a directory of its own.
pub(super) fn with_savepoint(draft: &mut Draft<'_>, desired: &Desired) {
    let Some(job_id) = draft.journal.run.as_ref().map(|run| run.job_id.clone()) else { return };
    let Some(target_directory) = savepoint_directory(draft, desired) else {
        draft.wait(
            WaitingFor::StorageNotKnown,
            "no savepoint directory is configured: set `execution.checkpointing.savepoint-dir`",
        );
        return;
    };
    if let Some(run) = &mut draft.journal.run {
        run.open_directories.push(target_directory.clone());
    }
    let trigger_id = draft.next_trigger_id();
    let drain = draft.resource.deleting && desired.options.drain_on_savepoint_deletion;
    draft.event("Suspended", "JobManagerDeployment", "Suspending existing deployment.");
    let action = Action::Stop {
        job_id: job_id.clone(),
        trigger_id: trigger_id.clone(),
        target_directory: target_directory.clone(),
        drain,
        format: desired.options.savepoint_format,
    };
    draft.open(IntentKind::Stop { job_id, trigger_id, target_directory, drain }, Some(action));
    draft.wait(WaitingFor::SavepointBeforeStop, "the job is being stopped with a savepoint");
}

/// Digits of the trigger id in the name of a directory.
const DIRECTORY_DIGITS: usize = 8;

/// The directory of the next savepoint alone: `<savepoint dir>/<uid>/<intent number>-<begin of its trigger id>`. Numbers begin
/// anew when somebody has emptied the status; what an earlier request left must not be taken for what this one made.
pub(crate) fn savepoint_directory(draft: &Draft<'_>, desired: &Desired) -> Option<Arc<str>> {
    let deployed =
        draft.journal.deployed().and_then(|deployed| deployed.desired.options.savepoint_directory.clone());
    let base = desired.options.savepoint_directory.clone().or(deployed)?;
    let base = base.trim_end_matches('/');
    let trigger_id = draft.next_trigger_id();
    let digits = &trigger_id.as_str()[..DIRECTORY_DIGITS];
    Some(Arc::from(format!("{base}/{}/{}-{digits}", draft.resource.uid, draft.next_seq())))
}

fn cancel(draft: &mut Draft<'_>) {
    let Some(job_id) = draft.journal.run.as_ref().map(|run| run.job_id.clone()) else { return };
    draft.event("Suspended", "JobManagerDeployment", "Suspending existing deployment.");
    draft.open(IntentKind::Cancel { job_id: job_id.clone() }, Some(Action::Cancel { job_id }));
    draft.wait(WaitingFor::JobCancelling, "the job is being cancelled");
}

/// What an ended job left is not on record yet, and its JobManager is there to tell it.
pub(super) fn can_tell_last(draft: &Draft<'_>) -> bool {
    let unread = draft.journal.end().is_none_or(|end| end.last == Last::NotRead);
    let rest = draft.observed.rest.as_ref().filter(|rest| rest.reachable);
    unread && rest.is_some_and(|rest| !rest.job.is_absent())
}

/// Waits for that. Returns whether it does.
pub(super) fn reads_last(draft: &mut Draft<'_>) -> bool {
    let reads = can_tell_last(draft);
    if reads {
        draft.wait(WaitingFor::RestoreSourceNotKnown, "the job is over; its last snapshot is being read");
    }
    reads
}

/// The job is over: once what it left is read, its cluster goes.
fn ended(draft: &mut Draft<'_>) {
    if reads_last(draft) {
        return;
    }
    let how = match draft.journal.end().map(|end| &end.last) {
        Some(Last::Snapshot(_)) => UpgradeMode::Savepoint,
        Some(Last::Nothing | Last::Discarded | Last::NotRead) | None => UpgradeMode::LastState,
    };
    teardown(draft, how);
}

/// Takes the cluster down; the run counts as stopped from here on.
pub(super) fn teardown(draft: &mut Draft<'_>, how: UpgradeMode) -> Flow {
    if !draft.is_live() {
        return Flow::Done;
    }
    let Some(cluster) = draft.observed.cluster.present().filter(|cluster| cluster.owned).cloned() else {
        return Flow::GoOn;
    };
    note_never_ran(draft, &cluster);
    if draft.journal.end().is_none() {
        draft.event("Suspended", "JobManagerDeployment", "Suspending existing deployment.");
        draft.set_job_state(FlinkJobState::Finished);
    }
    draft.mark_stopped(how);
    take_down(draft, &cluster)
}

/// Opens the teardown of this incarnation and of no other.
pub(super) fn take_down(draft: &mut Draft<'_>, cluster: &Cluster) -> Flow {
    let uid = cluster.uid.clone();
    let action = (!cluster.terminating).then(|| Action::DeleteCluster { uid: uid.clone() });
    draft.open(IntentKind::Teardown { cluster_uid: uid }, action);
    draft.wait(WaitingFor::ClusterTerminating, "the old cluster is being taken down")
}

/// Takes down a cluster that should not be there: created late, by a request that nobody waited for any more. What its
/// job did meanwhile counts.
pub(super) fn take_down_late(draft: &mut Draft<'_>, cluster: &Cluster) -> Flow {
    if let Some(run) = &mut draft.journal.run
        && cluster.job_id.as_ref() == Some(&run.job_id)
    {
        run.never_ran = false;
        run.cluster_uid = Some(cluster.uid.clone());
    }
    take_down(draft, cluster)
}

/// A cluster whose JobManager cannot start ran nothing; that is believed only of the run that it is for.
fn note_never_ran(draft: &mut Draft<'_>, cluster: &Cluster) {
    if let Some(run) = &mut draft.journal.run {
        let same = run.cluster_uid.as_ref().is_none_or(|uid| *uid == cluster.uid);
        run.never_ran = same && cannot_run(cluster);
    }
}

/// The name belongs to somebody else's object.
pub(super) fn name_taken(draft: &mut Draft<'_>) {
    let message = format!(
        "a cluster named `{}` exists that this resource does not own; remove it or rename the resource",
        draft.resource.name
    );
    draft.problem("Error", "JobManagerDeployment", message.clone());
    draft.wait(WaitingFor::NameTaken, message);
}
