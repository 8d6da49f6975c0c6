//! The project's own chores: `cargo xtask demo`, `test`, `check`, `generate`, `sim`, `soak`, `bench`, `kube`,
//! `chart`, `image`, `krew`, `goldens`, `takeover`.
//! Refuses to be part of the product: nothing here is in the binary.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod checks;
mod demo;
mod goldens;
mod helm;
mod image;
mod krew;
mod kube;
mod lane;
mod needs;
mod shell;
mod sim;
mod soak;
mod takeover;
mod test;
mod testbed;

/// Chores of the project.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Line {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Build drey, get Flink, compile the example jobs and run one of them
    Demo(demo::Args),
    /// Run every test, installing and fetching what it needs
    Test(test::Args),
    /// What CI checks beside the tests: format, lints, dependencies, generated files
    Check(checks::Args),
    /// Write the files that are made from the code
    Generate,
    /// Run simulated schedules of the core
    Sim(sim::Args),
    /// Kill processes at random moments of random upgrades of a real job
    Soak(soak::Args),
    /// Measure
    Bench(bench::Args),
    /// Record the objects that Flink's own clients make
    Goldens(goldens::Args),
    /// Hold the chart of the operator to the real Helm and a real API server
    Chart,
    /// Hand running jobs over from the Java operator to drey and back
    Takeover(takeover::Args),
    /// Put the container image together, without a container runtime
    Image(image::Args),
    /// Write the archives and the manifest of the kubectl plug-in
    Krew(krew::Args),
    /// A real Kubernetes control plane on this machine
    #[command(subcommand)]
    Kube(kube::Chore),
}

fn generate() -> anyhow::Result<()> {
    testbed::generate()?;
    checks::make_manual()?;
    checks::make_front_end()
}

fn main() -> ExitCode {
    let outcome = match Line::parse().chore {
        Chore::Demo(args) => demo::execute(&args),
        Chore::Test(args) => test::execute(&args),
        Chore::Check(args) => checks::execute(&args),
        Chore::Generate => generate(),
        Chore::Sim(args) => sim::execute(&args),
        Chore::Soak(args) => soak::execute(&args),
        Chore::Bench(args) => bench::execute(&args),
        Chore::Goldens(args) => goldens::execute(&args),
        Chore::Chart => helm::check_chart(),
        Chore::Takeover(args) => takeover::execute(&args),
        Chore::Image(args) => image::execute(&args),
        Chore::Krew(args) => krew::execute(&args),
        Chore::Kube(chore) => kube::execute(&chore),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
