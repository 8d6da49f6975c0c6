//! Holds this server to the answers of the real kube-apiserver, which are recorded beside the requests.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod runner;

use std::path::{Path, PathBuf};

use drey_apiserver::ApiServer;
use serde_json::Value;

use runner::{Probe, Runner, parse};

/// The least number of probes that the suite has.
const PROBES_MIN: usize = 150;

fn files() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/probes");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn probes(file: &Path) -> Vec<Probe> {
    parse(&std::fs::read_to_string(file).unwrap())
}

/// Runs one file and tells what differs from what is expected.
async fn differences(file: &Path, client: kube::Client) -> Vec<String> {
    let stem = file.file_stem().unwrap().to_str().unwrap();
    let mut runner = Runner::new(client, &format!("probe-{stem}")).await;
    let mut found = Vec::new();
    for probe in probes(file) {
        let observed = runner.run(&probe).await;
        let expected = probe.members.get("ours").or(probe.members.get("expect")).unwrap_or(&Value::Null);
        if observed != *expected {
            let name = probe.name();
            found.push(format!("{stem}:{} {name}\n  expected {expected}\n  observed {observed}", probe.line));
        }
    }
    found
}

#[tokio::test(start_paused = true)]
async fn answers_are_those_of_the_real_server() {
    let mut found = Vec::new();
    for file in files() {
        let server = ApiServer::in_memory().unwrap();
        found.extend(differences(&file, server.client("default")).await);
    }
    assert!(found.is_empty(), "{} probes differ:\n{}", found.len(), found.join("\n"));
}

#[test]
fn every_difference_has_a_reason_and_every_probe_a_record() {
    let all: Vec<Probe> = files().iter().flat_map(|file| probes(file)).collect();
    assert!(all.len() >= PROBES_MIN, "only {} probes", all.len());
    for probe in &all {
        let name = probe.name();
        assert!(probe.members.contains_key("expect"), "{name}: run `cargo xtask kube record`");
        let (ours, reason) =
            (probe.members.get("ours"), probe.members.get("differs").and_then(Value::as_str));
        assert_eq!(
            ours.is_some(),
            reason.is_some_and(|reason| !reason.is_empty()),
            "{name}: `ours` needs `differs`"
        );
        assert_ne!(ours, probe.members.get("expect"), "{name}: `ours` is what is expected anyway");
    }
}
