//! Heimdall's own interface, field by field, so that what was built on it goes on: `/jobs`, `/config` and its variables.
//! Where Heimdall fails on an odd resource, what can be told is told. Pure. Refuses to fetch.

use serde::Serialize;
use serde_json::{Value, json};

use crate::row::Fields;

/// What Heimdall's variables say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heimdall {
    /// `HEIMDALL_PATTERNS_DISPLAY_NAME`.
    pub display_name: String,
    /// `HEIMDALL_ENDPOINT_PATH_PATTERNS_FLINK_UI`; empty for none, as all of them.
    pub flink_ui: String,
    /// `HEIMDALL_ENDPOINT_PATH_PATTERNS_FLINK_API`.
    pub flink_api: String,
    /// `HEIMDALL_ENDPOINT_PATH_PATTERNS_METRICS`.
    pub metrics: String,
    /// `HEIMDALL_ENDPOINT_PATH_PATTERNS_LOGS`.
    pub logs: String,
}

impl Default for Heimdall {
    fn default() -> Heimdall {
        Heimdall {
            display_name: "$jobName".to_owned(),
            flink_ui: "http://localhost/$jobName/ui".to_owned(),
            flink_api: "http://localhost/$jobName/api".to_owned(),
            metrics: "http://localhost/$jobName/metrics".to_owned(),
            logs: "http://localhost/$jobName/logs".to_owned(),
        }
    }
}

impl Heimdall {
    /// Reads Heimdall's variables; `variable` tells what is set, also to nothing.
    #[must_use]
    pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Heimdall {
        let default = Heimdall::default();
        let read = |name: &str, default: String| variable(&format!("HEIMDALL_{name}")).unwrap_or(default);
        Heimdall {
            display_name: read("PATTERNS_DISPLAY_NAME", default.display_name),
            flink_ui: read("ENDPOINT_PATH_PATTERNS_FLINK_UI", default.flink_ui),
            flink_api: read("ENDPOINT_PATH_PATTERNS_FLINK_API", default.flink_api),
            metrics: read("ENDPOINT_PATH_PATTERNS_METRICS", default.metrics),
            logs: read("ENDPOINT_PATH_PATTERNS_LOGS", default.logs),
        }
    }

    /// The namespaces that `HEIMDALL_JOBLOCATOR_K8S_OPERATOR_NAMESPACE_TO_WATCH` names, when it is set.
    #[must_use]
    pub fn namespaces(variable: impl Fn(&str) -> Option<String>) -> Option<Vec<String>> {
        let text = variable("HEIMDALL_JOBLOCATOR_K8S_OPERATOR_NAMESPACE_TO_WATCH")?;
        let names: Vec<String> =
            text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        Some(if names.is_empty() { vec!["default".to_owned()] } else { names })
    }

    /// The answer of `/config`.
    pub(crate) fn config(&self) -> Value {
        json!({
            "appVersion": env!("CARGO_PKG_VERSION"),
            "patterns": { "display-name": self.display_name },
            "endpointPathPatterns": {
                "flink-ui": self.flink_ui, "flink-api": self.flink_api, "metrics": self.metrics, "logs": self.logs,
            },
        })
    }
}

/// One entry of `/jobs`. Nulls are written.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Job {
    id: Option<String>,
    name: String,
    namespace: String,
    status: String,
    #[serde(rename = "type")]
    job_type: &'static str,
    start_time: Option<i64>,
    short_image: Option<String>,
    flink_version: Option<String>,
    parallelism: i64,
    resources: Resources,
    metadata: Value,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Resources {
    jm: Process,
    tm: Process,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Process {
    replicas: i64,
    cpu: Option<String>,
    mem: Option<String>,
}

/// The entry of a FlinkDeployment.
pub(crate) fn job(object: &Value) -> Job {
    let fields = Fields(object);
    let is_session = object.pointer("/spec/job").is_none_or(Value::is_null);
    let task_managers = fields
        .integer("/spec/taskManager/replicas")
        .or_else(|| (!is_session).then(|| fields.integer("/status/taskManager/replicas")).flatten())
        .unwrap_or(0);
    let version = fields.text("/spec/flinkVersion");
    Job {
        id: fields.text("/metadata/uid").map(str::to_owned),
        name: fields.text("/metadata/name").unwrap_or_default().to_owned(),
        namespace: fields.text("/metadata/namespace").unwrap_or_default().to_owned(),
        status: fields.text("/status/jobStatus/state").unwrap_or("UNKNOWN").to_owned(),
        job_type: if is_session { "SESSION" } else { "APPLICATION" },
        start_time: fields.text("/status/jobStatus/startTime").and_then(|text| text.parse().ok()),
        short_image: fields.text("/spec/image").map(short_image),
        flink_version: version.map(|version| version.replace('_', ".").replace('v', "")),
        parallelism: fields
            .integer("/spec/job/parallelism")
            .or_else(|| Some(slots(object)? * fields.integer("/spec/taskManager/replicas")?))
            .unwrap_or(0),
        resources: Resources {
            jm: process(&fields, "jobManager", fields.integer("/spec/jobManager/replicas").unwrap_or(1)),
            tm: process(&fields, "taskManager", task_managers),
        },
        metadata: object.pointer("/metadata/labels").cloned().unwrap_or_else(|| json!({})),
    }
}

fn process(fields: &Fields<'_>, role: &str, replicas: i64) -> Process {
    let cpu = fields.number(&format!("/spec/{role}/resource/cpu"));
    let memory = fields.text(&format!("/spec/{role}/resource/memory"));
    Process { replicas, cpu: cpu.map(decimal), mem: memory.map(str::to_owned) }
}

/// As Java writes a double.
fn decimal(number: f64) -> String {
    if number.fract() == 0.0 { format!("{number:.1}") } else { number.to_string() }
}

/// What stands after the first slash.
fn short_image(image: &str) -> String {
    image.split_once('/').map_or(image, |(_, rest)| rest).to_owned()
}

fn slots(object: &Value) -> Option<i64> {
    let value = object.pointer("/spec/flinkConfiguration")?.get("taskmanager.numberOfTaskSlots")?;
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_is_told_as_heimdall_tells_it() {
        let object = json!({
            "metadata": { "uid": "u", "name": "n", "namespace": "s", "labels": { "team": "x" } },
            "spec": { "image": "registry.com/servicing/team/test:0.1.4", "flinkVersion": "v1_20",
                "job": { "parallelism": 2 },
                "jobManager": { "replicas": 1, "resource": { "cpu": 1, "memory": "2048m" } },
                "taskManager": { "resource": { "cpu": 0.5, "memory": "1g" } } },
            "status": { "jobStatus": { "state": "RUNNING", "startTime": "1700000000000" }, "taskManager": { "replicas": 2 } },
        });
        let expected = json!({
            "id": "u", "name": "n", "namespace": "s", "status": "RUNNING", "type": "APPLICATION",
            "startTime": 1_700_000_000_000_i64, "shortImage": "servicing/team/test:0.1.4", "flinkVersion": "1.20",
            "parallelism": 2,
            "resources": { "jm": { "replicas": 1, "cpu": "1.0", "mem": "2048m" }, "tm": { "replicas": 2, "cpu": "0.5", "mem": "1g" } },
            "metadata": { "team": "x" },
        });
        assert_eq!(serde_json::to_value(job(&object)).expect("JSON"), expected);
    }

    #[test]
    fn a_resource_without_anything_is_told_too() {
        let told = serde_json::to_value(job(&json!({ "metadata": { "name": "canary", "namespace": "s" } })))
            .expect("JSON");
        assert_eq!(told["status"], "UNKNOWN");
        assert_eq!(told["type"], "SESSION");
        for null in ["startTime", "shortImage", "flinkVersion"] {
            assert!(told[null].is_null() && told.get(null).is_some(), "{null}");
        }
        assert_eq!(told["metadata"], json!({}));
    }

    #[test]
    fn variables_count_also_when_they_are_empty() {
        let set = |name: &str| match name {
            "HEIMDALL_ENDPOINT_PATH_PATTERNS_LOGS" => Some(String::new()),
            "HEIMDALL_JOBLOCATOR_K8S_OPERATOR_NAMESPACE_TO_WATCH" => Some(" a, ,b ".to_owned()),
            _ => None,
        };
        let heimdall = Heimdall::of_environment(set);
        assert_eq!(
            (heimdall.logs.as_str(), heimdall.flink_ui.as_str()),
            ("", "http://localhost/$jobName/ui")
        );
        assert_eq!(Heimdall::namespaces(set), Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(Heimdall::namespaces(|_| Some(" ".to_owned())), Some(vec!["default".to_owned()]));
        assert_eq!(Heimdall::namespaces(|_| None), None);
    }
}
