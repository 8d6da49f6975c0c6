//! Two engines that share one world: at most one acts, and the other goes on where it ended.

use std::sync::Arc;
use std::time::Duration;

use drey_engine::clock::SystemClock;
use drey_engine::lease::{Candidate, Ended, LeaseConfig, LeaseError, while_leading};
use drey_engine::{Engine, EngineConfig, EngineError, Leadership, Namespaces, epoch};
use futures::FutureExt;
use kube::Client;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::faulty_api::FaultyApi;
use crate::world::{NAMESPACE, World, deployment, limits};

type Outcome = Result<Ended<Result<(), EngineError>>, LeaseError>;

/// An engine that runs while it leads.
struct Replica {
    faults: FaultyApi,
    stop: CancellationToken,
    task: JoinHandle<Outcome>,
}

impl Replica {
    fn start(world: &World, identity: &str) -> Replica {
        let faults = world.another_way();
        let client = Client::new(faults.clone(), NAMESPACE);
        let config = LeaseConfig {
            namespace: NAMESPACE.to_owned(),
            name: "drey".to_owned(),
            identity: identity.to_owned(),
            lease_duration: Duration::from_secs(1),
            renew_deadline: Duration::from_millis(600),
            retry_period: Duration::from_millis(50),
        };
        let floor_client = client.clone();
        let floor = move || {
            let client = floor_client.clone();
            async move { epoch::highest(&client, &Namespaces::All).await }.boxed()
        };
        let candidate = Candidate::new(client, config, Arc::new(SystemClock), floor);
        let config = world.config(&faults);
        let stop = CancellationToken::new();
        let task = tokio::spawn(while_leading(candidate, stop.clone(), |leadership, stop| async move {
            Engine::new(EngineConfig { leadership, ..config }).run(stop).await
        }));
        Replica { faults, stop, task }
    }
}

fn epoch_of(object: &Value) -> i64 {
    object["status"]["intent"]["epoch"].as_i64().unwrap()
}

#[tokio::test]
async fn a_stopped_leader_hands_over_at_once_and_no_job_notices() {
    let world = World::without_engine(limits()).await;
    let first = Replica::start(&world, "a");
    world.create(&deployment("a", "savepoint")).await;
    let before = world.until_stable("a").await;
    let second = Replica::start(&world, "b");
    first.stop.cancel();
    assert!(matches!(first.task.await.unwrap().unwrap(), Ended::Done(Ok(()))));
    let after = world.until("a", "taken over", |object| epoch_of(object) > epoch_of(&before)).await;
    assert_eq!(after["status"]["jobStatus"]["jobId"], before["status"]["jobStatus"]["jobId"]);
    assert_eq!(world.runs("a").len(), 1);
    world.edit("a", json!({ "job": { "parallelism": 3 } })).await;
    world.until_stable("a").await;
    assert_eq!(world.runs("a").len(), 2);
    second.stop.cancel();
    assert!(matches!(second.task.await.unwrap().unwrap(), Ended::Done(Ok(()))));
}

#[tokio::test]
async fn a_crashed_leader_is_followed_in_the_middle_of_an_upgrade() {
    let world = World::without_engine(limits()).await;
    let first = Replica::start(&world, "a");
    world.create(&deployment("a", "savepoint")).await;
    world.until_stable("a").await;
    let second = Replica::start(&world, "b");
    world.edit("a", json!({ "job": { "parallelism": 3 } })).await;
    let begun = |object: &Value| object["status"]["intent"]["kind"] != "None";
    world.until("a", "upgrading", begun).await;
    first.task.abort();
    world.until_stable("a").await;
    assert_eq!(world.runs("a").len(), 2, "one upgrade, whoever ended it");
    assert_eq!(world.requests("a").iter().filter(|request| request.contains("/stop")).count(), 0);
    second.stop.cancel();
    drop(second.task.await);
}

#[tokio::test]
async fn a_leader_that_is_cut_off_does_nothing_when_it_is_back() {
    let world = World::without_engine(limits()).await;
    let first = Replica::start(&world, "a");
    world.create(&deployment("a", "savepoint")).await;
    let before = world.until_stable("a").await;
    let second = Replica::start(&world, "b");
    first.faults.set_down(true);
    world.until("a", "taken over", |object| epoch_of(object) > epoch_of(&before)).await;
    world.edit("a", json!({ "job": { "parallelism": 3 } })).await;
    world.until_stable("a").await;
    let writes = first.faults.count("PUT", "/status") + first.faults.count("PATCH", "flinkdeployments");
    first.faults.set_down(false);
    assert!(matches!(first.task.await.unwrap().unwrap(), Ended::Lost(_)));
    let later = first.faults.count("PUT", "/status") + first.faults.count("PATCH", "flinkdeployments");
    assert_eq!(later, writes, "the deposed one wrote nothing more");
    assert_eq!(world.runs("a").len(), 2);
    assert!(!second.task.is_finished());
    second.stop.cancel();
    drop(second.task.await);
}

/// Two that both believe to lead, as after a Lease that somebody has tampered with: the epoch in the status decides.
#[tokio::test]
async fn of_two_that_believe_to_lead_the_one_with_the_lower_epoch_does_nothing() {
    let world = World::without_engine(limits()).await;
    let start = |epoch: i64| {
        let faults = world.another_way();
        let config = EngineConfig { leadership: Leadership::undisputed(epoch), ..world.config(&faults) };
        let (engine, stop) = (Engine::new(config), CancellationToken::new());
        let task = tokio::spawn({
            let (engine, stop) = (engine.clone(), stop.clone());
            async move { engine.run(stop).await }
        });
        (engine, faults, stop, task)
    };
    let new = start(2);
    world.create(&deployment("a", "savepoint")).await;
    world.until_stable("a").await;
    let old = start(1);
    let says_so = |_: &World| old.0.view().resources.iter().any(|view| view.sentence.contains("taken over"));
    world.eventually("refused", says_so).await;
    world.edit("a", json!({ "job": { "parallelism": 3 } })).await;
    world.until_stable("a").await;
    assert_eq!(world.runs("a").len(), 2);
    assert_eq!(old.1.count("PUT", "/status"), 0);
    assert_eq!(old.0.metrics().actions_begun(), 0);
    for (_, _, stop, task) in [new, old] {
        stop.cancel();
        task.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn without_the_leadership_an_engine_watches_and_does_nothing() {
    let world = World::without_engine(limits()).await;
    let first = Replica::start(&world, "a");
    world.create(&deployment("a", "savepoint")).await;
    world.until_stable("a").await;
    // The Lease cannot be renewed; everything else goes on.
    for _ in 0..60 {
        first.faults.next("PUT", "leases", crate::faulty_api::Fault::Fail(503));
    }
    let begun = tokio::time::Instant::now();
    world.eventually("suspended", |_| begun.elapsed() > Duration::from_millis(700)).await;
    world.edit("a", json!({ "job": { "parallelism": 3 } })).await;
    world.eventually("still refused", |_| first.faults.pending() < 20).await;
    assert_eq!(world.runs("a").len(), 1, "nothing is begun without the right to");
    world.until_stable("a").await;
    assert_eq!(world.runs("a").len(), 2, "and it goes on when the right is back");
    first.stop.cancel();
    drop(first.task.await);
}
