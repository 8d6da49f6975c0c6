//! `drey job`, and drey as flink-deployer, as processes: addresses that are wrong, exit codes, and outputs that nobody reads.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use crate::support::Place;

/// Answers every request with this, whatever is asked.
fn server(status: &'static str, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            // A client that went away needs no answer.
            let _asked = stream.read(&mut request);
            let head =
                format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _answered = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    url
}

const JOBS: &str = r#"{"jobs":[{"jid":"11111111111111111111111111111111","name":"a job","state":"RUNNING","start-time":1,"tasks":{"total":1,"running":1}}]}"#;

fn job(place: &Place, url: Option<&str>, arguments: &[&str]) -> (i32, String, String) {
    ended(place.command(&[&["job"], arguments].concat()), url)
}

fn ended(mut command: Command, url: Option<&str>) -> (i32, String, String) {
    for variable in ["FLINK_BASE_URL", "FLINK_BASIC_AUTH_USERNAME", "FLINK_BASIC_AUTH_PASSWORD"] {
        command.env_remove(variable);
    }
    if let Some(url) = url {
        command.env("FLINK_BASE_URL", url);
    }
    let output = command.output().expect("drey starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

/// drey under the name of flink-deployer.
fn deployer(place: &Place, url: Option<&str>, arguments: &[&str]) -> (i32, String, String) {
    let link = place.work().join("flink-deployer");
    if !link.exists() {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_drey"), &link).expect("linked");
    }
    let mut command = Command::new(link);
    command.args(arguments).current_dir(place.work()).stdin(Stdio::null());
    ended(command, url)
}

#[test]
fn an_address_that_is_wrong_is_told_with_its_exit_code() {
    let place = Place::new();
    let page = server("200 OK", "<html>hello</html>");
    let locked = server("401 Unauthorized", "who are you?");
    for (url, code, says) in [
        (None, 2, "FLINK_BASE_URL"),
        (Some("jobmanager:8081"), 2, "http://"),
        (Some("http://127.0.0.1:1"), 6, "Flink cannot be reached at 127.0.0.1:1"),
        (Some(page.replace("http:", "https:").as_str()), 6, "Flink cannot be reached"),
        (Some(page.as_str()), 1, "Unable to parse API response as valid JSON: <html>hello</html>"),
        (Some(locked.as_str()), 4, "FLINK_BASIC_AUTH_PASSWORD"),
    ] {
        let (ended, _, stderr) = job(&place, url, &["list"]);
        assert_eq!(ended, code, "{url:?}: {stderr}");
        assert!(stderr.contains(says), "{url:?}: {stderr}");
    }
}

#[test]
fn data_goes_to_standard_output_and_a_reader_may_go() {
    let place = Place::new();
    let url = server("200 OK", JOBS);
    let (code, stdout, _) = job(&place, Some(&url), &["list", "--no-headers"]);
    assert_eq!(code, 0);
    assert!(stdout.starts_with("a job   11111111111111111111111111111111   RUNNING   1/1"), "{stdout}");
    let (_, stdout, _) = job(&place, Some(&url), &["l", "-o", "json"]);
    assert!(stdout.contains("\"state\": \"RUNNING\""), "{stdout}");
    let cancelled = server("200 OK", JOBS.replace("RUNNING", "CANCELED").leak());
    let (code, stdout, _) = job(&place, Some(&cancelled), &["cancel", "a job", "-o", "json"]);
    let told: serde_json::Value = serde_json::from_str(&stdout).expect("JSON alone on standard output");
    let expected = serde_json::json!({ "id": "11111111111111111111111111111111", "savepoint": null });
    assert_eq!((code, told), (0, expected));
    let (code, _, stderr) = job(&place, Some(&cancelled), &["stop", "a job", "-o", "json"]);
    let told: serde_json::Value = serde_json::from_str(stderr.trim()).expect("a failure is JSON too");
    assert_eq!((code, &told["code"]), (5, &"conflict".into()));
    let mut command = place.command(&["job", "list"]);
    let mut child = command.env("FLINK_BASE_URL", &url).stdout(Stdio::piped()).spawn().expect("starts");
    drop(child.stdout.take());
    assert!(child.wait().expect("ends").success());
}

#[test]
fn as_flink_deployer_it_says_and_ends_as_that_does() {
    let place = Place::new();
    let url = server("200 OK", JOBS);
    let (code, stdout, stderr) = deployer(&place, Some(&url), &["list"]);
    assert_eq!((code, stdout.as_str()), (0, ""));
    let line = "Job a job (11111111111111111111111111111111) with status: RUNNING\n";
    assert!(stderr.ends_with(line) && stderr.len() == line.len() + "2026/11/22 09:00:00 ".len(), "{stderr}");

    let (code, _, stderr) = deployer(&place, None, &["list"]);
    assert_eq!(code, 1, "{stderr}");
    let broken = server("500 Internal Server Error", "failed");
    for (arguments, says) in [
        (&["list"][..], "failed to list jobs: Unexpected response status 500 with body failed"),
        (
            &["t", "-jnb", "a", "-m", "stop"],
            "an error occurred: Unexpected response status 500 with body failed",
        ),
        (&["deploy"], " both flags 'file-name' and 'remote-file-name' unspecified"),
        (&["u", "-fn", "x.jar", "-sd", "/s"], " unspecified flag 'job-name-base'"),
        (&["terminate", "-jnb", "a"], " unknown value for 'mode', only 'cancel' and 'stop' are supported"),
        (&["deploy", "--nonsense"], "nonsense"),
    ] {
        let (code, _, stderr) = deployer(&place, Some(&broken), arguments);
        assert_eq!(code, 255, "{arguments:?}: {stderr}");
        assert!(stderr.contains(says), "{arguments:?}: {stderr}");
    }
    let mut command = Command::new(place.work().join("flink-deployer"));
    command.arg("list").env("FLINK_API_TIMEOUT_SECONDS", "bla").stdin(Stdio::null());
    let (code, _, stderr) = ended(command, Some(&url));
    assert!(code == 1 && stderr.contains("bla"), "{code}: {stderr}");
}
