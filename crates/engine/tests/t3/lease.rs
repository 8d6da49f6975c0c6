//! Elections over the embedded API server, with paused time and clocks that disagree by a day.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use drey_apiserver::ApiServer;
use drey_engine::Leadership;
use drey_engine::clock::TokioClock;
use drey_engine::lease::{Candidate, Ended, LeaseConfig, LeaseError, while_leading};
use futures::FutureExt;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::faulty_api::{Fault, FaultyApi};

const NAMESPACE: &str = "default";
const NAME: &str = "drey";
const DURATION: Duration = Duration::from_secs(15);
const DEADLINE: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_secs(2);
const DAY_MS: i64 = 86_400_000;

/// One process that wants to lead, with a way of its own to the API server.
struct Process {
    faults: FaultyApi,
    stop: CancellationToken,
    held: watch::Receiver<Option<Leadership>>,
    task: JoinHandle<Result<Ended<()>, LeaseError>>,
}

fn api() -> ApiServer {
    drop(rustls::crypto::ring::default_provider().install_default());
    ApiServer::in_memory().unwrap()
}

fn leases(api: &ApiServer) -> Api<Lease> {
    Api::namespaced(api.client(NAMESPACE), NAMESPACE)
}

impl Process {
    fn start(api: &ApiServer, identity: &str, floor: &Arc<AtomicI64>, skew_ms: i64) -> Process {
        let faults = FaultyApi::new(api.service());
        let config = LeaseConfig {
            namespace: NAMESPACE.to_owned(),
            name: NAME.to_owned(),
            identity: identity.to_owned(),
            lease_duration: DURATION,
            renew_deadline: DEADLINE,
            retry_period: RETRY,
        };
        let floor = floor.clone();
        let clock = Arc::new(TokioClock::starting_at(1_800_000_000_000 + skew_ms));
        let client = Client::new(faults.clone(), NAMESPACE);
        let candidate = Candidate::new(client, config, clock, move || {
            let floor = floor.load(Ordering::Relaxed);
            async move { Ok(floor) }.boxed()
        });
        let (sender, held) = watch::channel(None);
        let stop = CancellationToken::new();
        let task = tokio::spawn(while_leading(candidate, stop.clone(), |leadership, stop| async move {
            sender.send_replace(Some(leadership));
            stop.cancelled().await;
        }));
        Process { faults, stop, held, task }
    }

    fn leadership(&self) -> Option<Leadership> {
        self.held.borrow().clone()
    }

    fn is_leading(&self) -> bool {
        self.leadership().is_some_and(|leadership| leadership.is_held())
    }

    async fn until_elected(&mut self) -> Leadership {
        let elected = self.held.wait_for(Option::is_some);
        timeout(DURATION * 10, elected).await.unwrap().unwrap().clone().unwrap()
    }
}

fn nobody() -> Arc<AtomicI64> {
    Arc::default()
}

#[tokio::test(start_paused = true)]
async fn the_first_one_leads_at_once_and_the_second_waits() {
    let api = api();
    let begun = Instant::now();
    let mut first = Process::start(&api, "a", &nobody(), 0);
    assert_eq!(first.until_elected().await.epoch(), 1);
    assert!(begun.elapsed() < RETRY);
    let second = Process::start(&api, "b", &nobody(), DAY_MS);
    sleep(DURATION * 20).await;
    assert!(first.is_leading() && !second.is_leading());
    let lease = leases(&api).get(NAME).await.unwrap().spec.unwrap();
    assert_eq!((lease.holder_identity.as_deref(), lease.lease_transitions), (Some("a"), Some(1)));
    assert_eq!(lease.lease_duration_seconds, Some(15));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_given_back_is_taken_within_a_retry_period() {
    let api = api();
    let mut first = Process::start(&api, "a", &nobody(), 0);
    first.until_elected().await;
    let mut second = Process::start(&api, "b", &nobody(), -DAY_MS);
    sleep(DURATION).await;
    let stopped = Instant::now();
    first.stop.cancel();
    assert_eq!(first.task.await.unwrap().unwrap(), Ended::Done(()));
    assert_eq!(second.until_elected().await.epoch(), 2);
    assert!(stopped.elapsed() <= RETRY, "{:?}", stopped.elapsed());
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_the_lease_is_taken_when_its_duration_is_over() {
    let api = api();
    let mut first = Process::start(&api, "a", &nobody(), 0);
    first.until_elected().await;
    let mut second = Process::start(&api, "b", &nobody(), DAY_MS);
    sleep(DURATION).await;
    let crashed = Instant::now();
    first.task.abort();
    assert_eq!(second.until_elected().await.epoch(), 2);
    let took = crashed.elapsed();
    assert!(took >= DURATION - RETRY && took <= DURATION + RETRY, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_is_away_suspends_the_leader_and_does_not_depose_it() {
    let api = api();
    let mut first = Process::start(&api, "a", &nobody(), 0);
    let leadership = first.until_elected().await;
    sleep(RETRY).await;
    first.faults.set_down(true);
    let down = Instant::now();
    leadership.ended().await;
    assert!(down.elapsed() <= DEADLINE && down.elapsed() >= DEADLINE - RETRY * 2, "{:?}", down.elapsed());
    sleep(DURATION * 4).await;
    assert!(!leadership.is_held());
    first.faults.set_down(false);
    sleep(RETRY * 2).await;
    assert!(leadership.is_held(), "nobody else has taken it");
    assert_eq!(leadership.epoch(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_was_cut_off_is_deposed_and_its_work_is_dropped() {
    let api = api();
    let mut first = Process::start(&api, "a", &nobody(), 0);
    let leadership = first.until_elected().await;
    let mut second = Process::start(&api, "b", &nobody(), 0);
    sleep(DURATION).await;
    first.faults.set_down(true);
    second.until_elected().await;
    assert!(!leadership.is_held());
    first.faults.set_down(false);
    let ended = first.task.await.unwrap().unwrap();
    assert_eq!(ended, Ended::Lost("`b` has the Lease".to_owned()));
    assert!(!leadership.is_held() && second.is_leading());
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_and_a_foreign_label_are_survived() {
    let api = api();
    let mut first = Process::start(&api, "a", &nobody(), 0);
    let leadership = first.until_elected().await;
    first.faults.next("PUT", "leases", Fault::LoseAnswer);
    sleep(RETRY * 3).await;
    let mut lease = leases(&api).get(NAME).await.unwrap();
    lease.metadata.labels = Some([("touched".to_owned(), "true".to_owned())].into());
    leases(&api).replace(NAME, &PostParams::default(), &lease).await.unwrap();
    for _ in 0..20 {
        sleep(RETRY).await;
        assert!(leadership.is_held());
    }
}

#[tokio::test(start_paused = true)]
async fn an_election_whose_answer_is_lost_is_no_wait_for_oneself() {
    let api = api();
    let mut first = Process::start(&api, "a", &nobody(), 0);
    first.until_elected().await;
    first.stop.cancel();
    first.task.await.unwrap().unwrap();
    let begun = Instant::now();
    let mut second = Process::start(&api, "b", &nobody(), 0);
    second.faults.next("PUT", "leases", Fault::LoseAnswer);
    assert_eq!(second.until_elected().await.epoch(), 3, "the first time nobody knew of it");
    assert!(begun.elapsed() <= RETRY * 2, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_deleted_lease_deposes_and_the_next_epoch_is_above_every_one_on_record() {
    let api = api();
    let on_record = Arc::new(AtomicI64::new(0));
    let mut first = Process::start(&api, "a", &on_record, 0);
    first.until_elected().await;
    on_record.store(7, Ordering::Relaxed);
    let deleted = Instant::now();
    leases(&api).delete(NAME, &DeleteParams::default()).await.unwrap();
    let mut second = Process::start(&api, "b", &on_record, 0);
    let old = first.leadership().unwrap();
    let new = second.until_elected().await;
    assert!(deleted.elapsed() >= DURATION, "the old one may have believed to lead until then");
    assert_eq!(new.epoch(), 8);
    assert!(!old.is_held());
    assert!(matches!(first.task.await.unwrap().unwrap(), Ended::Lost(_)));
}

#[tokio::test(start_paused = true)]
async fn a_lease_of_others_with_a_lower_number_begins_above_every_epoch_on_record() {
    let api = api();
    let foreign: Lease = serde_json::from_value(json!({
        "metadata": { "name": NAME, "namespace": NAMESPACE },
        "spec": { "holderIdentity": "", "leaseTransitions": 3 },
    }))
    .unwrap();
    leases(&api).create(&PostParams::default(), &foreign).await.unwrap();
    let mut process = Process::start(&api, "a", &Arc::new(AtomicI64::new(9)), 0);
    assert_eq!(process.until_elected().await.epoch(), 10);
}

#[tokio::test(start_paused = true)]
async fn who_may_not_use_leases_never_leads() {
    let api = api();
    let process = Process::start(&api, "a", &nobody(), 0);
    process.faults.next("GET", "leases", Fault::Fail(403));
    let error = process.task.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("allow `get`, `create` and `update` on `leases`"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn who_is_stopped_before_being_elected_never_led() {
    let api = api();
    let mut first = Process::start(&api, "a", &nobody(), 0);
    first.until_elected().await;
    let second = Process::start(&api, "b", &nobody(), 0);
    sleep(RETRY).await;
    second.stop.cancel();
    assert_eq!(second.task.await.unwrap().unwrap(), Ended::NeverLed);
}

/// Pauses, partitions, lost answers and crashes in an order drawn from a seed: at no moment two processes may act.
#[tokio::test(start_paused = true)]
async fn two_never_lead_at_the_same_time_whatever_happens() {
    for seed in 1..=4_u64 {
        let api = api();
        let on_record = nobody();
        let mut dice = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut draw = |bound: u64| {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            dice % bound
        };
        let mut started = 0_i64;
        let mut start = || {
            started += 1;
            Process::start(&api, &format!("p{started}"), &on_record, started * DAY_MS)
        };
        let mut processes = [start(), start(), start()];
        let mut highest = 0;
        let mut led = 0;
        for _ in 0..1_500 {
            sleep(Duration::from_millis(200)).await;
            let leading: Vec<i64> = processes
                .iter()
                .filter(|one| one.is_leading())
                .filter_map(|one| Some(one.leadership()?.epoch()))
                .collect();
            assert!(leading.len() <= 1, "seed {seed}: {leading:?} lead together");
            if let Some(epoch) = leading.first() {
                assert!(*epoch >= highest, "seed {seed}: {epoch} after {highest}");
                highest = *epoch;
                led += 1;
                on_record.store(highest, Ordering::Relaxed);
            }
            let who = usize::try_from(draw(3)).unwrap();
            match draw(60) {
                0 => processes[who].faults.set_down(true),
                1 => processes[who].faults.set_down(false),
                5 => processes[who].faults.next("PUT", "leases", Fault::LoseAnswer),
                6 => processes[who].task.abort(),
                7 => processes[who].stop.cancel(),
                8 if draw(4) == 0 => drop(leases(&api).delete(NAME, &DeleteParams::default()).await),
                _ => {}
            }
            if processes[who].task.is_finished() {
                processes[who] = start();
            }
        }
        assert!(led > 150 && highest > 3, "seed {seed}: led {led} times, up to epoch {highest}");
    }
}
