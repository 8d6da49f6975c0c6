//! Bugs of the Java operator, planted one at a time, to prove that the simulator would catch them. Each switch bends
//! the evidence, the decision or the engine's contract in the way that the bug did; none is in the product's code.

use std::sync::Arc;

use drey_core::decision::Deployment;
use drey_core::journal::{Journal, Last};
use drey_core::{Action, Decision, IntentKind, JobId, Observed, Resource, Restore, Seen};

macro_rules! bugs {
    ($($(#[doc = $doc:literal])+ $name:ident $id:literal),+ $(,)?) => {
        /// A planted bug.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum Planted {
            /// The product as it is.
            #[default]
            None,
            $($(#[doc = $doc])+ $name),+
        }

        impl Planted {
            /// Every bug.
            pub const ALL: &[Planted] = &[$(Planted::$name),+];

            /// Upstream's issue, or the name of the class.
            pub fn id(self) -> &'static str {
                match self { Planted::None => "none", $(Planted::$name => $id),+ }
            }
        }
    };
}

bugs! {
    /// A fresh savepoint is distrusted while high-availability data is still there.
    DistrustsSavepoint "FLINK-39270",
    /// A store without checkpoints counts as a store: the job starts empty.
    StoreExists "H1, FLINK-27572",
    /// Each attempt of a start has a new job id.
    NewIdPerAttempt "FLINK-38858",
    /// A cluster that is going away counts as gone.
    TerminatingIsGone "FLINK-34524",
    /// A failed look counts as absence.
    UnknownIsAbsent "FLINK-35278 class",
    /// A conflicting status is written all the same.
    OverwritesConflicts "FLINK-29959, H2",
    /// The cache may be older than the own writes, and what should be read live comes from it.
    ReadsStale "FLINK-27551, H3",
    /// A savepoint whose answer was lost is forgotten.
    ForgetsLostSavepoint "H4, PR#245",
    /// "Job not found" takes a terminal state back.
    NotFoundRevives "H6, FLINK-37370",
    /// High-availability data goes when a terminated job is upgraded.
    DeletesStoreOfEnded "FLINK-33011",
    /// A version change goes by last-state.
    VersionByLastState "FLINK-28350",
    /// The history disposes of the upgrade savepoint at once.
    DisposesUpgrade "FLINK-38033",
    /// A savepoint leaves the history before its disposal succeeded.
    ForgetsBeforeDisposal "FLINK-39439",
    /// The act comes before the write that announces it.
    ActsFirst "FLINK-29464, FLINK-28331",
    /// A savepoint that completed while the job failed in stopping is ignored.
    IgnoresFailedStop "FLINK-33522",
    /// A finished or failed job is recovered as if it was lost.
    RecoversEnded "FLINK-35108",
    /// `initialSavepointPath` is forgotten when the first deploy is tried again.
    ForgetsInitialPath "FLINK-28845",
    /// A job id is used again for a start from elsewhere.
    ReusesJobId "FLINK-29109, FLINK-35831",
    /// A deposed leader goes on.
    IgnoresEpoch "FLINK-27956",
    /// The status is written although nothing changed.
    WritesUnchanged "FLINK-27686",
    /// The job graph of the old spec is left in the store.
    LeavesJobGraph "FLINK-26916, FLINK-37571",
    /// A rollback starts from nothing when the stable spec was stateless.
    RollbackStateless "FLINK-33107",
    /// The resource is released while its cluster is still there.
    ReleasesEarly "FLINK-28187 class",
    /// High-availability data is deleted before the savepoint is on record.
    DeletesStoreEarly "FLINK-36037 class",
    /// A cluster that was made by half counts as made.
    LeavesHalfMade "a cluster made by half",
    /// A cluster that somebody has scaled by hand counts as it should be.
    LeavesTaskManagers "a standalone cluster that was scaled",
    /// A lost JobManager is started from its first savepoint although the store has newer checkpoints.
    RecoversFromBase "FLINK-35857",
}

impl Planted {
    /// Bends what is seen.
    pub fn observation(self, observed: &mut Observed, journal: &Journal) {
        match self {
            Planted::TerminatingIsGone
                if observed.cluster.present().is_some_and(|cluster| cluster.terminating) =>
            {
                observed.cluster = Seen::Absent;
                observed.live = true;
            }
            Planted::UnknownIsAbsent => {
                if observed.cluster.is_unknown() {
                    observed.cluster = Seen::Absent;
                }
                if observed.high_availability.is_unknown() {
                    observed.high_availability = Seen::Absent;
                }
            }
            Planted::LeavesHalfMade => {
                if let Seen::Present(cluster) = &mut observed.cluster {
                    cluster.missing = None;
                }
            }
            Planted::LeavesTaskManagers => {
                if let Seen::Present(cluster) = &mut observed.cluster {
                    cluster.task_managers = None;
                }
            }
            Planted::ForgetsLostSavepoint => observed.open_snapshot = Seen::Absent,
            Planted::IgnoresFailedStop => {
                if matches!(journal.intent.as_ref().map(|intent| &intent.kind), Some(IntentKind::Stop { .. }))
                {
                    observed.open_snapshot = Seen::Absent;
                }
            }
            _ => {}
        }
    }

    /// Bends what is decided.
    pub fn decision(
        self,
        decision: &mut Decision,
        observed: &Observed,
        before: &Journal,
        resource: &Resource,
    ) {
        match self {
            Planted::DistrustsSavepoint => change_restore(
                decision,
                |journal, restore| {
                    let kept = observed.high_availability.present().is_some_and(|data| {
                        journal.is_some_and(|id| {
                            data.job(id).is_some_and(|store| store.newest_checkpoint_id.is_some())
                        })
                    });
                    if kept { Restore::LastState } else { restore.clone() }
                },
                before,
            ),
            Planted::StoreExists => change_restore(
                decision,
                |id, restore| {
                    let empty = observed.high_availability.present().is_some_and(|data| {
                        id.is_some_and(|id| {
                            data.job(id).is_some_and(|store| store.newest_checkpoint_id.is_none())
                        })
                    });
                    if empty { Restore::Empty } else { restore.clone() }
                },
                before,
            ),
            Planted::VersionByLastState => change_restore(
                decision,
                |_, restore| match restore {
                    Restore::Path(_) if observed.high_availability.present().is_some() => Restore::LastState,
                    other => other.clone(),
                },
                before,
            ),
            Planted::RecoversFromBase => {
                let base = before.run.as_ref().map(|run| run.base.clone());
                change_restore(
                    decision,
                    |_, restore| match (restore, &base) {
                        (Restore::LastState, Some(drey_core::journal::Base::Path(path))) => {
                            Restore::Path(path.clone())
                        }
                        (other, _) => other.clone(),
                    },
                    before,
                );
            }
            Planted::RollbackStateless => {
                let target_is_stable = matches!(
                    decision.journal.intent.as_ref().map(|intent| &intent.kind),
                    Some(IntentKind::Deploy { target: drey_core::intent::DeployTarget::Stable, .. })
                );
                if target_is_stable {
                    change_restore(decision, |_, _| Restore::Empty, before);
                }
            }
            Planted::ForgetsInitialPath => {
                let again =
                    before.intent.is_some() && before.reconciled.as_ref().is_some_and(|r| r.first_deployment);
                if again {
                    change_restore(decision, |_, _| Restore::Empty, before);
                    forget_path(decision);
                }
            }
            Planted::NewIdPerAttempt => new_id(decision),
            Planted::ReusesJobId => reuse_id(decision, before),
            Planted::NotFoundRevives => revive(decision, observed),
            Planted::RecoversEnded => recover_ended(decision, observed),
            Planted::DisposesUpgrade => dispose_upgrade(decision, before),
            Planted::ForgetsBeforeDisposal => {
                if let Some(Action::Dispose { path }) = &decision.action {
                    let path = path.clone();
                    decision.journal.savepoints.history.retain(|record| record.snapshot.path != path);
                    decision.journal.intent = None;
                    decision.action = None;
                }
            }
            Planted::DeletesStoreOfEnded => {
                if before.end().is_some() && before.intent.is_none() && observed.live {
                    delete_store(decision, observed);
                }
            }
            Planted::DeletesStoreEarly => {
                if matches!(
                    before.intent.as_ref().map(|intent| &intent.kind),
                    Some(IntentKind::Teardown { .. })
                ) && observed.live
                {
                    delete_store(decision, observed);
                }
            }
            Planted::LeavesJobGraph => {
                if let Some(Action::StripJobGraphs(_)) = &decision.action {
                    decision.action = None;
                    if let Some(deployment) = deployment_of(decision) {
                        decision.action = Some(Action::Deploy(Box::new(deployment)));
                    }
                }
            }
            Planted::ReleasesEarly => {
                if resource.deleting && observed.live && observed.cluster.present().is_some() {
                    decision.action = Some(Action::RemoveFinalizer);
                }
            }
            Planted::None
            | Planted::TerminatingIsGone
            | Planted::UnknownIsAbsent
            | Planted::LeavesHalfMade
            | Planted::LeavesTaskManagers
            | Planted::OverwritesConflicts
            | Planted::ReadsStale
            | Planted::ForgetsLostSavepoint
            | Planted::ActsFirst
            | Planted::IgnoresFailedStop
            | Planted::IgnoresEpoch
            | Planted::WritesUnchanged => {}
        }
    }

    /// Whether conflicting status writes are forced.
    pub fn overwrites_conflicts(self) -> bool {
        matches!(self, Planted::OverwritesConflicts | Planted::IgnoresEpoch)
    }

    /// Whether the cache may lag behind the own writes.
    pub fn reads_stale(self) -> bool {
        matches!(self, Planted::ReadsStale | Planted::OverwritesConflicts)
    }

    /// Whether evidence that should be live may be that of an earlier step.
    pub fn reads_stale_evidence(self) -> bool {
        self == Planted::ReadsStale
    }

    /// Whether acts come before writes.
    pub fn acts_before_writing(self) -> bool {
        self == Planted::ActsFirst
    }

    /// Whether the status is written although nothing changed.
    pub fn writes_unchanged(self) -> bool {
        self == Planted::WritesUnchanged
    }
}

fn change_restore(
    decision: &mut Decision,
    change: impl Fn(Option<&JobId>, &Restore) -> Restore,
    before: &Journal,
) {
    let id = before.run.as_ref().map(|run| run.job_id.clone());
    if let Some(intent) = &mut decision.journal.intent
        && let IntentKind::Deploy { restore, .. } = &mut intent.kind
    {
        *restore = change(id.as_ref(), restore);
        if let Some(Action::Deploy(deployment)) = &mut decision.action {
            deployment.restore = restore.clone();
        }
    }
}

fn forget_path(decision: &mut Decision) {
    if let Some(run) = &mut decision.journal.run {
        run.base = drey_core::journal::Base::Empty;
    }
}

fn new_id(decision: &mut Decision) {
    let Some(intent) = &decision.journal.intent else { return };
    let id = JobId::new(&format!("{:032x}", intent.seq * 1_000 + i64::from(intent.attempts)));
    if let Some(Action::Deploy(deployment)) = &mut decision.action {
        deployment.job_id = id;
    }
}

fn reuse_id(decision: &mut Decision, before: &Journal) {
    let Some(id) = before.run.as_ref().map(|run| run.job_id.clone()) else { return };
    if let Some(Action::Deploy(deployment)) = &mut decision.action {
        deployment.job_id = id.clone();
    }
    if let Some(run) = &mut decision.journal.run {
        run.job_id = id;
    }
}

fn revive(decision: &mut Decision, observed: &Observed) {
    let missing = observed.rest.as_ref().is_some_and(|rest| rest.reachable && rest.job.is_absent());
    if let (true, Some(run)) = (missing, &mut decision.journal.run) {
        run.end = None;
    }
}

fn recover_ended(decision: &mut Decision, observed: &Observed) {
    if observed.cluster.is_absent()
        && let Some(run) = &mut decision.journal.run
        && run.end.as_ref().is_some_and(|end| end.last != Last::Discarded)
    {
        run.end = None;
    }
}

fn dispose_upgrade(decision: &mut Decision, before: &Journal) {
    let newest: Option<Arc<str>> =
        before.savepoints.history.last().map(|record| record.snapshot.path.clone());
    if let (None, None, Some(path)) = (&decision.action, &decision.journal.intent, newest) {
        decision.action = Some(Action::Dispose { path });
    }
}

fn delete_store(decision: &mut Decision, observed: &Observed) {
    if let Seen::Present(data) = &observed.high_availability {
        decision.action = Some(Action::DeleteHighAvailability(data.maps.clone()));
    }
}

fn deployment_of(decision: &Decision) -> Option<Deployment> {
    let intent = decision.journal.intent.as_ref()?;
    let run = decision.journal.run.as_ref()?;
    let IntentKind::Deploy { restore, .. } = &intent.kind else { return None };
    Some(Deployment {
        seq: intent.seq,
        generation: intent.generation,
        desired: decision.journal.reconciled.as_ref()?.desired.clone(),
        job_id: run.job_id.clone(),
        restore: restore.clone(),
        allow_non_restored_state: false,
    })
}
