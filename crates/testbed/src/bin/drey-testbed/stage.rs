//! What every story on a cluster is given on its command line, and what it works in. Refuses to know the story.

use std::path::PathBuf;

use anyhow::Result;
use tempfile::TempDir;

use crate::ledger_job::{LedgerJob, Site};
use crate::on_cluster::Parts;

/// Arguments of every story on a cluster.
#[derive(Debug, clap::Args)]
pub(crate) struct StageArgs {
    /// The binary
    #[arg(long)]
    drey: PathBuf,
    /// The jar of the examples
    #[arg(long)]
    jar: PathBuf,
    /// Directory with the programs of the control plane
    #[arg(long)]
    programs: PathBuf,
    /// Directory with Flink's distributions, each named by its version
    #[arg(long)]
    pub(crate) distributions: PathBuf,
    /// Directory to work in; kept when a step fails
    #[arg(long)]
    pub(crate) directory: Option<PathBuf>,
}

/// What a story works in.
pub(crate) struct Stage<'a> {
    args: &'a StageArgs,
    directory: PathBuf,
    /// The jar of the examples, by its whole path.
    jar: PathBuf,
    /// Goes with the story, unless a step fails.
    pub(crate) temporary: TempDir,
}

impl StageArgs {
    /// Makes the directory.
    pub(crate) fn open(&self) -> Result<Stage<'_>> {
        let temporary = tempfile::tempdir()?;
        let directory = self.directory.clone().unwrap_or_else(|| temporary.path().join("work"));
        let jar = std::fs::canonicalize(&self.jar)?;
        Ok(Stage { args: self, directory, jar, temporary })
    }
}

impl Stage<'_> {
    /// What a cluster is made of.
    pub(crate) fn parts(&self) -> Parts<'_> {
        Parts {
            drey: &self.args.drey,
            programs: &self.args.programs,
            distributions: &self.args.distributions,
            jar: &self.jar,
            directory: &self.directory,
        }
    }

    /// The ledger job of a cluster, with everything of it below `storage`, which every pod sees.
    pub(crate) fn ledger(&self, storage: PathBuf, flink: &str, mode: &str) -> Result<LedgerJob> {
        std::fs::create_dir_all(&storage)?;
        let output = storage.join("ledger-output");
        let site = Site::Cluster { mode: mode.to_owned(), storage };
        Ok(LedgerJob { site, ..LedgerJob::new(flink, &self.jar, output) })
    }
}
