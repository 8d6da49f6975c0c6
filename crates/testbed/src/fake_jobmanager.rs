//! Fake JobManagers: one HTTP server that answers Flink's REST interface for any number of clusters, each below a
//! path of its own, and misbehaves as told. Its answers have the shape of real ones; what it runs are numbers.
//!
//! `/c/<cluster>/…` are clusters that a test made and holds; [`FakeJobManagers::serve_by_name`] serves the same ones by
//! the name that a Service gives to each, `<cluster>-rest.<namespace>`. `/auto/<name>/<job id>/…` are clusters that nobody has
//! to make: their job runs until it is stopped or cancelled. `POST /hang/<percent>` lets so many of a hundred of them
//! hang, chosen by the number at the end of their name. `GET /actions` tells when each was asked to do something.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::HOST;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{Html, IntoResponse, Json, Response};
use drey_api::kinds::FlinkJobState;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How a fake JobManager treats requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// Answers at once.
    #[default]
    Prompt,
    /// Answers after this time.
    Slow(Duration),
    /// Never answers.
    Hanging,
    /// Answers with a web page and status 200, as a login proxy does.
    Html,
    /// Answers 503, as during a change of leadership.
    Unavailable,
    /// Does what a POST or PATCH asks and never answers it; answers everything else.
    LosesAnswers,
}

/// What becomes of savepoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SavepointScript {
    /// Complete after this time; a stop ends the job with it.
    CompleteAfter(Duration),
    /// Fail after this time; a stop leaves the job running.
    FailAfter(Duration),
    /// Complete after this time, and the job fails right after it: the stop never ends well.
    CompleteAndFailJob(Duration),
}

/// A complete snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Checkpoint id.
    pub id: u64,
    /// Where it is.
    pub path: String,
}

/// Storage that all fake clusters share: complete snapshots by path.
#[derive(Clone, Debug, Default)]
pub struct Storage {
    snapshots: Arc<Mutex<BTreeMap<String, u64>>>,
}

impl Storage {
    /// Stores a complete snapshot.
    pub fn put(&self, snapshot: &Snapshot) {
        lock(&self.snapshots).insert(snapshot.path.clone(), snapshot.id);
    }

    /// Removes a snapshot; whether there was one.
    pub fn remove(&self, path: &str) -> bool {
        lock(&self.snapshots).remove(path).is_some()
    }

    /// The snapshot at exactly this path.
    #[must_use]
    pub fn at(&self, path: &str) -> Option<Snapshot> {
        let id = lock(&self.snapshots).get(path).copied()?;
        Some(Snapshot { id, path: path.to_owned() })
    }

    /// The newest snapshot below a directory.
    #[must_use]
    pub fn newest_below(&self, directory: &str) -> Option<Snapshot> {
        let prefix = format!("{}/", directory.trim_end_matches('/'));
        let snapshots = lock(&self.snapshots);
        let below = snapshots.iter().filter(|(path, _)| path.starts_with(&prefix));
        below.max_by_key(|(_, id)| **id).map(|(path, id)| Snapshot { id: *id, path: path.clone() })
    }
}

/// An asynchronous operation of a fake job.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Operation {
    InProgress,
    Savepoint(String),
    Checkpoint(u64),
    Failed(String),
}

/// A job of a fake cluster.
#[derive(Clone, Debug)]
pub struct FakeJob {
    /// 32 hexadecimal digits.
    pub id: String,
    /// Flink's word.
    pub state: &'static str,
    /// Whether all tasks run while the state is RUNNING.
    pub tasks_running: bool,
    /// Why it is FAILED.
    pub failure: String,
    /// When it was started, milliseconds since the epoch.
    pub started_at_ms: i64,
    /// Id of the next checkpoint or savepoint.
    pub next_id: u64,
    /// The newest completed checkpoint.
    pub completed: Option<Snapshot>,
    /// The newest completed savepoint.
    pub savepoint: Option<Snapshot>,
    /// What it was restored from.
    pub restored: Option<Snapshot>,
    operations: HashMap<String, Operation>,
}

impl FakeJob {
    /// A job that is being set up, restored from `restored`.
    #[must_use]
    pub fn new(id: &str, restored: Option<Snapshot>) -> FakeJob {
        FakeJob {
            id: id.to_owned(),
            state: "INITIALIZING",
            tasks_running: false,
            failure: String::new(),
            started_at_ms: now_ms(),
            next_id: restored.as_ref().map_or(1, |snapshot| snapshot.id + 1),
            completed: None,
            savepoint: None,
            restored,
            operations: HashMap::new(),
        }
    }

    /// FINISHED, CANCELED or FAILED.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.end().is_some()
    }

    /// How it ended.
    #[must_use]
    pub fn end(&self) -> Option<FlinkJobState> {
        match self.state {
            "FINISHED" => Some(FlinkJobState::Finished),
            "CANCELED" => Some(FlinkJobState::Canceled),
            "FAILED" => Some(FlinkJobState::Failed),
            _ => None,
        }
    }

    fn take_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }
}

/// One fake cluster's JobManager.
#[derive(Debug)]
pub struct FakeCluster {
    /// Its only job.
    pub job: Option<FakeJob>,
    /// How it treats requests.
    pub behaviour: Behaviour,
    /// What becomes of savepoints.
    pub savepoints: SavepointScript,
    /// Every request that changes something, such as `POST /jobs/:id/stop`, in order.
    pub requests: Vec<String>,
    /// How many requests of any kind it got.
    pub asked: u64,
    /// Rises with every change of the job.
    changes: watch::Sender<u64>,
}

impl FakeCluster {
    /// A cluster with one job, which answers promptly.
    #[must_use]
    pub fn new(job: FakeJob, savepoints: SavepointScript) -> FakeCluster {
        FakeCluster {
            job: Some(job),
            behaviour: Behaviour::Prompt,
            savepoints,
            requests: Vec::new(),
            asked: 0,
            changes: watch::channel(0).0,
        }
    }
}

#[derive(Debug, Default)]
struct World {
    clusters: HashMap<String, FakeCluster>,
    /// Automatic jobs that were stopped or cancelled, by job id.
    ended: HashMap<String, Ended>,
    /// Name and moment (microseconds since the epoch) of requests to automatic clusters.
    actions: Vec<(String, u64)>,
    /// How many of a hundred automatic clusters hang.
    hanging_percent: u64,
}

#[derive(Clone, Debug)]
struct Ended {
    state: &'static str,
    savepoint: Option<Snapshot>,
}

/// The server and what it answers from. Clones are the same server.
#[derive(Clone)]
pub struct FakeJobManagers {
    world: Arc<Mutex<World>>,
    storage: Storage,
    base: Arc<str>,
}

impl FakeJobManagers {
    /// Serves on a free port of 127.0.0.1 until the task is aborted or ends.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start() -> io::Result<(FakeJobManagers, JoinHandle<()>)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let base = format!("http://{}", listener.local_addr()?);
        let fake = FakeJobManagers { world: Arc::default(), storage: Storage::default(), base: base.into() };
        let router = Router::new().fallback(answer).with_state(fake.clone());
        let task = tokio::spawn(async move {
            // Serving ends only with the task.
            drop(axum::serve(listener, router).await);
        });
        Ok((fake, task))
    }

    /// Serves every cluster also by the name of its Service, for ever.
    pub async fn serve_by_name(self, listener: TcpListener) {
        let router = Router::new().fallback(answer_by_name).with_state(self);
        // Serving ends only with the task.
        drop(axum::serve(listener, router).await);
    }

    /// Lets so many of a hundred clusters hang, chosen by [`hangs`].
    pub fn hang(&self, percent: u64) {
        for (name, cluster) in &mut lock(&self.world).clusters {
            if hangs(name, percent) {
                cluster.behaviour = Behaviour::Hanging;
            }
        }
    }

    /// How often each cluster was asked, by name.
    #[must_use]
    pub fn asked(&self) -> HashMap<String, u64> {
        lock(&self.world).clusters.iter().map(|(name, cluster)| (name.clone(), cluster.asked)).collect()
    }

    /// Storage of all clusters.
    #[must_use]
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// Address of the server, without a path.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Base URL of a cluster's REST interface.
    #[must_use]
    pub fn address(&self, cluster: &str) -> String {
        format!("{}/c/{cluster}/", self.base)
    }

    /// Adds a cluster and tells of every change of its job.
    #[must_use]
    pub fn insert(&self, cluster: &str, made: FakeCluster) -> watch::Receiver<u64> {
        let changes = made.changes.subscribe();
        lock(&self.world).clusters.insert(cluster.to_owned(), made);
        changes
    }

    /// Removes a cluster: nothing answers at its address any more.
    pub fn remove(&self, cluster: &str) {
        lock(&self.world).clusters.remove(cluster);
    }

    /// Reads or changes a cluster; `None` when there is none.
    pub fn with<T>(&self, cluster: &str, change: impl FnOnce(&mut FakeCluster) -> T) -> Option<T> {
        let mut world = lock(&self.world);
        let found = world.clusters.get_mut(cluster)?;
        let result = change(found);
        found.changes.send_modify(|count| *count += 1);
        Some(result)
    }

    /// As [`FakeJobManagers::with`], without telling of a change.
    pub(crate) fn with_unnoticed<T>(&self, cluster: &str, read: impl FnOnce(&FakeCluster) -> T) -> Option<T> {
        lock(&self.world).clusters.get(cluster).map(read)
    }

    /// Completes a checkpoint of a running job, at `<directory>/<job id>/chk-<id>`.
    pub fn checkpoint(&self, cluster: &str, directory: &str) -> Option<Snapshot> {
        let storage = self.storage.clone();
        self.with(cluster, |cluster| {
            let job = cluster.job.as_mut().filter(|job| job.state == "RUNNING")?;
            let id = job.take_id();
            let snapshot = Snapshot { id, path: format!("{directory}/{}/chk-{id}", job.id) };
            storage.put(&snapshot);
            job.completed = Some(snapshot.clone());
            Some(snapshot)
        })
        .flatten()
    }

    fn later(&self, delay: Duration, change: impl FnOnce(&FakeJobManagers) + Send + 'static) {
        let fake = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            change(&fake);
        });
    }
}

async fn answer(State(fake): State<FakeJobManagers>, method: Method, uri: Uri, body: Bytes) -> Response {
    let segments: Vec<&str> = uri.path().split('/').filter(|segment| !segment.is_empty()).collect();
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    match segments.as_slice() {
        ["c", cluster, rest @ ..] => of_cluster(&fake, cluster, &method, rest, &body).await,
        ["auto", name, ..] if hangs(name, lock(&fake.world).hanging_percent) => std::future::pending().await,
        ["auto", name, job, rest @ ..] => automatic(&fake, name, job, &method, rest, &body),
        ["hang", percent] => {
            lock(&fake.world).hanging_percent = percent.parse().unwrap_or(0);
            StatusCode::NO_CONTENT.into_response()
        }
        ["actions"] => Json(json!(std::mem::take(&mut lock(&fake.world).actions))).into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn answer_by_name(
    State(fake): State<FakeJobManagers>,
    headers: HeaderMap,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> Response {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let Some(cluster) = host.split('.').next().and_then(|service| service.strip_suffix("-rest")) else {
        return StatusCode::MISDIRECTED_REQUEST.into_response();
    };
    let path = uri.path().trim_start_matches("/v1");
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    of_cluster(&fake, cluster, &method, &segments, &body).await
}

async fn of_cluster(
    fake: &FakeJobManagers,
    cluster: &str,
    method: &Method,
    rest: &[&str],
    body: &Value,
) -> Response {
    let known = lock(&fake.world).clusters.get_mut(cluster).map(|found| {
        found.asked += 1;
        found.behaviour
    });
    let Some(behaviour) = known else { return StatusCode::BAD_GATEWAY.into_response() };
    match behaviour {
        Behaviour::Prompt | Behaviour::LosesAnswers => {}
        Behaviour::Slow(delay) => tokio::time::sleep(delay).await,
        Behaviour::Hanging => return std::future::pending().await,
        Behaviour::Html => return Html("<html><body>Please sign in</body></html>").into_response(),
        Behaviour::Unavailable => {
            let message =
                "Service temporarily unavailable due to an ongoing leader election. Please refresh.";
            return errors(StatusCode::SERVICE_UNAVAILABLE, message);
        }
    }
    if *method == Method::GET {
        return read(fake, cluster, rest);
    }
    let answer = change(fake, cluster, method, rest, body);
    if behaviour == Behaviour::LosesAnswers {
        return std::future::pending().await;
    }
    answer
}

fn read(fake: &FakeJobManagers, cluster: &str, rest: &[&str]) -> Response {
    let world = lock(&fake.world);
    let job = world.clusters.get(cluster).and_then(|cluster| cluster.job.as_ref());
    match rest {
        ["config"] => configuration(),
        ["overview"] => overview(),
        ["taskmanagers"] => Json(json!({ "taskmanagers": [task_manager()] })).into_response(),
        ["jobs", "overview"] => {
            Json(json!({ "jobs": job.map(job_overview).into_iter().collect::<Vec<_>>() })).into_response()
        }
        ["jobs", id, what @ ..] => match job.filter(|job| job.id == *id) {
            None => errors(StatusCode::NOT_FOUND, &format!("Job {id} not found")),
            Some(job) => read_job(job, what),
        },
        ["savepoint-disposal", _trigger] => {
            Json(json!({ "status": { "id": "COMPLETED" }, "operation": {} })).into_response()
        }
        _ => errors(StatusCode::NOT_FOUND, &format!("Not found: /{}", rest.join("/"))),
    }
}

fn read_job(job: &FakeJob, what: &[&str]) -> Response {
    match what {
        ["checkpoints"] => Json(checkpoints(job)).into_response(),
        ["exceptions"] => Json(json!({
            "root-exception": null, "timestamp": null, "all-exceptions": [], "truncated": false,
            "exceptionHistory": { "entries": [], "truncated": false },
        }))
        .into_response(),
        ["savepoints" | "checkpoints", trigger] => match job.operations.get(*trigger) {
            Some(operation) => Json(operation_status(operation)).into_response(),
            None => errors(
                StatusCode::NOT_FOUND,
                &format!("There is no savepoint operation with triggerId={trigger}"),
            ),
        },
        ["execution-result"] => {
            let failed = json!({ "id": job.id, "application-status": "FAILED", "failure-cause": {
                "class": "java.lang.RuntimeException", "stack-trace": job.failure,
            }});
            let result = if job.state == "FAILED" { failed } else { Value::Null };
            let status = if job.is_over() { "COMPLETED" } else { "IN_PROGRESS" };
            Json(json!({ "status": { "id": status }, "job-execution-result": result })).into_response()
        }
        ["metrics"] => Json(json!([
            { "id": "numRestarts", "value": "0" },
            { "id": "numberOfCompletedCheckpoints", "value": job.next_id.to_string() },
        ]))
        .into_response(),
        _ => errors(StatusCode::NOT_FOUND, "Not found: /jobs/…"),
    }
}

fn change(fake: &FakeJobManagers, cluster: &str, method: &Method, rest: &[&str], body: &Value) -> Response {
    let noted = fake.with(cluster, |found| {
        let path: Vec<&str> =
            rest.iter().map(|segment| if segment.len() == 32 { ":id" } else { segment }).collect();
        found.requests.push(format!("{method} /{}", path.join("/")));
        (found.savepoints.clone(), found.job.as_ref().map(|job| (job.id.clone(), job.state)))
    });
    let Some((script, job)) = noted else { return StatusCode::BAD_GATEWAY.into_response() };
    let state_of = |id: &str| job.as_ref().filter(|(known, _)| known == id).map(|(_, state)| *state);
    match rest {
        ["savepoint-disposal"] => {
            fake.storage.remove(body["savepoint-path"].as_str().unwrap_or_default());
            accepted(&format!("{:032x}", 7))
        }
        ["jobs", id] | ["jobs", id, ..] if state_of(id).is_none() => {
            errors(StatusCode::NOT_FOUND, &format!("Job {id} not found"))
        }
        ["jobs", id] => cancel(fake, cluster, state_of(id).unwrap_or_default()),
        ["jobs", _, "stop"] => savepoint(fake, cluster, &script, body, true),
        ["jobs", _, "savepoints"] => savepoint(fake, cluster, &script, body, false),
        ["jobs", _, "checkpoints"] => checkpoint(fake, cluster, body),
        _ => errors(StatusCode::NOT_FOUND, &format!("Not found: /{}", rest.join("/"))),
    }
}

fn cancel(fake: &FakeJobManagers, cluster: &str, state: &str) -> Response {
    if matches!(state, "FINISHED" | "CANCELED" | "FAILED") {
        let message = format!(
            "Job cancellation failed because the job has already reached another terminal state ({state})."
        );
        return errors(StatusCode::CONFLICT, &message);
    }
    set_state(fake, cluster, "CANCELLING");
    let cluster = cluster.to_owned();
    fake.later(Duration::from_millis(20), move |fake| set_state(fake, &cluster, "CANCELED"));
    (StatusCode::ACCEPTED, Json(json!({}))).into_response()
}

fn set_state(fake: &FakeJobManagers, cluster: &str, state: &'static str) {
    fake.with(cluster, |found| {
        if let Some(job) = found.job.as_mut().filter(|job| !job.is_over()) {
            job.state = state;
        }
    });
}

fn savepoint(
    fake: &FakeJobManagers,
    cluster: &str,
    script: &SavepointScript,
    body: &Value,
    stop: bool,
) -> Response {
    let trigger = trigger_of(body);
    let directory =
        body["targetDirectory"].as_str().or(body["target-directory"].as_str()).unwrap_or("file:/none");
    let known = fake.with(cluster, |found| {
        let job = found.job.as_mut()?;
        match job.operations.contains_key(&trigger) {
            true => Some(true),
            false if job.state == "RUNNING" => {
                job.operations.insert(trigger.clone(), Operation::InProgress);
                Some(false)
            }
            false => None,
        }
    });
    match known.flatten() {
        None => return errors(StatusCode::BAD_REQUEST, "Not all required tasks are currently running."),
        Some(true) => return accepted(&trigger),
        Some(false) => {}
    }
    let (delay, completes, tells) = match script {
        SavepointScript::CompleteAfter(delay) => (*delay, true, true),
        SavepointScript::FailAfter(delay) => (*delay, false, true),
        SavepointScript::CompleteAndFailJob(delay) => (*delay, true, false),
    };
    let (cluster, directory, operation) = (cluster.to_owned(), directory.to_owned(), trigger.clone());
    fake.later(delay, move |fake| {
        let storage = fake.storage.clone();
        fake.with(&cluster, |found| {
            if let Some(job) = found.job.as_mut().filter(|job| !job.is_over()) {
                let end = Completion { completes, tells, stop };
                complete(job, &storage, &directory, operation, end);
            }
        });
    });
    accepted(&trigger)
}

#[derive(Clone, Copy)]
struct Completion {
    completes: bool,
    tells: bool,
    stop: bool,
}

fn complete(job: &mut FakeJob, storage: &Storage, directory: &str, operation: String, end: Completion) {
    if !end.completes {
        job.operations
            .insert(operation, Operation::Failed("Checkpoint Coordinator is suspending.".to_owned()));
        return;
    }
    let id = job.take_id();
    let snapshot = Snapshot { id, path: format!("{directory}/savepoint-{}-{id:012x}", &job.id[..6]) };
    storage.put(&snapshot);
    job.savepoint = Some(snapshot.clone());
    if !end.tells {
        job.state = "FAILED";
        job.failure = "java.lang.RuntimeException: failed after the savepoint".to_owned();
        let cause = format!(
            "org.apache.flink.runtime.scheduler.stopwithsavepoint.StopWithSavepointStoppingException: A savepoint has \
             been created at: {}, but the corresponding job {} failed during stopping. The savepoint is consistent, \
             but might have uncommitted transactions.",
            snapshot.path, job.id
        );
        job.operations.insert(operation, Operation::Failed(cause));
        return;
    }
    job.operations.insert(operation, Operation::Savepoint(snapshot.path));
    if end.stop {
        job.state = "FINISHED";
    }
}

fn checkpoint(fake: &FakeJobManagers, cluster: &str, body: &Value) -> Response {
    let trigger = trigger_of(body);
    let storage = fake.storage.clone();
    fake.with(cluster, |found| {
        let Some(job) = found.job.as_mut().filter(|job| job.state == "RUNNING") else { return };
        if !job.operations.contains_key(&trigger) {
            let id = job.take_id();
            let snapshot = Snapshot { id, path: format!("file:/checkpoints/{}/chk-{id}", job.id) };
            storage.put(&snapshot);
            job.completed = Some(snapshot);
            job.operations.insert(trigger.clone(), Operation::Checkpoint(id));
        }
    });
    accepted(&trigger)
}

/// The id of an operation that the caller chose, or else one that Flink chooses.
fn trigger_of(body: &Value) -> String {
    static CHOSEN: AtomicU64 = AtomicU64::new(0);
    match body["triggerId"].as_str() {
        Some(given) => given.to_owned(),
        None => format!("{:032x}", (1_u128 << 64) + u128::from(CHOSEN.fetch_add(1, Ordering::Relaxed))),
    }
}

fn job_overview(job: &FakeJob) -> Value {
    let running = if job.state == "RUNNING" && job.tasks_running { 4 } else { 0 };
    let finished = if job.state == "FINISHED" { 4 } else { 0 };
    json!({
        "jid": job.id, "name": "fake", "state": job.state, "start-time": job.started_at_ms, "end-time": -1,
        "duration": 1, "last-modification": job.started_at_ms,
        "tasks": { "total": 4, "running": running, "finished": finished, "canceling": 0, "canceled": 0, "failed": 0,
                   "created": 0, "scheduled": 0, "deploying": 0, "reconciling": 0, "initializing": 0 },
    })
}

fn checkpoints(job: &FakeJob) -> Value {
    let of = |snapshot: &Option<Snapshot>, is_savepoint: bool| {
        snapshot.as_ref().map(|snapshot| {
            json!({
                "className": "completed", "id": snapshot.id, "status": "COMPLETED", "is_savepoint": is_savepoint,
                "savepointFormat": is_savepoint.then_some("CANONICAL"),
                "checkpoint_type": if is_savepoint { "SAVEPOINT" } else { "CHECKPOINT" },
                "trigger_timestamp": now_ms(), "latest_ack_timestamp": now_ms(), "state_size": 1000,
                "checkpointed_size": 1000, "end_to_end_duration": 100, "alignment_buffered": 0,
                "processed_data": 0, "persisted_data": 0, "num_subtasks": 4, "num_acknowledged_subtasks": 4,
                "tasks": {}, "external_path": snapshot.path, "discarded": false,
            })
        })
    };
    let restored = job.restored.as_ref().map(|snapshot| {
        json!({
            "id": snapshot.id, "restore_timestamp": job.started_at_ms, "is_savepoint": true,
            "external_path": snapshot.path,
        })
    });
    let (completed, savepoint) = (of(&job.completed, false), of(&job.savepoint, true));
    let history: Vec<Value> = savepoint.iter().chain(&completed).cloned().collect();
    json!({
        "counts": { "restored": u8::from(restored.is_some()), "total": history.len(), "in_progress": 0,
                    "completed": history.len(), "failed": 0 },
        "summary": summary(),
        "latest": { "completed": completed, "savepoint": savepoint, "failed": null, "restored": restored },
        "history": history,
    })
}

/// Statistics over all checkpoints, of which there are none to speak of.
fn summary() -> Value {
    let none =
        json!({ "min": 0, "max": 0, "avg": 0, "p50": 0.0, "p90": 0.0, "p95": 0.0, "p99": 0.0, "p999": 0.0 });
    let names = [
        "checkpointed_size",
        "state_size",
        "end_to_end_duration",
        "alignment_buffered",
        "processed_data",
        "persisted_data",
    ];
    names.into_iter().map(|name| (name.to_owned(), none.clone())).collect::<serde_json::Map<_, _>>().into()
}

fn task_manager() -> Value {
    let resource = json!({
        "cpuCores": 2.0, "taskHeapMemory": 1024, "taskOffHeapMemory": 0, "managedMemory": 1024, "networkMemory": 256,
        "extendedResources": {},
    });
    json!({
        "id": "fake-taskmanager-1-1", "path": "pekko.tcp://flink@127.0.0.1:6122/user/rpc/taskmanager_0",
        "dataPort": 6121, "jmxPort": -1, "timeSinceLastHeartbeat": now_ms(), "slotsNumber": 4, "freeSlots": 0,
        "totalResource": resource, "freeResource": resource,
        "hardware": { "cpuCores": 2, "physicalMemory": 8_000_000_000_u64, "freeMemory": 1_000_000_000,
                      "managedMemory": 1_000_000_000 },
        "memoryConfiguration": {
            "frameworkHeap": 134_217_728, "taskHeap": 1_073_741_824, "frameworkOffHeap": 134_217_728, "taskOffHeap": 0,
            "networkMemory": 268_435_456, "managedMemory": 1_073_741_824, "jvmMetaspace": 268_435_456,
            "jvmOverhead": 429_496_729, "totalFlinkMemory": 2_684_354_560_u64,
            "totalProcessMemory": 4_294_967_296_u64,
        },
    })
}

fn operation_status(operation: &Operation) -> Value {
    match operation {
        Operation::InProgress => json!({ "status": { "id": "IN_PROGRESS" }, "operation": null }),
        Operation::Savepoint(path) => {
            json!({ "status": { "id": "COMPLETED" }, "operation": { "location": path } })
        }
        Operation::Checkpoint(id) => {
            json!({ "status": { "id": "COMPLETED" }, "operation": { "checkpointId": id, "failureCause": null } })
        }
        Operation::Failed(cause) => json!({ "status": { "id": "COMPLETED" }, "operation": {
            "failure-cause": { "class": "java.util.concurrent.CompletionException", "stack-trace": cause },
        }}),
    }
}

/// Whether the cluster `name` is among those that hang when so many of a hundred do.
#[must_use]
pub fn hangs(name: &str, percent: u64) -> bool {
    let digits: String = name.chars().filter(char::is_ascii_digit).collect();
    digits.parse::<u64>().is_ok_and(|number| number % 100 < percent)
}

/// A cluster that nobody made: its job runs.
fn automatic(
    fake: &FakeJobManagers,
    name: &str,
    job_id: &str,
    method: &Method,
    rest: &[&str],
    body: &Value,
) -> Response {
    let mut world = lock(&fake.world);
    let mut job = FakeJob::new(job_id, None);
    job.state = "RUNNING";
    job.tasks_running = true;
    job.started_at_ms = 1_700_000_000_000;
    if let Some(ended) = world.ended.get(job_id) {
        job.state = ended.state;
        job.savepoint = ended.savepoint.clone();
    }
    if *method != Method::GET {
        world.actions.push((name.to_owned(), now_us()));
        let trigger = body["triggerId"].as_str().unwrap_or_default();
        let directory = body["targetDirectory"].as_str().unwrap_or("file:/none");
        let stop = rest.last() == Some(&"stop");
        let savepoint = stop.then(|| Snapshot { id: 1, path: format!("{directory}/savepoint-1") });
        let state = if stop { "FINISHED" } else { "CANCELED" };
        world.ended.insert(job_id.to_owned(), Ended { state, savepoint });
        return accepted(trigger);
    }
    match rest {
        ["config"] => configuration(),
        ["jobs", "overview"] => Json(json!({ "jobs": [job_overview(&job)] })).into_response(),
        ["jobs", _, "checkpoints"] => Json(checkpoints(&job)).into_response(),
        ["jobs", _, "savepoints", _trigger] => match &job.savepoint {
            Some(snapshot) => {
                Json(operation_status(&Operation::Savepoint(snapshot.path.clone()))).into_response()
            }
            None => errors(StatusCode::NOT_FOUND, "There is no savepoint operation with that triggerId"),
        },
        _ => errors(StatusCode::NOT_FOUND, &format!("Not found: /{}", rest.join("/"))),
    }
}

fn configuration() -> Response {
    Json(json!({
        "refresh-interval": 3000, "timezone-name": "UTC", "timezone-offset": 0, "flink-version": "1.20.3",
        "flink-revision": "fake", "features": { "web-submit": true, "web-cancel": true },
    }))
    .into_response()
}

fn overview() -> Response {
    Json(json!({
        "taskmanagers": 1, "slots-total": 4, "slots-available": 0, "jobs-running": 1, "jobs-finished": 0,
        "jobs-cancelled": 0, "jobs-failed": 0, "flink-version": "1.20.3", "flink-commit": "fake",
    }))
    .into_response()
}

fn accepted(trigger: &str) -> Response {
    (StatusCode::ACCEPTED, Json(json!({ "request-id": trigger }))).into_response()
}

fn errors(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "errors": [message] }))).into_response()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn now_ms() -> i64 {
    i64::try_from(since_epoch().as_millis()).unwrap_or(i64::MAX)
}

fn now_us() -> u64 {
    u64::try_from(since_epoch().as_micros()).unwrap_or(u64::MAX)
}
