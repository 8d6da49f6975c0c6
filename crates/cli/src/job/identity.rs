//! Ids of runs and stops, chosen before they are asked for, so that asking twice does it once.
//!
//! The runs that follow a run have their ids from it, in one row: whoever updates a job, and whoever restores it, wants
//! the next id of that row, and Flink gives an id to one job only. This module refuses to read a clock.

use drey_flink::{JobId, TriggerId};
use sha2::{Digest, Sha256};

use super::limits;

/// The id of a run that follows none. `unique` is different for each.
#[must_use]
pub fn first(version: &str, unique: &str) -> JobId {
    JobId::from_bytes(derive(&["first", version, unique]))
}

/// The id of the run that follows `job`, or of the next one after `attempt` of them have ended.
#[must_use]
pub fn successor(job: JobId, attempt: u32) -> JobId {
    JobId::from_bytes(derive(&["successor", &job.to_string(), &attempt.to_string()]))
}

/// Every id that may follow `job`, in its order.
pub fn successors(job: JobId) -> impl Iterator<Item = JobId> {
    (0..limits::ATTEMPTS_MAX).map(move |attempt| successor(job, attempt))
}

/// The id of a stop of `job`, or of the next one after `attempt` of them have failed.
#[must_use]
pub fn stop(job: JobId, attempt: u32) -> TriggerId {
    TriggerId::from_bytes(derive(&["stop", &job.to_string(), &attempt.to_string()]))
}

/// The id of a savepoint of `job`. `unique` is different for each.
#[must_use]
pub fn savepoint(job: JobId, unique: &str) -> TriggerId {
    TriggerId::from_bytes(derive(&["savepoint", &job.to_string(), unique]))
}

/// What no other process has at this moment, nor this one at another.
#[must_use]
pub fn unique(now: jiff::Timestamp) -> String {
    format!("{} {}", now.as_nanosecond(), std::process::id())
}

fn derive(parts: &[&str]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let mut id = [0; 16];
    id.copy_from_slice(&hash.finalize()[..16]);
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_same_for_the_same_and_differ_for_all_else() {
        let job = first("version", "now");
        assert_eq!(successor(job, 0), successor(job, 0));
        let ids =
            [job, first("version", "later"), first("versionnow", ""), successor(job, 0), successor(job, 1)];
        for (at, id) in ids.iter().enumerate() {
            assert!(!ids[at + 1..].contains(id), "{id}");
        }
        assert_ne!(stop(job, 0), stop(job, 1));
        assert_eq!(successors(job).count(), limits::ATTEMPTS_MAX as usize);
    }
}
