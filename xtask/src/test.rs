//! `cargo xtask test`: every tier, with its counts and its time. The last line is `N passed, N failed`.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use clap::ValueEnum;

use crate::shell::{build_drey, cargo, shown};
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
    fn run(self, counts: &mut Counts, skipped: &mut Vec<String>) -> Result<()> {
        match self {
            Self::T1 => {
                let pure =
                    ["drey-api", "drey-core", "drey-flink", "drey-kubernetes", "drey-cli", "drey-testbed"];
                counted(test(&pure), counts)
            }
            Self::T2 => {
                let mut simulate = cargo(&["test", "--locked", "--profile", "fast", "--package", "drey-sim"]);
                simulate.arg("--no-fail-fast");
                counted(simulate, counts)
            }
            Self::T3 => counted(
                test(&[
                    "drey-engine",
                    "drey-apiserver",
                    "drey-local",
                    "drey-operator",
                    "drey-server",
                    "drey",
                    "xtask",
                ]),
                counts,
            ),
            Self::T4 => {
                let mut real = test(&["drey-local"]);
                real.args(["--features", "real-flink", "--test", "real_flink"]);
                real.env("DREY_TEST_FLINK", needs::cache().join("flink"));
                counted(real, counts)?;
                let drey = build_drey("dev")?;
                let jar = needs::example_jar()?;
                match kube::prepare() {
                    Ok(programs) => {
                        testbed::real_kube(&programs, counts)?;
                        match helm::program() {
                            Ok(helm) => {
                                testbed::chart(&helm, &programs, counts)?;
                                testbed::operator_pod(&drey, &jar, &helm, &programs, counts)?;
                            }
                            Err(error) => skipped.push(format!("the chart: {error:#}")),
                        }
                        testbed::rights(&drey, &programs, counts)?;
                        testbed::on_cluster(&drey, &jar, &programs, counts)?;
                    }
                    Err(error) => skipped.push(format!("real Kubernetes: {error:#}")),
                }
                testbed::job(&drey, &jar, counts)?;
                testbed::end_to_end(&drey, &jar, counts)
            }
            Self::T5 => {
                let drey = build_drey("dev")?;
                match kube::prepare() {
                    Ok(programs) => testbed::sign_in(&drey, &programs, counts)?,
                    Err(error) => skipped.push(format!("real Kubernetes: {error:#}")),
                }
                testbed::dashboard(&drey, &needs::example_jar()?, counts)
            }
        }
    }
}

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Passed.
    pub(crate) passed: u64,
    /// Failed, among them every part that could not be run at all.
    pub(crate) failed: u64,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

pub(crate) fn execute(args: &Args) -> Result<()> {
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
        let mut counts = Counts::default();
        let name = format!("{tier:?} {}", tier.what());
        let error = run_tier(*tier, &mut counts).err();
        record(&mut report, &mut total, &name, counts, began.elapsed(), error);
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

fn run_tier(tier: Tier, counts: &mut Counts) -> Result<()> {
    eprintln!("== {tier:?}: {}", tier.what());
    if let Err(error) = tier.prepare() {
        return Err(skipping(error, counts));
    }
    let mut skipped = Vec::new();
    let outcome = tier.run(counts, &mut skipped);
    if outcome.is_err() && counts.failed == 0 {
        counts.failed += 1;
    }
    outcome?;
    if skipped.is_empty() {
        return Ok(());
    }
    Err(skipping(anyhow!(skipped.join("; ")), counts))
}

/// What could not be run here; in CI that is a failure.
fn skipping(why: anyhow::Error, counts: &mut Counts) -> anyhow::Error {
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
    error: Option<anyhow::Error>,
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

/// Runs `cargo test`, passing its output on and adding up its counts.
pub(crate) fn counted(mut command: Command, counts: &mut Counts) -> Result<()> {
    eprintln!("$ {}", shown(&command));
    let mut child = command.stdout(Stdio::piped()).spawn().context("cargo cannot be started")?;
    let stdout = child.stdout.take().context("standard output is piped")?;
    let before = *counts;
    for line in BufReader::new(stdout).lines() {
        let line = line.context("cargo writes text")?;
        if let Some(found) = parse_result(&line).or_else(|| parse_last_line(&line)) {
            counts.add(found);
        }
        if !line.ends_with("... ok") && !line.is_empty() {
            println!("{line}");
        }
    }
    let status = child.wait()?;
    // Without a failed test it was the build, or the machine.
    if !status.success() && counts.failed == before.failed {
        bail!("`{}` ended with {status}", shown(&command));
    }
    Ok(())
}

/// The counts in `3 passed, 1 failed`, the last line of our own programs.
fn parse_last_line(line: &str) -> Option<Counts> {
    let (passed, failed) = line.trim().strip_suffix(" failed")?.split_once(" passed, ")?;
    Some(Counts { passed: passed.parse().ok()?, failed: failed.parse().ok()? })
}

/// The counts in `test result: ok. 3 passed; 1 failed; …`.
fn parse_result(line: &str) -> Option<Counts> {
    let rest = line.trim().strip_prefix("test result: ")?.split_once(". ")?.1;
    let number = |suffix: &str| {
        rest.split(';').find_map(|part| part.trim().strip_suffix(suffix)?.trim().parse::<u64>().ok())
    };
    Some(Counts { passed: number("passed")?, failed: number("failed")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_cargo_are_read() {
        let line = "test result: FAILED. 12 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.7s";
        assert_eq!(parse_result(line), Some(Counts { passed: 12, failed: 3 }));
        assert_eq!(parse_result("test a::result: ok"), None);
        assert_eq!(parse_last_line("12 passed, 3 failed"), Some(Counts { passed: 12, failed: 3 }));
        assert_eq!(parse_last_line("12 passed, none failed"), None);
    }
}
