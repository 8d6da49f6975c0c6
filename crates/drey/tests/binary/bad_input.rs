//! What must be met with a clear error and nothing half-applied.

use crate::support::{Place, suspended};

#[test]
fn files_that_cannot_be_meant_are_refused_with_their_line() {
    let place = Place::new();
    for (name, text, code, says) in [
        ("text.yaml", "just text", 5, vec!["text.yaml:1", "apiVersion"]),
        ("broken.yaml", "a: [1\nb: 2", 5, vec!["broken.yaml:", "not valid YAML"]),
        ("twice.yaml", "kind: A\nkind: B\n", 5, vec!["twice.yaml:2", "duplicate"]),
        ("empty.yaml", "# nothing\n", 5, vec!["no object"]),
        (
            "kind.yaml",
            "apiVersion: flink.apache.org/v1beta1\nkind: FlinkJob\nmetadata: {name: a}\n",
            5,
            vec!["kind.yaml:2", "FlinkDeployment"],
        ),
    ] {
        place.write(name, text);
        place.fails(&["validate", "-f", name], code, &says);
        place.fails(&["up", name], code, &says);
        assert!(!place.work().join(".drey").exists(), "`drey up {name}` has left something");
    }
    place.fails(&["up", "absent.yaml"], 3, &["absent.yaml", "no such file"]);
}

#[test]
fn a_jar_that_is_not_there_is_named_before_anything_starts() {
    let place = Place::new();
    let text = suspended(&place, "a").replace("./job.jar", "./absent.jar");
    place.write("job.yaml", &text);
    place.fails(&["up", "job.yaml"], 3, &["job.yaml:14", "absent.jar", "spec.job.jarURI"]);
}

#[test]
fn a_second_drey_in_one_directory_names_the_first() {
    let mut place = Place::new();
    place.write("job.yaml", &suspended(&place, "a"));
    place.up(&[]);
    place.fails(&["up", "job.yaml"], 5, &["pid", "drey apply"]);
    place.fails(&["up", "--detach"], 5, &["process", "drey apply"]);
}

#[test]
fn a_directory_of_a_newer_drey_is_refused() {
    let mut place = Place::new();
    place.up(&[]);
    assert_eq!(place.terminate(), 0);
    place.write(".drey/version", "99\n");
    place.fails(&["up"], 5, &["99", "newer"]);
    place.fails(&["up", "--detach"], 5, &["99", "newer"]);
    place.fails(&["down", "--purge"], 5, &["99", "newer"]);
    assert!(place.work().join(".drey/store.sqlite").exists(), "what is not understood was removed");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let place = Place::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = listener.local_addr().expect("an address").port().to_string();
    place.fails(&["up", "--port", &port], 5, &[&port, "--port"]);
    place.fails(&["up", "--detach", "--port", &port], 5, &[&port, "--port"]);
}

#[test]
fn a_directory_that_is_not_running_does_not_lead_to_another_cluster() {
    let mut place = Place::new();
    place.up(&[]);
    assert_eq!(place.terminate(), 0);
    place.fails(&["delete", "a"], 6, &["drey is not running in this directory", "drey up"]);
    place.fails(&["down", "--dir", "elsewhere"], 3, &["there is no `.drey` here"]);
}

#[test]
fn of_several_objects_none_is_applied_when_the_server_refuses_one() {
    let mut place = Place::new();
    place.up(&[]);
    let refused = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Not_A_Name}\n";
    let in_new_namespace = suspended(&place, "a").replace("  name: a\n", "  name: a\n  namespace: fresh\n");
    for other in [refused, "apiVersion: v1\nkind: ConfigMapp\nmetadata: {name: b}\n"] {
        place.write("both.yaml", &format!("{in_new_namespace}---\n{other}"));
        place.fails(&["apply", "-f", "both.yaml"], 5, &["nothing was applied"]);
        assert_eq!(place.ok(&["get", "-A", "-o", "name"]).trim(), "");
        place.fails(&["get", "a", "-n", "fresh"], 3, &["not found"]);
    }
    place.write("both.yaml", &format!("{in_new_namespace}---\n{}", suspended(&place, "b")));
    assert!(!place.ok(&["apply", "-f", "both.yaml", "--dry-run"]).is_empty());
    assert_eq!(place.ok(&["get", "-A", "-o", "name"]).trim(), "");
    let told = place.ok(&["apply", "-f", "both.yaml"]);
    assert_eq!(told, "flinkdeployment/a created\nflinkdeployment/b created\n");
}

#[test]
fn a_first_start_from_a_savepoint_that_is_not_there_is_refused() {
    let mut place = Place::new();
    place.up(&[]);
    let text = format!("{}    initialSavepointPath: ./savepoint-1\n", suspended(&place, "a"));
    place.write("job.yaml", &text);
    let says =
        ["job.yaml:19: spec.job.initialSavepointPath: there is no savepoint /", "hint: correct the path"];
    place.fails(&["apply", "-f", "job.yaml"], 3, &says);
    place.fails(&["get", "a"], 3, &["not found"]);
    std::fs::create_dir(place.work().join("savepoint-1")).expect("created");
    place.ok(&["apply", "-f", "job.yaml"]);
    std::fs::remove_dir(place.work().join("savepoint-1")).expect("removed");
    place.write("job.yaml", &text.replace("parallelism: 1", "parallelism: 2"));
    place.ok(&["apply", "-f", "job.yaml"]);
}

#[test]
fn names_and_sizes_beyond_the_bounds_are_refused_and_the_others_untouched() {
    let mut place = Place::new();
    place.up(&[]);
    place.write("good.yaml", &suspended(&place, "good"));
    place.ok(&["apply", "-f", "good.yaml"]);
    place.write("name.yaml", &suspended(&place, "Not_A_Label"));
    place.fails(&["apply", "-f", "name.yaml", "good.yaml"], 5, &["name.yaml", "Not_A_Label"]);
    let keys: String = (0..10_000).map(|key| format!("    key-{key}: \"{key}\"\n")).collect();
    let many = suspended(&place, "many")
        .replace("  jobManager:", &format!("  flinkConfiguration:\n{keys}  jobManager:"));
    place.write("many.yaml", &many);
    place.ok(&["apply", "-f", "many.yaml"]);
    let value = "x".repeat(1024 * 1024);
    let large = suspended(&place, "large")
        .replace("  jobManager:", &format!("  flinkConfiguration:\n    key: \"{value}\"\n  jobManager:"));
    place.write("large.yaml", &large);
    let says = ["large.yaml:10: spec.flinkConfiguration.key: the object has", "a file or a ConfigMap"];
    place.fails(&["apply", "-f", "large.yaml", "good.yaml"], 5, &says);
    let names = place.ok(&["get", "-o", "name"]);
    assert!(names.contains("/good") && names.contains("/many"), "{names}");
    place.ok(&["wait", "good", "--for", "suspended", "--timeout", "30s"]);
}
