//! The two forms of events: core `v1`, which is stored, and `events.k8s.io/v1`.

use serde_json::{Map, Value, json};

use crate::kinds::{Family, Kind};

/// Member names that differ: core, then new.
const RENAMED: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

/// Turns a body as the client of `kind` writes it into the stored form.
pub(crate) fn to_stored(value: &mut Value, kind: &Kind) {
    match kind.family {
        Family::NewEvent => rename(value, |(core, new)| (new, core)),
        Family::Custom
        | Family::ConfigMap
        | Family::Secret
        | Family::CoreEvent
        | Family::Lease
        | Family::Namespace
        | Family::Service
        | Family::Deployment
        | Family::Pod
        | Family::ServiceAccount
        | Family::CustomResourceDefinition
        | Family::AccessReview
        | Family::RulesReview => {}
    }
    value["apiVersion"] = json!(kind.storage_api_version);
}

/// Turns a stored body into the form of `kind`.
pub(crate) fn to_served(value: &mut Value, kind: &Kind) {
    if kind.family == Family::NewEvent {
        rename(value, |pair| pair);
    }
    value["apiVersion"] = json!(kind.api_version());
}

fn rename(
    value: &mut Value,
    direction: impl Fn((&'static str, &'static str)) -> (&'static str, &'static str),
) {
    let Value::Object(map) = value else { return };
    let old = std::mem::take(map);
    *map = old
        .into_iter()
        .map(|(key, inner)| {
            let found = RENAMED.iter().map(|pair| direction(*pair)).find(|(from, _)| *from == key);
            (found.map_or(key, |(_, to)| to.to_owned()), inner)
        })
        .collect::<Map<String, Value>>();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::Registry;

    #[test]
    fn both_ways() {
        let registry = Registry::new(std::iter::empty());
        let kind = registry.find("events.k8s.io", "v1", "events").unwrap();
        let original = json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "regarding": {"kind": "Pod"},
            "note": "hello", "reportingController": "me", "deprecatedCount": 2});
        let mut value = original.clone();
        to_stored(&mut value, kind);
        assert_eq!(value["apiVersion"], "v1");
        assert_eq!(value["involvedObject"]["kind"], "Pod");
        assert_eq!(value["message"], "hello");
        assert_eq!(value["count"], 2);
        to_served(&mut value, kind);
        assert_eq!(value, original);
    }
}
