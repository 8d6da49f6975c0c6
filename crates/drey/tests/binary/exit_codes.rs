//! Every exit code that is documented, as the shell sees it.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;

use drey_cli::exit::Exit;
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Place, suspended, until};

/// What is asked, how it ends, and what is said then.
const COMMANDS: &[(&[&str], Exit, &str)] = &[
    (&["get", "a"], Exit::Success, "NAME"),
    (&["diff", "-f", "same.yaml"], Exit::Success, ""),
    (&["diff", "-f", "other.yaml"], Exit::Failed, "one object differs"),
    (&["diff", "-f", "absent.yaml"], Exit::NotFound, "no such file"),
    (&["diff", "--nonsense"], Exit::Usage, "--nonsense"),
    (&["diff", "-f", "broken.yaml"], Exit::Refused, "broken.yaml:"),
    (&["get", "--nonsense"], Exit::Usage, "--nonsense"),
    (&["describe", "absent"], Exit::NotFound, "flinkdeployment/absent"),
    (&["get", "--kubeconfig", "stranger"], Exit::Forbidden, "Unauthorized"),
    (&["validate", "-f", "broken.yaml"], Exit::Refused, "broken.yaml:"),
    (&["job", "list", "--flink-url", "http://127.0.0.1:1"], Exit::Unreachable, "Flink cannot be reached"),
    (&["get", "--kubeconfig", "nowhere"], Exit::Unreachable, "the Kubernetes API cannot be reached"),
    (&["wait", "a", "--for", "running", "--timeout", "1s"], Exit::Timeout, "waited 1 s"),
];

#[test]
fn each_is_how_some_command_ends() {
    let mut place = Place::new();
    place.up(&[]);
    let text = suspended(&place, "a");
    place.write("same.yaml", &text);
    place.write("other.yaml", &text.replace("parallelism: 1", "parallelism: 2"));
    place.write("broken.yaml", "kind: A\nkind: B\n");
    let kubeconfig = std::fs::read_to_string(place.work().join(".drey/kubeconfig")).expect("read");
    let token = std::fs::read_to_string(place.work().join(".drey/token")).expect("read");
    place.write("stranger", &kubeconfig.replace(token.trim(), "0000"));
    place.write("nowhere", &elsewhere(&kubeconfig));
    place.ok(&["apply", "-f", "same.yaml"]);
    place.ok(&["wait", "a", "--for", "suspended"]);
    let mut seen = BTreeSet::from([Exit::Interrupted]);
    for (arguments, exit, says) in COMMANDS {
        place.fails(arguments, i32::from(exit.code()), &[says]);
        seen.insert(*exit);
    }
    must_be_interrupted(&place, &["wait", "a", "--for", "running"]);
    assert_eq!(seen, Exit::ALL.iter().copied().collect(), "a code is documented and in no command above");
}

/// The same kubeconfig, whose server nobody is.
fn elsewhere(kubeconfig: &str) -> String {
    let mut kubeconfig: serde_json::Value = serde_json::from_str(kubeconfig).expect("JSON");
    kubeconfig["clusters"][0]["cluster"]["server"] = "http://127.0.0.1:1".into();
    kubeconfig.to_string()
}

/// Ends a command by Ctrl-C when it has said what it waits for.
fn must_be_interrupted(place: &Place, arguments: &[&str]) {
    let path = place.work().join("interrupted.err");
    let errors = File::create(&path).expect("created");
    let mut child = place.command(arguments).stderr(errors).spawn().expect("drey starts");
    let said = || std::fs::read_to_string(&path).expect("read");
    until("drey to wait", || said().contains("flinkdeployment/a"));
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a pid");
    kill_process(pid, Signal::INT).expect("can be signalled");
    let status = child.wait().expect("can be waited for");
    assert_eq!(status.signal(), None, "it has ended by itself: {}", said());
    assert_eq!(status.code(), Some(i32::from(Exit::Interrupted.code())), "{}", said());
    assert!(said().contains("stopped waiting; what was asked for goes on"), "{}", said());
}
