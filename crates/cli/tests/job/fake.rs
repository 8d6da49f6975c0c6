//! A session cluster that is not there: Flink's REST interface for jars and jobs, as far as `drey job` asks it, and nastier
//! than the real one. A job does what its arguments say.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::sync::watch;

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is done, and the connection breaks before the answer.
    LoseAnswer,
    /// The connection breaks before it is done.
    LoseRequest,
    /// It is done, and nothing comes back.
    Silence,
    /// It is not done, and this comes back.
    Answer(u16, &'static str),
    /// It is not done, and Flink is dead from then on.
    Die,
    /// It is done, and then Flink is dead.
    DieAfter,
}

/// How savepoints go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Savepoints {
    #[default]
    Succeed,
    /// `COMPLETED`, with a failure cause: what Flink says of a failed one.
    Fail,
    /// They go on and on.
    NeverEnd,
}

/// A job of the cluster.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) state: &'static str,
    pub(crate) body: Value,
    /// The savepoint that it was stopped with.
    pub(crate) stopped_with: Option<String>,
    /// Completed checkpoints of its own.
    pub(crate) completed: u64,
    looks: usize,
}

impl Job {
    pub(crate) fn is_active(&self) -> bool {
        !matches!(self.state, "FINISHED" | "CANCELED" | "FAILED")
    }

    pub(crate) fn savepoint(&self) -> Option<&str> {
        self.body["savepointPath"].as_str()
    }

    pub(crate) fn arguments(&self) -> Vec<&str> {
        self.body["programArgsList"]
            .as_array()
            .map(|words| words.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default()
    }
}

#[derive(Default)]
pub(crate) struct World {
    pub(crate) jobs: Vec<Job>,
    pub(crate) jars: Vec<(String, String)>,
    pub(crate) savepoints: Savepoints,
    /// Every request as `METHOD /path`.
    pub(crate) asked: Vec<String>,
    /// The bytes of the longest upload.
    pub(crate) longest_upload: usize,
    /// The most jobs that were active at once.
    pub(crate) most_active: usize,
    /// The header that is asked for.
    pub(crate) authorization: Option<&'static str>,
    /// The header of the last request.
    pub(crate) authorized: Option<String>,
    /// The directory in which each job has one for its checkpoints.
    pub(crate) checkpoints: Option<String>,
    /// Its jobs would come back with it.
    pub(crate) high_availability: bool,
    /// From 2.3 on a job that is submitted is an application.
    pub(crate) is_2_3: bool,
    /// How often it was started again.
    lives: usize,
    operations: HashMap<String, Value>,
    faults: Vec<(String, usize, Fault)>,
    uploads: usize,
}

#[derive(Clone)]
pub(crate) struct Fake {
    world: Arc<Mutex<World>>,
    count: watch::Sender<usize>,
    /// Whether it is to live, and whether it listens.
    lives: watch::Sender<bool>,
    listens: watch::Sender<bool>,
    pub(crate) url: String,
}

/// Listens while Flink lives.
async fn live(fake: Fake, mut listener: tokio::net::TcpListener) {
    let (mut lives, address) = (fake.lives.subscribe(), listener.local_addr().expect("an address"));
    loop {
        fake.listens.send_replace(true);
        let router = Router::new().fallback(serve).with_state(fake.clone());
        tokio::select! {
            _ = axum::serve(listener, router) => {}
            dead = lives.wait_for(|lives| !lives) => drop(dead.expect("the fake lives")),
        }
        fake.listens.send_replace(false);
        lives.wait_for(|lives| *lives).await.expect("the fake lives");
        listener = tokio::net::TcpListener::bind(address).await.expect("the same port");
    }
}

impl Fake {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (lives, listens) = (watch::Sender::new(true), watch::Sender::new(true));
        let fake = Self { world: Arc::default(), count: watch::Sender::new(0), lives, listens, url };
        tokio::spawn(live(fake.clone(), listener));
        fake
    }

    /// Waits until it is dead.
    pub(crate) async fn died(&self) {
        self.listens.subscribe().wait_for(|listens| !listens).await.expect("the fake lives");
    }

    /// Starts it again, without its jobs; its jars are there or not.
    pub(crate) async fn start_again(&self, keeps_jars: bool) {
        {
            let mut world = self.world();
            world.lives += 1;
            world.jobs.clear();
            world.operations.clear();
            world.faults.clear();
            if !keeps_jars {
                world.jars.clear();
            }
        }
        self.lives.send_replace(true);
        self.listens.subscribe().wait_for(|listens| *listens).await.expect("the fake lives");
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("no handler panics while it holds it")
    }

    /// The next `times` requests that contain `request` go wrong.
    pub(crate) fn fault(&self, request: &str, times: usize, fault: Fault) {
        self.world().faults.push((request.to_owned(), times, fault));
    }

    /// A job that runs already, started by whomever.
    pub(crate) fn runs(&self, digit: char, name: &str) -> String {
        let id = digit.to_string().repeat(32);
        self.world().start(json!({"jobId": id, "programArgsList": ["--name", name]}));
        id
    }

    /// Waits until this many requests were asked.
    pub(crate) async fn reached(&self, requests: usize) {
        let mut count = self.count.subscribe();
        count.wait_for(|count| *count >= requests).await.expect("the fake lives");
    }

    pub(crate) fn active(&self) -> Vec<Job> {
        self.world().jobs.iter().filter(|job| job.is_active()).cloned().collect()
    }

    pub(crate) fn job(&self, id: &str) -> Job {
        self.world().jobs.iter().find(|job| job.id == id).expect("a job").clone()
    }

    /// How often something was asked.
    pub(crate) fn times(&self, request: &str) -> usize {
        self.world().asked.iter().filter(|asked| asked.contains(request)).count()
    }
}

async fn serve(State(fake): State<Fake>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let asked = format!("{} {path}", head.method);
    let authorized =
        head.headers.get("authorization").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let fault = {
        let mut world = fake.world();
        world.asked.push(asked.clone());
        world.authorized = authorized;
        world.take_fault(&asked)
    };
    // Whoever kills its client at this request kills it while this is under way.
    fake.count.send_modify(|count| *count += 1);
    let (content, bytes) = read(body).await;
    if fault == Some(Fault::Die) {
        fake.lives.send_replace(false);
    }
    if fault == Some(Fault::LoseRequest) || !*fake.lives.borrow() {
        break_connection();
    }
    let (status, answer) = match fault {
        Some(Fault::Answer(status, text)) => (status, text.to_owned()),
        _ => fake.world().answer(&head.method, &path, &content, bytes),
    };
    match fault {
        Some(Fault::LoseAnswer) => break_connection(),
        Some(Fault::DieAfter) => {
            fake.lives.send_replace(false);
            break_connection()
        }
        Some(Fault::Silence) => std::future::pending().await,
        _ => {}
    }
    let status = StatusCode::from_u16(status).expect("a status");
    Response::builder().status(status).body(Body::from(answer)).expect("an answer")
}

/// Ends the task of the connection, as a process that dies would.
fn break_connection() -> ! {
    std::panic::resume_unwind(Box::new("the connection breaks"))
}

/// The beginning of a body, and how long it is in all.
async fn read(body: Body) -> (Vec<u8>, usize) {
    let (mut beginning, mut bytes) = (Vec::new(), 0);
    let mut pieces = body.into_data_stream();
    while let Some(Ok(piece)) = pieces.next().await {
        bytes += piece.len();
        if beginning.len() < 64 * 1024 {
            beginning.extend_from_slice(&piece);
        }
    }
    (beginning, bytes)
}

fn now_ms() -> u64 {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970");
    u64::try_from(now.as_millis()).expect("not that late")
}

fn errors(text: &str) -> String {
    json!({ "errors": [text] }).to_string()
}

impl World {
    fn take_fault(&mut self, asked: &str) -> Option<Fault> {
        let at = self
            .faults
            .iter()
            .position(|(request, times, _)| asked.contains(request.as_str()) && *times > 0)?;
        self.faults[at].1 -= 1;
        Some(self.faults[at].2.clone())
    }

    fn answer(&mut self, method: &Method, path: &str, content: &[u8], bytes: usize) -> (u16, String) {
        if let Some(needed) = self.authorization
            && self.authorized.as_deref() != Some(needed)
        {
            return (401, "<html>who are you?</html>".to_owned());
        }
        let body: Value = serde_json::from_slice(content).unwrap_or_default();
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let answer = match (method.as_str(), parts.as_slice()) {
            ("GET", ["jobs", "overview"]) => (200, self.overview()),
            ("GET", ["jobmanager", "config"]) => (200, self.configuration()),
            ("GET", ["jars"]) => (200, self.list()),
            ("POST", ["jars", "upload"]) => (200, self.upload(content, bytes)),
            ("DELETE", ["jars", jar]) => {
                self.jars.retain(|(id, _)| id != jar);
                (200, "{}".to_owned())
            }
            ("POST", ["jars", jar, "plan"]) => self.plan(jar, &body),
            ("POST", ["jars", jar, "run"]) => self.run(jar, body),
            ("POST", ["jobs", job, "stop"]) => self.savepoint(job, &body, true),
            ("POST", ["jobs", job, "savepoints"]) => self.savepoint(job, &body, false),
            ("GET", ["jobs", job, "savepoints", trigger]) => match self.operations.get(&format!("{job} {trigger}")) {
                Some(operation) => (200, operation.to_string()),
                None => (404, errors("There is no savepoint operation with this trigger")),
            },
            ("PATCH", ["jobs", job]) => self.cancel(job),
            ("GET", ["jobs", job, "checkpoints"]) => self.checkpoints(job),
            ("GET", ["jobs", _, "exceptions"]) => (200, r#"{"exceptionHistory":{"entries":[{"exceptionName":"a.B","stacktrace":"a.B: x\nCaused by: java.io.IOException: disk full","timestamp":1}]}}"#.to_owned()),
            ("GET", ["jobmanager", "log"]) => (200, "a line of the log\n".to_owned()),
            _ => (404, errors(&format!("Not found: {path}"))),
        };
        self.most_active = self.most_active.max(self.jobs.iter().filter(|job| job.is_active()).count());
        answer
    }

    fn configuration(&self) -> String {
        let mut entries =
            vec![json!({"key": "web.tmpdir", "value": format!("/tmp/flink-web-{}", self.lives)})];
        if let Some(directory) = &self.checkpoints {
            entries.push(json!({"key": "state.checkpoints.dir", "value": directory}));
        }
        if self.high_availability {
            entries.push(json!({"key": "high-availability.type", "value": "kubernetes"}));
        }
        Value::Array(entries).to_string()
    }

    fn overview(&mut self) -> String {
        for job in self.jobs.iter_mut().filter(|job| job.is_active()) {
            job.looks += 1;
            if argument(&job.body, "--do") == Some("crash") {
                job.state = if job.looks % 2 == 0 { "RUNNING" } else { "RESTARTING" };
            }
        }
        let jobs: Vec<Value> = self
            .jobs
            .iter()
            .enumerate()
            .map(|(at, job)| {
                let running = u8::from(job.state == "RUNNING" && argument(&job.body, "--do") != Some("wait"));
                json!({"jid": job.id, "name": job.name, "state": job.state, "start-time": at + 1,
                "end-time": if job.is_active() { -1 } else { i64::try_from(at + 1).expect("few") },
                "tasks": {"total": 1, "running": running}})
            })
            .collect();
        json!({ "jobs": jobs }).to_string()
    }

    fn list(&self) -> String {
        let files: Vec<Value> = self
            .jars
            .iter()
            .map(|(id, name)| json!({"id": id, "name": name, "uploaded": now_ms(), "entry": []}))
            .collect();
        json!({ "address": "", "files": files }).to_string()
    }

    fn upload(&mut self, content: &[u8], bytes: usize) -> String {
        let text = String::from_utf8_lossy(content);
        let name =
            text.split_once("name=\"jarfile\"; filename=\"").and_then(|(_, rest)| rest.split_once('"'));
        let name = name.expect("a form with the jar").0;
        self.uploads += 1;
        let id = format!("{:08}-uuid_{name}", self.uploads);
        self.jars.push((id.clone(), name.to_owned()));
        self.longest_upload = self.longest_upload.max(bytes);
        json!({"filename": format!("/tmp/flink-web-upload/{id}"), "status": "success"}).to_string()
    }

    fn plan(&self, jar: &str, body: &Value) -> (u16, String) {
        match (self.has_jar(jar), argument(body, "--do")) {
            (false, _) => (400, errors("Jar file does not exist")),
            (_, Some("no-plan")) => {
                (500, errors("ProgramInvocationException: The program's entry point class 'X' was not found"))
            }
            _ => (
                200,
                json!({"plan": {"name": argument(body, "--name").unwrap_or("job"), "nodes": []}}).to_string(),
            ),
        }
    }

    fn has_jar(&self, jar: &str) -> bool {
        self.jars.iter().any(|(id, _)| id == jar)
    }

    fn run(&mut self, jar: &str, body: Value) -> (u16, String) {
        if !self.has_jar(jar) {
            return (400, errors("Jar file does not exist"));
        }
        match argument(&body, "--do") {
            Some("refuse") => (
                400,
                errors("a.OuterException: x\nCaused by: java.lang.IllegalStateException: Cannot map state"),
            ),
            _ => self.start(body),
        }
    }

    /// Flink takes each id once, whatever has become of its job.
    fn start(&mut self, body: Value) -> (u16, String) {
        let id = body["jobId"].as_str().expect("an id that the client has chosen").to_owned();
        if self.jobs.iter().any(|job| job.id == id) {
            return (
                400,
                errors(&format!(
                    "a.OuterException: x\nCaused by: org.apache.flink.runtime.client.Duplicate{}SubmissionException: It has already been submitted.",
                    if self.is_2_3 { "Application" } else { "Job" }
                )),
            );
        }
        let state = match argument(&body, "--do") {
            Some("finish") => "FINISHED",
            Some("fail") => "FAILED",
            Some("stay-created") => "CREATED",
            _ => "RUNNING",
        };
        let completed = u64::from(argument(&body, "--committed").is_some());
        let name = argument(&body, "--name").unwrap_or("job").to_owned();
        let answer = json!({ "jobid": id }).to_string();
        self.jobs.push(Job { id, name, state, body, stopped_with: None, completed, looks: 0 });
        (200, answer)
    }

    fn savepoint(&mut self, id: &str, body: &Value, ends: bool) -> (u16, String) {
        let trigger = body["triggerId"].as_str().expect("an id that the client has chosen").to_owned();
        let key = format!("{id} {trigger}");
        let Some(job) = self.jobs.iter_mut().find(|job| job.id == id) else {
            return (404, errors("Job could not be found"));
        };
        let directory = body["targetDirectory"].as_str().or(body["target-directory"].as_str());
        let Some(directory) = directory else {
            return (
                400,
                errors(
                    "Config key [state.savepoints.dir] is not set. Property [targetDirectory] must be provided.",
                ),
            );
        };
        let failed = |cause: &str| json!({"status": {"id": "COMPLETED"}, "operation": {"failure-cause": {"class": "x", "stack-trace": cause}}});
        if !self.operations.contains_key(&key) {
            let operation = match self.savepoints {
                _ if !job.is_active() => failed("FlinkJobNotFoundException: Could not find Flink job"),
                Savepoints::Fail => failed("java.io.IOException: bucket not there"),
                Savepoints::NeverEnd => json!({"status": {"id": "IN_PROGRESS"}}),
                Savepoints::Succeed => {
                    let location = format!("{directory}/savepoint-{}-{}", &id[..6], &trigger[..12]);
                    write_state(&location);
                    if ends {
                        job.state = "FINISHED";
                        job.stopped_with = Some(location.clone());
                    }
                    json!({"status": {"id": "COMPLETED"}, "operation": {"location": location}})
                }
            };
            self.operations.insert(key, operation);
        }
        (202, json!({ "request-id": trigger }).to_string())
    }

    /// As when Flink has forgotten the results of operations, after five minutes.
    pub(crate) fn forget_operations(&mut self) {
        self.operations.clear();
    }

    fn cancel(&mut self, id: &str) -> (u16, String) {
        match self.jobs.iter_mut().find(|job| job.id == id) {
            None => (404, errors("Job could not be found")),
            Some(job) if !job.is_active() => (409, errors("Job is already terminated")),
            Some(job) => {
                job.state = "CANCELED";
                (202, "{}".to_owned())
            }
        }
    }

    fn checkpoints(&self, id: &str) -> (u16, String) {
        let Some(job) = self.jobs.iter().find(|job| job.id == id) else {
            return (404, errors("Job could not be found"));
        };
        let savepoint = job.stopped_with.as_ref().map(|path| {
            json!({"id": 9, "status": "COMPLETED", "is_savepoint": true, "external_path": path, "checkpoint_type": "SYNC_SAVEPOINT"})
        });
        (200, json!({"counts": {"completed": job.completed}, "latest": {"savepoint": savepoint}}).to_string())
    }
}

/// Writes a savepoint or a checkpoint, if this is a place of this machine.
pub(crate) fn write_state(location: &str) {
    if std::path::Path::new(location)
        .ancestors()
        .nth(2)
        .is_some_and(|root| root.starts_with(std::env::temp_dir()))
    {
        std::fs::create_dir_all(location).expect("made");
        std::fs::write(format!("{location}/_metadata"), "whole").expect("written");
    }
}

fn argument<'a>(body: &'a Value, flag: &str) -> Option<&'a str> {
    let words = body["programArgsList"].as_array()?;
    let at = words.iter().position(|word| word == flag)?;
    words.get(at + 1)?.as_str()
}
