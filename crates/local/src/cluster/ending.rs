//! Ends the processes of a cluster, proves that none is left, and removes its directory.
//!
//! The JobManager goes first: a JobManager that outlives its TaskManagers could call the job failed, and clean up
//! what the next run is to be restored from. On SIGTERM it leaves its high-availability data alone.
//!
//! It refuses to know what happens to that data.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::Cluster;
use crate::process_table::{CLUSTER_VARIABLE, ProcessIdentity, family};
use crate::record::Slot;
use crate::{atomic_file, limits, spawn};

impl Cluster {
    /// Whether no process of the incarnation is left. To be called again when some are.
    pub(super) async fn end_processes(&self) -> bool {
        self.adopt_unseen();
        let grace = self.services.termination_grace;
        self.end(|slot| slot == Slot::JobManager, grace).await;
        self.end(|slot| slot != Slot::JobManager, grace).await;
        match self.sweep().await {
            Ok(left) => {
                if !left {
                    self.state().slots.clear();
                }
                !left
            }
            Err(error) => {
                tracing::warn!(%error, cluster = %self.target.name, "whether processes are left cannot be told");
                false
            }
        }
    }

    /// A drey that was killed may have left processes that are not on record.
    fn adopt_unseen(&self) {
        if self.state().slots.is_empty() {
            self.adopt();
        }
    }

    /// Asks the processes to end, waits, and kills those that have not.
    async fn end(&self, wanted: fn(Slot) -> bool, grace: Duration) {
        let leaders = self.leaders(wanted);
        for leader in &leaders {
            signal_group(leader, Signal::TERM);
        }
        let deadline = Instant::now() + grace;
        while leaders.iter().any(maybe_alive) && Instant::now() < deadline {
            tokio::time::sleep(limits::TERMINATION_POLL).await;
        }
        for leader in leaders.iter().filter(|leader| maybe_alive(leader)) {
            signal_group(leader, Signal::KILL);
        }
    }

    fn leaders(&self, wanted: fn(Slot) -> bool) -> Vec<ProcessIdentity> {
        let state = self.state();
        let processes = state.slots.iter().filter(|(slot, _)| wanted(**slot));
        processes.filter_map(|(_, slot)| slot.running.as_ref()?.identity.clone()).collect()
    }

    /// Kills every process that carries the mark of the incarnation, and tells whether any is left.
    async fn sweep(&self) -> io::Result<bool> {
        let deadline = Instant::now() + limits::SWEEP_DEADLINE;
        loop {
            let leaders: Vec<i32> = self.leaders(|_| true).iter().map(|leader| leader.pid).collect();
            let members = family(CLUSTER_VARIABLE, &self.uid, &leaders)?;
            for member in &members {
                member.signal(Signal::KILL)?;
            }
            if members.is_empty() && self.locks_free()? {
                return Ok(false);
            }
            if Instant::now() >= deadline {
                return Ok(true);
            }
            tokio::time::sleep(limits::TERMINATION_POLL).await;
        }
    }

    fn locks_free(&self) -> io::Result<bool> {
        let wanted = self.state().wanted();
        for slot in wanted {
            if !spawn::is_free(&self.directory.lock(slot))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Keeps the logs and removes the rest. From the moment that it returns true, the incarnation is gone.
    pub(super) fn finalise(&self) -> bool {
        if let Err(error) = self.remove_directory() {
            tracing::warn!(%error, directory = %self.directory.path().display(), "a cluster's directory cannot be removed");
            return false;
        }
        self.state().gone = true;
        self.services.remove(&self.uid);
        self.services.changed(&self.target);
        true
    }

    fn remove_directory(&self) -> io::Result<()> {
        let kept = self.services.layout.ended_logs(&self.target.namespace, &self.target.name);
        atomic_file::create_private_directory(&kept)?;
        let record = self.record();
        // Thirteen digits of milliseconds last for some centuries: names sort by time.
        let log = kept.join(format!("{:013}-{}", record.created_at_ms, record.uid));
        match fs::rename(self.directory.logs(), &log) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        forget_old_logs(&kept)?;
        // A name with a dot is not a cluster any more, whatever is left of it.
        let path = self.directory.path();
        let ended = path.with_file_name(format!(".ended-{}", record.uid));
        match fs::rename(path, &ended) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        if let Some(parent) = path.parent() {
            atomic_file::sync_directory(parent)?;
        }
        atomic_file::remove_directory(&ended)
    }
}

fn forget_old_logs(kept: &std::path::Path) -> io::Result<()> {
    let logs = crate::record::visible_children(kept)?;
    let surplus = logs.len().saturating_sub(limits::KEPT_LOGS_MAX);
    logs.iter().take(surplus).try_for_each(|log| atomic_file::remove_directory(log))
}

fn signal_group(leader: &ProcessIdentity, signal: Signal) {
    if let Err(error) = leader.signal_group(signal) {
        tracing::warn!(%error, pid = leader.pid, ?signal, "a process cannot be signalled");
    }
}

/// When the process table cannot be read, it may be alive.
fn maybe_alive(process: &ProcessIdentity) -> bool {
    process.is_alive().unwrap_or(true)
}
