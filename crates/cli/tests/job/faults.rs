//! flink-deployer's ten faults, each as a story that its way would end badly.

use drey_cli::failure::Kind;

use crate::fake::{Fault, Savepoints};
use crate::support::{Bench, update};

/// 1: `COMPLETED` is what Flink says of a failed savepoint too.
#[tokio::test]
async fn a_failed_savepoint_is_failed_and_the_job_runs_on() {
    let bench = Bench::new().await;
    let old = bench.fake.runs('1', "a");
    bench.fake.world().savepoints = Savepoints::Fail;
    let failure = bench.run(&update("")).await.failure();
    let text = format!(
        "failed to create savepoint for job {old} due to error: java.io.IOException: bucket not there"
    );
    assert_eq!((failure.message(), failure.kind()), (text.as_str(), Kind::Failed));
    assert_eq!(bench.only().id, old);
    assert_eq!(bench.fake.times("/run"), 0);
    // The next attempt is another stop, not the failed one once more.
    bench.fake.world().savepoints = Savepoints::Succeed;
    bench.run(&update("")).await.well();
}

/// 2: the newest entry of a directory may be anybody's.
#[tokio::test]
async fn the_savepoint_is_the_one_that_flink_names() {
    let bench = Bench::new().await;
    let old = bench.fake.runs('1', "a");
    let other = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(other.path().join("savepoint-of-another")).expect("made");
    let directory = other.path().display();
    bench.run(&format!("update --fn JAR --jnb a --sd {directory} -- --name a")).await.well();
    let stopped_with = bench.fake.job(&old).stopped_with.expect("stopped");
    assert_eq!(bench.only().savepoint(), Some(stopped_with.as_str()));
}

/// 3: between a savepoint and a cancellation the job goes on.
#[tokio::test]
async fn the_old_version_is_stopped_by_its_savepoint_and_not_cancelled() {
    let bench = Bench::new().await;
    let old = bench.fake.runs('1', "a");
    bench.run(&update("")).await.well();
    assert_eq!(bench.fake.job(&old).state, "FINISHED");
    assert_eq!((bench.fake.times("PATCH"), bench.fake.times("/stop")), (0, 1));
}

/// 4 and 5: a name was sent as an id, and the mode `stop` was one that Flink does not have.
#[tokio::test]
async fn a_name_is_looked_up_and_a_stop_is_a_stop() {
    let bench = Bench::new().await;
    let id = bench.fake.runs('1', "a name with spaces");
    let mut command = bench.command("terminate --jnb NAME --mode stop --sd /s");
    if let drey_cli::job::Command::Terminate(args) = &mut command {
        args.job_name_base = Some("a name with spaces".to_owned());
    }
    drey_cli::job::perform(&command, &bench.session()).await.expect("stopped");
    assert!(bench.fake.job(&id).stopped_with.is_some());
    assert_eq!(bench.fake.times("PATCH"), 0);
}

/// 6: `programArgs` is ignored by Flink 2.
#[tokio::test]
async fn arguments_go_as_a_list() {
    let bench = Bench::new().await;
    bench.run("deploy --fn JAR --pa=--a -- b").await.well();
    let body = bench.only().body;
    assert_eq!(body["programArgsList"], serde_json::json!(["--a", "b"]));
    assert!(body.get("programArgs").is_none(), "{body}");
}

/// 7: a submission is repeated after a timeout.
#[tokio::test]
async fn a_submission_without_an_answer_is_one_job() {
    let bench = Bench::new().await;
    bench.fake.fault("/run", 2, Fault::Silence);
    bench.run("deploy --fn JAR -- --name a").await.well();
    assert_eq!(bench.fake.world().jobs.len(), 1);
}

/// 8: the jar was read into memory as a whole, and its upload had to end within the timeout of one answer.
#[tokio::test]
async fn a_large_jar_goes_piece_by_piece() {
    let bench = Bench::new().await;
    const BYTES: usize = 24 << 20;
    bench.jar("large.jar", &vec![7; BYTES]);
    let line = format!("deploy --fn {} -- --name a", bench.path("large.jar"));
    bench.run(&line).await.well();
    assert!(bench.fake.world().longest_upload > BYTES);
}

/// 9: success was said before the job ran.
#[tokio::test]
async fn success_is_said_when_the_job_runs() {
    for (does, text) in
        [("fail", "disk full"), ("crash", "disk full"), ("wait", "RUNNING"), ("stay-created", "CREATED")]
    {
        let bench = Bench::new().await;
        let line = format!("deploy --fn JAR --timeout 4s -- --name a --do {does}");
        let ended = bench.run(&line).await;
        assert!(!ended.said.contains("Job started successfully"), "{does}");
        let failed = ended.badly();
        assert!(failed.contains(text) || failed.contains("disk full"), "{does}: {failed}");
    }
    let bench = Bench::new().await;
    bench.run("deploy --fn JAR -- --name a --do finish").await.well();
}

/// 10: `jobA` also meant `jobAB`.
#[tokio::test]
async fn a_name_means_no_other() {
    let bench = Bench::new().await;
    bench.fake.runs('1', "ab");
    let failure = bench.run(&update("")).await.failure();
    assert_eq!(failure.message(), "no instance running for job name base \"a\". Aborting update");
    assert!(failure.to_string().contains("`a*`"), "{failure}");
    bench.run("update --fn JAR --jnb a* --sd /s -- --name ab --version 2").await.well();
    assert_eq!(bench.fake.world().most_active, 1);
}

/// Jars were never removed.
#[tokio::test]
async fn only_the_version_that_runs_keeps_its_jar() {
    let bench = Bench::new().await;
    bench.deployed("a").await;
    let one = bench.fake.world().jars.len();
    for version in 2..5 {
        bench.jar("job.jar", format!("version {version}").as_bytes());
        bench.run(&format!("update --fn JAR --jnb a --sd /s -- --name a --version {version}")).await.well();
    }
    assert_eq!(bench.fake.world().jars.len(), one, "{:?}", bench.fake.world().jars);
    bench.run("terminate --jnb a --mode stop --sd /s").await.well();
    assert!(bench.fake.world().jars.is_empty());
}
