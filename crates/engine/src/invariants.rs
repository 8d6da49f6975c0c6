//! What must hold of every decision before it is carried out, checked on in release. The names S… are those of the
//! project's list of invariants. A decision that breaks one is not carried out, and its resource is frozen: a fault
//! in deciding must not become a fault in the world. Refuses to judge whether a decision is wise.

use std::sync::Arc;

use drey_core::decision::{Action, Decision, Deployment};
use drey_core::intent::IntentKind;
use drey_core::observed::Observed;
use drey_core::{JobId, Journal, Policy, Resource, Restore, Seen};

/// A broken invariant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invariant {name} is broken: {what}")]
pub(crate) struct Broken {
    name: &'static str,
    what: String,
}

/// Checks `decision`, which was made for `resource` from `observed` and `before`.
pub(crate) fn check(
    resource: &Resource,
    observed: &Observed,
    before: &Journal,
    policy: &Policy,
    decision: &Decision,
) -> Result<(), Broken> {
    record(before, policy, decision)?;
    let Some(action) = &decision.action else { return Ok(()) };
    holds("S21", before.epoch <= policy.epoch, || {
        format!("an action of leadership {} after leadership {} wrote", policy.epoch, before.epoch)
    })?;
    if action.needs_live_read() {
        holds("S22", observed.live, || "a destructive action on evidence that was not read live".to_owned())?;
    }
    write_ahead(&decision.journal, action)?;
    on_evidence(resource, observed, action)
}

/// What is on record is never lost.
fn record(before: &Journal, policy: &Policy, decision: &Decision) -> Result<(), Broken> {
    let after = &decision.journal;
    holds("S21", after.epoch >= before.epoch, || {
        format!("leadership {} is written over {}", after.epoch, before.epoch)
    })?;
    holds("S21", before == after || before.epoch <= policy.epoch, || {
        format!("leadership {} writes over {}", policy.epoch, before.epoch)
    })?;
    holds("S6", after.seq >= before.seq, || {
        format!("the number of the last intent goes back from {} to {}", before.seq, after.seq)
    })?;
    if let Some(intent) = &after.intent {
        holds("S6", intent.seq <= after.seq, || {
            format!("intent {} is above the number of the last intent {}", intent.seq, after.seq)
        })?;
    }
    let (Some(was), Some(is)) = (&before.run, &after.run) else { return Ok(()) };
    match (&was.end, &is.end) {
        // What the Java operator wrote is of the run before, until its next one is seen to have begun.
        (Some(_), None) if before.seq == 0 && was.seq == 0 && was.cluster_uid.is_none() => Ok(()),
        (Some(was_end), is_end) if was.job_id == is.job_id && was.seq == is.seq => {
            holds("S10", is_end.as_ref().is_some_and(|is_end| is_end.state == was_end.state), || {
                format!("job {} was {} and is said to be otherwise", was.job_id, was_end.state.as_str())
            })
        }
        (Some(_) | None, _) => Ok(()),
    }
}

/// S6: an act that is not idempotent by nature is on record with its ids.
fn write_ahead(journal: &Journal, action: &Action) -> Result<(), Broken> {
    let intent = journal.intent.as_ref().map(|intent| &intent.kind);
    let on_record = match (action, intent) {
        (Action::AddFinalizer | Action::RemoveFinalizer, _) => true,
        (Action::Deploy(deployment), Some(IntentKind::Deploy { job_id, restore, .. })) => {
            deployment.job_id == *job_id
                && deployment.restore == *restore
                && journal.intent.as_ref().is_some_and(|intent| intent.seq == deployment.seq)
        }
        (
            Action::Stop { job_id, trigger_id, target_directory, .. },
            Some(IntentKind::Stop { job_id: job, trigger_id: trigger, target_directory: directory, .. }),
        )
        | (
            Action::Savepoint { job_id, trigger_id, target_directory, .. },
            Some(IntentKind::Savepoint {
                job_id: job, trigger_id: trigger, target_directory: directory, ..
            }),
        ) => job_id == job && trigger_id == trigger && target_directory == directory,
        (
            Action::Checkpoint { job_id, trigger_id },
            Some(IntentKind::Checkpoint { job_id: job, trigger_id: trigger, .. }),
        ) => job_id == job && trigger_id == trigger,
        (Action::Cancel { job_id }, Some(IntentKind::Cancel { job_id: job })) => job_id == job,
        (Action::Dispose { path, .. }, Some(IntentKind::Dispose { path: on_record })) => path == on_record,
        (Action::Complete { cluster_uid, deployment }, Some(IntentKind::Deploy { .. })) => {
            is_run(journal, cluster_uid, deployment)
        }
        (
            Action::Complete { cluster_uid, deployment },
            Some(IntentKind::Complete { cluster_uid: on_record }),
        ) => cluster_uid == on_record && is_run(journal, cluster_uid, deployment),
        (Action::Scale { cluster_uid, .. }, Some(IntentKind::Scale { cluster_uid: on_record })) => {
            cluster_uid == on_record
        }
        (Action::DeleteCluster { uid }, Some(IntentKind::Teardown { cluster_uid })) => uid == cluster_uid,
        (Action::StripJobGraphs(_), Some(IntentKind::Deploy { restore, .. })) => {
            *restore == Restore::LastState
        }
        // S5: what a start from the store needs is not deleted.
        (Action::DeleteHighAvailability(_), Some(IntentKind::Deploy { restore, .. })) => {
            *restore != Restore::LastState
        }
        // At the deletion of a resource its store goes without an intent of its own.
        (Action::DeleteHighAvailability(_), None) => true,
        (
            Action::Deploy(_)
            | Action::Complete { .. }
            | Action::Scale { .. }
            | Action::Stop { .. }
            | Action::Savepoint { .. }
            | Action::Checkpoint { .. }
            | Action::Cancel { .. }
            | Action::Dispose { .. }
            | Action::DeleteCluster { .. }
            | Action::StripJobGraphs(_)
            | Action::DeleteHighAvailability(_),
            _,
        ) => false,
    };
    holds("S6", on_record, || {
        let open = intent.map_or("none", IntentKind::name);
        format!("{} is not what the intent on record says (intent: {open})", crate::act::words(action))
    })
}

/// The cluster is that of the run on record, and what is created is what it was made from.
fn is_run(journal: &Journal, cluster_uid: &Arc<str>, deployment: &Deployment) -> bool {
    journal.run.as_ref().is_some_and(|run| {
        run.cluster_uid.as_ref() == Some(cluster_uid)
            && run.seq == deployment.seq
            && run.job_id == deployment.job_id
    })
}

/// The evidence permits the action.
fn on_evidence(resource: &Resource, observed: &Observed, action: &Action) -> Result<(), Broken> {
    match action {
        Action::Deploy(deployment) => deploy(observed, deployment),
        Action::DeleteHighAvailability(_) | Action::StripJobGraphs(_) => {
            holds("S4", observed.cluster.is_absent(), || {
                "the high-availability store is changed while a cluster may use it".to_owned()
            })
        }
        Action::DeleteCluster { uid } => {
            let owned =
                observed.cluster.present().is_some_and(|cluster| cluster.owned && cluster.uid == *uid);
            holds("S18", owned, || format!("cluster {uid} is not ours, or not the one that was seen"))
        }
        Action::RemoveFinalizer => {
            holds("S23", resource.deleting, || "the resource is not being deleted".to_owned())?;
            let gone = match &observed.cluster {
                Seen::Absent => true,
                Seen::Present(cluster) => !cluster.owned,
                Seen::Unknown => false,
            };
            holds("S23", gone, || "the cluster may still be alive".to_owned())
        }
        Action::AddFinalizer
        | Action::Complete { .. }
        | Action::Scale { .. }
        | Action::Stop { .. }
        | Action::Cancel { .. }
        | Action::Savepoint { .. }
        | Action::Checkpoint { .. }
        | Action::Dispose { .. } => Ok(()),
    }
}

fn deploy(observed: &Observed, deployment: &Deployment) -> Result<(), Broken> {
    holds("S3", observed.cluster.is_absent(), || "a cluster may still be alive".to_owned())?;
    restore_source(observed, &deployment.restore, &deployment.job_id)
}

fn restore_source(observed: &Observed, restore: &Restore, job_id: &JobId) -> Result<(), Broken> {
    let store = &observed.high_availability;
    match restore {
        Restore::LastState => {
            let kept = store.present().and_then(|store| store.job(job_id));
            holds("S1", kept.is_some_and(|job| job.newest_checkpoint_id.is_some()), || {
                format!("no checkpoint of job {job_id} is in the high-availability store")
            })
        }
        // Flink prefers what it finds there to the path that it is told.
        Restore::Empty | Restore::Path(_) => holds("S1", store.is_absent(), || {
            "the high-availability store is not empty, and would win over the restore source".to_owned()
        }),
    }
}

fn holds(name: &'static str, condition: bool, what: impl FnOnce() -> String) -> Result<(), Broken> {
    if condition { Ok(()) } else { Err(Broken { name, what: what() }) }
}

#[cfg(test)]
mod tests {
    use drey_api::desired::Invalid;
    use drey_api::kinds::FlinkJobState;
    use drey_core::decision::Pace;
    use drey_core::journal::{Base, End, Last, Restored, Run};
    use drey_core::observed::{Cluster, ClusterPhase, HighAvailability, JobStore};
    use drey_core::{Intent, JobId, TriggerId};

    use super::*;

    const POLICY: i64 = 5;

    fn resource(deleting: bool) -> Resource {
        Resource {
            uid: "uid".into(),
            namespace: "n".into(),
            name: "a".into(),
            generation: 1,
            created_at_ms: 0,
            deleting,
            finalizer: true,
            desired: Err(Arc::new(Invalid { errors: Vec::new() })),
        }
    }

    fn journal(kind: Option<IntentKind>) -> Journal {
        let intent = kind.map(|kind| Intent {
            seq: 7,
            generation: 1,
            started_at_ms: 0,
            attempts: 1,
            attempted_at_ms: 0,
            kind,
        });
        Journal { seq: 7, epoch: POLICY, intent, ..Journal::default() }
    }

    fn run(end: Option<FlinkJobState>) -> Run {
        Run {
            job_id: JobId::new("1"),
            seq: 3,
            generation: 1,
            cluster_uid: None,
            base: Base::Empty,
            restored: Restored::Empty,
            deployed_at_ms: 0,
            never_ran: false,
            end: end.map(|state| End { state, last: Last::NotRead }),
            newest_savepoint: None,
            open_directories: Vec::new(),
        }
    }

    fn cluster(owned: bool) -> Seen<Cluster> {
        Seen::Present(Cluster {
            uid: "c".into(),
            owned,
            terminating: false,
            seq: None,
            job_id: None,
            generation: None,
            flink_version: None,
            phase: ClusterPhase::Available,
            never_available: false,
            task_managers: None,
            missing: None,
        })
    }

    fn seen(cluster: Seen<Cluster>) -> Observed {
        Observed { live: true, cluster, high_availability: Seen::Absent, ..Observed::default() }
    }

    fn desired() -> drey_api::desired::Desired {
        let spec = serde_json::from_value(serde_json::json!({
            "flinkVersion": "v1_20", "serviceAccount": "flink", "job": { "parallelism": 1, "jarURI": "local:///j" },
            "jobManager": { "resource": { "memory": "1g" } }, "taskManager": { "resource": { "memory": "1g" } },
        }))
        .unwrap();
        let defaults = drey_api::defaults::Defaults::default();
        let context =
            drey_api::desired::Context { namespace: "n", name: "a", defaults: &defaults, last: None };
        drey_api::desired::parse(&spec, &context).unwrap()
    }

    fn teardown() -> (Journal, Action) {
        (
            journal(Some(IntentKind::Teardown { cluster_uid: "c".into() })),
            Action::DeleteCluster { uid: "c".into() },
        )
    }

    /// The name of the invariant that is broken by acting so, or nothing.
    fn broken(
        resource: &Resource,
        observed: &Observed,
        before: &Journal,
        after: Journal,
        action: Option<Action>,
    ) -> &'static str {
        let decision = Decision {
            journal: after,
            action,
            look_closer: false,
            events: Vec::new(),
            pace: Pace::Fast,
            wake_after_ms: 1,
        };
        let policy = Policy { epoch: POLICY, ..Policy::default() };
        check(resource, observed, before, &policy, &decision).err().map_or("", |broken| broken.name)
    }

    fn broken_by(observed: &Observed, after: Journal, action: Action) -> &'static str {
        broken(&resource(false), observed, &journal(None), after, Some(action))
    }

    #[test]
    fn only_our_cluster_seen_live_is_deleted() {
        let deleted = |observed: Observed| {
            let (after, action) = teardown();
            broken_by(&observed, after, action)
        };
        assert_eq!(deleted(seen(cluster(true))), "");
        assert_eq!(deleted(seen(cluster(false))), "S18");
        assert_eq!(deleted(seen(Seen::Absent)), "S18");
        assert_eq!(deleted(Observed { live: false, ..seen(cluster(true)) }), "S22");
    }

    #[test]
    fn an_act_needs_its_own_intent_on_record() {
        let stop = |trigger: &str| Action::Stop {
            job_id: JobId::new("1"),
            trigger_id: TriggerId::new(trigger),
            target_directory: "d".into(),
            drain: false,
            format: drey_api::kinds::SavepointFormat::Canonical,
        };
        let intent = IntentKind::Stop {
            job_id: JobId::new("1"),
            trigger_id: TriggerId::new("t"),
            target_directory: "d".into(),
            drain: false,
        };
        let observed = seen(cluster(true));
        assert_eq!(broken_by(&observed, journal(Some(intent.clone())), stop("t")), "");
        assert_eq!(broken_by(&observed, journal(Some(intent)), stop("other")), "S6");
        assert_eq!(broken_by(&observed, journal(None), stop("t")), "S6");
        assert_eq!(broken_by(&observed, teardown().0, stop("t")), "S6");
    }

    #[test]
    fn the_store_is_changed_only_when_nothing_can_use_it_and_nothing_needs_it() {
        let deploy = |restore| {
            let target = drey_core::intent::DeployTarget::Reconciled;
            journal(Some(IntentKind::Deploy { job_id: JobId::new("1"), restore, target }))
        };
        let delete = || Action::DeleteHighAvailability(vec![("m".into(), "u".into())]);
        assert_eq!(broken_by(&seen(Seen::Absent), deploy(Restore::Empty), delete()), "");
        assert_eq!(broken_by(&seen(cluster(true)), deploy(Restore::Empty), delete()), "S4");
        assert_eq!(broken_by(&seen(Seen::Absent), deploy(Restore::LastState), delete()), "S6");
        assert_eq!(
            broken_by(&seen(Seen::Absent), deploy(Restore::LastState), Action::StripJobGraphs(Vec::new())),
            ""
        );
    }

    #[test]
    fn a_run_starts_alone_and_from_what_is_there() {
        let store = |newest_checkpoint_id| {
            let job = JobStore { job_id: JobId::new("1"), newest_checkpoint_id, created_at_ms: 0 };
            Seen::Present(HighAvailability { jobs: vec![job], ..HighAvailability::default() })
        };
        let started = |restore: Restore, cluster, high_availability| {
            let observed = Observed { high_availability, ..seen(cluster) };
            let job_id = JobId::new("1");
            let target = drey_core::intent::DeployTarget::Reconciled;
            let intent = IntentKind::Deploy { job_id: job_id.clone(), restore: restore.clone(), target };
            let deployment = Deployment {
                seq: 7,
                generation: 1,
                desired: Arc::new(desired()),
                job_id,
                restore,
                allow_non_restored_state: false,
            };
            broken_by(&observed, journal(Some(intent)), Action::Deploy(Box::new(deployment)))
        };
        assert_eq!(started(Restore::Empty, Seen::Absent, Seen::Absent), "");
        assert_eq!(started(Restore::Empty, cluster(true), Seen::Absent), "S3");
        assert_eq!(started(Restore::Empty, Seen::Unknown, Seen::Absent), "S3");
        assert_eq!(started(Restore::Empty, Seen::Absent, store(Some(1))), "S1");
        assert_eq!(started(Restore::Path("p".into()), Seen::Absent, Seen::Unknown), "S1");
        assert_eq!(started(Restore::LastState, Seen::Absent, store(Some(1))), "");
        assert_eq!(started(Restore::LastState, Seen::Absent, store(None)), "S1");
        assert_eq!(started(Restore::LastState, Seen::Absent, Seen::Absent), "S1");
    }

    #[test]
    fn what_is_on_record_stays() {
        let observed = seen(Seen::Absent);
        let rewrite =
            |before: Journal, after: Journal| broken(&resource(false), &observed, &before, after, None);
        let with_run = |end| Journal { run: Some(run(end)), ..journal(None) };
        let finished = Some(FlinkJobState::Finished);
        assert_eq!(rewrite(with_run(None), with_run(finished)), "");
        assert_eq!(rewrite(with_run(finished), with_run(None)), "S10");
        assert_eq!(rewrite(with_run(finished), with_run(Some(FlinkJobState::Failed))), "S10");
        let taken_over = |end| Journal { seq: 0, run: Some(Run { seq: 0, ..run(end) }), ..journal(None) };
        assert_eq!(rewrite(taken_over(finished), taken_over(None)), "");
        assert_eq!(rewrite(taken_over(finished), taken_over(Some(FlinkJobState::Failed))), "S10");
        assert_eq!(rewrite(journal(None), Journal { seq: 6, ..journal(None) }), "S6");
        assert_eq!(rewrite(journal(None), Journal { epoch: POLICY - 1, ..journal(None) }), "S21");
    }

    #[test]
    fn a_deposed_leader_does_nothing() {
        let later = Journal { epoch: POLICY + 1, ..journal(None) };
        let observed = seen(cluster(true));
        assert_eq!(broken(&resource(false), &observed, &later, later.clone(), None), "");
        let (after, action) = teardown();
        let after = Journal { epoch: POLICY + 1, ..after };
        assert_eq!(broken(&resource(false), &observed, &later, after, Some(action)), "S21");
    }

    #[test]
    fn the_finalizer_goes_last() {
        let remove = |deleting, cluster| {
            let observed = seen(cluster);
            broken(
                &resource(deleting),
                &observed,
                &journal(None),
                journal(None),
                Some(Action::RemoveFinalizer),
            )
        };
        assert_eq!(remove(true, Seen::Absent), "");
        assert_eq!(remove(true, cluster(false)), "", "somebody else's cluster is not waited for");
        assert_eq!(remove(true, cluster(true)), "S23");
        assert_eq!(remove(true, Seen::Unknown), "S23");
        assert_eq!(remove(false, Seen::Absent), "S23");
    }
}
