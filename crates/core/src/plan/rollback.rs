//! Back to the last stable spec, when a new one did not become stable in time
//! (`kubernetes.operator.deployment.rollback.enabled`). At most once for each generation: the failing spec stays on
//! record, and only a new edit leaves the state ROLLED_BACK.

use drey_api::kinds::{JobState, ReconciliationState, UpgradeMode};

use super::{Draft, start, stop};
use crate::assess::{Situation, assess};
use crate::decision::WaitingFor;
use crate::journal::Stable;

/// Whether the deployed spec is to be rolled back now.
pub(super) fn is_due(draft: &mut Draft<'_>) -> bool {
    let Some(reconciled) = &draft.journal.reconciled else { return false };
    let Stable::Other(stable) = &draft.journal.stable else { return false };
    let options = &reconciled.desired.options;
    let eligible = options.rollback_enabled
        && stable.job_state == JobState::Running
        && stable.desired.flink_version == reconciled.desired.flink_version
        && draft.journal.observed_generation == Some(draft.resource.generation)
        && draft.resource.desired.is_ok()
        && matches!(draft.journal.state, ReconciliationState::Deployed | ReconciliationState::Upgrading)
        && !matches!(assess(draft.observed, &draft.journal), Situation::Running);
    if !eligible {
        return false;
    }
    let left_ms = draft.journal.reconciled_at_ms.saturating_add(options.readiness_timeout_ms) - draft.now.0;
    if left_ms > 0 {
        draft.wake_within(left_ms);
    }
    left_ms <= 0
}

/// Begins the rollback.
pub(super) fn begin(draft: &mut Draft<'_>) {
    if !draft.is_live() {
        return;
    }
    draft.journal.state = ReconciliationState::RollingBack;
    draft.event("Rollback", "JobManagerDeployment", "Rolling back failed deployment.");
    go_on(draft);
}

/// Goes on with a rollback that has begun: stop what runs, then start the stable spec.
pub(super) fn go_on(draft: &mut Draft<'_>) {
    let Some(stable) = draft.journal.stable().map(|stable| stable.desired.clone()) else { return };
    let stopped = draft.journal.reconciled.as_ref().is_some_and(|r| r.job_state == JobState::Suspended);
    if stopped {
        start::roll_back(draft, &stable);
        return;
    }
    match assess(draft.observed, &draft.journal) {
        Situation::NotKnown => {
            draft.wait(WaitingFor::ClusterNotKnown, "the cluster could not be looked at");
        }
        Situation::Foreign => stop::name_taken(draft),
        Situation::Terminating => {
            draft.wait(WaitingFor::ClusterTerminating, "the failed cluster is going away");
        }
        Situation::Gone => {
            if draft.is_live() {
                draft.mark_stopped(UpgradeMode::LastState);
                start::roll_back(draft, &stable);
            }
        }
        Situation::Ended(_) if stop::reads_last(draft) => {}
        Situation::Ended(_)
        | Situation::Failing(..)
        | Situation::Starting
        | Situation::Unreachable
        | Situation::JobMissing
        | Situation::Unsettled(_)
        | Situation::Cancelling
        | Situation::Running => {
            stop::teardown(draft, UpgradeMode::LastState);
        }
    }
}
