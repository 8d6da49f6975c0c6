//! `cargo xtask bench`: what is measured is a release build.

use anyhow::Result;
use clap::Subcommand;

use crate::shell::{build_drey, cargo, run};
use crate::{needs, testbed};

/// Measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Seconds from `drey up` to RUNNING, beside those of Flink's scripts
    Local {
        /// How often each is measured
        #[arg(long, default_value_t = 3)]
        runs: usize,
    },
    /// The engine with thousands of deployments and a fake JobManager
    Engine {
        /// Arguments of the measurement itself
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Size of the binary, and its memory with one job
    Size,
}

pub(crate) fn execute(args: &Args) -> Result<()> {
    match &args.what {
        What::Local { runs } => {
            needs::flink_programs()?;
            let drey = build_drey("release")?;
            let mut bench = testbed::over("dev", "bench-local", &drey, &needs::example_jar()?);
            bench.args(["--runs", &runs.to_string()]);
            run(bench)
        }
        What::Engine { arguments } => {
            let mut bench = cargo(&["run", "--quiet", "--locked", "--release", "--package", "drey-testbed"]);
            bench.args(["--bin", "bench-engine", "--"]).args(arguments);
            run(bench)
        }
        What::Size => {
            needs::flink_programs()?;
            let drey = build_drey("release")?;
            run(testbed::over("dev", "bench-size", &drey, &needs::example_jar()?))
        }
    }
}
