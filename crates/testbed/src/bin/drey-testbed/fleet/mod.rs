//! Thousands of FlinkDeployments on a real control plane with fake JobManagers: drey, and beside it the Java operator
//! when its jar is there, in the same world and with the same intervals.
//!
//! ```text
//!   measure ─► world       control plane, no node; fake JobManagers behind the names of Services (names)
//!           ─► kubelet     Deployments become available, and their JobManagers answer
//!           ─► operators   one process at a time, and what it uses
//!           ─► api_requests, report
//! ```
//! It refuses to judge: goals stand beside the figures.

mod api_requests;
mod kubelet;
mod measure;
mod names;
mod operators;
mod report;
mod world;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use crate::java_operator;
use crate::takeover::flink_home;
use measure::{Plan, measure};
use operators::Operator;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The binary
    #[arg(long)]
    drey: PathBuf,
    /// The shaded jar of the Java operator; without it drey alone is measured
    #[arg(long, env = "JAVA_OPERATOR_JAR")]
    java_operator_jar: Option<PathBuf>,
    /// The heap of the Java operator, such as `512m`; Java's default when it is not given
    #[arg(long)]
    java_heap: Option<String>,
    /// Directory with the programs of the control plane
    #[arg(long)]
    programs: PathBuf,
    /// Directory with Flink's distributions, of which the Java operator's logging is taken
    #[arg(long)]
    distributions: PathBuf,
    /// How many FlinkDeployments; may be given several times
    #[arg(long, required = true)]
    resources: Vec<usize>,
    /// How many of a hundred JobManagers hang in the last phases
    #[arg(long, default_value_t = 30)]
    hanging: u64,
    /// How many seconds rest is watched
    #[arg(long, default_value_t = 60)]
    rest: u64,
    /// How many minutes each of the other phases may take
    #[arg(long, default_value_t = 10)]
    phase: u64,
    /// Leave drey out
    #[arg(long, requires = "java_operator_jar")]
    without_drey: bool,
}

/// Measures, and prints a table for each number of resources.
pub(crate) fn run(args: &Args) -> Result<()> {
    let operators = operators(args)?;
    for resources in &args.resources {
        let plan = Plan {
            resources: *resources,
            hanging_percent: args.hanging,
            rest: Duration::from_secs(args.rest),
            phase: Duration::from_secs(args.phase * 60),
        };
        let mut reports = Vec::new();
        for operator in &operators {
            eprintln!("{operator}, {resources} FlinkDeployments");
            let temporary = tempfile::tempdir()?;
            let drey = std::fs::canonicalize(&args.drey)?;
            // One for each, so that nothing of one world is left in the next.
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            let measured =
                runtime.block_on(measure(operator, &plan, &args.programs, &drey, temporary.path()));
            match measured {
                Ok(report) => reports.push((operator.to_string(), report)),
                Err(error) => {
                    eprintln!("kept for a look: {}", temporary.keep().display());
                    return Err(error);
                }
            }
        }
        println!("{}", report::table(*resources, args.hanging, &reports));
    }
    Ok(())
}

fn operators(args: &Args) -> Result<Vec<Operator>> {
    let mut operators = Vec::new();
    if !args.without_drey {
        operators.push(Operator::Drey { binary: std::fs::canonicalize(&args.drey)? });
    }
    if let Some(jar) = &args.java_operator_jar {
        let logging = java_operator::logging(&flink_home(&args.distributions, "1.20")?)?;
        operators.push(Operator::Java {
            jar: std::fs::canonicalize(jar)?,
            logging: logging.into_iter().map(|(_, file)| file).collect(),
            heap: args.java_heap.clone(),
        });
    }
    Ok(operators)
}
