//! Single steps that were decided wrongly once, each by the name of what went wrong.

use std::sync::Arc;

use drey_api::defaults::Defaults;
use drey_api::desired::{Context, parse};
use drey_api::kinds::{FlinkDeploymentSpec, FlinkJobState, LifecycleState};
use drey_core::observed::{Cluster, ClusterPhase, JobView, Observed, Operation, Rest, StoredSnapshot};
use drey_core::{Action, Journal, Now, Policy, Resource, Seen, decide, status};
use serde_json::json;

const NOW: Now = Now(1_000_000);

fn resource() -> Resource {
    of_spec(1, &json!({ "jarURI": "local:///job.jar", "parallelism": 1 }))
}

fn of_spec(generation: i64, job: &serde_json::Value) -> Resource {
    let spec: FlinkDeploymentSpec = drey_api::kinds::read(&json!({
        "image": "flink:1.20", "flinkVersion": "v1_20", "serviceAccount": "flink",
        "flinkConfiguration": { "execution.checkpointing.savepoint-dir": "file:///savepoints",
            "execution.checkpointing.dir": "file:///checkpoints", "high-availability.type": "kubernetes",
            "high-availability.storageDir": "file:///ha" },
        "jobManager": { "resource": { "cpu": 1.0, "memory": "2048m" } },
        "taskManager": { "resource": { "cpu": 1.0, "memory": "2048m" } },
        "job": job,
    }))
    .expect("a spec");
    let context = Context { namespace: "default", name: "job", defaults: &Defaults::default(), last: None };
    Resource {
        uid: "u".into(),
        namespace: "default".into(),
        name: "job".into(),
        generation,
        created_at_ms: 0,
        deleting: false,
        finalizer: true,
        desired: parse(&spec, &context).map(Arc::new).map_err(Arc::new),
    }
}

/// What runs after the first deployment of `resource`, and the record of it.
fn first_run(resource: &Resource, policy: &Policy) -> (Observed, Journal) {
    let nothing = Observed {
        live: true,
        cluster: Seen::Absent,
        high_availability: Seen::Absent,
        open_snapshot: Seen::Absent,
        retained_checkpoint: Seen::Absent,
        job_result: Seen::Absent,
        ..Observed::default()
    };
    let begun = decide(resource, &nothing, &Journal::default(), policy, NOW);
    let Some(Action::Deploy(deployment)) = begun.action else { panic!("{begun:?}") };
    let cluster = Cluster {
        uid: "c".into(),
        owned: true,
        terminating: false,
        seq: Some(deployment.seq),
        job_id: Some(deployment.job_id.clone()),
        generation: Some(1),
        flink_version: Some(deployment.desired.flink_version),
        phase: ClusterPhase::Available,
        never_available: false,
        task_managers: None,
        missing: None,
    };
    let job = JobView {
        id: deployment.job_id.clone(),
        name: "job".into(),
        state: FlinkJobState::Running,
        all_tasks_running: true,
        started_at_ms: 1,
    };
    let rest = Rest { reachable: true, ever_reachable: true, job: Seen::Present(job), ..Rest::default() };
    let running = Observed { cluster: Seen::Present(cluster), rest: Some(rest), ..Observed::default() };
    (running, begun.journal)
}

/// Nothing else tells of a job that was RUNNING before the creation of its cluster was answered: no later look at it
/// differs.
#[test]
fn a_job_that_runs_before_its_creation_was_answered_is_stable_at_once() {
    let (resource, policy) = (resource(), Policy::default());
    let (running, begun) = first_run(&resource, &policy);
    let seen = decide(&resource, &running, &begun, &policy, NOW);
    let written = status::write(&seen.journal, &resource);
    assert_eq!(written.lifecycle_state, Some(LifecycleState::Stable), "{written:#?}");
}

/// A JobManager restarted while a stop was on its way to it. It knows nothing of the request, and its job is not running
/// again yet. A teardown at that moment leaves a savepoint that may exist and that nobody can look for where storage is
/// not readable: the upgrade would wait for ever. The job is back in seconds, and the same request is sent again.
#[test]
fn a_stop_that_a_restarted_job_manager_knows_nothing_of_waits_for_its_job() {
    let policy = Policy::default();
    let job = |parallelism: i32| json!({ "jarURI": "local:///job.jar", "parallelism": parallelism, "upgradeMode": "savepoint" });
    let (running, begun) = first_run(&of_spec(1, &job(1)), &policy);
    let stable = decide(&of_spec(1, &job(1)), &running, &begun, &policy, NOW).journal;
    let edited = of_spec(2, &job(2));
    let stop = decide(&edited, &running, &stable, &policy, NOW);
    let Some(Action::Stop { trigger_id, .. }) = &stop.action else { panic!("{stop:?}") };
    let seq = stop.journal.intent.as_ref().expect("a stop").seq;
    let at = |all_tasks_running: bool| {
        let mut rest = running.rest.clone().expect("it answered");
        (rest.operation, rest.operation_of) = (Seen::Absent, seq);
        if let Seen::Present(job) = &mut rest.job {
            job.all_tasks_running = all_tasks_running;
        }
        Observed { live: true, storage_hidden: true, rest: Some(rest), ..running.clone() }
    };
    let starting = decide(&edited, &at(false), &stop.journal, &policy, Now(NOW.0 + 24_000));
    assert_eq!(starting.action, None, "{starting:?}");
    assert_eq!(starting.journal.intent.as_ref().map(|intent| intent.kind.name()), Some("StopWithSavepoint"));
    let again = decide(&edited, &at(true), &starting.journal, &policy, Now(NOW.0 + 40_000));
    assert!(
        matches!(&again.action, Some(Action::Stop { trigger_id: same, .. }) if same == trigger_id),
        "{again:?}"
    );
    // One that does not come back is upgraded from its last state, which is where Flink itself went on from: nobody
    // waits for a directory that cannot be looked into.
    let never = decide(&edited, &at(false), &starting.journal, &policy, Now(NOW.0 + 600_000));
    assert!(matches!(never.action, Some(Action::DeleteCluster { .. })), "{never:?}");
    assert_eq!(never.journal.run.as_ref().map(|run| run.open_directories.len()), Some(0));
}

/// All processes were killed when the savepoint of a stop was complete and the job had not ended yet. Its sinks had committed
/// what came before the savepoint; the JobManager that restarted went on from the last checkpoint, a second savepoint was
/// asked for, and what lay between was in the results twice.
#[test]
fn a_stop_whose_savepoint_is_complete_is_not_sent_again_to_a_restarted_job_manager() {
    let policy = Policy::default();
    let job = |parallelism: i32| json!({ "jarURI": "local:///job.jar", "parallelism": parallelism, "upgradeMode": "savepoint" });
    let (running, begun) = first_run(&of_spec(1, &job(1)), &policy);
    let stable = decide(&of_spec(1, &job(1)), &running, &begun, &policy, NOW).journal;
    let edited = of_spec(2, &job(2));
    let stop = decide(&edited, &running, &stable, &policy, NOW);
    let Some(Action::Stop { target_directory, .. }) = &stop.action else { panic!("{stop:?}") };
    let seq = stop.journal.intent.as_ref().expect("a stop").seq;
    let path = format!("{target_directory}/savepoint-1");
    let complete = StoredSnapshot { path: path.into(), checkpoint_id: Some(7) };
    for all_tasks_running in [false, true] {
        let mut rest = running.rest.clone().expect("it answered");
        (rest.operation, rest.operation_of) = (Seen::Absent, seq);
        if let Seen::Present(job) = &mut rest.job {
            job.all_tasks_running = all_tasks_running;
        }
        let restarted = Observed {
            live: true,
            open_snapshot: Seen::Present(complete.clone()),
            rest: Some(rest),
            ..running.clone()
        };
        let from_memory = Observed { live: false, open_snapshot: Seen::Unknown, ..restarted.clone() };
        let unsure = decide(&edited, &from_memory, &stop.journal, &policy, Now(NOW.0 + 24_000));
        assert!(unsure.action.is_none() && unsure.look_closer, "it looks before it sends again: {unsure:?}");
        let seen = decide(&edited, &restarted, &stop.journal, &policy, Now(NOW.0 + 24_000));
        assert!(matches!(seen.action, Some(Action::DeleteCluster { .. })), "{seen:?}");
    }
}

/// A job ended by itself while it was being stopped. The directory of an earlier stop, whose savepoint was complete when its
/// JobManager died, was still open: that savepoint was taken for what the job had ended with, and the next run went back
/// behind a savepoint that a person had asked for since. (`cargo xtask sim --seed 76219` of the time.)
#[test]
fn a_job_that_ends_by_itself_has_not_ended_with_the_savepoint_of_an_earlier_stop() {
    let policy = Policy::default();
    let job = |parallelism: i32| json!({ "jarURI": "local:///job.jar", "parallelism": parallelism, "upgradeMode": "savepoint" });
    let (running, begun) = first_run(&of_spec(1, &job(1)), &policy);
    let stable = decide(&of_spec(1, &job(1)), &running, &begun, &policy, NOW).journal;
    let edited = of_spec(2, &job(2));
    let mut stop = decide(&edited, &running, &stable, &policy, NOW).journal;
    let seq = stop.intent.as_ref().expect("a stop").seq;
    let snapshot = |path: &str, id: u64| StoredSnapshot { path: path.into(), checkpoint_id: Some(id) };
    let earlier = snapshot("file:/savepoints/u/1-00000000/savepoint-1", 5);
    let since = snapshot("file:/savepoints/u/2-00000000/savepoint-2", 8);
    let run = stop.run.as_mut().expect("a run");
    run.open_directories.insert(0, "file:///savepoints/u/1-00000000".into());
    run.newest_savepoint = Some(since.clone());
    let mut rest = running.rest.clone().expect("it answered");
    (rest.operation, rest.operation_of) = (Seen::Absent, seq);
    if let Seen::Present(job) = &mut rest.job {
        (job.state, job.all_tasks_running) = (FlinkJobState::Finished, false);
    }
    let open_snapshot = Seen::Present(earlier);
    let ended = Observed { live: true, open_snapshot, rest: Some(rest), ..running };
    let seen = decide(&edited, &ended, &stop, &policy, Now(NOW.0 + 2_000)).journal;
    assert_eq!(seen.run.as_ref().and_then(|run| run.newest_savepoint.clone()), Some(since), "{seen:?}");
    assert!(!seen.end().is_some_and(|end| format!("{:?}", end.last).contains("savepoint-1")), "{seen:?}");
}

/// Flink says that the savepoint of a stop failed, and the job goes on. Where storage is not readable (every cluster) the
/// upgrade waited for ever for the directory of that savepoint.
#[test]
fn a_stop_that_flink_gave_up_is_tried_again_where_storage_is_not_readable() {
    let policy = Policy::default();
    let job = |parallelism: i32| json!({ "jarURI": "local:///job.jar", "parallelism": parallelism, "upgradeMode": "savepoint" });
    let (running, begun) = first_run(&of_spec(1, &job(1)), &policy);
    let stable = decide(&of_spec(1, &job(1)), &running, &begun, &policy, NOW).journal;
    let edited = of_spec(2, &job(2));
    let stop = decide(&edited, &running, &stable, &policy, NOW);
    let seq = stop.journal.intent.as_ref().expect("a stop").seq;
    let failed = decide(&edited, &failed(&running, seq), &stop.journal, &policy, Now(NOW.0 + 20_000));
    assert_eq!(failed.journal.intent, None, "{failed:?}");
    assert_eq!(failed.journal.run.as_ref().map(|run| run.open_directories.len()), Some(0));
    let again = decide(&edited, &running, &failed.journal, &policy, Now(NOW.0 + 40_000));
    assert!(matches!(again.action, Some(Action::Stop { .. })), "{again:?}");
}

/// The same of a savepoint that a person asked for: everything else waited behind it.
#[test]
fn a_savepoint_that_flink_gave_up_is_over_where_storage_is_not_readable() {
    let policy = Policy::default();
    let job = |nonce: i64| json!({ "jarURI": "local:///job.jar", "parallelism": 1, "upgradeMode": "savepoint", "savepointTriggerNonce": nonce });
    let (running, begun) = first_run(&of_spec(1, &job(1)), &policy);
    let stable = decide(&of_spec(1, &job(1)), &running, &begun, &policy, NOW).journal;
    let asked = of_spec(2, &job(2));
    let savepoint = decide(&asked, &running, &stable, &policy, NOW);
    assert!(matches!(savepoint.action, Some(Action::Savepoint { .. })), "{savepoint:?}");
    let seq = savepoint.journal.intent.as_ref().expect("a savepoint").seq;
    let failed = decide(&asked, &failed(&running, seq), &savepoint.journal, &policy, Now(NOW.0 + 20_000));
    assert_eq!(failed.journal.intent, None, "{failed:?}");
    assert_eq!(failed.journal.run.as_ref().map(|run| run.open_directories.len()), Some(0));
}

/// The job runs, and request `seq` of it failed; storage says nothing.
fn failed(running: &Observed, seq: i64) -> Observed {
    let mut rest = running.rest.clone().expect("it answered");
    (rest.operation, rest.operation_of) =
        (Seen::Present(Operation::Failed { cause: "Checkpoint expired before completing.".into() }), seq);
    Observed { live: true, storage_hidden: true, rest: Some(rest), ..running.clone() }
}

/// A status before the finalizer says nothing that the next one does not: of a thousand creations at once, a thousand
/// writes less.
#[test]
fn the_finalizer_comes_before_a_word_is_written() {
    let created = Resource { finalizer: false, ..resource() };
    let decision = decide(&created, &Observed::default(), &Journal::default(), &Policy::default(), NOW);
    assert_eq!(decision.action, Some(Action::AddFinalizer));
    assert_eq!(decision.journal, Journal::default());
}

/// A leader that takes over thousands of resources at rest wrote the status of each, for its own number alone.
#[test]
fn a_new_leader_writes_nothing_over_what_is_at_rest() {
    let (resource, policy) = (resource(), Policy::default());
    let (running, begun) = first_run(&resource, &policy);
    let stable = decide(&resource, &running, &begun, &policy, NOW).journal;
    let next = Policy { epoch: policy.epoch + 1, ..policy };
    assert_eq!(decide(&resource, &running, &stable, &next, NOW).journal, stable);
    let edited = of_spec(2, &json!({ "jarURI": "local:///job.jar", "parallelism": 2 }));
    let acting = decide(&edited, &Observed { live: true, ..running }, &stable, &next, NOW);
    assert_eq!((acting.action.is_some(), acting.journal.epoch), (true, next.epoch));
}
