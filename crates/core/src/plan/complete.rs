//! A cluster that was made by half, or has lost a part, is made whole: from the record of its run, and only that very
//! incarnation. Refuses to make a cluster.

use std::sync::Arc;

use drey_api::kinds::ReconciliationState;

use super::resolve::{deployment, refused_or_waiting, resolve, rolls_back};
use super::{Draft, Flow, delete};
use crate::decision::{Action, WaitingFor};
use crate::intent::{DeployTarget, Intent, IntentKind};
use crate::journal::Run;
use crate::observed::{Cluster, Seen};

/// Something of our cluster is missing.
pub(super) fn lacks_parts(draft: &Draft<'_>) -> bool {
    let cluster = draft.observed.cluster.present();
    cluster.is_some_and(|cluster| cluster.owned && !cluster.terminating && cluster.missing.is_some())
}

/// Whether the step waits for a JobManager that cannot come up because something of its cluster is missing.
pub(super) fn waits_in_vain(draft: &Draft<'_>) -> bool {
    let silent = draft.observed.rest.as_ref().is_none_or(|rest| !rest.reachable);
    silent && draft.waiting.is_some() && draft.journal.intent.is_none() && lacks_parts(draft)
}

/// Opens the intent to create what somebody has removed of the cluster of the current run, when it is on record what
/// that was made from. Returns whether it did.
pub(super) fn begin(draft: &mut Draft<'_>) -> bool {
    let Some(cluster) = draft.observed.cluster.present() else { return false };
    let cluster_uid = cluster.uid.clone();
    let of_run = |run: &Run| {
        run.end.is_none()
            && run.cluster_uid.as_ref() == Some(&cluster.uid)
            && cluster.seq == Some(run.seq)
            && cluster.generation == Some(run.generation)
    };
    if !lacks_parts(draft) || !draft.journal.run.as_ref().is_some_and(of_run) {
        return false;
    }
    if draft.is_live() {
        draft.open(IntentKind::Complete { cluster_uid }, None);
        resolve(draft);
    }
    true
}

/// What is missing of the cluster is created, until nothing is, or something else is wanted.
pub(super) fn go_on(draft: &mut Draft<'_>, intent: &Intent, uid: &Arc<str>) -> Flow {
    let target = match draft.journal.state {
        ReconciliationState::RolledBack => DeployTarget::Stable,
        ReconciliationState::Deployed | ReconciliationState::Upgrading | ReconciliationState::RollingBack => {
            DeployTarget::Reconciled
        }
    };
    match &draft.observed.cluster {
        Seen::Unknown => draft.wait(WaitingFor::ClusterNotKnown, "the cluster could not be looked at"),
        Seen::Present(cluster)
            if cluster.uid == *uid && cluster.owned && !cluster.terminating && cluster.missing.is_some() =>
        {
            let cluster = cluster.clone();
            let edited = draft.resource.generation != intent.generation;
            let unwanted = draft.resource.deleting && !delete::wants_savepoint(draft);
            // In the middle of an upgrade nothing is rolled back: the job has to run before it can be stopped.
            let deployed = draft.journal.state == ReconciliationState::Deployed;
            let rolls_back = deployed && rolls_back(draft, intent, target);
            if draft.journal.end().is_some() || edited || unwanted || rolls_back {
                draft.close();
                return Flow::GoOn;
            }
            create_missing(draft, intent, &cluster, target)
        }
        Seen::Present(_) | Seen::Absent => {
            draft.close();
            Flow::GoOn
        }
    }
}

/// Whoever made the cluster has not come to the end of it.
pub(super) fn create_missing(
    draft: &mut Draft<'_>,
    intent: &Intent,
    cluster: &Cluster,
    target: DeployTarget,
) -> Flow {
    let missing = cluster.missing.as_deref().unwrap_or_default();
    refused_or_waiting(draft, intent, || format!("the cluster is being created: {missing} is missing"));
    // What has just been made is not heard of yet: only a live look tells that it is missing.
    if draft.is_due()
        && draft.is_live()
        && let Some(deployment) = deployment(draft, target)
    {
        draft.send(Action::Complete { cluster_uid: cluster.uid.clone(), deployment: Box::new(deployment) });
    }
    Flow::Done
}
