//! Names of runs and requests. They are derived, never drawn: the same (resource, intent number, moment) gives
//! the same id, so that a repeated step repeats its request and a simulation replays exactly.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::Now;

/// A Flink job id: 32 hexadecimal digits (`JobID` of Flink).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(Arc<str>);

/// The id of an asynchronous Flink operation (`triggerId` of a savepoint, stop or checkpoint request): 32
/// hexadecimal digits, chosen by us so that a repeated request is recognised by Flink.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TriggerId(Arc<str>);

impl JobId {
    /// Takes an id as Flink or a status gives it.
    pub fn new(id: &str) -> JobId {
        JobId(Arc::from(id))
    }

    /// Derives the id of a new run.
    pub fn derive(uid: &str, seq: i64, now: Now) -> JobId {
        JobId(digest("job", uid, seq, now))
    }

    /// The 32 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TriggerId {
    /// Takes an id as a status gives it.
    pub fn new(id: &str) -> TriggerId {
        TriggerId(Arc::from(id))
    }

    /// Derives the id of a new request.
    pub fn derive(uid: &str, seq: i64, now: Now) -> TriggerId {
        TriggerId(digest("trigger", uid, seq, now))
    }

    /// The 32 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for TriggerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TriggerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn digest(purpose: &str, uid: &str, seq: i64, now: Now) -> Arc<str> {
    let mut hash = Sha256::new();
    hash.update(purpose);
    hash.update([0]);
    hash.update(uid);
    hash.update(seq.to_be_bytes());
    hash.update(now.0.to_be_bytes());
    let bytes = hash.finalize();
    let mut text = String::with_capacity(32);
    for byte in &bytes[..16] {
        text.push(char::from(HEX[usize::from(byte >> 4)]));
        text.push(char::from(HEX[usize::from(byte & 15)]));
    }
    Arc::from(text)
}

const HEX: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_hexadecimal_and_differ_by_every_input() {
        let id = JobId::derive("uid", 1, Now(1));
        assert_eq!(id.as_str().len(), 32);
        assert!(id.as_str().bytes().all(|b| b.is_ascii_hexdigit()));
        assert_eq!(id, JobId::derive("uid", 1, Now(1)));
        assert_ne!(id.as_str(), TriggerId::derive("uid", 1, Now(1)).as_str());
    }

    #[test]
    fn a_hundred_thousand_ids_do_not_collide() {
        let ids: BTreeSet<JobId> = (0..100_000).map(|seq| JobId::derive("u", seq, Now(seq / 7))).collect();
        assert_eq!(ids.len(), 100_000);
    }
}
