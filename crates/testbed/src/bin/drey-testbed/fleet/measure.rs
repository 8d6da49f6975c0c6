//! What is measured of one operator, phase by phase: a burst of creations, rest, single creations, edits, a restart, and
//! then rest and edits once more while some JobManagers hang.
//!
//! A phase that does not come to its end in time has no figure, and the next one begins.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use drey_api::kinds::FlinkDeployment;
use drey_testbed::bench_engine::{deployment, percentile};
use drey_testbed::fake_jobmanager::hangs;
use futures::{StreamExt, TryStreamExt};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::time::sleep;

use super::api_requests::Writes;
use super::kubelet::NAMESPACE;
use super::operators::{Operator, Running};
use super::world::World;

/// How many creations of a burst are under way at the same time.
const CREATIONS_MAX: usize = 16;
/// How often the world is looked at. Moments come from its watches.
const LOOK: Duration = Duration::from_millis(20);
/// How many single creations are timed.
const SINGLES: usize = 20;
/// How long after one single creation the next one begins.
const BETWEEN_SINGLES: Duration = Duration::from_secs(1);
/// How many single edits are timed, and how many of a crowd.
const SINGLE_EDITS: usize = 20;
const CROWD: usize = 100;
/// How long after one single edit the next one begins, and after one of a crowd.
const BETWEEN_SINGLE_EDITS: Duration = Duration::from_secs(2);
const BETWEEN_EDITS: Duration = Duration::from_millis(100);
/// How long what has just changed may stir before rest is measured.
const SETTLE: Duration = Duration::from_secs(30);

/// How it is measured.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// How many FlinkDeployments.
    pub(super) resources: usize,
    /// How many of a hundred JobManagers hang in the last phases.
    pub(super) hanging_percent: u64,
    /// How long rest is watched.
    pub(super) rest: Duration,
    /// How long each of the other phases may take.
    pub(super) phase: Duration,
}

/// At rest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest {
    /// Memory in bytes.
    pub(super) resident_bytes: u64,
    /// Processor seconds per minute.
    pub(super) processor_seconds: f64,
    /// REST requests per job and minute.
    pub(super) requests: f64,
    /// Status writes per minute, over all jobs.
    pub(super) statuses: f64,
}

/// Times of many things of one sort.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// The median.
    pub(super) p50: Duration,
    /// 99 of a hundred are at most this.
    pub(super) p99: Duration,
}

/// What was measured.
#[derive(Clone, Debug)]
pub(super) struct Report {
    /// From its start until its probe says that it works, without any resource.
    pub(super) ready: Duration,
    /// From the creation of each resource to its Deployment.
    pub(super) burst: Option<Times>,
    /// From the first creation to the last Deployment.
    pub(super) burst_last: Option<Duration>,
    /// From the first creation to the last resource that is STABLE.
    pub(super) burst_stable: Option<Duration>,
    /// Status writes per created job until then.
    pub(super) statuses_per_job: f64,
    /// All writes per created job until then.
    pub(super) writes_per_job: f64,
    /// At rest.
    pub(super) rest: Rest,
    /// From a single creation to its Deployment.
    pub(super) single: Option<Times>,
    /// From a single edit to the new Deployment.
    pub(super) single_edit: Option<Times>,
    /// From an edit to the new Deployment, of a crowd of edits.
    pub(super) edit: Option<Times>,
    /// From the start of a new process until every JobManager was asked.
    pub(super) restart: Option<Duration>,
    /// At rest, while some JobManagers hang.
    pub(super) hanging_rest: Rest,
    /// From an edit to the new Deployment, of jobs whose JobManagers answer, while others hang.
    pub(super) hanging_edit: Option<Times>,
}

/// Measures one operator in a world of its own.
pub(super) async fn measure(
    operator: &Operator,
    plan: &Plan,
    programs: &Path,
    drey: &Path,
    directory: &Path,
) -> Result<Report> {
    let world = World::start(programs, drey, directory).await?;
    let began = Instant::now();
    let mut running = operator.start(&world.site)?;
    running.ready().await?;
    let ready = began.elapsed();
    let mut bench = Bench { world: &world, plan, running, own_writes: 0 };
    say(&format!("{operator}: works after {:.1} s", ready.as_secs_f64()));
    let burst = bench.burst().await?;
    sleep(SETTLE).await;
    let rest = bench.rest("at rest").await?;
    let single = bench.singles().await?;
    let single_edit = bench.edits("edited", SINGLE_EDITS, BETWEEN_SINGLE_EDITS).await?;
    let edit = bench.edits("edited-in-a-crowd", CROWD, BETWEEN_EDITS).await?;
    let Bench { running, .. } = bench;
    running.stop().await?;
    let asked = world.fake.asked();
    let began = Instant::now();
    bench = Bench { world: &world, plan, running: operator.start(&world.site)?, own_writes: 0 };
    let restart = bench.until(began, |world| all_asked(&asked, &world.fake.asked())).await?;
    say(&format!("restarted, all observed: {}", shown(restart)));
    world.fake.hang(plan.hanging_percent);
    sleep(SETTLE).await;
    let hanging_rest = bench.rest("at rest, some hang").await?;
    let hanging_edit = bench.edits("edited-again", CROWD, BETWEEN_EDITS).await?;
    bench.running.must_run()?;
    Ok(Report {
        ready,
        burst: burst.times,
        burst_last: burst.last,
        burst_stable: burst.stable,
        statuses_per_job: burst.statuses_per_job,
        writes_per_job: burst.writes_per_job,
        rest,
        single,
        single_edit,
        edit,
        restart,
        hanging_rest,
        hanging_edit,
    })
}

struct Burst {
    times: Option<Times>,
    last: Option<Duration>,
    stable: Option<Duration>,
    statuses_per_job: f64,
    writes_per_job: f64,
}

struct Bench<'a> {
    world: &'a World,
    plan: &'a Plan,
    running: Running,
    /// Requests of this program that write, beside those of the kubelet.
    own_writes: u64,
}

impl Bench<'_> {
    fn api(&self) -> Api<FlinkDeployment> {
        Api::namespaced(self.world.kube.client(), NAMESPACE)
    }

    /// Waits until it is so, and says how long that took since `began`; `None` when it takes too long.
    async fn until(&mut self, began: Instant, is: impl Fn(&World) -> bool) -> Result<Option<Duration>> {
        while !is(self.world) {
            self.running.must_run()?;
            self.world.kubelet.check()?;
            if began.elapsed() > self.plan.phase {
                return Ok(None);
            }
            sleep(LOOK).await;
        }
        Ok(Some(began.elapsed()))
    }

    async fn burst(&mut self) -> Result<Burst> {
        let (before, kubelet_before) =
            (Writes::now(&self.world.kube.client()).await?, self.world.kubelet.writes());
        let api = self.api();
        let began = Instant::now();
        let create = |number: usize| {
            let (api, object) = (api.clone(), deployment(&name(number)));
            async move {
                let at = Instant::now();
                api.create(&PostParams::default(), &object).await.map(|_| (name(number), at))
            }
        };
        let created: HashMap<String, Instant> = futures::stream::iter((0..self.plan.resources).map(create))
            .buffer_unordered(CREATIONS_MAX)
            .try_collect()
            .await?;
        self.own_writes += self.plan.resources as u64;
        say(&format!("created after {:.1} s", began.elapsed().as_secs_f64()));
        let all = self.plan.resources;
        let seen = self.until(began, |world| world.kubelet.deployments().len() >= all).await?;
        let deployments = self.world.kubelet.deployments();
        let last = seen.and(deployments.values().map(|sighting| sighting.at - began).max());
        let times = seen.map(|_| {
            times(created.iter().filter_map(|(name, at)| Some(deployments.get(name)?.at.duration_since(*at))))
        });
        let stable = self.until(began, |world| world.kubelet.stable() >= all).await?;
        say(&format!(
            "burst: last Deployment {}, all STABLE {} ({} of {all})",
            shown(last),
            shown(stable),
            self.world.kubelet.stable()
        ));
        // What follows the last change belongs to the burst as well.
        sleep(Duration::from_secs(5)).await;
        let writes = Writes::now(&self.world.kube.client()).await?.since(&before);
        say(&format!("written for each, by the kubelet and this program too: {}", writes.for_each_of(all)));
        let own = self.own_writes + self.world.kubelet.writes() - kubelet_before;
        let per_job = |count: u64| count as f64 / all as f64;
        Ok(Burst {
            times,
            last,
            stable,
            statuses_per_job: per_job(writes.statuses()),
            writes_per_job: per_job(writes.all().saturating_sub(own)),
        })
    }

    async fn rest(&mut self, what: &str) -> Result<Rest> {
        let client = self.world.kube.client();
        let asked = |world: &World| world.fake.asked().values().sum::<u64>();
        let jobs = self.world.kubelet.deployments().len() as f64;
        let (began, before, requests, writes) =
            (Instant::now(), self.running.usage()?, asked(self.world), Writes::now(&client).await?);
        sleep(self.plan.rest).await;
        self.running.must_run()?;
        let minutes = began.elapsed().as_secs_f64() / 60.0;
        let usage = self.running.usage()?;
        let rest = Rest {
            resident_bytes: usage.resident_bytes,
            processor_seconds: (usage.processor_seconds - before.processor_seconds) / minutes,
            requests: asked(self.world).saturating_sub(requests) as f64 / jobs / minutes,
            statuses: Writes::now(&client).await?.since(&writes).statuses() as f64 / minutes,
        };
        say(&format!("{what}: {rest:?}"));
        Ok(rest)
    }

    /// Creates one after the other.
    async fn singles(&mut self) -> Result<Option<Times>> {
        let api = self.api();
        let mut all = Vec::new();
        for number in 0..SINGLES {
            let name = format!("single-{number:05}");
            let began = Instant::now();
            api.create(&PostParams::default(), &deployment(&name)).await?;
            let seen = self.until(began, |world| world.kubelet.deployment(&name).is_some()).await?;
            let sighting = self.world.kubelet.deployment(&name);
            let Some(sighting) = sighting.filter(|_| seen.is_some()) else { return Ok(None) };
            all.push(sighting.at.duration_since(began));
            sleep(BETWEEN_SINGLES).await;
        }
        let times = times(all.into_iter());
        say(&format!("single creation: {times:?}"));
        Ok(Some(times))
    }

    /// Edits some whose JobManagers answer, one after the other.
    async fn edits(&mut self, argument: &str, most: usize, between: Duration) -> Result<Option<Times>> {
        let prompt =
            (0..self.plan.resources).filter(|number| !hangs(&name(*number), self.plan.hanging_percent));
        let prompt: Vec<String> = prompt.map(name).collect();
        let count = (self.plan.resources / 10).max(5).min(most);
        let names = prompt.iter().step_by((prompt.len() / count).max(1)).take(count);
        let api = self.api();
        let before = self.world.kubelet.deployments();
        let mut edited = HashMap::new();
        for name in names {
            edited.insert(name.clone(), Instant::now());
            let patch = json!({ "spec": { "job": { "args": [argument] } } });
            api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await.context("an edit")?;
            sleep(between).await;
        }
        let anew = |world: &World, name: &String| {
            let sighting = world.kubelet.deployment(name)?;
            (before.get(name).map(|old| &old.uid) != Some(&sighting.uid)).then_some(sighting)
        };
        let began = Instant::now();
        let seen = self.until(began, |world| edited.keys().all(|name| anew(world, name).is_some())).await?;
        let found = edited
            .iter()
            .filter_map(|(name, at)| Some(anew(self.world, name)?.at.saturating_duration_since(*at)));
        let times = seen.map(|_| times(found));
        let stable =
            self.until(began, |world| edited.keys().all(|name| world.kubelet.is_stable(name))).await?;
        say(&format!("{} edits: {times:?}, all STABLE {}", edited.len(), shown(stable)));
        Ok(times)
    }
}

/// What is under way, for whoever waits.
fn say(what: &str) {
    eprintln!("  {what}");
}

/// Whether each of these clusters was asked since, or has gone.
fn all_asked(before: &HashMap<String, u64>, now: &HashMap<String, u64>) -> bool {
    before.iter().all(|(name, count)| now.get(name).is_none_or(|now| now > count))
}

fn times(all: impl Iterator<Item = Duration>) -> Times {
    let mut all: Vec<Duration> = all.collect();
    all.sort_unstable();
    Times { p50: percentile(&all, 50), p99: percentile(&all, 99) }
}

fn name(number: usize) -> String {
    format!("deployment-{number:05}")
}

fn shown(time: Option<Duration>) -> String {
    time.map_or_else(|| "not in time".to_owned(), |time| format!("after {:.1} s", time.as_secs_f64()))
}
