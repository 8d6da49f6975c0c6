//! What the engine remembers of each FlinkDeployment, in memory only: its latest version, the last look at its
//! cluster, the last poll of its JobManager, and what is under way. Losing all of it costs a few requests and
//! nothing else. Refuses to decide.
//!
//! Invariant (own-write visibility): a version is never replaced by an older one, wherever that comes from, and
//! after a write with an unknown answer the object is *in doubt* until it was read from the API server itself. A
//! resource that a watch or a list says is gone is in doubt too, and forgotten only when the API server itself says
//! so: a stale list must not make the engine forget what it has written.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use drey_core::observed::{Cluster, Refused, Rest};
use drey_core::{Pace, Seen, WaitingFor};
use tokio::time::Instant;

use crate::object::{Key, Stored};
use crate::view::Census;

/// Everything remembered of one resource.
pub(crate) struct Slot {
    pub(crate) stored: Arc<Stored>,
    /// A write may have been applied that `stored` does not show.
    pub(crate) in_doubt: bool,
    /// `stored` has not been stepped yet.
    pub(crate) unstepped: bool,
    /// The pace that the last step asked for.
    pub(crate) pace: Pace,
    pub(crate) cluster: ClusterLook,
    pub(crate) poll: Option<PollResult>,
    /// An action is being performed.
    pub(crate) acting: Option<&'static str>,
    /// The last action was refused.
    pub(crate) refused: Option<Refused>,
    /// Why what stands in front of the cluster is not as the spec asks, as it was last told.
    pub(crate) exposure_failure: Option<Arc<str>>,
    /// Flink's id of the disposal that was asked for last, with the number of its intent.
    pub(crate) disposal: Option<(i64, drey_flink::TriggerId)>,
    /// Steps that failed in a row.
    pub(crate) failures: u32,
    pub(crate) frozen: Option<Frozen>,
    pub(crate) said: Said,
}

/// The last look at a cluster.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClusterLook {
    pub(crate) seen: Seen<Cluster>,
    /// When; `None` when it has to be looked at anew.
    pub(crate) at: Option<Instant>,
}

/// The last poll of a JobManager.
#[derive(Clone, Debug)]
pub(crate) struct PollResult {
    /// Uid of the cluster that was asked.
    pub(crate) cluster_uid: Arc<str>,
    pub(crate) rest: Arc<Rest>,
    pub(crate) at: Instant,
}

/// A resource on which an invariant was broken, or which made the engine panic. It is left alone until its user
/// changes it or the engine starts anew.
#[derive(Clone, Debug)]
pub(crate) struct Frozen {
    pub(crate) generation: i64,
    pub(crate) deleting: bool,
    pub(crate) message: Arc<str>,
    /// The condition is on the resource.
    pub(crate) published: bool,
}

/// What the last step came to, for people.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    pub(crate) sentence: Arc<str>,
    pub(crate) waiting: Option<(WaitingFor, Arc<str>)>,
    pub(crate) error: Option<Arc<str>>,
    pub(crate) census: Option<Census>,
}

/// What became of a version that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// The resource was not known.
    New,
    /// It replaced an older version.
    Newer,
    /// It is the one that is known, or an older one.
    Old,
}

impl Slot {
    fn new(stored: Arc<Stored>) -> Slot {
        Slot {
            stored,
            in_doubt: false,
            unstepped: true,
            pace: Pace::Fast,
            cluster: ClusterLook::default(),
            poll: None,
            acting: None,
            refused: None,
            exposure_failure: None,
            disposal: None,
            failures: 0,
            frozen: None,
            said: Said::default(),
        }
    }

    /// Takes a version of the same resource, unless it is known or older.
    pub(crate) fn take(&mut self, stored: Stored) -> Taken {
        if !self.is_before(&stored) {
            return Taken::Old;
        }
        self.stored = Arc::new(stored);
        self.unstepped = true;
        Taken::Newer
    }

    fn is_before(&self, stored: &Stored) -> bool {
        stored.version != self.stored.version && !stored.version.is_older_than(&self.stored.version)
    }

    /// The resource stays frozen: nothing that a user controls has changed.
    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen.as_ref().is_some_and(|frozen| {
            frozen.generation == self.stored.generation && frozen.deleting == self.stored.deleting
        })
    }
}

/// All resources.
#[derive(Default)]
pub(crate) struct Index {
    slots: Mutex<HashMap<Key, Slot>>,
}

impl Index {
    /// Takes a version, unless it is known or older.
    pub(crate) fn offer(&self, stored: Stored) -> Taken {
        let mut slots = self.lock();
        match slots.get_mut(&stored.key) {
            None => {
                slots.insert(stored.key.clone(), Slot::new(Arc::new(stored)));
                Taken::New
            }
            Some(slot) if stored.uid != slot.stored.uid && slot.is_before(&stored) => {
                // Deleted and created again under the same name: another resource, of which nothing is known.
                *slot = Slot::new(Arc::new(stored));
                Taken::New
            }
            Some(slot) => slot.take(stored),
        }
    }

    /// Takes what the API server itself answered just now, which ends any doubt.
    pub(crate) fn offer_read(&self, stored: Stored) -> Taken {
        let key = stored.key.clone();
        let taken = self.offer(stored);
        self.with(&key, |slot| slot.in_doubt = false);
        taken
    }

    /// Forgets a resource that the API server itself said does not exist.
    pub(crate) fn remove_key(&self, key: &Key) -> bool {
        self.lock().remove(key).is_some()
    }

    /// Keys of `namespace`, or of all, that are not among `existing`.
    pub(crate) fn missing_from(&self, namespace: Option<&str>, existing: &HashSet<Key>) -> Vec<Key> {
        let in_scope = |key: &&Key| namespace.is_none_or(|namespace| *key.namespace == *namespace);
        self.lock().keys().filter(in_scope).filter(|key| !existing.contains(key)).cloned().collect()
    }

    /// Every key.
    pub(crate) fn keys(&self) -> Vec<Key> {
        self.lock().keys().cloned().collect()
    }

    /// How many resources there are, and how many of them are frozen.
    pub(crate) fn count(&self) -> (usize, usize) {
        let slots = self.lock();
        (slots.len(), slots.values().filter(|slot| slot.is_frozen()).count())
    }

    /// Reads or changes one slot; `None` when the resource is not known. The closure must not wait.
    pub(crate) fn with<T>(&self, key: &Key, change: impl FnOnce(&mut Slot) -> T) -> Option<T> {
        self.lock().get_mut(key).map(change)
    }

    /// Reads every slot. The closure must not wait.
    pub(crate) fn for_each(&self, mut read: impl FnMut(&Key, &Slot)) {
        for (key, slot) in self.lock().iter() {
            read(key, slot);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::WireDeployment;
    use serde_json::json;

    fn version(name: &str, uid: &str, version: &str) -> Stored {
        let object = json!({"metadata": {
            "name": name, "namespace": "n", "uid": uid, "resourceVersion": version,
        }});
        let wire: WireDeployment = serde_json::from_value(object).unwrap();
        Stored::from_wire(wire).unwrap()
    }

    fn known(index: &Index, stored: &Stored) -> Option<String> {
        index.with(&stored.key, |slot| slot.stored.version.as_str().to_owned())
    }

    #[test]
    fn an_older_version_never_replaces_a_newer_one() {
        let index = Index::default();
        assert_eq!(index.offer(version("a", "u", "5")), Taken::New);
        assert_eq!(index.offer(version("a", "u", "7")), Taken::Newer);
        assert_eq!(index.offer(version("a", "u", "7")), Taken::Old);
        assert_eq!(index.offer(version("a", "u", "6")), Taken::Old);
        assert_eq!(known(&index, &version("a", "u", "0")).as_deref(), Some("7"));
    }

    #[test]
    fn a_recreated_resource_starts_with_no_memory() {
        let index = Index::default();
        index.offer(version("a", "old", "5"));
        let key = version("a", "old", "5").key;
        index.with(&key, |slot| slot.failures = 3);
        assert_eq!(index.offer(version("a", "new", "9")), Taken::New);
        assert_eq!(index.with(&key, |slot| slot.failures), Some(0));
        assert_eq!(index.offer(version("a", "old", "8")), Taken::Old);
        assert!(index.remove_key(&key));
        assert!(!index.remove_key(&key));
    }

    #[test]
    fn doubt_ends_only_by_reading() {
        let index = Index::default();
        index.offer(version("a", "u", "5"));
        let key = version("a", "u", "5").key;
        index.with(&key, |slot| slot.in_doubt = true);
        index.offer(version("a", "u", "6"));
        assert_eq!(index.with(&key, |slot| slot.in_doubt), Some(true));
        index.offer_read(version("a", "u", "6"));
        assert_eq!(index.with(&key, |slot| slot.in_doubt), Some(false));
    }

    #[test]
    fn a_list_names_what_is_gone_in_its_namespace_only() {
        let index = Index::default();
        index.offer(version("a", "u", "1"));
        index.offer(version("b", "v", "2"));
        let existing = HashSet::from([version("a", "u", "1").key]);
        assert_eq!(index.missing_from(Some("n"), &existing), vec![version("b", "v", "2").key]);
        assert!(index.missing_from(Some("other"), &existing).is_empty());
        assert_eq!(index.missing_from(None, &HashSet::new()).len(), 2);
    }
}
