//! The resource is being deleted: end the job, with a savepoint where that is asked for, remove everything, and let
//! the resource go only when provably nothing of it is alive.

use drey_api::kinds::{FlinkJobState, JobState, UpgradeMode};

use super::{Draft, complete, start, stop};
use crate::assess::{Situation, assess};
use crate::decision::{Action, WaitingFor};
use crate::observed::Seen;

/// Plans the deletion.
pub(super) fn plan(draft: &mut Draft<'_>) {
    if !draft.resource.finalizer {
        draft.at_rest = true;
        return;
    }
    if has_lost_record(draft) {
        start::still_there(draft);
        return;
    }
    if wants_savepoint(draft) {
        match assess(draft.observed, &draft.journal) {
            Situation::Running => {
                let desired = draft.journal.deployed().map(|deployed| deployed.desired.clone());
                if let Some(desired) = desired {
                    stop::with_savepoint(draft, &desired);
                }
                return;
            }
            // A job that was never seen may still be submitted: `main` takes the time it takes.
            Situation::JobMissing if was_seen(draft) && stop::is_settled_missing(draft) => {}
            Situation::Failing(..) if stop::never_available(draft) => {}
            Situation::JobMissing | Situation::Failing(..) if !draft.is_live() => return,
            Situation::Starting
            | Situation::Unreachable
            | Situation::Unsettled(_)
            | Situation::Cancelling
            | Situation::JobMissing
            | Situation::Failing(..) => {
                draft.wait(
                    WaitingFor::JobNotRunning,
                    "the job is not RUNNING, and `kubernetes.operator.job.savepoint-on-deletion` asks for a savepoint \
                     first; set it to false to delete without one",
                );
                if complete::waits_in_vain(draft) {
                    complete::begin(draft);
                }
                return;
            }
            Situation::NotKnown
            | Situation::Gone
            | Situation::Foreign
            | Situation::Terminating
            | Situation::Ended(_) => {}
        }
    }
    remove(draft);
}

/// Whether the job of this run was submitted: its start is on record.
fn was_seen(draft: &Draft<'_>) -> bool {
    draft.journal.job.started_at_ms.is_some()
}

/// The status was lost and a cluster that can be told apart was not: its savepoint is still asked for.
fn has_lost_record(draft: &Draft<'_>) -> bool {
    let asked = draft.resource.desired.as_ref().is_ok_and(|desired| desired.options.savepoint_on_deletion);
    let terminating = draft.observed.cluster.present().is_some_and(|cluster| cluster.terminating);
    draft.journal.reconciled.is_none() && asked && draft.names_its_job() && !terminating
}

/// The job may have state that the user wants to keep. The present spec counts where it can be read: a user may give
/// the savepoint up after the deletion has begun.
pub(super) fn wants_savepoint(draft: &Draft<'_>) -> bool {
    let wanted = draft.journal.deployed().is_some_and(|deployed| {
        let desired = draft.resource.desired.as_ref().unwrap_or(&deployed.desired);
        desired.options.savepoint_on_deletion && deployed.job_state == JobState::Running
    });
    wanted && draft.journal.end().is_none()
}

fn remove(draft: &mut Draft<'_>) {
    match &draft.observed.cluster {
        Seen::Unknown => {
            draft.wait(WaitingFor::ClusterNotKnown, "the cluster could not be looked at");
        }
        Seen::Present(cluster) if cluster.owned => {
            let cluster = cluster.clone();
            if draft.is_live() {
                draft.event("Cleanup", "Operator", "Cleaning up FlinkDeployment");
                if draft.journal.end().is_none() && draft.journal.job.state.is_some() {
                    draft.set_job_state(FlinkJobState::Canceled);
                }
                draft.mark_stopped(UpgradeMode::LastState);
                stop::take_down(draft, &cluster);
            }
        }
        // Somebody else's cluster stays.
        Seen::Present(_) | Seen::Absent => {
            if draft.is_live() {
                release(draft);
            }
        }
    }
}

/// Nothing is alive: remove what Flink left in the API server, then let the resource go.
fn release(draft: &mut Draft<'_>) {
    match &draft.observed.high_availability {
        Seen::Unknown => {
            draft.wait(WaitingFor::RestoreSourceNotKnown, "The high-availability store could not be read.");
        }
        Seen::Present(data) if !data.maps.is_empty() && draft.observed.cluster.is_absent() => {
            draft.action = Some(Action::DeleteHighAvailability(data.maps.clone()));
            draft.wait(WaitingFor::ClusterTerminating, "high-availability data is being removed");
        }
        Seen::Present(_) | Seen::Absent => draft.action = Some(Action::RemoveFinalizer),
    }
}
