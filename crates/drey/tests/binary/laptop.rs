//! Laptop mode and the commands that talk to it.

use serde_json::Value;

use crate::support::{Place, is_private, suspended, until};

fn resource(place: &Place, name: &str) -> Value {
    serde_json::from_str(&place.ok(&["get", name, "-o", "json"])).expect("JSON")
}

#[test]
fn a_deployment_is_applied_looked_at_changed_and_deleted() {
    let mut place = Place::new();
    place.up(&[]);
    place.write("job.yaml", &suspended(&place, "a"));
    assert_eq!(place.ok(&["apply", "-f", "job.yaml"]).trim(), "flinkdeployment/a created");
    assert_eq!(place.ok(&["apply", "-f", "job.yaml"]).trim(), "flinkdeployment/a unchanged");
    assert_eq!(place.ok(&["wait", "a", "--for", "suspended"]).trim(), "flinkdeployment/a suspended");
    let jar = resource(&place, "a")["spec"]["job"]["jarURI"].clone();
    assert!(
        jar.as_str().is_some_and(|jar| jar.starts_with("file:///") && jar.ends_with("/job.jar")),
        "{jar}"
    );
    let table = place.ok(&["get"]);
    assert!(table.starts_with("NAME") && table.contains("CREATED"), "{table}");
    assert_eq!(place.ok(&["get", "a", "-o", "jsonpath={.spec.job.parallelism}"]).trim(), "1");
    let described = place.ok(&["describe", "flinkdeployment/a"]);
    assert!(described.contains("`drey resume a` runs it again"), "{described}");
    place.write("job.yaml", &suspended(&place, "a").replace("parallelism: 1", "parallelism: 2"));
    assert_eq!(place.ok(&["apply", "-f", "job.yaml"]).trim(), "flinkdeployment/a configured");
    assert_eq!(resource(&place, "a")["spec"]["job"]["parallelism"], 2);
    assert!(place.ok(&["status", "a"]).starts_with("flinkdeployment/a "));
    assert!(place.ok(&["tree", "a"]).contains("flinkdeployment/a"));
    assert!(place.ok(&["top"]).contains('a'));
    assert!(place.ok(&["ui"]).starts_with("http://127.0.0.1:"));
    place.fails(&["proxy", "a"], 3, &["no cluster of it runs here"]);
    place.fails(&["logs", "a"], 3, &["no process of it has run here"]);
    place.fails(&["--read-only", "proxy", "a", "--allow-writes"], 4, &["nothing is changed"]);
    let stderr = place.fails(&["--read-only", "restart", "a"], 4, &["nothing is changed"]);
    assert!(stderr.contains("drey config view"), "{stderr}");
    place.ok(&["--read-only", "apply", "-f", "job.yaml", "--dry-run"]);
    assert_eq!(place.ok(&["delete", "a"]).trim(), "flinkdeployment/a deleted");
    place.fails(&["describe", "a"], 3, &["flinkdeployment/a", "drey get -A"]);
    place.fails(&["wait", "a", "--for", "stable"], 3, &["flinkdeployment/a: it does not exist"]);
    place.ok(&["delete", "a", "--ignore-not-found"]);
}

#[test]
fn definitions_that_would_lose_fields_are_kept_and_others_are_replaced() {
    let mut place = Place::new();
    place.up(&[]);
    let name = "customresourcedefinition/flinkdeployments.flink.apache.org";
    assert!(place.ok(&["crds", "diff"]).contains(&format!("{name} unchanged")));
    assert!(place.ok(&["crds", "apply"]).contains(&format!("{name} unchanged")));
    let printed = place.ok(&["crds", "print"]);
    assert_eq!(printed.matches("kind: CustomResourceDefinition").count(), 4);
    let newer = printed.replacen("          savepointRedeployNonce", "          savepointFutureNonce", 1);
    assert_ne!(newer, printed, "the field stands there");
    let first = newer.split("\n---\n").next().unwrap_or_default().to_owned();
    place.write("newer.yaml", &first);
    place.ok(&["apply", "-f", "newer.yaml"]);
    let stderr = place.fails(&["crds", "apply"], 5, &[name, "--force"]);
    assert!(stderr.contains("savepointFutureNonce"), "{stderr}");
    place.fails(&["crds", "diff"], 1, &[&format!("{name} would be replaced"), "- v1beta1"]);
    assert!(place.ok(&["crds", "apply", "--force"]).contains(&format!("{name} replaced")));
    assert!(place.ok(&["crds", "diff"]).contains(&format!("{name} unchanged")));
}

#[test]
fn what_cannot_be_reached_in_time_ends_with_124() {
    let mut place = Place::new();
    place.up(&[]);
    place.write("job.yaml", &suspended(&place, "a"));
    place.ok(&["apply", "-f", "job.yaml"]);
    place.fails(
        &["wait", "a", "--for", "running", "--timeout", "1s"],
        124,
        &["`running`", "drey describe a"],
    );
    place.fails(&["savepoint", "a"], 5, &["only a RUNNING job"]);
}

#[test]
fn files_of_the_state_directory_are_private() {
    let mut place = Place::new();
    place.up(&[]);
    let state_directory = place.work().join(".drey");
    for name in ["", "kubeconfig", "token", "drey.log"] {
        assert!(is_private(&state_directory.join(name)), "{name}");
    }
    until("the kubeconfig to be named", || place.output().contains("/.drey/kubeconfig"));
}

#[test]
fn nothing_that_was_acknowledged_is_lost_by_a_kill() {
    let mut place = Place::new();
    place.up(&[]);
    place.write("job.yaml", &suspended(&place, "a"));
    place.ok(&["apply", "-f", "job.yaml"]);
    let before = resource(&place, "a")["metadata"]["uid"].clone();
    place.kill();
    place.up(&[]);
    assert_eq!(resource(&place, "a")["metadata"]["uid"], before);
}

#[test]
fn the_address_and_the_token_stay_over_a_restart() {
    let mut place = Place::new();
    place.up(&[]);
    let before = std::fs::read_to_string(place.work().join(".drey/kubeconfig")).expect("read");
    assert_eq!(place.terminate(), 0);
    place.up(&[]);
    let after = std::fs::read_to_string(place.work().join(".drey/kubeconfig")).expect("read");
    assert_eq!(before, after);
}

#[test]
fn files_of_up_are_applied_and_new_namespaces_made() {
    let mut place = Place::new();
    let text = suspended(&place, "a").replace("  name: a\n", "  name: a\n  namespace: team\n");
    place.write("job.yaml", &text);
    place.up(&["job.yaml"]);
    until("the deployment to be there", || place.ok(&["get", "-A", "-o", "name"]).contains("/a"));
    place.ok(&["wait", "a", "-n", "team", "--for", "suspended"]);
    place.fails(&["apply", "-f", "job.yaml", "-n", "other"], 2, &["namespace `team`"]);
}

#[test]
fn a_token_is_needed() {
    let mut place = Place::new();
    place.up(&[]);
    let path = place.work().join(".drey/kubeconfig");
    let text = std::fs::read_to_string(&path).expect("read");
    let token = std::fs::read_to_string(place.work().join(".drey/token")).expect("read");
    place.write("without-token", &text.replace(token.trim(), "0000"));
    place.fails(&["get", "--kubeconfig", "without-token"], 4, &["Unauthorized"]);
}

#[test]
fn in_the_background_it_runs_until_down_and_purge_leaves_nothing() {
    let place = Place::new();
    place.write("job.yaml", &suspended(&place, "a"));
    let said = place.ok(&["up", "--detach", "job.yaml"]);
    assert!(said.contains("in the background") && said.contains("flinkdeployment/a created"), "{said}");
    place.ok(&["wait", "a", "--for", "suspended"]);
    place.ok(&["down"]);
    place.fails(&["get"], 6, &["not running"]);
    place.ok(&["up", "--detach"]);
    assert_eq!(resource(&place, "a")["spec"]["job"]["state"], "suspended", "its user had suspended it");
    place.ok(&["down", "--purge"]);
    assert!(!place.work().join(".drey").exists());
    place.fails(&["down"], 3, &["nothing runs"]);
}

#[test]
fn down_ends_a_drey_in_the_foreground() {
    let mut place = Place::new();
    place.up(&[]);
    place.ok(&["down", "--now"]);
    place.must_have_ended();
}
