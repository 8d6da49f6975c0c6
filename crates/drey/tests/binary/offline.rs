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
fn every_shell_has_a_script_that_asks_drey() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(Place::new().ok(&["completion", shell]).contains("DREY_COMPLETE"), "{shell}");
    }
}

/// What bash offers after these words.
fn offered(place: &Place, words: &[&str]) -> Vec<String> {
    let index = (words.len() - 1).to_string();
    let mut shell = place.command(&["--"]);
    shell.args(words).env("DREY_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", index);
    shell.env("_CLAP_COMPLETE_COMP_TYPE", "9").env("_CLAP_COMPLETE_SPACE", "true").env("_CLAP_IFS", "\n");
    let output = shell.output().expect("drey starts");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn tab_offers_commands_flags_and_nothing_where_nothing_is_known() {
    let place = Place::new();
    let commands = offered(&place, &["drey", ""]);
    for command in ["up", "down", "savepoint", "describe", "tree"] {
        assert!(commands.iter().any(|offered| offered == command), "{command}: {commands:?}");
    }
    assert!(offered(&place, &["drey", "get", "--out"]).contains(&"--output".to_owned()));
    assert_eq!(
        offered(&place, &["drey", "describe", ""]).iter().filter(|word| !word.starts_with('-')).count(),
        0
    );
}

#[test]
fn as_a_plug_in_of_kubectl_it_says_so_and_completes() {
    use std::os::unix::fs::symlink;
    let place = Place::new();
    for name in ["kubectl-drey", "kubectl_complete-drey"] {
        symlink(env!("CARGO_BIN_EXE_drey"), place.work().join(name)).expect("linked");
    }
    let run = |name: &str, arguments: &[&str]| {
        let mut command = std::process::Command::new(place.work().join(name));
        let output = command.args(arguments).env("HOME", place.work()).output().expect("drey starts");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let help = run("kubectl-drey", &["describe", "--help"]);
    assert!(help.contains("Usage: kubectl drey describe"), "{help}");
    let offered = run("kubectl_complete-drey", &["resc"]);
    assert!(offered.starts_with("rescale\t") && offered.ends_with(":4\n"), "{offered}");
}

#[test]
fn settings_come_from_flags_variables_and_files_in_this_order() {
    let place = Place::new();
    place.write("drey.toml", "namespace = \"of-file\"\nread-only = true\n");
    let view = |arguments: &[&str], variable: Option<&str>| -> serde_json::Value {
        let mut command = place.command(&["config", "view", "-o", "json"]);
        command.args(arguments);
        if let Some(value) = variable {
            command.env("DREY_NAMESPACE", value);
        }
        let output = command.output().expect("drey starts");
        serde_json::from_slice(&output.stdout).expect("JSON")
    };
    let value = |view: &serde_json::Value| view["settings"]["namespace"]["value"].clone();
    assert_eq!(value(&view(&[], None)), "of-file");
    assert_eq!(value(&view(&[], Some("of-variable"))), "of-variable");
    assert_eq!(value(&view(&["-n", "of-flag"], Some("of-variable"))), "of-flag");
    assert_eq!(value(&view(&["--no-config"], None)), serde_json::Value::Null);
    place.fails(&["up"], 4, &["nothing is changed", "drey config view --show-origin"]);
    place.write("drey.toml", "namespace = 7\n");
    place.fails(&["get"], 5, &["drey.toml", "line 1", "string"]);
}

#[test]
fn fields_and_keys_are_explained_without_any_cluster() {
    let place = Place::new();
    assert!(place.ok(&["explain", "spec.job.upgradeMode"]).contains("last-state"));
    assert!(place.ok(&["explain", "snapshot"]).contains("KIND:     FlinkStateSnapshot"));
    place.fails(&["explain", "spec.jbo"], 3, &["did you mean `job`?"]);
}

#[test]
fn a_pipeline_of_flink_deployer_is_translated() {
    let place = Place::new();
    place.write(".gitlab-ci.yml", "deploy:\n  script:\n    - flink-deployer deploy -fn job.jar -p 2\n");
    let stdout = place.ok(&["migrate", "deployer", ".gitlab-ci.yml"]);
    assert!(
        stdout.contains(".gitlab-ci.yml:3") && stdout.contains("+ drey job deploy --file-name=job.jar"),
        "{stdout}"
    );
    place.fails(&["migrate", "deployer", "absent.yml"], 3, &["absent.yml"]);
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
