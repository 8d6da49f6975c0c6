//! What happened to a resource, on one axis: events of Kubernetes with drey's own among them, and what its status
//! remembers. Pure. Refuses to fetch.

use k8s_openapi::api::core::v1::Event;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::row::{Fields, moment};

/// Components that drey and the Java operator write events as.
const OPERATORS: [&str; 5] = ["Operator", "JobManagerDeployment", "Job", "Snapshot", "drey"];

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "TimelineItem")]
pub(crate) struct Item {
    at: i64,
    source: Source,
    level: Level,
    title: String,
    detail: String,
    count: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum Source {
    Operator,
    Kubernetes,
    Status,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum Level {
    Info,
    Warning,
}

/// Everything that is known, newest first.
pub(crate) fn of(object: &Value, events: &[Event]) -> Vec<Item> {
    let mut items: Vec<Item> = events.iter().filter_map(event).collect();
    items.extend(remembered(object));
    items.sort_by(|a, b| b.at.cmp(&a.at).then_with(|| a.title.cmp(&b.title)));
    items
}

fn event(event: &Event) -> Option<Item> {
    let last =
        event.last_timestamp.as_ref().or(event.first_timestamp.as_ref()).map(|time| time.0.as_millisecond());
    let at = last
        .or_else(|| event.event_time.as_ref().map(|time| time.0.as_millisecond()))
        .or_else(|| event.metadata.creation_timestamp.as_ref().map(|time| time.0.as_millisecond()))?;
    let component = event.source.as_ref().and_then(|source| source.component.as_deref()).unwrap_or_default();
    let reporter = event.reporting_component.as_deref().unwrap_or_default();
    let by_operator = OPERATORS.contains(&component) || OPERATORS.contains(&reporter);
    Some(Item {
        at,
        source: if by_operator { Source::Operator } else { Source::Kubernetes },
        level: if event.type_.as_deref() == Some("Warning") { Level::Warning } else { Level::Info },
        title: event.reason.clone().unwrap_or_else(|| "Event".to_owned()),
        detail: event.message.clone().unwrap_or_default(),
        count: event.count.unwrap_or(1).max(1),
    })
}

/// Moments in the status that no event may tell of any more: events are forgotten after an hour.
fn remembered(object: &Value) -> Vec<Item> {
    let fields = Fields(object);
    let item = |at: i64, title: &str, detail: String| Item {
        at,
        source: Source::Status,
        level: Level::Info,
        title: title.to_owned(),
        detail,
        count: 1,
    };
    let mut items = Vec::new();
    if let Some(at) = fields.moment("/metadata/creationTimestamp") {
        items.push(item(at, "Created", String::new()));
    }
    if let Some(at) = fields.moment("/metadata/deletionTimestamp") {
        items.push(item(at, "Deletion asked for", String::new()));
    }
    if let Some(at) = fields.integer("/status/run/deployedAt").filter(|at_ms| *at_ms > 0) {
        let generation = fields.integer("/status/run/generation").unwrap_or_default();
        let from =
            fields.text("/status/run/restoredFrom").map(|from| format!(", from {from}")).unwrap_or_default();
        items.push(item(at, "Deployed", format!("generation {generation}{from}")));
    }
    if let Some(at) = fields.text("/status/jobStatus/startTime").and_then(|text| text.parse().ok()) {
        items.push(item(
            at,
            "Job started",
            fields.text("/status/jobStatus/jobId").unwrap_or_default().to_owned(),
        ));
    }
    let savepoints =
        object.pointer("/status/jobStatus/savepointInfo/savepointHistory").and_then(Value::as_array);
    for savepoint in savepoints.into_iter().flatten() {
        if let Some(at) = savepoint["timeStamp"].as_i64().filter(|at_ms| *at_ms > 0) {
            items.push(item(at, "Savepoint", savepoint["location"].as_str().unwrap_or_default().to_owned()));
        }
    }
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    for condition in conditions.into_iter().flatten() {
        let text = |key: &str| condition.get(key).and_then(Value::as_str).unwrap_or_default();
        // That something is not so is the end of nothing that anybody looks for.
        if let Some(at) = moment(text("lastTransitionTime")).filter(|_| text("status") == "True") {
            items.push(item(at, text("type"), text("message").to_owned()));
        }
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn events_and_what_the_status_remembers_stand_on_one_axis() {
        let told: Event = serde_json::from_value(json!({
            "metadata": {}, "involvedObject": {}, "reason": "SpecChanged", "message": "parallelism", "type": "Normal",
            "source": { "component": "Operator" }, "lastTimestamp": "1970-01-01T00:00:09Z", "count": 3,
        }))
        .expect("an event");
        let object = json!({ "metadata": { "creationTimestamp": "1970-01-01T00:00:01Z" },
            "status": { "run": { "deployedAt": 5000, "generation": 2, "restoredFrom": "/sp/1" }, "conditions": [
                { "type": "Ready", "status": "True", "message": "stable", "lastTransitionTime": "1970-01-01T00:00:08Z" },
                { "type": "Stalled", "status": "False", "lastTransitionTime": "1970-01-01T00:00:08Z" }] } });
        let items = of(&object, &[told]);
        let titles: Vec<&str> = items.iter().map(|item| item.title.as_str()).collect();
        assert_eq!(titles, ["SpecChanged", "Ready", "Deployed", "Created"]);
        assert_eq!(
            (items[0].source, items[0].count, items[2].detail.as_str()),
            (Source::Operator, 3, "generation 2, from /sp/1")
        );
    }
}
