//! What observation adds to the record, whatever is planned: the job's state, the end of a run, the JobManager's
//! state. Only ever adds: a terminal state of a job id is never taken back.

use std::sync::Arc;

use drey_api::kinds::{FlinkJobState, JobManagerDeploymentStatus, JobState, ReconciliationState};

use super::Draft;
use crate::assess::{Situation, assess, shown_state};
use crate::intent::IntentKind;
use crate::journal::{End, Last, Stable};
use crate::observed::{Cluster, JobView, Rest, Seen};

/// Takes the observation into the record.
pub(super) fn absorb(draft: &mut Draft<'_>) {
    let observed = draft.observed;
    if let (Seen::Present(cluster), Some(rest)) = (&observed.cluster, &observed.rest)
        && cluster.owned
        && is_current(draft, cluster)
    {
        absorb_rest(draft, rest);
    }
    absorb_result(draft);
    absorb_job_manager(draft);
}

/// The job result store knows of an end that nobody saw: Flink forgets its jobs, or its JobManager is gone.
fn absorb_result(draft: &mut Draft<'_>) {
    let Seen::Present(state) = &draft.observed.job_result else { return };
    let unseen = draft.journal.run.as_mut().filter(|run| run.end.is_none());
    if let Some(run) = unseen {
        run.end = Some(End { state: *state, last: Last::NotRead });
        draft.set_job_state(*state);
    }
}

/// Whether this cluster is the one that the run on record is about.
fn is_current(draft: &Draft<'_>, cluster: &Cluster) -> bool {
    let Some(run) = &draft.journal.run else { return false };
    match (&run.cluster_uid, cluster.seq) {
        (Some(uid), _) => *uid == cluster.uid,
        (None, Some(seq)) => seq == run.seq,
        (None, None) => cluster.job_id.as_ref().is_none_or(|job_id| *job_id == run.job_id),
    }
}

fn absorb_rest(draft: &mut Draft<'_>, rest: &Rest) {
    if !rest.reachable {
        return;
    }
    if draft.journal.cluster_info.is_empty() && !rest.cluster_info.is_empty() {
        draft.journal.cluster_info = rest.cluster_info.clone();
    }
    if let Seen::Present(job) = &rest.job
        && draft.journal.run.as_ref().is_some_and(|run| run.job_id == job.id)
    {
        absorb_job(draft, rest, job);
    }
}

fn absorb_job(draft: &mut Draft<'_>, rest: &Rest, job: &JobView) {
    let state = shown_state(job);
    if job.state.is_terminal() {
        absorb_end(draft, rest, job.state);
    } else if is_taken_down(draft) {
        // A cluster that is going away tells of its job until it is gone.
        return;
    }
    // A terminal state absorbs: a JobManager that was restarted over a dirty job result may say anything.
    if draft.journal.end().is_some_and(|end| end.state != state) {
        return;
    }
    if draft.journal.job.name.is_none() {
        draft.journal.job.name = Some(job.name.clone());
    }
    draft.journal.job.started_at_ms = Some(job.started_at_ms);
    draft.set_job_state(state);
    if let Some(failure) = rest.failure.as_ref().filter(|_| state == FlinkJobState::Failed) {
        draft.problem("Error", "Job", failure.clone());
    }
    note_stable(draft);
}

/// The job of the deployed spec runs, or has run to its end: the spec is stable. Said again when an intent has just been
/// resolved, for the job may have been seen before the record said that its cluster is the deployed one.
pub(super) fn note_stable(draft: &mut Draft<'_>) {
    let observed = draft.observed;
    let (Seen::Present(cluster), Some(rest)) = (&observed.cluster, &observed.rest) else { return };
    let (Seen::Present(job), true) = (&rest.job, rest.reachable) else { return };
    let state = shown_state(job);
    let of_run = draft.journal.run.as_ref().is_some_and(|run| run.job_id == job.id);
    let contradicted = draft.journal.end().is_some_and(|end| end.state != state);
    if !of_run || contradicted || !cluster.owned || !is_current(draft, cluster) {
        return;
    }
    let deployed = draft.journal.state == ReconciliationState::Deployed;
    let wanted = draft.journal.reconciled.as_ref().is_some_and(|r| r.job_state == JobState::Running);
    if deployed
        && draft.journal.intent.as_ref().is_none_or(|intent| intent.kind.leaves_running())
        && wanted
        && matches!(state, FlinkJobState::Running | FlinkJobState::Finished)
        && draft.journal.stable != Stable::Same
    {
        draft.journal.stable = Stable::Same;
        draft.journal.error = None;
    }
}

fn is_taken_down(draft: &Draft<'_>) -> bool {
    let intent = draft.journal.intent.as_ref().map(|intent| &intent.kind);
    matches!(intent, Some(IntentKind::Teardown { .. }))
}

/// The run is over. What it left is believed once it was asked for after the end.
fn absorb_end(draft: &mut Draft<'_>, rest: &Rest, state: FlinkJobState) {
    let Some(run) = &mut draft.journal.run else { return };
    let last = match &rest.checkpoints {
        Seen::Unknown | Seen::Absent => Last::NotRead,
        Seen::Present(checkpoints) => checkpoints.newest.clone().map_or(Last::Nothing, Last::Snapshot),
    };
    match &mut run.end {
        None => run.end = Some(End { state, last }),
        Some(end) if end.state == state && end.last == Last::NotRead => end.last = last,
        Some(_) => return,
    }
    let kept: Option<Arc<str>> = match run.end.as_ref().map(|end| &end.last) {
        Some(Last::Snapshot(snapshot)) => Some(snapshot.path.clone()),
        _ => None,
    };
    if let Some(path) = kept {
        draft.journal.job.upgrade_savepoint_path = Some(path);
    }
}

fn absorb_job_manager(draft: &mut Draft<'_>) {
    let before = draft.journal.job_manager;
    let reachable = draft.observed.rest.as_ref().is_some_and(|rest| rest.reachable);
    let status = match assess(draft.observed, &draft.journal) {
        Situation::NotKnown | Situation::Foreign | Situation::Terminating => before,
        Situation::Gone => JobManagerDeploymentStatus::Missing,
        Situation::Failing(..) => JobManagerDeploymentStatus::Error,
        Situation::Starting => JobManagerDeploymentStatus::Deploying,
        Situation::Unreachable => before,
        Situation::Ended(_) if !reachable => before,
        Situation::JobMissing
        | Situation::Unsettled(_)
        | Situation::Cancelling
        | Situation::Running
        | Situation::Ended(_) => JobManagerDeploymentStatus::Ready,
    };
    if status == before {
        return;
    }
    draft.journal.job_manager = status;
    let alive = draft.journal.run.is_some() && draft.journal.end().is_none();
    let leaving = matches!(
        draft.journal.intent.as_ref().map(|intent| &intent.kind),
        Some(IntentKind::Teardown { .. } | IntentKind::Deploy { .. })
    );
    if status == JobManagerDeploymentStatus::Missing && alive && !leaving {
        draft.problem("Missing", "JobManagerDeployment", "Missing JobManager deployment");
        draft.set_job_state(FlinkJobState::Reconciling);
    }
}
