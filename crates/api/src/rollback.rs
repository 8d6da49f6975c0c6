//! The way back to the last spec that ran well, as a patch. Pure. Refuses to judge whether that is wise.

use serde_json::{Map, Value};

use crate::kinds::FlinkDeploymentSpec;
use crate::reconciled;
use crate::story::Story;

/// Fields of a spec that are no part of a version: they ask for something, or say how to go on.
const STAYS: [&str; 7] = [
    "restartNonce",
    "job.state",
    "job.upgradeMode",
    "job.savepointTriggerNonce",
    "job.checkpointTriggerNonce",
    "job.savepointRedeployNonce",
    "job.initialSavepointPath",
];

/// The merge patch of `spec` that makes it `status.reconciliationStatus.lastStableSpec` again. Fields that this version
/// does not know stay as they are.
///
/// # Errors
/// Why there is nothing to go back to, in a sentence without a full stop.
pub fn patch(story: &Story) -> Result<Value, String> {
    let record = story.status.reconciliation_status.as_ref();
    let record = record.and_then(|status| status.last_stable_spec.as_deref());
    let record = record.ok_or("no spec of it was ever stable")?;
    let stable = reconciled::decode(record)
        .map_err(|error| format!("status.reconciliationStatus.lastStableSpec cannot be read: {error}"))?;
    match between("", &written(&story.spec), &written(&stable.spec)) {
        Some(patch) => Ok(patch),
        None => Err("it has the last stable spec already".to_owned()),
    }
}

/// A spec as people write it: what is not set is not there.
fn written(spec: &FlinkDeploymentSpec) -> Value {
    fn without_nulls(value: Value) -> Value {
        match value {
            Value::Object(fields) => Value::Object(
                fields
                    .into_iter()
                    .filter(|(_, value)| !value.is_null())
                    .map(|(name, value)| (name, without_nulls(value)))
                    .collect(),
            ),
            other => other,
        }
    }
    without_nulls(serde_json::to_value(spec).expect("a spec is plain data with text keys"))
}

/// The merge patch that makes `now` what `then` is, but for what stays; `None` when it is so.
fn between(path: &str, now: &Value, then: &Value) -> Option<Value> {
    let (Value::Object(now), Value::Object(then)) = (now, then) else {
        return (now != then).then(|| then.clone());
    };
    let mut patch = Map::new();
    for name in now.keys().chain(then.keys().filter(|name| !now.contains_key(*name))) {
        let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        if STAYS.contains(&below.as_str()) {
            continue;
        }
        let change = match (now.get(name), then.get(name)) {
            (Some(now), Some(then)) => between(&below, now, then),
            (Some(_), None) => Some(Value::Null),
            (None, then) => then.cloned(),
        };
        if let Some(change) = change {
            patch.insert(name.clone(), change);
        }
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::merge;
    use serde_json::json;

    fn story(spec: &Value, stable: Option<&Value>) -> Story {
        let stable = stable.map(|spec| {
            json!({ "spec": spec, "resource_metadata":
                { "apiVersion": "flink.apache.org/v1beta1", "metadata": { "generation": 1 } } })
            .to_string()
        });
        let status = json!({ "reconciliationStatus": { "lastStableSpec": stable } });
        Story::read(&json!({ "metadata": { "name": "a" }, "spec": spec, "status": status }))
            .expect("readable")
    }

    #[test]
    fn the_version_comes_back_and_what_was_asked_for_once_stays() {
        let stable = json!({ "image": "a:1", "restartNonce": 1, "ingress": null, "imagePullPolicy": "Always",
            "flinkConfiguration": { "kept": "1", "gone": "2" },
            "job": { "parallelism": 2, "upgradeMode": "stateless", "state": "suspended" } });
        let spec = json!({ "image": "a:2", "restartNonce": 3, "flinkConfiguration": { "kept": "1", "new": "3" },
            "job": { "parallelism": 4, "upgradeMode": "savepoint", "savepointTriggerNonce": 7, "args": ["x"] } });
        let patch = patch(&story(&spec, Some(&stable))).expect("there is a way back");
        let mut back = spec;
        merge(&mut back, &patch);
        assert_eq!(back["image"], "a:1");
        assert_eq!(back["imagePullPolicy"], "Always");
        assert_eq!(back["flinkConfiguration"], json!({ "kept": "1", "gone": "2" }));
        let stays = json!({ "parallelism": 2, "upgradeMode": "savepoint", "savepointTriggerNonce": 7 });
        let job = back["job"].as_object().expect("a job");
        for (name, value) in stays.as_object().expect("fields") {
            assert_eq!(&job[name], value, "{name}");
        }
        assert!(job.get("state").is_none(), "it is not suspended because it was then");
        assert!(job.get("args").is_none_or(|args| args.as_array().is_some_and(Vec::is_empty)), "{job:?}");
        assert_eq!(back["restartNonce"], 3);
        assert!(super::patch(&story(&back, Some(&stable))).is_err(), "it is there");
    }

    #[test]
    fn without_a_stable_spec_there_is_no_way_back() {
        assert!(patch(&story(&json!({}), None)).expect_err("none").contains("ever stable"));
    }
}
