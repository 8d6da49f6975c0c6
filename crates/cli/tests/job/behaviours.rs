//! What flink-deployer's own tests hold it to, over HTTP.

use drey_cli::failure::Kind;

use crate::fake::{Fault, Savepoints};
use crate::support::{Bench, update};

#[tokio::test]
async fn a_list_of_nothing_says_so() {
    let bench = Bench::new().await;
    assert!(bench.run("list").await.well().contains("No running jobs found"));
    bench.fake.runs('1', "a");
    assert_eq!(bench.run("l").await.well(), "");
}

#[tokio::test]
async fn every_wrong_answer_is_told_with_its_body() {
    let expected = [
        (Fault::Answer(500, "boom"), "Unexpected response status 500 with body boom", Kind::Failed),
        (
            Fault::Answer(404, "<html>no</html>"),
            "Unexpected response status 404 with body <html>no</html>",
            Kind::Failed,
        ),
        (Fault::Answer(302, ""), "Unexpected response status 302 with body ", Kind::Failed),
        (Fault::Answer(401, "who?"), "Unexpected response status 401 with body who?", Kind::Forbidden),
        (Fault::Answer(200, "<html>"), "Unable to parse API response as valid JSON: <html>", Kind::Failed),
        (
            Fault::Answer(200, "{\"jobs\": 3}"),
            "Unable to parse API response as valid JSON: {\"jobs\": 3}",
            Kind::Failed,
        ),
        (Fault::LoseAnswer, "the connection to Flink was lost", Kind::Unreachable),
        (Fault::Silence, "Flink did not answer within 3 s", Kind::Unreachable),
    ];
    for (fault, text, kind) in expected {
        let bench = Bench::new().await;
        bench.fake.fault("GET /jobs/overview", 1, fault.clone());
        let failure = bench.run("list").await.failure();
        assert!(failure.message().starts_with(text), "{fault:?}: {failure}");
        assert_eq!(failure.kind(), kind, "{fault:?}");
    }
}

#[tokio::test]
async fn a_flink_that_is_not_there_is_unreachable() {
    let bench = Bench::new().await;
    let mut flink = bench.flink();
    flink.flink_url = Some("http://127.0.0.1:1".to_owned());
    let session = flink.session(None, bench.session().talk).expect("a session");
    let failure = bench.run_as("list", &session).await.failure();
    assert_eq!(failure.kind(), Kind::Unreachable);
    assert!(failure.to_string().contains("FLINK_BASE_URL"), "{failure}");
}

#[tokio::test]
async fn the_password_is_sent_when_both_halves_are_there() {
    let bench = Bench::new().await;
    bench.fake.world().authorization = Some("Basic dXNlcjpzZWNyZXQ=");
    let mut flink = bench.flink();
    flink.flink_user = Some("user".to_owned());
    let talk = bench.session().talk;
    let with = flink.session(Some("secret"), talk.clone()).expect("a session");
    bench.run_as("list", &with).await.well();
    let without = flink.session(None, talk).expect("a session");
    assert_eq!(bench.run_as("list", &without).await.failure().kind(), Kind::Forbidden);
    assert_eq!(bench.fake.world().authorized, None);
}

#[tokio::test]
async fn flags_that_do_not_go_together_are_refused_before_anything_is_asked() {
    let bench = Bench::new().await;
    let expected = [
        ("deploy", "both flags 'file-name' and 'remote-file-name' unspecified"),
        (
            "deploy --fn x --rfn y",
            "both flags 'file-name' and 'remote-file-name' specified, only one allowed",
        ),
        (
            "deploy --fn x --sd y --sp z",
            "both flags 'savepoint-dir' and 'savepoint-path' specified, only one allowed",
        ),
        ("update", "both flags 'file-name' and 'remote-file-name' unspecified"),
        (
            "update --fn x --rfn y",
            "both flags 'file-name' and 'remote-file-name' specified, only one allowed",
        ),
        ("update --fn x --sd y", "unspecified flag 'job-name-base'"),
        ("update --fn x --jnb y", "unspecified flag 'savepoint-dir'"),
        ("terminate --mode stop", "unspecified flag 'job-name-base'"),
        ("terminate --jnb x", "unknown value for 'mode', only 'cancel' and 'stop' are supported"),
        ("terminate --jnb x --mode kill", "unknown value for 'mode', only 'cancel' and 'stop' are supported"),
        ("deploy --fn JAR --sd /nowhere/at/all", "retrieving the latest savepoint failed: "),
    ];
    for (line, text) in expected {
        let failure = bench.run(line).await.failure();
        assert!(failure.message().starts_with(text), "{line}: {failure}");
    }
    assert!(bench.fake.world().asked.is_empty());
}

#[tokio::test]
async fn a_deployment_sends_what_it_was_given() {
    let bench = Bench::new().await;
    let line = "deploy --fn JAR --ec a.Main -p 3 --pa=--name --pa a --sp /s/1 --anrs -- --x two";
    let said = bench.run(line).await.well();
    assert!(said.contains("Job started successfully"), "{said}");
    let body = bench.only().body;
    assert_eq!(body["entryClass"], "a.Main");
    assert_eq!(body["parallelism"], 3);
    assert_eq!(body["savepointPath"], "/s/1");
    assert_eq!(body["allowNonRestoredState"], true);
    assert_eq!(body["programArgsList"], serde_json::json!(["--name", "a", "--x", "two"]));
}

#[tokio::test]
async fn a_deployment_that_fails_says_where() {
    let bench = Bench::new().await;
    bench.fake.fault("POST /jars/upload", 9, Fault::Answer(400, "{\"errors\":[\"no room\"]}"));
    let failed = bench.run("deploy --fn JAR").await.badly();
    assert!(failed.contains("the jar was not uploaded") && failed.contains("no room"), "{failed}");
    let bench = Bench::new().await;
    let failed = bench.run("deploy --fn JAR -- --do refuse").await.badly();
    assert!(failed.contains("java.lang.IllegalStateException: Cannot map state"), "{failed}");
    assert!(bench.fake.world().jars.is_empty(), "what was uploaded for nothing is removed");
    let failed = bench.run("deploy --fn /nowhere/x.jar").await.failure();
    assert_eq!(failed.kind(), Kind::NotFound);
}

#[tokio::test]
async fn jobs_of_other_names_and_jobs_that_have_ended_are_not_updated() {
    let bench = Bench::new().await;
    bench.fake.runs('1', "other");
    let ended = bench.fake.runs('2', "a");
    bench.run(&format!("cancel {ended}")).await.well();
    let failure = bench.run(&update("")).await.failure();
    assert_eq!(failure.message(), "no instance running for job name base \"a\". Aborting update");
    assert_eq!(failure.kind(), Kind::NotFound);
    assert_eq!(bench.fake.times("POST"), 0);
}

#[tokio::test]
async fn more_than_one_is_too_many() {
    let bench = Bench::new().await;
    bench.fake.runs('1', "a");
    bench.fake.runs('2', "a");
    let failure = bench.run(&update("")).await.failure();
    assert_eq!(failure.message(), "job name with base \"a\" has 2 instances running. Aborting update");
    let failure = bench.run("terminate --jnb a --mode cancel").await.failure();
    assert_eq!(failure.kind(), Kind::Conflict);
    assert_eq!(bench.fake.active().len(), 2);
}

#[tokio::test]
async fn without_one_an_update_falls_back_to_deploy_when_it_may() {
    let bench = Bench::new().await;
    let line = "update --fn JAR --jnb a --sd /s --fbd -- --name a";
    let said = bench.run(line).await.well();
    assert!(said.contains("Job successfully updated"), "{said}");
    assert_eq!(bench.only().savepoint(), None);
}

#[tokio::test]
async fn a_savepoint_that_never_ends_is_said_to() {
    let bench = Bench::new().await;
    let old = bench.fake.runs('1', "a");
    bench.fake.world().savepoints = Savepoints::NeverEnd;
    let line = "update --savepoint-timeout 1s --fn JAR --jnb a --sd /s -- --name a";
    let failure = bench.run(line).await.failure();
    let text = format!("failed to create savepoint for job \"{old}\" within 1 seconds");
    assert_eq!((failure.message(), failure.kind()), (text.as_str(), Kind::Timeout));
    assert_eq!(bench.only().id, old);
    // Flink goes on with it, and so does the command.
    bench.fake.world().savepoints = Savepoints::Succeed;
    bench.fake.world().forget_operations();
    bench.run(line).await.well();
    assert_eq!(bench.fake.world().most_active, 1);
}

#[tokio::test]
async fn a_job_is_terminated_by_name_or_id() {
    for (line, state) in [
        ("terminate --jnb a --mode cancel", "CANCELED"),
        ("terminate --jnb a --mode stop --sd /s", "FINISHED"),
        ("t --jnb 11111111111111111111111111111111 -m stop --sd /s", "FINISHED"),
        ("cancel a", "CANCELED"),
        ("stop a --sd /s", "FINISHED"),
    ] {
        let bench = Bench::new().await;
        let id = bench.fake.runs('1', "a");
        bench.fake.runs('2', "ab");
        let said = bench.run(line).await.well();
        assert_eq!(bench.fake.job(&id).state, state, "{line}");
        assert_eq!(bench.only().name, "ab", "{line}");
        if line.starts_with('t') {
            assert!(said.contains("Job successfully terminated"), "{said}");
        }
    }
}

#[tokio::test]
async fn a_termination_that_flink_refuses_is_told() {
    for (status, text) in [(404, "not there"), (500, "boom")] {
        let bench = Bench::new().await;
        let id = bench.fake.runs('1', "a");
        let answer = if status == 404 { "{\"errors\":[\"not there\"]}" } else { "boom" };
        bench.fake.fault("PATCH", 1, Fault::Answer(status, answer));
        let ended = bench.run("terminate --jnb a --mode cancel").await;
        if status == 404 {
            let failed = ended.badly();
            assert!(failed.contains(&format!("job \"{id}\" failed to cancel due to: {text}")), "{failed}");
        } else {
            // It may have been done, so it is looked at, and asked again.
            ended.well();
        }
    }
}

#[tokio::test]
async fn a_job_that_has_ended_stays_as_it_is() {
    let bench = Bench::new().await;
    bench.run("deploy --fn JAR -- --name a --do finish").await.well();
    for line in ["cancel a", "stop a --sd /s", "savepoint a --sd /s"] {
        assert_eq!(bench.run(line).await.failure().kind(), Kind::Conflict, "{line}");
    }
    assert_eq!(bench.run("cancel b").await.failure().kind(), Kind::NotFound);
    bench.run("status a").await.well();
}

#[tokio::test]
async fn a_savepoint_leaves_the_job_running() {
    let bench = Bench::new().await;
    bench.fake.runs('1', "a");
    bench.run("savepoint a --sd /s").await.well();
    assert_eq!(bench.only().name, "a");
    let none = bench.run("savepoint a").await.badly();
    assert!(none.contains("state.savepoints.dir"), "{none}");
    bench.run("logs").await.well();
}
