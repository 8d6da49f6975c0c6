//! Answers of real Flink, recorded by version and scene, through the whole client.
//!
//! A file's name is the call, what is special about it, and the HTTP status that it came with.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::Server;
use drey_flink::rest::{
    AsyncResult, CheckpointKind, CheckpointStatus, ExecutionResult, JobState, Refusal, RestError,
    SavepointFormat, SavepointRequest, StopRequest,
};
use drey_flink::{FlinkRest, JobId, TriggerId};

const VERSIONS: [(&str, &str); 2] = [("1.20", "1.20.3"), ("2.1", "2.1.3")];

fn job() -> JobId {
    "0000000000000000000000000000d4e1".parse().unwrap()
}

fn trigger() -> TriggerId {
    TriggerId::from_bytes([0; 16])
}

fn fixtures(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(version)
}

/// The file of `scene` whose name begins with `name` and a dot: its status and its text.
fn recorded(version: &str, scene: &str, name: &str) -> (u16, String) {
    let files = fs::read_dir(fixtures(version).join(scene)).unwrap();
    let path = files
        .map(|file| file.unwrap().path())
        .find(|path| path.file_name().unwrap().to_str().unwrap().split('.').next() == Some(name))
        .unwrap_or_else(|| panic!("no file {scene}/{name} of {version}"));
    let status = path.file_stem().unwrap().to_str().unwrap().split('.').nth(1).unwrap().parse().unwrap();
    (status, fs::read_to_string(path).unwrap())
}

impl Server {
    fn play(&self, version: &str, scene: &str, name: &str) -> &FlinkRest {
        let (status, body) = recorded(version, scene, name);
        self.answer(status, &body);
        &self.rest
    }
}

/// Makes the call that a file of this name is the answer to. The triggers' answers carry the id of their
/// request, which is asked with here too.
async fn call(rest: &FlinkRest, name: &str, body: &str) -> Option<Result<String, RestError>> {
    fn shown<T: std::fmt::Debug>(result: Result<T, RestError>) -> Option<Result<String, RestError>> {
        Some(result.map(|value| format!("{value:?}")))
    }
    let id = serde_json::from_str::<serde_json::Value>(body).unwrap()["request-id"]
        .as_str()
        .map_or_else(trigger, |text| text.parse().unwrap());
    let begins =
        |word: &str| name == word || name.strip_prefix(word).is_some_and(|rest| rest.starts_with('-'));
    if begins("jobs-overview") {
        shown(rest.jobs().await)
    } else if begins("overview") {
        shown(rest.overview().await)
    } else if begins("config") {
        shown(rest.configuration().await)
    } else if begins("jobmanager-config") {
        shown(rest.jobmanager_configuration().await)
    } else if begins("job-detail") {
        shown(rest.job_detail(job()).await)
    } else if begins("exceptions") {
        shown(rest.exceptions(job()).await)
    } else if begins("execution-result") {
        shown(rest.execution_result(job()).await)
    } else if begins("metrics") {
        shown(rest.metrics(job()).await)
    } else if begins("taskmanagers") {
        shown(rest.taskmanagers().await)
    } else if begins("checkpoint-detail") {
        shown(rest.checkpoint(job(), 3).await)
    } else if begins("checkpoint-status") {
        shown(rest.checkpoint_result(job(), trigger()).await)
    } else if begins("checkpoint-trigger") {
        shown(rest.trigger_checkpoint(job(), id, CheckpointKind::Configured).await)
    } else if begins("checkpoints") {
        shown(rest.checkpoints(job()).await)
    } else if begins("savepoint-disposal-status") {
        shown(rest.disposal_result(trigger()).await)
    } else if begins("savepoint-disposal") {
        shown(rest.dispose_savepoint("file:///s").await)
    } else if begins("savepoint-status") || begins("stop-status") {
        shown(rest.savepoint_result(job(), trigger()).await)
    } else if begins("savepoint-trigger") {
        shown(rest.trigger_savepoint(job(), &savepoint_request(id)).await)
    } else if begins("stop") || begins("bad-body") || begins("bad-job-id") || begins("path") {
        shown(rest.stop_with_savepoint(job(), &stop_request(id)).await)
    } else if begins("cancel") {
        shown(rest.cancel(job()).await)
    } else if begins("resource-requirements-update") {
        shown(rest.set_resource_requirements(job(), &drey_flink::rest::ResourceRequirements::default()).await)
    } else if begins("resource-requirements") {
        shown(rest.resource_requirements(job()).await)
    } else if begins("shutdown") {
        shown(rest.shut_down().await)
    } else {
        None
    }
}

fn savepoint_request(trigger: TriggerId) -> SavepointRequest {
    let target_directory = Some("file:///s".to_owned());
    SavepointRequest { trigger, target_directory, format: SavepointFormat::Canonical }
}

fn stop_request(trigger: TriggerId) -> StopRequest {
    let target_directory = Some("file:///s".to_owned());
    StopRequest { trigger, target_directory, drain: false, format: SavepointFormat::Native }
}

fn is_as_expected(scene: &str, name: &str, status: u16, outcome: &Result<String, RestError>) -> bool {
    match (status, outcome) {
        (200..=299, outcome) => outcome.is_ok(),
        (404, Ok(text)) if name.contains("status") => text == "UnknownTrigger",
        (404, Ok(text)) => (scene, name, text.as_str()) == ("thrown", "checkpoints", "None"),
        (404, Err(RestError::Refused { refusal: Refusal::NoSuchCall { .. }, .. })) => {
            name.starts_with("path")
        }
        (404, Err(RestError::NotFound { message, .. })) => {
            !name.starts_with("path") && !message.contains("\tat ")
        }
        (400..=499, Err(RestError::Refused { refusal: Refusal::Rejected { status: said, message }, .. })) => {
            *said == status && !message.contains("\tat ")
        }
        (500..=599, Err(RestError::UnknownOutcome { .. })) => true,
        _ => false,
    }
}

#[tokio::test]
async fn every_recorded_answer_is_understood() {
    let server = Server::start().await;
    for (version, _patch) in VERSIONS {
        let mut played = 0;
        for scene in fs::read_dir(fixtures(version)).unwrap() {
            let scene = scene.unwrap().path();
            let scene_name = scene.file_name().unwrap().to_str().unwrap();
            for file in fs::read_dir(&scene).unwrap() {
                let path = file.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap().split('.').next().unwrap().to_owned();
                let (status, body) = recorded(version, scene_name, &name);
                server.answer(status, &body);
                let outcome =
                    call(&server.rest, &name, &body).await.expect("each file's name is that of a call");
                assert!(
                    is_as_expected(scene_name, &name, status, &outcome),
                    "{}: {outcome:?}",
                    path.display()
                );
                played += 1;
            }
        }
        assert!(played > 120, "{played} answers of {version}");
    }
}

#[tokio::test]
async fn cluster_and_version() {
    let server = Server::start().await;
    for (version, patch) in VERSIONS {
        let overview = server.play(version, "running", "overview").overview().await.unwrap();
        assert_eq!((overview.flink_version.as_str(), overview.taskmanagers), (patch, 1));
        assert_eq!((overview.slots_total, overview.slots_available, overview.jobs_running), (2, 0, 1));
        let configuration = server.play(version, "running", "config").configuration().await.unwrap();
        assert_eq!(configuration.flink_version, patch);
        assert!(configuration.flink_revision.starts_with(&overview.flink_commit));
        let taskmanagers = server.play(version, "running", "taskmanagers").taskmanagers().await.unwrap();
        let [taskmanager] = taskmanagers.as_slice() else { panic!("{taskmanagers:?}") };
        assert_eq!((taskmanager.slots, taskmanager.free_slots), (2, 0));
        assert_eq!(taskmanager.memory_configuration.total_process_bytes, 1 << 30);
        assert!(taskmanager.hardware.cpu_cores > 0 && taskmanager.memory_configuration.managed_bytes > 0);
        let entries =
            server.play(version, "running", "jobmanager-config").jobmanager_configuration().await.unwrap();
        assert!(entries.contains(&("web.cancel.enable".to_owned(), "false".to_owned())));
    }
}

#[tokio::test]
async fn jobs_and_their_states() {
    let server = Server::start().await;
    for (version, _patch) in VERSIONS {
        for (scene, state, all_running) in [
            ("waiting-for-slots", JobState::Running, false),
            ("running", JobState::Running, true),
            ("restarting", JobState::Restarting, false),
            ("finished", JobState::Finished, true),
            ("stopped", JobState::Finished, true),
            ("failed", JobState::Failed, false),
            ("thrown", JobState::Failed, true),
        ] {
            let rest = server.play(version, scene, "jobs-overview");
            let found = rest.job(job()).await.unwrap().unwrap();
            assert_eq!((found.state, found.all_tasks_running()), (state, all_running), "{version} {scene}");
            assert_eq!(found.end_time_ms.is_some(), state.is_globally_terminal(), "{version} {scene}");
            assert_eq!(rest.job(JobId::from_bytes([1; 16])).await.unwrap(), None);
        }
        // Flink 2.1's adaptive scheduler forgets the tasks and the end of a job that it cancels.
        let canceled = server.play(version, "canceled", "jobs-overview").job(job()).await.unwrap().unwrap();
        assert_eq!(canceled.state, JobState::Canceled);
        assert_eq!(canceled.end_time_ms.is_some(), version == "1.20");
        let detail = server.play(version, "running", "job-detail").job_detail(job()).await.unwrap();
        assert_eq!(detail.job_type.as_deref(), Some("STREAMING"));
        assert_eq!(detail.vertices.iter().map(|vertex| vertex.parallelism).collect::<Vec<_>>(), [2, 2]);
        assert!(
            detail.vertices[0].name.starts_with("Source: nuts") && detail.vertices[0].max_parallelism == 128
        );
        let metrics = server.play(version, "restored", "metrics").metrics(job()).await.unwrap();
        assert!(metrics.restarts.is_some_and(|restarts| restarts > 0), "{metrics:?}");
        assert!(metrics.completed_checkpoints.is_some());
        assert_eq!(
            server.play(version, "unknown", "metrics").metrics(job()).await.unwrap(),
            Default::default()
        );
        assert!(server.play(version, "starting", "jobs-overview-empty").jobs().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn how_jobs_ended_and_why() {
    let server = Server::start().await;
    for (version, _patch) in VERSIONS {
        let mut results = Vec::new();
        for scene in ["running", "finished", "canceled", "failed", "thrown", "stop-failed"] {
            let rest = server.play(version, scene, "execution-result");
            results.push(rest.execution_result(job()).await.unwrap());
        }
        let [running, finished, canceled, failed, thrown, stop_failed] = &results[..] else { unreachable!() };
        assert_eq!((running, canceled), (&ExecutionResult::InProgress, &ExecutionResult::Canceled));
        assert!(matches!(finished, ExecutionResult::Succeeded { run_time_ms: Some(1..) }));
        let cause = |result: &ExecutionResult| match result {
            ExecutionResult::Failed { cause: Some(cause) } => cause.clone(),
            other => panic!("{version}: {other:?}"),
        };
        assert_eq!(
            cause(failed).summary(),
            "org.apache.flink.runtime.JobException: Recovery is suppressed by NoRestartBackoffTimeStrategy: \
             java.io.IOException: Failed to create the parent directory: /proc/out"
        );
        assert!(cause(thrown).summary().contains("argument `--speed` is not known"));
        assert!(cause(stop_failed).completed_savepoint().unwrap().contains("/stop/savepoint-000000-"));
        assert_eq!(cause(failed).completed_savepoint(), None);

        let exceptions = server.play(version, "failed", "exceptions").exceptions(job()).await.unwrap();
        let [first, ..] = exceptions.entries.as_slice() else { panic!("{exceptions:?}") };
        assert_eq!(
            (first.name.as_str(), first.task_name.as_deref()),
            ("org.apache.flink.runtime.JobException", None)
        );
        assert!(
            first
                .stack_trace
                .contains("Caused by: java.io.IOException: Failed to create the parent directory")
        );
        let lost = server.play(version, "restarting", "exceptions").exceptions(job()).await.unwrap();
        let [lost] = lost.entries.as_slice() else { panic!("{lost:?}") };
        assert!(lost.task_name.as_deref().is_some_and(|task| task.starts_with("Source: nuts")), "{lost:?}");
        assert!(lost.taskmanager_id.is_some() && lost.endpoint.is_some() && lost.timestamp_ms.is_some());
        let none = server.play(version, "running", "exceptions").exceptions(job()).await.unwrap();
        assert!(!none.truncated);
    }
}

#[tokio::test]
async fn checkpoints_and_what_is_newest() {
    let server = Server::start().await;
    for (version, _patch) in VERSIONS {
        let rest = server.play(version, "running", "checkpoints-with-savepoint");
        let statistics = rest.checkpoints(job()).await.unwrap().unwrap();
        let latest = &statistics.latest;
        let (completed, savepoint) = (latest.completed.clone().unwrap(), latest.savepoint.clone().unwrap());
        assert!(savepoint.is_savepoint && !completed.is_savepoint && completed.id > savepoint.id);
        assert_eq!(completed.status, CheckpointStatus::Completed);
        assert!(completed.state_bytes > 0 && completed.acknowledged_at_ms >= completed.triggered_at_ms);
        assert!(
            completed.external_path.unwrap().location().unwrap().ends_with(&format!("/chk-{}", completed.id))
        );
        let failed = latest.failed.clone().unwrap();
        assert!(failed.failure_message.is_some() && failed.failed_at_ms.is_some(), "{failed:?}");
        assert_eq!(statistics.newest_restore_point().unwrap().id, completed.id);
        assert!(statistics.history.len() >= 10 && statistics.counts.total >= statistics.counts.completed);

        // An answer that Flink kept from before the savepoint: its newest is gone already.
        let rest = server.play(version, "running", "checkpoints-stale");
        let stale = rest.checkpoints(job()).await.unwrap().unwrap().newest_restore_point().unwrap();
        assert!(stale.discarded && stale.id < savepoint.id);

        let rest = server.play(version, "stopped", "checkpoints");
        let stopped = rest.checkpoints(job()).await.unwrap().unwrap();
        let newest = stopped.newest_restore_point().unwrap();
        assert!(newest.is_savepoint && newest.path.location().unwrap().contains("/stop/savepoint-"));
        assert!(stopped.latest.restored.unwrap().restored_at_ms.is_some());

        let rest = server.play(version, "finished", "checkpoints");
        assert!(rest.checkpoints(job()).await.unwrap().is_some());
        let rest = server.play(version, "unknown", "checkpoints");
        assert!(matches!(rest.checkpoints(job()).await, Err(RestError::NotFound { .. })));
    }
}

#[tokio::test]
async fn operations_and_how_they_ended() {
    let server = Server::start().await;
    for (version, _patch) in VERSIONS {
        let savepoint = async |scene: &str, name: &str| {
            server.play(version, scene, name).savepoint_result(job(), trigger()).await.unwrap()
        };
        assert_eq!(savepoint("running", "savepoint-status-in-progress").await, AsyncResult::InProgress);
        assert_eq!(savepoint("unknown", "savepoint-status").await, AsyncResult::UnknownTrigger);
        for (scene, name) in [("running", "savepoint-status-completed"), ("stopped", "stop-status-completed")]
        {
            let AsyncResult::Completed(location) = savepoint(scene, name).await else { panic!("{name}") };
            assert!(location.contains("/savepoint-000000-"), "{location}");
        }
        for (scene, name, word) in [
            ("running", "savepoint-status-failed", "IO-problem detected"),
            ("finished", "stop-status-failed", "Could not find Flink job"),
            ("restarting", "savepoint-status-failed", "Not all required tasks are currently running"),
            ("unknown", "stop-status-after-trigger", "Could not find Flink job"),
        ] {
            let AsyncResult::Failed(failure) = savepoint(scene, name).await else { panic!("{name}") };
            assert!(failure.cause.summary().contains(word), "{}", failure.cause.summary());
            assert_eq!(failure.savepoint, None);
        }
        let AsyncResult::Failed(failure) = savepoint("stop-failed", "stop-status-failed").await else {
            panic!()
        };
        assert!(failure.savepoint.unwrap().starts_with("file:/data/"));

        let rest = server.play(version, "running", "checkpoint-status-completed");
        let result = rest.checkpoint_result(job(), trigger()).await.unwrap();
        assert!(matches!(result, AsyncResult::Completed(1..)), "{result:?}");
        let rest = server.play(version, "restarting", "checkpoint-status-failed");
        let result = rest.checkpoint_result(job(), trigger()).await.unwrap();
        assert!(matches!(result, AsyncResult::Failed(_)), "{result:?}");
        let rest = server.play(version, "running", "savepoint-disposal-status-failed");
        assert!(matches!(rest.disposal_result(trigger()).await, Ok(AsyncResult::Failed(_))));
    }
}

#[tokio::test]
async fn parallelism_bounds_go_there_and_back() {
    let server = Server::start().await;
    for (version, _patch) in VERSIONS {
        let rest = server.play(version, "adaptive", "resource-requirements");
        let bounds = rest.resource_requirements(job()).await.unwrap();
        assert_eq!(bounds.vertices.len(), 2);
        assert!(bounds.vertices.values().all(|vertex| vertex.parallelism.upper_bound == 2));
        let (_status, body) = recorded(version, "adaptive", "resource-requirements");
        server.play(version, "adaptive", "resource-requirements-update");
        server.rest.set_resource_requirements(job(), &bounds).await.unwrap();
        let sent = server.asked();
        let sent: serde_json::Value = serde_json::from_str(&sent[sent.find('{').unwrap()..]).unwrap();
        assert_eq!(sent, serde_json::from_str::<serde_json::Value>(&body).unwrap());
        server.play(version, "adaptive", "resource-requirements-update-partial");
        let error = server.rest.set_resource_requirements(job(), &bounds).await.unwrap_err();
        assert!(
            error.to_string().contains("status 400") && error.to_string().contains("missing job vertex"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn requests_are_as_flink_takes_them() {
    let server = Server::start().await;
    let id: TriggerId = "000000000000000000000000000000aa".parse().unwrap();
    let path = format!("/jobs/{}", job());
    server.answer(202, &format!("{{\"request-id\":\"{id}\"}}"));
    server.rest.stop_with_savepoint(job(), &stop_request(id)).await.unwrap();
    let body = format!(
        "{{\"targetDirectory\":\"file:///s\",\"drain\":false,\"formatType\":\"NATIVE\",\"triggerId\":\"{id}\"}}"
    );
    assert_eq!(server.asked(), format!("POST {path}/stop {body}"));
    server.rest.trigger_savepoint(job(), &savepoint_request(id)).await.unwrap();
    let body = format!(
        "{{\"cancel-job\":false,\"target-directory\":\"file:///s\",\"formatType\":\"CANONICAL\",\"triggerId\":\"{id}\"}}"
    );
    assert_eq!(server.asked(), format!("POST {path}/savepoints {body}"));
    server.rest.trigger_checkpoint(job(), id, CheckpointKind::Full).await.unwrap();
    let body = format!("{{\"checkpointType\":\"FULL\",\"triggerId\":\"{id}\"}}");
    assert_eq!(server.asked(), format!("POST {path}/checkpoints {body}"));
    server.rest.cancel(job()).await.unwrap();
    assert_eq!(server.asked(), format!("PATCH {path}?mode=cancel"));

    // A Flink that would choose an id of its own could not be asked again.
    let error = server.rest.stop_with_savepoint(job(), &stop_request(trigger())).await.unwrap_err();
    assert!(matches!(error, RestError::UnknownOutcome { .. }), "{error}");
}
