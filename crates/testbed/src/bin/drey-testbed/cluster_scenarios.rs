//! The scenarios of one Flink version on a real Kubernetes API, as one story of one job: upgrades, suspend and resume,
//! kills and a change of the leader in each phase of an upgrade, deletion with a savepoint.

use anyhow::{Result, ensure};

use crate::kills::Victim;
use crate::ledger_job::{NAME, must_be_whole};
use crate::on_cluster::OnCluster;
use crate::place::Place;
use crate::stage::StageArgs;
use crate::steps::{
    arguments_by_last_state, first_deployment, killed_in_phase, parallelism_by_savepoint, suspend_and_resume,
};
use crate::story::{STABLE_TIMEOUT, Story};
use crate::verbs;

/// The phases of an upgrade by savepoint, and what happens in each.
const PHASES: &[(&str, &[Victim])] = &[
    ("StopWithSavepoint", &[Victim::JobManager, Victim::Drey, Victim::Leader]),
    ("Teardown", &[Victim::Drey]),
    ("Deploy", &[Victim::Drey, Victim::All]),
];

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    stage: StageArgs,
    /// Minor version of Flink, such as `1.20`
    #[arg(long)]
    flink: String,
    /// `native` or `standalone`
    #[arg(long, default_value = "native")]
    mode: String,
    /// Kill every victim in every phase, and not only the operator while the cluster is made
    #[arg(long)]
    every_victim: bool,
}

/// Runs the story.
pub(crate) fn run(args: &Args) -> Result<()> {
    let stage = args.stage.open()?;
    let place = OnCluster::new(&stage.parts())?;
    let job = stage.ledger(place.directory().join("storage"), &args.flink, &args.mode)?;
    let mut story = Story::new(place, job);
    tell(&mut story, args);
    story.conclude(stage.temporary, args.stage.directory.is_some())
}

fn tell(story: &mut Story<OnCluster>, args: &Args) {
    let of = format!("{} {}", args.flink, args.mode);
    story.step(&format!("{of}: first deployment"), first_deployment);
    story.step(&format!("{of}: parallelism by savepoint"), parallelism_by_savepoint);
    story.step(&format!("{of}: arguments by last-state"), arguments_by_last_state);
    story.step(&format!("{of}: suspend and resume"), suspend_and_resume);
    story.step(&format!("{of}: every verb that looks"), verbs::look);
    story.step(&format!("{of}: every verb that changes"), verbs::change);
    story.step(&format!("{of}: a ConfigMap deleted by hand"), config_map_deleted);
    for (phase, victims) in PHASES {
        let chosen = victims.iter().filter(|victim| {
            args.every_victim || (**victim, *phase) == (Victim::Drey, "Deploy") || **victim == Victim::Leader
        });
        for victim in chosen {
            let name = format!("{of}: {victim:?} in phase {phase}");
            story.step(&name, |story| killed_in_phase(story, phase, *victim));
        }
    }
    if args.mode == "standalone" {
        story.step(&format!("{of}: scaled in place"), scaled_in_place);
    }
    story.step(&format!("{of}: deleted with a savepoint"), deleted_with_savepoint);
}

/// What a JobManager needs to start again is made again, and the job does not notice.
fn config_map_deleted(story: &mut Story<OnCluster>) -> Result<()> {
    let name = format!("flink-config-{NAME}");
    story.place.delete_config_map(&name)?;
    story.place.wait_for("the ConfigMap to come back", STABLE_TIMEOUT, |place| {
        Ok(place.has_config_map(&name)?.then_some(()))
    })?;
    story.settled()
}

/// In reactive mode another number of TaskManagers is no upgrade: the JobManager stays, and the job adapts.
fn scaled_in_place(story: &mut Story<OnCluster>) -> Result<()> {
    story.job.configuration = vec![("scheduler-mode", "reactive")];
    story.apply()?;
    story.settled()?;
    let job_managers = story.place.pods("jobmanager")?;
    story.job.parallelism = 4;
    story.apply()?;
    story.place.wait_for("a second TaskManager", STABLE_TIMEOUT, |place| {
        Ok((place.pods("taskmanager")?.len() == 2).then_some(()))
    })?;
    story.settled()?;
    let now = story.place.pods("jobmanager")?;
    ensure!(now == job_managers, "the JobManager was made anew: {job_managers:?} became {now:?}");
    Ok(())
}

fn deleted_with_savepoint(story: &mut Story<OnCluster>) -> Result<()> {
    story.job.configuration.push(("kubernetes.operator.job.savepoint-on-deletion", "true"));
    story.apply()?;
    story.settled()?;
    let before = story.job.savepoints()?;
    story.place.run(&["delete", NAME])?;
    ensure!(!story.place.has_cluster()?, "pods are left");
    ensure!(story.job.savepoints()? == before + 1, "there is no savepoint of the deletion");
    must_be_whole(&story.job.report()?)
}
