//! Commands that need no API.

use crate::support::{Place, suspended};

#[test]
fn without_arguments_it_names_the_next_command() {
    let place = Place::new();
    let stdout = place.ok(&[]);
    assert!(stdout.contains("drey up job.yaml"), "{stdout}");
}

#[test]
fn without_an_api_it_says_how_to_get_one() {
    let place = Place::new();
    place.fails(&["get"], 6, &["no Kubernetes API is known here", "hint: start a local one with `drey up"]);
}

#[test]
fn a_failure_can_be_json() {
    let place = Place::new();
    let ended = place.run(&["get", "-o", "json"]);
    let failure: serde_json::Value = serde_json::from_str(&ended.stderr).expect("JSON");
    assert_eq!(failure["code"], "unreachable");
    assert_eq!(failure["exitCode"], 6);
    assert!(failure["hint"].as_str().is_some_and(|hint| !hint.is_empty()));
}

#[test]
fn a_mistyped_flag_is_corrected() {
    Place::new().fails(&["get", "--outptu", "json"], 2, &["--output"]);
    Place::new().fails(&["descirbe"], 2, &["describe"]);
}

#[test]
fn help_ends_with_the_exit_codes() {
    let stdout = Place::new().ok(&["--help"]);
    assert!(stdout.contains("124  The time given by `--timeout` is over."), "{stdout}");
}

#[test]
fn version_names_the_flink_versions() {
    let version: serde_json::Value =
        serde_json::from_str(&Place::new().ok(&["version", "-o", "json"])).expect("JSON");
    assert_eq!(version["flinkApiVersion"], "flink.apache.org/v1beta1");
    assert!(version["flinkVersions"].as_array().is_some_and(|versions| versions.contains(&"v1_20".into())));
}

#[test]
fn completion_knows_every_command() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = Place::new().ok(&["completion", shell]);
        for command in ["up", "down", "savepoint", "describe"] {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
}

#[test]
fn a_reader_that_goes_away_has_read_enough() {
    let place = Place::new();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let status = place.command(&["completion", "bash"]).stdout(writer).status().expect("drey starts");
    assert_eq!(status.code(), Some(0));
}

#[test]
fn validate_tells_every_problem_and_ends_with_5() {
    let place = Place::new();
    place.write("good.yaml", &suspended(&place, "a"));
    assert_eq!(place.ok(&["validate", "-f", "good.yaml"]).trim(), "1 object valid");
    let bad = suspended(&place, "a")
        .replace("upgradeMode: savepoint", "upgradeMode: sideways")
        .replace("image:", "imagee:");
    place.write("bad.yaml", &bad);
    place.fails(
        &["validate", "-f", "good.yaml", "bad.yaml"],
        5,
        &["bad.yaml:7: spec.imagee: unknown field", "`image`", "bad.yaml:17: spec.job.upgradeMode"],
    );
    let ended = place.run(&["validate", "-f", "bad.yaml", "-o", "json"]);
    let validation: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(validation["valid"], false);
    assert_eq!(validation["problems"][0]["place"], "bad.yaml:7");
}
