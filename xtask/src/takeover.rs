//! `cargo xtask takeover`: real jobs of a real Java operator go over to drey and back. No part of the tests, since the
//! jar is none of ours.

use std::path::PathBuf;

use anyhow::Result;

use crate::shell::run;
use crate::{kube, needs, testbed};

/// Hand running jobs over from the Java operator to drey, and back, on a real Kubernetes API with real Flink.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shaded jar of the Java operator
    #[arg(long, env = "JAVA_OPERATOR_JAR")]
    java_operator_jar: PathBuf,
    /// Directory to work in; kept when a step fails
    #[arg(long)]
    directory: Option<PathBuf>,
}

pub(crate) fn execute(args: &Args) -> Result<()> {
    needs::flink_programs()?;
    needs::all_flinks()?;
    let programs = kube::prepare()?;
    let drey = needs::build_drey("dev")?;
    let mut takeover = testbed::over("dev", "takeover", &drey, &needs::example_jar()?);
    takeover.arg("--java-operator-jar").arg(std::path::absolute(&args.java_operator_jar)?);
    takeover.arg("--programs").arg(programs).arg("--distributions").arg(needs::cache().join("flink"));
    if let Some(directory) = &args.directory {
        takeover.arg("--directory").arg(std::path::absolute(directory)?);
    }
    run(takeover)
}
