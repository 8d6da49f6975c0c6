//! Every exit code that is documented, as the shell sees it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpListener;
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
    (&["diff", "-f", "stateless.yaml", "--kubeconfig", "full"], Exit::Unanswered, "the disk is full"),
    (&["status", "a", "--no-wait", "--kubeconfig", "full"], Exit::Unanswered, "the disk is full"),
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
    place.write("stateless.yaml", &text.replace("upgradeMode: savepoint", "upgradeMode: stateless"));
    place.write("broken.yaml", "kind: A\nkind: B\n");
    let kubeconfig = std::fs::read_to_string(place.work().join(".drey/kubeconfig")).expect("read");
    let token = std::fs::read_to_string(place.work().join(".drey/token")).expect("read");
    place.write("stranger", &kubeconfig.replace(token.trim(), "0000"));
    place.write("nowhere", &elsewhere(&kubeconfig, "http://127.0.0.1:1"));
    place.write("full", &elsewhere(&kubeconfig, &full()));
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

/// The same kubeconfig with another server.
fn elsewhere(kubeconfig: &str, server: &str) -> String {
    let mut kubeconfig: serde_json::Value = serde_json::from_str(kubeconfig).expect("JSON");
    kubeconfig["clusters"][0]["cluster"]["server"] = server.into();
    kubeconfig.to_string()
}

/// The address of a server that has no room, and says so to every request.
fn full() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    let body = r#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"etcdserver: mvcc: database space exceeded","code":500}"#;
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 500 Internal Server Error\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("accepted");
            let mut request = Vec::new();
            let mut piece = [0; 1024];
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                match stream.read(&mut piece).expect("read") {
                    0 => break,
                    read => request.extend_from_slice(&piece[..read]),
                }
            }
            stream.write_all(answer.as_bytes()).expect("answered");
        }
    });
    address
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
