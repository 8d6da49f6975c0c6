//! The scenarios of one Flink version, as one story of one job: every kind of upgrade, suspend and resume,
//! a redeployment, a bad jar that is rolled back, and a kill at every phase of a savepoint upgrade.

use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::kills::Victim;
use crate::laptop::Laptop;
use crate::ledger_job::{LedgerJob, must_be_whole};
use crate::place::Place;
use crate::steps::{
    PHASES, arguments_by_last_state, bad_class_is_rolled_back, change_version, first_deployment,
    killed_in_phase, parallelism_by_savepoint, redeploy, savepoint_on_demand, stateless, suspend_and_resume,
};
use crate::story::Story;
use crate::verbs;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The binary
    #[arg(long)]
    drey: PathBuf,
    /// The jar of the examples
    #[arg(long)]
    jar: PathBuf,
    /// Minor version of Flink, such as `1.20`
    #[arg(long)]
    flink: String,
    /// A newer minor version to upgrade to in the end
    #[arg(long)]
    then: Option<String>,
    /// Kill every victim in every phase, and not only everything at once
    #[arg(long)]
    every_victim: bool,
    /// Directory to work in; kept when a step fails
    #[arg(long)]
    directory: Option<PathBuf>,
}

/// Runs the story.
pub(crate) fn run(args: &Args) -> Result<()> {
    let temporary = tempfile::tempdir()?;
    let directory = args.directory.clone().unwrap_or_else(|| temporary.path().join("work"));
    let jar = std::fs::canonicalize(&args.jar)?;
    let laptop = Laptop::new(&args.drey, &directory)?;
    let output = laptop.directory().join("ledger-output");
    let mut story = Story::new(laptop, LedgerJob::new(&args.flink, &jar, output));
    tell(&mut story, args);
    story.conclude(temporary, args.directory.is_some())
}

fn tell(story: &mut Story<Laptop>, args: &Args) {
    let version = &args.flink;
    story.step(&format!("{version}: first deployment"), first_deployment);
    story.step(&format!("{version}: parallelism by savepoint"), parallelism_by_savepoint);
    story.step(&format!("{version}: arguments by last-state"), arguments_by_last_state);
    story.step(&format!("{version}: suspend and resume"), suspend_and_resume);
    story.step(&format!("{version}: savepoint on demand"), savepoint_on_demand);
    story.step(&format!("{version}: every verb that looks"), verbs::look);
    story.step(&format!("{version}: every verb that changes"), verbs::change);
    story.step(&format!("{version}: redeploy from a savepoint"), redeploy);
    story.step(&format!("{version}: a bad class is rolled back"), bad_class_is_rolled_back);
    for (phase, victims) in PHASES {
        let chosen = victims.iter().filter(|victim| args.every_victim || **victim == Victim::All);
        for victim in chosen {
            let name = format!("{version}: {victim:?} killed in phase {phase}");
            story.step(&name, |story| killed_in_phase(story, phase, *victim));
        }
    }
    if let Some(newer) = &args.then {
        story.step(&format!("{version} to {newer} by savepoint"), |story| change_version(story, newer));
    }
    story.step(&format!("{version}: terminated and up again"), terminated_and_up);
    story.step(&format!("{version}: down and up again"), down_and_up);
    story.step(&format!("{version}: stateless begins anew"), stateless);
    story.step(&format!("{version}: purge leaves nothing"), purge);
}

fn terminated_and_up(story: &mut Story<Laptop>) -> Result<()> {
    story.place.stop()?;
    ensure!(story.place.living_processes()? == 0, "processes are left after SIGTERM");
    story.place.up()?;
    story.settled()
}

fn down_and_up(story: &mut Story<Laptop>) -> Result<()> {
    story.place.down(&[])?;
    ensure!(story.place.living_processes()? == 0, "processes are left after `drey down`");
    must_be_whole(&story.job.report()?)?;
    story.place.up()?;
    story.settled()?;
    story.must_be_restored_from("/savepoints/").map(drop)
}

fn purge(story: &mut Story<Laptop>) -> Result<()> {
    story.place.down(&["--purge"])?;
    ensure!(!story.place.state_directory().exists(), "`.drey/` is left");
    must_be_whole(&story.job.report()?)
}
