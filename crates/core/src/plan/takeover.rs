//! The first look at what the Java operator left: its status is in the record, and here the cluster is added to it.
//! The Java operator writes "deployed" after it has created a cluster; when it ends in between, the cluster alone tells
//! that the new run has begun. Refuses to plan.
//!
//! A cluster that lacks what its JobManager needs to start was made by half: nobody comes back to make the rest of it.
//! Nothing of it ever ran, so that it does not count, and is taken down on the way to the next one.

use std::sync::Arc;

use drey_api::kinds::{
    FlinkJobState, JobManagerDeploymentStatus, JobState, ReconciliationState, UpgradeMode,
};

use super::{Draft, Flow};
use crate::journal::{Base, Last};
use crate::observed::{Cluster, Seen};

/// Adds what the cluster and the high-availability store tell of a run that the Java operator started. Without a look
/// that is close enough for that, the step is over.
pub(super) fn take_over(draft: &mut Draft<'_>) -> Flow {
    // Every run and every intent of ours has a number.
    let Some(run) = draft.journal.run.as_ref().filter(|run| run.seq == 0) else { return Flow::GoOn };
    if draft.journal.seq != 0 || run.cluster_uid.is_some() {
        return Flow::GoOn;
    }
    let observed = draft.observed;
    match &observed.cluster {
        Seen::Present(cluster) if cluster.owned && cluster.seq.is_none() => {
            if is_created(draft, cluster) {
                // Whether it is whole, only a close look tells; once it was available, it must have been.
                if cluster.never_available && !draft.is_live() {
                    return Flow::Done;
                }
                if !(cluster.never_available && cluster.missing.is_some()) {
                    note_created(draft, Some(cluster.uid.clone()));
                }
            } else if !cluster.terminating && runs(draft) {
                note_uid(draft, cluster.uid.clone());
            }
        }
        Seen::Absent if is_lost(draft) => note_created(draft, None),
        Seen::Unknown | Seen::Absent | Seen::Present(_) => {}
    }
    Flow::GoOn
}

fn runs(draft: &Draft<'_>) -> bool {
    let settled =
        matches!(draft.journal.state, ReconciliationState::Deployed | ReconciliationState::RolledBack);
    settled && draft.journal.reconciled.as_ref().is_some_and(|r| r.job_state == JobState::Running)
}

fn note_uid(draft: &mut Draft<'_>, uid: Arc<str>) {
    if let Some(run) = &mut draft.journal.run {
        run.cluster_uid = Some(uid);
    }
}

/// The record says that the old cluster is gone and the new one is still to be made, and here is one for the generation
/// that was to be made. The Java operator concludes the same when it starts again.
fn is_created(draft: &Draft<'_>, cluster: &Cluster) -> bool {
    let journal = &draft.journal;
    let on_its_way = match journal.state {
        ReconciliationState::Upgrading => {
            journal.reconciled.as_ref().is_some_and(|r| r.job_state == JobState::Suspended)
        }
        ReconciliationState::RollingBack => true,
        ReconciliationState::Deployed | ReconciliationState::RolledBack => false,
    };
    on_its_way
        && journal.job_manager == JobManagerDeploymentStatus::Missing
        && cluster.generation.is_some()
        && cluster.generation == journal.observed_generation
}

/// The new run was to be restored from a savepoint of the run before; it is gone, and under its job id there are
/// checkpoints: it ran, and they are newer than that savepoint.
fn is_lost(draft: &Draft<'_>) -> bool {
    let journal = &draft.journal;
    let (Some(run), Some(Last::Snapshot(snapshot))) = (&journal.run, journal.end().map(|end| &end.last))
    else {
        return false;
    };
    let data = draft.observed.high_availability.present();
    let kept = data.and_then(|data| data.job(&run.job_id)).and_then(|store| store.newest_checkpoint_id);
    journal.state == ReconciliationState::Upgrading
        && kept.is_some()
        && !is_taken_by(&snapshot.path, run.job_id.as_str())
}

/// Whether a path is one of a snapshot of this job: Flink names savepoints by the beginning of the job id
/// (`savepoint-fb03a7-300bd341a29c`), and the directory of checkpoints by the whole of it.
fn is_taken_by(path: &str, job_id: &str) -> bool {
    let short = job_id.get(..6).unwrap_or(job_id);
    path.contains(job_id) || path.contains(&format!("savepoint-{short}-"))
}

/// The new run has begun.
fn note_created(draft: &mut Draft<'_>, cluster_uid: Option<Arc<str>>) {
    let Some(reconciled) = &mut draft.journal.reconciled else { return };
    reconciled.job_state = JobState::Running;
    let mode = reconciled.upgrade_mode;
    draft.journal.state = match draft.journal.state {
        ReconciliationState::RollingBack | ReconciliationState::RolledBack => ReconciliationState::RolledBack,
        ReconciliationState::Deployed | ReconciliationState::Upgrading => ReconciliationState::Deployed,
    };
    draft.journal.reconciled_at_ms = draft.now.0;
    if let Some(run) = &mut draft.journal.run {
        let left = run.end.take().map(|end| end.last);
        run.cluster_uid = cluster_uid;
        run.base = match (mode, left) {
            (UpgradeMode::Stateless, _) => Base::Empty,
            (UpgradeMode::Savepoint, Some(Last::Snapshot(snapshot))) => Base::Path(snapshot.path),
            (UpgradeMode::Savepoint | UpgradeMode::LastState, _) => Base::Unrecorded,
        };
    }
    draft.set_job_state(FlinkJobState::Reconciling);
}

/// Whether this is a session cluster of the Java operator.
pub(super) fn is_session_cluster(draft: &Draft<'_>) -> bool {
    let recorded = draft.journal.reconciled.as_ref();
    draft.journal.seq == 0 && recorded.is_some_and(|recorded| recorded.desired.spec.job.is_none())
}
