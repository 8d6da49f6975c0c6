//! Heimdall's variables, and what drey makes of each.

use serde_json::Value;

use super::HeimdallArgs;
use crate::failure::Failure;
use crate::manifest;
use crate::output::{line, say, table};
use crate::table::Table;

/// What a variable becomes.
const TAKEN: [(&str, &str); 9] = [
    ("HEIMDALL_PATTERNS_DISPLAY_NAME", "taken over by the same name"),
    ("HEIMDALL_ENDPOINT_PATH_PATTERNS_FLINK_UI", LINK),
    ("HEIMDALL_ENDPOINT_PATH_PATTERNS_FLINK_API", LINK),
    ("HEIMDALL_ENDPOINT_PATH_PATTERNS_METRICS", LINK),
    ("HEIMDALL_ENDPOINT_PATH_PATTERNS_LOGS", LINK),
    (
        "HEIMDALL_JOBLOCATOR_K8S_OPERATOR_NAMESPACE_TO_WATCH",
        "taken over by the same name; also `--namespaces`. Without it drey shows all namespaces",
    ),
    ("HEIMDALL_JOBLOCATOR_K8S_OPERATOR_ENABLED", "not needed: drey knows no other source of jobs"),
    ("QUARKUS_HTTP_PORT", "`--port`; 8080 without it, as Heimdall's"),
    ("QUARKUS_HTTP_CORS_ORIGINS", "not needed: pages and answers come from one origin"),
];
const LINK: &str =
    "taken over by the same name; `$namespace` and `$metadata.<label>` work too, and several `$jobName`";

pub(super) fn run(args: &HeimdallArgs) -> Result<(), Failure> {
    let found = if args.files.is_empty() { of_environment() } else { of_files(args)? };
    if found.is_empty() {
        say("no variable of Heimdall is set: its defaults lead to localhost, and drey's pages need no links");
    } else {
        table(&listed(&found), false)?;
    }
    line(
        "\nnext: run `drey dashboard` in Heimdall's place, with the same variables, port and service account;",
    )?;
    line(
        "it answers `/jobs`, `/config` and `/q/health/*` as Heimdall does. It also watches: add the verb `watch`",
    )?;
    line(
        "to its role, and FlinkSessionJobs, FlinkStateSnapshots and FlinkBlueGreenDeployments for their pages",
    )
}

fn is_of_heimdall(name: &str) -> bool {
    name.starts_with("HEIMDALL_") || name.starts_with("QUARKUS_")
}

fn of_environment() -> Vec<(String, String)> {
    std::env::vars().filter(|(name, _)| is_of_heimdall(name)).collect()
}

fn of_files(args: &HeimdallArgs) -> Result<Vec<(String, String)>, Failure> {
    let documents = manifest::read_files(&args.files)?;
    Ok(documents.iter().flat_map(|document| of_object(&document.value)).collect())
}

/// The variables of every container, wherever its pod stands in the object.
fn of_object(value: &Value) -> Vec<(String, String)> {
    let own = value["env"].as_array().map_or(&[][..], Vec::as_slice).iter().filter_map(|variable| {
        let name = variable["name"].as_str().filter(|name| is_of_heimdall(name))?;
        Some((name.to_owned(), variable["value"].as_str().unwrap_or("from elsewhere").to_owned()))
    });
    let below: Vec<&Value> = match value {
        Value::Object(fields) => fields.values().collect(),
        Value::Array(items) => items.iter().collect(),
        _ => Vec::new(),
    };
    own.chain(below.into_iter().flat_map(of_object)).collect()
}

fn listed(found: &[(String, String)]) -> Table {
    let mut table = Table::new(["VARIABLE", "VALUE", "IN DREY"]);
    for (name, value) in found {
        let known = TAKEN.iter().find(|(known, _)| known == name).map(|(_, words)| *words);
        let words = known.unwrap_or(if name.starts_with("QUARKUS_") {
            "without effect: drey has no Quarkus"
        } else {
            "not known to Heimdall 0.11 either"
        });
        table.push(vec![name.clone(), value.clone(), words.to_owned()]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn variables_are_found_in_any_container_and_each_is_answered() {
        let object = json!({"kind": "Deployment", "spec": {"template": {"spec": {"containers": [{"env": [
            {"name": "HEIMDALL_PATTERNS_DISPLAY_NAME", "value": "$jobName"},
            {"name": "HEIMDALL_NEW", "valueFrom": {}},
            {"name": "QUARKUS_LOG_LEVEL", "value": "DEBUG"},
            {"name": "PATH", "value": "/"}]}]}}}});
        let found = of_object(&object);
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["HEIMDALL_PATTERNS_DISPLAY_NAME", "HEIMDALL_NEW", "QUARKUS_LOG_LEVEL"]);
        let lines = listed(&found).lines();
        assert!(lines[1].ends_with("taken over by the same name"), "{lines:#?}");
        assert!(lines[2].ends_with("either") && lines[3].ends_with("no Quarkus"), "{lines:#?}");
    }
}
