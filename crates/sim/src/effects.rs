//! What an action does to the world, and the preconditions that the world holds it to.

use std::sync::Arc;

use drey_api::kinds::{DeploymentMode, FlinkJobState};
use drey_core::intent::SnapshotCause;
use drey_core::journal::Journal;
use drey_core::{Action, IntentKind, Restore};

use crate::chance::Kind;
use crate::flink::{Flaw, JobManager, Operation, OperationKind, Phase};
use crate::world::{Cluster, Resource, World};

/// Applies an action.
///
/// # Errors
/// Why it was refused.
pub fn apply(world: &mut World, cached: &Resource, action: &Action, seq: i64) -> Result<(), String> {
    match action {
        Action::AddFinalizer => finalizer(world, cached, true),
        Action::RemoveFinalizer => finalizer(world, cached, false),
        Action::Deploy(deployment) => deploy(world, cached, deployment),
        Action::Complete { cluster_uid, deployment } => complete(world, cluster_uid, deployment),
        Action::Scale { cluster_uid, task_managers } => {
            check_intended(world, cached, seq, "scale");
            scale(world, cluster_uid, *task_managers);
            Ok(())
        }
        Action::DeleteHighAvailability(maps) => {
            delete_maps(world, maps);
            Ok(())
        }
        Action::StripJobGraphs(maps) => {
            if let Some((uid, graph)) = &mut world.cluster_map
                && maps.iter().any(|(_, version)| version == uid)
            {
                *graph = false;
            }
            Ok(())
        }
        Action::Stop { job_id, trigger_id, target_directory, .. } => {
            check_intended(world, cached, seq, "stop");
            request(world, job_id, trigger_id.as_str(), target_directory, OperationKind::Stop, false)
        }
        Action::Savepoint { job_id, trigger_id, target_directory, .. } => {
            check_intended(world, cached, seq, "savepoint");
            let nonce = manual_nonce(world, trigger_id);
            if let Some(nonce) = nonce {
                world.check_nonce(nonce, trigger_id.as_str());
            }
            let manual = nonce.is_some();
            request(world, job_id, trigger_id.as_str(), target_directory, OperationKind::Savepoint, manual)
        }
        Action::Checkpoint { job_id, trigger_id } => {
            let nowhere: Arc<str> = Arc::from("");
            request(world, job_id, trigger_id.as_str(), &nowhere, OperationKind::Checkpoint, false)
        }
        Action::Cancel { job_id } => {
            check_intended(world, cached, seq, "cancel");
            cancel(world, job_id)
        }
        Action::Dispose { path } => {
            dispose(world, path);
            Ok(())
        }
        Action::DeleteCluster { uid } => {
            delete_cluster(world, cached, uid);
            Ok(())
        }
    }
}

/// The ghost knows the intents of the present resource only.
fn check_intended(world: &mut World, cached: &Resource, seq: i64, what: &str) {
    if world.resource.as_ref().is_some_and(|resource| resource.uid == cached.uid) {
        world.check_intended(seq, what);
    }
}

/// The nonce by which a person asked for this savepoint.
fn manual_nonce(world: &World, trigger: &drey_core::TriggerId) -> Option<i64> {
    match &world.resource.as_ref()?.status.intent.as_ref()?.kind {
        IntentKind::Savepoint { cause: SnapshotCause::Manual { nonce }, trigger_id, .. }
            if trigger_id == trigger =>
        {
            Some(*nonce)
        }
        _ => None,
    }
}

fn finalizer(world: &mut World, cached: &Resource, present: bool) -> Result<(), String> {
    let version = world.next_version();
    let Some(resource) = world.resource.as_mut().filter(|resource| resource.uid == cached.uid) else {
        return Err("the resource is gone".to_owned());
    };
    resource.finalizer = present;
    resource.version = version;
    let gone = resource.deleting && !present;
    if gone {
        world.check_released();
        world.resource = None;
        world.tell(|_| "the resource is gone".to_owned());
    }
    Ok(())
}

fn deploy(
    world: &mut World,
    cached: &Resource,
    deployment: &drey_core::decision::Deployment,
) -> Result<(), String> {
    if world.cluster.is_some() {
        return Err("a Deployment of that name exists".to_owned());
    }
    if world.resource.as_ref().is_none_or(|resource| resource.uid != cached.uid) {
        // Created, and collected at once: its owner does not exist.
        return Ok(());
    }
    let desired = &deployment.desired;
    world.check_created(
        deployment.seq,
        deployment.generation,
        desired,
        &deployment.job_id,
        &deployment.restore,
    );
    let flaw = flaw(desired);
    let whole = !world.chance.trouble(Kind::Part, world.setup.fault_permille);
    let uid = world.new_uid("cluster");
    world.tell(|_| format!("cluster {uid} is created"));
    world.cluster = Some(Cluster {
        uid: uid.clone(),
        owner: cached.uid.clone(),
        terminating: false,
        seq: deployment.seq,
        job_id: deployment.job_id.clone(),
        generation: deployment.generation,
        restore: deployment.restore.clone(),
        never_available: true,
        flaw,
    });
    world.job_managers.push(JobManager {
        cluster_uid: uid,
        seq: deployment.seq,
        owner: cached.uid.clone(),
        lineage: world.ghost.lineage,
        job_id: deployment.job_id.clone(),
        restore: deployment.restore.clone(),
        version: desired.flink_version,
        high_availability: desired.options.high_availability,
        flaw,
        whole,
        task_managers: (desired.mode == DeploymentMode::Standalone).then_some(desired.task_manager_replicas),
        boots: 0,
        up: false,
        ever_up: false,
        hung: false,
        job: None,
        operations: Vec::new(),
        unheard: Vec::new(),
        newest: None,
    });
    Ok(())
}

/// Creates what is missing of a cluster: exactly what it was made from, and of no other cluster.
fn complete(
    world: &mut World,
    uid: &Arc<str>,
    deployment: &drey_core::decision::Deployment,
) -> Result<(), String> {
    let Some(cluster) = world.cluster.as_ref().filter(|cluster| cluster.uid == *uid && !cluster.terminating)
    else {
        return Err("there is no such cluster".to_owned());
    };
    let same = cluster.seq == deployment.seq
        && cluster.job_id == deployment.job_id
        // That one never starts a job from anything but its newest checkpoint.
        && (cluster.restore == deployment.restore || deployment.restore == Restore::LastState)
        && cluster.generation == deployment.generation;
    if !same {
        world.violate("S3", "a cluster is completed with what another one was made from");
        return Ok(());
    }
    let cut = world.chance.trouble(Kind::Part, world.setup.fault_permille);
    for manager in world.job_managers.iter_mut().filter(|manager| manager.cluster_uid == *uid) {
        manager.whole = !cut;
    }
    world.tell(|_| format!("the cluster is completed{}", if cut { " in part" } else { "" }));
    Ok(())
}

fn scale(world: &mut World, uid: &Arc<str>, task_managers: i32) {
    world.tell(|_| format!("cluster {uid} gets {task_managers} TaskManagers"));
    for manager in world.job_managers.iter_mut().filter(|manager| manager.cluster_uid == *uid) {
        manager.task_managers = Some(task_managers);
    }
}

/// A spec's flaw is in the words of its image or main class.
pub fn flaw(desired: &drey_api::desired::Desired) -> Flaw {
    match (
        desired.spec.image.as_deref(),
        desired.spec.job.as_ref().and_then(|job| job.entry_class.as_deref()),
    ) {
        (Some("broken"), _) => Flaw::Image,
        (_, Some("broken")) => Flaw::Main,
        _ => Flaw::None,
    }
}

fn delete_maps(world: &mut World, maps: &[(Arc<str>, Arc<str>)]) {
    let named = |uid: &Arc<str>| maps.iter().any(|(_, named)| named == uid);
    if world.stores.iter().any(|store| named(&store.uid)) {
        world.check_ha_deleted();
    }
    world.stores.retain(|store| !named(&store.uid));
    if world.cluster_map.as_ref().is_some_and(|(uid, _)| named(uid)) {
        world.cluster_map = None;
    }
}

fn request(
    world: &mut World,
    job_id: &drey_core::JobId,
    trigger: &str,
    directory: &Arc<str>,
    kind: OperationKind,
    manual: bool,
) -> Result<(), String> {
    let Some(manager) = reachable(world) else { return Err("the JobManager does not answer".to_owned()) };
    if manager.job_id != *job_id {
        return Err("no such job".to_owned());
    }
    if manager.operations.iter().any(|operation| *operation.trigger == *trigger) {
        return Ok(());
    }
    // A job that is not running makes the operation fail, as Flink does, rather than the request.
    let running = manager.state() == Some(FlinkJobState::Running);
    let stopping = manager.operations.iter().any(|operation| {
        operation.kind == OperationKind::Stop && matches!(operation.phase, Phase::Pending | Phase::Saved(_))
    });
    let phase = if running && !stopping { Phase::Pending } else { Phase::Failed };
    manager.operations.push(Operation {
        trigger: Arc::from(trigger),
        kind,
        directory: directory.clone(),
        phase,
        manual,
    });
    Ok(())
}

fn cancel(world: &mut World, job_id: &drey_core::JobId) -> Result<(), String> {
    let Some(manager) = reachable(world) else { return Err("the JobManager does not answer".to_owned()) };
    match &mut manager.job {
        Some(job) if manager.job_id == *job_id && !job.state.is_terminal() => {
            job.state = FlinkJobState::Cancelling;
            Ok(())
        }
        _ => Err("no such job, or it is over".to_owned()),
    }
}

fn reachable(world: &mut World) -> Option<&mut JobManager> {
    let uid = world.cluster.as_ref().filter(|cluster| !cluster.terminating)?.uid.clone();
    world.job_managers.iter_mut().find(|manager| manager.cluster_uid == uid && manager.up && !manager.hung)
}

fn dispose(world: &mut World, path: &str) {
    if reachable(world).is_none() {
        return;
    }
    world.check_disposed(path);
    for snapshot in &mut world.snapshots {
        if *snapshot.path == *path {
            snapshot.disposed = true;
        }
    }
}

fn delete_cluster(world: &mut World, cached: &Resource, uid: &Arc<str>) {
    let background = world.setup.background_deletion;
    world.check_taken_down();
    let Some(cluster) = world.cluster.as_mut().filter(|cluster| cluster.uid == *uid) else { return };
    if cluster.owner != cached.uid {
        world.violate("S18", "a cluster of another owner was deleted");
        return;
    }
    cluster.terminating = true;
    if background {
        world.cluster = None;
    }
}

impl World {
    /// A status write: compare-and-swap on the resourceVersion, unless a planted bug forces it.
    pub fn put_status(&mut self, cached: &Resource, journal: &Journal, forced: bool) -> Option<u64> {
        let current = self.resource.as_ref().filter(|resource| resource.uid == cached.uid)?;
        if current.version != cached.version && !forced {
            return None;
        }
        let before = current.status.clone();
        self.ghost.writes += 1;
        self.check_status(&before, journal);
        let version = self.next_version();
        if let Some(resource) = &mut self.resource {
            resource.status = Arc::new(journal.clone());
            resource.version = version;
        }
        self.tell(|_| describe(&before, journal));
        Some(version)
    }

    /// The journal as the API server would keep it.
    pub fn spelt(&mut self, cached: &Resource, journal: Journal) -> Journal {
        if !self.setup.spelt {
            return journal;
        }
        let options = self.last_valid().map(|desired| desired.options.clone()).unwrap_or_default();
        match crate::spelling::respelt(&journal, &crate::operator::as_core(cached), &options) {
            Ok(kept) => kept,
            Err(why) => {
                self.violate("S8", format!("the status does not keep what is written: {why}"));
                journal
            }
        }
    }
}

fn describe(before: &Journal, after: &Journal) -> String {
    let intent = after
        .intent
        .as_ref()
        .map(|intent| format!("{} #{}: {:?}", intent.kind.name(), intent.seq, intent.kind));
    let waiting = after.waiting.as_ref().map(|waiting| format!("{}: {}", waiting.reason, waiting.message));
    let changed = before.intent != after.intent || before.state != after.state;
    format!(
        "status: {} gen {:?} job {:?} {}{}",
        after.state.as_str(),
        after.observed_generation,
        after.job.state.map(|state| state.as_str()),
        if changed { intent.unwrap_or_else(|| "no intent".to_owned()) } else { String::new() },
        waiting.map(|waiting| format!(" [{waiting}]")).unwrap_or_default(),
    )
    .chars()
    .take(260)
    .collect()
}
