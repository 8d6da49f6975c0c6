//! A standalone cluster has as many TaskManagers as the deployed spec says, whoever changed that: an edit that asks for
//! nothing else, or somebody by hand. Native clusters start and end TaskManagers themselves.

use std::sync::Arc;

use drey_api::desired::Desired;
use drey_api::diff::{Effect, SpecChange};
use drey_api::kinds::DeploymentMode;

use super::resolve::{refused, resolve};
use super::{Draft, Flow, start};
use crate::decision::{Action, WaitingFor};
use crate::intent::{Intent, IntentKind};
use crate::journal::{Journal, Reconciled};
use crate::observed::Cluster;

/// Flink's option that lets a job use whatever TaskManagers there are.
const SCHEDULER_MODE: &str = "scheduler-mode";

/// Whether the edit only changes how many TaskManagers there are, and the job takes that without a restart by us:
/// upstream's in-place scaling of standalone clusters in reactive mode.
pub(super) fn is_in_place(deployed: &Reconciled, wanted: &Desired, change: Option<&SpecChange>) -> bool {
    let reactive = |desired: &Desired| {
        let mode = desired.configuration.get(SCHEDULER_MODE);
        desired.mode == DeploymentMode::Standalone
            && mode.is_some_and(|mode| mode.trim().eq_ignore_ascii_case("reactive"))
    };
    change.is_some_and(|change| change.effect == Effect::Scale)
        && reactive(&deployed.desired)
        && reactive(wanted)
}

/// The edit is on record from now on; the TaskManagers follow it at rest.
pub(super) fn take_over(draft: &mut Draft<'_>, desired: &Arc<Desired>) {
    start::note_spec(draft, desired);
    draft.event("Scaling", "JobManagerDeployment", "In-place scaling triggered");
}

/// The incarnation of the current run that has another number of TaskManagers than the deployed spec says, and how many
/// those are.
fn differs<'o>(draft: &Draft<'o>) -> Option<(&'o Cluster, i32)> {
    let cluster = draft.observed.cluster.present()?;
    let wanted = wanted(&draft.journal)?;
    let run = draft.journal.run.as_ref()?;
    let current = cluster.owned
        && !cluster.terminating
        && run.end.is_none()
        && run.cluster_uid.as_ref() == Some(&cluster.uid);
    (current && cluster.task_managers.is_some_and(|asked| asked != wanted)).then_some((cluster, wanted))
}

fn wanted(journal: &Journal) -> Option<i32> {
    let deployed = &journal.deployed()?.desired;
    (deployed.mode == DeploymentMode::Standalone).then_some(deployed.task_manager_replicas)
}

/// Opens the intent to scale. Returns whether it did.
pub(super) fn begin(draft: &mut Draft<'_>) -> bool {
    let Some((cluster, _)) = differs(draft) else { return false };
    let cluster_uid = cluster.uid.clone();
    if draft.is_live() {
        draft.open(IntentKind::Scale { cluster_uid }, None);
        resolve(draft);
    }
    true
}

/// The cluster is scaled until it is as wanted, or something else is wanted.
pub(super) fn go_on(draft: &mut Draft<'_>, intent: &Intent, uid: &Arc<str>) -> Flow {
    if draft.observed.cluster.is_unknown() {
        return draft.wait(WaitingFor::ClusterNotKnown, "the cluster could not be looked at");
    }
    let edited = draft.resource.generation != intent.generation;
    let scaling =
        differs(draft).filter(|(cluster, _)| cluster.uid == *uid && !edited && !draft.resource.deleting);
    let Some((cluster, wanted)) = scaling else {
        draft.close();
        return Flow::GoOn;
    };
    let (cluster_uid, asked) = (cluster.uid.clone(), cluster.task_managers.unwrap_or_default());
    if !refused(draft, intent) {
        draft.wait(WaitingFor::Scaling, format!("{asked} TaskManagers are to become {wanted}"));
    }
    if draft.is_due() {
        draft.send(Action::Scale { cluster_uid, task_managers: wanted });
    }
    Flow::Done
}
