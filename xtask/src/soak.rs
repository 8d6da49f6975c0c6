//! `cargo xtask soak`: real Flink, random upgrades, random kills.

use anyhow::Result;

use crate::shell::run;
use crate::{needs, testbed};

/// Kill processes at random moments of random upgrades of a real job.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How long; there are at least three kills for each minute
    #[arg(long, default_value_t = 20)]
    minutes: u64,
    /// Seed of all choices
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Minor version of Flink
    #[arg(long, default_value = "1.20")]
    flink: String,
}

pub(crate) fn execute(args: &Args) -> Result<()> {
    needs::flink_programs()?;
    let drey = needs::build_drey("dev")?;
    let jar = needs::example_jar()?;
    let mut soak = testbed::over("dev", "soak", &drey, &jar);
    soak.args(["--minutes", &args.minutes.to_string(), "--seed", &args.seed.to_string()]);
    soak.args(["--flink", &args.flink]);
    run(soak)
}
