//! The steps that every story of a job may have, wherever it takes place. Each ends when the newest spec is stable and
//! the ledger goes on, whole.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail, ensure};

use crate::kills::Victim;
use crate::ledger_job::{ENTRY_CLASS, LedgerJob, NAME, must_be_whole};
use crate::place::Place;
use crate::story::{STABLE_TIMEOUT, Story};

/// How long a phase of an upgrade may take to be seen.
const PHASE_TIMEOUT: Duration = Duration::from_secs(90);

/// The phases of an upgrade by savepoint, and who is there to be killed in each.
pub(crate) const PHASES: &[(&str, &[Victim])] = &[
    ("StopWithSavepoint", &[Victim::JobManager, Victim::TaskManagers, Victim::Drey, Victim::All]),
    ("Teardown", &[Victim::Drey, Victim::All]),
    ("Deploy", &[Victim::JobManager, Victim::Drey, Victim::All]),
];

pub(crate) fn first_deployment<P: Place>(story: &mut Story<P>) -> Result<()> {
    story.place.up()?;
    story.apply()?;
    story.settled()?;
    ensure!(story.restored_from()?.is_none(), "a first deployment starts empty");
    Ok(())
}

pub(crate) fn parallelism_by_savepoint<P: Place>(story: &mut Story<P>) -> Result<()> {
    story.job.parallelism = 2;
    story.job.upgrade_mode = "savepoint";
    story.apply()?;
    story.settled()?;
    story.must_be_restored_from("/savepoints/").map(drop)
}

pub(crate) fn arguments_by_last_state<P: Place>(story: &mut Story<P>) -> Result<()> {
    story.job.rate += 50;
    story.job.upgrade_mode = "last-state";
    story.apply()?;
    story.settled()?;
    let source = story.must_be_restored_from("")?;
    ensure!(source == "last-state" || source.contains("/chk-"), "restored from `{source}`, no checkpoint");
    Ok(())
}

pub(crate) fn suspend_and_resume<P: Place>(story: &mut Story<P>) -> Result<()> {
    story.job.upgrade_mode = "savepoint";
    story.apply()?;
    story.settled()?;
    story.place.run(&["suspend", NAME])?;
    let path = story.text("/status/jobStatus/upgradeSavepointPath")?.unwrap_or_default();
    ensure!(path.contains("/savepoints/"), "suspended without a savepoint: `{path}`");
    ensure!(!story.place.has_cluster()?, "a suspended job has no cluster");
    must_be_whole(&story.job.report()?)?;
    story.place.run(&["resume", NAME])?;
    story.settled()?;
    ensure!(story.must_be_restored_from("/savepoints/")? == path, "resumed from another savepoint");
    Ok(())
}

pub(crate) fn savepoint_on_demand<P: Place>(story: &mut Story<P>) -> Result<()> {
    let path = story.place.run(&["savepoint", NAME])?;
    let metadata = PathBuf::from(path.trim_start_matches("file:")).join("_metadata");
    ensure!(metadata.is_file(), "there is no {}", metadata.display());
    story.grows()
}

/// From the very savepoint that the job was stopped with: from an older one it would repeat itself, and
/// rightly so.
pub(crate) fn redeploy<P: Place>(story: &mut Story<P>) -> Result<()> {
    story.place.run(&["suspend", NAME])?;
    let path = story.text("/status/jobStatus/upgradeSavepointPath")?.unwrap_or_default();
    story.job.redeploy = Some((path.clone(), 1));
    story.apply()?;
    story.settled()?;
    ensure!(story.must_be_restored_from("/savepoints/")? == path, "redeployed from another savepoint");
    Ok(())
}

pub(crate) fn bad_class_is_rolled_back<P: Place>(story: &mut Story<P>) -> Result<()> {
    story.job.configuration = vec![
        ("kubernetes.operator.deployment.rollback.enabled", "true"),
        ("kubernetes.operator.deployment.readiness.timeout", "60 s"),
    ];
    story.apply()?;
    story.settled()?;
    story.job.entry_class = "drey.examples.Nothing";
    story.apply()?;
    let rolled_back = |story: &mut Story<P>| {
        Ok((story.text("/status/lifecycleState")?.as_deref() == Some("ROLLED_BACK")).then_some(()))
    };
    wait_for(story, "the roll-back", STABLE_TIMEOUT, rolled_back)?;
    let running = |story: &mut Story<P>| {
        Ok((story.text("/status/jobStatus/state")?.as_deref() == Some("RUNNING")).then_some(()))
    };
    wait_for(story, "the job to run again", STABLE_TIMEOUT, running)?;
    story.grows()?;
    story.job.entry_class = ENTRY_CLASS;
    story.job.configuration = Vec::new();
    story.apply()?;
    story.settled()
}

pub(crate) fn killed_in_phase<P: Place>(story: &mut Story<P>, phase: &str, victim: Victim) -> Result<()> {
    story.job.upgrade_mode = "savepoint";
    story.job.parallelism = 3 - story.job.parallelism;
    story.apply()?;
    let generation = story.resource()?["metadata"]["generation"].clone();
    let seen = |story: &mut Story<P>| {
        let resource = story.resource()?;
        let intent = &resource["status"]["intent"];
        let is_over = resource["status"]["observedGeneration"] == generation
            && resource["status"]["lifecycleState"] == "STABLE";
        Ok((intent["kind"] == phase || is_over).then_some(()))
    };
    wait_for(story, phase, PHASE_TIMEOUT, seen)?;
    let hit = |story: &mut Story<P>| Ok((story.place.kill(victim)? > 0).then_some(()));
    wait_for(story, "something to kill", PHASE_TIMEOUT, hit)?;
    story.settled()
}

pub(crate) fn change_version<P: Place>(story: &mut Story<P>, newer: &str) -> Result<()> {
    let output = story.job.output.clone();
    let changed = LedgerJob { flink_version: format!("v{}", newer.replace('.', "_")), ..story.job.clone() };
    story.job = LedgerJob { output, ..changed };
    story.apply()?;
    story.settled()?;
    story.must_be_restored_from("/savepoints/").map(drop)
}

/// Without state the numbers begin again, so they go to another place, and the old ledger stays whole.
pub(crate) fn stateless<P: Place>(story: &mut Story<P>) -> Result<()> {
    let old = story.job.clone();
    story.job.upgrade_mode = "stateless";
    story.job.redeploy = None;
    story.job.output = story.place.directory().join("ledger-output-2");
    story.apply()?;
    story.settled()?;
    ensure!(story.restored_from()?.is_none(), "a stateless upgrade starts empty");
    must_be_whole(&old.report()?)
}

fn wait_for<P: Place, T>(
    story: &mut Story<P>,
    what: &str,
    timeout: Duration,
    mut look: impl FnMut(&mut Story<P>) -> Result<Option<T>>,
) -> Result<T> {
    let began = std::time::Instant::now();
    loop {
        if let Some(seen) = look(story)? {
            return Ok(seen);
        }
        if began.elapsed() > timeout {
            bail!("waited {} s for {what}\n{}", timeout.as_secs(), story.place.output_tail());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
