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
        /// How many deployments
        #[arg(default_value_t = 3_000)]
        resources: u32,
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
        What::Engine { resources } => engine(*resources),
        What::Size => {
            needs::flink_programs()?;
            let drey = build_drey("release")?;
            run(testbed::over("dev", "bench-size", &drey, &needs::example_jar()?))
        }
    }
}

/// The engine alone, as in a cluster: once with JobManagers that answer, and once with 30 of a hundred that hang. Then
/// together with the API server, as on a laptop.
fn engine(resources: u32) -> Result<()> {
    run(cargo(&["build", "--quiet", "--locked", "--release", "--package", "drey-testbed", "--examples"]))?;
    for (hanging_percent, api_server) in [("0", "apart"), ("30", "apart"), ("0", "within")] {
        let mut bench = cargo(&["run", "--quiet", "--locked", "--release", "--package", "drey-testbed"]);
        bench.args([
            "--example",
            "bench-engine",
            "--",
            &resources.to_string(),
            hanging_percent,
            "60",
            api_server,
        ]);
        run(bench)?;
    }
    Ok(())
}
