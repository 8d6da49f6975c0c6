//! kubectl itself against the server: what people type.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use drey_apiserver::{ApiServer, Auth};
use serde_json::Value;

use crate::support::{Listening, widget, widget_crd};

/// kubectl with its own home and kubeconfig.
struct Kubectl<'a> {
    home: &'a Path,
}

impl Kubectl<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command.args(arguments).env("KUBECONFIG", self.home.join("config")).env("HOME", self.home);
        command
    }

    fn output(&self, arguments: &[&str], input: Option<&Value>) -> Output {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kubectl is on the PATH");
        if let Some(input) = input {
            child.stdin.as_mut().unwrap().write_all(input.to_string().as_bytes()).unwrap();
        }
        child.wait_with_output().unwrap()
    }

    #[track_caller]
    fn run(&self, arguments: &[&str], input: Option<&Value>) -> String {
        let output = self.output(arguments, input);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "kubectl {arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn fails(&self, arguments: &[&str], input: Option<&Value>) -> String {
        let output = self.output(arguments, input);
        assert!(!output.status.success(), "kubectl {arguments:?} should have failed");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Runs and compares the words of the output.
    #[track_caller]
    fn says(&self, arguments: &[&str], expect: &str) {
        let said = self.run(arguments, None);
        let words: Vec<&str> = said.split_whitespace().collect();
        assert_eq!(words.join(" "), expect, "kubectl {arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_verbs_of_every_day() {
    let server = ApiServer::in_memory().unwrap();
    let listening = Listening::start(&server, Auth::Token("t0ken".to_owned())).await;
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("config"), ApiServer::kubeconfig(&listening.url(), "t0ken", "default"))
        .unwrap();
    let path = home.path().to_owned();
    tokio::task::spawn_blocking(move || {
        let kubectl = Kubectl { home: &path };
        apply_and_edit(&kubectl);
        read(&kubectl);
        core_kinds(&kubectl);
        deletion(&kubectl);
    })
    .await
    .unwrap();
}

fn apply_and_edit(kubectl: &Kubectl<'_>) {
    kubectl.run(&["create", "-f", "-"], Some(&widget_crd()));
    kubectl.says(
        &["wait", "--for=condition=Established", "crd/widgets.example.com"],
        "customresourcedefinition.apiextensions.k8s.io/widgets.example.com condition met",
    );
    let said = kubectl.run(&["apply", "-f", "-"], Some(&widget("a", 1)));
    assert_eq!(said, "widget.example.com/a created\n");
    assert_eq!(kubectl.run(&["apply", "-f", "-"], Some(&widget("a", 1))), "widget.example.com/a unchanged\n");
    assert_eq!(
        kubectl.run(&["apply", "-f", "-"], Some(&widget("a", 2))),
        "widget.example.com/a configured\n"
    );
    let mut typo = widget("a", 2);
    typo["spec"]["sizze"] = Value::from(3);
    let error = kubectl.fails(&["apply", "-f", "-"], Some(&typo));
    assert!(error.contains("unknown field \"spec.sizze\""), "{error}");
    let mut wrong = widget("b", 2);
    wrong["spec"]["size"] = Value::from("big");
    let error = kubectl.fails(&["create", "-f", "-"], Some(&wrong));
    assert!(error.contains("spec.size in body must be of type integer: \"string\""), "{error}");
    let edited = kubectl
        .command(&["edit", "wd", "a"])
        .env("KUBE_EDITOR", "sed -i 's/size: 2/size: 3/'")
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&edited.stdout), "widget.example.com/a edited\n");
    kubectl.run(&["patch", "wd", "a", "--type=merge", "-p", r#"{"spec":{"size":4}}"#], None);
    let json =
        r#"[{"op":"test","path":"/spec/size","value":4},{"op":"replace","path":"/spec/size","value":5}]"#;
    kubectl.run(&["patch", "wd", "a", "--type=json", "-p", json], None);
    let status = r#"{"status":{"size":5,"conditions":[{"type":"Ready","status":"True"}]}}"#;
    kubectl.run(&["patch", "wd", "a", "--type=merge", "--subresource=status", "-p", status], None);
    kubectl.says(&["wait", "--for=condition=Ready", "wd/a"], "widget.example.com/a condition met");
    kubectl.run(&["scale", "wd", "a", "--replicas=6", "--current-replicas=5"], None);
    kubectl.says(&["get", "wd", "a", "-o", "jsonpath={.spec.size} {.metadata.generation}"], "6 6");
    let error = kubectl.fails(&["apply", "--server-side", "-f", "-"], Some(&widget("a", 1)));
    assert!(error.contains("server-side apply"), "{error}");
}

fn read(kubectl: &Kubectl<'_>) {
    let table = kubectl.run(&["get", "widgets"], None);
    assert_eq!(table.lines().next().unwrap().split_whitespace().collect::<Vec<_>>(), ["NAME", "SIZE", "AGE"]);
    let yaml = kubectl.run(&["get", "wd", "a", "-o", "yaml"], None);
    assert!(yaml.contains("color: red"), "{yaml}");
    let described = kubectl.run(&["describe", "wd", "a"], None);
    assert!(described.contains("Generation:          6"), "{described}");
    let explained = kubectl.run(&["explain", "wd.spec"], None);
    assert!(explained.contains("What the widget should be.") && explained.contains("size"), "{explained}");
    let resources = kubectl.run(&["api-resources", "--api-group=example.com"], None);
    assert!(resources.contains("widgets") && resources.contains("wd"), "{resources}");
    let mut watching =
        kubectl.command(&["get", "wd", "-w", "-o", "name"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "widget.example.com/a");
    kubectl.run(&["annotate", "wd", "a", "touched=yes"], None);
    assert_eq!(lines.next().unwrap().unwrap(), "widget.example.com/a");
    watching.kill().unwrap();
    watching.wait().unwrap();
    let uid = kubectl.run(&["get", "wd", "a", "-o", "jsonpath={.metadata.uid}"], None);
    let event = serde_json::json!({"apiVersion": "v1", "kind": "Event", "type": "Normal", "reason": "Made",
        "metadata": {"name": "a.1", "namespace": "default"}, "message": "it was made", "count": 1,
        "involvedObject": {"apiVersion": "example.com/v1", "kind": "Widget", "name": "a", "namespace": "default",
            "uid": uid},
        "source": {"component": "test"}, "lastTimestamp": "2026-11-21T10:00:00Z", "firstTimestamp": "2026-11-21T10:00:00Z"});
    kubectl.run(&["create", "-f", "-"], Some(&event));
    let events = kubectl.run(&["events", "--for", "widget/a"], None);
    assert!(events.contains("Made") && events.contains("it was made"), "{events}");
    assert!(kubectl.run(&["get", "events"], None).contains("widget/a"));
    assert!(kubectl.run(&["describe", "wd", "a"], None).contains("it was made"));
}

fn core_kinds(kubectl: &Kubectl<'_>) {
    kubectl.says(&["create", "namespace", "team"], "namespace/team created");
    kubectl.says(&["create", "configmap", "c", "--from-literal=k=v"], "configmap/c created");
    kubectl.says(&["get", "configmap", "c", "-o", "jsonpath={.data.k}"], "v");
    kubectl.says(&["create", "secret", "generic", "s", "--from-literal=k=v"], "secret/s created");
    kubectl.says(&["get", "secret", "s", "-o", "jsonpath={.data.k} {.type}"], "dg== Opaque");
    kubectl.says(&["create", "serviceaccount", "flink"], "serviceaccount/flink created");
    kubectl.says(&["label", "configmap", "c", "x=y"], "configmap/c labeled");
    kubectl.says(&["get", "configmap", "-l", "x=y", "-o", "name"], "configmap/c");
    kubectl.says(&["auth", "can-i", "create", "pods"], "yes");
    let version = kubectl.run(&["version", "-o", "json"], None);
    assert!(version.contains("v1.35"), "{version}");
}

fn deletion(kubectl: &Kubectl<'_>) {
    kubectl.says(&["delete", "wd", "a", "--wait"], "widget.example.com \"a\" deleted");
    kubectl.says(&["delete", "configmap", "--all"], "configmap \"c\" deleted");
    kubectl.says(&["delete", "namespace", "team"], "namespace \"team\" deleted");
    let error = kubectl.fails(&["get", "wd", "a"], None);
    assert!(error.contains("(NotFound): widgets.example.com \"a\" not found"), "{error}");
}
