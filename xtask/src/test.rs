//! `cargo xtask test`: every tier, with its counts and its time. The last line is `N passed, N failed`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Error, Result, anyhow, bail};
use clap::ValueEnum;

use crate::lane::{Counts, Lane};
use crate::shell::cargo;
use crate::{checks, helm, kube, needs, testbed};

/// Run every test, installing and fetching what it needs.
///
/// Ends with one line `N passed, N failed`. A tier that cannot run here is skipped with its reason; when
/// the environment variable `CI` is `true` that is a failure.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only these tiers
    #[arg(long, value_enum)]
    tier: Vec<Tier>,
    /// Run the checks of CI (format, lints, dependencies, generated files) first
    #[arg(long)]
    checks: bool,
}

/// The tiers of `docs/architecture.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Tier {
    /// Functions without I/O
    T1,
    /// The core in the simulated world
    T2,
    /// The engine, the API server and the binary, with a fake Flink
    T3,
    /// Real Flink, real processes, real kubectl, a real Kubernetes control plane
    T4,
    /// The dashboard in a real browser, with real Flink behind it
    T5,
}

impl Tier {
    const fn what(self) -> &'static str {
        match self {
            Self::T1 => "functions and properties",
            Self::T2 => "core in a simulated world",
            Self::T3 => "engine, API server, binary; fake Flink",
            Self::T4 => "real Flink, real Kubernetes",
            Self::T5 => "dashboard in a browser; real Flink",
        }
    }

    /// The programs, as (program, Debian package); fetching what is larger happens in the tier itself.
    fn prepare(self) -> Result<()> {
        match self {
            Self::T1 | Self::T2 | Self::T3 => Ok(()),
            Self::T4 => {
                needs::flink_programs()?;
                needs::programs(&[("kubectl", "kubernetes-client")])?;
                needs::all_flinks()
            }
            Self::T5 => {
                needs::flink_programs()?;
                needs::programs(&[("chromium", "chromium")])?;
                needs::all_flinks()
            }
        }
    }

    /// Adds to `skipped` which parts of it need something that is not to be had here, and why.
    fn run(self, lane: &mut Lane, skipped: &mut Vec<String>) -> Result<()> {
        match self {
            Self::T1 => {
                let pure =
                    ["drey-api", "drey-core", "drey-flink", "drey-kubernetes", "drey-cli", "drey-testbed"];
                lane.run(test(&pure))
            }
            Self::T2 => {
                let mut simulate = cargo(&["test", "--locked", "--profile", "fast", "--package", "drey-sim"]);
                simulate.arg("--no-fail-fast");
                lane.run(simulate)
            }
            Self::T3 => lane.run(test(&[
                "drey-engine",
                "drey-apiserver",
                "drey-local",
                "drey-operator",
                "drey-server",
                "drey",
                "xtask",
            ])),
            Self::T4 => {
                let mut real = test(&["drey-local"]);
                real.args(["--features", "real-flink", "--test", "real_flink"]);
                real.env("DREY_TEST_FLINK", needs::cache().join("flink"));
                lane.run(real)?;
                let drey = needs::build_drey("dev")?;
                let jar = needs::example_jar()?;
                let programs = kube::prepare();
                if let Ok(programs) = &programs {
                    testbed::real_kube(programs, lane)?;
                }
                testbed::build()?;
                // Most of what they do is waiting.
                lane.side_by_side(
                    ("Kubernetes", |lane: &mut Lane| on_kubernetes(&drey, &jar, programs, lane, skipped)),
                    ("this machine", |lane: &mut Lane| {
                        testbed::job(&drey, &jar, lane)?;
                        testbed::end_to_end(&drey, &jar, lane)
                    }),
                )
            }
            Self::T5 => {
                let drey = needs::build_drey("dev")?;
                match kube::prepare() {
                    Ok(programs) => testbed::sign_in(&drey, &programs, lane)?,
                    Err(error) => skipped.push(without_kubernetes(&error)),
                }
                testbed::dashboard(&drey, &needs::example_jar()?, lane)
            }
        }
    }
}

/// The programs of T4 that take a control plane.
fn on_kubernetes(
    drey: &Path,
    jar: &Path,
    programs: Result<PathBuf>,
    lane: &mut Lane,
    skipped: &mut Vec<String>,
) -> Result<()> {
    let programs = match programs {
        Ok(programs) => programs,
        Err(error) => {
            skipped.push(without_kubernetes(&error));
            return Ok(());
        }
    };
    testbed::conformance(&programs, lane)?;
    match helm::program() {
        Ok(helm) => {
            testbed::chart(&helm, &programs, lane)?;
            testbed::operator_pod(drey, jar, &helm, &programs, lane)?;
        }
        Err(error) => skipped.push(format!("the chart: {error:#}")),
    }
    testbed::rights(drey, &programs, lane)?;
    testbed::on_cluster(drey, jar, &programs, lane)
}

fn without_kubernetes(error: &Error) -> String {
    format!("real Kubernetes: {error:#}")
}

pub(crate) fn execute(args: &Args) -> Result<()> {
    needs::build_programs()?;
    let mut total = Counts::default();
    let mut report = Vec::new();
    if args.checks {
        for check in ["format", "lint", "small", "deny", "generated"] {
            let began = Instant::now();
            let outcome = checks::run_check(check);
            let counts = if outcome.is_ok() {
                Counts { passed: 1, failed: 0 }
            } else {
                Counts { passed: 0, failed: 1 }
            };
            record(&mut report, &mut total, check, counts, began.elapsed(), outcome.err());
        }
    }
    let all = Tier::value_variants();
    for tier in if args.tier.is_empty() { all } else { &args.tier } {
        let began = Instant::now();
        let name = format!("{tier:?} {}", tier.what());
        let mut lane = Lane::default();
        let error = run_tier(*tier, &mut lane).err();
        record(&mut report, &mut total, &name, lane.counts, began.elapsed(), error);
    }
    println!();
    for line in &report {
        println!("{line}");
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    if total.failed > 0 {
        bail!("{} failed", total.failed);
    }
    Ok(())
}

fn run_tier(tier: Tier, lane: &mut Lane) -> Result<()> {
    eprintln!("== {tier:?}: {}", tier.what());
    if let Err(error) = tier.prepare() {
        return Err(skipping(error, &mut lane.counts));
    }
    let mut skipped = Vec::new();
    let outcome = tier.run(lane, &mut skipped);
    if outcome.is_err() && lane.counts.failed == 0 {
        lane.counts.failed += 1;
    }
    outcome?;
    if skipped.is_empty() {
        return Ok(());
    }
    Err(skipping(anyhow!(skipped.join("; ")), &mut lane.counts))
}

/// What could not be run here; in CI that is a failure.
fn skipping(why: Error, counts: &mut Counts) -> Error {
    if std::env::var("CI").is_ok_and(|ci| ci == "true") {
        counts.failed += 1;
    }
    why.context("skipped")
}

fn record(
    report: &mut Vec<String>,
    total: &mut Counts,
    name: &str,
    counts: Counts,
    took: Duration,
    error: Option<Error>,
) {
    total.add(counts);
    let error = error.map_or_else(String::new, |error| format!("  {error:#}"));
    let Counts { passed, failed } = counts;
    let line = format!("{name:<44} {passed:>5} passed {failed:>3} failed {:>5} s{error}", took.as_secs());
    eprintln!("== {line}");
    report.push(line);
}

fn test(packages: &[&str]) -> Command {
    let mut command = cargo(&["test", "--locked", "--no-fail-fast"]);
    for package in packages {
        command.args(["--package", package]);
    }
    command
}
