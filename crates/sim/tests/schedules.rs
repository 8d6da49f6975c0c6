//! The simulator as a test: swarms, every single crash point, planted bugs, and the schedules that once failed.

use drey_api::kinds::UpgradeMode;
use drey_sim::planted::Planted;
use drey_sim::schedule::{Base, Plan, run, run_scripted};
use drey_sim::search::{exhaustive, hunt, swarm};
use drey_sim::user::Edit;

/// Schedules of the swarm that run with every change. `cargo xtask sim --seeds N` runs more.
const SWARM: u64 = 100_000;
/// Schedules within which each planted bug has to be caught.
const HUNT: u64 = 200_000;

fn threads() -> u64 {
    std::thread::available_parallelism().map_or(1, |count| count.get() as u64)
}

fn holds(seed: u64) {
    let outcome = run(&Plan { seed, ..Plan::default() });
    assert_eq!(outcome.violation, None, "`cargo xtask sim --seed {seed}` tells the story");
}

#[test]
fn a_swarm_of_seeds_breaks_nothing() {
    let failures = swarm(0, SWARM, threads(), Planted::None);
    let first = failures.first().map(|failure| (failure.seed, failure.outcome.violation.clone()));
    assert_eq!(first, None, "`cargo xtask sim --seed N` tells the story");
}

#[test]
fn every_effect_may_crash_be_lost_or_be_refused_once() {
    let found = exhaustive(false);
    assert!(found.singles > 5_000, "{} schedules are too few", found.singles);
    assert_eq!(found.failures, Vec::new());
}

#[test]
fn the_same_seed_is_the_same_story() {
    for seed in [3, 14, 159, 2_653] {
        let tell = || run(&Plan { seed, tell: true, ..Plan::default() }).story;
        assert_eq!(tell(), tell());
    }
}

#[test]
fn planted_bugs_are_caught() {
    let missed: Vec<_> =
        Planted::ALL.iter().filter(|planted| hunt(**planted, HUNT, threads()).is_none()).collect();
    assert!(missed.is_empty(), "not caught: {missed:?}");
}

#[test]
fn a_reactive_job_is_scaled_and_goes_on_as_it_is() {
    let told = |standalone| {
        let base = Base {
            mode: UpgradeMode::Savepoint,
            high_availability: true,
            edit: Edit::Parallelism,
            from_running: true,
            standalone,
        };
        let outcome = run_scripted(&base, &[], true);
        assert_eq!(outcome.violation, None);
        let count = |words: &str| outcome.story.iter().filter(|line| line.contains(words)).count();
        (count(" gets 2 TaskManagers"), count("is created"))
    };
    assert_eq!(told(true), (1, 1), "one cluster, scaled once");
    assert_eq!(told(false), (0, 2), "a native one is made anew");
}

/// An answer about an earlier savepoint was taken for the answer about the present stop.
#[test]
fn stale_answer_of_an_earlier_operation() {
    holds(485);
}

/// A last-state run was cancelled before it had restored, and Flink knew of no checkpoint.
#[test]
fn cancelled_before_it_restored() {
    holds(596);
}

/// A JobManager that had restarted named an older checkpoint than the savepoint on record.
#[test]
fn savepoint_forgotten_by_a_restarted_jobmanager() {
    holds(1_616);
}

/// A rolled back job counted as suspended, and its cluster as expired.
#[test]
fn rolled_back_is_not_suspended() {
    holds(499);
}

/// A cluster that was still starting ran its job after it had been looked at for the last time.
#[test]
fn starting_is_not_never_ran() {
    holds(2_353);
}

/// The stop's answer was lost with the JobManager, which did not know the ended job any more.
#[test]
fn stop_answer_lost_with_the_jobmanager() {
    holds(1_679);
}

/// A cancelled job was forgotten before anybody saw it cancelled.
#[test]
fn cancelled_and_forgotten() {
    holds(2_226);
}

/// A schedule of savepoints that was always due never let one be disposed of.
#[test]
fn history_of_a_busy_schedule_stays_short() {
    holds(6);
}

/// A cancelled job was forgotten, its JobManager ended with it, and the next spec waited for a RUNNING job.
#[test]
fn ended_unseen_with_its_jobmanager() {
    holds(199_931);
}

/// The status was lost, high availability could not be read, and the job was started from nothing.
#[test]
fn lost_status_and_unreadable_store() {
    holds(129_593);
}

/// A JobManager that was just restarting did not know its job, and the resource was deleted without its savepoint.
#[test]
fn deleted_while_the_jobmanager_restarts() {
    holds(5_588);
}

/// A cluster was made by half, and then edited: the stop waited for a JobManager that could not come up.
#[test]
fn edited_while_made_by_half() {
    holds(85);
}

/// What is missing was created from the record of an adopted cluster, which does not know what that was made from.
#[test]
fn adopted_and_made_by_half() {
    holds(603);
}

/// A deletion with a savepoint waited for a JobManager whose ConfigMap somebody had deleted.
#[test]
fn deleted_with_a_part_missing() {
    holds(6_721);
}

/// A last-state start was made by half, and then the version changed.
#[test]
fn version_changed_while_made_by_half() {
    holds(59_409);
    holds(85_831);
}

/// A JobManager of a cluster that was made by half and is going away does not come up.
#[test]
fn taken_down_while_made_by_half() {
    holds(95_623);
}

/// What a cluster lacked was not made, since the spec before the last edit was due for a rollback that an upgrade never
/// does.
#[test]
fn what_is_missing_is_made_in_the_middle_of_an_upgrade() {
    holds(827_467);
}
