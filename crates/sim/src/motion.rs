//! The world moves by itself: one small event at a time, chosen among those that are possible now.

use std::sync::Arc;

use drey_api::kinds::FlinkJobState;
use drey_core::Restore;

use crate::chance::Kind;
use crate::flink::{Flaw, Job, JobManager, OperationKind, Phase, Snapshot, SnapshotKind, Store};
use crate::world::World;

/// How rare the troubles of Flink are, per thousand chances to happen.
const FLINK_TROUBLE_PERMILLE: u64 = 25;

impl World {
    /// Lets up to `events` things happen.
    pub fn move_on(&mut self, events: u64) {
        for _ in 0..events {
            self.move_once();
        }
    }

    fn move_once(&mut self) {
        self.lose_part();
        let managers = self.job_managers.len() as u64;
        let pick = self.chance.below(Kind::World, managers + 2);
        if pick < managers {
            self.move_manager(usize::try_from(pick).unwrap_or(0));
        } else if pick == managers {
            self.clean_up_stores();
        } else {
            self.reap();
        }
    }

    /// Somebody deletes what a cluster needs to start.
    fn lose_part(&mut self) {
        if !self.job_managers.is_empty() && self.chance.trouble(Kind::Part, self.setup.fault_permille / 20) {
            for manager in &mut self.job_managers {
                manager.whole = false;
            }
            self.tell(|_| "somebody deletes the cluster's ConfigMap".to_owned());
        }
    }

    // ---- clusters going away --------------------------------------------------------------------------------

    /// Garbage collection and the end of doomed processes.
    fn reap(&mut self) {
        if let (Some(cluster), resource) = (&mut self.cluster, &self.resource)
            && resource.as_ref().is_none_or(|resource| resource.uid != cluster.owner)
            && &*cluster.owner != FOREIGN
        {
            cluster.terminating = true;
        }
        let kept =
            self.cluster.as_ref().filter(|cluster| !cluster.terminating).map(|cluster| cluster.uid.clone());
        let doomed = self.job_managers.iter().position(|manager| Some(&manager.cluster_uid) != kept.as_ref());
        match doomed {
            Some(index) => {
                let manager = self.job_managers.remove(index);
                self.tell(|_| format!("JobManager of {} is dead", manager.cluster_uid));
            }
            None => {
                if self.cluster.as_ref().is_some_and(|cluster| cluster.terminating) {
                    self.tell(|_| "the cluster object is gone".to_owned());
                    self.cluster = None;
                }
            }
        }
    }

    /// Flink removes what a terminal job left in the store, in two steps, while a JobManager of it lives.
    fn clean_up_stores(&mut self) {
        let alive: Vec<_> = self.job_managers.iter().filter(|m| m.up).map(|m| m.job_id.clone()).collect();
        let index = self.stores.iter().position(|store| store.clean_up && alive.contains(&store.job_id));
        let Some(index) = index else { return };
        if self.stores[index].checkpoints.is_empty() {
            let store = self.stores.remove(index);
            self.tell(|_| format!("Flink removed the store of {}", short(&store)));
        } else {
            self.stores[index].checkpoints.clear();
            self.tell(|_| "Flink cleared the checkpoints of a terminal job".to_owned());
        }
    }

    // ---- one JobManager -------------------------------------------------------------------------------------

    fn move_manager(&mut self, index: usize) {
        if self.chance.trouble(Kind::Fault, FLINK_TROUBLE_PERMILLE / 2) {
            self.crash_manager(index);
            return;
        }
        let manager = &mut self.job_managers[index];
        if manager.hung {
            if self.chance.calm || self.chance.percent(Kind::World, 30) {
                manager.hung = false;
            }
            return;
        }
        if !manager.up {
            let manager = &self.job_managers[index];
            let boots = manager.flaw != Flaw::Image && !self.is_terminated(manager) && manager.whole;
            if boots && self.chance.percent(Kind::World, 60) {
                self.boot(index);
            }
            return;
        }
        if self.chance.trouble(Kind::Fault, FLINK_TROUBLE_PERMILLE / 2) {
            self.job_managers[index].hung = true;
            return;
        }
        match self.job_managers[index].state() {
            None => self.submit(index),
            Some(FlinkJobState::Initializing) => self.restore(index),
            Some(FlinkJobState::Created) => self.set_state(index, FlinkJobState::Running),
            Some(FlinkJobState::Running) => self.move_running(index),
            Some(FlinkJobState::Restarting | FlinkJobState::Failing) => self.recover(index),
            Some(FlinkJobState::Cancelling) => self.end(index, FlinkJobState::Canceled),
            Some(_) => self.move_ended(index),
        }
    }

    /// The process dies; its pod starts it again.
    pub fn crash_manager(&mut self, index: usize) {
        // Without high availability Flink itself forgets what it did since its start.
        self.ghost.excused |= !self.job_managers[index].high_availability;
        let manager = &mut self.job_managers[index];
        manager.up = false;
        manager.hung = false;
        manager.boots += 1;
        manager.job = None;
        let forgotten = manager.operations.drain(..);
        manager.unheard.extend(forgotten.filter_map(|operation| operation.saved()));
        manager.newest = None;
        self.tell(|_| "the JobManager process dies".to_owned());
    }

    /// The process is dead and stays dead.
    pub fn is_terminated(&self, manager: &JobManager) -> bool {
        !manager.up && self.setup.results_end_process && self.result(manager).is_some()
    }

    /// What the job result store has of its job.
    pub fn result(&self, manager: &JobManager) -> Option<FlinkJobState> {
        self.results.get(&manager.result_key()).copied()
    }

    fn boot(&mut self, index: usize) {
        let manager = &mut self.job_managers[index];
        manager.up = true;
        manager.ever_up = true;
        let uid = manager.cluster_uid.clone();
        if let Some(cluster) = self.cluster.as_mut().filter(|cluster| cluster.uid == uid) {
            cluster.never_available = false;
        }
    }

    fn submit(&mut self, index: usize) {
        let manager = self.job_managers[index].clone();
        if self.result(&manager).is_some() {
            return;
        }
        if manager.flaw == Flaw::Main {
            self.job_managers[index].job = Some(new_job(FlinkJobState::Initializing));
            self.end(index, FlinkJobState::Failed);
            return;
        }
        if manager.high_availability {
            self.check_graph(&manager);
            self.open_store(&manager);
        }
        for snapshot in manager.unheard {
            self.snapshots[snapshot].passed_over = true;
        }
        self.job_managers[index].job = Some(new_job(FlinkJobState::Initializing));
    }

    /// A job graph of another run in the store would be recovered beside this one.
    fn check_graph(&mut self, manager: &JobManager) {
        let graph_left = self.cluster_map.as_ref().is_some_and(|(_, graph)| *graph) && manager.boots == 0;
        if !graph_left {
            return;
        }
        match manager.restore {
            Restore::LastState => {
                self.violate("L1", "last-state starts with the old job graph: the new spec is ignored");
            }
            Restore::Empty | Restore::Path(_) => {
                self.violate("S3", "the old job graph was left in the store: two jobs run");
            }
        }
    }

    fn open_store(&mut self, manager: &JobManager) {
        if self.cluster_map.is_none() {
            let uid = self.new_uid("map");
            self.cluster_map = Some((uid, false));
        }
        if let Some((_, graph)) = &mut self.cluster_map {
            *graph = true;
        }
        if let Some(store) = self.stores.iter_mut().find(|store| store.job_id == manager.job_id) {
            store.clean_up = false;
            return;
        }
        let uid = self.new_uid("map");
        let created_at_ms = self.now_ms;
        self.stores.push(Store {
            job_id: manager.job_id.clone(),
            uid,
            checkpoints: Vec::new(),
            created_at_ms,
            clean_up: false,
            counter: 1,
        });
    }

    /// INITIALIZING ends: the newest checkpoint of the store wins over the savepoint argument.
    fn restore(&mut self, index: usize) {
        let manager = self.job_managers[index].clone();
        let from_store = self.store(&manager.job_id).and_then(|store| store.checkpoints.last().copied());
        let source = match (from_store.filter(|_| manager.high_availability), &manager.restore) {
            (Some(checkpoint), _) if self.snapshots[checkpoint].disposed => Err(()),
            (Some(checkpoint), _) => Ok(Some(checkpoint)),
            (None, Restore::Empty) => Ok(None),
            (None, Restore::Path(path)) => self.snapshot_at(path).map(Some).ok_or(()),
            // The marker path of upstream: Flink fails rather than to start empty.
            (None, Restore::LastState) => Err(()),
        };
        let Ok(from) = source else {
            self.tell(|_| "the job cannot restore and fails".to_owned());
            self.end(index, FlinkJobState::Failed);
            return;
        };
        let current = self.resource.as_ref().is_some_and(|resource| resource.uid == manager.owner);
        if manager.boots == 0 && current {
            let generation = self.generation_of(&manager);
            let order = from.map(|index| self.snapshots[index].order);
            self.tell(|_| format!("job {} starts from {order:?}", manager.job_id));
            self.check_started(generation, from, &manager.restore);
            self.job_managers[index].lineage = self.ghost.lineage;
        }
        let counter = self.store(&manager.job_id).map_or(1, |store| store.counter);
        let next_id = from.map_or(1, |index| self.snapshots[index].checkpoint_id + 1).max(counter);
        let manager = &mut self.job_managers[index];
        manager.newest = from;
        if let Some(job) = &mut manager.job {
            job.state = FlinkJobState::Created;
            job.from = from;
            job.next_checkpoint_id = next_id;
            job.started = true;
        }
    }

    fn generation_of(&self, manager: &JobManager) -> i64 {
        self.ghost.generations.get(&manager.seq).copied().unwrap_or(0)
    }

    fn set_state(&mut self, index: usize, state: FlinkJobState) {
        if let Some(job) = &mut self.job_managers[index].job {
            job.state = state;
        }
    }

    fn move_running(&mut self, index: usize) {
        let pending = self.job_managers[index]
            .operations
            .iter()
            .position(|operation| matches!(operation.phase, Phase::Pending | Phase::Saved(_)));
        if let Some(operation) = pending {
            if self.chance.percent(Kind::World, 60) {
                self.move_operation(index, operation);
            }
            return;
        }
        if self.chance.trouble(Kind::Fault, FLINK_TROUBLE_PERMILLE) {
            self.set_state(index, FlinkJobState::Restarting);
            self.tell(|_| "the job fails over".to_owned());
        } else if self.chance.trouble(Kind::Fault, FLINK_TROUBLE_PERMILLE / 4) {
            self.end(index, FlinkJobState::Failed);
        } else if self.setup.bounded && self.chance.percent(Kind::World, 3) {
            self.end(index, FlinkJobState::Finished);
        } else if self.chance.percent(Kind::World, 50) {
            self.checkpoint(index);
        }
    }

    fn move_operation(&mut self, index: usize, operation: usize) {
        let op = self.job_managers[index].operations[operation].clone();
        let fails = !self.chance.calm
            && self.setup.savepoint_failure_percent > 0
            && self.chance.percent(Kind::World, self.setup.savepoint_failure_percent);
        match (op.kind, op.phase) {
            (_, Phase::Pending) if fails => self.set_phase(index, operation, Phase::Failed),
            (OperationKind::Checkpoint, _) => {
                let snapshot = self.checkpoint(index);
                self.set_phase(index, operation, Phase::Done(Some(snapshot)));
            }
            (OperationKind::Savepoint, _) => {
                let snapshot = self.complete(index, &op.directory, SnapshotKind::Savepoint, op.manual);
                self.set_phase(index, operation, Phase::Done(Some(snapshot)));
            }
            (OperationKind::Stop, Phase::Saved(snapshot)) if self.chance.trouble(Kind::Fault, 150) => {
                // The savepoint is complete and the job then fails instead of ending: it goes on from its checkpoint.
                self.set_phase(index, operation, Phase::Failed);
                self.snapshots[snapshot].passed_over = true;
                self.set_state(index, FlinkJobState::Restarting);
                self.tell(|_| "the job fails after its stop savepoint was complete".to_owned());
            }
            (OperationKind::Stop, Phase::Saved(snapshot)) => {
                self.set_phase(index, operation, Phase::Done(Some(snapshot)));
                self.end(index, FlinkJobState::Finished);
            }
            (OperationKind::Stop, _) => {
                self.check_once(&op.trigger);
                let snapshot = self.complete(index, &op.directory, SnapshotKind::StopSavepoint, false);
                self.set_phase(index, operation, Phase::Saved(snapshot));
            }
        }
    }

    fn set_phase(&mut self, index: usize, operation: usize, phase: Phase) {
        self.job_managers[index].operations[operation].phase = phase;
    }

    fn checkpoint(&mut self, index: usize) -> usize {
        let directory: Arc<str> = Arc::from(format!("ck/{}", self.job_managers[index].job_id));
        let snapshot = self.complete(index, &directory, SnapshotKind::Checkpoint, false);
        let manager = &self.job_managers[index];
        let (job_id, kept) = (manager.job_id.clone(), manager.high_availability);
        let previous: Vec<usize> = self
            .snapshots
            .iter()
            .enumerate()
            .filter(|(i, s)| {
                *i != snapshot && s.kind == SnapshotKind::Checkpoint && !s.disposed && s.job_id == job_id
            })
            .map(|(i, _)| i)
            .collect();
        for old in previous {
            self.snapshots[old].disposed = true;
        }
        if kept && let Some(store) = self.stores.iter_mut().find(|store| store.job_id == job_id) {
            store.checkpoints = vec![snapshot];
        }
        if let Some(job) = &mut self.job_managers[index].job {
            job.from = Some(snapshot);
        }
        snapshot
    }

    /// A snapshot is complete.
    fn complete(&mut self, index: usize, directory: &Arc<str>, kind: SnapshotKind, manual: bool) -> usize {
        let order = self.next_order();
        let manager = &mut self.job_managers[index];
        let lineage = manager.lineage;
        let job_id = manager.job_id.clone();
        let checkpoint_id = manager.job.as_ref().map_or(1, |job| job.next_checkpoint_id);
        if let Some(job) = &mut manager.job {
            job.next_checkpoint_id += 1;
        }
        if let Some(store) = self.stores.iter_mut().find(|store| store.job_id == job_id) {
            store.counter = checkpoint_id + 1;
        }
        let number = self.snapshots.len();
        manager.newest = Some(number);
        let path: Arc<str> = Arc::from(format!("{directory}/{checkpoint_id}-{number}"));
        self.snapshots.push(Snapshot {
            order,
            checkpoint_id,
            job_id,
            lineage,
            path,
            directory: directory.clone(),
            kind,
            manual,
            complete: true,
            disposed: false,
            passed_over: false,
        });
        self.tell(|_| {
            format!(
                "{} of order {order} is complete",
                if kind == SnapshotKind::Checkpoint { "checkpoint" } else { "savepoint" }
            )
        });
        number
    }

    /// RESTARTING ends: back to the last checkpoint. Operations under way failed with it.
    fn recover(&mut self, index: usize) {
        let manager = &mut self.job_managers[index];
        for operation in &mut manager.operations {
            if let Some(snapshot) = operation.saved() {
                self.snapshots[snapshot].passed_over = true;
            }
            if matches!(operation.phase, Phase::Pending | Phase::Saved(_)) {
                operation.phase = Phase::Failed;
            }
        }
        if let Some(job) = &mut manager.job {
            job.state = FlinkJobState::Running;
        }
    }

    /// The job reaches a globally terminal state.
    fn end(&mut self, index: usize, state: FlinkJobState) {
        self.set_state(index, state);
        let manager = &mut self.job_managers[index];
        for operation in &mut manager.operations {
            if matches!(operation.phase, Phase::Pending | Phase::Saved(_)) {
                operation.phase = Phase::Failed;
            }
        }
        let job_id = manager.job_id.clone();
        let key = manager.result_key();
        self.results.insert(key, state);
        if let Some(store) = self.stores.iter_mut().find(|store| store.job_id == job_id) {
            store.clean_up = true;
        }
        if let Some((_, graph)) = &mut self.cluster_map {
            *graph = false;
        }
        if state == FlinkJobState::Finished {
            // Flink deletes the checkpoints of a finished job, whatever the retention.
            for snapshot in &mut self.snapshots {
                if snapshot.job_id == job_id && snapshot.kind == SnapshotKind::Checkpoint {
                    snapshot.disposed = true;
                }
            }
            self.forget_disposed(index);
        }
        self.tell(|_| format!("job {job_id} is {}", state.as_str()));
    }

    fn forget_disposed(&mut self, index: usize) {
        let job_id = self.job_managers[index].job_id.clone();
        let newest = self
            .snapshots
            .iter()
            .enumerate()
            .filter(|(_, s)| {
                s.job_id == job_id && s.kind != SnapshotKind::Checkpoint && s.complete && !s.disposed
            })
            .map(|(i, _)| i)
            .next_back();
        self.job_managers[index].newest = newest;
    }

    fn move_ended(&mut self, index: usize) {
        // The archive of finished jobs forgets.
        if self.chance.trouble(Kind::Fault, FLINK_TROUBLE_PERMILLE / 4) {
            self.job_managers[index].job = None;
            self.tell(|_| "Flink forgets the finished job".to_owned());
        }
    }
}

/// Owner of an object that is not ours.
pub const FOREIGN: &str = "somebody-else";

fn new_job(state: FlinkJobState) -> Job {
    Job { state, from: None, next_checkpoint_id: 1, started: false }
}

fn short(store: &Store) -> String {
    store.job_id.as_str().chars().take(6).collect()
}
