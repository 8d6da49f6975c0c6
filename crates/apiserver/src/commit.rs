//! Durability: batches of rows go to a thread that commits them in groups, and requests wait for theirs.
//!
//! Without a file every revision is committed at once. When the disk refuses a batch, everything after the
//! last good commit is undone in memory and its requests fail: nobody was told that it happened.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::watch;

use crate::errors::ApiError;
use crate::limits::COMMIT_BATCHES_MAX;
use crate::state::{Row, State};
use crate::store::{OpenError, Store};

/// How far the disk is, as everyone may see it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    /// Every revision up to here is on the disk, except failed ones.
    pub(crate) committed: u64,
    /// Revisions that were undone: after the first, up to the second.
    failed: Vec<(u64, u64, String)>,
}

/// Failed ranges that are remembered for requests that have not looked yet.
const FAILED_RANGES_MAX: usize = 64;

/// The state behind its lock, and what is on the disk of it. Dropping the last one waits until everything
/// that was handed over is written and the file is released.
#[derive(Debug)]
pub(crate) struct Shared {
    core: Arc<Core>,
    /// `None` keeps everything in memory only.
    writer: Option<Writer>,
}

/// What requests and the commit thread share.
#[derive(Debug)]
struct Core {
    state: Mutex<State>,
    progress: watch::Sender<Progress>,
}

#[derive(Debug)]
struct Writer {
    /// Taken when the server goes, which ends the thread.
    batches: Option<Sender<Batch>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.batches = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that writes the state file panicked");
        }
    }
}

#[derive(Debug)]
struct Batch {
    rows: Vec<Row>,
    revision: u64,
}

impl Core {
    fn new(state: State) -> Arc<Core> {
        let progress = Progress { committed: state.revision, failed: Vec::new() };
        Arc::new(Core { state: Mutex::new(state), progress: watch::Sender::new(progress) })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// Memory only.
    pub(crate) fn in_memory(state: State) -> Shared {
        Shared { core: Core::new(state), writer: None }
    }

    /// Backed by `store`, which holds what `state` was loaded from.
    pub(crate) fn on_disk(state: State, store: Store) -> Result<Shared, OpenError> {
        let core = Core::new(state);
        let (batches, receiver) = channel();
        let theirs = Arc::clone(&core);
        let thread = std::thread::Builder::new()
            .name("apiserver-commit".to_owned())
            .spawn(move || commit_loop(store, &receiver, &theirs))
            .map_err(|source| OpenError::Thread { source })?;
        Ok(Shared { core, writer: Some(Writer { batches: Some(batches), thread: Some(thread) }) })
    }

    /// The lock. A panic while it was held leaves complete changes only, because a change is one call.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.core.lock()
    }

    /// Hands over what was written under the lock; the returned revision is what to wait for.
    pub(crate) fn seal(&self, state: &mut State) -> u64 {
        let revision = state.revision;
        let rows = state.take_unsealed();
        if rows.is_empty() {
            return revision;
        }
        match self.writer.as_ref().and_then(|writer| writer.batches.as_ref()) {
            None => self.core.progress.send_modify(|progress| progress.committed = revision),
            Some(batches) => {
                if batches.send(Batch { rows, revision }).is_err() {
                    // The thread has panicked: nothing can be stored any more, and nobody is told it was.
                    let why = "the thread that writes the state file is gone".to_owned();
                    self.core.progress.send_modify(|progress| {
                        progress.failed.push((progress.committed, u64::MAX, why));
                    });
                }
            }
        }
        revision
    }

    /// Follows commits.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Progress> {
        self.core.progress.subscribe()
    }

    pub(crate) fn committed(&self) -> u64 {
        self.core.progress.borrow().committed
    }

    /// Waits until `revision` is on the disk.
    pub(crate) async fn durable(&self, revision: u64) -> Result<(), ApiError> {
        if self.writer.is_none() {
            return Ok(());
        }
        let mut progress = self.subscribe();
        let settled =
            |progress: &Progress| progress.committed >= revision || failure(progress, revision).is_some();
        let progress = progress
            .wait_for(settled)
            .await
            .map_err(|_| ApiError::internal("the API server is shutting down"))?;
        match failure(&progress, revision) {
            Some(why) => Err(ApiError::internal(format!("the change could not be stored: {why}"))),
            None => Ok(()),
        }
    }
}

fn failure(progress: &Progress, revision: u64) -> Option<&str> {
    let mut ranges = progress.failed.iter();
    ranges.find(|(after, upto, _)| revision > *after && revision <= *upto).map(|(_, _, why)| why.as_str())
}

fn commit_loop(mut store: Store, batches: &Receiver<Batch>, core: &Core) {
    while let Ok(first) = batches.recv() {
        let mut revision = first.revision;
        let mut rows = first.rows;
        for batch in batches.try_iter().take(COMMIT_BATCHES_MAX) {
            revision = batch.revision;
            rows.extend(batch.rows);
        }
        match store.commit(&rows, revision) {
            Ok(()) => core.progress.send_modify(|progress| progress.committed = revision),
            Err(error) => give_up(core, batches, &error),
        }
    }
}

/// Undoes everything that is not on the disk. Under the lock, so that no batch can arrive meanwhile.
fn give_up(core: &Core, batches: &Receiver<Batch>, error: &rusqlite::Error) {
    let mut state = core.lock();
    while batches.try_recv().is_ok() {}
    let committed = core.progress.borrow().committed;
    state.roll_back(committed);
    let upto = state.revision;
    tracing::error!(%error, "writing the state file failed; the changes were undone");
    core.progress.send_modify(|progress| {
        progress.failed.push((committed, upto, error.to_string()));
        if progress.failed.len() > FAILED_RANGES_MAX {
            progress.failed.remove(0);
        }
    });
}
