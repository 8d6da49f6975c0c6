//! Each request whose answer is lost, and each that never arrives: never two jobs, and the right end.

use crate::fake::Fault;
use crate::support::{Bench, all, update};

const POSTS: [&str; 7] =
    ["POST /jars/upload", "/plan", "/run", "/stop", "GET /jobs/overview", "GET /jars", "/savepoints/"];

/// An upload without an answer is given up when a long one would be done, which is too long for a test.
fn takes_long(request: &str, fault: &Fault) -> bool {
    request == "POST /jars/upload" && *fault == Fault::Silence
}

async fn check(fault: Fault, request: &'static str, times: usize) {
    if takes_long(request, &fault) {
        return;
    }
    let bench = Bench::new().await;
    let old = bench.deployed("a").await;
    bench.fake.fault(request, times, fault.clone());
    bench.jar("job.jar", b"another version");
    let mut ended = bench.run(&update("")).await;
    if ended.outcome.is_err() {
        // What cannot be known stops the command, and the next one finds it.
        ended = bench.run(&update("")).await;
    }
    let said = ended.well();
    let now = bench.only();
    assert!(now.arguments().contains(&"2"), "{request} {fault:?}: {said}");
    assert_eq!(now.savepoint(), bench.fake.job(&old).stopped_with.as_deref(), "{request} {fault:?}");
    assert_eq!(bench.fake.world().most_active, 1, "{request} {fault:?}: {said}");
}

#[tokio::test]
async fn an_update_is_one_job_whatever_is_lost() {
    let faults = [
        Fault::LoseAnswer,
        Fault::LoseRequest,
        Fault::Silence,
        Fault::Answer(503, "busy"),
        Fault::Answer(200, "<html>"),
    ];
    let work = POSTS.iter().flat_map(|request| faults.iter().map(|fault| check(fault.clone(), request, 1)));
    all(work).await;
}

#[tokio::test]
async fn a_deployment_is_one_job_whatever_is_lost() {
    let faults = [Fault::LoseAnswer, Fault::LoseRequest, Fault::Silence, Fault::Answer(503, "busy")];
    let requests = ["POST /jars/upload", "/run", "GET /jobs/overview", "GET /jars"];
    let work =
        requests.iter().flat_map(|request| faults.iter().map(|fault| deploy_with(request, fault.clone())));
    all(work).await;
}

async fn deploy_with(request: &'static str, fault: Fault) {
    if takes_long(request, &fault) {
        return;
    }
    let bench = Bench::new().await;
    bench.fake.fault(request, 1, fault.clone());
    let line = "deploy --fn JAR -- --name a";
    let ended = bench.run(line).await;
    if ended.outcome.is_err() {
        bench.run(line).await.well();
    }
    assert_eq!(bench.fake.world().jobs.len(), 1, "{request} {fault:?}");
}
