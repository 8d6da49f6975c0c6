//! Starts the next run, once the previous one is provably dead: asks [`crate::restore`] where its state comes from,
//! and opens the deploy intent with everything chosen.

use std::sync::Arc;

use drey_api::desired::Desired;
use drey_api::diff::Effect;
use drey_api::kinds::{FlinkJobState, JobState, ReconciliationState, UpgradeMode};
use drey_api::reconciled::Format;

use super::{Draft, Flow, stop};
use crate::JobId;
use crate::assess::{Situation, assess};
use crate::decision::WaitingFor;
use crate::goal::job_state;
use crate::intent::{DeployTarget, IntentKind};
use crate::journal::{Base, Last, Reconciled, Restored, Run, Stable};
use crate::observed::{Cluster, Seen};
use crate::restore::{Choice, Evidence, Restore, Unsure, Wish, choose};

/// Upstream's marker in place of a savepoint path when the state comes from high availability.
pub(crate) const LAST_STATE_PATH: &str = "KUBERNETES_OPERATOR_LAST_STATE";

/// What is started, and as which recorded spec.
struct Launch<'d> {
    desired: &'d Arc<Desired>,
    target: DeployTarget,
    wish: Wish,
}

/// The first deploy of a resource.
pub(super) fn first(draft: &mut Draft<'_>, desired: &Arc<Desired>) {
    let orphan =
        draft.observed.cluster.present().is_some_and(|cluster| cluster.owned && !cluster.terminating);
    if job_state(desired) == JobState::Suspended && !orphan {
        draft.journal.observed_generation = Some(draft.resource.generation);
        draft.journal.error = None;
        draft.at_rest = true;
        return;
    }
    if fenced(draft) == Flow::Done {
        return;
    }
    if adopt_store(draft) == Flow::Done {
        return;
    }
    let initial = desired.spec.job.as_ref().and_then(|job| job.initial_savepoint_path.clone());
    let wish = match initial.filter(|path| !path.is_empty()) {
        Some(path) if draft.journal.run.is_none() => Wish::From(Arc::from(path)),
        _ => Wish::Keep,
    };
    draft.journal.observed_generation = Some(draft.resource.generation);
    launch(draft, &Launch { desired, target: DeployTarget::Reconciled, wish });
}

/// The status was lost and high availability was not: checkpoints that are younger than the resource are its own.
fn adopt_store(draft: &mut Draft<'_>) -> Flow {
    if draft.journal.run.is_some() {
        return Flow::GoOn;
    }
    let data = match &draft.observed.high_availability {
        Seen::Unknown => {
            return draft
                .wait(WaitingFor::RestoreSourceNotKnown, "The high-availability store could not be read.");
        }
        Seen::Absent => return Flow::GoOn,
        Seen::Present(data) => data,
    };
    let own = data
        .jobs
        .iter()
        .filter(|store| store.created_at_ms >= draft.resource.created_at_ms)
        .max_by_key(|store| (store.newest_checkpoint_id, store.created_at_ms));
    if let Some(store) = own {
        draft.journal.run = Some(adopted_run(draft, store.job_id.clone(), None));
    }
    Flow::GoOn
}

fn adopted_run(draft: &Draft<'_>, job_id: JobId, cluster_uid: Option<Arc<str>>) -> Run {
    Run {
        job_id,
        seq: draft.journal.seq,
        generation: draft.resource.generation,
        cluster_uid,
        base: Base::Unrecorded,
        restored: Restored::LastState,
        deployed_at_ms: draft.now.0,
        never_ran: false,
        end: None,
        newest_savepoint: None,
        open_directories: Vec::new(),
    }
}

/// The run is stopped: what comes next.
pub(super) fn plan(draft: &mut Draft<'_>, desired: &Arc<Desired>, effect: Effect) {
    if fenced(draft) == Flow::Done {
        return;
    }
    if job_state(desired) == JobState::Suspended {
        settle_suspended(draft, desired);
        return;
    }
    let redeploy = (effect == Effect::SavepointRedeploy)
        .then(|| desired.spec.job.as_ref().and_then(|job| job.initial_savepoint_path.clone()))
        .flatten();
    let stateless = desired.spec.job.as_ref().is_some_and(|job| job.upgrade_mode == UpgradeMode::Stateless);
    let wish = match redeploy {
        Some(path) => Wish::From(Arc::from(path)),
        None if stateless => Wish::Discard,
        None => Wish::Keep,
    };
    launch(draft, &Launch { desired, target: DeployTarget::Reconciled, wish });
}

/// Goes on with the recorded spec, whatever the present one says: a lost, failed or unhealthy run starts again.
pub(super) fn resume_recorded(draft: &mut Draft<'_>, desired: &Arc<Desired>) {
    if fenced(draft) == Flow::GoOn {
        launch(draft, &Launch { desired, target: DeployTarget::Reconciled, wish: Wish::Keep });
    }
}

/// Starts the last stable spec again.
pub(super) fn roll_back(draft: &mut Draft<'_>, stable: &Arc<Desired>) {
    if fenced(draft) == Flow::GoOn {
        launch(draft, &Launch { desired: stable, target: DeployTarget::Stable, wish: Wish::Keep });
    }
}

/// Goes on only when nothing of a cluster is alive, seen live in this step.
fn fenced(draft: &mut Draft<'_>) -> Flow {
    let observed = draft.observed;
    match assess(observed, &draft.journal) {
        Situation::NotKnown => draft.wait(WaitingFor::ClusterNotKnown, "the cluster could not be looked at"),
        Situation::Gone if draft.is_live() => Flow::GoOn,
        Situation::Gone => Flow::Done,
        Situation::Foreign => {
            stop::name_taken(draft);
            Flow::Done
        }
        // The last chance to learn which job it was.
        Situation::Terminating if draft.journal.reconciled.is_none() && draft.names_its_job() => {
            still_there(draft)
        }
        Situation::Terminating => draft.wait(WaitingFor::ClusterTerminating, "the old cluster is going away"),
        Situation::Ended(_)
        | Situation::Failing(..)
        | Situation::Starting
        | Situation::Unreachable
        | Situation::JobMissing
        | Situation::Unsettled(_)
        | Situation::Cancelling
        | Situation::Running => still_there(draft),
    }
}

/// A cluster is there although the record says that nothing runs.
pub(super) fn still_there(draft: &mut Draft<'_>) -> Flow {
    if !draft.is_live() {
        return Flow::Done;
    }
    let Some(cluster) = draft.observed.cluster.present().cloned() else { return Flow::Done };
    if draft.journal.reconciled.is_none() {
        return adopt_cluster(draft, &cluster);
    }
    stop::take_down_late(draft, &cluster)
}

/// The status was lost and the cluster was not: it is the run, made for a generation that it names itself.
fn adopt_cluster(draft: &mut Draft<'_>, cluster: &Cluster) -> Flow {
    let Ok(desired) = draft.resource.desired.clone() else { return Flow::Done };
    let Some(job_id) = cluster.job_id.clone() else {
        stop::name_taken(draft);
        return Flow::Done;
    };
    let mut run = adopted_run(draft, job_id.clone(), Some(cluster.uid.clone()));
    run.seq = cluster.seq.unwrap_or(run.seq);
    draft.journal.seq = draft.journal.seq.max(run.seq);
    draft.journal.run = Some(run);
    draft.journal.job.id = Some(job_id);
    draft.set_job_state(FlinkJobState::Reconciling);
    let runs = running_version(&desired, cluster);
    draft.journal.reconciled = Some(recorded(draft, &runs, UpgradeMode::LastState));
    // A cluster of another generation is upgraded: which spec it runs, nobody knows any more.
    let current = cluster.generation == Some(draft.resource.generation);
    draft.journal.state =
        if current { ReconciliationState::Deployed } else { ReconciliationState::Upgrading };
    draft.journal.observed_generation = Some(draft.resource.generation);
    draft.journal.reconciled_at_ms = draft.now.0;
    Flow::Done
}

/// The spec with the Flink version that the cluster really has: another one cannot go on from its store.
fn running_version(desired: &Arc<Desired>, cluster: &Cluster) -> Arc<Desired> {
    let mut runs = desired.clone();
    if let Some(version) = cluster.flink_version.filter(|version| *version != desired.flink_version) {
        let edited = Arc::make_mut(&mut runs);
        edited.flink_version = version;
        Arc::make_mut(&mut edited.spec).flink_version = Some(version);
    }
    runs
}

/// Puts a spec on record that nothing has to be done for. While the job is stopped and only high availability has its
/// state, the record stays with the Flink version that can read it.
pub(super) fn note_spec(draft: &mut Draft<'_>, desired: &Arc<Desired>) {
    let by_path = matches!(draft.journal.end().map(|end| &end.last), Some(Last::Snapshot(_)));
    if let Some(reconciled) = &mut draft.journal.reconciled {
        let readable = by_path || reconciled.desired.flink_version == desired.flink_version;
        if readable && reconciled.desired.spec != desired.spec {
            reconciled.desired = desired.clone();
        }
    }
}

/// The job is stopped and is to stay so.
fn settle_suspended(draft: &mut Draft<'_>, desired: &Arc<Desired>) {
    note_spec(draft, desired);
    if let Some(reconciled) = &mut draft.journal.reconciled {
        reconciled.job_state = JobState::Suspended;
    }
    draft.journal.state = ReconciliationState::Deployed;
    draft.journal.stable = Stable::Same;
    draft.journal.error = None;
    draft.journal.reconciled_at_ms = draft.now.0;
    draft.at_rest = true;
}

/// Chooses the restore source and opens the deploy intent.
fn launch(draft: &mut Draft<'_>, launch: &Launch<'_>) {
    let choice = choose(&Evidence {
        wish: launch.wish.clone(),
        run: draft.journal.run.as_ref(),
        of_open_requests: &draft.observed.open_snapshot,
        storage_hidden: draft.observed.storage_hidden,
        high_availability: &draft.observed.high_availability,
        retained: &draft.observed.retained_checkpoint,
        job_result: &draft.observed.job_result,
        version_changed: stop::version_changed(draft, launch.desired),
    });
    match choice {
        Choice::Start(restore) => open_deploy(draft, launch, &restore),
        Choice::Wait(unsure) => {
            draft.wait(WaitingFor::RestoreSourceNotKnown, unsure.sentence());
        }
        Choice::Manual(Unsure::VersionChange) => run_old_version(draft),
        Choice::Manual(unsure) => manual(draft, unsure),
    }
}

/// Only high availability holds the newest state, which the new Flink version cannot read: the old one runs once
/// more, so that a savepoint can be taken.
fn run_old_version(draft: &mut Draft<'_>) {
    let Some(deployed) = draft.journal.deployed().map(|deployed| deployed.desired.clone()) else { return };
    let launch = Launch { desired: &deployed, target: DeployTarget::Reconciled, wish: Wish::Keep };
    open_deploy(draft, &launch, &Restore::LastState);
}

fn manual(draft: &mut Draft<'_>, unsure: Unsure) {
    let message = format!(
        "{} Manual restore required: set `job.initialSavepointPath` and raise `job.savepointRedeployNonce`, or set \
         `job.upgradeMode: stateless` to give the state up.",
        unsure.sentence()
    );
    draft.problem("RestoreFailed", "JobManagerDeployment", message.clone());
    draft.wait(WaitingFor::ManualRestoreRequired, message);
}

fn open_deploy(draft: &mut Draft<'_>, launch: &Launch<'_>, restore: &Restore) {
    let job_id = job_id(draft, launch.desired, restore);
    let run = next_run(draft, &job_id, restore);
    if launch.target == DeployTarget::Reconciled {
        record_spec(draft, launch.desired, restore, &launch.wish);
    }
    draft.journal.run = Some(run);
    draft.journal.job.id = Some(job_id.clone());
    draft.journal.job.name = None;
    draft.journal.job.started_at_ms = None;
    draft.journal.job.upgrade_savepoint_path = match restore {
        Restore::Empty => None,
        Restore::Path(path) => Some(path.clone()),
        Restore::LastState => Some(Arc::from(LAST_STATE_PATH)),
    };
    draft.journal.reconciled_at_ms = draft.now.0;
    draft.journal.health = None;
    draft.journal.error = None;
    draft.set_job_state(FlinkJobState::Reconciling);
    draft.event("Submit", "JobManagerDeployment", "Starting deployment");
    draft.open(IntentKind::Deploy { job_id, restore: restore.clone(), target: launch.target }, None);
    super::resolve::deploy(draft);
}

/// A new run has a new job id; last-state goes on under the same one, because the store is kept by job id.
fn job_id(draft: &Draft<'_>, desired: &Desired, restore: &Restore) -> JobId {
    let same = draft.journal.run.as_ref().filter(|_| *restore == Restore::LastState);
    match (same, &desired.options.user_job_id) {
        (Some(run), _) => run.job_id.clone(),
        (None, Some(id)) => JobId::new(id),
        (None, None) => JobId::derive(&draft.resource.uid, draft.next_seq(), draft.now),
    }
}

fn next_run(draft: &Draft<'_>, job_id: &JobId, restore: &Restore) -> Run {
    let previous_base = draft.journal.run.as_ref().map_or(Base::Empty, |run| run.base.clone());
    let (base, restored) = match restore {
        Restore::Empty => (Base::Empty, Restored::Empty),
        Restore::Path(path) => (Base::Path(path.clone()), Restored::Path(path.clone())),
        Restore::LastState => (previous_base, Restored::LastState),
    };
    // Under the same job id, what the earlier incarnation may have left is still what this one stands on.
    let same_id = draft.journal.run.as_ref().filter(|run| run.job_id == *job_id);
    Run {
        job_id: job_id.clone(),
        seq: draft.next_seq(),
        generation: draft.resource.generation,
        cluster_uid: None,
        base,
        restored,
        deployed_at_ms: draft.now.0,
        never_ran: false,
        end: None,
        newest_savepoint: same_id.and_then(|run| run.newest_savepoint.clone()),
        open_directories: same_id.map(|run| run.open_directories.clone()).unwrap_or_default(),
    }
}

/// Writes the spec that is being deployed on record, and keeps the last stable one beside it.
fn record_spec(draft: &mut Draft<'_>, desired: &Arc<Desired>, restore: &Restore, wish: &Wish) {
    let mode = match restore {
        Restore::Empty => UpgradeMode::Stateless,
        Restore::Path(_) => UpgradeMode::Savepoint,
        Restore::LastState => UpgradeMode::LastState,
    };
    let first = draft.journal.reconciled.is_none();
    let redeploy = matches!(wish, Wish::From(_)) && !first;
    let next = recorded(draft, desired, mode);
    let previous = draft.journal.reconciled.replace(next);
    if let (Stable::Same, Some(previous)) = (&draft.journal.stable, previous) {
        draft.journal.stable = Stable::Other(Box::new(previous));
    }
    if redeploy {
        // Rolling back from it would undo what the user chose, and to it, what nobody has seen run.
        draft.journal.stable = Stable::None;
    }
    draft.journal.state = ReconciliationState::Upgrading;
}

fn recorded(draft: &Draft<'_>, desired: &Arc<Desired>, mode: UpgradeMode) -> Reconciled {
    let job = desired.spec.job.as_ref();
    let (savepoint_nonce, checkpoint_nonce, format) = match &draft.journal.reconciled {
        // The handled nonces stay: one that was raised together with the upgrade is handled after it.
        Some(last) => (last.savepoint_nonce, last.checkpoint_nonce, last.format),
        None => (
            job.and_then(|job| job.savepoint_trigger_nonce),
            job.and_then(|job| job.checkpoint_trigger_nonce),
            Format::default(),
        ),
    };
    Reconciled {
        desired: desired.clone(),
        job_state: JobState::Running,
        upgrade_mode: mode,
        savepoint_nonce,
        checkpoint_nonce,
        first_deployment: draft.journal.reconciled.is_none(),
        format,
    }
}

impl Unsure {
    /// The sentence for people.
    pub fn sentence(self) -> &'static str {
        match self {
            Unsure::HighAvailability => "The high-availability store could not be read.",
            Unsure::SavepointDirectory => {
                "The JobManager went away before it told the outcome of a savepoint, and the directory of that request \
                 could not be read."
            }
            Unsure::VersionChange => {
                "HA metadata is not available to another Flink version, and no snapshot by path is as new."
            }
            Unsure::StoreGone => {
                "HA metadata is not available, and storage does not tell whether newer snapshots exist. It is \
                 possible that the job has finished or terminally failed, or the configmaps have been deleted."
            }
            Unsure::EndNotRead => {
                "The job ended and its last snapshot could not be read before its JobManager went away."
            }
        }
    }
}
