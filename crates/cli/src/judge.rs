//! Every rule for a file that can be checked without a cluster, with the line of each broken one.
//! Refuses to stop at the first.

use std::collections::BTreeSet;

use drey_api::defaults::Defaults;
use drey_api::desired::{self, Context};
use drey_api::kinds::{
    self, API_VERSION, CANARY_LABEL, FlinkBlueGreenDeployment, FlinkDeployment, FlinkSessionJob,
    FlinkStateSnapshot,
};
use drey_api::unknown_fields;
use serde_json::Value;

use crate::failure::{Failure, Kind};
use crate::kinds::FlinkKind;
use crate::manifest::Document;

/// The largest object that can be applied, in bytes of JSON: what annotations may hold, and room for a few more.
const OBJECT_BYTES_MAX: usize = 256_000;
const DNS_HINT: &str = "take lower-case letters, digits and `-`, such as `my-name`";

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// `file:line`.
    pub place: String,
    /// `kind/name`.
    pub object: String,
    /// Path of the field; empty when it is about the whole object.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// How to fix it.
    pub hint: Option<String>,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with these objects, for clusters that start from `defaults` and objects that
/// name no namespace in `namespace`. Objects of other groups are the API server's to judge.
#[must_use]
pub fn problems(documents: &[Document], namespace: &str, defaults: &Defaults) -> Vec<Problem> {
    let mut found = duplicates(documents, namespace);
    for document in documents {
        found.extend(too_large(document));
        let api_version = document.value.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
        let kind = document.kind().unwrap_or_default();
        let known = FlinkKind::ALL.iter().copied().find(|known| known.resource().kind == kind);
        match known {
            Some(known) if api_version == API_VERSION => {
                found.extend(of_flink(document, known, namespace, defaults));
            }
            Some(_) => found.push(problem(
                document,
                "apiVersion",
                format!("`{kind}` has the apiVersion `{API_VERSION}`, not `{api_version}`"),
                None,
            )),
            None if api_version.starts_with("flink.apache.org/") => found.push(unknown_kind(document, kind)),
            None => {}
        }
    }
    found
}

/// Fails with every problem of these objects, if there are any.
///
/// # Errors
/// All problems in one failure.
pub fn refuse_problems(documents: &[Document], namespace: &str, defaults: &Defaults) -> Result<(), Failure> {
    let found = problems(documents, namespace, defaults);
    if found.is_empty() {
        return Ok(());
    }
    let count = if found.len() == 1 { "1 problem".to_owned() } else { format!("{} problems", found.len()) };
    let failure = Failure::new(Kind::Invalid, format!("{count}; nothing was applied"));
    Err(found.iter().fold(failure, |failure, problem| failure.detail(problem.to_string())))
}

fn problem(document: &Document, field: &str, message: String, hint: Option<String>) -> Problem {
    let place = document.place_of(field);
    Problem { place, object: document.object_name(), field: field.to_owned(), message, hint }
}

/// What was applied last is kept in an annotation, as `kubectl apply` does, and annotations have a bound.
fn too_large(document: &Document) -> Option<Problem> {
    let bytes = document.value.to_string().len();
    if bytes <= OBJECT_BYTES_MAX {
        return None;
    }
    let (field, field_bytes) = largest(&document.value);
    let message = format!(
        "the object has {bytes} bytes as JSON, {field_bytes} of them here; at most {OBJECT_BYTES_MAX} can be applied"
    );
    let hint = "move the data into a file or a ConfigMap that the job reads".to_owned();
    Some(problem(document, &field, message, Some(hint)))
}

/// The smallest part that holds more than half of the object, or the object.
fn largest(object: &Value) -> (String, usize) {
    let (mut path, mut part) = (String::new(), object);
    let whole = object.to_string().len();
    let half = |(_, value): &(String, &'_ Value)| value.to_string().len() * 2 > whole;
    loop {
        let mut below: Box<dyn Iterator<Item = (String, &Value)>> = match part {
            Value::Object(fields) => Box::new(fields.iter().map(|(name, value)| (format!(".{name}"), value))),
            Value::Array(items) => {
                Box::new(items.iter().enumerate().map(|(index, value)| (format!("[{index}]"), value)))
            }
            _ => break,
        };
        let Some((step, value)) = below.find(half) else { break };
        path.push_str(&step);
        part = value;
    }
    (path.trim_start_matches('.').to_owned(), part.to_string().len())
}

/// Names of a FlinkDeployment have rules of their own; those of Kubernetes hold for all others.
fn names(document: &Document, kind: FlinkKind) -> Vec<Problem> {
    let name = document.name().unwrap_or_default();
    let mut found = Vec::new();
    if kind != FlinkKind::Deployment && !(name.len() <= 253 && name.split('.').all(is_dns_label)) {
        let message = format!("`{name}` is not a DNS name");
        found.push(problem(document, "metadata.name", message, Some(DNS_HINT.to_owned())));
    }
    if let Some(namespace) = document.namespace().filter(|namespace| !is_dns_label(namespace)) {
        let message = format!("`{namespace}` is not a DNS label");
        found.push(problem(document, "metadata.namespace", message, Some(DNS_HINT.to_owned())));
    }
    found
}

fn is_dns_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn duplicates(documents: &[Document], namespace: &str) -> Vec<Problem> {
    let mut seen = BTreeSet::new();
    let repeated = documents.iter().filter(|document| {
        let namespace = document.namespace().unwrap_or(namespace).to_owned();
        !seen.insert((document.object_name(), namespace))
    });
    repeated
        .map(|document| {
            let message = format!("`{}` stands here for the second time", document.object_name());
            problem(document, "metadata.name", message, Some("give each object its own name".to_owned()))
        })
        .collect()
}

fn unknown_kind(document: &Document, kind: &str) -> Problem {
    let known: Vec<String> = FlinkKind::ALL.iter().map(|known| known.resource().kind).collect();
    let hint = format!("the kinds are {}", known.join(", "));
    problem(document, "kind", format!("there is no kind `{kind}` in `{API_VERSION}`"), Some(hint))
}

fn of_flink(document: &Document, kind: FlinkKind, namespace: &str, defaults: &Defaults) -> Vec<Problem> {
    let unknown = unknown_fields::unknown_fields(&document.value);
    let mut found = names(document, kind);
    found.extend(unknown.iter().map(|unknown| of_unknown_field(document, unknown)));
    let read = match kind {
        FlinkKind::Deployment if is_canary(&document.value) => Ok(()),
        FlinkKind::Deployment => kinds::read::<FlinkDeployment>(&document.value)
            .map(|deployment| found.extend(of_deployment(document, &deployment, namespace, defaults))),
        FlinkKind::SessionJob => kinds::read::<FlinkSessionJob>(&document.value).map(drop),
        FlinkKind::Snapshot => kinds::read::<FlinkStateSnapshot>(&document.value).map(drop),
        FlinkKind::BlueGreen => kinds::read::<FlinkBlueGreenDeployment>(&document.value).map(drop),
    };
    if let Err(error) = read {
        let hint = quotes(&error.message);
        found.push(problem(document, &error.path, error.message, hint));
    }
    found
}

fn is_canary(object: &Value) -> bool {
    object["metadata"]["labels"][CANARY_LABEL] == "true"
}

/// YAML takes `5` and `on` for other things than texts, and `"5"` for no number.
fn quotes(message: &str) -> Option<String> {
    let (found, expected) = message.strip_prefix("invalid type: ")?.split_once(", expected ")?;
    let hint = match (found.split_whitespace().next()?, expected) {
        ("integer" | "floating" | "boolean", "a string" | "a word") => "put it into quotes",
        ("string", "a whole number" | "a number" | "a boolean") => "write it plainly, without quotes",
        ("string", "a list") => "write a list, such as `[\"a\", \"b\"]`",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// The text is the path, and perhaps a suggestion in parentheses.
fn of_unknown_field(document: &Document, unknown: &str) -> Problem {
    let (path, suggestion) = match unknown.split_once(" (") {
        Some((path, suggestion)) => (path, Some(suggestion.trim_end_matches(')').to_owned())),
        None => (unknown, None),
    };
    problem(document, path, "unknown field".to_owned(), suggestion)
}

fn of_deployment(
    document: &Document,
    deployment: &FlinkDeployment,
    namespace: &str,
    defaults: &Defaults,
) -> Vec<Problem> {
    let context = Context {
        namespace: document.namespace().unwrap_or(namespace),
        name: document.name().unwrap_or_default(),
        defaults,
        last: None,
    };
    match desired::parse(&deployment.spec, &context) {
        Ok(_) => Vec::new(),
        Err(invalid) => invalid
            .errors
            .into_iter()
            .map(|error| problem(document, &error.field, error.message, error.hint))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest;
    use std::path::Path;

    fn judged(text: &str) -> Vec<String> {
        let documents = manifest::parse(Path::new("job.yaml"), text).expect("objects");
        let defaults = crate::laptop::defaults(Path::new("/state"));
        problems(&documents, "default", &defaults).iter().map(Problem::to_string).collect()
    }

    const GOOD: &str = "apiVersion: flink.apache.org/v1beta1
kind: FlinkDeployment
metadata:
  name: a
spec:
  flinkVersion: v1_20
  image: flink:1.20
  serviceAccount: flink
  jobManager:
    resource: {memory: 1g}
  taskManager:
    resource: {memory: 1g}
  job:
    jarURI: ./a.jar
    parallelism: 2
    upgradeMode: savepoint
";

    #[test]
    fn a_good_file_has_no_problem() {
        assert_eq!(judged(GOOD), [""; 0]);
    }

    #[test]
    fn every_problem_is_told_with_its_line() {
        let bad = GOOD
            .replace("parallelism: 2", "paralelism: 2")
            .replace("name: a", "name: Not_A_Label")
            .replace("  image: flink:1.20\n", "");
        let found = judged(&bad).join("\n");
        for expected in ["job.yaml:14: spec.job.paralelism: unknown field", "parallelism", "Not_A_Label"] {
            assert!(found.contains(expected), "{expected}: {found}");
        }
        assert!(judged(&bad).len() >= 2, "{found}");
    }

    #[test]
    fn wrong_words_and_types_are_told_with_their_line() {
        for (from, to, place) in [
            ("upgradeMode: savepoint", "upgradeMode: sideways", "job.yaml:16: spec.job.upgradeMode"),
            ("parallelism: 2", "parallelism: two", "job.yaml:15: spec.job.parallelism"),
            ("flinkVersion: v1_20", "flinkVersion: \"1.20\"", "job.yaml:6: spec.flinkVersion"),
            ("kind: FlinkDeployment", "kind: FlinkDeploymnt", "job.yaml:2: kind"),
            ("flink.apache.org/v1beta1", "flink.apache.org/v1", "job.yaml:1: apiVersion"),
        ] {
            let found = judged(&GOOD.replace(from, to)).join("\n");
            assert!(found.contains(place), "{place}: {found}");
        }
    }

    #[test]
    fn what_is_too_large_is_told_with_its_largest_field() {
        let large = GOOD.replace(
            "  job:",
            &format!("  flinkConfiguration:\n    a.b: \"{}\"\n  job:", "x".repeat(1 << 20)),
        );
        let found = judged(&large).join("\n");
        assert!(found.starts_with("job.yaml:14: spec.flinkConfiguration.a.b: the object has 1"), "{found}");
        assert!(found.contains("(move the data into a file"), "{found}");
    }

    #[test]
    fn names_of_every_kind_are_judged() {
        let snapshot = "apiVersion: flink.apache.org/v1beta1\nkind: FlinkStateSnapshot\nmetadata:\n  name: Bad_Snap\n  namespace: a.b\n";
        let found = judged(snapshot).join("\n");
        assert!(found.contains("job.yaml:4: metadata.name: `Bad_Snap`"), "{found}");
        assert!(found.contains("job.yaml:5: metadata.namespace: `a.b`"), "{found}");
        assert_eq!(judged(&GOOD.replace("name: a", "name: a\n  namespace: team-1")), [""; 0]);
    }

    #[test]
    fn types_are_told_in_words_of_yaml_with_the_fix() {
        for (from, to, says) in [
            (
                "parallelism: 2",
                "parallelism: \"2\"",
                "expected a whole number (write it plainly, without quotes)",
            ),
            ("parallelism: 2", "parallelism: [2]", "expected a whole number"),
            (
                "parallelism: 2",
                "args: [5]\n    parallelism: 2",
                "args[0]: invalid type: integer `5`, expected a string (put it",
            ),
            ("parallelism: 2", "args: a\n    parallelism: 2", "expected a list (write a list"),
            (
                "parallelism: 2",
                "state: on\n    parallelism: 2",
                "boolean `true`, expected a word (put it into quotes)",
            ),
            ("  name: a\nspec:", "  name: a\nspec: x\nspek:", "expected a map"),
        ] {
            let found = judged(&GOOD.replace(from, to)).join("\n");
            assert!(found.contains(says), "{says}: {found}");
        }
    }

    #[test]
    fn two_objects_of_one_name_are_told() {
        let found = judged(&format!("{GOOD}---\n{GOOD}")).join("\n");
        assert!(found.contains("job.yaml:21") && found.contains("second time"), "{found}");
    }

    #[test]
    fn a_canary_needs_no_spec() {
        let canary = "apiVersion: flink.apache.org/v1beta1\nkind: FlinkDeployment\nmetadata:\n  name: a\n  labels: \
                      {flink.apache.org/canary: \"true\"}\n";
        assert_eq!(judged(canary), [""; 0]);
        assert_eq!(judged(&canary.replace("true", "false")).len(), 1);
    }
}
