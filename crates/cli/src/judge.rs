//! Every rule for a file that can be checked without a cluster, with the line of each broken one.
//! Refuses to stop at the first.

use std::collections::BTreeSet;

use drey_api::defaults::Defaults;
use drey_api::desired::{self, Context};
use drey_api::kinds::{
    self, API_VERSION, FlinkBlueGreenDeployment, FlinkDeployment, FlinkSessionJob, FlinkStateSnapshot,
};
use drey_api::unknown_fields;
use serde_json::Value;

use crate::failure::{Failure, Kind};
use crate::kinds::FlinkKind;
use crate::manifest::Document;

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
    let mut found: Vec<Problem> = unknown.iter().map(|unknown| of_unknown_field(document, unknown)).collect();
    let read = match kind {
        FlinkKind::Deployment => kinds::read::<FlinkDeployment>(&document.value)
            .map(|deployment| found.extend(of_deployment(document, &deployment, namespace, defaults))),
        FlinkKind::SessionJob => kinds::read::<FlinkSessionJob>(&document.value).map(drop),
        FlinkKind::Snapshot => kinds::read::<FlinkStateSnapshot>(&document.value).map(drop),
        FlinkKind::BlueGreen => kinds::read::<FlinkBlueGreenDeployment>(&document.value).map(drop),
    };
    if let Err(error) = read {
        found.push(problem(document, &error.path, error.message, None));
    }
    found
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
    fn two_objects_of_one_name_are_told() {
        let found = judged(&format!("{GOOD}---\n{GOOD}")).join("\n");
        assert!(found.contains("job.yaml:21") && found.contains("second time"), "{found}");
    }
}
