//! Server-side printing: the `Table` form that `kubectl get` shows.

use serde_json::{Value, json};

use crate::clock::parse_ms;
use crate::jsonpath;
use crate::kinds::{Cell, Column, Computed, Kind};
use crate::object::meta_text;
use crate::render::{IncludeObject, View, metadata_only};

/// A whole table. `columns` tells whether to describe the columns, which watches do only once.
pub(crate) fn table(kind: &Kind, rows: Vec<Value>, metadata: Value, columns: bool) -> Value {
    let definitions = match columns {
        true => Value::Array(kind.columns.iter().map(definition).collect()),
        false => Value::Null,
    };
    let mut table = json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1"});
    table["metadata"] = metadata;
    table["columnDefinitions"] = definitions;
    table["rows"] = Value::Array(rows);
    table
}

fn definition(column: &Column) -> Value {
    json!({
        "name": column.name,
        "type": column.kind,
        "format": column.format,
        "description": column.description,
        "priority": column.priority,
    })
}

/// One object's row.
pub(crate) fn row(kind: &Kind, value: &Value, view: View) -> Value {
    let cells: Vec<Value> = kind.columns.iter().map(|column| cell(column, value, view.now_ms)).collect();
    let mut row = json!({"cells": cells});
    match view.include {
        IncludeObject::None => {}
        IncludeObject::Metadata => row["object"] = metadata_only(value),
        IncludeObject::Object => {
            let mut object = value.clone();
            crate::event_forms::to_served(&mut object, kind);
            row["object"] = object;
        }
    }
    row
}

fn cell(column: &Column, value: &Value, now_ms: i64) -> Value {
    match &column.cell {
        Cell::Computed(Computed::DataCount) => json!(count(value, "data") + count(value, "binaryData")),
        Cell::Computed(Computed::SecretCount) => json!(count(value, "secrets")),
        Cell::Computed(what) => json!(computed(*what, value, now_ms)),
        Cell::Path(path) => by_path(column, path, value, now_ms),
    }
}

fn by_path(column: &Column, path: &str, value: &Value, now_ms: i64) -> Value {
    let found = jsonpath::find(value, path);
    let Some(first) = found.first().filter(|first| !first.is_null()) else {
        return match column.kind.as_str() {
            "date" => json!("<unknown>"),
            _ if matches!(column.name.as_str(), "Available" | "Up-to-date") => json!(0),
            _ => Value::Null,
        };
    };
    match column.kind.as_str() {
        "date" => json!(first.as_str().map_or_else(|| "<unknown>".to_owned(), |text| age(text, now_ms))),
        "integer" => first.as_i64().map_or(Value::Null, |number| json!(number)),
        "number" => first.as_f64().map_or(Value::Null, |number| json!(number)),
        "boolean" => first.as_bool().map_or(Value::Null, |flag| json!(flag)),
        _ if found.len() > 1 => {
            json!(found.iter().map(|one| plain(one)).collect::<Vec<_>>().join(","))
        }
        _ => json!(plain(first)),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn computed(what: Computed, value: &Value, now_ms: i64) -> String {
    match what {
        Computed::Name => meta_text(value, "name").to_owned(),
        Computed::Age => age(meta_text(value, "creationTimestamp"), now_ms),
        Computed::CreatedAt => meta_text(value, "creationTimestamp").to_owned(),
        Computed::DataCount => (count(value, "data") + count(value, "binaryData")).to_string(),
        Computed::SecretCount => count(value, "secrets").to_string(),
        Computed::EventObject => {
            let involved = &value["involvedObject"];
            format!("{}/{}", plain_text(&involved["kind"]).to_lowercase(), plain_text(&involved["name"]))
        }
        Computed::EventLastSeen => {
            let times = [&value["series"]["lastObservedTime"], &value["lastTimestamp"], &value["eventTime"]];
            let seen = times.into_iter().find_map(Value::as_str);
            age(seen.unwrap_or(meta_text(value, "creationTimestamp")), now_ms)
        }
        Computed::EventFirstSeen => {
            let times = [&value["firstTimestamp"], &value["eventTime"]];
            let seen = times.into_iter().find_map(Value::as_str);
            age(seen.unwrap_or(meta_text(value, "creationTimestamp")), now_ms)
        }
        Computed::EventSource => {
            let component = plain_text(&value["source"]["component"]);
            let component =
                if component.is_empty() { plain_text(&value["reportingComponent"]) } else { component };
            match value["source"]["host"].as_str().filter(|host| !host.is_empty()) {
                Some(host) => format!("{component}, {host}"),
                None => component,
            }
        }
        Computed::Containers => containers(value, "name"),
        Computed::Images => containers(value, "image"),
        Computed::Selector => selector(value),
        Computed::ReadinessGates => match value["spec"]["readinessGates"].as_array() {
            Some(gates) if !gates.is_empty() => format!("0/{}", gates.len()),
            Some(_) | None => "<none>".to_owned(),
        },
        Computed::PodReady => {
            let statuses = value["status"]["containerStatuses"].as_array();
            let ready = statuses.into_iter().flatten().filter(|status| status["ready"] == true).count();
            format!("{ready}/{}", value["spec"]["containers"].as_array().map_or(0, Vec::len))
        }
        Computed::PodStatus => match value["metadata"]["deletionTimestamp"].is_string() {
            true => "Terminating".to_owned(),
            false => plain_text(&value["status"]["phase"]),
        },
        Computed::PodRestarts => {
            let statuses = value["status"]["containerStatuses"].as_array().into_iter().flatten();
            statuses.filter_map(|status| status["restartCount"].as_i64()).sum::<i64>().to_string()
        }
        Computed::DeploymentReady => {
            let ready = value["status"]["readyReplicas"].as_i64().unwrap_or(0);
            format!("{ready}/{}", value["spec"]["replicas"].as_i64().unwrap_or(1))
        }
        Computed::ServicePorts => service_ports(value),
        Computed::ServiceExternalIp => "<none>".to_owned(),
    }
}

fn count(value: &Value, member: &str) -> usize {
    match &value[member] {
        Value::Object(map) => map.len(),
        Value::Array(list) => list.len(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

fn containers(value: &Value, member: &str) -> String {
    let containers = value["spec"]["template"]["spec"]["containers"].as_array().into_iter().flatten();
    containers.map(|container| plain_text(&container[member])).collect::<Vec<_>>().join(",")
}

fn selector(value: &Value) -> String {
    let selector = &value["spec"]["selector"];
    let labels = selector.get("matchLabels").unwrap_or(selector).as_object();
    let parts: Vec<String> =
        labels.into_iter().flatten().map(|(key, wanted)| format!("{key}={}", plain_text(wanted))).collect();
    if parts.is_empty() { "<none>".to_owned() } else { parts.join(",") }
}

fn plain_text(value: &Value) -> String {
    value.as_str().unwrap_or("").to_owned()
}

fn service_ports(value: &Value) -> String {
    let ports = value["spec"]["ports"].as_array().into_iter().flatten().map(|port| {
        let protocol = port["protocol"].as_str().unwrap_or("TCP");
        match port["nodePort"].as_i64() {
            Some(node) => format!("{}:{node}/{protocol}", port["port"]),
            None => format!("{}/{protocol}", port["port"]),
        }
    });
    let text = ports.collect::<Vec<_>>().join(",");
    if text.is_empty() { "<none>".to_owned() } else { text }
}

/// How long ago, as kubectl says it.
fn age(since: &str, now_ms: i64) -> String {
    let Some(since_ms) = parse_ms(since) else { return "<unknown>".to_owned() };
    let seconds = (now_ms - since_ms).div_euclid(1000);
    if seconds < -1 {
        return "<invalid>".to_owned();
    }
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |big: i64, unit: &str, small: i64, small_unit: &str| match small {
        0 => format!("{big}{unit}"),
        small => format!("{big}{unit}{small}{small_unit}"),
    };
    if seconds < 120 {
        format!("{seconds}s")
    } else if minutes < 10 {
        two(minutes, "m", seconds % 60, "s")
    } else if minutes < 180 {
        format!("{minutes}m")
    } else if hours < 8 {
        two(hours, "h", minutes % 60, "m")
    } else if hours < 48 {
        format!("{hours}h")
    } else if hours < 192 {
        two(days, "d", hours % 24, "h")
    } else if days < 365 * 2 {
        format!("{days}d")
    } else if days < 365 * 8 {
        two(days / 365, "y", days % 365, "d")
    } else {
        format!("{}y", days / 365)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages() {
        for (seconds, text) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (150, "2m30s"),
            (600, "10m"),
            (3 * 3600, "3h"),
            (3 * 3600 + 60, "3h1m"),
            (9 * 3600, "9h"),
            (49 * 3600, "2d1h"),
            (10 * 86_400, "10d"),
        ] {
            assert_eq!(age("1970-01-01T00:00:00Z", seconds * 1000), text);
        }
        assert_eq!(age("nonsense", 0), "<unknown>");
    }
}
