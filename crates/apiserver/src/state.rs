//! All objects in memory, their recent history and the indexes over them: the one place that changes.
//!
//! ```text
//! request ─► lock ─► write()/remove() … ─► seal() ─► unlock ─► wait for the ticket ─► answer
//!                        │ history              │
//!                        ▼                      ▼
//!                     watches ◄── committed ── SQLite (commit.rs)
//! ```
//! Changes are seen by later requests at once, but nothing leaves the process before SQLite has them: reads
//! wait for the revision they saw, watches deliver only committed history. It refuses to know about HTTP,
//! schemas and what a change means.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use crate::ids::{IdSource, Uid};
use crate::kinds::{Kind, Registry, kinds_of};
use crate::limits::{HISTORY_AGE_MS_MAX, HISTORY_BYTES_MAX, HISTORY_EVENTS_MAX};

/// Where CRDs are stored: a change there changes which kinds are served.
pub(crate) const CRD_COLLECTION: &str = "customresourcedefinitions.apiextensions.k8s.io";
/// Where namespaces are stored.
pub(crate) const NAMESPACE_COLLECTION: &str = "namespaces";

/// Namespace and name; the order of lists. Cluster-scoped objects have an empty namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ObjectName {
    pub(crate) namespace: Arc<str>,
    pub(crate) name: Arc<str>,
}

impl ObjectKey {
    pub(crate) fn new(collection: &Arc<str>, namespace: &str, name: &str) -> ObjectKey {
        ObjectKey { collection: Arc::clone(collection), object: ObjectName::new(namespace, name) }
    }

    /// The key of a namespace.
    pub(crate) fn namespace(name: &str) -> ObjectKey {
        ObjectKey { collection: Arc::from(NAMESPACE_COLLECTION), object: ObjectName::new("", name) }
    }
}

impl ObjectName {
    pub(crate) fn new(namespace: &str, name: &str) -> ObjectName {
        ObjectName { namespace: Arc::from(namespace), name: Arc::from(name) }
    }
}

/// Which object, in which collection.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ObjectKey {
    pub(crate) collection: Arc<str>,
    pub(crate) object: ObjectName,
}

/// A stored object. The body is JSON in the storage version and holds its own resourceVersion.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) body: Bytes,
    pub(crate) revision: u64,
    /// Whether `metadata.deletionTimestamp` is set, so that looking does not need decoding.
    pub(crate) deleting: bool,
    /// When this process last saw it written, for the expiry of events.
    pub(crate) written_ms: i64,
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChangeKind {
    Added,
    Modified,
    Deleted,
}

/// One change in a collection's history.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) revision: u64,
    pub(crate) kind: ChangeKind,
    pub(crate) object: ObjectName,
    /// The object after the change; for a deletion its last state with the revision of the deletion.
    pub(crate) body: Bytes,
    /// The object before the change.
    pub(crate) previous: Option<Entry>,
    at_ms: i64,
}

impl Change {
    /// What remembering it may cost, as if nothing were shared with the stored objects.
    fn bytes(&self) -> usize {
        self.body.len() + self.previous.as_ref().map_or(0, |previous| previous.body.len())
    }
}

/// All objects of one resource.
#[derive(Debug, Default)]
pub(crate) struct Collection {
    pub(crate) objects: BTreeMap<ObjectName, Entry>,
    history: VecDeque<Arc<Change>>,
    history_bytes: usize,
    /// Revisions up to here are forgotten: a watch from before cannot be served.
    floor: u64,
}

impl Collection {
    /// Changes after `revision` up to `committed`, at most `limit`; `None` when some are forgotten.
    pub(crate) fn changes_after(
        &self,
        revision: u64,
        committed: u64,
        limit: usize,
    ) -> Option<Vec<Arc<Change>>> {
        if revision < self.floor {
            return None;
        }
        let start = self.history.partition_point(|change| change.revision <= revision);
        let upto = self.history.range(start..).take_while(|change| change.revision <= committed);
        Some(upto.take(limit).cloned().collect())
    }

    /// The objects as they were at `revision`, by undoing the history since; `None` when it is forgotten.
    pub(crate) fn at_revision(&self, revision: u64) -> Option<Snapshot<'_>> {
        if revision < self.floor {
            return None;
        }
        let mut undone: BTreeMap<&ObjectName, Option<&Entry>> = BTreeMap::new();
        let start = self.history.partition_point(|change| change.revision <= revision);
        for change in self.history.range(start..) {
            undone.entry(&change.object).or_insert(change.previous.as_ref());
        }
        Some(Snapshot { objects: &self.objects, undone })
    }

    fn remember(&mut self, change: Change) {
        self.history_bytes += change.bytes();
        let now_ms = change.at_ms;
        self.history.push_back(Arc::new(change));
        while let Some(oldest) = self.history.front() {
            let full = self.history.len() > HISTORY_EVENTS_MAX || self.history_bytes > HISTORY_BYTES_MAX;
            if self.history.len() == 1 || !(full || now_ms - oldest.at_ms > HISTORY_AGE_MS_MAX) {
                break;
            }
            self.floor = oldest.revision;
            self.history_bytes -= oldest.bytes();
            self.history.pop_front();
        }
    }
}

/// A view of a collection at one revision.
pub(crate) struct Snapshot<'a> {
    objects: &'a BTreeMap<ObjectName, Entry>,
    undone: BTreeMap<&'a ObjectName, Option<&'a Entry>>,
}

impl<'a> Snapshot<'a> {
    /// Objects of one namespace (all when empty) in order, starting after `after`.
    pub(crate) fn range(
        &self,
        namespace: &str,
        after: Option<&ObjectName>,
    ) -> Vec<(&'a ObjectName, &'a Entry)> {
        let start = match after {
            Some(after) => Bound::Excluded(after.clone()),
            None => Bound::Included(ObjectName::new(namespace, "")),
        };
        let inside = |name: &ObjectName| namespace.is_empty() || &*name.namespace == namespace;
        let current =
            self.objects.range((start.clone(), Bound::Unbounded)).take_while(|(name, _)| inside(name));
        if self.undone.is_empty() {
            return current.collect();
        }
        let mut merged: BTreeMap<&ObjectName, &Entry> =
            current.filter(|(name, _)| !self.undone.contains_key(name)).collect();
        for (name, entry) in &self.undone {
            let after_start = match &start {
                Bound::Excluded(after) => *name > after,
                Bound::Included(first) => *name >= first,
                Bound::Unbounded => true,
            };
            if let (Some(entry), true, true) = (entry, after_start, inside(name)) {
                merged.insert(name, entry);
            }
        }
        merged.into_iter().collect()
    }
}

/// One row for SQLite: a body to keep, or `None` to delete.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) key: ObjectKey,
    pub(crate) revision: u64,
    pub(crate) body: Option<Bytes>,
}

/// An object that loses or gains a place in the owner index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Links {
    pub(crate) uid: Option<Uid>,
    pub(crate) owners: Vec<Uid>,
}

impl Links {
    /// Reads uid and owners from an object.
    pub(crate) fn of(value: &Value) -> Links {
        let metadata = &value["metadata"];
        let owners = metadata["ownerReferences"].as_array().into_iter().flatten();
        Links {
            uid: metadata["uid"].as_str().and_then(Uid::parse),
            owners: owners.filter_map(|owner| owner["uid"].as_str().and_then(Uid::parse)).collect(),
        }
    }
}

/// Everything behind the lock.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) revision: u64,
    pub(crate) registry: Arc<Registry>,
    pub(crate) ids: IdSource,
    /// The kinds of each stored CRD, with the revision they were compiled from.
    custom_kinds: BTreeMap<ObjectName, (u64, Vec<Arc<Kind>>)>,
    collections: HashMap<Arc<str>, Collection>,
    by_uid: HashMap<Uid, ObjectKey>,
    dependents: HashMap<Uid, BTreeSet<ObjectKey>>,
    /// Rows written since the last seal.
    unsealed: Vec<Row>,
    /// When events were last looked through for expired ones.
    pub(crate) events_swept_ms: i64,
    /// Stands for collections never written; its floor is the revision at which this process started, before
    /// which no history exists.
    empty: Collection,
}

impl State {
    /// A state that continues at `revision`; objects come by [`State::load`].
    pub(crate) fn new(revision: u64, seed: Option<u64>) -> State {
        State {
            revision,
            registry: Arc::new(Registry::new(std::iter::empty())),
            ids: IdSource::new(seed),
            custom_kinds: BTreeMap::new(),
            collections: HashMap::new(),
            by_uid: HashMap::new(),
            dependents: HashMap::new(),
            unsealed: Vec::new(),
            events_swept_ms: 0,
            empty: Collection { floor: revision, ..Collection::default() },
        }
    }

    /// A state with the same objects and kinds, and without their history. Bodies are shared.
    pub(crate) fn fork(&self, seed: Option<u64>) -> State {
        let floor = self.revision;
        let without_history = |collection: &Collection| Collection {
            objects: collection.objects.clone(),
            floor,
            ..Collection::default()
        };
        State {
            registry: Arc::clone(&self.registry),
            custom_kinds: self.custom_kinds.clone(),
            collections: self
                .collections
                .iter()
                .map(|(name, collection)| (Arc::clone(name), without_history(collection)))
                .collect(),
            by_uid: self.by_uid.clone(),
            dependents: self.dependents.clone(),
            ..State::new(self.revision, seed)
        }
    }

    /// Puts back an object from the disk, without history.
    pub(crate) fn load(
        &mut self,
        key: ObjectKey,
        revision: u64,
        body: Bytes,
        now_ms: i64,
    ) -> Result<(), serde_json::Error> {
        let value: Value = serde_json::from_slice(&body)?;
        let deleting = crate::object::is_deleting(&value);
        let entry = Entry { body, revision, deleting, written_ms: now_ms };
        self.link(&key, &Links::of(&value));
        self.collection_mut(&key).objects.insert(key.object, entry);
        Ok(())
    }

    /// The objects of one resource; empty when none was ever written.
    pub(crate) fn collection(&self, name: &str) -> &Collection {
        self.collections.get(name).unwrap_or(&self.empty)
    }

    /// The names of the collections that hold something.
    pub(crate) fn collection_names(&self) -> Vec<Arc<str>> {
        let filled = self.collections.iter().filter(|(_, collection)| !collection.objects.is_empty());
        let mut names: Vec<Arc<str>> = filled.map(|(name, _)| Arc::clone(name)).collect();
        names.sort();
        names
    }

    pub(crate) fn get(&self, key: &ObjectKey) -> Option<&Entry> {
        self.collection(&key.collection).objects.get(&key.object)
    }

    /// The stored object as a tree.
    pub(crate) fn decode(&self, key: &ObjectKey) -> Option<Value> {
        self.get(key).map(|entry| decode(&entry.body))
    }

    pub(crate) fn find_uid(&self, uid: Uid) -> Option<&ObjectKey> {
        self.by_uid.get(&uid)
    }

    /// Objects that name `uid` as an owner.
    pub(crate) fn dependents_of(&self, uid: Uid) -> Vec<ObjectKey> {
        self.dependents.get(&uid).map(|keys| keys.iter().cloned().collect()).unwrap_or_default()
    }

    /// Stores `value` under a new revision, which goes into its resourceVersion. Returns the stored body.
    pub(crate) fn write(&mut self, key: &ObjectKey, value: &mut Value, now_ms: i64) -> Bytes {
        self.revision += 1;
        let revision = self.revision;
        let body = encode_at(value, revision);
        let deleting = crate::object::is_deleting(value);
        let entry = Entry { body: body.clone(), revision, deleting, written_ms: now_ms };
        let previous = self.collection_mut(key).objects.insert(key.object.clone(), entry);
        if let Some(previous) = &previous {
            self.unlink(key, &Links::of(&decode(&previous.body)));
        }
        self.link(key, &Links::of(value));
        let kind = if previous.is_some() { ChangeKind::Modified } else { ChangeKind::Added };
        self.record(key, kind, body.clone(), Some(body.clone()), previous, now_ms);
        body
    }

    /// Removes an object. Returns its last state, with the revision of the deletion.
    pub(crate) fn remove(&mut self, key: &ObjectKey, now_ms: i64) -> Option<Value> {
        let previous = self.collection_mut(key).objects.remove(&key.object)?;
        let mut value = decode(&previous.body);
        self.unlink(key, &Links::of(&value));
        self.revision += 1;
        let body = encode_at(&mut value, self.revision);
        self.record(key, ChangeKind::Deleted, body, None, Some(previous), now_ms);
        Some(value)
    }

    fn record(
        &mut self,
        key: &ObjectKey,
        kind: ChangeKind,
        body: Bytes,
        stored: Option<Bytes>,
        previous: Option<Entry>,
        now_ms: i64,
    ) {
        let revision = self.revision;
        self.unsealed.push(Row { key: key.clone(), revision, body: stored });
        let object = key.object.clone();
        let change = Change { revision, kind, object, body, previous, at_ms: now_ms };
        self.collection_mut(key).remember(change);
        if &*key.collection == CRD_COLLECTION {
            self.rebuild_registry();
        }
    }

    /// Takes the rows written since the last call, to be committed together.
    pub(crate) fn take_unsealed(&mut self) -> Vec<Row> {
        std::mem::take(&mut self.unsealed)
    }

    /// Undoes every change after `committed`, because the disk refused them. Revisions are not reused.
    pub(crate) fn roll_back(&mut self, committed: u64) {
        let names: Vec<Arc<str>> = self.collections.keys().cloned().collect();
        for name in names {
            while let Some(change) = self.pop_uncommitted(&name, committed) {
                let key = ObjectKey { collection: Arc::clone(&name), object: change.object.clone() };
                if change.kind != ChangeKind::Deleted {
                    self.unlink(&key, &Links::of(&decode(&change.body)));
                }
                match &change.previous {
                    Some(previous) => {
                        self.link(&key, &Links::of(&decode(&previous.body)));
                        self.collection_mut(&key).objects.insert(key.object.clone(), previous.clone());
                    }
                    None => {
                        self.collection_mut(&key).objects.remove(&key.object);
                    }
                }
            }
        }
        self.rebuild_registry();
    }

    fn pop_uncommitted(&mut self, name: &str, committed: u64) -> Option<Arc<Change>> {
        let collection = self.collections.get_mut(name)?;
        collection.history.back().filter(|change| change.revision > committed)?;
        let change = collection.history.pop_back()?;
        collection.history_bytes -= change.bytes();
        Some(change)
    }

    /// Serves the kinds that the stored CRDs define now. Only CRDs that changed are compiled again.
    pub(crate) fn rebuild_registry(&mut self) {
        let stored: Vec<(ObjectName, Entry)> = self
            .collection(CRD_COLLECTION)
            .objects
            .iter()
            .map(|(name, entry)| (name.clone(), entry.clone()))
            .collect();
        self.custom_kinds.retain(|name, _| stored.iter().any(|(kept, _)| kept == name));
        for (name, entry) in stored {
            let known = self.custom_kinds.get(&name).is_some_and(|(revision, _)| *revision == entry.revision);
            if !known {
                let kinds = kinds_of(&decode(&entry.body)).into_iter().map(Arc::new).collect();
                self.custom_kinds.insert(name, (entry.revision, kinds));
            }
        }
        self.registry = Arc::new(Registry::new(self.custom_kinds.values().flat_map(|(_, kinds)| kinds)));
    }

    fn collection_mut(&mut self, key: &ObjectKey) -> &mut Collection {
        let floor = self.empty.floor;
        self.collections
            .entry(Arc::clone(&key.collection))
            .or_insert_with(|| Collection { floor, ..Collection::default() })
    }

    fn link(&mut self, key: &ObjectKey, links: &Links) {
        if let Some(uid) = links.uid {
            self.by_uid.insert(uid, key.clone());
        }
        for owner in &links.owners {
            self.dependents.entry(*owner).or_default().insert(key.clone());
        }
    }

    fn unlink(&mut self, key: &ObjectKey, links: &Links) {
        if let Some(uid) = links.uid {
            self.by_uid.remove(&uid);
        }
        for owner in &links.owners {
            if let Some(keys) = self.dependents.get_mut(owner) {
                keys.remove(key);
                if keys.is_empty() {
                    self.dependents.remove(owner);
                }
            }
        }
    }
}

/// Decodes a stored body.
pub(crate) fn decode(body: &[u8]) -> Value {
    serde_json::from_slice(body).expect("stored bodies were encoded by this server and checked on load")
}

fn encode_at(value: &mut Value, revision: u64) -> Bytes {
    value["metadata"]["resourceVersion"] = Value::String(revision.to_string());
    let body = serde_json::to_vec(value).expect("a JSON tree with string keys always encodes");
    // Without the room that the encoder's growth left over: bodies stay for long.
    Bytes::from(body.into_boxed_slice())
}
