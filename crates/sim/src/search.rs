//! Many schedules: swarms of seeds, the exhaustive search of crash points, the hunt for planted bugs, and the shrinking
//! of what fails. This is what `cargo xtask sim` runs.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::operator::Mishap;
use crate::planted::Planted;
use crate::schedule::{Base, Outcome, Plan, run, run_scripted};

/// A failing schedule.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// What came of it.
    pub outcome: Outcome,
}

/// Runs seeds `from..from + count` on `threads` threads; stops at the first failure of each thread.
pub fn swarm(from: u64, count: u64, threads: u64, planted: Planted) -> Vec<Failure> {
    let next = AtomicU64::new(from);
    let stop = AtomicU64::new(0);
    let worker = || {
        let mut failures = Vec::new();
        while stop.load(Ordering::Relaxed) == 0 {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from + count {
                break;
            }
            let outcome = run(&Plan { seed, planted, ..Plan::default() });
            if outcome.violation.is_some() {
                stop.store(1, Ordering::Relaxed);
                failures.push(Failure { seed, outcome });
            }
        }
        failures
    };
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        let mut failures: Vec<Failure> =
            handles.into_iter().flat_map(|handle| handle.join().unwrap_or_default()).collect();
        failures.sort_by_key(|failure| failure.seed);
        failures
    })
}

/// Switches off as many troubles of a failing seed as possible while it still breaks the same invariant.
pub fn shrink(seed: u64, planted: Planted) -> Outcome {
    let plan = Plan { seed, planted, ..Plan::default() };
    let first = run(&plan);
    let Some(broken) = first.violation.as_ref().map(|violation| violation.invariant) else { return first };
    let mut muted = BTreeSet::new();
    let mut again = true;
    while again {
        again = false;
        let outcome = run(&Plan { muted: muted.clone(), ..plan.clone() });
        for number in outcome.injected {
            let mut candidate = muted.clone();
            candidate.insert(number);
            let outcome = run(&Plan { muted: candidate.clone(), ..plan.clone() });
            if outcome.violation.as_ref().is_some_and(|violation| violation.invariant == broken) {
                muted = candidate;
                again = true;
            }
        }
    }
    run(&Plan { muted, tell: true, ..plan })
}

/// What the exhaustive search came to.
#[derive(Clone, Debug, Default)]
pub struct Exhaustive {
    /// Base scenarios.
    pub scenarios: u64,
    /// Schedules with one mishap.
    pub singles: u64,
    /// Schedules with two mishaps.
    pub pairs: u64,
    /// Failing ones, as (scenario, script, what).
    pub failures: Vec<(String, String, String)>,
}

/// Every effect × every mishap, one and two at a time, for each base scenario.
pub fn exhaustive(pairs: bool) -> Exhaustive {
    let bases = Base::all();
    let half = bases.len().div_ceil(2);
    let parts: Vec<Exhaustive> = std::thread::scope(|scope| {
        let handles: Vec<_> = bases
            .chunks(half)
            .map(|part| {
                scope.spawn(move || part.iter().map(|base| search_base(base, pairs)).collect::<Vec<_>>())
            })
            .collect();
        handles.into_iter().flat_map(|handle| handle.join().unwrap_or_default()).collect()
    });
    let mut total = Exhaustive::default();
    for part in parts {
        total.scenarios += part.scenarios;
        total.singles += part.singles;
        total.pairs += part.pairs;
        total.failures.extend(part.failures);
    }
    total
}

fn search_base(base: &Base, pairs: bool) -> Exhaustive {
    let mut found = Exhaustive { scenarios: 1, ..Exhaustive::default() };
    let clean = run_scripted(base, &[], false);
    found.note(base, &[], &clean);
    let effects = clean.effects;
    for first in 1..=effects {
        for mishap in Mishap::EXHAUSTIVE {
            let script = [(first, mishap)];
            let outcome = run_scripted(base, &script, false);
            found.singles += 1;
            found.note(base, &script, &outcome);
            if !pairs {
                continue;
            }
            for second in first + 1..=outcome.effects {
                for other in Mishap::EXHAUSTIVE {
                    let script = [(first, mishap), (second, other)];
                    let outcome = run_scripted(base, &script, false);
                    found.pairs += 1;
                    found.note(base, &script, &outcome);
                }
            }
        }
    }
    found
}

impl Exhaustive {
    fn note(&mut self, base: &Base, script: &[(u64, Mishap)], outcome: &Outcome) {
        if let Some(violation) = &outcome.violation {
            let what = format!("{}: {}", violation.invariant, violation.what);
            self.failures.push((format!("{base:?}"), format!("{script:?}"), what));
        }
    }
}

/// How many schedules it took to catch a planted bug, and by which invariant; `None` when it was not caught.
pub fn hunt(planted: Planted, schedules_max: u64, threads: u64) -> Option<(u64, &'static str)> {
    let failures = swarm(0, schedules_max, threads, planted);
    let failure = failures.first()?;
    failure.outcome.violation.as_ref().map(|violation| (failure.seed + 1, violation.invariant))
}

const USAGE: &str =
    "usage: cargo xtask sim [--seeds N] [--from N] [--seed S] [--exhaustive] [--singles] [--planted]
  --seeds N      run N seeds and print schedules per second (default 100000)
  --from N       the first seed (default 0)
  --seed S       replay one seed, shrink it if it fails, and print its story
  --exhaustive   every effect x every mishap, singles and all pairs, for each base scenario
  --singles      the same without pairs
  --planted      plant each known bug and count the schedules until it is caught";

/// Runs the simulator from the command line.
pub fn main(args: &[String]) -> ExitCode {
    let number = |flag: &str| {
        let at = args.iter().position(|arg| arg == flag)?;
        args.get(at + 1).and_then(|text| text.replace('_', "").parse::<u64>().ok())
    };
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let mut out = std::io::stdout().lock();
    let result = if has("--help") {
        writeln!(out, "{USAGE}").map(|()| true)
    } else if let Some(seed) = number("--seed") {
        replay(&mut out, seed)
    } else if has("--exhaustive") || has("--singles") {
        print_exhaustive(&mut out, has("--exhaustive"))
    } else if has("--planted") {
        print_planted(&mut out, threads)
    } else {
        print_swarm(&mut out, number("--from").unwrap_or(0), number("--seeds").unwrap_or(100_000), threads)
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // A closed pipe is not an error of ours.
        Err(_) => ExitCode::SUCCESS,
    }
}

fn replay(out: &mut impl Write, seed: u64) -> std::io::Result<bool> {
    let outcome = shrink(seed, Planted::None);
    let Some(violation) = &outcome.violation else {
        let told = run(&Plan { seed, tell: true, ..Plan::default() });
        for line in &told.story {
            writeln!(out, "{line}")?;
        }
        writeln!(out, "seed {seed}: no violation")?;
        return Ok(true);
    };
    for line in &outcome.story {
        writeln!(out, "{line}")?;
    }
    writeln!(out, "seed {seed}: {} {}", violation.invariant, violation.what)?;
    writeln!(out, "{} troubles left after shrinking", outcome.injected.len())?;
    Ok(false)
}

fn print_swarm(out: &mut impl Write, from: u64, count: u64, threads: u64) -> std::io::Result<bool> {
    let start = Instant::now();
    let failures = swarm(from, count, threads, Planted::None);
    let seconds = start.elapsed().as_secs_f64();
    match failures.first() {
        None => {
            let rate = count as f64 / seconds / threads as f64;
            writeln!(
                out,
                "{count} seeds from {from}, {threads} threads, {seconds:.1} s: {rate:.0} schedules/s per core, 0 violations"
            )?;
            Ok(true)
        }
        Some(failure) => {
            writeln!(
                out,
                "seed {} fails; `cargo xtask sim --seed {}` replays it",
                failure.seed, failure.seed
            )?;
            replay(out, failure.seed)
        }
    }
}

fn print_exhaustive(out: &mut impl Write, pairs: bool) -> std::io::Result<bool> {
    let start = Instant::now();
    let found = exhaustive(pairs);
    let seconds = start.elapsed().as_secs_f64();
    for (base, script, what) in found.failures.iter().take(20) {
        writeln!(out, "{base} {script}: {what}")?;
    }
    let violations = found.failures.len();
    writeln!(
        out,
        "{} base scenarios, {} singles, {} pairs, {seconds:.1} s: {violations} violations",
        found.scenarios, found.singles, found.pairs
    )?;
    Ok(violations == 0)
}

/// Schedules after which a planted bug counts as missed.
const HUNT_MAX: u64 = 200_000;

fn print_planted(out: &mut impl Write, threads: u64) -> std::io::Result<bool> {
    let mut missed = 0;
    writeln!(out, "{:<22} {:<24} {:>10}  caught by", "bug", "upstream", "schedules")?;
    for planted in Planted::ALL {
        let name = format!("{planted:?}");
        match hunt(*planted, HUNT_MAX, threads) {
            Some((schedules, invariant)) => {
                writeln!(out, "{name:<22} {:<24} {schedules:>10}  {invariant}", planted.id())?;
            }
            None => {
                missed += 1;
                writeln!(out, "{name:<22} {:<24} {:>10}  -", planted.id(), "missed")?;
            }
        }
    }
    writeln!(out, "{} planted bugs, {missed} missed", Planted::ALL.len())?;
    Ok(missed == 0)
}
