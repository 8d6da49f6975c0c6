//! One incarnation of a cluster: its processes, looked after by one task that nobody else interferes with.
//!
//! ```text
//!   order ──► Run:    prepare ─► notice exits ─► start what is missing ─► does the JobManager answer? ─┐
//!     ▲       Stop:   end the processes, keep the directory                                           │
//!     │       Delete: end the processes, prove that none is left, keep the logs, remove the directory │
//!     └───────────────────── woken by exits, orders and a slow tick ◄──────────────────────────────────┘
//! ```
//! It refuses to know why a cluster is wanted or not.

mod ending;
pub(crate) mod preparing;
mod starting;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use drey_api::kinds::FlinkVersion;
use drey_core::JobId;
use drey_core::observed::{self, ClusterPhase, Seen};
use drey_engine::launcher::Target;
use tokio::sync::Notify;

use crate::process_table::ProcessIdentity;
use crate::record::{ClusterDirectory, ClusterRecord, Ports, Slot};
use crate::services::{Services, now_ms};
use crate::supervision::{Attempts, JobManagerView, phase};
use crate::{limits, probe, root_cause, storage};

/// One incarnation of a cluster.
pub(crate) struct Cluster {
    directory: ClusterDirectory,
    target: Target,
    uid: Arc<str>,
    services: Arc<Services>,
    state: Mutex<State>,
    wake: Notify,
}

/// What a cluster is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Run,
    /// End the processes and go on with them at the next start of drey.
    Stop,
    Delete,
}

struct State {
    record: ClusterRecord,
    order: Order,
    slots: BTreeMap<Slot, SlotState>,
    /// Everything that a start needs is there.
    prepared: bool,
    /// What a start needs could not be got, as (reason, message).
    unprepared: Option<(String, String)>,
    preparing: Attempts,
    /// The JobManager has answered since it was started.
    answered: bool,
    /// The JobManager is gone and the job has a result: it is never started again.
    job_over: bool,
    /// Nothing of this incarnation is alive, and its directory is not what it was.
    gone: bool,
    told: Option<ClusterPhase>,
}

#[derive(Default)]
struct SlotState {
    attempts: Attempts,
    running: Option<Running>,
}

struct Running {
    identity: Option<ProcessIdentity>,
    started_at_ms: i64,
    /// drey is its parent, and is told of its end by `exit`.
    own: bool,
    /// How it ended.
    exit: Option<String>,
}

impl Cluster {
    /// A cluster whose directory is complete. [`Cluster::run`] brings it to life.
    pub(crate) fn new(
        directory: ClusterDirectory,
        record: ClusterRecord,
        services: Arc<Services>,
    ) -> Arc<Cluster> {
        let target = Target {
            namespace: Arc::from(record.namespace.as_str()),
            name: Arc::from(record.name.as_str()),
            uid: Arc::from(record.owner_uid.as_str()),
        };
        let order = if record.deleting { Order::Delete } else { Order::Run };
        let uid = Arc::from(record.uid.as_str());
        let state = State {
            record,
            order,
            slots: BTreeMap::new(),
            prepared: false,
            unprepared: None,
            preparing: Attempts::default(),
            answered: false,
            job_over: false,
            gone: false,
            told: None,
        };
        Arc::new(Cluster { directory, target, uid, services, state: Mutex::new(state), wake: Notify::new() })
    }

    /// The resource that it was made for.
    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// Uid of the incarnation.
    pub(crate) fn uid(&self) -> &str {
        &self.uid
    }

    /// Its ports.
    pub(crate) fn ports(&self) -> Ports {
        self.state().record.ports
    }

    /// What is written down about it.
    pub(crate) fn record(&self) -> ClusterRecord {
        self.state().record.clone()
    }

    /// What the engine is told of it.
    pub(crate) fn observe(&self, target: &Target) -> Seen<observed::Cluster> {
        let state = self.state();
        if state.gone {
            return Seen::Absent;
        }
        let record = &state.record;
        Seen::Present(observed::Cluster {
            uid: self.uid.clone(),
            owned: record.owner_uid == *target.uid,
            terminating: state.order == Order::Delete,
            seq: Some(record.seq),
            job_id: Some(JobId::new(&record.job_id)),
            generation: Some(record.generation),
            flink_version: FlinkVersion::from_dotted(&record.flink_version),
            phase: state.phase(),
            never_available: !record.ever_available,
            task_managers: None,
            missing: None,
        })
    }

    /// Orders its removal, durably.
    pub(crate) fn delete(&self) -> io::Result<()> {
        let mut state = self.state();
        if !state.record.deleting {
            let record = ClusterRecord { deleting: true, ..state.record.clone() };
            self.directory.write(&record)?;
            state.record = record;
        }
        state.order = Order::Delete;
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    /// Orders the end of its processes, which the next drey starts again.
    pub(crate) fn stop(&self) {
        let mut state = self.state();
        if state.order == Order::Run {
            state.order = Order::Stop;
        }
        drop(state);
        self.wake.notify_one();
    }

    /// Looks after the cluster until it is gone or stopped.
    pub(crate) async fn run(self: Arc<Self>) {
        self.adopt();
        loop {
            let order = self.state().order;
            match order {
                Order::Run => self.keep_running().await,
                Order::Stop => {
                    if self.end_processes().await {
                        return;
                    }
                }
                Order::Delete => {
                    if self.end_processes().await && self.finalise() {
                        return;
                    }
                }
            }
            self.tell_changes();
            let tick = if self.state().settled() { limits::RESTING_TICK } else { limits::STARTING_TICK };
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(tick) => {}
            }
        }
    }

    async fn keep_running(self: &Arc<Self>) {
        if !self.state().prepared {
            tokio::select! {
                () = self.prepare() => {}
                () = self.ordered_otherwise() => return,
            }
        }
        self.notice_exits();
        if self.state().prepared {
            self.start_missing();
        }
        self.ask_job_manager().await;
        self.bound_outputs();
    }

    async fn ordered_otherwise(&self) {
        while self.state().order == Order::Run {
            self.wake.notified().await;
        }
    }

    /// Exits of processes, told by the tasks that wait for our children, and seen by looking for those that an
    /// earlier drey has started.
    fn notice_exits(&self) {
        let now_ms = now_ms();
        let slots: Vec<Slot> = self.state().slots.keys().copied().collect();
        for slot in slots {
            if let Some((exit, started_at_ms)) = self.exit_of(slot) {
                let why = self.why(slot, &exit);
                let over = slot == Slot::JobManager && self.job_has_result();
                tracing::info!(cluster = %self.target.name, process = %slot, %why, over, "a process has ended");
                let mut state = self.state();
                if slot == Slot::JobManager {
                    state.answered = false;
                    state.job_over = over;
                }
                let slot_state = state.slots.entry(slot).or_default();
                slot_state.running = None;
                slot_state.attempts.exited(started_at_ms, now_ms, why);
            } else if let Some(slot_state) = self.state().slots.get_mut(&slot)
                && let Some(running) = &slot_state.running
            {
                slot_state.attempts.healthy(running.started_at_ms, now_ms);
            }
        }
    }

    fn exit_of(&self, slot: Slot) -> Option<(String, i64)> {
        let mut state = self.state();
        let running = state.slots.get_mut(&slot)?.running.as_mut()?;
        if !running.own && running.exit.is_none() {
            let alive = running.identity.as_ref().map_or(Ok(false), ProcessIdentity::is_alive);
            // When the process table cannot be read, nobody knows: it is asked again.
            if alive.is_ok_and(|alive| !alive) {
                running.exit = Some("ended".to_owned());
            }
        }
        running.exit.clone().map(|exit| (exit, running.started_at_ms))
    }

    /// How a process ended, with the cause that its logs tell.
    fn why(&self, slot: Slot, exit: &str) -> String {
        let (log, output) = (self.directory.log(slot), self.directory.output(slot));
        match root_cause::of_files(&[&log, &output]) {
            Some(cause) => match root_cause::way_out(&cause, self.state().record.entry_class.as_deref()) {
                Some(way_out) => format!("{slot} {exit}: {cause}; {way_out}"),
                None => format!("{slot} {exit}: {cause}"),
            },
            None => format!("{slot} {exit}; its logs are in {}", self.directory.logs().display()),
        }
    }

    /// A JobManager that is started over a result which is not yet committed cleans up and **runs the job again
    /// under the same id**, and over a committed one it ends at once. Both are wrong here: with a result the job
    /// is over.
    fn job_has_result(&self) -> bool {
        let record = self.record();
        let store =
            self.services.layout.job_results(&record.namespace, &record.name, &record.owner_uid, record.seq);
        storage::job_result_file(&store, &record.job_id).present().is_some()
    }

    async fn ask_job_manager(&self) {
        let port = {
            let state = self.state();
            let running = state.slots.get(&Slot::JobManager).is_some_and(|slot| slot.running.is_some());
            if !running || state.answered {
                return;
            }
            state.record.ports.rest
        };
        if !probe::answers(port, &self.uid).await {
            return;
        }
        let mut state = self.state();
        state.answered = true;
        if !state.record.ever_available {
            state.record.ever_available = true;
            self.write_down(&state.record);
        }
    }

    /// Cuts what processes have printed. They append, so they go on at the new end.
    fn bound_outputs(&self) {
        let slots: Vec<Slot> = self.state().slots.keys().copied().collect();
        for slot in slots {
            let output = self.directory.output(slot);
            let long =
                std::fs::metadata(&output).is_ok_and(|metadata| metadata.len() > limits::OUTPUT_BYTES_MAX);
            if long {
                let kept = output.with_extension("out.1");
                let cut = std::fs::copy(&output, kept)
                    .and_then(|_| std::fs::File::options().write(true).open(&output)?.set_len(0));
                if let Err(error) = cut {
                    tracing::warn!(%error, file = %output.display(), "an output file cannot be cut");
                }
            }
        }
    }

    fn tell_changes(&self) {
        let mut state = self.state();
        let phase = state.phase();
        if state.told.as_ref() != Some(&phase) {
            state.told = Some(phase);
            drop(state);
            self.services.changed(&self.target);
        }
    }

    /// The processes are found again by their marks if this fails, so it is no reason to stop.
    fn write_down(&self, record: &ClusterRecord) {
        if let Err(error) = self.directory.write(record) {
            tracing::warn!(%error, directory = %self.directory.path().display(), "cluster.json cannot be written");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn phase(&self) -> ClusterPhase {
        let nothing = SlotState::default();
        let job_manager = self.slots.get(&Slot::JobManager).unwrap_or(&nothing);
        phase(&JobManagerView {
            unprepared: self.unprepared.as_ref(),
            running: job_manager.running.is_some(),
            answered: self.answered,
            ever_available: self.record.ever_available,
            job_over: self.job_over,
            attempts: &job_manager.attempts,
        })
    }

    fn settled(&self) -> bool {
        self.answered || self.job_over
    }

    fn wanted(&self) -> Vec<Slot> {
        let task_managers = (1..=self.record.task_managers).map(Slot::TaskManager);
        std::iter::once(Slot::JobManager).chain(task_managers).collect()
    }
}
