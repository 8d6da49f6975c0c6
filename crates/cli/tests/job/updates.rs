//! Updates whose new version does not come up, updates that meet another, and what is left then.

use drey_cli::failure::Kind;

use crate::fake::Fault;
use crate::support::{Bench, update};

#[tokio::test]
async fn the_old_version_is_run_again_from_the_same_savepoint() {
    for does in ["refuse", "fail", "crash", "wait"] {
        let bench = Bench::new().await;
        let old = bench.deployed("a").await;
        let line = update(&format!("--do {does}")).replace("--savepoint-dir", "--timeout 4s --savepoint-dir");
        let failed = bench.run(&line).await.badly();
        let now = bench.only();
        assert!(
            failed.contains(&format!("the old version runs again as job {}", now.id)),
            "{does}: {failed}"
        );
        assert!(now.arguments().contains(&"1"), "{does}: {now:?}");
        assert_eq!(now.savepoint(), bench.fake.job(&old).stopped_with.as_deref(), "{does}");
        assert_eq!(bench.fake.world().most_active, 1, "{does}");
        // The one that runs again can be updated as any other.
        bench.run(&update("")).await.well();
        assert!(bench.only().arguments().contains(&"2"), "{does}");
    }
}

#[tokio::test]
async fn what_has_committed_is_not_rolled_back() {
    let bench = Bench::new().await;
    bench.deployed("a").await;
    let line = update("--do crash --committed yes");
    let failed = bench.run(&line).await.badly();
    assert!(failed.contains("it has completed checkpoints"), "{failed}");
    assert!(bench.only().arguments().contains(&"2"));
}

#[tokio::test]
async fn without_rollback_the_new_version_is_left_and_the_next_update_goes_on() {
    let bench = Bench::new().await;
    let old = bench.deployed("a").await;
    let line = update("--do refuse").replace("--file-name", "--no-rollback --file-name");
    let failed = bench.run(&line).await.badly();
    let savepoint = bench.fake.job(&old).stopped_with.expect("stopped");
    assert!(failed.contains(&savepoint) && failed.contains("drey job deploy --savepoint-path"), "{failed}");
    assert!(bench.fake.active().is_empty());
    bench.run(&update("--fixed yes")).await.well();
    assert_eq!(bench.only().savepoint(), Some(savepoint.as_str()));
}

#[tokio::test]
async fn a_job_of_somebody_else_is_updated_and_its_savepoint_named_when_that_fails() {
    let bench = Bench::new().await;
    bench.fake.runs('1', "a");
    let ended = bench.run(&update("--do fail")).await;
    assert!(ended.said.contains("is not recorded"), "{}", ended.said);
    let failed = ended.badly();
    assert!(failed.contains("drey job deploy --savepoint-path /s/savepoint-111111"), "{failed}");
}

#[tokio::test]
async fn a_program_that_makes_no_job_stops_nothing() {
    let bench = Bench::new().await;
    let old = bench.deployed("a").await;
    let failed = bench.run(&update("--do no-plan")).await.badly();
    assert!(failed.contains("entry point class 'X'") && failed.contains("nothing was changed"), "{failed}");
    assert_eq!(bench.only().id, old);
}

#[tokio::test]
async fn a_file_that_is_no_jar_stops_nothing() {
    let bench = Bench::new().await;
    bench.fake.runs('1', "a");
    let path = bench.path("page.jar");
    std::fs::write(&path, "<html>404</html>").expect("written");
    let failure = bench.run(&format!("update --fn {path} --jnb a --sd /s")).await.failure();
    assert_eq!(failure.kind(), Kind::Invalid);
    assert!(bench.fake.world().asked.is_empty());
    let wrong = bench.run("deploy --fn JAR --sha256 00").await.failure();
    assert_eq!(wrong.kind(), Kind::Invalid);
}

#[tokio::test]
async fn a_job_that_restarts_is_not_stopped() {
    let bench = Bench::new().await;
    bench.fake.runs('1', "a");
    bench.fake.world().jobs[0].state = "RESTARTING";
    assert_eq!(bench.run(&update("")).await.failure().kind(), Kind::Conflict);
    assert_eq!(bench.fake.times("POST"), 0);
}

/// Only one has won, and the other wins when it is run again.
async fn two_at_once(is_2_3: bool) {
    let bench = Bench::new().await;
    bench.fake.world().is_2_3 = is_2_3;
    bench.deployed("a").await;
    let lines = [update("--by one"), update("--by other")];
    let ended = tokio::join!(bench.run(&lines[0]), bench.run(&lines[1]));
    let well = usize::from(ended.0.outcome.is_ok()) + usize::from(ended.1.outcome.is_ok());
    // Each that has won has started a job of its own.
    assert!(
        well >= 1 && bench.fake.world().jobs.len() == 1 + well,
        "{:?} {:?}",
        ended.0.outcome,
        ended.1.outcome
    );
    assert_eq!((bench.fake.active().len(), bench.fake.world().most_active), (1, 1));
    for (line, lost) in lines.iter().zip([ended.0, ended.1]) {
        let Err(failure) = lost.outcome else { continue };
        let text = failure.to_string();
        assert!(failure.kind() == Kind::Conflict && text.contains("run the same command again"), "{text}");
        bench.run(line).await.well();
        assert_eq!((bench.fake.active().len(), bench.fake.world().most_active), (1, 1));
    }
}

#[tokio::test]
async fn two_updates_at_once_are_one_job() {
    two_at_once(false).await;
}

#[tokio::test]
async fn flink_2_3_calls_a_second_submission_by_another_name() {
    two_at_once(true).await;
}

#[tokio::test]
async fn a_version_that_never_ran_is_not_what_a_rollback_goes_back_to() {
    for stale in 3..9 {
        let bench = Bench::new().await;
        bench.deployed("a").await;
        bench.fake.fault("/stop", 1, Fault::Answer(400, "{\"errors\":[\"no\"]}"));
        // It leaves its record under the id that the next version will have.
        bench.run(&update(&format!("--stale {stale}"))).await.badly();
        bench.run(&update(&format!("--ran {stale}"))).await.well();
        bench.run(&update("--do refuse")).await.badly();
        assert!(bench.only().arguments().contains(&"--ran"), "{stale}: {:?}", bench.only());
    }
}

#[tokio::test]
async fn the_same_update_twice_at_once_is_one_job() {
    let bench = Bench::new().await;
    bench.deployed("a").await;
    let line = update("");
    let (one, other) = tokio::join!(bench.run(&line), bench.run(&line));
    assert!(one.outcome.is_ok() || other.outcome.is_ok(), "{:?} {:?}", one.outcome, other.outcome);
    assert_eq!((bench.fake.active().len(), bench.fake.world().most_active), (1, 1));
}

#[tokio::test]
async fn a_flink_that_dies_starts_nothing_in_its_place() {
    let bench = Bench::new().await;
    bench.deployed("a").await;
    bench.fake.fault("/run", 99, Fault::LoseRequest);
    let line = update("").replace("--savepoint-dir", "--timeout 2s --savepoint-dir");
    let failure = bench.run(&line).await.failure();
    assert_eq!(failure.kind(), Kind::Unreachable, "{failure}");
    assert!(failure.to_string().contains("run the same command again"), "{failure}");
    assert!(bench.fake.active().is_empty());
}

#[tokio::test]
async fn the_savepoint_is_found_when_flink_has_forgotten_the_stop() {
    let bench = Bench::new().await;
    let old = bench.deployed("a").await;
    let line = update("--do refuse").replace("--file-name", "--no-rollback --file-name");
    bench.run(&line).await.badly();
    bench.fake.world().forget_operations();
    bench.run(&update("--fixed yes")).await.well();
    assert_eq!(bench.only().savepoint(), bench.fake.job(&old).stopped_with.as_deref());
    let again = bench.run("stop a --sd /s").await;
    again.well();
    bench.fake.world().forget_operations();
    bench.run("stop a --sd /s").await.well();
}

#[tokio::test]
async fn a_deployment_does_not_take_the_place_of_an_update() {
    let bench = Bench::new().await;
    let old = bench.deployed("a").await;
    bench.fake.fault("/stop", 1, Fault::Answer(400, "{\"errors\":[\"no\"]}"));
    bench.run(&update("")).await.badly();
    // The record of the new version is there, and the old one runs.
    bench.run("deploy --fn JAR -- --name a --version 2").await.well();
    let next = drey_cli::job::identity::successor(old.parse().expect("an id"), 0).to_string();
    let ids: Vec<String> = bench.fake.active().into_iter().map(|job| job.id).collect();
    assert!(ids.len() == 2 && ids.contains(&old) && !ids.contains(&next), "{ids:?}");
}
