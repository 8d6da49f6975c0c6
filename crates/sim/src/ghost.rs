//! What the simulator knows and the operator does not: lineages, accepted intents, every started run; and the safety
//! invariants, each coded once, each at the event that it speaks of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use drey_api::desired::Desired;
use drey_api::kinds::{FlinkJobState, FlinkVersion, JobState, ReconciliationState, UpgradeMode};
use drey_core::journal::{Journal, SavepointCause};
use drey_core::{IntentKind, JobId, Restore};

use crate::flink::SnapshotKind;
use crate::world::{Spec, World};

/// A broken invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its number, such as `S1`.
    pub invariant: &'static str,
    /// What was seen.
    pub what: String,
}

/// A run as it was really started.
#[derive(Clone, Debug)]
pub struct StartedRun {
    /// Job id.
    pub job_id: JobId,
    /// Intent number.
    pub seq: i64,
    /// Version of Flink.
    pub version: FlinkVersion,
}

/// What the user's spec of one generation means for state.
#[derive(Clone, Debug)]
pub struct SpecMeaning {
    /// State may be dropped.
    pub stateless: bool,
    /// `savepointRedeployNonce` and its path.
    pub redeploy: (Option<i64>, Option<String>),
    /// `savepointTriggerNonce`.
    pub savepoint_nonce: Option<i64>,
}

/// The memory of the oracle.
#[derive(Clone, Debug, Default)]
pub struct Ghost {
    /// Number of the present lineage.
    pub lineage: u32,
    /// The first broken invariant.
    pub violation: Option<Violation>,
    /// The run that was created last.
    pub last_run: Option<StartedRun>,
    /// Value of `savepointRedeployNonce` that was deployed last.
    pub redeployed: Option<i64>,
    /// Meaning of each generation of the present resource.
    pub specs: BTreeMap<i64, SpecMeaning>,
    /// Generation that each cluster was made for, by intent number.
    pub generations: BTreeMap<i64, i64>,
    /// Numbers of the intents that the API server has accepted.
    pub accepted: BTreeSet<i64>,
    /// Trigger ids of the stops whose savepoint is complete.
    pub stops_saved: BTreeSet<Arc<str>>,
    /// Rollbacks begun, by generation.
    pub rollbacks: BTreeMap<i64, u32>,
    /// Ends of runs as the status showed them.
    pub ends: BTreeMap<i64, FlinkJobState>,
    /// Clusters created since the user's last edit.
    pub creates_since_edit: u32,
    /// Status writes, all of them.
    pub writes: u64,
    /// Events emitted.
    pub events: u64,
    /// Actions performed.
    pub actions: u64,
    /// Trigger id of the savepoint request that was made for a nonce.
    pub manual_savepoints: BTreeMap<i64, Arc<str>>,
    /// `savepointTriggerNonce` of the spec that was deployed first: there was nothing yet to take a savepoint of.
    pub nonce_at_first: Option<Option<i64>>,
    /// Nonces whose failure was reported.
    pub reported_nonces: BTreeSet<i64>,
    /// The status was wiped: what the run was started from is known to nobody.
    pub wiped: bool,
    /// The state can not be kept by anybody: somebody removed it by hand.
    pub excused: bool,
}

impl Ghost {
    /// A new resource begins a new lineage.
    pub fn new_resource(&mut self) {
        let fresh = Ghost {
            lineage: self.lineage + 1,
            violation: self.violation.take(),
            writes: self.writes,
            events: self.events,
            actions: self.actions,
            ..Ghost::default()
        };
        *self = fresh;
    }

    /// The user wrote a spec.
    pub fn wrote_spec(&mut self, generation: i64, desired: &Arc<Desired>, edit: bool) {
        let job = desired.spec.job.as_ref();
        self.specs.insert(
            generation,
            SpecMeaning {
                stateless: job.is_some_and(|job| job.upgrade_mode == UpgradeMode::Stateless),
                redeploy: (
                    job.and_then(|job| job.savepoint_redeploy_nonce),
                    job.and_then(|job| job.initial_savepoint_path.clone()),
                ),
                savepoint_nonce: job.and_then(|job| job.savepoint_trigger_nonce),
            },
        );
        if edit {
            self.creates_since_edit = 0;
        }
    }

    fn break_rule(&mut self, invariant: &'static str, what: String) {
        if self.violation.is_none() {
            self.violation = Some(Violation { invariant, what });
        }
    }
}

impl World {
    /// Notes a broken invariant.
    pub fn violate(&mut self, invariant: &'static str, what: impl Into<String>) {
        let what = what.into();
        self.tell(|_| format!("*** {invariant}: {what}"));
        self.ghost.break_rule(invariant, what);
    }

    /// A cluster was created: S4, S6, S14, S15, S22.
    pub fn check_created(
        &mut self,
        seq: i64,
        generation: i64,
        desired: &Desired,
        job_id: &JobId,
        restore: &Restore,
    ) {
        self.check_intended(seq, "create");
        if !self.job_managers.is_empty() {
            self.violate("S4", format!("intent {seq} creates a cluster while a JobManager is alive"));
        }
        let last = self.ghost.last_run.clone();
        if let Some(last) = &last {
            let same_id = last.job_id == *job_id;
            let retry = last.seq == seq;
            match restore {
                Restore::LastState if last.version != desired.flink_version => {
                    self.violate("S14", "another Flink version is started from high availability");
                }
                Restore::LastState if !same_id => self.violate("S15", "last-state under a new job id"),
                Restore::Empty | Restore::Path(_) if same_id && !retry && self.run_was_made(job_id) => {
                    self.violate("S15", format!("job id {job_id} is used again for a new start"));
                }
                Restore::Empty | Restore::Path(_) | Restore::LastState => {}
            }
        }
        let sound = crate::effects::flaw(desired) == crate::flink::Flaw::None;
        self.ghost.creates_since_edit += u32::from(sound);
        if self.ghost.creates_since_edit > 8 && self.chance.calm {
            self.violate("L8", "more than 8 clusters since the last edit");
        }
        self.ghost.last_run =
            Some(StartedRun { job_id: job_id.clone(), seq, version: desired.flink_version });
        self.ghost.generations.insert(seq, generation);
    }

    fn run_was_made(&self, job_id: &JobId) -> bool {
        self.snapshots.iter().any(|snapshot| snapshot.job_id == *job_id)
            || self.stores.iter().any(|store| store.job_id == *job_id)
    }

    /// The savepoint of a stop is complete: S7. The sinks commit what is before it, so that the same request must not make a
    /// second one, of a job that has gone back to a checkpoint.
    pub fn check_once(&mut self, trigger: &Arc<str>) {
        let is_new = self.ghost.stops_saved.insert(trigger.clone());
        if !is_new && self.setup.storage_readable {
            self.violate("S7", format!("a second savepoint of the stop {trigger}"));
        }
    }

    /// An effect reached the world: its intent was accepted before (S6), by nobody deposed (S21).
    pub fn check_intended(&mut self, seq: i64, what: &str) {
        if !self.ghost.accepted.contains(&seq) {
            self.violate("S6", format!("{what} of intent {seq} came before its status write"));
        }
    }

    /// A job starts from a snapshot: S1, S2, S3.
    pub fn check_started(&mut self, generation: i64, from: Option<usize>, restore: &Restore) {
        let alive = self.job_managers.iter().filter(|manager| manager.may_emit()).count();
        if alive > 1 {
            self.violate("S3", format!("{alive} jobs of one resource may emit at once"));
        }
        let spec = self.ghost.specs.get(&generation).cloned();
        let stateless = spec.as_ref().is_some_and(|spec| spec.stateless);
        if stateless && *restore == Restore::Empty {
            self.begin_lineage(from);
            return;
        }
        if self.ghost.excused {
            return;
        }
        let newest = self.newest_order();
        let got = from.map(|index| self.snapshots[index].order);
        match (newest, got) {
            (Some(newest), None) => {
                self.violate("S2", format!("started empty although a snapshot of order {newest} exists"));
            }
            (Some(newest), Some(got)) if got < newest => {
                self.violate("S1", format!("started from order {got} although order {newest} exists"));
            }
            _ => {}
        }
    }

    /// The user gave the old state up: what is there now belongs to the past.
    fn begin_lineage(&mut self, from: Option<usize>) {
        self.ghost.lineage += 1;
        self.ghost.excused = false;
        let lineage = self.ghost.lineage;
        if let Some(index) = from {
            self.snapshots[index].lineage = lineage;
        }
    }

    /// High-availability data is deleted: S5.
    pub fn check_ha_deleted(&mut self) {
        let Some(resource) = &self.resource else { return };
        let journal = resource.status.clone();
        // What an earlier resource of the name, or a state that was given up, left may go.
        let lineage = self.ghost.lineage;
        let kept = self
            .stores
            .iter()
            .flat_map(|store| &store.checkpoints)
            .map(|index| &self.snapshots[*index])
            .filter(|snapshot| !snapshot.disposed && snapshot.lineage == lineage)
            .map(|snapshot| snapshot.order)
            .max();
        let deleting = resource.deleting;
        let stateless = self.ghost.specs.get(&resource.generation).is_some_and(|spec| spec.stateless);
        let Some(kept) = kept else { return };
        if deleting {
            return;
        }
        let covered = match journal.intent.as_ref().map(|intent| &intent.kind) {
            Some(IntentKind::Deploy { restore: Restore::Path(path), .. }) => {
                let restored = self.snapshot_at(path).map(|index| self.snapshots[index].order);
                restored.is_some_and(|order| order >= kept) || self.is_redeploy_path(path)
            }
            Some(IntentKind::Deploy { restore: Restore::Empty, .. }) => {
                stateless || self.any_generation_stateless()
            }
            _ => false,
        };
        if !covered {
            self.violate(
                "S5",
                format!("high-availability data of order {kept} deleted before it was replaced"),
            );
        }
    }

    fn any_generation_stateless(&self) -> bool {
        let Some(resource) = &self.resource else { return false };
        let planned = resource.status.intent.as_ref().map_or(0, |intent| intent.generation);
        self.ghost.specs.get(&planned).is_some_and(|spec| spec.stateless)
    }

    fn is_redeploy_path(&self, path: &str) -> bool {
        self.ghost.specs.values().any(|spec| spec.redeploy.1.as_deref() == Some(path))
    }

    /// A savepoint that a nonce asked for is requested: S17. Repeating the request under the same id is no second one.
    pub fn check_nonce(&mut self, nonce: i64, trigger: &str) {
        let known = self.ghost.manual_savepoints.entry(nonce).or_insert_with(|| Arc::from(trigger));
        if **known != *trigger {
            self.violate("S17", format!("two savepoints for nonce {nonce}"));
        }
    }

    /// A savepoint is disposed of by the operator: S11, S13.
    pub fn check_disposed(&mut self, path: &str) {
        let Some(index) = self.snapshot_at(path) else { return };
        let snapshot = self.snapshots[index].clone();
        if snapshot.manual {
            self.violate("S13", format!("a manual savepoint was disposed of: {path}"));
        }
        let restored_from_it = self
            .job_managers
            .iter()
            .any(|manager| matches!(&manager.restore, Restore::Path(p) if **p == *path));
        if self.newest_order() == Some(snapshot.order) || restored_from_it {
            self.violate("S11", format!("a savepoint that is still needed was disposed of: {path}"));
        }
    }

    /// A status was accepted: S4, S10, S12, S16, S24, and the intents that it announces.
    pub fn check_status(&mut self, before: &Journal, after: &Journal) {
        if after.epoch < before.epoch {
            self.violate("S21", "a deposed leader wrote the status");
        }
        self.ghost.accepted.insert(after.seq);
        self.check_choice(before, after);
        self.check_end(after);
        self.check_leaving(before, after);
        self.check_history(before, after);
        self.check_rollback(before, after);
        self.check_suspended(after);
    }

    fn check_choice(&mut self, before: &Journal, after: &Journal) {
        let opened = after.intent.as_ref().filter(|intent| matches!(intent.kind, IntentKind::Deploy { .. }));
        let Some(intent) = opened else { return };
        let new = before.intent.as_ref().is_none_or(|old| old.seq != intent.seq);
        if new && self.job_managers.iter().any(crate::flink::JobManager::may_emit) {
            self.violate("S4", "the restore source was chosen while a run was alive");
        }
        let spec = self.ghost.specs.get(&intent.generation).cloned();
        let (true, IntentKind::Deploy { restore, .. }, Some(spec)) = (new, &intent.kind, spec) else {
            return;
        };
        self.give_up_state(&spec, restore);
    }

    /// Who asks for a stateless start, or for one from a given savepoint, gives the present state up as soon as it is on
    /// record that this is what comes.
    fn give_up_state(&mut self, spec: &SpecMeaning, restore: &Restore) {
        self.ghost.nonce_at_first.get_or_insert(spec.savepoint_nonce);
        let (nonce, path) = &spec.redeploy;
        match restore {
            Restore::Empty if spec.stateless => self.begin_lineage(None),
            Restore::Path(from)
                if nonce.is_some() && *nonce != self.ghost.redeployed && path.as_deref() == Some(&**from) =>
            {
                let from = self.snapshot_at(from);
                self.begin_lineage(from);
            }
            Restore::Empty | Restore::Path(_) | Restore::LastState => {}
        }
        self.ghost.redeployed = *nonce;
    }

    fn check_end(&mut self, after: &Journal) {
        let Some(run) = &after.run else { return };
        let Some(end) = &run.end else {
            if self.ghost.ends.contains_key(&run.seq) {
                let seq = run.seq;
                self.violate("S10", format!("the end of run {seq} was taken back"));
            }
            return;
        };
        let known = *self.ghost.ends.entry(run.seq).or_insert(end.state);
        if known != end.state {
            let what =
                format!("run {} ended as {} and then as {}", run.seq, known.as_str(), end.state.as_str());
            self.violate("S10", what);
        }
    }

    /// S10: a job that is being taken down does not come back, although its JobManager still tells of it.
    fn check_leaving(&mut self, before: &Journal, after: &Journal) {
        let leaving = |journal: &Journal| {
            matches!(journal.intent.as_ref().map(|intent| &intent.kind), Some(IntentKind::Teardown { .. }))
        };
        let over = before.job.state.is_some_and(FlinkJobState::is_terminal);
        let comes_back = after.job.state.is_some_and(|state| !state.is_terminal());
        if leaving(before) && leaving(after) && over && comes_back {
            self.violate("S10", "a job that is being taken down is shown as running again");
        }
    }

    fn check_history(&mut self, before: &Journal, after: &Journal) {
        for record in &before.savepoints.history {
            let path = &record.snapshot.path;
            let kept = after.savepoints.history.iter().any(|other| other.snapshot.path == *path);
            if !kept && self.snapshot_at(path).is_some() && !matches!(record.cause, SavepointCause::Unknown) {
                let what = format!("savepoint {path} was forgotten and not disposed of");
                self.violate("S12", what);
            }
        }
    }

    fn check_rollback(&mut self, before: &Journal, after: &Journal) {
        let begins = after.state == ReconciliationState::RollingBack
            && before.state != ReconciliationState::RollingBack
            && before.state != ReconciliationState::RolledBack;
        if !begins {
            return;
        }
        let generation = after.observed_generation.unwrap_or(0);
        let count = self.ghost.rollbacks.entry(generation).or_insert(0);
        *count += 1;
        if *count > 1 {
            self.violate("S16", format!("generation {generation} was rolled back twice"));
        }
    }

    fn check_suspended(&mut self, after: &Journal) {
        let deleting = self.resource.as_ref().is_some_and(|resource| resource.deleting);
        let suspended = !deleting
            && after.state == ReconciliationState::Deployed
            && after
                .reconciled
                .as_ref()
                .is_some_and(|reconciled| reconciled.job_state == JobState::Suspended);
        if suspended && self.job_managers.iter().any(crate::flink::JobManager::may_emit) {
            self.violate("S24", "SUSPENDED while a job may emit");
        }
    }

    /// The finalizer was removed: S23.
    pub fn check_released(&mut self) {
        let own = self.resource.as_ref().map(|resource| resource.uid.clone());
        if self.job_managers.iter().any(|m| Some(&m.owner) == own.as_ref() && m.may_emit()) {
            self.violate("S23", "the resource was released while a job may emit");
        }
    }

    /// The operator takes a cluster down: S23, where a savepoint was asked for first.
    pub fn check_taken_down(&mut self) {
        let Some(resource) = &self.resource else { return };
        let asked = match &resource.spec {
            Spec::Valid(desired) => desired.options.savepoint_on_deletion,
            Spec::Invalid(_) => {
                resource.status.deployed().is_some_and(|d| d.desired.options.savepoint_on_deletion)
            }
        };
        let running = self.job_managers.iter().any(|m| m.up && m.state() == Some(FlinkJobState::Running));
        // Its JobManager may have died over a savepoint that is complete.
        let saved = self.snapshots.iter().any(|snapshot| {
            snapshot.kind == SnapshotKind::StopSavepoint
                && self.job_managers.iter().any(|manager| manager.job_id == snapshot.job_id)
        });
        let stopped_before = saved
            || resource.status.end().is_some()
            || resource.status.reconciled.as_ref().is_some_and(|reconciled| {
                reconciled.job_state == JobState::Suspended
                    && resource.status.state != ReconciliationState::Deployed
            });
        if resource.deleting && asked && running && !stopped_before {
            self.violate("S23", "a running job is deleted without the savepoint that was asked for");
        }
    }
}
