//! Random upgrades of the ledger job with kills at random moments, for as long as is asked. In the end:
//! nothing missing, nothing repeated, everything STABLE.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::kills::Victim;
use crate::laptop::Laptop;
use crate::ledger_job::{LedgerJob, NAME, must_be_whole};
use crate::place::Place;
use crate::random::Random;
use crate::story::{STABLE_TIMEOUT, Story};

/// The longest wait between an edit and a kill, milliseconds.
const KILL_DELAY_MS_MAX: u64 = 12_000;
/// Kills in one round.
const KILLS_PER_ROUND_MAX: u64 = 4;
/// Least kills for each minute that is asked for.
const KILLS_PER_MINUTE: u64 = 3;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The binary
    #[arg(long)]
    drey: PathBuf,
    /// The jar of the examples
    #[arg(long)]
    jar: PathBuf,
    /// Minor version of Flink
    #[arg(long, default_value = "1.20")]
    flink: String,
    /// How long
    #[arg(long, default_value_t = 20)]
    minutes: u64,
    /// Seed of all choices
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs the soak.
pub(crate) fn run(args: &Args) -> Result<()> {
    let temporary = tempfile::tempdir()?;
    let laptop = Laptop::new(&args.drey, &temporary.path().join("work"))?;
    let output = laptop.directory().join("ledger-output");
    let mut story =
        Story::new(laptop, LedgerJob::new(&args.flink, &std::fs::canonicalize(&args.jar)?, output));
    let outcome = soak(&mut story, args);
    if outcome.is_err() {
        eprintln!("kept for a look: {}", temporary.keep().display());
    }
    outcome
}

fn soak(story: &mut Story<Laptop>, args: &Args) -> Result<()> {
    let mut random = Random::new(args.seed);
    story.place.up()?;
    story.apply()?;
    story.settled()?;
    let began = Instant::now();
    let duration = Duration::from_secs(60 * args.minutes);
    let wanted = KILLS_PER_MINUTE * args.minutes;
    let (mut rounds, mut kills) = (0, 0);
    while began.elapsed() < duration || kills < wanted {
        rounds += 1;
        let edit = edit(story, &mut random)?;
        let in_round = 1 + random.below(KILLS_PER_ROUND_MAX);
        let mut hit = Vec::new();
        for _ in 0..in_round {
            std::thread::sleep(Duration::from_millis(random.below(KILL_DELAY_MS_MAX)));
            let victim = *random.pick(Victim::ALL);
            if story.place.kill(victim)? > 0 {
                kills += 1;
                hit.push(format!("{victim:?}"));
            }
        }
        let settling = Instant::now();
        story.settled()?;
        println!(
            "{:>5} s  round {rounds}: {edit}; killed {}; stable and whole after {:.1} s",
            began.elapsed().as_secs(),
            if hit.is_empty() { "nothing".to_owned() } else { hit.join(", ") },
            settling.elapsed().as_secs_f64()
        );
    }
    finish(story, rounds, kills)
}

fn finish(story: &mut Story<Laptop>, rounds: u64, kills: u64) -> Result<()> {
    story.place.wait(NAME, "stable", STABLE_TIMEOUT)?;
    let state = story.text("/status/lifecycleState")?.unwrap_or_default();
    ensure!(state == "STABLE", "the deployment is {state}");
    story.place.down(&[])?;
    let report = story.job.report()?;
    println!("{rounds} upgrades, {kills} kills: {report}");
    must_be_whole(&report)?;
    story.place.down(&["--purge"])
}

/// One random edit of the job, applied.
fn edit(story: &mut Story<Laptop>, random: &mut Random) -> Result<&'static str> {
    story.job.upgrade_mode = *random.pick(&["savepoint", "last-state"]);
    let what = match random.below(3) {
        0 => {
            story.job.parallelism = 3 - story.job.parallelism;
            "parallelism"
        }
        1 => {
            story.job.rate = 150 + u32::try_from(random.below(200)).expect("below 200");
            "arguments"
        }
        _ => {
            story.job.restart_nonce = Some(story.job.restart_nonce.unwrap_or(0) + 1);
            "restart"
        }
    };
    story.apply()?;
    Ok(match (what, story.job.upgrade_mode) {
        ("parallelism", "savepoint") => "parallelism by savepoint",
        ("parallelism", _) => "parallelism by last-state",
        ("arguments", "savepoint") => "arguments by savepoint",
        ("arguments", _) => "arguments by last-state",
        (_, "savepoint") => "restart by savepoint",
        (_, _) => "restart by last-state",
    })
}
