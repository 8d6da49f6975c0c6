//! One FlinkDeployment as the engine keeps it: spec and status as compact text, of the metadata only what is used.
//! Thousands are kept, so nothing here is a tree. What the text means is decided elsewhere: reading an object from
//! the API server cannot fail because of anything that a user wrote into it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use drey_api::kinds::FlinkDeployment;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource as KubeResource;
use kube::core::NamespaceResourceScope;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::launcher::Target;

/// Namespace and name of a FlinkDeployment.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) namespace: Arc<str>,
    pub(crate) name: Arc<str>,
}

impl Key {
    /// A number that differs between keys and is the same in every process.
    pub(crate) fn seed(&self) -> u64 {
        let bytes = self.namespace.bytes().chain([b'/']).chain(self.name.bytes());
        bytes
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// JSON as text without spaces.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct CompactJson(Arc<str>);

impl CompactJson {
    /// The tree.
    pub(crate) fn tree(&self) -> Value {
        serde_json::from_str(&self.0).expect("the text was written by serde_json")
    }
}

impl From<&Value> for CompactJson {
    fn from(value: &Value) -> CompactJson {
        CompactJson(value.to_string().into())
    }
}

impl fmt::Debug for CompactJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for CompactJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<CompactJson, D::Error> {
        Value::deserialize(deserializer).map(|value| CompactJson::from(&value))
    }
}

/// A status as text. The two recorded specs are most of it, and at rest they are the same: kept once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CompactStatus {
    /// The status without its recorded specs.
    rest: CompactJson,
    last_reconciled: Option<Arc<str>>,
    last_stable: Option<Arc<str>>,
}

const RECONCILIATION: &str = "reconciliationStatus";
const LAST_RECONCILED: &str = "lastReconciledSpec";
const LAST_STABLE: &str = "lastStableSpec";

impl CompactStatus {
    /// The tree.
    pub(crate) fn tree(&self) -> Value {
        let mut tree = self.rest.tree();
        if let Some(Value::Object(reconciliation)) = tree.get_mut(RECONCILIATION) {
            for (key, text) in [(LAST_RECONCILED, &self.last_reconciled), (LAST_STABLE, &self.last_stable)] {
                if let Some(text) = text {
                    reconciliation.insert(key.to_owned(), Value::from(&**text));
                }
            }
        }
        tree
    }
}

impl From<Value> for CompactStatus {
    fn from(mut status: Value) -> CompactStatus {
        let (last_reconciled, last_stable) = match status.get_mut(RECONCILIATION) {
            Some(Value::Object(reconciliation)) => {
                (take_text(reconciliation, LAST_RECONCILED), take_text(reconciliation, LAST_STABLE))
            }
            Some(_) | None => (None, None),
        };
        let last_stable = if last_stable == last_reconciled { last_reconciled.clone() } else { last_stable };
        CompactStatus { rest: CompactJson::from(&status), last_reconciled, last_stable }
    }
}

/// Takes a text out of an object. Anything else stays where it is.
fn take_text(object: &mut Map<String, Value>, key: &str) -> Option<Arc<str>> {
    let text = Arc::from(object.get(key)?.as_str()?);
    object.shift_remove(key);
    Some(text)
}

impl<'de> Deserialize<'de> for CompactStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<CompactStatus, D::Error> {
        Value::deserialize(deserializer).map(CompactStatus::from)
    }
}

/// The object on its way from the API server.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct WireDeployment {
    #[serde(default)]
    pub(crate) metadata: ObjectMeta,
    #[serde(default)]
    pub(crate) spec: Option<CompactJson>,
    #[serde(default)]
    pub(crate) status: Option<CompactStatus>,
}

impl KubeResource for WireDeployment {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        FlinkDeployment::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        FlinkDeployment::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        FlinkDeployment::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        FlinkDeployment::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// `metadata.resourceVersion`: equal or not; and in order where both are numbers, as they are in every Kubernetes
/// (since 1.35 by contract) and in the embedded API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version(Arc<str>);

impl Version {
    pub(crate) fn new(text: &str) -> Version {
        Version(text.into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Certainly older than `other`. False when that cannot be told.
    pub(crate) fn is_older_than(&self, other: &Version) -> bool {
        match (self.0.parse::<u128>(), other.0.parse::<u128>()) {
            (Ok(own), Ok(other)) => own < other,
            (Ok(_) | Err(_), _) => false,
        }
    }
}

/// One version of one FlinkDeployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) key: Key,
    pub(crate) uid: Arc<str>,
    pub(crate) version: Version,
    pub(crate) generation: i64,
    /// Milliseconds since the Unix epoch.
    pub(crate) created_at_ms: i64,
    pub(crate) deleting: bool,
    pub(crate) finalizers: Arc<[Box<str>]>,
    pub(crate) spec: CompactJson,
    pub(crate) status: Option<CompactStatus>,
}

impl Stored {
    /// Keeps what is needed of `wire`. `None` when the API server left out what every stored object has.
    pub(crate) fn from_wire(wire: WireDeployment) -> Option<Stored> {
        let WireDeployment { metadata, spec, status } = wire;
        Some(Stored {
            key: Key { namespace: metadata.namespace?.into(), name: metadata.name?.into() },
            uid: metadata.uid?.into(),
            version: Version::new(&metadata.resource_version?),
            generation: metadata.generation.unwrap_or(0),
            created_at_ms: metadata.creation_timestamp.map_or(0, |time| time.0.as_millisecond()),
            deleting: metadata.deletion_timestamp.is_some(),
            finalizers: metadata.finalizers.unwrap_or_default().into_iter().map(Box::from).collect(),
            spec: spec.unwrap_or_else(|| CompactJson::from(&Value::Null)),
            status,
        })
    }

    pub(crate) fn target(&self) -> Target {
        Target { namespace: self.key.namespace.clone(), name: self.key.name.clone(), uid: self.uid.clone() }
    }

    pub(crate) fn has_finalizer(&self) -> bool {
        self.finalizers.iter().any(|finalizer| **finalizer == *crate::FINALIZER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nothing_in_spec_or_status_keeps_an_object_from_being_read() {
        for spec in [json!(null), json!(17), json!({"job": [1, {"a": "é\u{0}"}]}), json!("text")] {
            let object = json!({
                "metadata": {"name": "a", "namespace": "n", "uid": "u", "resourceVersion": "7", "generation": 3},
                "spec": spec, "status": ["not", "a", "status"],
            });
            let wire: WireDeployment = serde_json::from_value(object).unwrap();
            let stored = Stored::from_wire(wire).unwrap();
            assert_eq!(stored.generation, 3);
            assert_eq!(stored.status.unwrap().tree(), json!(["not", "a", "status"]));
        }
    }

    #[test]
    fn a_status_is_what_it_was_and_keeps_equal_specs_once() {
        for status in [
            json!({"a": 1, "reconciliationStatus": {"lastReconciledSpec": "{}", "state": "DEPLOYED", "lastStableSpec": "{}"}}),
            json!({"reconciliationStatus": {"lastReconciledSpec": "{\"x\":1}", "lastStableSpec": "{}"}}),
            json!({"reconciliationStatus": {"lastReconciledSpec": 7, "lastStableSpec": null}}),
            json!({"reconciliationStatus": "x"}),
            json!(null),
            json!([]),
        ] {
            let compact = CompactStatus::from(status.clone());
            assert_eq!(compact.tree(), status);
            if let (Some(reconciled), Some(stable)) = (&compact.last_reconciled, &compact.last_stable) {
                assert_eq!(Arc::ptr_eq(reconciled, stable), reconciled == stable);
            }
        }
    }

    #[test]
    fn versions_are_ordered_as_numbers_and_otherwise_not_at_all() {
        let older = |left: &str, right: &str| Version::new(left).is_older_than(&Version::new(right));
        assert!(older("9", "10"));
        assert!(!older("10", "9"));
        assert!(!older("10", "10"));
        assert!(!older("a", "10"));
        assert!(!older("1", "b"));
    }

    #[test]
    fn seeds_differ_between_keys() {
        let key = |name: &str| Key { namespace: "n".into(), name: name.into() };
        let seeds: std::collections::HashSet<u64> = (0..1_000).map(|n| key(&n.to_string()).seed()).collect();
        assert_eq!(seeds.len(), 1_000);
    }
}
