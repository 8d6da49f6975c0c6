//! From the recorded spec to the wanted one: nothing to do, take note, or stop the run and start the next.

use std::sync::Arc;

use drey_api::desired::Desired;
use drey_api::diff::{Effect, SpecChange, compare};
use drey_api::kinds::{JobState, ReconciliationState, UpgradeMode};

use super::{Draft, complete, rest, rollback, scale, start, stop};
use crate::decision::WaitingFor;
use crate::goal::job_state;
use crate::journal::{Reconciled, Stable};

/// Plans towards a valid spec.
pub(super) fn plan(draft: &mut Draft<'_>, desired: &Arc<Desired>) {
    if draft.journal.error.as_ref().is_some_and(|error| &*error.reason == "ValidationError") {
        draft.journal.error = None;
    }
    if !draft.resource.finalizer {
        draft.action = Some(crate::Action::AddFinalizer);
        if let Some(refused) =
            draft.observed.refused.as_ref().filter(|refused| refused.seq == draft.journal.seq)
        {
            draft.wait(WaitingFor::ActionRefused, format!("the finalizer is refused: {}", refused.message));
        }
        return;
    }
    if draft.journal.reconciled.is_none() {
        start::first(draft, desired);
        return;
    }
    let new_generation = is_new_generation(draft);
    if new_generation {
        leave_rollback(draft);
    }
    if matches!(draft.journal.state, ReconciliationState::RolledBack) && !new_generation {
        rest::plan(draft, desired);
        return;
    }
    if matches!(draft.journal.state, ReconciliationState::RollingBack) && !new_generation {
        rollback::go_on(draft);
        return;
    }
    let Some(reconciled) = draft.journal.reconciled.clone() else { return };
    let change = difference(&reconciled, desired);
    let effect = change.as_ref().map_or(Effect::Ignore, |change| change.effect);
    let under_way = draft.journal.state == ReconciliationState::Upgrading
        || draft.journal.state == ReconciliationState::RollingBack;
    let same_state = reconciled.job_state == job_state(desired);
    // What is edited while the job is suspended counts when it is resumed.
    let nothing_to_do = effect == Effect::Ignore || reconciled.job_state == JobState::Suspended;
    if nothing_to_do && same_state && !under_way {
        take_note(draft, desired);
        rest::plan(draft, desired);
        return;
    }
    announce(draft, change.as_ref(), &reconciled, desired);
    if same_state && !under_way && scale::is_in_place(&reconciled, desired, change.as_ref()) {
        scale::take_over(draft, desired);
        rest::plan(draft, desired);
        return;
    }
    draft.journal.state = ReconciliationState::Upgrading;
    match reconciled.job_state {
        JobState::Running => {
            stop::plan(draft, desired, effect);
            // Nobody knows any more what an adopted cluster was made from: what it left goes on without it.
            if complete::waits_in_vain(draft) && !complete::begin(draft) && draft.is_live() {
                draft.waiting = None;
                stop::teardown(draft, UpgradeMode::LastState);
            }
        }
        JobState::Suspended => start::plan(draft, desired, effect),
    }
}

/// The spec is refused: go on with the recorded one, finishing what was begun.
pub(super) fn keep_last(draft: &mut Draft<'_>) {
    let Some(reconciled) = draft.journal.reconciled.clone() else { return };
    let desired = reconciled.desired.clone();
    match draft.journal.state {
        ReconciliationState::Deployed | ReconciliationState::RolledBack => rest::plan(draft, &desired),
        ReconciliationState::RollingBack => rollback::go_on(draft),
        ReconciliationState::Upgrading => match reconciled.job_state {
            // The stop was never begun, so that there is nothing to finish.
            JobState::Running => {
                draft.journal.state = ReconciliationState::Deployed;
                rest::plan(draft, &desired);
            }
            JobState::Suspended => start::resume_recorded(draft, &desired),
        },
    }
}

/// Whether the user has edited the spec since it was last planned for.
fn is_new_generation(draft: &Draft<'_>) -> bool {
    draft.journal.observed_generation != Some(draft.resource.generation)
}

/// A new edit ends a rollback: what is deployed is the stable spec, and the next run goes on from there.
fn leave_rollback(draft: &mut Draft<'_>) {
    let rolled =
        matches!(draft.journal.state, ReconciliationState::RollingBack | ReconciliationState::RolledBack);
    if let (true, Stable::Other(stable)) = (rolled, &draft.journal.stable) {
        let desired = stable.desired.clone();
        if let Some(reconciled) = &mut draft.journal.reconciled {
            reconciled.desired = desired;
        }
    }
}

/// How the wanted spec differs from the deployed one, apart from the wanted job state.
fn difference(deployed: &Reconciled, desired: &Arc<Desired>) -> Option<SpecChange> {
    if Arc::ptr_eq(&deployed.desired, desired) || Arc::ptr_eq(&deployed.desired.spec, &desired.spec) {
        return None;
    }
    let mut change = compare(&deployed.desired.spec, &desired.spec)?;
    change.changes.retain(|field| field.path != "job.state");
    change.effect = change.changes.iter().map(|field| field.effect).max()?;
    Some(change)
}

/// The change asks for nothing but to be recorded.
fn take_note(draft: &mut Draft<'_>, desired: &Arc<Desired>) {
    if draft.journal.state == ReconciliationState::RolledBack {
        draft.journal.state = ReconciliationState::Deployed;
        draft.journal.stable = Stable::Same;
    }
    draft.journal.observed_generation = Some(draft.resource.generation);
    start::note_spec(draft, desired);
}

/// Upstream's `SpecChanged` event, once for each generation.
fn announce(
    draft: &mut Draft<'_>,
    change: Option<&SpecChange>,
    reconciled: &Reconciled,
    desired: &Arc<Desired>,
) {
    if draft.journal.observed_generation == Some(draft.resource.generation) {
        return;
    }
    draft.journal.observed_generation = Some(draft.resource.generation);
    let state_change = (reconciled.job_state != job_state(desired))
        .then(|| format!("job.state : {} -> {}", reconciled.job_state.as_str(), job_state(desired).as_str()));
    let fields = change
        .into_iter()
        .flat_map(|change| &change.changes)
        .map(|field| format!("{} : {} -> {}", field.path, field.from, field.to))
        .chain(state_change)
        .collect::<Vec<_>>();
    if fields.is_empty() {
        return;
    }
    let same_state = reconciled.job_state == job_state(desired);
    let effect = match change.map_or(Effect::Upgrade, |change| change.effect) {
        Effect::SavepointRedeploy => "SAVEPOINT_REDEPLOY",
        Effect::Scale if same_state => "SCALE",
        Effect::Ignore | Effect::Scale | Effect::Upgrade => "UPGRADE",
    };
    let message = format!(
        "{effect} change(s) detected (Diff: FlinkDeploymentSpec[{}]), starting reconciliation.",
        fields.join(", ")
    );
    draft.event("SpecChanged", "JobManagerDeployment", message);
}
