//! One poll of one JobManager: the job first, then its checkpoints, then the open operation. In this order the
//! checkpoints of a job that is over are final. Refuses to remember.

use std::collections::BTreeMap;
use std::sync::Arc;

use drey_api::kinds::FlinkJobState;
use drey_core::Seen;
use drey_core::observed::{self, Checkpoints, HealthMetrics, JobView, Rest, StoredSnapshot};
use drey_flink::rest::{
    AsyncResult, CheckpointStatistics, CheckpointStatus, ExecutionResult, ExternalPath, JobOverview, JobState,
};
use drey_flink::{FlinkRest, JobId, RestError};

use super::{Operation, Plan};

/// What one poll asks.
#[derive(Clone, Debug)]
pub(super) struct Question {
    job_id: JobId,
    operation: Operation,
    operation_of: i64,
    checkpoints: bool,
    health: bool,
    cluster_info: bool,
    ever_reachable: bool,
}

impl Question {
    /// `None` when the job id is not one of Flink's, so that nothing can be asked.
    pub(super) fn new(plan: &Plan, ever_reachable: bool) -> Option<Question> {
        Some(Question {
            job_id: plan.job_id.as_str().parse().ok()?,
            operation: plan.operation.clone(),
            operation_of: plan.operation_of,
            checkpoints: plan.checkpoints || plan.pace == drey_core::Pace::Fast,
            health: plan.health,
            cluster_info: plan.cluster_info,
            ever_reachable,
        })
    }
}

/// Polls once.
pub(super) async fn ask(flink: &FlinkRest, question: &Question) -> Rest {
    let mut job = match flink.job(question.job_id).await {
        Ok(job) => job,
        Err(error) => {
            tracing::debug!(address = %flink.base(), %error, "a JobManager did not answer");
            return Rest { ever_reachable: question.ever_reachable, ..Rest::default() };
        }
    };
    let mut statistics = statistics_if_needed(flink, question, job.as_ref()).await;
    let mut answer = operation(flink, question).await;
    if is_unseen_end(question, &answer, job.as_ref()) {
        // The stop was over between the two reads. What is read now is final.
        if let Ok(again) = flink.job(question.job_id).await {
            job = again;
            statistics = Some(statistics_of(flink, question.job_id).await);
        }
    }
    name_rank(&mut answer, statistics.as_ref());
    let over = job.as_ref().is_some_and(|job| job.state.is_globally_terminal());
    Rest {
        reachable: true,
        ever_reachable: true,
        failure: failure(flink, job.as_ref()).await,
        job: job.map_or(Seen::Absent, view),
        checkpoints: statistics.map_or(Seen::Unknown, |read| checkpoints(read, over)),
        operation: answer,
        operation_of: question.operation_of,
        health: health(flink, question).await,
        cluster_info: cluster_info(flink, question).await,
    }
}

type Statistics = Result<Option<CheckpointStatistics>, RestError>;

async fn statistics_if_needed(
    flink: &FlinkRest,
    question: &Question,
    job: Option<&JobOverview>,
) -> Option<Statistics> {
    let job = job?;
    if question.checkpoints || job.state.is_globally_terminal() {
        return Some(statistics_of(flink, question.job_id).await);
    }
    None
}

async fn statistics_of(flink: &FlinkRest, job_id: JobId) -> Statistics {
    let read = flink.checkpoints(job_id).await;
    if let Err(error) = &read {
        tracing::debug!(address = %flink.base(), %error, "the checkpoints could not be read");
    }
    read
}

/// Whether a savepoint is complete and the job was not yet seen to be over.
fn is_unseen_end(question: &Question, answer: &Seen<observed::Operation>, job: Option<&JobOverview>) -> bool {
    let over = job.is_some_and(|job| job.state.is_globally_terminal());
    let complete = matches!(answer, Seen::Present(observed::Operation::Completed { .. }));
    matches!(question.operation, Operation::Savepoint(_)) && complete && !over
}

fn view(job: JobOverview) -> Seen<JobView> {
    let all_tasks_running = job.all_tasks_running();
    match state(job.state) {
        Some(state) => Seen::Present(JobView {
            id: drey_core::JobId::new(&job.id.to_string()),
            name: Arc::from(job.name),
            state,
            all_tasks_running,
            started_at_ms: job.start_time_ms.unwrap_or(0),
        }),
        None => Seen::Unknown,
    }
}

fn state(state: JobState) -> Option<FlinkJobState> {
    Some(match state {
        JobState::Initializing => FlinkJobState::Initializing,
        JobState::Created => FlinkJobState::Created,
        JobState::Running => FlinkJobState::Running,
        JobState::Failing => FlinkJobState::Failing,
        JobState::Failed => FlinkJobState::Failed,
        JobState::Cancelling => FlinkJobState::Cancelling,
        JobState::Canceled => FlinkJobState::Canceled,
        JobState::Finished => FlinkJobState::Finished,
        JobState::Restarting => FlinkJobState::Restarting,
        JobState::Suspended => FlinkJobState::Suspended,
        JobState::Reconciling => FlinkJobState::Reconciling,
        JobState::Unrecognised => return None,
    })
}

/// What core is told of the checkpoints. The newest one of a job that is over, when it lies nowhere but in the
/// JobManager's memory, is not the same as none: that reading is unknown.
fn checkpoints(read: Statistics, over: bool) -> Seen<Checkpoints> {
    let statistics = match read {
        Ok(Some(statistics)) => statistics,
        // Checkpointing is off: there are none.
        Ok(None) => return Seen::Present(Checkpoints::default()),
        Err(_) => return Seen::Unknown,
    };
    let newest = statistics.newest_restore_point();
    if over && newest.as_ref().is_some_and(|point| point.path == ExternalPath::NotAddressable) {
        return Seen::Unknown;
    }
    let taken = [&statistics.latest.completed, &statistics.latest.savepoint].into_iter().flatten();
    let in_progress =
        |checkpoint: &&drey_flink::rest::Checkpoint| checkpoint.status == CheckpointStatus::InProgress;
    Seen::Present(Checkpoints {
        // One whose files Flink has deleted, as it does when a job is FINISHED, is nothing to start from.
        newest: newest.filter(|point| !point.discarded).and_then(|point| {
            let path = Arc::from(point.path.location()?);
            Some(StoredSnapshot { path, checkpoint_id: Some(point.id) })
        }),
        newest_completed_at_ms: taken
            .max_by_key(|checkpoint| checkpoint.id)
            .and_then(|newest| newest.triggered_at_ms),
        pending_since_ms: statistics
            .history
            .iter()
            .filter(in_progress)
            .filter_map(|checkpoint| checkpoint.triggered_at_ms)
            .max(),
    })
}

async fn operation(flink: &FlinkRest, question: &Question) -> Seen<observed::Operation> {
    let job_id = question.job_id;
    match &question.operation {
        Operation::None => Seen::Unknown,
        Operation::NotAsked => Seen::Absent,
        Operation::Savepoint(trigger) => stand(flink.savepoint_result(job_id, *trigger).await, |location| {
            Some(StoredSnapshot { path: Arc::from(location), checkpoint_id: None })
        }),
        Operation::Checkpoint(trigger) => stand(flink.checkpoint_result(job_id, *trigger).await, |_id| None),
        Operation::Disposal(trigger) => stand(flink.disposal_result(*trigger).await, |()| None),
    }
}

fn stand<T>(
    result: Result<AsyncResult<T>, RestError>,
    snapshot: impl FnOnce(T) -> Option<StoredSnapshot>,
) -> Seen<observed::Operation> {
    match result {
        Ok(AsyncResult::InProgress) => Seen::Present(observed::Operation::InProgress),
        Ok(AsyncResult::Completed(outcome)) => {
            Seen::Present(observed::Operation::Completed { snapshot: snapshot(outcome) })
        }
        Ok(AsyncResult::Failed(failure)) => {
            Seen::Present(observed::Operation::Failed { cause: failure.cause.summary() })
        }
        Ok(AsyncResult::UnknownTrigger) => Seen::Absent,
        Err(_) => Seen::Unknown,
    }
}

/// Flink names the place of a completed savepoint and not its number, which stands among the checkpoints.
fn name_rank(answer: &mut Seen<observed::Operation>, statistics: Option<&Statistics>) {
    let Seen::Present(observed::Operation::Completed { snapshot: Some(snapshot) }) = answer else { return };
    let Some(Ok(Some(statistics))) = statistics else { return };
    let all = statistics.history.iter().chain(&statistics.latest.savepoint);
    snapshot.checkpoint_id = all
        .filter(|checkpoint| {
            checkpoint.external_path.as_ref().and_then(ExternalPath::location) == Some(&*snapshot.path)
        })
        .map(|checkpoint| checkpoint.id)
        .max();
}

async fn failure(flink: &FlinkRest, job: Option<&JobOverview>) -> Option<String> {
    let job = job.filter(|job| job.state == JobState::Failed)?;
    match flink.execution_result(job.id).await {
        Ok(ExecutionResult::Failed { cause: Some(cause) }) => Some(cause.summary()),
        Ok(_) | Err(_) => None,
    }
}

async fn health(flink: &FlinkRest, question: &Question) -> Option<HealthMetrics> {
    if !question.health {
        return None;
    }
    let metrics = flink.metrics(question.job_id).await.ok()?;
    let number = |value: Option<u64>| value.and_then(|value| i64::try_from(value).ok());
    Some(HealthMetrics {
        restarts: number(metrics.restarts)?,
        completed_checkpoints: number(metrics.completed_checkpoints).unwrap_or(0),
    })
}

async fn cluster_info(flink: &FlinkRest, question: &Question) -> Arc<BTreeMap<String, String>> {
    if !question.cluster_info {
        return Arc::default();
    }
    match flink.configuration().await {
        Ok(configuration) => Arc::new(BTreeMap::from([
            ("flink-version".to_owned(), configuration.flink_version),
            ("flink-revision".to_owned(), configuration.flink_revision),
        ])),
        Err(_) => Arc::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statistics(text: &str) -> Statistics {
        Ok(Some(serde_json::from_str(text).unwrap()))
    }

    #[test]
    fn a_checkpoint_in_memory_of_a_job_that_is_over_is_not_none() {
        let text = r#"{"latest":{"completed":{"id":3,"status":"COMPLETED","trigger_timestamp":9,
            "external_path":"<checkpoint-not-externally-addressable>"}}}"#;
        assert_eq!(checkpoints(statistics(text), true), Seen::Unknown);
        let Seen::Present(running) = checkpoints(statistics(text), false) else { panic!("it was read") };
        assert_eq!((running.newest, running.newest_completed_at_ms), (None, Some(9)));
        assert_eq!(checkpoints(Ok(None), true), Seen::Present(Checkpoints::default()));
    }

    #[test]
    fn pending_checkpoints_are_told_by_their_start() {
        let text = r#"{"history":[{"id":5,"status":"IN_PROGRESS","trigger_timestamp":50},
            {"id":4,"status":"COMPLETED","trigger_timestamp":40}]}"#;
        let Seen::Present(read) = checkpoints(statistics(text), false) else { panic!("it was read") };
        assert_eq!(read.pending_since_ms, Some(50));
    }

    #[test]
    fn a_savepoint_gets_its_number_from_the_checkpoints() {
        let text = r#"{"latest":{"savepoint":{"id":7,"status":"COMPLETED","external_path":"file:/s/7"}}}"#;
        let completed = |path: &str| {
            let snapshot = StoredSnapshot { path: path.into(), checkpoint_id: None };
            Seen::Present(observed::Operation::Completed { snapshot: Some(snapshot) })
        };
        let rank = |path: &str| {
            let mut answer = completed(path);
            name_rank(&mut answer, Some(&statistics(text)));
            match answer {
                Seen::Present(observed::Operation::Completed { snapshot: Some(snapshot) }) => {
                    snapshot.checkpoint_id
                }
                _ => panic!("it stays what it was"),
            }
        };
        assert_eq!(rank("file:/s/7"), Some(7));
        assert_eq!(rank("file:/s/8"), None);
    }
}
