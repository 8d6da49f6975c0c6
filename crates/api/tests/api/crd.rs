//! The definitions in the chart are those that the types give, and they are as upstream's where upstream
//! has something to say.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use drey_api::crd;

fn chart() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../charts/drey-crds/crds")
}

/// `DREY_BLESS=1` rewrites the files.
#[test]
fn chart_holds_the_generated_definitions() {
    let bless = std::env::var_os("DREY_BLESS").is_some();
    let mut expected_files = Vec::new();
    for definition in crd::all() {
        let file = crd::file_name(&definition);
        let path = chart().join(&file);
        let generated = crd::yaml(&definition.spec.names.kind).expect("one of our kinds");
        if bless {
            fs::create_dir_all(chart()).unwrap();
            fs::write(&path, &generated).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == generated, "{file} is stale: run the tests of drey-api with DREY_BLESS=1");
        expected_files.push(file);
    }
    let mut files: Vec<String> = fs::read_dir(chart())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    expected_files.sort();
    assert_eq!(files, expected_files);
}

fn schemas() -> Vec<(String, Value)> {
    crd::all()
        .into_iter()
        .map(|definition| {
            let kind = definition.spec.names.kind.clone();
            let value = serde_json::to_value(definition).unwrap();
            (kind, value["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone())
        })
        .collect()
}

/// What a real API server demands of a structural schema, and what upstream's schemas do not have.
#[test]
fn schemas_are_structural() {
    fn check(path: &str, node: &Value) {
        let map = node.as_object().unwrap_or_else(|| panic!("{path} is no schema"));
        for keyword in ["$ref", "default", "required", "nullable", "format", "title", "oneOf", "allOf", "not"]
        {
            assert!(!map.contains_key(keyword), "{path} has {keyword}");
        }
        let preserves = map.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
        let int_or_string = map.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true));
        match map.get("type") {
            Some(kind) => {
                assert!(kind.is_string(), "{path} has several types");
                assert!(!int_or_string, "{path} has a type beside int-or-string");
            }
            None => assert!(preserves || int_or_string, "{path} has no type"),
        }
        let both = map.contains_key("properties") && map.contains_key("additionalProperties");
        assert!(!both, "{path} has properties and additionalProperties");
        if map.get("type").and_then(Value::as_str) == Some("array") {
            check(&format!("{path}[]"), &map["items"]);
        }
        for (name, child) in map.get("properties").and_then(Value::as_object).into_iter().flatten() {
            check(&format!("{path}.{name}"), child);
        }
        if let Some(child) = map.get("additionalProperties") {
            check(&format!("{path}{{}}"), child);
        }
    }
    for (kind, schema) in schemas() {
        check(&kind, &schema);
    }
}

/// Upstream's fields and enums, written down from its own definitions: `path type` or `path a|b|c`.
#[test]
fn upstream_fields_are_all_there() {
    let ours = schemas();
    let listed = include_str!("../fixtures/upstream-fields.txt");
    let mut checked = 0;
    for line in listed.lines().filter(|line| !line.starts_with('#')) {
        let (path, expected) = line.split_once(' ').unwrap();
        let (kind, path) = path.split_once('.').unwrap();
        let (_, schema) = ours.iter().find(|(ours, _)| ours == kind).unwrap();
        let node = path.split('.').fold(schema, |node, name| match name {
            "[]" => &node["items"],
            "{}" => &node["additionalProperties"],
            name => &node["properties"][name],
        });
        assert_eq!(describe(node), expected, "{kind}.{path}");
        checked += 1;
    }
    assert!(checked > 200, "only {checked} fields were compared");
}

fn describe(node: &Value) -> String {
    if let Some(values) = node["enum"].as_array() {
        let mut words: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
        words.sort_unstable();
        return words.join("|");
    }
    if node["x-kubernetes-int-or-string"] == Value::Bool(true) {
        return "int-or-string".to_owned();
    }
    node["type"].as_str().unwrap_or("any").to_owned()
}

#[test]
fn names_columns_and_subresources() {
    let told: Vec<String> = crd::all()
        .iter()
        .map(|definition| {
            let names = &definition.spec.names;
            let version = &definition.spec.versions[0];
            let columns: Vec<String> = version
                .additional_printer_columns
                .iter()
                .flatten()
                .map(|column| format!("{}={}", column.name, column.json_path))
                .collect();
            let scale = version.subresources.as_ref().and_then(|sub| sub.scale.as_ref());
            let scale = scale.map_or_else(String::new, |scale| {
                format!(
                    " scale {} {} {}",
                    scale.spec_replicas_path,
                    scale.status_replicas_path,
                    scale.label_selector_path.as_deref().unwrap_or_default()
                )
            });
            let status = version.subresources.as_ref().is_some_and(|sub| sub.status.is_some());
            assert!(status && version.served && version.storage && definition.spec.scope == "Namespaced");
            format!("{} {:?} {}{scale}", names.plural, names.short_names, columns.join(","))
        })
        .collect();
    assert_eq!(
        told,
        [
            "flinkdeployments Some([\"flinkdep\"]) Job Status=.status.jobStatus.state,Lifecycle \
             State=.status.lifecycleState scale .spec.taskManager.replicas .status.taskManager.replicas \
             .status.taskManager.labelSelector",
            "flinksessionjobs Some([\"sessionjob\"]) Job Status=.status.jobStatus.state,Lifecycle \
             State=.status.lifecycleState",
            "flinkstatesnapshots Some([\"flinksnp\"]) Path=.status.path,Result \
             Timestamp=.status.resultTimestamp,Snapshot State=.status.state",
            "flinkbluegreendeployments Some([\"flinkbgdep\"]) Job Status=.status.jobStatus.state",
        ]
    );
}
