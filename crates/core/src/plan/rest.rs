//! The spec is deployed: keep it so. Lost JobManagers, ended and unhealthy jobs, rollback of a spec that never became
//! stable, snapshots, and the time to live of finished clusters.

use std::sync::Arc;

use drey_api::desired::Desired;
use drey_api::kinds::{FlinkJobState, JobState, ReconciliationState, UpgradeMode};

use super::{Draft, complete, rollback, scale, snapshots, start, stop};
use crate::assess::{Situation, assess};
use crate::decision::WaitingFor;
use crate::health::{Verdict, judge};

/// Plans for a resource whose spec is deployed.
pub(super) fn plan(draft: &mut Draft<'_>, desired: &Arc<Desired>) {
    let Some(reconciled) = &draft.journal.reconciled else { return };
    if reconciled.job_state == JobState::Suspended {
        suspended(draft);
        return;
    }
    if draft.journal.state == ReconciliationState::Deployed && rollback::is_due(draft) {
        rollback::begin(draft);
        return;
    }
    if complete::begin(draft) || scale::begin(draft) {
        return;
    }
    let observed = draft.observed;
    match assess(observed, &draft.journal) {
        Situation::NotKnown => {
            draft.wait(WaitingFor::ClusterNotKnown, "the cluster could not be looked at");
        }
        Situation::Foreign => stop::name_taken(draft),
        Situation::Terminating => {
            draft.wait(WaitingFor::ClusterTerminating, "the cluster is going away");
        }
        Situation::Gone => gone(draft, desired),
        Situation::Ended(state) => ended(draft, desired, state),
        // Nobody knows any more what it was made from: a new one goes on.
        Situation::Failing(..) if complete::lacks_parts(draft) => restart_cluster(draft),
        Situation::Failing(reason, message) => failing(draft, reason, message),
        Situation::Starting => {
            draft.wait(WaitingFor::JobManagerStarting, "the JobManager is starting");
        }
        Situation::Unreachable => unreachable(draft),
        Situation::JobMissing => job_missing(draft),
        Situation::Unsettled(state) => unsettled(draft, desired, state),
        Situation::Cancelling => {
            draft.wait(WaitingFor::JobCancelling, "the job is being cancelled");
        }
        Situation::Running => running(draft, desired),
    }
}

/// A suspended job has no cluster. One that the Java operator left up goes when its time to live is over; its job is
/// terminal.
fn suspended(draft: &mut Draft<'_>) {
    draft.at_rest = true;
    let Some(cluster) = draft.observed.cluster.present().filter(|cluster| cluster.owned).cloned() else {
        return;
    };
    if draft.journal.end().is_some() {
        expire(draft);
    } else if !cluster.terminating && draft.is_live() {
        stop::take_down_late(draft, &cluster);
    }
}

fn gone(draft: &mut Draft<'_>, desired: &Arc<Desired>) {
    if let Some(end) = draft.journal.end() {
        let state = end.state;
        ended(draft, desired, state);
        return;
    }
    if !desired.options.deployment_recovery {
        draft.problem("Missing", "JobManagerDeployment", "Missing JobManager deployment");
        draft.wait(
            WaitingFor::JobManagerUnreachable,
            "the JobManager deployment is gone and `kubernetes.operator.jm-deployment-recovery.enabled` is false",
        );
        return;
    }
    if !draft.is_live() {
        return;
    }
    draft.event("RecoverDeployment", "JobManagerDeployment", "Recovering lost deployment");
    start_again(draft, desired);
}

/// Starts the deployed spec again, with the newest state.
fn start_again(draft: &mut Draft<'_>, desired: &Arc<Desired>) {
    let stable = draft.journal.stable().map(|stable| stable.desired.clone());
    if let (ReconciliationState::RolledBack, Some(stable)) = (draft.journal.state, stable) {
        draft.journal.state = ReconciliationState::RollingBack;
        draft.mark_stopped(UpgradeMode::LastState);
        start::roll_back(draft, &stable);
        return;
    }
    draft.journal.state = ReconciliationState::Upgrading;
    draft.mark_stopped(UpgradeMode::LastState);
    start::resume_recorded(draft, desired);
}

fn ended(draft: &mut Draft<'_>, desired: &Arc<Desired>, state: FlinkJobState) {
    let cluster_there = draft.observed.cluster.present().is_some();
    let restart = match state {
        FlinkJobState::Failed if desired.options.restart_failed && is_too_soon(draft) => {
            draft.wait(
                WaitingFor::JobRestarting,
                "the job failed soon after its start; it is started again in a while",
            );
            return;
        }
        FlinkJobState::Failed => desired.options.restart_failed,
        // Not by us: the spec still says `running`.
        FlinkJobState::Canceled => true,
        _ => false,
    };
    if restart {
        restart_ended(draft, desired, cluster_there);
        return;
    }
    if state == FlinkJobState::Failed {
        draft.wait(
            WaitingFor::JobFailed,
            "the job failed and is not restarted; edit the spec, or set \
             `kubernetes.operator.job.restart.failed: true`",
        );
    }
    draft.at_rest = true;
    if cluster_there {
        expire(draft);
    }
}

/// A job that fails at once is not started again at once: one start for each interval at rest.
fn is_too_soon(draft: &mut Draft<'_>) -> bool {
    let deployed_at_ms = draft.journal.run.as_ref().map_or(0, |run| run.deployed_at_ms);
    let left_ms = draft.policy.rest_interval_ms - (draft.now.0 - deployed_at_ms).abs();
    if left_ms > 0 {
        draft.wake_within(left_ms);
    }
    left_ms > 0
}

fn restart_ended(draft: &mut Draft<'_>, desired: &Arc<Desired>, cluster_there: bool) {
    if !cluster_there {
        if draft.is_live() {
            start_again(draft, desired);
        }
        return;
    }
    if !stop::reads_last(draft) {
        restart_cluster(draft);
    }
}

/// Takes the cluster down so that the same spec starts anew.
fn restart_cluster(draft: &mut Draft<'_>) {
    let rolled_back = draft.journal.state == ReconciliationState::RolledBack;
    if draft.is_live() {
        draft.journal.state =
            if rolled_back { ReconciliationState::RollingBack } else { ReconciliationState::Upgrading };
        stop::teardown(draft, UpgradeMode::LastState);
    }
}

/// How long a JobManager whose job is over is kept at least, so that it can be asked what the job left; milliseconds.
const LAST_READ_MS: i64 = 10_000;

/// A finished cluster is kept for `kubernetes.operator.jm-deployment.shutdown-ttl`, so that people can look at it.
fn expire(draft: &mut Draft<'_>) {
    let mut ttl_ms = draft.journal.deployed().map_or(0, |deployed| deployed.desired.options.shutdown_ttl_ms);
    if stop::can_tell_last(draft) {
        // What Flink tells of the checkpoints of an ended job counts a while after the end.
        ttl_ms = ttl_ms.max(LAST_READ_MS);
    }
    let ended_ms = draft.journal.job.updated_at_ms.unwrap_or(draft.now.0);
    let left_ms = ended_ms.saturating_add(ttl_ms) - draft.now.0;
    if left_ms > 0 {
        draft.wake_within(left_ms);
        return;
    }
    if draft.is_live()
        && let Some(cluster) = draft.observed.cluster.present().filter(|cluster| cluster.owned).cloned()
    {
        stop::take_down(draft, &cluster);
    }
}

fn failing(draft: &mut Draft<'_>, reason: &str, message: &str) {
    // One that was up may have ended with its job.
    if !stop::never_available(draft) && !draft.is_live() {
        return;
    }
    let text = format!("[{reason}] {message}");
    draft.set_job_state(FlinkJobState::Reconciling);
    draft.problem("Error", "JobManagerDeployment", text.clone());
    draft.wait(WaitingFor::JobManagerFailing, text);
}

fn unreachable(draft: &mut Draft<'_>) {
    if draft.journal.job.state == Some(FlinkJobState::Running) {
        draft.set_job_state(FlinkJobState::Reconciling);
    }
    draft.wait(WaitingFor::JobManagerUnreachable, "the JobManager does not answer");
}

fn job_missing(draft: &mut Draft<'_>) {
    let age_ms = (draft.now.0 - draft.journal.reconciled_at_ms).abs();
    if age_ms < JOB_SUBMISSION_MS {
        draft.wait(WaitingFor::JobStarting, "the JobManager is up and the job is not submitted yet");
        return;
    }
    if !draft.is_live() {
        return;
    }
    draft.set_job_state(FlinkJobState::Reconciling);
    draft.problem("Missing", "Job", "Job Not Found");
    draft.wait(WaitingFor::JobStarting, "the JobManager answers and does not know the job");
}

/// How long a JobManager may be up before its application has submitted the job, milliseconds.
pub(super) const JOB_SUBMISSION_MS: i64 = 60_000;

fn unsettled(draft: &mut Draft<'_>, desired: &Arc<Desired>, state: FlinkJobState) {
    let (what, message) = match state {
        FlinkJobState::Restarting | FlinkJobState::Failing => {
            (WaitingFor::JobRestarting, "the job restarts after a failure")
        }
        _ => (WaitingFor::JobStarting, "the job is starting"),
    };
    draft.wait(what, message);
    check_health(draft, desired);
}

fn running(draft: &mut Draft<'_>, desired: &Arc<Desired>) {
    draft.at_rest = true;
    if check_health(draft, desired) {
        return;
    }
    snapshots::plan(draft, desired);
}

/// Restarts an unhealthy job. Returns whether it did.
fn check_health(draft: &mut Draft<'_>, desired: &Arc<Desired>) -> bool {
    let Some(check) = &desired.options.health else { return false };
    let metrics = draft.observed.rest.as_ref().and_then(|rest| rest.health);
    let Some(metrics) = metrics else { return false };
    let (record, verdict) = judge(check, &desired.options, draft.journal.health, metrics, draft.now);
    draft.journal.health = Some(record);
    match verdict {
        Verdict::Healthy => false,
        Verdict::Unhealthy(why) => {
            let kept = desired.options.high_availability;
            if !kept {
                draft.wait(
                    WaitingFor::JobRestarting,
                    format!("{why}; not restarted because high availability is off"),
                );
                return false;
            }
            if !draft.is_live() {
                return true;
            }
            draft.warning("RestartUnhealthyJob", "Job", why);
            draft.at_rest = false;
            restart_cluster(draft);
            true
        }
    }
}
