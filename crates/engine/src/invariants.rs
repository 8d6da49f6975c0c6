//! What must hold of every decision before it is carried out, checked on in release. The names S… are those of the
//! project's list of invariants. A decision that breaks one is not carried out, and its resource is frozen: a fault
//! in deciding must not become a fault in the world. Refuses to judge whether a decision is wise.

use drey_core::decision::{Action, Decision, Deployment};
use drey_core::intent::IntentKind;
use drey_core::observed::Observed;
use drey_core::{Journal, Policy, Resource, Restore, Seen};

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
        | Action::Stop { .. }
        | Action::Cancel { .. }
        | Action::Savepoint { .. }
        | Action::Checkpoint { .. }
        | Action::Dispose { .. } => Ok(()),
    }
}

fn deploy(observed: &Observed, deployment: &Deployment) -> Result<(), Broken> {
    holds("S3", observed.cluster.is_absent(), || "a cluster may still be alive".to_owned())?;
    let store = &observed.high_availability;
    match &deployment.restore {
        Restore::LastState => {
            let kept = store.present().and_then(|store| store.job(&deployment.job_id));
            holds("S1", kept.is_some_and(|job| job.newest_checkpoint_id.is_some()), || {
                format!("no checkpoint of job {} is in the high-availability store", deployment.job_id)
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
