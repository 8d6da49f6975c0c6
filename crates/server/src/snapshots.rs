//! The savepoints and checkpoints of a resource that somebody asked for: its own record of them, and the
//! FlinkStateSnapshots that name it. Pure. Refuses to look into storage.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::row::{Fields, moment};

/// One snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Snapshot {
    /// Name of the FlinkStateSnapshot, if it is one.
    name: Option<String>,
    kind: &'static str,
    state: String,
    path: Option<String>,
    at: Option<i64>,
    trigger: Option<String>,
    error: Option<String>,
    dispose_on_delete: Option<bool>,
}

/// The snapshots of `object`, newest first.
pub(crate) fn of(object: &Value, resources: &[Value]) -> Vec<Snapshot> {
    let mut items: Vec<Snapshot> = resources.iter().map(resource).collect();
    let known: HashSet<String> = items.iter().filter_map(|item| item.path.clone()).collect();
    items.extend(
        record(object).into_iter().filter(|item| item.path.as_ref().is_none_or(|path| !known.contains(path))),
    );
    items.sort_by_key(|item| std::cmp::Reverse(item.at));
    items
}

fn resource(object: &Value) -> Snapshot {
    let fields = Fields(object);
    let text = |path: &str| fields.text(path).map(str::to_owned);
    let is_checkpoint = object.pointer("/spec/checkpoint").is_some_and(|spec| !spec.is_null());
    Snapshot {
        name: text("/metadata/name"),
        kind: if is_checkpoint { "checkpoint" } else { "savepoint" },
        state: text("/status/state").unwrap_or_else(|| "TRIGGER_PENDING".to_owned()),
        path: text("/status/path").or_else(|| text("/spec/savepoint/path")),
        at: fields
            .text("/status/resultTimestamp")
            .or_else(|| fields.text("/status/triggerTimestamp"))
            .and_then(moment),
        trigger: text("/metadata/labels/snapshot.trigger-type").map(|trigger| trigger.to_lowercase()),
        error: text("/status/error"),
        dispose_on_delete: object.pointer("/spec/savepoint/disposeOnDelete").and_then(Value::as_bool),
    }
}

/// What the status remembers.
fn record(object: &Value) -> Vec<Snapshot> {
    let of = |savepoint: &Value| {
        let fields = Fields(savepoint);
        Some(Snapshot {
            name: None,
            kind: "savepoint",
            state: "COMPLETED".to_owned(),
            path: Some(fields.text("/location")?.to_owned()),
            at: fields.integer("/timeStamp").filter(|at_ms| *at_ms > 0),
            trigger: fields.text("/triggerType").map(str::to_lowercase),
            error: None,
            dispose_on_delete: None,
        })
    };
    let info = &object["status"]["jobStatus"]["savepointInfo"];
    let history = info["savepointHistory"].as_array();
    let mut items: Vec<Snapshot> = history.into_iter().flatten().filter_map(of).collect();
    if let Some(last) = of(&info["lastSavepoint"])
        && !items.iter().any(|item| item.path == last.path)
    {
        items.push(last);
    }
    let kept = Fields(object).text("/status/jobStatus/upgradeSavepointPath");
    if let Some(path) = kept
        && !items.iter().any(|item| item.path.as_deref() == Some(path))
    {
        items.push(Snapshot {
            name: None,
            kind: if path.contains("/chk-") { "checkpoint" } else { "savepoint" },
            state: "COMPLETED".to_owned(),
            path: Some(path.to_owned()),
            at: None,
            trigger: Some("upgrade".to_owned()),
            error: None,
            dispose_on_delete: None,
        });
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_savepoint_that_is_a_resource_too_stands_once() {
        let object = json!({ "status": { "jobStatus": {
            "upgradeSavepointPath": "/s/3",
            "savepointInfo": { "lastSavepoint": { "location": "/s/2", "timeStamp": 20000, "triggerType": "MANUAL" },
                "savepointHistory": [{ "location": "/s/1", "timeStamp": 10000 }, { "location": "/s/2", "timeStamp": 20000 }] } } } });
        let resource = json!({ "metadata": { "name": "snap" }, "spec": { "savepoint": { "disposeOnDelete": true } },
            "status": { "state": "COMPLETED", "path": "/s/1", "resultTimestamp": "1970-01-01T00:00:10Z" } });
        let items = of(&object, &[resource]);
        let paths: Vec<_> = items.iter().map(|item| (item.name.as_deref(), item.path.as_deref())).collect();
        assert_eq!(paths, [(None, Some("/s/2")), (Some("snap"), Some("/s/1")), (None, Some("/s/3"))]);
    }
}
