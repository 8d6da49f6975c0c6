//! What Flink left in storage on this machine: complete snapshots and results of jobs. Read only.
//!
//! It refuses to know storage elsewhere: of that nothing is known.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use drey_api::kinds::FlinkJobState;
use drey_core::JobId;
use drey_core::observed::{Seen, StoredSnapshot};

use crate::configuration::file_uri;
use crate::limits;

/// The file that Flink writes last, so that a snapshot which has it is complete.
const METADATA_FILE: &str = "_metadata";

/// First four bytes of a metadata file, big endian (Flink's `Checkpoints.HEADER_MAGIC_NUMBER`).
const METADATA_MAGIC: u32 = 0x4960_672d;

/// Versions of the metadata format whose checkpoint id stands right behind the version number.
const METADATA_VERSIONS: std::ops::RangeInclusive<u32> = 2..=6;

/// The complete snapshot in a directory or directly below it; the one with the highest id if there are several.
/// The directory of a request is made by Flink, two levels below the one that is configured.
pub(crate) fn find_snapshot(directory: &Path) -> Seen<StoredSnapshot> {
    let configured = directory.ancestors().nth(2).unwrap_or(directory);
    known(newest(directory, |_| true), configured)
}

/// The newest complete retained checkpoint `chk-N` of a job.
pub(crate) fn newest_checkpoint(checkpoints: &Path, job_id: &JobId) -> Seen<StoredSnapshot> {
    known(newest(&checkpoints.join(job_id.as_str()), |name| name.starts_with("chk-")), checkpoints)
}

/// The end of a job as a result store has it, committed (`<job id>.json`) or of a job that may still have to be
/// cleaned up (`<job id>_DIRTY.json`). A store that does not exist was not made here.
pub(crate) fn job_result(store: &Path, job_id: &str) -> Seen<FlinkJobState> {
    match job_result_file(store, job_id) {
        Seen::Present(path) => ended_as(&path).map_or(Seen::Unknown, Seen::Present),
        Seen::Absent => Seen::Absent,
        Seen::Unknown => Seen::Unknown,
    }
}

/// The file of a job's result.
pub(crate) fn job_result_file(store: &Path, job_id: &str) -> Seen<PathBuf> {
    match fs::symlink_metadata(store) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) | Err(_) => return Seen::Unknown,
    }
    for name in [format!("{job_id}.json"), format!("{job_id}_DIRTY.json")] {
        let path = store.join(name);
        match fs::symlink_metadata(&path) {
            Ok(_) => return Seen::Present(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => return Seen::Unknown,
        }
    }
    Seen::Absent
}

/// `result.application-status` of Flink's job result store.
fn ended_as(path: &Path) -> Option<FlinkJobState> {
    let entry: serde_json::Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    match entry.pointer("/result/application-status")?.as_str()? {
        "SUCCEEDED" => Some(FlinkJobState::Finished),
        "CANCELED" => Some(FlinkJobState::Canceled),
        "FAILED" => Some(FlinkJobState::Failed),
        _ => None,
    }
}

/// Nothing in a directory that is there is absence. Without the directory that is configured, a disk may be
/// missing.
fn known(found: io::Result<Option<StoredSnapshot>>, configured: &Path) -> Seen<StoredSnapshot> {
    match found {
        Ok(Some(snapshot)) => Seen::Present(snapshot),
        Ok(None) if configured.is_dir() => Seen::Absent,
        Ok(None) => Seen::Unknown,
        Err(error) => {
            tracing::warn!(%error, "snapshots cannot be listed");
            Seen::Unknown
        }
    }
}

fn newest(directory: &Path, wanted: fn(&str) -> bool) -> io::Result<Option<StoredSnapshot>> {
    let mut best: Option<StoredSnapshot> = None;
    for candidate in candidates(directory, wanted)? {
        if let Some(id) = complete(&candidate)? {
            let better = best.as_ref().is_none_or(|best| best.checkpoint_id < Some(id));
            if better {
                best =
                    Some(StoredSnapshot { path: Arc::from(file_uri(&candidate)), checkpoint_id: Some(id) });
            }
        }
    }
    Ok(best)
}

/// The directory itself and the wanted ones below it.
fn candidates(directory: &Path, wanted: fn(&str) -> bool) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut candidates = vec![directory.to_owned()];
    for entry in entries {
        if candidates.len() > limits::DIRECTORY_ENTRIES_MAX {
            return Err(io::Error::other(format!("too many entries in {}", directory.display())));
        }
        let entry = entry?;
        if entry.file_type()?.is_dir() && wanted(&entry.file_name().to_string_lossy()) {
            candidates.push(entry.path());
        }
    }
    Ok(candidates)
}

/// The checkpoint id of a complete snapshot; `None` when the directory holds none. A metadata file that is empty
/// or cut within its head is none: its writing has not ended.
fn complete(directory: &Path) -> io::Result<Option<u64>> {
    let path = directory.join(METADATA_FILE);
    let mut head = Vec::with_capacity(16);
    match File::open(&path) {
        Ok(file) => file.take(16).read_to_end(&mut head)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match head.as_slice().try_into() {
        Ok(head) => checkpoint_id(head).map(Some).map_err(|found| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{}: {found}", path.display()))
        }),
        Err(_) => Ok(None),
    }
}

/// Reads the head: magic, format version, checkpoint id.
fn checkpoint_id(head: [u8; 16]) -> Result<u64, String> {
    let word = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    if word(0) != METADATA_MAGIC {
        return Err(format!("not a metadata file of Flink: it begins with {:#010x}", word(0)));
    }
    if !METADATA_VERSIONS.contains(&word(4)) {
        return Err(format!("metadata format {} is not known", word(4)));
    }
    Ok(u64::from(word(8)) << 32 | u64::from(word(12)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(directory: &Path, id: u64) {
        fs::create_dir_all(directory).unwrap();
        let mut head = METADATA_MAGIC.to_be_bytes().to_vec();
        head.extend(4_u32.to_be_bytes());
        head.extend(id.to_be_bytes());
        head.extend(b"rest");
        fs::write(directory.join(METADATA_FILE), head).unwrap();
    }

    #[test]
    fn the_highest_id_counts_not_the_name() {
        let root = tempfile::tempdir().unwrap();
        let job = JobId::new("0a");
        let checkpoints = root.path().join("0a");
        snapshot(&checkpoints.join("chk-9"), 9);
        snapshot(&checkpoints.join("chk-10"), 10);
        snapshot(&checkpoints.join("shared"), 99);
        fs::create_dir(checkpoints.join("chk-11")).unwrap();
        fs::create_dir(checkpoints.join("chk-12")).unwrap();
        fs::write(checkpoints.join("chk-12/_metadata"), b"cut").unwrap();
        let found = newest_checkpoint(root.path(), &job);
        let expected = file_uri(&checkpoints.join("chk-10"));
        assert_eq!(found.present().map(|found| &*found.path), Some(expected.as_str()));
        assert_eq!(found.present().and_then(|found| found.checkpoint_id), Some(10));
    }

    #[test]
    fn a_savepoint_is_found_in_its_directory_or_one_below() {
        let root = tempfile::tempdir().unwrap();
        assert!(find_snapshot(&root.path().join("uid/7")).is_absent());
        assert!(find_snapshot(&root.path().join("unmounted/uid/7")).is_unknown());
        assert!(newest_checkpoint(&root.path().join("unmounted"), &JobId::new("0a")).is_unknown());
        assert!(newest_checkpoint(root.path(), &JobId::new("0a")).is_absent());
        assert!(find_snapshot(root.path()).is_absent());
        snapshot(&root.path().join("savepoint-ab-cd"), 5);
        assert!(find_snapshot(root.path()).present().unwrap().path.ends_with("/savepoint-ab-cd"));
        snapshot(root.path(), 6);
        assert_eq!(find_snapshot(root.path()).present().unwrap().checkpoint_id, Some(6));
    }

    #[test]
    fn what_cannot_be_understood_is_unknown_and_not_absent() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join(METADATA_FILE), b"something that is not Flink's").unwrap();
        assert!(find_snapshot(root.path()).is_unknown());
        let mut later = METADATA_MAGIC.to_be_bytes().to_vec();
        later.extend(99_u32.to_be_bytes());
        later.extend([0; 8]);
        fs::write(root.path().join(METADATA_FILE), later).unwrap();
        assert!(find_snapshot(root.path()).is_unknown());
        assert!(find_snapshot(&root.path().join(METADATA_FILE)).is_unknown());
    }

    #[test]
    fn a_result_counts_clean_or_dirty_and_a_store_that_is_not_there_tells_nothing() {
        let store = tempfile::tempdir().unwrap();
        assert!(job_result(&store.path().join("none"), "0a").is_unknown());
        assert!(job_result(store.path(), "0a").is_absent());
        let ended = |job_id: &str, status: &str| {
            let result = serde_json::json!({ "id": job_id, "application-status": status, "net-runtime": 7 });
            serde_json::json!({ "result": result, "version": 1 }).to_string()
        };
        fs::write(store.path().join("0a_DIRTY.json"), ended("0a", "CANCELED")).unwrap();
        assert_eq!(job_result(store.path(), "0a"), Seen::Present(FlinkJobState::Canceled));
        assert!(job_result(store.path(), "0b").is_absent());
        fs::write(store.path().join("0b.json"), ended("0b", "SUCCEEDED")).unwrap();
        assert_eq!(job_result(store.path(), "0b"), Seen::Present(FlinkJobState::Finished));
        fs::write(store.path().join("0c_DIRTY.json"), "{").unwrap();
        assert!(job_result(store.path(), "0c").is_unknown());
        assert!(job_result_file(store.path(), "0c").present().is_some());
    }
}
