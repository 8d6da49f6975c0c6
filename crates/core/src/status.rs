//! The journal, as it is spelt in `status`: upstream's fields in upstream's encoding, and beside them `intent` and
//! `run`. Reading accepts what the Java operator wrote; writing leaves nothing there that it could not take over.

use std::collections::BTreeMap;
use std::sync::Arc;

use drey_api::desired::{Desired, Invalid};
use drey_api::kinds::{
    CheckpointInfo, Condition, FlinkDeploymentSpec, FlinkDeploymentStatus, FlinkJobState, IntentRecord,
    JobState, JobStatus, LifecycleState, ReconciliationState, ReconciliationStatus, RunEndRecord, RunRecord,
    Savepoint, SavepointFormat, SavepointInfo, SnapshotRecord, SnapshotTriggerType, TaskManagerInfo,
    UpgradeMode,
};
use drey_api::reconciled::{Reconciled as Encoded, decode, encode};

use crate::intent::{DeployTarget, Intent, IntentKind, SnapshotCause};
use crate::journal::{
    Base, CheckpointLog, ConditionRecord, End, HealthRecord, JobRecord, Journal, Last, Problem, Reconciled,
    Restored, Run, SavepointCause, SavepointLog, SavepointRecord, Stable, WaitRecord,
};
use crate::observed::StoredSnapshot;
use crate::plan::LAST_STATE_PATH;
use crate::render::lifecycle;
use crate::resource::Resource;
use crate::restore::Restore;
use crate::{JobId, TriggerId};

/// A status that cannot be believed. The resource is left alone until somebody mends it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// A recorded spec cannot be read.
    #[error("status.reconciliationStatus.{field}: {why}")]
    Spec {
        /// `lastReconciledSpec` or `lastStableSpec`.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A word of ours that this version does not know: a newer version wrote it.
    #[error("status.{field}: `{word}` is not known to this version; upgrade drey, or restore the status")]
    Word {
        /// Which field.
        field: &'static str,
        /// What stands there.
        word: String,
    },
}

/// How a recorded spec is resolved: defaults and derived values, without validation.
pub type Resolve<'a> = &'a dyn Fn(&FlinkDeploymentSpec) -> Result<Desired, Invalid>;

const LAST_STATE: &str = "last-state";
const UNRECORDED: &str = "unrecorded";
const HEALTH_KEY: &str = "ClusterHealthInfo";

// ---- reading --------------------------------------------------------------------------------------------------

/// Reads a journal.
///
/// # Errors
/// See [`Broken`].
pub fn read(status: &FlinkDeploymentStatus, resolve: Resolve<'_>) -> Result<Journal, Broken> {
    let record = status.reconciliation_status.clone().unwrap_or_default();
    let mut reconciled = read_spec("lastReconciledSpec", record.last_reconciled_spec.as_deref(), resolve)?;
    let job_status = status.job_status.clone().unwrap_or_default();
    let (intent, seq, epoch) = read_intent(status.intent.as_ref())?;
    let mut reconciled_text = record.last_reconciled_spec.clone();
    if let Some(reconciled) = reconciled.as_mut().filter(|_| is_being_deployed(intent.as_ref())) {
        reconciled.job_state = JobState::Running;
        reconciled_text = Some(write_spec(reconciled, JobState::Running));
    }
    let stable = match (&record.last_stable_spec, &reconciled_text) {
        (None, _) => Stable::None,
        (Some(stable), Some(reconciled)) if stable == reconciled => Stable::Same,
        (Some(stable), _) => read_spec("lastStableSpec", Some(stable), resolve)?
            .map_or(Stable::None, |stable| Stable::Other(Box::new(stable))),
    };
    let run = match &status.run {
        Some(run) => Some(read_run(run)?),
        None => adopted_run(&job_status, reconciled.as_ref(), status.observed_generation),
    };
    let conditions: Vec<ConditionRecord> = status.conditions.iter().filter_map(read_condition).collect();
    let mut cluster_info = status.cluster_info.clone().unwrap_or_default();
    let health = cluster_info.remove(HEALTH_KEY).and_then(|text| read_health(&text));
    Ok(Journal {
        seq: seq.max(run.as_ref().map_or(0, |run| run.seq)),
        epoch,
        intent,
        run,
        observed_generation: status.observed_generation,
        state: read_state(record.state, status.lifecycle_state),
        reconciled,
        stable,
        reconciled_at_ms: record.reconciliation_timestamp.unwrap_or(0),
        job_manager: status.job_manager_deployment_status,
        savepoints: read_savepoints(job_status.savepoint_info.as_ref()),
        checkpoints: read_checkpoints(job_status.checkpoint_info.as_ref()),
        job: read_job(&job_status),
        error: status.error.as_deref().map(read_error),
        cluster_info: Arc::new(cluster_info),
        health,
        waiting: read_waiting(&conditions),
        conditions,
    })
}

/// See [`write_state`]. The Java operator never writes the two words together.
fn read_state(state: ReconciliationState, lifecycle: Option<LifecycleState>) -> ReconciliationState {
    match (state, lifecycle) {
        (ReconciliationState::Deployed, Some(LifecycleState::Upgrading)) => ReconciliationState::Upgrading,
        (state, _) => state,
    }
}

/// Why it waits is told by the conditions alone.
fn read_waiting(conditions: &[ConditionRecord]) -> Option<WaitRecord> {
    let told = |kind: &str, stalled| {
        let record = conditions.iter().find(|record| &*record.kind == kind && record.status)?;
        Some(WaitRecord { reason: record.reason.clone(), message: record.message.clone(), stalled })
    };
    told("Stalled", true).or_else(|| told("Reconciling", false))
}

fn read_spec(
    field: &'static str,
    text: Option<&str>,
    resolve: Resolve<'_>,
) -> Result<Option<Reconciled>, Broken> {
    let Some(text) = text else { return Ok(None) };
    let broken = |why: String| Broken::Spec { field, why };
    let encoded = decode(text).map_err(|error| broken(error.to_string()))?;
    let mut desired = resolve(&encoded.spec)
        .or_else(|error| resolve(&without_record(&encoded.spec)).map_err(|_| error))
        .map_err(|error| broken(error.to_string()))?;
    desired.spec = encoded.spec.clone();
    let job = encoded.spec.job.as_ref();
    Ok(Some(Reconciled {
        job_state: job.map_or(JobState::Running, |job| job.state),
        upgrade_mode: job.map_or(UpgradeMode::Stateless, |job| job.upgrade_mode),
        savepoint_nonce: job.and_then(|job| job.savepoint_trigger_nonce),
        checkpoint_nonce: job.and_then(|job| job.checkpoint_trigger_nonce),
        first_deployment: encoded.first_deployment,
        format: encoded.format,
        desired: Arc::new(desired),
    }))
}

/// The spec on record without what drey put into it: how the job was stopped, which is no wish of the user's and needs
/// none of the directories that a wish does, and the last nonce that was handled.
fn without_record(spec: &FlinkDeploymentSpec) -> FlinkDeploymentSpec {
    let mut spec = spec.clone();
    if let Some(job) = &mut spec.job {
        job.upgrade_mode = UpgradeMode::Stateless;
        job.savepoint_trigger_nonce = None;
    }
    spec
}

fn read_intent(record: Option<&IntentRecord>) -> Result<(Option<Intent>, i64, i64), Broken> {
    let Some(record) = record else { return Ok((None, 0, 0)) };
    let epoch = record.epoch.unwrap_or(0);
    let kind = match record.kind.as_str() {
        "None" | "" => return Ok((None, record.seq, epoch)),
        "Deploy" => IntentKind::Deploy {
            job_id: job_id(record),
            restore: read_restore(record.restore_from.as_deref()),
            target: match record.target.as_deref() {
                Some("stable") => DeployTarget::Stable,
                _ => DeployTarget::Reconciled,
            },
        },
        "StopWithSavepoint" => IntentKind::Stop {
            job_id: job_id(record),
            trigger_id: trigger_id(record),
            target_directory: directory(record),
            drain: record.drain.unwrap_or(false),
        },
        "Cancel" => IntentKind::Cancel { job_id: job_id(record) },
        "Complete" => IntentKind::Complete { cluster_uid: cluster_uid(record) },
        "Scale" => IntentKind::Scale { cluster_uid: cluster_uid(record) },
        "Teardown" => IntentKind::Teardown { cluster_uid: cluster_uid(record) },
        "Savepoint" => IntentKind::Savepoint {
            job_id: job_id(record),
            trigger_id: trigger_id(record),
            target_directory: directory(record),
            cause: cause(record),
        },
        "Checkpoint" => IntentKind::Checkpoint {
            job_id: job_id(record),
            trigger_id: trigger_id(record),
            cause: cause(record),
        },
        "DisposeSavepoint" => IntentKind::Dispose { path: directory(record) },
        word => return Err(Broken::Word { field: "intent.kind", word: word.to_owned() }),
    };
    let started_at_ms = record.started_at.unwrap_or(0);
    let intent = Intent {
        seq: record.seq,
        generation: record.generation.unwrap_or(0),
        started_at_ms,
        attempts: record.attempts.unwrap_or(0),
        attempted_at_ms: record.attempted_at.unwrap_or(started_at_ms),
        kind,
    };
    Ok((Some(intent), record.seq, epoch))
}

fn cluster_uid(record: &IntentRecord) -> Arc<str> {
    Arc::from(record.cluster_uid.as_deref().unwrap_or_default())
}

fn job_id(record: &IntentRecord) -> JobId {
    JobId::new(record.job_id.as_deref().unwrap_or_default())
}

fn trigger_id(record: &IntentRecord) -> TriggerId {
    TriggerId::new(record.trigger_id.as_deref().unwrap_or_default())
}

fn directory(record: &IntentRecord) -> Arc<str> {
    Arc::from(record.target_directory.as_deref().unwrap_or_default())
}

fn cause(record: &IntentRecord) -> SnapshotCause {
    record.nonce.map_or(SnapshotCause::Periodic, |nonce| SnapshotCause::Manual { nonce })
}

fn read_restore(text: Option<&str>) -> Restore {
    match text {
        None => Restore::Empty,
        Some(LAST_STATE) => Restore::LastState,
        Some(path) => Restore::Path(Arc::from(path)),
    }
}

fn read_run(record: &RunRecord) -> Result<Run, Broken> {
    Ok(Run {
        job_id: JobId::new(&record.job_id),
        seq: record.seq,
        generation: record.generation,
        cluster_uid: record.cluster_uid.as_deref().map(Arc::from),
        base: match record.base.as_deref() {
            None => Base::Empty,
            Some(UNRECORDED) => Base::Unrecorded,
            Some(path) => Base::Path(Arc::from(path)),
        },
        restored: match record.restored_from.as_deref() {
            None => Restored::Empty,
            Some(LAST_STATE) => Restored::LastState,
            Some(path) => Restored::Path(Arc::from(path)),
        },
        deployed_at_ms: record.deployed_at,
        never_ran: record.never_ran,
        end: record.end.as_ref().map(read_end).transpose()?,
        newest_savepoint: record.newest_savepoint.as_ref().map(read_snapshot),
        open_directories: record.open_directories.iter().map(|path| Arc::from(path.as_str())).collect(),
    })
}

fn read_end(record: &RunEndRecord) -> Result<End, Broken> {
    let state = FlinkJobState::from_text(&record.state)
        .filter(|state| state.is_terminal())
        .ok_or_else(|| Broken::Word { field: "run.end.state", word: record.state.clone() })?;
    let last = match (record.last.as_str(), &record.snapshot) {
        ("snapshot", Some(snapshot)) => Last::Snapshot(read_snapshot(snapshot)),
        ("nothing", _) => Last::Nothing,
        ("discarded", _) => Last::Discarded,
        ("notRead", _) => Last::NotRead,
        (word, _) => return Err(Broken::Word { field: "run.end.last", word: word.to_owned() }),
    };
    Ok(End { state, last })
}

fn read_snapshot(record: &SnapshotRecord) -> StoredSnapshot {
    StoredSnapshot {
        path: Arc::from(record.path.as_str()),
        checkpoint_id: record.checkpoint_id.and_then(|id| u64::try_from(id).ok()),
    }
}

/// The run of a status that the Java operator wrote: what it says of the job, in our terms.
fn adopted_run(job: &JobStatus, reconciled: Option<&Reconciled>, generation: Option<i64>) -> Option<Run> {
    let reconciled = reconciled?;
    let path: Option<Arc<str>> = job
        .upgrade_savepoint_path
        .as_deref()
        .filter(|path| *path != LAST_STATE_PATH && !path.is_empty())
        .map(Arc::from);
    // The first deploy from an initial savepoint has written the path down before it chose a job id.
    let job_id = match (job.job_id.as_deref(), &path) {
        (Some(id), _) => JobId::new(id),
        (None, Some(_)) => JobId::new(""),
        (None, None) => return None,
    };
    let stopped = reconciled.job_state == JobState::Suspended;
    let ended = job.state.filter(|state| state.is_terminal());
    let last = match (stopped, reconciled.upgrade_mode, &path) {
        (true, UpgradeMode::Stateless, _) => Some(Last::Discarded),
        (true, UpgradeMode::Savepoint, Some(path)) => {
            Some(Last::Snapshot(StoredSnapshot { path: path.clone(), checkpoint_id: None }))
        }
        (true, UpgradeMode::Savepoint | UpgradeMode::LastState, _) => None,
        (false, _, _) => ended.map(|_| Last::NotRead),
    };
    // The path stays in the status after a stateless upgrade; what the user gave up must not come back.
    let empty = reconciled.upgrade_mode == UpgradeMode::Stateless;
    let base = match &path {
        _ if empty => Base::Empty,
        Some(path) => Base::Path(path.clone()),
        None => Base::Unrecorded,
    };
    Some(Run {
        job_id,
        seq: 0,
        generation: generation.unwrap_or(0),
        cluster_uid: None,
        base,
        restored: match path {
            _ if empty => Restored::Empty,
            Some(path) => Restored::Path(path),
            None => Restored::LastState,
        },
        deployed_at_ms: 0,
        never_ran: false,
        end: last.map(|last| End { state: ended.unwrap_or(FlinkJobState::Finished), last }),
        newest_savepoint: None,
        open_directories: Vec::new(),
    })
}

fn read_job(job: &JobStatus) -> JobRecord {
    let millis = |text: &Option<String>| text.as_deref().and_then(|text| text.parse().ok());
    JobRecord {
        id: job.job_id.as_deref().map(JobId::new),
        name: job.job_name.as_deref().map(Arc::from),
        state: job.state,
        started_at_ms: millis(&job.start_time),
        updated_at_ms: millis(&job.update_time),
        upgrade_savepoint_path: job.upgrade_savepoint_path.as_deref().map(Arc::from),
    }
}

fn read_savepoints(info: Option<&SavepointInfo>) -> SavepointLog {
    let Some(info) = info else { return SavepointLog::default() };
    let mut history: Vec<SavepointRecord> =
        info.savepoint_history.iter().filter_map(read_savepoint).collect();
    let last = info.last_savepoint.as_ref().and_then(read_savepoint);
    if let Some(last) = last.filter(|last| !history.iter().any(|r| r.snapshot.path == last.snapshot.path)) {
        history.push(last);
    }
    SavepointLog { history, last_periodic_at_ms: info.last_periodic_savepoint_timestamp }
}

fn read_savepoint(savepoint: &Savepoint) -> Option<SavepointRecord> {
    Some(SavepointRecord {
        completed_at_ms: savepoint.time_stamp,
        snapshot: StoredSnapshot { path: Arc::from(savepoint.location.as_deref()?), checkpoint_id: None },
        cause: match (savepoint.trigger_type, savepoint.trigger_nonce) {
            (Some(SnapshotTriggerType::Manual), nonce) => SavepointCause::Manual(nonce.unwrap_or(0)),
            (Some(SnapshotTriggerType::Periodic), _) => SavepointCause::Periodic,
            (Some(SnapshotTriggerType::Upgrade), _) => SavepointCause::Upgrade,
            (Some(SnapshotTriggerType::Unknown) | None, _) => SavepointCause::Unknown,
        },
        format: savepoint.format_type.unwrap_or(SavepointFormat::Unknown),
    })
}

fn read_checkpoints(info: Option<&CheckpointInfo>) -> CheckpointLog {
    let Some(info) = info else { return CheckpointLog::default() };
    CheckpointLog {
        last: info.last_checkpoint.as_ref().map(|last| (last.time_stamp, last.trigger_nonce)),
        last_periodic_at_ms: info.last_periodic_checkpoint_timestamp,
    }
}

fn read_error(text: &str) -> Problem {
    let value: Option<serde_json::Value> = serde_json::from_str(text).ok();
    let field = |pointer: &str| value.as_ref()?.pointer(pointer)?.as_str().map(str::to_owned);
    let refused = field("/type").is_some_and(|class| class.ends_with(".ValidationException"));
    let unnamed = if refused { "ValidationError" } else { "Error" };
    Problem {
        reason: Arc::from(field("/additionalMetadata/reason").unwrap_or_else(|| unnamed.to_owned())),
        message: Arc::from(field("/message").unwrap_or_else(|| text.to_owned())),
    }
}

fn read_condition(condition: &Condition) -> Option<ConditionRecord> {
    Some(ConditionRecord {
        kind: Arc::from(condition.type_.as_str()),
        status: condition.status == "True",
        reason: Arc::from(condition.reason.as_deref().unwrap_or_default()),
        message: Arc::from(condition.message.as_deref().unwrap_or_default()),
        since_ms: drey_api::time::parse_rfc3339_ms(condition.last_transition_time.as_deref()?)?,
        observed_generation: condition.observed_generation.unwrap_or(0),
    })
}

fn read_health(text: &str) -> Option<HealthRecord> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let number = |key: &str| value.get(key)?.as_i64();
    Some(HealthRecord {
        window_started_at_ms: number("numRestartsEvaluationTimeStamp")?,
        restarts: number("numRestarts")?,
        completed_checkpoints: number("numCompletedCheckpoints")?,
        completed_rose_at_ms: number("numCompletedCheckpointsIncreasedTimeStamp")?,
        healthy: value.pointer("/healthResult/healthy").and_then(serde_json::Value::as_bool).unwrap_or(true),
    })
}

// ---- writing --------------------------------------------------------------------------------------------------

/// Writes a journal.
pub fn write(journal: &Journal, resource: &Resource) -> FlinkDeploymentStatus {
    let is_being_deployed = is_being_deployed(journal.intent.as_ref());
    let last_reconciled_spec = journal.reconciled.as_ref().map(|reconciled| {
        let job_state = if is_being_deployed { JobState::Suspended } else { reconciled.job_state };
        write_spec(reconciled, job_state)
    });
    let last_stable_spec = match &journal.stable {
        Stable::None => None,
        Stable::Same => journal.reconciled.as_ref().map(|stable| write_spec(stable, stable.job_state)),
        Stable::Other(stable) => Some(write_spec(stable, stable.job_state)),
    };
    FlinkDeploymentStatus {
        job_status: Some(write_job(journal)),
        error: journal.error.as_ref().map(write_error),
        observed_generation: journal.observed_generation,
        lifecycle_state: Some(lifecycle(resource, journal)),
        cluster_info: Some(write_cluster_info(journal)),
        job_manager_deployment_status: journal.job_manager,
        reconciliation_status: Some(ReconciliationStatus {
            reconciliation_timestamp: Some(journal.reconciled_at_ms),
            last_reconciled_spec,
            last_stable_spec,
            state: write_state(journal, resource),
        }),
        task_manager: write_task_manager(journal, resource),
        conditions: journal.conditions.iter().map(write_condition).collect(),
        intent: write_intent(journal),
        run: journal.run.as_ref().map(write_run),
    }
}

/// Until the job is stopped, the old spec is the deployed one. The Java operator looks at no job of which the state says
/// that it is being upgraded: one that ended meanwhile it would try to stop for ever.
fn write_state(journal: &Journal, resource: &Resource) -> ReconciliationState {
    let runs = journal.reconciled.as_ref().is_some_and(|reconciled| {
        reconciled.job_state == JobState::Running && reconciled.desired.spec.job.is_some()
    });
    if journal.state == ReconciliationState::Upgrading
        && runs
        && !is_being_deployed(journal.intent.as_ref())
        && lifecycle(resource, journal) == LifecycleState::Upgrading
    {
        return ReconciliationState::Deployed;
    }
    journal.state
}

/// Whether the recorded spec is on its way to a cluster. It is written as `suspended` until that is there: so the Java
/// operator knows that it has to be created.
fn is_being_deployed(intent: Option<&Intent>) -> bool {
    let kind = intent.map(|intent| &intent.kind);
    matches!(kind, Some(IntentKind::Deploy { target: DeployTarget::Reconciled, .. }))
}

fn write_spec(reconciled: &Reconciled, job_state: JobState) -> String {
    let mut spec = (*reconciled.desired.spec).clone();
    if let Some(job) = &mut spec.job {
        job.state = job_state;
        job.upgrade_mode = reconciled.upgrade_mode;
        job.savepoint_trigger_nonce = reconciled.savepoint_nonce;
        job.checkpoint_trigger_nonce = reconciled.checkpoint_nonce;
    }
    let mut encoded = Encoded::new(Arc::new(spec), reconciled.first_deployment);
    encoded.format = reconciled.format;
    encode(&encoded)
}

fn write_job(journal: &Journal) -> JobStatus {
    let text = |millis: Option<i64>| millis.map(|millis| millis.to_string());
    let job = &journal.job;
    JobStatus {
        job_name: job.name.as_deref().map(str::to_owned),
        job_id: job.id.as_ref().map(|id| id.as_str().to_owned()),
        state: job.state,
        start_time: text(job.started_at_ms),
        update_time: text(job.updated_at_ms),
        upgrade_savepoint_path: job.upgrade_savepoint_path.as_deref().map(str::to_owned),
        savepoint_info: Some(write_savepoints(journal)),
        checkpoint_info: Some(CheckpointInfo {
            last_checkpoint: journal.checkpoints.last.map(|(time_stamp, nonce)| {
                drey_api::kinds::Checkpoint {
                    time_stamp,
                    trigger_type: Some(match nonce {
                        Some(_) => SnapshotTriggerType::Manual,
                        None => SnapshotTriggerType::Periodic,
                    }),
                    format_type: Some(drey_api::kinds::CheckpointType::Full),
                    trigger_nonce: nonce,
                }
            }),
            last_periodic_checkpoint_timestamp: journal.checkpoints.last_periodic_at_ms,
            ..CheckpointInfo::default()
        }),
    }
}

fn write_savepoints(journal: &Journal) -> SavepointInfo {
    let history: Vec<Savepoint> = journal.savepoints.history.iter().map(write_savepoint).collect();
    SavepointInfo {
        last_savepoint: history.last().cloned(),
        savepoint_history: history,
        last_periodic_savepoint_timestamp: journal.savepoints.last_periodic_at_ms,
        ..SavepointInfo::default()
    }
}

fn write_savepoint(record: &SavepointRecord) -> Savepoint {
    let (trigger_type, trigger_nonce) = match record.cause {
        SavepointCause::Manual(nonce) => (SnapshotTriggerType::Manual, Some(nonce)),
        SavepointCause::Periodic => (SnapshotTriggerType::Periodic, None),
        SavepointCause::Upgrade => (SnapshotTriggerType::Upgrade, None),
        SavepointCause::Unknown => (SnapshotTriggerType::Unknown, None),
    };
    Savepoint {
        time_stamp: record.completed_at_ms,
        location: Some(record.snapshot.path.to_string()),
        trigger_type: Some(trigger_type),
        format_type: Some(record.format),
        trigger_nonce,
    }
}

fn write_error(problem: &Problem) -> String {
    let (class, metadata) = match &*problem.reason {
        "ValidationError" => ("ValidationException", serde_json::json!({})),
        reason => ("ReconciliationException", serde_json::json!({ "reason": reason })),
    };
    serde_json::json!({
        "type": format!("org.apache.flink.kubernetes.operator.exception.{class}"),
        "message": &*problem.message,
        "additionalMetadata": metadata,
        "throwableList": [],
    })
    .to_string()
}

fn write_cluster_info(journal: &Journal) -> BTreeMap<String, String> {
    let mut info = (*journal.cluster_info).clone();
    if let Some(health) = &journal.health {
        let text = serde_json::json!({
            "timeStamp": health.completed_rose_at_ms.max(health.window_started_at_ms),
            "numRestarts": health.restarts,
            "numRestartsEvaluationTimeStamp": health.window_started_at_ms,
            "numCompletedCheckpoints": health.completed_checkpoints,
            "numCompletedCheckpointsIncreasedTimeStamp": health.completed_rose_at_ms,
            "healthResult": { "healthy": health.healthy },
        });
        info.insert(HEALTH_KEY.to_owned(), text.to_string());
    }
    info
}

/// Upstream's scale subresource: nothing while the job is suspended or on its way.
fn write_task_manager(journal: &Journal, resource: &Resource) -> Option<TaskManagerInfo> {
    let deployed = journal.deployed()?;
    deployed.desired.spec.job.as_ref()?;
    if deployed.job_state == JobState::Suspended {
        return Some(TaskManagerInfo { label_selector: String::new(), replicas: 0 });
    }
    Some(TaskManagerInfo {
        label_selector: format!("component=taskmanager,app={}", resource.name),
        replicas: deployed.desired.task_manager_replicas,
    })
}

fn write_condition(record: &ConditionRecord) -> Condition {
    Condition {
        last_transition_time: Some(drey_api::time::format_rfc3339_ms(record.since_ms)),
        message: Some(record.message.to_string()),
        observed_generation: Some(record.observed_generation),
        reason: Some(record.reason.to_string()),
        status: if record.status { "True" } else { "False" }.to_owned(),
        type_: record.kind.to_string(),
    }
}

fn write_intent(journal: &Journal) -> Option<IntentRecord> {
    let empty = IntentRecord {
        seq: journal.seq,
        kind: "None".to_owned(),
        epoch: Some(journal.epoch),
        ..IntentRecord::default()
    };
    let Some(intent) = &journal.intent else {
        return (journal.seq > 0 || journal.epoch > 0).then_some(empty);
    };
    let mut record = IntentRecord {
        seq: intent.seq,
        kind: intent.kind.name().to_owned(),
        generation: Some(intent.generation),
        started_at: Some(intent.started_at_ms),
        attempts: Some(intent.attempts),
        attempted_at: Some(intent.attempted_at_ms),
        ..empty
    };
    match &intent.kind {
        IntentKind::Deploy { job_id, restore, target } => {
            record.job_id = Some(job_id.as_str().to_owned());
            record.restore_from = write_restore(restore);
            record.target = Some(match target {
                DeployTarget::Reconciled => "reconciled".to_owned(),
                DeployTarget::Stable => "stable".to_owned(),
            });
        }
        IntentKind::Stop { job_id, trigger_id, target_directory, drain } => {
            record.job_id = Some(job_id.as_str().to_owned());
            record.trigger_id = Some(trigger_id.as_str().to_owned());
            record.target_directory = Some(target_directory.to_string());
            record.drain = Some(*drain);
        }
        IntentKind::Cancel { job_id } => record.job_id = Some(job_id.as_str().to_owned()),
        IntentKind::Complete { cluster_uid }
        | IntentKind::Scale { cluster_uid }
        | IntentKind::Teardown { cluster_uid } => {
            record.cluster_uid = Some(cluster_uid.to_string());
        }
        IntentKind::Savepoint { job_id, trigger_id, target_directory, cause } => {
            record.job_id = Some(job_id.as_str().to_owned());
            record.trigger_id = Some(trigger_id.as_str().to_owned());
            record.target_directory = Some(target_directory.to_string());
            record.nonce = write_cause(*cause);
        }
        IntentKind::Checkpoint { job_id, trigger_id, cause } => {
            record.job_id = Some(job_id.as_str().to_owned());
            record.trigger_id = Some(trigger_id.as_str().to_owned());
            record.nonce = write_cause(*cause);
        }
        IntentKind::Dispose { path } => record.target_directory = Some(path.to_string()),
    }
    Some(record)
}

fn write_restore(restore: &Restore) -> Option<String> {
    match restore {
        Restore::Empty => None,
        Restore::Path(path) => Some(path.to_string()),
        Restore::LastState => Some(LAST_STATE.to_owned()),
    }
}

fn write_cause(cause: SnapshotCause) -> Option<i64> {
    match cause {
        SnapshotCause::Manual { nonce } => Some(nonce),
        SnapshotCause::Periodic => None,
    }
}

fn write_run(run: &Run) -> RunRecord {
    RunRecord {
        job_id: run.job_id.as_str().to_owned(),
        seq: run.seq,
        generation: run.generation,
        cluster_uid: run.cluster_uid.as_deref().map(str::to_owned),
        restored_from: match &run.restored {
            Restored::Empty => None,
            Restored::Path(path) => Some(path.to_string()),
            Restored::LastState => Some(LAST_STATE.to_owned()),
        },
        base: match &run.base {
            Base::Empty => None,
            Base::Path(path) => Some(path.to_string()),
            Base::Unrecorded => Some(UNRECORDED.to_owned()),
        },
        deployed_at: run.deployed_at_ms,
        never_ran: run.never_ran,
        end: run.end.as_ref().map(write_end),
        newest_savepoint: run.newest_savepoint.as_ref().map(write_snapshot),
        open_directories: run.open_directories.iter().map(|path| path.to_string()).collect(),
    }
}

fn write_end(end: &End) -> RunEndRecord {
    let (last, snapshot) = match &end.last {
        Last::Snapshot(snapshot) => ("snapshot", Some(write_snapshot(snapshot))),
        Last::Nothing => ("nothing", None),
        Last::Discarded => ("discarded", None),
        Last::NotRead => ("notRead", None),
    };
    RunEndRecord { state: end.state.as_str().to_owned(), last: last.to_owned(), snapshot }
}

fn write_snapshot(snapshot: &StoredSnapshot) -> SnapshotRecord {
    SnapshotRecord {
        path: snapshot.path.to_string(),
        checkpoint_id: snapshot.checkpoint_id.and_then(|id| i64::try_from(id).ok()),
    }
}
