//! Commands that end at each of their requests, as by `kill -9`, and are run again.

use crate::support::{Bench, all, update};

/// Ends the command while its request number `at` is under way; says whether it came so far.
async fn killed(bench: &Bench, line: &str, at: usize) -> bool {
    let before = bench.fake.world().asked.len();
    tokio::select! {
        biased;
        () = bench.fake.reached(before + at) => true,
        _ = bench.run(line) => false,
    }
}

/// Ends the command at the request `at`, runs it again, and looks at what there is.
async fn update_killed_at(at: usize) -> bool {
    let bench = Bench::new().await;
    let first = bench.deployed("a").await;
    bench.jar("job.jar", b"another version");
    let was_killed = killed(&bench, &update(""), at).await;
    if !was_killed {
        return false;
    }
    // The request that was under way is done, or not: both happen here, as the machine likes.
    let said = bench.run(&update("")).await.well();
    let now = bench.only();
    assert!(now.arguments().contains(&"2"), "killed at {at}: {said}");
    assert_eq!(bench.fake.world().most_active, 1, "killed at {at}: {said}");
    let jobs = bench.fake.world().jobs.clone();
    let line_of_savepoints =
        |id: &str| jobs.iter().find(|job| job.id == id).and_then(|job| job.stopped_with.clone());
    let from = now.savepoint().expect("it goes on from one").to_owned();
    assert!(jobs.iter().any(|job| job.stopped_with.as_deref() == Some(&from)), "killed at {at}: {from}");
    assert!(line_of_savepoints(&first).is_some(), "killed at {at}");
    let kept = bench.fake.world().jars.iter().filter(|(_, name)| name.starts_with("drey_jar")).count();
    assert_eq!(kept, 1, "killed at {at}: {:?}", bench.fake.world().jars);
    true
}

#[tokio::test]
async fn an_update_that_was_killed_anywhere_is_gone_on_with() {
    const REQUESTS_MAX: usize = 40;
    let reached = all((1..REQUESTS_MAX).map(update_killed_at)).await;
    assert!(reached.iter().filter(|reached| **reached).count() > 12, "{reached:?}");
    assert!(!reached[REQUESTS_MAX - 2], "an update has fewer requests than that");
}

#[tokio::test]
async fn a_deployment_that_was_killed_anywhere_is_found() {
    let line = "deploy --fn JAR -- --name a";
    let work = (1..20).map(async |at| {
        let bench = Bench::new().await;
        let was_killed = killed(&bench, line, at).await;
        bench.run(line).await.well();
        assert_eq!(bench.fake.world().jobs.len(), 1, "killed at {at}");
        was_killed
    });
    assert!(all(work).await.iter().filter(|reached| **reached).count() > 5);
}

#[tokio::test]
async fn a_rollback_that_was_killed_anywhere_leaves_one_job_at_most() {
    let work = (8..40).map(async |at| {
        let bench = Bench::new().await;
        bench.deployed("a").await;
        let line = update("--do refuse");
        if !killed(&bench, &line, at).await {
            return;
        }
        // The same again fails again, and the old version runs.
        let _fails = bench.run(&line).await.outcome;
        assert!(bench.fake.world().most_active <= 1, "killed at {at}");
        assert!(bench.only().arguments().contains(&"1"), "killed at {at}: {:?}", bench.fake.world().jobs);
    });
    all(work).await;
}

#[tokio::test]
async fn a_stop_that_was_killed_anywhere_says_the_same_path() {
    let work = (1..12).map(async |at| {
        let bench = Bench::new().await;
        let id = bench.fake.runs('1', "a");
        let line = "stop a --sd /s";
        killed(&bench, line, at).await;
        bench.run(line).await.well();
        assert!(bench.fake.job(&id).stopped_with.is_some(), "killed at {at}");
        assert!(bench.fake.times("/stop") <= 2, "killed at {at}");
    });
    all(work).await;
}
