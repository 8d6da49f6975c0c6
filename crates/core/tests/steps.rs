//! Single steps that were decided wrongly once, each by the name of what went wrong.

use std::sync::Arc;

use drey_api::defaults::Defaults;
use drey_api::desired::{Context, parse};
use drey_api::kinds::{FlinkDeploymentSpec, FlinkJobState, LifecycleState};
use drey_core::observed::{Cluster, ClusterPhase, JobView, Observed, Rest};
use drey_core::{Action, Journal, Now, Policy, Resource, Seen, decide, status};
use serde_json::json;

const NOW: Now = Now(1_000_000);

fn resource() -> Resource {
    let spec: FlinkDeploymentSpec = drey_api::kinds::read(&json!({
        "image": "flink:1.20", "flinkVersion": "v1_20", "serviceAccount": "flink",
        "jobManager": { "resource": { "cpu": 1.0, "memory": "2048m" } },
        "taskManager": { "resource": { "cpu": 1.0, "memory": "2048m" } },
        "job": { "jarURI": "local:///job.jar", "parallelism": 1 },
    }))
    .expect("a spec");
    let context = Context { namespace: "default", name: "job", defaults: &Defaults::default(), last: None };
    Resource {
        uid: "u".into(),
        namespace: "default".into(),
        name: "job".into(),
        generation: 1,
        created_at_ms: 0,
        deleting: false,
        finalizer: true,
        desired: parse(&spec, &context).map(Arc::new).map_err(Arc::new),
    }
}

/// Nothing else tells of a job that was RUNNING before the creation of its cluster was answered: no later look at it
/// differs.
#[test]
fn a_job_that_runs_before_its_creation_was_answered_is_stable_at_once() {
    let (resource, policy) = (resource(), Policy::default());
    let nothing = Observed {
        live: true,
        cluster: Seen::Absent,
        high_availability: Seen::Absent,
        open_snapshot: Seen::Absent,
        retained_checkpoint: Seen::Absent,
        job_result: Seen::Absent,
        ..Observed::default()
    };
    let begun = decide(&resource, &nothing, &Journal::default(), &policy, NOW);
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
    let seen = decide(&resource, &running, &begun.journal, &policy, NOW);
    let written = status::write(&seen.journal, &resource);
    assert_eq!(written.lifecycle_state, Some(LifecycleState::Stable), "{written:#?}");
}
