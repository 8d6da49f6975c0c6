//! Starts the processes that are missing, and takes over those that an earlier drey has started.
//!
//! It refuses to end any process, but for what a dead one has left behind.

use std::io;
use std::process::ExitStatus;
use std::sync::Arc;

use drey_flink::FlinkVersion;
use process_wrap::tokio::ChildWrapper;
use rustix::process::{Pid, Signal};

use super::{Cluster, Order, Running};
use crate::command_line::{self, Surroundings};
use crate::java::{self, JavaPlaces};
use crate::ports;
use crate::process_table::{CLUSTER_VARIABLE, ProcessIdentity, SLOT_VARIABLE, family, variable_of};
use crate::record::{ClusterRecord, ProcessRecord, Slot};
use crate::services::now_ms;
use crate::spawn::{self, Launch, SpawnError};

impl Cluster {
    /// Takes over the processes on record that are alive.
    pub(super) fn adopt(&self) {
        let recorded = self.state().record.processes.clone();
        for (slot, process) in recorded {
            match process.identity.is_alive() {
                Ok(true) => self.taken_over(slot, process.identity, process.started_at_ms),
                Ok(false) => {}
                // Its lock keeps another one from being started.
                Err(error) => tracing::warn!(%error, process = %slot, "the process table cannot be read"),
            }
        }
    }

    fn taken_over(&self, slot: Slot, identity: ProcessIdentity, started_at_ms: i64) {
        tracing::info!(cluster = %self.target.name, process = %slot, pid = identity.pid, "took over a running process");
        let mut state = self.state();
        let running = Running { identity: Some(identity), started_at_ms, own: false, exit: None };
        state.slots.entry(slot).or_default().running = Some(running);
    }

    /// Starts every wanted process that is not running and whose time has come.
    pub(super) fn start_missing(self: &Arc<Self>) {
        let wanted = self.state().wanted();
        for slot in wanted {
            let due = {
                let mut state = self.state();
                let over = state.job_over || state.order != Order::Run;
                let slot_state = state.slots.entry(slot).or_default();
                !over && slot_state.running.is_none() && slot_state.attempts.due(now_ms())
            };
            if due {
                self.start(slot);
            }
        }
    }

    fn start(self: &Arc<Self>, slot: Slot) {
        // Before anything else is looked at: a living process would make its own ports look taken.
        if spawn::is_free(&self.directory.lock(slot)).is_ok_and(|free| !free) {
            self.meet_occupant(slot);
            return;
        }
        if slot == Slot::JobManager {
            if self.job_has_result() {
                self.state().job_over = true;
                return;
            }
            if let Err(error) = self.ensure_ports() {
                self.not_started(slot, &error.to_string());
                return;
            }
        }
        match self.launch(slot).map(|launch| spawn::spawn(&launch)) {
            Ok(Ok(spawned)) => self.started(slot, spawned.child, spawned.identity),
            Ok(Err(SpawnError::Occupied(_))) => self.meet_occupant(slot),
            Ok(Err(error @ SpawnError::Io { .. })) => self.not_started(slot, &error.to_string()),
            Err(error) => self.not_started(slot, &error.to_string()),
        }
    }

    fn not_started(&self, slot: Slot, why: &str) {
        tracing::warn!(cluster = %self.target.name, process = %slot, %why, "a process cannot be started");
        let now_ms = now_ms();
        let why = format!("{slot} cannot be started: {why}");
        self.state().slots.entry(slot).or_default().attempts.exited(now_ms, now_ms, why);
    }

    fn started(
        self: &Arc<Self>,
        slot: Slot,
        child: Box<dyn ChildWrapper>,
        identity: Option<ProcessIdentity>,
    ) {
        let started_at_ms = now_ms();
        let mut state = self.state();
        let attempt = state.record.processes.get(&slot).map_or(0, |process| process.attempt) + 1;
        if let Some(identity) = identity.clone() {
            state.record.processes.insert(slot, ProcessRecord { identity, started_at_ms, attempt });
            self.write_down(&state.record);
        }
        state.slots.entry(slot).or_default().running =
            Some(Running { identity, started_at_ms, own: true, exit: None });
        drop(state);
        let cluster = Arc::clone(self);
        tokio::spawn(async move { cluster.wait_for(slot, child).await });
    }

    async fn wait_for(&self, slot: Slot, mut child: Box<dyn ChildWrapper>) {
        let exit = describe(child.wait().await);
        if let Some(running) = self.state().slots.get_mut(&slot).and_then(|slot| slot.running.as_mut()) {
            running.exit = Some(exit);
        }
        self.wake.notify_one();
    }

    /// Something holds the lock that we have no record of, or whose leader is dead: the process of a drey that was
    /// killed before it could write it down, which is taken over, or what a dead process has left, which is ended.
    fn meet_occupant(&self, slot: Slot) {
        let now_ms = now_ms();
        for process in self.members_of(slot).unwrap_or_default() {
            let session = Pid::from_raw(process.pid).and_then(|pid| rustix::process::getsid(Some(pid)).ok());
            if session.is_some_and(|session| session.as_raw_nonzero().get() == process.pid) {
                let record = ProcessRecord { identity: process.clone(), started_at_ms: now_ms, attempt: 1 };
                let mut state = self.state();
                state.record.processes.insert(slot, record);
                self.write_down(&state.record);
                drop(state);
                self.taken_over(slot, process, now_ms);
                return;
            }
            if let Err(error) = process.signal(Signal::KILL) {
                tracing::warn!(%error, pid = process.pid, "a left-over process cannot be ended");
            }
        }
    }

    fn members_of(&self, slot: Slot) -> io::Result<Vec<ProcessIdentity>> {
        let mut members = family(CLUSTER_VARIABLE, &self.uid, &[])?;
        let name = slot.to_string();
        members.retain(|member| variable_of(member.pid, SLOT_VARIABLE).as_ref() == Some(&name));
        Ok(members)
    }

    /// Ports that were free when the cluster was made may be taken now.
    fn ensure_ports(&self) -> io::Result<()> {
        let before = self.ports();
        if ports::is_free(before.rest) && ports::is_free(before.rpc) {
            return Ok(());
        }
        let taken = |message: String| io::Error::new(io::ErrorKind::AddrInUse, message);
        let fixed = ports::fixed_rest_port(&self.state().record.configuration);
        if let Some(port) = fixed.filter(|port| !ports::is_free(*port)) {
            return Err(taken(format!("port {port} (`rest.port`) is taken: end what listens there")));
        }
        let preferred =
            ports::preferred(self.services.layout.root(), &self.target.namespace, &self.target.name);
        let found = ports::choose(&preferred, fixed, self.services.ports_of_others(&self.uid))
            .map_err(|first| taken(format!("no free port from {first} on: end what listens there")))?;
        let record = {
            let mut state = self.state();
            state.record.ports = found;
            state.record.clone()
        };
        tracing::info!(cluster = %self.target.name, ?before, ?record.ports, "ports were taken, others are used");
        self.directory.write(&record)?;
        let (version, java) = runtime_of(&record, &self.services.java)?;
        self.write_configuration(&record, version, &java)
    }

    fn launch(&self, slot: Slot) -> io::Result<Launch> {
        let record = self.record();
        let missing = || io::Error::new(io::ErrorKind::NotFound, "Flink or Java was not found yet");
        let flink_home = record.flink_home.as_deref().ok_or_else(missing)?;
        let java_home = record.java_home.as_deref().ok_or_else(missing)?;
        let around = Surroundings {
            directory: &self.directory,
            state_directory: self.services.layout.root(),
            java_home,
            inherited: &self.services.inherited_environment,
        };
        let attempt = record.processes.get(&slot).map_or(0, |process| process.attempt) + 1;
        let (script, arguments) = match slot {
            Slot::JobManager => ("standalone-job.sh", command_line::job_manager_arguments(&record)),
            Slot::TaskManager(_) => {
                ("taskmanager.sh", command_line::task_manager_arguments(&self.directory, slot, attempt))
            }
        };
        Ok(Launch {
            program: flink_home.join("bin").join(script),
            arguments,
            environment: command_line::environment(&record, slot, &around),
            working_directory: self.services.working_directory.clone(),
            output: self.directory.output(slot),
            lock: self.directory.lock(slot),
        })
    }
}

fn runtime_of(record: &ClusterRecord, places: &JavaPlaces) -> io::Result<(FlinkVersion, java::Java)> {
    let version = record.flink_version.parse::<FlinkVersion>().map_err(io::Error::other)?;
    let java = java::find(version, places).map_err(io::Error::other)?;
    Ok((version, java))
}

fn describe(waited: io::Result<ExitStatus>) -> String {
    match waited {
        Ok(status) => match status.code() {
            Some(code) => format!("exited with code {code}"),
            None => format!("was ended ({status})"),
        },
        Err(error) => format!("ended, nobody knows how ({error})"),
    }
}
