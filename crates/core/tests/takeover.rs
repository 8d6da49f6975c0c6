//! From every moment of a recording of the Java operator: the record is read as it stood, with the cluster and the
//! high-availability store that existed then, and decided upon until nothing changes any more. What may happen is
//! said by the recording, without the code that decides.

use std::collections::BTreeMap;
use std::sync::Arc;

use drey_api::defaults::Defaults;
use drey_api::desired::{Context, Desired, Invalid, parse};
use drey_api::kinds::{FlinkDeploymentSpec, FlinkDeploymentStatus, FlinkJobState};
use drey_api::reconciled;
use drey_core::observed::{
    Checkpoints, Cluster, ClusterPhase, HighAvailability, JobStore, JobView, Observed, Operation, Rest,
    StoredSnapshot,
};
use drey_core::{Action, IntentKind, JobId, Journal, Now, Policy, Resource, Restore, Seen, decide, status};
use serde_json::Value;

const RECORDING: &str = include_str!("fixtures/java-operator-1.15.0.jsonl");
/// Second 0 of the recording, milliseconds since the epoch.
const EPOCH_MS: i64 = 1_795_257_504_000;
/// The first deploy is over by then.
const BROKEN_GENERATION: i64 = 7;

type Objects = BTreeMap<(String, String), Value>;

/// What existed at one moment, and the last job that was started.
#[derive(Clone)]
struct Moment {
    line: usize,
    at_ms: i64,
    objects: Objects,
    started: Option<Started>,
}

/// A job as the Java operator started it, and what it completed since.
#[derive(Clone, Debug)]
struct Started {
    job_id: String,
    path: Option<String>,
    savepoint: Option<String>,
    ended: bool,
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

/// Every moment at which the FlinkDeployment `name` exists.
fn moments(name: &str) -> Vec<Moment> {
    let mut objects = Objects::new();
    let mut started: Option<Started> = None;
    let mut moments = Vec::new();
    let entries: Vec<Value> =
        RECORDING.lines().map(|line| serde_json::from_str(line).expect("the recording is JSON")).collect();
    for (line, entry) in entries.iter().enumerate() {
        let object = &entry["object"];
        let kind = entry["kind"].as_str().expect("a kind").to_owned();
        let own_name = text(object, "/metadata/name").expect("a name").to_owned();
        if kind == "Deployment" && own_name == name && entry["event"] == "ADDED" {
            // Its configuration is created a moment after it.
            let configuration = entries[line..].iter().find(|later| {
                later["event"] == "ADDED"
                    && text(later, "/object/metadata/name") == Some(&format!("flink-config-{name}"))
            });
            let configuration = &configuration.expect("every cluster has one")["object"];
            started = Some(start_of(configuration, started.as_ref()));
        }
        if let (Some(path), Some(started)) = (upgrade_savepoint(&kind, object, name), &mut started) {
            started.savepoint = Some(path);
            started.ended = true;
        }
        if entry["event"] == "DELETED" {
            objects.remove(&(kind, own_name));
        } else {
            objects.insert((kind, own_name), object.clone());
        }
        if objects.contains_key(&("FlinkDeployment".to_owned(), name.to_owned())) {
            let at_ms = EPOCH_MS + (entry["t"].as_f64().expect("seconds") * 1_000.0) as i64;
            moments.push(Moment {
                line: line + 1,
                at_ms,
                objects: objects.clone(),
                started: started.clone(),
            });
        }
    }
    assert!(moments.len() > 100, "{} moments of {name}", moments.len());
    moments
}

fn start_of(config_map: &Value, before: Option<&Started>) -> Started {
    let file = text(config_map, "/data/flink-conf.yaml").expect("the configuration");
    let of =
        |key: &str| file.lines().find_map(|line| line.strip_prefix(key)).map(|rest| rest[2..].to_owned());
    let job_id = of("$internal.pipeline.job-id").unwrap_or_default();
    let path = of("execution.savepoint.path");
    match before.filter(|before| before.job_id == job_id) {
        // Last-state goes on under the same id.
        Some(before) => before.clone(),
        None => Started { job_id, path, savepoint: None, ended: false },
    }
}

/// The savepoint with which a job of `name` was stopped: its resource exists before the status tells of it.
fn upgrade_savepoint(kind: &str, object: &Value, name: &str) -> Option<String> {
    let own = text(object, "/metadata/name")?.starts_with(&format!("{name}-savepoint-upgrade-"));
    (kind == "FlinkStateSnapshot" && own && object["status"].is_null())
        .then(|| text(object, "/spec/savepoint/path").map(str::to_owned))?
}

impl Moment {
    fn object(&self, kind: &str, name: &str) -> Option<&Value> {
        self.objects.get(&(kind.to_owned(), name.to_owned()))
    }

    fn resource(&self, name: &str) -> &Value {
        self.object("FlinkDeployment", name).expect("it exists at its moments")
    }

    fn cluster(&self, name: &str) -> Seen<Cluster> {
        let Some(deployment) = self.object("Deployment", name) else { return Seen::Absent };
        let meta = &deployment["metadata"];
        let annotations = &meta["annotations"];
        assert!(annotations["drey.dev/intent"].is_null());
        let available = deployment["status"]["availableReplicas"].as_i64().unwrap_or(0) > 0;
        let progressed = deployment["status"]["conditions"].as_array().is_some_and(|conditions| {
            conditions.iter().any(|condition| condition["reason"] == "NewReplicaSetAvailable")
        });
        Seen::Present(Cluster {
            uid: text(meta, "/uid").expect("a uid").into(),
            owned: text(meta, "/ownerReferences/0/uid") == text(self.resource(name), "/metadata/uid"),
            terminating: !meta["deletionTimestamp"].is_null(),
            seq: None,
            job_id: None,
            generation: text(annotations, "/flinkdeployment.flink.apache.org~1generation")
                .and_then(|text| text.parse().ok()),
            flink_version: None,
            phase: if available { ClusterPhase::Available } else { ClusterPhase::Starting },
            never_available: !available && !progressed,
            task_managers: None,
            missing: None,
        })
    }

    fn store(&self, name: &str) -> Seen<HighAvailability> {
        let mut store = HighAvailability::default();
        for ((kind, map), object) in &self.objects {
            let Some(rest) = map.strip_prefix(&format!("{name}-")).filter(|_| kind == "ConfigMap") else {
                continue;
            };
            let Some(rest) = rest.strip_suffix("-config-map") else { continue };
            store.maps.push((map.as_str().into(), text(object, "/metadata/uid").expect("a uid").into()));
            let keys: Vec<&str> =
                object["data"].as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
            if keys.iter().any(|key| key.starts_with("jobGraph-")) {
                store.job_graphs.push((map.as_str().into(), "1".into()));
            }
            if rest.len() == 32 {
                let ids = keys.iter().filter_map(|key| key.strip_prefix("checkpointID-")?.parse().ok());
                let newest_checkpoint_id = ids.max();
                store.jobs.push(JobStore {
                    job_id: JobId::new(rest),
                    newest_checkpoint_id,
                    created_at_ms: 0,
                });
            }
        }
        if store.maps.is_empty() { Seen::Absent } else { Seen::Present(store) }
    }

    fn generation(&self, name: &str) -> i64 {
        self.resource(name)["metadata"]["generation"].as_i64().expect("a generation")
    }

    /// At rest: deployed for the present generation, and whole.
    fn is_at_rest(&self, name: &str) -> bool {
        let object = self.resource(name);
        let status = &object["status"];
        let deployed = matches!(status["lifecycleState"].as_str(), Some("STABLE" | "SUSPENDED"));
        let whole = self.cluster(name).present().is_some_and(|cluster| !cluster.terminating);
        deployed
            && whole
            && status["observedGeneration"] == object["metadata"]["generation"]
            && status["error"].is_null()
            && object["metadata"]["deletionTimestamp"].is_null()
            && (status["jobStatus"]["state"] == "RUNNING" || status["lifecycleState"] == "SUSPENDED")
            // The Java operator is stopping the job and has not yet written so.
            && self.started.as_ref().is_none_or(|started| {
                started.ended == (status["lifecycleState"] == "SUSPENDED")
            })
    }
}

fn resolve(spec: &FlinkDeploymentSpec, last: Option<&reconciled::Reconciled>) -> Result<Desired, Invalid> {
    parse(spec, &Context { namespace: "flink", name: "led", defaults: &Defaults::default(), last })
}

/// Everything around one resource, as simple as it can be: what is asked for happens at once.
struct World {
    name: &'static str,
    object: Value,
    status: Value,
    resource: Resource,
    cluster: Seen<Cluster>,
    store: Seen<HighAvailability>,
    /// The job of the cluster, when one was submitted.
    job: Option<(String, FlinkJobState)>,
    /// The job that the cluster runs as soon as it is up.
    starts: Option<String>,
    /// The last snapshot that Flink knows of.
    newest: Option<StoredSnapshot>,
    operation: Seen<Operation>,
    now_ms: i64,
    writes: usize,
    actions: Vec<Action>,
    deployed: Option<(JobId, Restore)>,
}

impl World {
    fn at(name: &'static str, moment: &Moment) -> World {
        let object = moment.resource(name).clone();
        let status =
            if object["status"].is_null() { serde_json::json!({}) } else { object["status"].clone() };
        let spec: FlinkDeploymentSpec = drey_api::kinds::read(&object["spec"]).expect("a spec");
        let last = text(&status, "/reconciliationStatus/lastReconciledSpec")
            .map(|text| reconciled::decode(text).expect("it is in the operator's encoding"));
        let meta = &object["metadata"];
        let resource = Resource {
            uid: text(meta, "/uid").expect("a uid").into(),
            namespace: "flink".into(),
            name: name.into(),
            generation: moment.generation(name),
            created_at_ms: EPOCH_MS,
            deleting: !meta["deletionTimestamp"].is_null(),
            finalizer: !meta["finalizers"].is_null(),
            desired: resolve(&spec, last.as_ref()).map(Arc::new).map_err(Arc::new),
        };
        let cluster = moment.cluster(name);
        let up = cluster
            .present()
            .is_some_and(|cluster| cluster.phase == ClusterPhase::Available && !cluster.terminating);
        let broken = moment.generation(name) == BROKEN_GENERATION
            && cluster.present().is_some_and(|cluster| cluster.generation == Some(BROKEN_GENERATION))
            && status["reconciliationStatus"]["state"] == "DEPLOYED";
        let started = moment.started.as_ref().filter(|_| up && !broken);
        let job = started.map(|started| {
            let state = if started.ended { FlinkJobState::Finished } else { FlinkJobState::Running };
            (started.job_id.clone(), state)
        });
        let newest = started
            .and_then(|started| started.savepoint.clone())
            .map(|path| StoredSnapshot { path: path.into(), checkpoint_id: Some(1_000) });
        World {
            name,
            object,
            status,
            resource,
            cluster,
            store: moment.store(name),
            job,
            starts: moment.started.as_ref().filter(|_| !broken).map(|started| started.job_id.clone()),
            newest,
            operation: Seen::Absent,
            now_ms: moment.at_ms,
            writes: 0,
            actions: Vec::new(),
            deployed: None,
        }
    }

    fn observed(&self, journal: &Journal) -> Observed {
        let up = self.cluster.present().is_some_and(|cluster| cluster.phase == ClusterPhase::Available);
        let asked = journal.run.as_ref().map(|run| run.job_id.as_str().to_owned());
        let job = self.job.as_ref().filter(|(id, _)| Some(id) == asked.as_ref());
        let over = job.is_some_and(|(_, state)| state.is_terminal());
        let checkpoints = Checkpoints { newest: self.newest.clone(), ..Checkpoints::default() };
        let rest = Rest {
            reachable: true,
            ever_reachable: true,
            job: job.map_or(Seen::Absent, |(id, state)| {
                Seen::Present(JobView {
                    id: JobId::new(id),
                    name: "ledger".into(),
                    state: *state,
                    all_tasks_running: true,
                    started_at_ms: self.status.pointer("/jobStatus/startTime").map_or(self.now_ms, |start| {
                        start.as_str().and_then(|text| text.parse().ok()).expect("a number in a text")
                    }),
                })
            }),
            checkpoints: if over { Seen::Present(checkpoints) } else { Seen::Unknown },
            operation: self.operation.clone(),
            operation_of: journal.intent.as_ref().map_or(journal.seq, |intent| intent.seq),
            ..Rest::default()
        };
        Observed {
            live: true,
            cluster: self.cluster.clone(),
            rest: up.then_some(rest),
            high_availability: self.store.clone(),
            // The directory of the Java operator's job result store is a random one, and nobody lists storage.
            job_result: Seen::Unknown,
            retained_checkpoint: Seen::Unknown,
            open_snapshot: Seen::Absent,
            ..Observed::default()
        }
    }

    /// One step. Returns whether anything changed.
    fn step(&mut self) -> bool {
        let record: FlinkDeploymentStatus = drey_api::kinds::read(&self.status).expect("a status");
        let journal = status::read(&record, &|spec| resolve(spec, None)).expect("it is believed");
        let observed = self.observed(&journal);
        let policy = Policy { epoch: 0, ..Policy::default() };
        let decision = decide(&self.resource, &observed, &journal, &policy, Now(self.now_ms));
        assert!(!decision.look_closer, "the evidence is live");
        let written = status::write(&decision.journal, &self.resource);
        let written = serde_json::to_value(written).expect("a status is JSON");
        // The engine writes nothing where the record is the same, nor where only its text would be.
        let wrote = decision.journal != journal && written != self.status;
        if wrote {
            self.writes += 1;
            self.status = written;
        }
        let acted = decision.action.is_some();
        if let Some(action) = decision.action {
            self.act(&action, decision.journal.intent.as_ref().map(|intent| &intent.kind));
            self.actions.push(action);
        } else if self.cluster.present().is_some_and(|cluster| cluster.terminating) {
            self.vanish();
            return true;
        }
        wrote || acted || self.come_up()
    }

    /// A JobManager that was starting is up, and runs its job.
    fn come_up(&mut self) -> bool {
        let Seen::Present(cluster) = &mut self.cluster else { return false };
        let Some(id) = self.starts.clone().filter(|_| cluster.phase == ClusterPhase::Starting) else {
            return false;
        };
        cluster.phase = ClusterPhase::Available;
        cluster.never_available = false;
        self.job = Some((id, FlinkJobState::Running));
        true
    }

    fn vanish(&mut self) {
        self.cluster = Seen::Absent;
        self.job = None;
        self.operation = Seen::Absent;
    }

    fn act(&mut self, action: &Action, intent: Option<&IntentKind>) {
        match action {
            Action::DeleteCluster { uid } => {
                assert_eq!(self.cluster.present().map(|cluster| &cluster.uid), Some(uid));
                self.vanish();
            }
            Action::Deploy(deployment) => {
                assert_eq!(self.cluster, Seen::Absent, "never two clusters");
                assert!(self.deployed.is_none(), "one new run is enough");
                self.deployed = Some((deployment.job_id.clone(), deployment.restore.clone()));
                self.job = Some((deployment.job_id.to_string(), FlinkJobState::Running));
                self.cluster = Seen::Present(Cluster {
                    uid: "ours".into(),
                    owned: true,
                    terminating: false,
                    seq: Some(deployment.seq),
                    job_id: Some(deployment.job_id.clone()),
                    generation: Some(deployment.generation),
                    flink_version: Some(deployment.desired.flink_version),
                    phase: ClusterPhase::Available,
                    never_available: false,
                    task_managers: None,
                    missing: None,
                });
            }
            Action::Scale { .. } => panic!("clusters of native jobs are not scaled by an operator"),
            Action::Stop { target_directory, .. } => {
                assert!(matches!(intent, Some(IntentKind::Stop { .. })), "it is on record");
                let path: Arc<str> = format!("{target_directory}/savepoint").into();
                let snapshot = StoredSnapshot { path, checkpoint_id: Some(2_000) };
                self.operation = Seen::Present(Operation::Completed { snapshot: Some(snapshot.clone()) });
                self.newest = Some(snapshot);
                self.job = self.job.take().map(|(id, _)| (id, FlinkJobState::Finished));
                self.store = Seen::Absent;
            }
            Action::Cancel { .. } => {
                self.job = self.job.take().map(|(id, _)| (id, FlinkJobState::Canceled));
            }
            Action::StripJobGraphs(_) => {
                if let Seen::Present(store) = &mut self.store {
                    store.job_graphs.clear();
                }
            }
            Action::DeleteHighAvailability(_) => self.store = Seen::Absent,
            Action::AddFinalizer => self.resource.finalizer = true,
            Action::RemoveFinalizer => self.resource.finalizer = false,
            Action::Savepoint { .. }
            | Action::Checkpoint { .. }
            | Action::Dispose { .. }
            | Action::Complete { .. } => panic!("nobody asked for {action:?}"),
        }
    }

    /// Steps until nothing changes any more. Time passes in between, so that what is waited for is given up.
    fn settle(&mut self, what: &str) {
        let mut quiet = 0;
        for _ in 0..100 {
            quiet = if self.step() { 0 } else { quiet + 1 };
            if quiet > 15 || !self.resource.finalizer && self.resource.deleting {
                return;
            }
            self.now_ms += if quiet > 2 { 15_000 } else { 1_000 };
        }
        panic!("{what}: it does not come to rest: {:#?} {:#}", self.actions, self.status);
    }

    fn mode(&self) -> &str {
        text(&self.object, "/spec/job/upgradeMode").unwrap_or("none")
    }
}

/// What the next run has to go on from.
fn newest_of(moment: &Moment, name: &str, mode: &str) -> Restore {
    let status = &moment.resource(name)["status"];
    let record = &status["reconciliationStatus"];
    let under_way = status["observedGeneration"] != moment.generation(name)
        || record["lastStableSpec"] != record["lastReconciledSpec"];
    let discards = mode == "stateless" && under_way;
    let Some(started) = moment.started.as_ref().filter(|_| !discards) else { return Restore::Empty };
    let store = moment.store(name);
    let job_id = JobId::new(&started.job_id);
    let kept = store.present().and_then(|store| store.job(&job_id)).and_then(|job| job.newest_checkpoint_id);
    match (&started.savepoint, kept, &started.path) {
        (Some(path), _, _) => Restore::Path(path.as_str().into()),
        (None, Some(_), _) => Restore::LastState,
        (None, None, Some(path)) => Restore::Path(path.as_str().into()),
        (None, None, None) => Restore::Empty,
    }
}

/// Every value that `before` has and `after` has not, by its path.
fn lost(before: &Value, after: &Value, path: &str, found: &mut Vec<String>) {
    match before {
        Value::Object(fields) => {
            for (key, value) in fields {
                lost(value, &after[key], &format!("{path}/{key}"), found);
            }
        }
        _ if before != after => found.push(format!("{path}: {before} is {after}")),
        _ => {}
    }
}

/// The same, with the conditions of both by their kind: ours stand beside those of the Java operator.
fn lost_of_status(before: &Value, after: &Value) -> Vec<String> {
    let by_kind = |status: &Value| {
        let mut status = status.clone();
        let mut conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        // The Java operator's condition is at times a step behind its own field.
        let state = before["jobStatus"]["state"].as_str();
        let manager = before["jobManagerDeploymentStatus"].as_str().expect("a word");
        let session = match manager {
            "READY" => "JobManagerReady",
            "DEPLOYED_NOT_READY" => "DeployedNotReady",
            "DEPLOYING" => "JobManagerIsDeploying",
            "MISSING" => "JobManagerDeploymentMissing",
            other => other,
        };
        let written = text(before, "/conditions/0/message").unwrap_or_default().to_owned();
        let current = match state {
            Some(state) => written == format!("Job status {state}"),
            None => text(before, "/conditions/0/reason") == Some(session),
        };
        conditions.retain(|condition| current || condition["type"] != "Running");
        let of = conditions.into_iter().map(|mut condition| {
            // Kept in whole seconds, as Kubernetes has times.
            let time = text(&condition, "/lastTransitionTime").expect("a time")[..19].to_owned();
            condition["lastTransitionTime"] = time.into();
            (text(&condition, "/type").expect("a kind").to_owned(), condition)
        });
        status["conditions"] = Value::Object(of.collect());
        status
    };
    let mut found = Vec::new();
    lost(&by_kind(before), &by_kind(after), "", &mut found);
    found
}

#[test]
fn at_rest_nothing_happens_and_nothing_is_lost() {
    let mut seen = 0;
    for moment in moments("led").iter().filter(|moment| moment.is_at_rest("led")) {
        seen += 1;
        let mut world = World::at("led", moment);
        let before = world.status.clone();
        world.settle(&format!("line {}", moment.line));
        assert_eq!(world.actions, [], "line {}", moment.line);
        assert!(world.writes <= 2, "line {}: {} writes", moment.line, world.writes);
        assert_eq!(lost_of_status(&before, &world.status), [""; 0], "line {}", moment.line);
        assert!(!world.status["run"].is_null());
    }
    assert!(seen > 50, "{seen} moments at rest");
}

#[test]
fn from_every_moment_the_job_goes_on_from_the_newest_snapshot() {
    let (mut restarted, mut kept, mut deleted) = (0, 0, 0);
    for moment in moments("led") {
        let mut world = World::at("led", &moment);
        let mode = world.mode().to_owned();
        let living = world.job.clone();
        world.settle(&format!("line {}", moment.line));
        let at = format!(
            "line {} ({}): {:#?} {:#}",
            moment.line,
            moment.generation("led"),
            world.actions,
            world.status
        );
        if world.resource.deleting {
            deleted += 1;
            assert!(world.cluster.is_absent() && world.store.is_absent(), "{at}");
            continue;
        }
        let Some((job_id, restore)) = &world.deployed else {
            kept += 1;
            assert!(
                world.cluster.present().is_some() || world.status["lifecycleState"] == "SUSPENDED",
                "{at}"
            );
            continue;
        };
        restarted += 1;
        let stopped = world.actions.iter().any(|action| matches!(action, Action::Stop { .. }));
        if stopped {
            let Restore::Path(path) = restore else { panic!("{at}") };
            assert!(path.ends_with("/savepoint"), "{at}");
            continue;
        }
        assert_eq!(*restore, newest_of(&moment, "led", &mode), "{living:?} {at}");
        if *restore == Restore::LastState {
            let started = moment.started.as_ref().expect("there is a store");
            assert_eq!(job_id.as_str(), started.job_id, "{at}");
        }
    }
    assert!(restarted > 50 && kept > 50 && deleted > 3, "{restarted} {kept} {deleted}");
}

#[test]
fn a_run_that_had_begun_is_not_begun_again() {
    let mut seen = 0;
    for moment in moments("led") {
        let object = moment.resource("led");
        let status = &object["status"];
        let generation = object["metadata"]["generation"].as_i64();
        let unwritten =
            matches!(status["reconciliationStatus"]["state"].as_str(), Some("UPGRADING" | "ROLLING_BACK"));
        let cluster = moment.cluster("led");
        let begun = cluster.present().is_some_and(|cluster| {
            !cluster.terminating && cluster.generation == generation && generation != Some(BROKEN_GENERATION)
        });
        if !unwritten || !begun {
            continue;
        }
        seen += 1;
        let mut world = World::at("led", &moment);
        world.step();
        assert_eq!(world.actions, [], "line {}: {:#}", moment.line, world.status);
        assert_eq!(world.status["reconciliationStatus"]["state"], "DEPLOYED");
        assert_eq!(world.status["run"]["clusterUid"], cluster.present().unwrap().uid.as_ref());
    }
    assert!(seen >= 5, "{seen}");
}

/// The Java operator ended between the creation of the JobManager's Deployment and that of its configuration, which is
/// created after it.
#[test]
fn a_cluster_that_was_made_by_half_is_made_anew() {
    let mut seen = 0;
    for moment in moments("led") {
        let object = moment.resource("led");
        let status = &object["status"];
        let unwritten =
            matches!(status["reconciliationStatus"]["state"].as_str(), Some("UPGRADING" | "ROLLING_BACK"));
        let Seen::Present(cluster) = moment.cluster("led") else { continue };
        let begun = !cluster.terminating
            && cluster.generation == object["metadata"]["generation"].as_i64()
            && cluster.generation != Some(BROKEN_GENERATION);
        if !unwritten || !begun {
            continue;
        }
        seen += 1;
        let mut world = World::at("led", &moment);
        let missing = Some("ConfigMap flink-config-led".into());
        let phase = ClusterPhase::Starting;
        world.cluster = Seen::Present(Cluster { missing, phase, never_available: true, ..cluster.clone() });
        (world.job, world.starts) = (None, None);
        let mode = world.mode().to_owned();
        world.settle(&format!("line {}", moment.line));
        let at = format!("line {}: {:#?} {:#}", moment.line, world.actions, world.status);
        assert!(world.actions.contains(&Action::DeleteCluster { uid: cluster.uid }), "{at}");
        let (_, restore) = world.deployed.as_ref().expect("it is made anew");
        assert_eq!(*restore, newest_of(&moment, "led", &mode), "{at}");
        assert_eq!(world.status["lifecycleState"], "STABLE", "{at}");
    }
    assert!(seen >= 5, "{seen}");
}

#[test]
fn what_the_new_run_completed_counts_even_when_its_cluster_is_gone() {
    let all = moments("led");
    let taken = |moment: &&Moment| {
        let status = &moment.resource("led")["status"];
        status["jobStatus"]["jobId"] == "e9e6f4b4e37b36d6a3e04200d8e5bb30"
            && status["reconciliationStatus"]["state"] == "UPGRADING"
            && moment.cluster("led").is_absent()
    };
    let mut moment = all.iter().find(taken).expect("the second run is on its way").clone();
    // The Java operator ended after it had created the cluster, which ran for a while and was removed.
    let id = "led-e9e6f4b4e37b36d6a3e04200d8e5bb30-config-map";
    let with_checkpoint = |moment: &&Moment| {
        let map = moment.object("ConfigMap", id);
        map.is_some_and(|map| !map["data"]["checkpointID-0000000000000000006"].is_null())
    };
    let later = all.iter().find(with_checkpoint).expect("it completes a checkpoint");
    let map = later.object("ConfigMap", id).expect("it was found by it").clone();
    moment.objects.insert(("ConfigMap".to_owned(), id.to_owned()), map);
    let mut world = World::at("led", &moment);
    world.settle("the lost run");
    let expected = (JobId::new("e9e6f4b4e37b36d6a3e04200d8e5bb30"), Restore::LastState);
    assert_eq!(world.deployed, Some(expected));
}

#[test]
fn the_first_deploy_from_a_savepoint_is_finished_from_it() {
    let all = moments("led");
    let begun = |moment: &&Moment| {
        let status = &moment.resource("led")["status"];
        status["observedGeneration"] == 1 && status["jobStatus"]["jobId"].is_null()
    };
    let mut moment = all.iter().find(begun).expect("the status before the job id").clone();
    let object = moment.objects.get_mut(&("FlinkDeployment".to_owned(), "led".to_owned())).unwrap();
    object["status"]["jobStatus"]["upgradeSavepointPath"] = "file:/flink-data/sp/first".into();
    let recorded = text(object, "/status/reconciliationStatus/lastReconciledSpec").unwrap();
    let recorded = recorded.replace("\"upgradeMode\":\"stateless\"", "\"upgradeMode\":\"savepoint\"");
    object["status"]["reconciliationStatus"]["lastReconciledSpec"] = recorded.into();
    let mut world = World::at("led", &moment);
    world.settle("the first deploy");
    assert_eq!(world.deployed.unwrap().1, Restore::Path("file:/flink-data/sp/first".into()));
}

#[test]
fn a_session_cluster_is_left_alone() {
    let mut seen = 0;
    for moment in moments("ses") {
        if moment.resource("ses")["status"]["reconciliationStatus"]["lastReconciledSpec"].is_null() {
            continue;
        }
        seen += 1;
        let mut world = World::at("ses", &moment);
        let before = world.status.clone();
        world.job = None;
        for _ in 0..5 {
            world.step();
        }
        assert_eq!(world.actions, [], "line {}", moment.line);
        assert!(world.writes <= 1, "line {}: {} writes", moment.line, world.writes);
        let lost = lost_of_status(&before, &world.status);
        let word = |field: &String| field.starts_with("/lifecycleState") && world.resource.deleting;
        assert!(lost.iter().all(word), "line {}: {lost:#?}", moment.line);
        let conditions = world.status["conditions"].as_array().unwrap();
        assert!(conditions.iter().any(|condition| condition["reason"] == "SessionCluster"));
    }
    assert!(seen > 50, "{seen}");
    assert_eq!(World::at("ses", &moments("ses")[40]).name, "ses");
}

/// The fields that the Java operator reads when it takes over, as a record has them.
fn read_by_upstream(status: &Value) -> Value {
    let job = &status["jobStatus"];
    let mut recorded = status["reconciliationStatus"]["lastReconciledSpec"].clone();
    if status["lifecycleState"] == "UPGRADING" {
        // While nothing runs, the Java operator has the next spec on record, and we the last one that ran.
        let decoded = reconciled::decode(recorded.as_str().expect("a text")).expect("its encoding");
        let job = decoded.spec.job.as_ref().expect("a job");
        recorded = serde_json::json!([job.state, job.upgrade_mode, decoded.first_deployment]);
    }
    serde_json::json!({
        "state": status["reconciliationStatus"]["state"],
        "lastReconciledSpec": recorded,
        "lastStableSpec": status["reconciliationStatus"]["lastStableSpec"],
        "lifecycleState": status["lifecycleState"],
        "observedGeneration": status["observedGeneration"],
        "jobState": job["state"],
        "savepointHistory": job["savepointInfo"]["savepointHistory"].is_array(),
        "updateTime": job["updateTime"].is_string(),
        "taskManager": status["taskManager"],
    })
}

/// Steps until the record shows a lifecycle and job state, and returns it.
fn until(world: &mut World, lifecycle: &str, job: &str) -> Value {
    for _ in 0..100 {
        let status = &world.status;
        if status["lifecycleState"] == lifecycle
            && status["jobStatus"]["state"] == job
            && status["observedGeneration"] == world.resource.generation
        {
            return status.clone();
        }
        world.step();
        world.now_ms += 1_000;
    }
    panic!("never {lifecycle} with {job}: {:#}", world.status);
}

/// The recorded status of that generation, lifecycle and job state.
fn recorded(all: &[Moment], generation: i64, lifecycle: &str, job: &str) -> Value {
    let is = |status: &Value| {
        status["observedGeneration"] == generation
            && status["lifecycleState"] == lifecycle
            && status["jobStatus"]["state"] == job
    };
    let found = all.iter().map(|moment| &moment.resource("led")["status"]).find(|status| is(status));
    found.unwrap_or_else(|| panic!("{generation} is {lifecycle} with {job} in the recording")).clone()
}

#[test]
fn each_phase_of_an_upgrade_is_written_as_the_java_operator_writes_it() {
    let all = moments("led");
    for (generation, phases) in [
        (2, [("UPGRADING", "FINISHED"), ("STABLE", "RUNNING")].as_slice()),
        (3, &[("UPGRADING", "FINISHED"), ("STABLE", "RUNNING")]),
        (4, &[("STABLE", "RUNNING")]),
        (5, &[("SUSPENDED", "FINISHED")]),
        (11, &[("UPGRADING", "FINISHED"), ("STABLE", "RUNNING")]),
    ] {
        let edited = |moment: &&Moment| {
            let status = &moment.resource("led")["status"];
            moment.generation("led") == generation && status["observedGeneration"] == generation - 1
        };
        let mut world = World::at("led", all.iter().find(edited).expect("the edit before anything is done"));
        for (lifecycle, job) in phases {
            let written = read_by_upstream(&until(&mut world, lifecycle, job));
            let theirs = read_by_upstream(&recorded(&all, generation, lifecycle, job));
            assert_eq!(written, theirs, "generation {generation}, {lifecycle}");
        }
        let path = text(&world.status, "/jobStatus/upgradeSavepointPath");
        match generation {
            2 | 5 => assert!(path.is_some_and(|path| path.starts_with("file:///flink-data/sp/"))),
            3 | 4 => assert_eq!(path, Some("KUBERNETES_OPERATOR_LAST_STATE")),
            _ => assert_eq!(path, None, "nothing was restored"),
        }
    }
}

/// The Java operator looks at no job of which the record says `UPGRADING`, and makes no cluster for a spec that the record
/// calls `running`.
#[test]
fn in_every_phase_of_an_upgrade_the_java_operator_could_go_on() {
    let edited = |moment: &Moment| {
        moment.generation("led") == 2 && moment.resource("led")["status"]["observedGeneration"] == 1
    };
    let moment = moments("led").into_iter().find(edited).expect("the edit before anything is done");
    let mut world = World::at("led", &moment);
    let mut phases: Vec<[String; 4]> = Vec::new();
    for _ in 0..30 {
        let of = |pointer: &str| text(&world.status, pointer).unwrap_or_default().to_owned();
        let spec: Value =
            serde_json::from_str(&of("/reconciliationStatus/lastReconciledSpec")).expect("the record");
        let phase = [
            of("/intent/kind"),
            of("/reconciliationStatus/state"),
            text(&spec, "/spec/job/state").expect("a job").to_owned(),
            of("/lifecycleState"),
        ];
        if phases.last() != Some(&phase) {
            phases.push(phase);
        }
        world.step();
        world.now_ms += 1_000;
    }
    let expected = [
        ["", "DEPLOYED", "running", "STABLE"],
        ["StopWithSavepoint", "DEPLOYED", "running", "UPGRADING"],
        ["Teardown", "UPGRADING", "suspended", "UPGRADING"],
        ["Deploy", "UPGRADING", "suspended", "UPGRADING"],
        ["None", "DEPLOYED", "running", "STABLE"],
    ];
    assert_eq!(phases, expected);
}

#[test]
fn a_refused_spec_is_told_as_the_java_operator_tells_it() {
    let all = moments("led");
    let refused = |moment: &&Moment| {
        moment.generation("led") == 9 && !moment.resource("led")["status"]["error"].is_null()
    };
    let moment = all.iter().find(refused).expect("a parallelism of -1");
    let mut world = World::at("led", moment);
    let theirs = world.status["error"].clone();
    world.settle("a refused spec");
    assert_eq!(world.status["error"], theirs);
    assert_eq!(world.actions, []);
    let mended = |moment: &&Moment| {
        moment.generation("led") == 10 && !moment.resource("led")["status"]["error"].is_null()
    };
    let mut world = World::at("led", all.iter().find(mended).expect("it is put back"));
    world.settle("a mended spec");
    assert!(world.status["error"].is_null() && world.actions.is_empty());
}
