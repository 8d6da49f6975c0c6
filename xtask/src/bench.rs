//! `cargo xtask bench`: what is measured is a release build.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Subcommand;

use crate::shell::{cargo, run};
use crate::{kube, needs, testbed};

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
    /// Memory, processor time and latency on a real control plane with thousands of deployments and fake JobManagers,
    /// beside those of the Java operator
    Fleet(Fleet),
    /// The fleet page with thousands of deployments in a real Chromium
    Dashboard {
        /// How many deployments
        #[arg(default_value_t = 10_000)]
        resources: u32,
        /// Heimdall's own front end, built from its source, to be measured over the same answers
        #[arg(long, value_name = "DIRECTORY")]
        heimdall: Option<PathBuf>,
    },
    /// Milliseconds of commands of drey, beside those of Flink's own command line
    Cli {
        /// How often each is measured
        #[arg(long, default_value_t = 11)]
        runs: usize,
    },
    /// Sizes of the binary and of the one with the command line alone, and the memory with one job
    Size,
}

#[derive(Debug, clap::Args)]
struct Fleet {
    /// The shaded jar of the Java operator; without it drey alone is measured
    #[arg(long, env = "JAVA_OPERATOR_JAR")]
    java_operator_jar: Option<PathBuf>,
    /// The heap of the Java operator, such as `512m`; Java's default when it is not given
    #[arg(long)]
    java_heap: Option<String>,
    /// How many deployments; may be given several times
    #[arg(long, default_values_t = [1_000, 3_000])]
    resources: Vec<usize>,
}

pub(crate) fn execute(args: &Args) -> Result<()> {
    match &args.what {
        What::Local { runs } => {
            needs::flink_programs()?;
            let drey = needs::build_drey("release")?;
            let mut bench = testbed::over("dev", "bench-local", &drey, &needs::example_jar()?);
            bench.args(["--runs", &runs.to_string()]);
            run(bench)
        }
        What::Cli { runs } => cli(*runs),
        What::Engine { resources } => engine(*resources),
        What::Fleet(args) => fleet(args),
        What::Dashboard { resources, heimdall } => dashboard(*resources, heimdall.as_deref()),
        What::Size => {
            needs::flink_programs()?;
            let drey = needs::build_drey("release")?;
            let mut bench = testbed::over("dev", "bench-size", &drey, &needs::example_jar()?);
            bench.arg("--small").arg(needs::build_small_drey()?);
            run(bench)
        }
    }
}

/// Both builds of drey and Flink's own client, on a session cluster.
fn cli(runs: usize) -> Result<()> {
    needs::flink_programs()?;
    needs::all_flinks()?;
    let (drey, small) = (needs::build_drey("release")?, needs::build_small_drey()?);
    let mut bench = testbed::testbed("dev", &["bench-cli", "--drey"]);
    bench.arg(drey).arg("--small").arg(small);
    bench.arg("--distributions").arg(needs::cache().join("flink")).args(["--runs", &runs.to_string()]);
    run(bench)
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

/// drey and the Java operator, one after the other in worlds of the same sort.
fn fleet(args: &Fleet) -> Result<()> {
    needs::flink_programs()?;
    needs::all_flinks()?;
    let programs = kube::prepare()?;
    let drey = needs::build_drey("release")?;
    let mut bench = testbed::testbed("release", &["bench-fleet", "--drey"]);
    bench.arg(drey).arg("--programs").arg(programs).arg("--distributions").arg(needs::cache().join("flink"));
    for resources in &args.resources {
        bench.args(["--resources", &resources.to_string()]);
    }
    if let Some(jar) = &args.java_operator_jar {
        bench.arg("--java-operator-jar").arg(std::path::absolute(jar)?);
    }
    if let Some(heap) = &args.java_heap {
        bench.args(["--java-heap", heap]);
    }
    run(bench)
}

/// The fleet page, with the server that serves it.
fn dashboard(resources: u32, heimdall: Option<&Path>) -> Result<()> {
    needs::front_end()?;
    let drey = needs::build_drey("release")?;
    let mut bench = testbed::testbed("release", &["bench-dashboard", "--drey"]);
    bench.arg(drey).args(["--ui", "ui", "--resources", &resources.to_string()]);
    if let Some(pages) = heimdall {
        bench.arg("--heimdall").arg(std::path::absolute(pages)?);
    }
    run(bench)
}
