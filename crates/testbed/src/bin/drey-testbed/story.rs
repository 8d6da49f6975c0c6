//! One ledger job through a series of changes. After each: the deployment is STABLE, the ledger goes on,
//! and nothing is missing, repeated or misplaced.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::ledger_job::{LedgerJob, NAME, must_be_whole};
use crate::place::Place;
use crate::tally::Tally;

/// How long a change may take until it is stable; a cold start with a busy machine is the longest.
pub(crate) const STABLE_TIMEOUT: Duration = Duration::from_secs(240);
/// How long the ledger may take to go on.
pub(crate) const GROWTH_TIMEOUT: Duration = Duration::from_secs(120);
/// How many further numbers show that it goes on.
pub(crate) const GROWTH: u64 = 200;

/// The job and where it runs.
pub(crate) struct Story<P> {
    /// Where it runs.
    pub(crate) place: P,
    /// The job as it was applied last.
    pub(crate) job: LedgerJob,
    tally: Tally,
}

impl<P: Place> Story<P> {
    /// A story that begins.
    pub(crate) fn new(place: P, job: LedgerJob) -> Self {
        Self { place, job, tally: Tally::default() }
    }

    /// Ends the story and what it took place in, with the line `N passed, N failed`. Its directory is kept for a look
    /// when a step failed.
    pub(crate) fn conclude(self, directory: TempDir, kept_anyway: bool) -> Result<()> {
        let Self { place, job: _, tally } = self;
        drop(place);
        tally.conclude(directory, kept_anyway)
    }

    /// Runs one step. After a failed one the story cannot go on, and the rest counts as failed.
    pub(crate) fn step(&mut self, name: &str, act: impl FnOnce(&mut Self) -> Result<()>) {
        let mut tally = std::mem::take(&mut self.tally);
        tally.step(name, || act(self));
        self.tally = tally;
    }

    /// Applies the job as it is now.
    pub(crate) fn apply(&self) -> Result<()> {
        self.place.apply(&self.job.manifest())
    }

    /// Waits until the newest spec is stable and the ledger goes on, whole.
    pub(crate) fn settled(&mut self) -> Result<()> {
        self.place.wait(NAME, "stable", STABLE_TIMEOUT)?;
        self.grows()
    }

    /// Waits until the ledger has gone on, whole.
    pub(crate) fn grows(&mut self) -> Result<()> {
        let before = self.job.report()?.complete_to;
        let job = self.job.clone();
        let report = self.place.wait_for("the ledger to go on", GROWTH_TIMEOUT, |_| {
            let report = job.report()?;
            Ok((report.complete_to >= before + GROWTH).then_some(report))
        })?;
        must_be_whole(&report)
    }

    /// The deployment as the API has it.
    pub(crate) fn resource(&self) -> Result<Value> {
        self.place.resource(NAME)
    }

    /// A text of the resource, by JSON pointer.
    pub(crate) fn text(&self, pointer: &str) -> Result<Option<String>> {
        Ok(self.resource()?.pointer(pointer).and_then(Value::as_str).map(str::to_owned))
    }

    /// What the present run was restored from.
    pub(crate) fn restored_from(&self) -> Result<Option<String>> {
        self.text("/status/run/restoredFrom")
    }

    /// Fails unless `drey describe` names what the present run was restored from, and it begins so.
    pub(crate) fn must_be_restored_from(&self, beginning: &str) -> Result<String> {
        let source = self.restored_from()?.context("it started empty")?;
        ensure!(source.contains(beginning), "restored from `{source}`, expected `{beginning}`");
        let described = self.place.run(&["describe", NAME])?;
        let named = source != "last-state" && described.contains(&source);
        ensure!(named || source == "last-state", "`drey describe` does not name `{source}`");
        Ok(source)
    }
}
