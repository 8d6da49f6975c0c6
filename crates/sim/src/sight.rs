//! What can be seen of the world: the same evidence that the engine gathers from the API server, the launcher, Flink's
//! REST API and storage.

use std::sync::Arc;

use drey_api::kinds::FlinkJobState;
use drey_core::observed::{
    Checkpoints, Cluster, ClusterPhase, HighAvailability, JobStore, JobView, Operation, Rest, StoredSnapshot,
};
use drey_core::{IntentKind, Observed, Seen};

use crate::flink::{Flaw, JobManager, Phase, SnapshotKind};
use crate::world::{Resource, World};

/// Everything but the poll.
pub fn observed(world: &World, cached: &Resource, live: bool) -> Observed {
    let mut observed = Observed { live, cluster: cluster(world, cached), ..Observed::default() };
    if live {
        observed.high_availability = high_availability(world);
        observed.open_snapshot = open_snapshot(world, cached);
        observed.storage_hidden = !world.setup.storage_readable;
        observed.retained_checkpoint = retained(world, cached, &observed.cluster);
        observed.job_result = job_result(world, cached);
    }
    observed
}

fn cluster(world: &World, cached: &Resource) -> Seen<Cluster> {
    if let Some(cluster) = &world.cluster {
        let manager = world.job_managers.iter().find(|manager| manager.cluster_uid == cluster.uid);
        let phase = match (cluster.flaw, manager.is_some_and(|manager| manager.up)) {
            (Flaw::Image, _) => ClusterPhase::Failing {
                reason: "ImagePullBackOff".to_owned(),
                message: "the image cannot be pulled".to_owned(),
            },
            (_, true) => ClusterPhase::Available,
            (_, false) if manager.is_some_and(|manager| world.is_terminated(manager)) => {
                ClusterPhase::Failing {
                    reason: "JobManagerTerminated".to_owned(),
                    message: "the JobManager has ended".to_owned(),
                }
            }
            (_, false) => ClusterPhase::Starting,
        };
        return Seen::Present(Cluster {
            uid: cluster.uid.clone(),
            owned: cluster.owner == cached.uid,
            terminating: cluster.terminating,
            seq: Some(cluster.seq),
            job_id: Some(cluster.job_id.clone()),
            generation: Some(cluster.generation),
            flink_version: manager.map(|manager| manager.version),
            phase,
            never_available: cluster.never_available,
            task_managers: manager.and_then(|manager| manager.task_managers),
            missing: manager.filter(|manager| !manager.whole).map(|_| Arc::from("the ConfigMap")),
        });
    }
    // The object is gone, its pods are not: an earlier incarnation that is going away.
    match world.job_managers.first() {
        None => Seen::Absent,
        Some(manager) => Seen::Present(Cluster {
            uid: manager.cluster_uid.clone(),
            owned: manager.owner == cached.uid,
            terminating: true,
            seq: Some(manager.seq),
            job_id: Some(manager.job_id.clone()),
            generation: None,
            flink_version: Some(manager.version),
            phase: ClusterPhase::Available,
            never_available: !manager.ever_up,
            task_managers: manager.task_managers,
            missing: None,
        }),
    }
}

/// One poll of the JobManager.
pub fn rest(world: &World, cached: &Resource, ever_reachable: bool) -> Option<Rest> {
    let cluster = world.cluster.as_ref()?;
    let manager = world.job_managers.iter().find(|manager| manager.cluster_uid == cluster.uid)?;
    // One that is going away answers until it is gone.
    if !manager.up || manager.hung {
        return Some(Rest { ever_reachable, ..Rest::default() });
    }
    let Some(run) = &cached.status.run else {
        return Some(Rest { reachable: true, ever_reachable: true, job: Seen::Absent, ..Rest::default() });
    };
    Some(Rest {
        reachable: true,
        ever_reachable: true,
        job: job(manager, run),
        checkpoints: checkpoints(world, manager),
        operation: operation(world, manager, cached),
        operation_of: cached.status.intent.as_ref().map_or(cached.status.seq, |intent| intent.seq),
        failure: (manager.state() == Some(FlinkJobState::Failed)).then(|| "the job failed".to_owned()),
        health: None,
        cluster_info: Arc::default(),
    })
}

fn job(manager: &JobManager, run: &drey_core::journal::Run) -> Seen<JobView> {
    match &manager.job {
        Some(job) if manager.job_id == run.job_id => Seen::Present(JobView {
            id: manager.job_id.clone(),
            name: Arc::from("job"),
            state: job.state,
            all_tasks_running: true,
            started_at_ms: 0,
        }),
        _ => Seen::Absent,
    }
}

fn checkpoints(world: &World, manager: &JobManager) -> Seen<Checkpoints> {
    let newest =
        manager.newest.filter(|index| !world.snapshots[*index].disposed).map(|index| stored(world, index));
    match &manager.job {
        None => Seen::Unknown,
        Some(_) => {
            Seen::Present(Checkpoints { newest, newest_completed_at_ms: None, pending_since_ms: None })
        }
    }
}

fn operation(world: &World, manager: &JobManager, cached: &Resource) -> Seen<Operation> {
    let trigger = match cached.status.intent.as_ref().map(|intent| &intent.kind) {
        Some(
            IntentKind::Stop { trigger_id, .. }
            | IntentKind::Savepoint { trigger_id, .. }
            | IntentKind::Checkpoint { trigger_id, .. },
        ) => trigger_id,
        Some(IntentKind::Dispose { path }) => {
            return match world.snapshots.iter().find(|snapshot| snapshot.path == *path) {
                Some(snapshot) if snapshot.disposed => Seen::Present(Operation::Completed { snapshot: None }),
                _ => Seen::Absent,
            };
        }
        Some(
            IntentKind::Deploy { .. }
            | IntentKind::Complete { .. }
            | IntentKind::Scale { .. }
            | IntentKind::Cancel { .. }
            | IntentKind::Teardown { .. },
        )
        | None => return Seen::Unknown,
    };
    let known = manager.operations.iter().find(|operation| *operation.trigger == *trigger_id_text(trigger));
    match known.map(|operation| &operation.phase) {
        None => Seen::Absent,
        Some(Phase::Pending | Phase::Saved(_)) => Seen::Present(Operation::InProgress),
        Some(Phase::Done(snapshot)) => {
            Seen::Present(Operation::Completed { snapshot: snapshot.map(|index| stored(world, index)) })
        }
        Some(Phase::Failed) => Seen::Present(Operation::Failed { cause: "the operation failed".to_owned() }),
    }
}

fn trigger_id_text(trigger: &drey_core::TriggerId) -> &str {
    trigger.as_str()
}

fn stored(world: &World, index: usize) -> StoredSnapshot {
    let snapshot = &world.snapshots[index];
    StoredSnapshot { path: snapshot.path.clone(), checkpoint_id: Some(snapshot.checkpoint_id) }
}

fn high_availability(world: &World) -> Seen<HighAvailability> {
    if world.cluster_map.is_none() && world.stores.is_empty() {
        return Seen::Absent;
    }
    let maps = world
        .cluster_map
        .iter()
        .map(|(uid, _)| (Arc::from("cluster"), uid.clone()))
        .chain(world.stores.iter().map(|store| (Arc::from(store.job_id.as_str()), store.uid.clone())))
        .collect();
    Seen::Present(HighAvailability {
        maps,
        jobs: world
            .stores
            .iter()
            .map(|store| JobStore {
                job_id: store.job_id.clone(),
                newest_checkpoint_id: store
                    .checkpoints
                    .last()
                    .map(|index| world.snapshots[*index].checkpoint_id),
                created_at_ms: store.created_at_ms,
            })
            .collect(),
        job_graphs: world
            .cluster_map
            .iter()
            .filter(|(_, graph)| *graph)
            .map(|(uid, _)| (Arc::from("cluster"), uid.clone()))
            .collect(),
    })
}

fn open_snapshot(world: &World, cached: &Resource) -> Seen<StoredSnapshot> {
    let Some(run) = cached.status.run.as_ref().filter(|run| !run.open_directories.is_empty()) else {
        return Seen::Absent;
    };
    if !world.setup.storage_readable {
        return Seen::Unknown;
    }
    newest(world, |snapshot| run.open_directories.contains(&snapshot.directory))
}

fn retained(world: &World, cached: &Resource, cluster: &Seen<Cluster>) -> Seen<StoredSnapshot> {
    let Some(run) = &cached.status.run else { return Seen::Unknown };
    if !world.setup.storage_readable || !cluster.is_absent() {
        return Seen::Unknown;
    }
    newest(world, |snapshot| snapshot.job_id == run.job_id && snapshot.kind == SnapshotKind::Checkpoint)
}

fn newest(world: &World, wanted: impl Fn(&crate::flink::Snapshot) -> bool) -> Seen<StoredSnapshot> {
    let found = (0..world.snapshots.len())
        .filter(|index| {
            let snapshot = &world.snapshots[*index];
            snapshot.complete && !snapshot.disposed && wanted(snapshot)
        })
        .max_by_key(|index| world.snapshots[*index].checkpoint_id);
    found.map_or(Seen::Absent, |index| Seen::Present(stored(world, index)))
}

fn job_result(world: &World, cached: &Resource) -> Seen<FlinkJobState> {
    let Some(run) = &cached.status.run else { return Seen::Unknown };
    if !world.setup.storage_readable {
        return Seen::Unknown;
    }
    let ended = world.results.get(&(cached.uid.clone(), run.seq, run.job_id.clone()));
    ended.map_or(Seen::Absent, |state| Seen::Present(*state))
}
