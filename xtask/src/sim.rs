//! `cargo xtask sim`: the simulator, compiled to run fast.

use anyhow::Result;

use crate::shell::{cargo, run};

/// Run simulated schedules of the core; the arguments are those of the simulator itself.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// `--seeds N`, `--seed S`, `--planted`, …
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn execute(args: &Args) -> Result<()> {
    let mut simulate =
        cargo(&["run", "--quiet", "--locked", "--profile", "fast", "--package", "drey-sim", "--"]);
    simulate.args(&args.arguments);
    run(simulate)
}
