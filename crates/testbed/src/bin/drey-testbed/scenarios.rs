//! The scenarios of one Flink version, as one story of one job: every kind of upgrade, suspend and resume,
//! a redeployment, a bad jar that is rolled back, and a kill at every phase of a savepoint upgrade.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail, ensure};

use crate::kills::Victim;
use crate::laptop::Laptop;
use crate::ledger_job::{ENTRY_CLASS, LedgerJob, NAME, must_be_whole};
use crate::story::{STABLE_TIMEOUT, Story};

/// How long a phase of an upgrade may take to be seen.
const PHASE_TIMEOUT: Duration = Duration::from_secs(90);

/// The phases of an upgrade by savepoint, and who is there to be killed in each.
const PHASES: &[(&str, &[Victim])] = &[
    ("StopWithSavepoint", &[Victim::JobManager, Victim::TaskManagers, Victim::Drey, Victim::All]),
    ("Teardown", &[Victim::Drey, Victim::All]),
    ("Deploy", &[Victim::JobManager, Victim::Drey, Victim::All]),
];

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
    let (passed, failed) = story.counts();
    if failed > 0 && args.directory.is_none() {
        eprintln!("kept for a look: {}", temporary.keep().display());
    }
    println!("{passed} passed, {failed} failed");
    if failed > 0 {
        bail!("{failed} steps failed");
    }
    Ok(())
}

fn tell(story: &mut Story, args: &Args) {
    let version = &args.flink;
    story.step(&format!("{version}: first deployment"), first_deployment);
    story.step(&format!("{version}: parallelism by savepoint"), parallelism_by_savepoint);
    story.step(&format!("{version}: arguments by last-state"), arguments_by_last_state);
    story.step(&format!("{version}: suspend and resume"), suspend_and_resume);
    story.step(&format!("{version}: savepoint on demand"), savepoint_on_demand);
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

fn first_deployment(story: &mut Story) -> Result<()> {
    story.laptop.up()?;
    story.apply()?;
    story.settled()?;
    ensure!(story.restored_from()?.is_none(), "a first deployment starts empty");
    Ok(())
}

fn parallelism_by_savepoint(story: &mut Story) -> Result<()> {
    story.job.parallelism = 2;
    story.job.upgrade_mode = "savepoint";
    story.apply()?;
    story.settled()?;
    story.must_be_restored_from("/savepoints/").map(drop)
}

fn arguments_by_last_state(story: &mut Story) -> Result<()> {
    story.job.rate += 50;
    story.job.upgrade_mode = "last-state";
    story.apply()?;
    story.settled()?;
    let source = story.must_be_restored_from("")?;
    ensure!(source == "last-state" || source.contains("/chk-"), "restored from `{source}`, no checkpoint");
    Ok(())
}

fn suspend_and_resume(story: &mut Story) -> Result<()> {
    story.job.upgrade_mode = "savepoint";
    story.apply()?;
    story.settled()?;
    story.laptop.run(&["suspend", NAME])?;
    let path = story.text("/status/jobStatus/upgradeSavepointPath")?.unwrap_or_default();
    ensure!(path.contains("/savepoints/"), "suspended without a savepoint: `{path}`");
    ensure!(story.laptop.records().is_empty(), "a suspended job has no cluster");
    must_be_whole(&story.job.report()?)?;
    story.laptop.run(&["resume", NAME])?;
    story.settled()?;
    ensure!(story.must_be_restored_from("/savepoints/")? == path, "resumed from another savepoint");
    Ok(())
}

fn savepoint_on_demand(story: &mut Story) -> Result<()> {
    let path = story.laptop.run(&["savepoint", NAME])?;
    let metadata = PathBuf::from(path.trim_start_matches("file:")).join("_metadata");
    ensure!(metadata.is_file(), "there is no {}", metadata.display());
    story.grows()
}

/// From the very savepoint that the job was stopped with: from an older one it would repeat itself, and
/// rightly so.
fn redeploy(story: &mut Story) -> Result<()> {
    story.laptop.run(&["suspend", NAME])?;
    let path = story.text("/status/jobStatus/upgradeSavepointPath")?.unwrap_or_default();
    story.job.redeploy = Some((path.clone(), 1));
    story.apply()?;
    story.settled()?;
    ensure!(story.must_be_restored_from("/savepoints/")? == path, "redeployed from another savepoint");
    Ok(())
}

fn bad_class_is_rolled_back(story: &mut Story) -> Result<()> {
    story.job.configuration = vec![
        ("kubernetes.operator.deployment.rollback.enabled", "true"),
        ("kubernetes.operator.deployment.readiness.timeout", "60 s"),
    ];
    story.apply()?;
    story.settled()?;
    story.job.entry_class = "drey.examples.Nothing";
    story.apply()?;
    let rolled_back = |story: &mut Story| {
        Ok((story.text("/status/lifecycleState")?.as_deref() == Some("ROLLED_BACK")).then_some(()))
    };
    wait_for(story, "the roll-back", STABLE_TIMEOUT, rolled_back)?;
    let running = |story: &mut Story| {
        Ok((story.text("/status/jobStatus/state")?.as_deref() == Some("RUNNING")).then_some(()))
    };
    wait_for(story, "the job to run again", STABLE_TIMEOUT, running)?;
    story.grows()?;
    story.job.entry_class = ENTRY_CLASS;
    story.job.configuration = Vec::new();
    story.apply()?;
    story.settled()
}

fn killed_in_phase(story: &mut Story, phase: &str, victim: Victim) -> Result<()> {
    story.job.upgrade_mode = "savepoint";
    story.job.parallelism = 3 - story.job.parallelism;
    story.apply()?;
    let generation = story.resource()?["metadata"]["generation"].clone();
    let seen = |story: &mut Story| {
        let resource = story.resource()?;
        let intent = &resource["status"]["intent"];
        let is_over = resource["status"]["observedGeneration"] == generation
            && resource["status"]["lifecycleState"] == "STABLE";
        Ok((intent["kind"] == phase || is_over).then_some(()))
    };
    wait_for(story, phase, PHASE_TIMEOUT, seen)?;
    let hit = |story: &mut Story| Ok((victim.kill(&mut story.laptop)? > 0).then_some(()));
    wait_for(story, "something to kill", PHASE_TIMEOUT, hit)?;
    story.settled()
}

fn change_version(story: &mut Story, newer: &str) -> Result<()> {
    let output = story.job.output.clone();
    let changed = LedgerJob { flink_version: format!("v{}", newer.replace('.', "_")), ..story.job.clone() };
    story.job = LedgerJob { output, ..changed };
    story.apply()?;
    story.settled()?;
    story.must_be_restored_from("/savepoints/").map(drop)
}

fn terminated_and_up(story: &mut Story) -> Result<()> {
    story.laptop.stop()?;
    ensure!(story.laptop.living_processes()? == 0, "processes are left after SIGTERM");
    story.laptop.up()?;
    story.settled()
}

fn down_and_up(story: &mut Story) -> Result<()> {
    story.laptop.down(&[])?;
    ensure!(story.laptop.living_processes()? == 0, "processes are left after `drey down`");
    must_be_whole(&story.job.report()?)?;
    story.laptop.up()?;
    story.settled()?;
    story.must_be_restored_from("/savepoints/").map(drop)
}

/// Without state the numbers begin again, so they go to another place, and the old ledger stays whole.
fn stateless(story: &mut Story) -> Result<()> {
    let old = story.job.clone();
    story.job.upgrade_mode = "stateless";
    story.job.redeploy = None;
    story.job.output = story.laptop.directory().join("ledger-output-2");
    story.apply()?;
    story.settled()?;
    ensure!(story.restored_from()?.is_none(), "a stateless upgrade starts empty");
    must_be_whole(&old.report()?)
}

fn purge(story: &mut Story) -> Result<()> {
    story.laptop.down(&["--purge"])?;
    ensure!(!story.laptop.state_directory().exists(), "`.drey/` is left");
    must_be_whole(&story.job.report()?)
}

fn wait_for<T>(
    story: &mut Story,
    what: &str,
    timeout: Duration,
    mut look: impl FnMut(&mut Story) -> Result<Option<T>>,
) -> Result<T> {
    let began = std::time::Instant::now();
    loop {
        if let Some(seen) = look(story)? {
            return Ok(seen);
        }
        if began.elapsed() > timeout {
            bail!("waited {} s for {what}\n{}", timeout.as_secs(), story.laptop.output_tail());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
