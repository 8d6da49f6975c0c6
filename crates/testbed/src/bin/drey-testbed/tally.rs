//! Steps one after the other, each with a line of its own, and how many of them passed. It refuses to know what they
//! are about.

use std::time::Instant;

use anyhow::{Result, ensure};
use tempfile::TempDir;

/// What came of the steps so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    passed: u64,
    failed: u64,
}

impl Tally {
    /// Runs one step. After a failed one the story cannot go on, and the rest counts as failed.
    pub(crate) fn step(&mut self, name: &str, act: impl FnOnce() -> Result<()>) {
        if self.failed > 0 {
            self.failed += 1;
            println!("not run   {name}");
            return;
        }
        let began = Instant::now();
        let outcome = act();
        let seconds = began.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => {
                self.passed += 1;
                println!("ok        {name} ({seconds:.1} s)");
            }
            Err(error) => {
                self.failed += 1;
                println!("FAILED    {name} ({seconds:.1} s): {error:#}");
            }
        }
    }

    /// Ends with the line `N passed, N failed`. The directory of the story is kept for a look when a step failed.
    ///
    /// # Errors
    /// When a step failed.
    pub(crate) fn conclude(self, directory: TempDir, kept_anyway: bool) -> Result<()> {
        let Self { passed, failed } = self;
        if failed > 0 && !kept_anyway {
            eprintln!("kept for a look: {}", directory.keep().display());
        }
        println!("{passed} passed, {failed} failed");
        ensure!(failed == 0, "{failed} steps failed");
        Ok(())
    }
}
