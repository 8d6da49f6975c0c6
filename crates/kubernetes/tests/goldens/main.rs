//! Holds the objects of native clusters to those that Flink's own client makes, field by field. `differences.yaml`
//! lists what is meant to differ, with its reason; nothing else may, and nothing in it may be idle.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod case;
mod comparison;

use std::collections::BTreeMap;

use case::{Case, cases, directory, logging, recorded};
use comparison::{Difference, differences};
use drey_api::kinds::FlinkVersion;
use drey_kubernetes::{cluster, native};
use serde_json::Value;

/// The versions of Flink whose clients are recorded.
const VERSIONS: [FlinkVersion; 3] = [FlinkVersion::V1_18, FlinkVersion::V1_20, FlinkVersion::V2_1];

/// The least number of cases.
const CASES_MIN: usize = 15;

/// A difference that is meant: an entry of `differences.yaml`.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Meant {
    /// Path; `*` stands for one part of it.
    path: String,
    /// Versions in which it shows; every one if absent.
    versions: Option<Vec<FlinkVersion>>,
    /// What it is and why.
    reason: String,
}

fn meant() -> Vec<Meant> {
    let text = std::fs::read_to_string(directory().join("differences.yaml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

impl Meant {
    fn covers(&self, version: FlinkVersion, difference: &Difference) -> bool {
        self.versions.as_ref().is_none_or(|versions| versions.contains(&version))
            && comparison::matches(&self.path, &difference.path)
    }
}

/// What the builder makes, as the recording has it: by kind and name.
fn built(case: &Case, version: FlinkVersion) -> BTreeMap<String, Value> {
    let objects = native::objects(&case.cluster(), &case.deployment(version), &logging()).unwrap();
    let mut owned = objects.owned;
    for object in &mut owned {
        cluster::own(object, &case.name, "<uid of the Deployment>");
    }
    owned.push(objects.deployment);
    let key = |object: &Value| {
        format!("{}/{}", object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap())
    };
    owned.into_iter().map(|object| (key(&object), object)).collect()
}

fn recording(case: &Case, version: FlinkVersion) -> BTreeMap<String, Value> {
    let file = recorded(version, &case.name);
    let text = std::fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{}: {error}: run `cargo xtask goldens`", file.display()));
    serde_json::from_str(&text).unwrap()
}

#[test]
fn native_objects_are_those_of_flinks_own_client() {
    let meant = meant();
    let mut idle = vec![true; meant.len()];
    let mut unexpected = Vec::new();
    for version in VERSIONS {
        for case in cases() {
            for difference in differences(&recording(&case, version), &built(&case, version)) {
                let covering = meant.iter().position(|meant| meant.covers(version, &difference));
                match covering {
                    Some(covering) => idle[covering] = false,
                    None => unexpected.push(format!("{} {}: {difference}", version.as_str(), case.name)),
                }
            }
        }
    }
    assert!(unexpected.is_empty(), "{} differences:\n{}", unexpected.len(), unexpected.join("\n"));
    let idle: Vec<&str> =
        meant.iter().zip(idle).filter(|(_, idle)| *idle).map(|(meant, _)| meant.path.as_str()).collect();
    assert!(idle.is_empty(), "these meant differences are not there (any more): {idle:?}");
}

#[test]
fn there_are_cases_enough_and_reasons_for_differences() {
    let cases = cases();
    assert!(cases.len() >= CASES_MIN, "only {} cases", cases.len());
    for case in &cases {
        assert!(!case.about.is_empty(), "{} says what it shows", case.name);
    }
    for meant in meant() {
        assert!(meant.reason.len() > 20, "{}: a reason is a sentence", meant.path);
    }
}
