//! Three ledger jobs that the Java operator has made go over to drey and back again, and again. Those at rest must not
//! notice: the same pods, the same job, the same record. One is edited just before the Java operator is killed, each
//! time at another moment; drey brings that edit to its end. In the end drey is killed so, and the Java operator goes on.
//!
//! It refuses to know how either of them works inside: it looks at resources, pods and ledgers.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use kube::ResourceExt;
use serde_json::Value;

use crate::java_operator;
use crate::ledger_job::{LedgerJob, must_be_whole};
use crate::on_cluster::{NAMESPACE, OnCluster};
use crate::place::Place;
use crate::stage::{Stage, StageArgs};
use crate::story::{GROWTH, GROWTH_TIMEOUT, STABLE_TIMEOUT};
use crate::tally::Tally;

/// How often the moment is looked for that an operator is killed at.
const LOOK: Duration = Duration::from_millis(5);
/// How long that moment may take to come.
const MOMENT_TIMEOUT: Duration = Duration::from_secs(90);

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    stage: StageArgs,
    /// The shaded jar of the Java operator
    #[arg(long, env = "JAVA_OPERATOR_JAR")]
    java_operator_jar: PathBuf,
    /// Minor version of Flink, such as `1.20`
    #[arg(long, default_value = "1.20")]
    flink: String,
}

/// The jobs, by what happens to them under the Java operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    /// Made, and left alone.
    Resting,
    /// Upgraded by last-state, suspended and resumed.
    WithHistory,
    /// In the middle of an edit when its operator is killed.
    Moving,
}

const ALL: &[Who] = &[Who::Resting, Who::WithHistory, Who::Moving];
const AT_REST: &[Who] = &[Who::Resting, Who::WithHistory];

/// When the Java operator is killed, in an upgrade by savepoint.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// Flink has begun with the savepoint. The Java operator writes nothing down before that.
    Stopping,
    /// The stop stands in the status.
    Stopped,
    /// The new Deployment is there, and the status does not say so yet.
    Made,
}

const MOMENTS: &[(Moment, &str)] = &[
    (Moment::Stopping, "when the savepoint has begun"),
    (Moment::Stopped, "when the stop is written down"),
    (Moment::Made, "when the new cluster is made"),
];

/// The phases of an upgrade by savepoint that drey is killed in.
const PHASES: &[&str] = &["StopWithSavepoint", "Teardown", "Deploy"];

/// What must not change when a job changes hands.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Standing {
    generation: i64,
    job_id: Option<String>,
    deployment: Option<String>,
    /// Name, uid and restarts of each pod.
    pods: BTreeSet<(String, String, i32)>,
    restore_point: Option<String>,
    recorded_spec: Value,
}

/// Runs the story.
pub(crate) fn run(args: &Args) -> Result<()> {
    let stage = args.stage.open()?;
    let place = OnCluster::new(&stage.parts())?;
    java_operator::install(
        &place,
        &args.java_operator_jar,
        &flink_home(&args.stage.distributions, &args.flink)?,
    )?;
    let jobs =
        ALL.iter().map(|who| job(*who, &stage, place.directory(), &args.flink)).collect::<Result<_>>()?;
    let mut takeover = Takeover { place, jobs, tally: Tally::default() };
    takeover.tell();
    let Takeover { place, jobs: _, tally } = takeover;
    drop(place);
    tally.conclude(stage.temporary, args.stage.directory.is_some())
}

/// The distribution of a minor version.
pub(crate) fn flink_home(distributions: &Path, minor: &str) -> Result<PathBuf> {
    for entry in std::fs::read_dir(distributions)? {
        let home = entry?.path();
        let version = home.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if version.rsplit_once('.').is_some_and(|(own, _)| own == minor) {
            return Ok(home);
        }
    }
    bail!("there is no Flink {minor} in {}", distributions.display())
}

fn job(who: Who, stage: &Stage<'_>, directory: &Path, flink: &str) -> Result<LedgerJob> {
    let name = match who {
        Who::Resting => "resting",
        Who::WithHistory => "with-history",
        Who::Moving => "moving",
    };
    let job = stage.ledger(directory.join("storage").join(name), flink, "native")?;
    Ok(LedgerJob { name: name.to_owned(), ..job })
}

struct Takeover {
    place: OnCluster,
    /// In the order of [`ALL`].
    jobs: Vec<LedgerJob>,
    tally: Tally,
}

impl Takeover {
    fn tell(&mut self) {
        self.step("Java operator: works beside drey's definitions", |story| {
            java_operator::start(&mut story.place)
        });
        self.step("Java operator: three jobs STABLE", Self::first_deployment);
        self.step("Java operator: one by last-state, suspended, resumed", Self::make_history);
        for (moment, words) in MOMENTS {
            self.step(&format!("Java operator: an edit; killed {words}"), |story| {
                story.edit_and_kill(*moment)
            });
            self.step("drey takes over: those at rest do not notice", |story| story.drey_takes_over(AT_REST));
            self.step("drey: ends the edit with its state", |story| story.settled(Who::Moving));
            self.step("drey: an edit by savepoint", |story| story.edit(Who::Resting));
            self.step("back: the Java operator goes on, and no job notices", Self::java_takes_over);
            self.step("Java operator: an edit by savepoint", |story| story.edit(Who::WithHistory));
        }
        self.step("drey once more: no job notices", |story| {
            java_operator::stop(&mut story.place)?;
            story.drey_takes_over(ALL)
        });
        for (position, phase) in PHASES.iter().enumerate() {
            if position > 0 {
                self.step("drey takes over: no job notices", |story| {
                    java_operator::stop(&mut story.place)?;
                    story.drey_takes_over(ALL)
                });
            }
            let name = format!("drey: an edit; killed in phase {phase}; the Java operator ends it");
            self.step(&name, |story| story.edit_and_kill_drey(phase));
        }
        self.step("every ledger is whole", |story| {
            story.jobs.iter().try_for_each(|job| must_be_whole(&job.report()?))
        });
    }

    fn step(&mut self, name: &str, act: impl FnOnce(&mut Self) -> Result<()>) {
        let mut tally = std::mem::take(&mut self.tally);
        tally.step(name, || act(self));
        self.tally = tally;
    }

    fn job(&self, who: Who) -> &LedgerJob {
        &self.jobs[who as usize]
    }

    fn first_deployment(&mut self) -> Result<()> {
        for who in ALL {
            self.place.apply(&self.job(*who).manifest())?;
        }
        ALL.iter().try_for_each(|who| self.settled(*who))
    }

    fn make_history(&mut self) -> Result<()> {
        let who = Who::WithHistory;
        let job = &mut self.jobs[who as usize];
        job.rate += 50;
        job.upgrade_mode = "last-state";
        self.place.apply(&self.job(who).manifest())?;
        self.settled(who)?;
        let job = &mut self.jobs[who as usize];
        job.upgrade_mode = "savepoint";
        job.state = "suspended";
        self.place.apply(&self.job(who).manifest())?;
        self.wait_for("the job to be suspended", STABLE_TIMEOUT, |story| {
            let resource = story.resource(who)?;
            Ok((is_observed(&resource) && lifecycle(&resource) == "SUSPENDED").then_some(()))
        })?;
        self.jobs[who as usize].state = "running";
        self.place.apply(&self.job(who).manifest())?;
        self.settled(who)
    }

    /// One edit that is carried out to its end, with one savepoint.
    fn edit(&mut self, who: Who) -> Result<()> {
        let (before, savepoints) = (self.standing(who)?, self.job(who).savepoints()?);
        self.jobs[who as usize].rate += 10;
        self.place.apply(&self.job(who).manifest())?;
        self.settled(who)?;
        let after = self.standing(who)?;
        ensure!(after.deployment != before.deployment, "the same Deployment goes on");
        ensure!(self.job(who).savepoints()? == savepoints + 1, "there is not one more savepoint");
        Ok(())
    }

    fn edit_and_kill(&mut self, moment: Moment) -> Result<()> {
        let before = self.standing(Who::Moving)?;
        let begun_before = self.savepoints_begun()?;
        self.edit_moving()?;
        let began = Instant::now();
        while !self.has_come(moment, &before, begun_before)? {
            ensure!(began.elapsed() < MOMENT_TIMEOUT, "the moment {moment:?} did not come: {}", self.told());
            std::thread::sleep(LOOK);
        }
        java_operator::kill(&mut self.place)?;
        let resource = self.resource(Who::Moving)?;
        let text =
            |pointer: &str| resource.pointer(pointer).and_then(Value::as_str).unwrap_or("-").to_owned();
        println!(
            "          left: {}, job {}, upgradeSavepointPath {}",
            text("/status/reconciliationStatus/state"),
            text("/status/jobStatus/state"),
            text("/status/jobStatus/upgradeSavepointPath"),
        );
        Ok(())
    }

    fn edit_moving(&mut self) -> Result<()> {
        let job = &mut self.jobs[Who::Moving as usize];
        job.parallelism = 3 - job.parallelism;
        self.place.apply(&self.job(Who::Moving).manifest())
    }

    fn has_come(&self, moment: Moment, before: &Standing, begun_before: usize) -> Result<bool> {
        let upgrading = || {
            let resource = self.resource(Who::Moving)?;
            Ok::<bool, anyhow::Error>(resource["status"]["reconciliationStatus"]["state"] == "UPGRADING")
        };
        match moment {
            Moment::Stopping => Ok(self.savepoints_begun()? > begun_before),
            Moment::Stopped => upgrading(),
            Moment::Made => {
                let made = self.deployment(Who::Moving)?;
                Ok(made.is_some() && made != before.deployment)
            }
        }
    }

    /// Savepoints that were begun where the Java operator has them put, complete or not.
    fn savepoints_begun(&self) -> Result<usize> {
        let directory = self.job(Who::Moving).savepoint_directory().context("the job is on a cluster")?;
        let Ok(entries) = std::fs::read_dir(directory) else { return Ok(0) };
        let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        Ok(names.filter(|name| name.starts_with("savepoint-")).count())
    }

    /// drey starts; these jobs must not notice. They count as taken over when drey has written to them.
    fn drey_takes_over(&mut self, at_rest: &[Who]) -> Result<()> {
        let before = self.standings(at_rest)?;
        self.place.up()?;
        for who in at_rest {
            self.wait_for("drey to take over", STABLE_TIMEOUT, |story| {
                let resource = story.resource(*who)?;
                Ok((resource["status"]["run"].is_object() && is_ready(&resource)).then_some(()))
            })?;
        }
        self.must_stand(at_rest, &before)
    }

    /// drey ends and the Java operator starts; no job must notice. They count as taken over when the Java operator has
    /// written to them, for it leaves out what it does not know.
    fn java_takes_over(&mut self) -> Result<()> {
        let before = self.standings(ALL)?;
        self.place.end_operators()?;
        java_operator::start(&mut self.place)?;
        for who in ALL {
            self.wait_for("the Java operator to take over", STABLE_TIMEOUT, |story| {
                let resource = story.resource(*who)?;
                Ok((resource["status"]["run"].is_null() && is_stable(&resource)).then_some(()))
            })?;
        }
        self.must_stand(ALL, &before)
    }

    fn edit_and_kill_drey(&mut self, phase: &str) -> Result<()> {
        self.edit_moving()?;
        let at_rest = self.standings(AT_REST)?;
        let began = Instant::now();
        while self.resource(Who::Moving)?["status"]["intent"]["kind"] != phase {
            ensure!(began.elapsed() < MOMENT_TIMEOUT, "the phase {phase} did not come: {}", self.told());
            std::thread::sleep(LOOK);
        }
        self.place.kill_operators()?;
        java_operator::start(&mut self.place)?;
        self.settled(Who::Moving)?;
        self.must_stand(AT_REST, &at_rest)
    }

    /// They stand as before, and still do when their ledgers have gone on.
    fn must_stand(&mut self, jobs: &[Who], before: &[Standing]) -> Result<()> {
        self.must_be_the_same(jobs, before)?;
        jobs.iter().try_for_each(|who| self.grows(*who))?;
        self.must_be_the_same(jobs, before)
    }

    fn must_be_the_same(&self, jobs: &[Who], before: &[Standing]) -> Result<()> {
        for (who, before) in jobs.iter().zip(before) {
            let now = self.standing(*who)?;
            ensure!(now == *before, "{who:?} has noticed: it was {before:?} and is {now:?}");
        }
        Ok(())
    }

    fn standings(&self, jobs: &[Who]) -> Result<Vec<Standing>> {
        jobs.iter().map(|who| self.standing(*who)).collect()
    }

    fn standing(&self, who: Who) -> Result<Standing> {
        let resource = self.resource(who)?;
        let text = |pointer: &str| resource.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let recorded = text("/status/reconciliationStatus/lastReconciledSpec").unwrap_or_default();
        let mut recorded: Value = serde_json::from_str(&recorded).context("`lastReconciledSpec` is JSON")?;
        Ok(Standing {
            generation: resource["metadata"]["generation"].as_i64().context("resources have a generation")?,
            job_id: text("/status/jobStatus/jobId"),
            deployment: self.deployment(who)?,
            pods: self.pods(who)?,
            restore_point: text("/status/jobStatus/upgradeSavepointPath"),
            recorded_spec: recorded["spec"].take(),
        })
    }

    fn pods(&self, who: Who) -> Result<BTreeSet<(String, String, i32)>> {
        let pods = self.place.pods_with(&format!("app={}", self.job(who).name))?;
        let of = |pod: &k8s_openapi::api::core::v1::Pod| {
            let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
            let restarts = statuses.map(|status| status.restart_count).sum();
            (pod.name_any(), pod.uid().unwrap_or_default(), restarts)
        };
        Ok(pods.iter().map(of).collect())
    }

    /// Uid of the JobManager's Deployment.
    fn deployment(&self, who: Who) -> Result<Option<String>> {
        let api: kube::Api<k8s_openapi::api::apps::v1::Deployment> =
            kube::Api::namespaced(self.place.kube().client(), NAMESPACE);
        let found = self.place.wait_on(api.get_opt(&self.job(who).name))?;
        Ok(found.and_then(|deployment| deployment.uid()))
    }

    fn resource(&self, who: Who) -> Result<Value> {
        let name = &self.job(who).name;
        let path = format!("/apis/flink.apache.org/v1beta1/namespaces/{NAMESPACE}/flinkdeployments/{name}");
        let request = http::Request::get(path).body(Vec::new())?;
        Ok(self.place.wait_on(self.place.kube().client().request(request))?)
    }

    fn settled(&mut self, who: Who) -> Result<()> {
        self.wait_for("the job to be stable", STABLE_TIMEOUT, |story| {
            Ok(is_stable(&story.resource(who)?).then_some(()))
        })
        .with_context(|| format!("{who:?}"))?;
        self.grows(who)
    }

    fn grows(&mut self, who: Who) -> Result<()> {
        let before = self.job(who).report()?.complete_to;
        let report = self.wait_for("the ledger to go on", GROWTH_TIMEOUT, |story| {
            let report = story.job(who).report()?;
            Ok((report.complete_to >= before + GROWTH).then_some(report))
        })?;
        must_be_whole(&report).with_context(|| format!("{who:?}"))
    }

    fn wait_for<T>(
        &mut self,
        what: &str,
        timeout: Duration,
        mut look: impl FnMut(&Self) -> Result<Option<T>>,
    ) -> Result<T> {
        let began = Instant::now();
        loop {
            if let Some(seen) = look(self)? {
                return Ok(seen);
            }
            ensure!(began.elapsed() < timeout, "waited {} s for {what}: {}", timeout.as_secs(), self.told());
            std::thread::sleep(crate::place::LOOK);
        }
    }

    /// What every resource says, and the operators.
    fn told(&self) -> String {
        let resources = ALL.iter().map(|who| {
            let resource = self.resource(*who).unwrap_or_default();
            format!("{who:?}: {:#}\npods {:?}\n", resource["status"], self.pods(*who).unwrap_or_default())
        });
        let resources: String = resources.collect();
        format!("{resources}\n{}\n{}", self.place.output_tail(), java_operator::log_tail(&self.place))
    }
}

fn lifecycle(resource: &Value) -> &str {
    resource["status"]["lifecycleState"].as_str().unwrap_or_default()
}

fn is_observed(resource: &Value) -> bool {
    resource["status"]["observedGeneration"] == resource["metadata"]["generation"]
}

fn is_stable(resource: &Value) -> bool {
    let runs = resource["status"]["jobStatus"]["state"] == "RUNNING";
    is_observed(resource) && lifecycle(resource) == "STABLE" && runs
}

fn is_ready(resource: &Value) -> bool {
    let conditions = resource["status"]["conditions"].as_array();
    let ready = |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
    conditions.is_some_and(|conditions| conditions.iter().any(ready))
}
