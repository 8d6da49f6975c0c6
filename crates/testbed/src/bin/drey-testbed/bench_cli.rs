//! How long a person or a pipeline waits for the command line: drey's, the small build's and Flink's own, with the same
//! questions to the same cluster, one after the other in each run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::bench::{median, print_sizes};
use crate::on_cluster::java_home;
use crate::session_cluster::SessionCluster;
use crate::takeover::flink_home;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The binary
    #[arg(long)]
    drey: PathBuf,
    /// The binary with the command line alone
    #[arg(long)]
    small: PathBuf,
    /// Minor version of Flink
    #[arg(long, default_value = "1.20")]
    flink: String,
    /// Directory with a Flink distribution for each version
    #[arg(long)]
    distributions: PathBuf,
    /// How often each is measured; the medians are compared
    #[arg(long, default_value_t = 11)]
    runs: usize,
}

/// A question, as drey and as Flink are asked it.
struct Question {
    drey: &'static [&'static str],
    flink: &'static [&'static str],
}

const QUESTIONS: [Question; 2] = [
    Question { drey: &["--version"], flink: &["--version"] },
    Question { drey: &["job", "list"], flink: &["list"] },
];

/// Whom a question is put to.
struct Programs<'a> {
    drey: &'a Path,
    small: &'a Path,
    flink: PathBuf,
    java_home: PathBuf,
    cluster: &'a SessionCluster,
}

/// Measures, and prints the medians side by side.
pub(crate) fn run(args: &Args) -> Result<()> {
    ensure!(args.runs > 0, "without a run there is no median");
    let temporary = tempfile::tempdir()?;
    let cluster = SessionCluster::start(&args.distributions, &args.flink, temporary.path())?;
    let programs = Programs {
        drey: &args.drey,
        small: &args.small,
        flink: flink_home(&args.distributions, &args.flink)?.join("bin/flink"),
        java_home: java_home(&args.flink)?,
        cluster: &cluster,
    };
    for question in &QUESTIONS {
        programs.compare(question, args.runs)?;
    }
    print_sizes(&args.drey, &args.small)
}

impl Programs<'_> {
    fn compare(&self, question: &Question, runs: usize) -> Result<()> {
        let (mut drey, mut small, mut flink) = (Vec::new(), Vec::new(), Vec::new());
        // Once before it counts, so that files are in memory for everybody.
        for run in 0..=runs {
            let seconds =
                [self.drey(self.drey, question)?, self.drey(self.small, question)?, self.flink(question)?];
            if run > 0 {
                drey.push(seconds[0]);
                small.push(seconds[1]);
                flink.push(seconds[2]);
            }
        }
        let (drey, small, flink) = (median(&mut drey), median(&mut small), median(&mut flink));
        let shown = [("drey", drey), ("small drey", small), ("flink", flink)]
            .map(|(name, seconds)| format!("{name} {:.1} ms", seconds * 1e3));
        println!(
            "`drey {}` beside `flink {}`, medians of {runs}: {}; flink takes {:.0} times as long as drey",
            question.drey.join(" "),
            question.flink.join(" "),
            shown.join(", "),
            flink / drey,
        );
        Ok(())
    }

    fn drey(&self, program: &Path, question: &Question) -> Result<f64> {
        let mut command = Command::new(program);
        command.args(question.drey).env("FLINK_BASE_URL", &self.cluster.url);
        seconds(command)
    }

    fn flink(&self, question: &Question) -> Result<f64> {
        let mut command = Command::new(&self.flink);
        command.args(question.flink).env("JAVA_HOME", &self.java_home);
        command.env("FLINK_CONF_DIR", self.cluster.configuration()).env("FLINK_LOG_DIR", self.cluster.logs());
        seconds(command)
    }
}

/// From the start of a process, which must succeed, to its end.
fn seconds(mut command: Command) -> Result<f64> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let shown = format!("{command:?}");
    let began = Instant::now();
    let output = command.output().with_context(|| format!("{shown} cannot be started"))?;
    let seconds = began.elapsed().as_secs_f64();
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{shown} ended with {}: {}", output.status, errors.trim());
    Ok(seconds)
}
