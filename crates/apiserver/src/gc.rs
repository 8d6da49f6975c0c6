//! What follows from a deletion: finalizers, owner references, namespaces and CRDs that empty out.
//!
//! In a cluster this is the work of controllers that run beside the API server. Here it happens inside the
//! same change, so a deletion and its consequences are committed together. It refuses to know about requests.

use std::collections::VecDeque;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::ids::Uid;
use crate::object::{finalizers, is_deleting, set_finalizers};
use crate::state::{CRD_COLLECTION, Links, NAMESPACE_COLLECTION, ObjectKey, State};

/// Holds an owner until its dependents are gone.
pub(crate) const FOREGROUND_FINALIZER: &str = "foregroundDeletion";
/// Holds an owner until its dependents are released.
pub(crate) const ORPHAN_FINALIZER: &str = "orphan";
/// Holds a CRD until its objects are gone.
const CRD_FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// What happens to the objects that an object owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Propagation {
    Background,
    Foreground,
    Orphan,
}

/// One thing left to do.
#[derive(Debug)]
enum Step {
    /// Someone asks for the object's deletion.
    Delete(ObjectKey, Propagation),
    /// Nothing holds the object any more.
    Remove(ObjectKey),
    /// An owner of the object is gone.
    OwnerGone(ObjectKey),
    /// A dependent of this owner is gone: it may have waited for that.
    DependentGone(Uid),
    /// The dependents of this owner are to stay without it.
    Orphan(Uid),
    /// Something in the namespace is gone.
    NamespaceEmptier(String),
    /// An object of the collection is gone.
    CollectionEmptier(String),
}

/// A deletion and all its consequences.
pub(crate) struct Sweep<'a> {
    state: &'a mut State,
    now_ms: i64,
    now_text: String,
    steps: VecDeque<Step>,
}

impl<'a> Sweep<'a> {
    pub(crate) fn new(state: &'a mut State, now_ms: i64) -> Sweep<'a> {
        let now_text = crate::clock::seconds_text(now_ms.div_euclid(1000));
        Sweep { state, now_ms, now_text, steps: VecDeque::new() }
    }

    /// Deletes an object, as a client asks for it. Returns its body with the deletion mark, when it had to wait
    /// for something; by now it may be gone all the same.
    pub(crate) fn delete(mut self, key: &ObjectKey, propagation: Propagation) -> Option<Bytes> {
        self.begin(key, propagation);
        let marked = self.state.get(key).filter(|entry| entry.deleting).map(|entry| entry.body.clone());
        self.run();
        marked
    }

    /// Looks at an object that was just written: it may have lost its last finalizer, or name owners that
    /// do not exist.
    pub(crate) fn after_write(mut self, key: &ObjectKey, value: &Value) {
        if is_deleting(value) && self.may_go(key, value) {
            self.steps.push_back(Step::Remove(key.clone()));
        } else if value["metadata"]["ownerReferences"].is_array() {
            self.steps.push_back(Step::OwnerGone(key.clone()));
        }
        self.run();
    }

    fn run(mut self) {
        while let Some(step) = self.steps.pop_front() {
            match step {
                Step::Delete(key, propagation) => self.begin(&key, propagation),
                Step::Remove(key) => self.remove(&key),
                Step::OwnerGone(key) => self.owner_gone(&key),
                Step::DependentGone(owner) => self.dependent_gone(owner),
                Step::Orphan(owner) => self.orphan(owner),
                Step::NamespaceEmptier(name) => self.finish_container(&ObjectKey::namespace(&name)),
                Step::CollectionEmptier(name) => {
                    self.finish_container(&ObjectKey::new(&CRD_COLLECTION.into(), "", &name));
                }
            }
        }
    }

    fn begin(&mut self, key: &ObjectKey, propagation: Propagation) {
        let Some(mut value) = self.state.decode(key) else { return };
        let uid = Links::of(&value).uid;
        let dependents = uid.map(|uid| self.state.dependents_of(uid)).unwrap_or_default();
        let contents = self.contents(key);
        let mut holders = finalizers(&value);
        holders.retain(|holder| holder != ORPHAN_FINALIZER && holder != FOREGROUND_FINALIZER);
        match propagation {
            Propagation::Background => {}
            Propagation::Foreground => holders.push(FOREGROUND_FINALIZER.to_owned()),
            Propagation::Orphan => holders.push(ORPHAN_FINALIZER.to_owned()),
        }
        let contents_hold = contents.is_some();
        if &*key.collection == CRD_COLLECTION && !holders.iter().any(|holder| holder == CRD_FINALIZER) {
            holders.push(CRD_FINALIZER.to_owned());
        }
        if holders.is_empty() && !contents_hold {
            self.steps.push_back(Step::Remove(key.clone()));
            return;
        }
        if !is_deleting(&value) || holders != finalizers(&value) {
            set_finalizers(&mut value, &holders);
            self.mark(key, &mut value);
        }
        for inside in contents.unwrap_or_default() {
            self.steps.push_back(Step::Delete(inside, Propagation::Background));
        }
        match propagation {
            Propagation::Background => {}
            Propagation::Foreground => {
                for dependent in dependents {
                    let own = self.owned_by_living(&dependent, uid);
                    if !own {
                        self.steps.push_back(Step::Delete(dependent, Propagation::Background));
                    }
                }
                self.steps.extend(uid.map(Step::DependentGone));
            }
            Propagation::Orphan => self.steps.extend(uid.map(Step::Orphan)),
        }
        match &*key.collection {
            NAMESPACE_COLLECTION => self.steps.push_back(Step::NamespaceEmptier(key.object.name.to_string())),
            CRD_COLLECTION => self.steps.push_back(Step::CollectionEmptier(key.object.name.to_string())),
            _ => {}
        }
    }

    /// Writes the deletion mark.
    fn mark(&mut self, key: &ObjectKey, value: &mut Value) {
        if !is_deleting(value) {
            value["metadata"]["deletionTimestamp"] = json!(self.now_text);
            if &*key.collection != NAMESPACE_COLLECTION && &*key.collection != CRD_COLLECTION {
                value["metadata"]["deletionGracePeriodSeconds"] = json!(0);
            }
            if let Some(generation) = value["metadata"]["generation"].as_i64() {
                value["metadata"]["generation"] = json!(generation + 1);
            }
        }
        if &*key.collection == NAMESPACE_COLLECTION {
            value["status"]["phase"] = json!("Terminating");
        }
        self.state.write(key, value, self.now_ms);
    }

    /// What lies inside a namespace or belongs to a CRD; `None` for other objects.
    fn contents(&self, key: &ObjectKey) -> Option<Vec<ObjectKey>> {
        if !matches!(&*key.collection, NAMESPACE_COLLECTION | CRD_COLLECTION) {
            return None;
        }
        let mut found = Vec::new();
        for collection in self.state.collection_names() {
            let inside = |namespace: &str| match &*key.collection {
                NAMESPACE_COLLECTION => namespace == &*key.object.name,
                _ => *collection == *key.object.name,
            };
            let objects = self.state.collection(&collection).objects.keys();
            found.extend(
                objects
                    .filter(|object| inside(&object.namespace))
                    .map(|object| ObjectKey { collection: collection.clone(), object: object.clone() }),
            );
        }
        Some(found)
    }

    /// Whether nothing holds a deleted object any more.
    fn may_go(&self, key: &ObjectKey, value: &Value) -> bool {
        finalizers(value).is_empty()
            && match &*key.collection {
                NAMESPACE_COLLECTION => {
                    let holders = value["spec"]["finalizers"].as_array().into_iter().flatten();
                    holders.filter(|holder| **holder != "kubernetes").count() == 0
                        && self.contents(key).is_none_or(|contents| contents.is_empty())
                }
                _ => true,
            }
    }

    fn remove(&mut self, key: &ObjectKey) {
        let Some(value) = self.state.remove(key, self.now_ms) else { return };
        let links = Links::of(&value);
        if let Some(uid) = links.uid {
            self.steps.extend(self.state.dependents_of(uid).into_iter().map(Step::OwnerGone));
        }
        self.steps.extend(links.owners.into_iter().map(Step::DependentGone));
        if !key.object.namespace.is_empty() {
            self.steps.push_back(Step::NamespaceEmptier(key.object.namespace.to_string()));
        }
        self.steps.push_back(Step::CollectionEmptier(key.collection.to_string()));
    }

    /// Deletes an object that has lost all its owners, or drops the references to those that are gone.
    fn owner_gone(&mut self, key: &ObjectKey) {
        let Some(mut value) = self.state.decode(key) else { return };
        let owners = value["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default();
        let namespace = key.object.namespace.to_string();
        let (living, gone): (Vec<Value>, Vec<Value>) =
            owners.into_iter().partition(|owner| self.owner_exists(owner, &namespace));
        match (living.is_empty(), gone.is_empty()) {
            (_, true) => {}
            (true, false) => self.steps.push_back(Step::Delete(key.clone(), Propagation::Background)),
            (false, false) => {
                value["metadata"]["ownerReferences"] = Value::Array(living);
                self.state.write(key, &mut value, self.now_ms);
            }
        }
    }

    /// Owners of kinds that are not served count as alive: nothing can be known of them.
    fn owner_exists(&self, owner: &Value, namespace: &str) -> bool {
        let text = |member: &str| owner[member].as_str().unwrap_or("");
        let Some(kind) = self.state.registry.find_kind(text("apiVersion"), text("kind")) else {
            return true;
        };
        let inside = if kind.namespaced { namespace } else { "" };
        let key = ObjectKey::new(&kind.collection, inside, text("name"));
        let uid = Uid::parse(text("uid"));
        uid.is_some_and(|uid| self.state.find_uid(uid) == Some(&key))
    }

    /// Whether an owner other than `except` lives on and is not being deleted in the foreground.
    fn owned_by_living(&self, key: &ObjectKey, except: Option<Uid>) -> bool {
        let Some(value) = self.state.decode(key) else { return false };
        let others = Links::of(&value).owners;
        others.into_iter().filter(|owner| Some(*owner) != except).any(|owner| {
            self.state
                .find_uid(owner)
                .and_then(|key| self.state.decode(key))
                .is_some_and(|owner| !is_deleting(&owner))
        })
    }

    /// Ends the wait of an owner in foreground deletion once no dependent blocks it.
    fn dependent_gone(&mut self, owner: Uid) {
        let Some(key) = self.state.find_uid(owner).cloned() else { return };
        let Some(mut value) = self.state.decode(&key) else { return };
        let mut holders = finalizers(&value);
        let waiting = is_deleting(&value) && holders.iter().any(|holder| holder == FOREGROUND_FINALIZER);
        if !waiting || self.state.dependents_of(owner).iter().any(|dependent| self.blocks(dependent, owner)) {
            return;
        }
        holders.retain(|holder| holder != FOREGROUND_FINALIZER);
        self.let_go(&key, &mut value, &holders);
    }

    /// Releases the dependents of an owner, and ends its wait for that.
    fn orphan(&mut self, owner: Uid) {
        let Some(key) = self.state.find_uid(owner).cloned() else { return };
        for dependent in self.state.dependents_of(owner) {
            self.release(&dependent, owner);
        }
        let Some(mut value) = self.state.decode(&key) else { return };
        let mut holders = finalizers(&value);
        holders.retain(|holder| holder != ORPHAN_FINALIZER);
        self.let_go(&key, &mut value, &holders);
    }

    /// Leaves a deleted object these finalizers, or removes it when it needs to wait for nothing more.
    fn let_go(&mut self, key: &ObjectKey, value: &mut Value, holders: &[String]) {
        set_finalizers(value, holders);
        if self.may_go(key, value) {
            self.steps.push_back(Step::Remove(key.clone()));
        } else {
            self.state.write(key, value, self.now_ms);
        }
    }

    fn blocks(&self, dependent: &ObjectKey, owner: Uid) -> bool {
        let Some(value) = self.state.decode(dependent) else { return false };
        let owners = value["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default();
        owners.iter().any(|reference| {
            reference["blockOwnerDeletion"] == true
                && reference["uid"].as_str().and_then(Uid::parse) == Some(owner)
        })
    }

    /// Takes the reference to `owner` out of a dependent that is orphaned.
    fn release(&mut self, dependent: &ObjectKey, owner: Uid) {
        let Some(mut value) = self.state.decode(dependent) else { return };
        let Some(references) = value["metadata"]["ownerReferences"].as_array_mut() else { return };
        references.retain(|reference| reference["uid"].as_str().and_then(Uid::parse) != Some(owner));
        if references.is_empty()
            && let Some(metadata) = value["metadata"].as_object_mut()
        {
            metadata.shift_remove("ownerReferences");
        }
        self.state.write(dependent, &mut value, self.now_ms);
    }

    /// Removes a deleted namespace or CRD once it is empty.
    fn finish_container(&mut self, key: &ObjectKey) {
        if !self.state.get(key).is_some_and(|entry| entry.deleting) {
            return;
        }
        let Some(mut value) = self.state.decode(key) else { return };
        if self.contents(key).is_some_and(|contents| !contents.is_empty()) {
            return;
        }
        let mut holders = finalizers(&value);
        holders.retain(|holder| holder != CRD_FINALIZER);
        let changed = holders != finalizers(&value);
        set_finalizers(&mut value, &holders);
        if self.may_go(key, &value) {
            self.steps.push_back(Step::Remove(key.clone()));
        } else if changed {
            self.state.write(key, &mut value, self.now_ms);
        }
    }
}
