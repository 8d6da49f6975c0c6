//! Which snapshot the next run starts from. This is the file that must not be wrong; it is small so that it can be
//! proved by reading.
//!
//! Precondition of every call: the previous run is *provably dead* (its cluster is [`Seen::Absent`] by a live
//! read), and everything in [`Evidence`] was read after that. Nothing can complete a snapshot any more, so the
//! newest one that exists now is the newest one for ever.
//!
//! Flink ranks the snapshots of one lineage by one counter, the checkpoint id, which goes on rising across a
//! restore. Where the newest one can be:
//!
//! | place | rank | believed because |
//! |---|---|---|
//! | what the run left when it ended (`run.end`) | its id | read after the job was terminal |
//! | checkpoint store of high availability | its id | Flink writes it at every completion |
//! | savepoints that we know of, and the one of an open intent | their ids | Flink's answer, or storage |
//! | retained checkpoints in storage | their ids | complete only with `_metadata` |
//! | what the run itself was started from (`run.base`) | older than all of these | written down at its start |
//!
//! [`Restore::Empty`] comes out only when the user asked for it or when it is certain that no snapshot exists.
//! Where certainty cannot be had, the answer is [`Choice::Wait`] or [`Choice::Manual`], never a guess.

use std::sync::Arc;

use drey_api::kinds::FlinkJobState;

use crate::journal::{Base, Last, Run};
use crate::observed::{HighAvailability, Seen, StoredSnapshot};

/// Where the state of a run comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restore {
    /// From nothing.
    Empty,
    /// From the snapshot at this path, as a new job id.
    Path(Arc<str>),
    /// From the newest checkpoint in the high-availability store, under the same job id.
    LastState,
}

/// What the user wants of the state, seen from the last run to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Go on with all state.
    Keep,
    /// Start from nothing (`upgradeMode: stateless`).
    Discard,
    /// Start from this path (`savepointRedeployNonce`, or `initialSavepointPath` at the first deploy).
    From(Arc<str>),
}

/// Everything the choice looks at.
#[derive(Clone, Debug)]
pub struct Evidence<'a> {
    /// What the user wants.
    pub wish: Wish,
    /// The previous run; `None` when there never was one.
    pub run: Option<&'a Run>,
    /// The newest complete snapshot in the directories of requests whose outcome nobody knows.
    pub of_open_requests: &'a Seen<StoredSnapshot>,
    /// Nobody here will ever be able to look into those directories.
    pub storage_hidden: bool,
    /// The high-availability store.
    pub high_availability: &'a Seen<HighAvailability>,
    /// The newest retained checkpoint of the run's job id in storage.
    pub retained: &'a Seen<StoredSnapshot>,
    /// Entry of the run's job id in the job result store.
    pub job_result: &'a Seen<FlinkJobState>,
    /// The next run uses another Flink version, which cannot read the high-availability store of this one.
    pub version_changed: bool,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Start like this.
    Start(Restore),
    /// Look again: this is not known yet.
    Wait(Unsure),
    /// Nothing reachable is provably the newest snapshot: a person has to choose.
    Manual(Unsure),
}

/// What is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsure {
    /// The high-availability store could not be read.
    HighAvailability,
    /// The savepoint directory of an unfinished request could not be read.
    SavepointDirectory,
    /// The high-availability store holds the newest checkpoint, which another Flink version cannot read, and no
    /// snapshot by path is as new.
    VersionChange,
    /// The high-availability store is gone, and storage does not tell whether newer snapshots exist.
    StoreGone,
    /// The job ended by itself and what it left was not read before its JobManager went away.
    EndNotRead,
}

/// Chooses the restore source of the next run.
pub fn choose(evidence: &Evidence<'_>) -> Choice {
    let run = match (&evidence.wish, evidence.run) {
        (Wish::Discard, _) => return Choice::Start(Restore::Empty),
        (Wish::From(path), _) => return Choice::Start(Restore::Path(path.clone())),
        (Wish::Keep, None) => return Choice::Start(Restore::Empty),
        (Wish::Keep, Some(run)) => run,
    };
    if let Some(end) = &run.end {
        match &end.last {
            Last::Snapshot(left) => return left_by_end(run, Some(left), evidence),
            Last::Discarded => return Choice::Start(Restore::Empty),
            // A job that finished had restored before: what Flink does not know of does not exist.
            Last::Nothing if end.state == FlinkJobState::Finished => return left_by_end(run, None, evidence),
            // One that failed or was cancelled may have ended before it restored, or after its JobManager had
            // restarted: Flink then knows of nothing, and checkpoints exist all the same.
            Last::Nothing | Last::NotRead => {}
        }
    }
    if let Some(choice) = open_request(run, evidence) {
        return choice;
    }
    let by_path = newest([
        run.newest_savepoint.as_ref(),
        evidence.of_open_requests.present(),
        evidence.retained.present(),
    ]);
    let store = match evidence.high_availability {
        Seen::Unknown => return Choice::Wait(Unsure::HighAvailability),
        Seen::Absent => None,
        Seen::Present(data) => data.job(&run.job_id).and_then(|job| job.newest_checkpoint_id),
    };
    match (store, by_path) {
        (Some(id), Some(snapshot)) if is_newer(snapshot, id, evidence.version_changed) => {
            Choice::Start(Restore::Path(snapshot.path.clone()))
        }
        (Some(_), _) if evidence.version_changed => Choice::Manual(Unsure::VersionChange),
        (Some(_), _) => Choice::Start(Restore::LastState),
        (None, by_path) => without_store(run, by_path, evidence),
    }
}

/// Flink was asked after the end. A JobManager that had restarted has forgotten savepoints: those that we know of count
/// as well.
fn left_by_end(run: &Run, left: Option<&StoredSnapshot>, evidence: &Evidence<'_>) -> Choice {
    if let Some(choice) = open_request(run, evidence) {
        return choice;
    }
    let by_path = newest([run.newest_savepoint.as_ref(), evidence.of_open_requests.present(), left]);
    best_or_base(run, by_path)
}

/// A savepoint may be complete, and whether it is cannot be seen: now, or ever.
fn open_request(run: &Run, evidence: &Evidence<'_>) -> Option<Choice> {
    if run.open_directories.is_empty() || !evidence.of_open_requests.is_unknown() {
        return None;
    }
    let unsure = Unsure::SavepointDirectory;
    Some(if evidence.storage_hidden { Choice::Manual(unsure) } else { Choice::Wait(unsure) })
}

/// The store has no checkpoint of this run: either none was ever completed, or Flink's clean-up after a terminal
/// state, or a person, has removed them.
fn without_store(run: &Run, by_path: Option<&StoredSnapshot>, evidence: &Evidence<'_>) -> Choice {
    if run.never_ran {
        return best_or_base(run, by_path);
    }
    let store_kept = evidence.high_availability.present().is_some_and(|data| data.job(&run.job_id).is_some());
    match (evidence.retained, evidence.job_result) {
        // Storage lists every complete checkpoint that still exists: the newest by id is the newest there is.
        (Seen::Present(_), _) => best_or_base(run, by_path),
        // Storage says that no checkpoint exists, whoever removed the store.
        (Seen::Absent, _) => best_or_base(run, by_path),
        // Not terminal, so nothing was cleaned up, and the store is there: there never was a checkpoint.
        (Seen::Unknown, Seen::Absent) if store_kept => best_or_base(run, by_path),
        (Seen::Unknown, Seen::Present(_)) => Choice::Manual(Unsure::EndNotRead),
        (Seen::Unknown, Seen::Absent | Seen::Unknown) => Choice::Manual(Unsure::StoreGone),
    }
}

/// Whether a snapshot by path goes before checkpoint `id` of the store. As new is enough for another Flink version,
/// which cannot read the store.
fn is_newer(snapshot: &StoredSnapshot, id: u64, version_changed: bool) -> bool {
    snapshot.checkpoint_id.is_some_and(|path_id| path_id > id || (version_changed && path_id == id))
}

fn best_or_base(run: &Run, by_path: Option<&StoredSnapshot>) -> Choice {
    match by_path {
        Some(snapshot) => Choice::Start(Restore::Path(snapshot.path.clone())),
        None => from_base(run),
    }
}

/// The run completed nothing: the newest snapshot is the one it was started from.
fn from_base(run: &Run) -> Choice {
    match &run.base {
        Base::Empty => Choice::Start(Restore::Empty),
        Base::Path(path) => Choice::Start(Restore::Path(path.clone())),
        Base::Unrecorded => Choice::Manual(Unsure::StoreGone),
    }
}

/// The one with the highest checkpoint id. One without an id ranks below every one with an id.
fn newest<const N: usize>(snapshots: [Option<&StoredSnapshot>; N]) -> Option<&StoredSnapshot> {
    snapshots.into_iter().flatten().max_by_key(|snapshot| snapshot.checkpoint_id)
}
