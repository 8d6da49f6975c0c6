//! Compares objects field by field, without what the API server fills in on its own.

use std::collections::BTreeMap;
use std::fmt;

use drey_api::memory::Amount;
use drey_flink::configuration_file;
use drey_flink::version::ConfigurationFormat;
use serde_json::{Map, Value, json};

/// A field that is not the same.
#[derive(Debug)]
pub(crate) struct Difference {
    /// Kind, name and the way to the field, with dots; parts with dots stand in brackets.
    pub(crate) path: Vec<String>,
    flink: Option<Value>,
    ours: Option<Value>,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Option<Value>| value.as_ref().map_or("nothing".to_owned(), Value::to_string);
        write!(
            formatter,
            "{}\n  flink {}\n  ours  {}",
            self.path.join("/"),
            text(&self.flink),
            text(&self.ours)
        )
    }
}

/// Whether a path is one that a pattern names: parts with `/` between them, of which `*` is any.
pub(crate) fn matches(pattern: &str, path: &[String]) -> bool {
    let parts: Vec<&str> = pattern.split('/').collect();
    parts.len() == path.len() && parts.iter().zip(path).all(|(part, own)| *part == "*" || part == own)
}

/// Everything that differs between two sets of objects.
pub(crate) fn differences(
    flink: &BTreeMap<String, Value>,
    ours: &BTreeMap<String, Value>,
) -> Vec<Difference> {
    let (flink, ours) = (leaves(flink), leaves(ours));
    let paths: std::collections::BTreeSet<&Vec<String>> = flink.keys().chain(ours.keys()).collect();
    paths
        .into_iter()
        .filter(|path| flink.get(*path) != ours.get(*path))
        .map(|path| Difference {
            path: path.clone(),
            flink: flink.get(path).cloned(),
            ours: ours.get(path).cloned(),
        })
        .collect()
}

fn leaves(objects: &BTreeMap<String, Value>) -> BTreeMap<Vec<String>, Value> {
    let mut leaves = BTreeMap::new();
    for (name, object) in objects {
        let mut object = object.clone();
        read_files(&mut object);
        strip(&mut object, "");
        object.as_object_mut().expect("objects are objects").remove("status");
        let (kind, _) = name.split_once('/').expect("a kind and a name");
        // The name of a resource is a part of the names of its objects: what differs from case to case.
        let role = role(kind, &object);
        collect(&mut leaves, vec![kind.to_owned(), role], &object);
    }
    leaves
}

/// What an object is for, whichever cluster it is of.
fn role(kind: &str, object: &Value) -> String {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let rest = match kind {
        "ConfigMap" => name.rsplit_once(cluster(object)).map_or(name, |(role, _)| role),
        _ => name.split_once(cluster(object)).map_or(name, |(_, role)| role),
    };
    match (kind, rest.trim_matches('-')) {
        ("Deployment", "") => "jobmanager".to_owned(),
        ("Service", "") => "internal".to_owned(),
        (_, role) => role.to_owned(),
    }
}

fn cluster(object: &Value) -> &str {
    object["metadata"]["labels"]["app"].as_str().unwrap_or_default()
}

fn collect(leaves: &mut BTreeMap<Vec<String>, Value>, path: Vec<String>, value: &Value) {
    let longer = |part: String| [path.clone(), vec![part]].concat();
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, child) in map {
                collect(leaves, longer(key.clone()), child);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            let names: Vec<String> = names(items);
            if ORDERED.contains(&path.last().map_or("", String::as_str)) {
                leaves.insert(longer("order".to_owned()), json!(names));
            }
            for (name, child) in names.into_iter().zip(items) {
                collect(leaves, longer(name), child);
            }
        }
        leaf => drop(leaves.insert(path, leaf.clone())),
    }
}

/// Lists whose order means something though their items have names.
const ORDERED: [&str; 3] = ["containers", "initContainers", "env"];

/// Items go by their names, and by their positions where they have none; a name that comes again is numbered.
fn names(items: &[Value]) -> Vec<String> {
    let name = |(position, item): (usize, &Value)| {
        let Some(name) = item["name"].as_str() else { return position.to_string() };
        match items[..position].iter().filter(|earlier| earlier["name"] == name).count() {
            0 => name.to_owned(),
            earlier => format!("{name}#{}", earlier + 1),
        }
    };
    items.iter().enumerate().map(name).collect()
}

/// Files in a ConfigMap become what is in them: the order of keys means nothing.
fn read_files(object: &mut Value) {
    let Some(data) = object.get_mut("data").and_then(Value::as_object_mut) else { return };
    for (name, text) in data.iter_mut() {
        let content = text.as_str().expect("data is text").to_owned();
        let format = [ConfigurationFormat::Flat, ConfigurationFormat::Nested]
            .into_iter()
            .find(|f| f.file_name() == name);
        if let Some(format) = format {
            let entries = configuration_file::parse(&content, format).expect("what Flink writes can be read");
            *text = json!(entries);
        } else if name.ends_with(".yaml") {
            *text = serde_saphyr::from_str(&content).expect("a pod template is YAML");
        }
    }
}

/// Takes out what a field has when nobody gives it, and makes quantities comparable.
fn strip(value: &mut Value, name: &str) {
    match value {
        Value::Object(map) => {
            for (key, child) in map.iter_mut() {
                strip(child, key);
            }
            map.retain(|key, child| !is_default(name, key, child));
            if name == "requests" || name == "limits" {
                canonical(map);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| strip(item, name)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn is_default(parent: &str, key: &str, value: &Value) -> bool {
    let default = match (parent, key) {
        ("metadata", "namespace") => json!("default"),
        ("fieldRef", "apiVersion") => json!("v1"),
        (_, "protocol") => json!("TCP"),
        ("containers" | "initContainers", "terminationMessagePath") => json!("/dev/termination-log"),
        ("containers" | "initContainers", "terminationMessagePolicy") => json!("File"),
        ("initContainers", "imagePullPolicy") => json!("IfNotPresent"),
        ("spec", "restartPolicy") => json!("Always"),
        ("spec", "terminationGracePeriodSeconds") => json!(30),
        ("spec", "schedulerName") => json!("default-scheduler"),
        ("spec", "revisionHistoryLimit") => json!(10),
        ("spec", "progressDeadlineSeconds") => json!(600),
        ("spec", "sessionAffinity") => json!("None"),
        ("spec", "internalTrafficPolicy" | "externalTrafficPolicy") => json!("Cluster"),
        ("spec", "allocateLoadBalancerNodePorts") => json!(true),
        ("spec", "type") => json!("ClusterIP"),
        ("spec", "strategy") => {
            json!({ "type": "RollingUpdate", "rollingUpdate": { "maxUnavailable": "25%", "maxSurge": "25%" } })
        }
        ("configMap" | "secret", "defaultMode") => json!(420),
        ("httpGet", "scheme") => json!("HTTP"),
        ("startupProbe" | "livenessProbe", "timeoutSeconds" | "successThreshold") => json!(1),
        ("livenessProbe", "failureThreshold") => json!(3),
        ("containers" | "initContainers", "resources") => json!({}),
        (_, "securityContext" | "status") => json!({}),
        _ => return value.is_null(),
    };
    *value == default
}

/// The API server keeps nine digits, rounded up.
fn canonical(quantities: &mut Map<String, Value>) {
    for quantity in quantities.values_mut() {
        let text = quantity.as_str().map_or_else(|| quantity.to_string(), str::to_owned);
        *quantity = json!((Amount::parse(&text).expect("a quantity").as_f64() * 1e9).ceil());
    }
}
