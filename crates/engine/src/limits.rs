//! Every bound that the engine puts on time, concurrency and size, in one place. The defaults are what a cluster
//! with some thousands of resources needs; tests shorten the times.

use std::time::Duration;

use tokio::time::Instant;

/// Bounds of one engine.
#[derive(Clone, Debug)]
pub struct Limits {
    /// How many resources are stepped at the same time.
    pub steps_max: usize,
    /// How long one request to the API server may take.
    pub request_timeout: Duration,
    /// How long one look of a launcher may take before it counts as unknown.
    pub look_timeout: Duration,
    /// How long an action on Flink or on single Kubernetes objects may take.
    pub action_timeout: Duration,
    /// How long creating or deleting a cluster may take.
    pub launch_timeout: Duration,
    /// First delay after a step that failed; doubled with every further failure.
    pub retry_delay: Duration,
    /// Longest delay after a step that failed.
    pub retry_delay_max: Duration,
    /// How old a look at a cluster may be while something is under way.
    pub look_age_fast: Duration,
    /// How old a look at a cluster may be at rest. Launchers announce changes; this heals a lost announcement.
    pub look_age_slow: Duration,
    /// How often at least a resource at rest is stepped although nothing about it has changed. Every change of what is
    /// known is a step of its own, and so is every moment that a decision waits for; this only heals what should not
    /// be. [`drey_core::Policy::rest_interval_ms`] counts when it is longer.
    pub rest_heartbeat: Duration,
    /// How many objects one page of a list holds.
    pub list_page: u32,
    /// After how long the API server is asked to end a watch, which is then opened anew; whole seconds.
    pub watch_timeout: Duration,
    /// How long after that an open watch is believed to be alive.
    pub watch_grace: Duration,
    /// How long a scope may be silent before its watch counts as blind, longer than the watches themselves take to
    /// find that out: `silent_watches_max` of them, and a new list.
    pub blind_after: Duration,
    /// How long the API server may refuse lists and watches before the engine counts as not ready.
    pub refused_after: Duration,
    /// How many watches in a row may end without a single message before everything is listed again.
    pub silent_watches_max: u32,
    /// First delay after a list or watch that failed; doubled up to `watch_retry_max`.
    pub watch_retry: Duration,
    /// Longest delay after a list or watch that failed.
    pub watch_retry_max: Duration,
    /// Bounds of polling.
    pub poll: PollLimits,
    /// How many events may wait to be sent; more are dropped and counted.
    pub events_queue_max: usize,
    /// Longest message of an event, bytes.
    pub event_message_bytes_max: usize,
    /// How long steps and actions may go on after the engine was told to end.
    pub shutdown_grace: Duration,
}

/// Bounds of polling JobManagers.
#[derive(Clone, Debug)]
pub struct PollLimits {
    /// How many JobManagers that answer in time are asked at the same moment.
    pub prompt_max: usize,
    /// How many slow or silent JobManagers are asked at the same moment, beside the prompt ones.
    pub suspect_max: usize,
    /// How long a JobManager may take before it no longer counts among the prompt ones.
    pub patience: Duration,
    /// How long a single call may take.
    pub call_timeout: Duration,
    /// Shortest interval: the first looks after a change.
    pub fast_min: Duration,
    /// Interval while something has been under way for long.
    pub fast_max: Duration,
    /// Interval at rest, for a small number of JobManagers.
    pub slow_min: Duration,
    /// Interval at rest, for a large number of JobManagers.
    pub slow_max: Duration,
    /// How many polls a second all JobManagers at rest may cost together; the interval at rest grows with their
    /// number up to `slow_max`.
    pub slow_per_second: u32,
    /// JobManagers at rest whose turn comes within so long of each other are asked together: waking up costs more
    /// than asking.
    pub slow_grid: Duration,
    /// Longest interval for a JobManager that does not answer, when nothing is under way.
    pub suspect_interval_max: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            steps_max: 32,
            request_timeout: Duration::from_secs(30),
            look_timeout: Duration::from_secs(15),
            action_timeout: Duration::from_secs(20),
            launch_timeout: Duration::from_secs(120),
            retry_delay: Duration::from_millis(500),
            retry_delay_max: Duration::from_secs(300),
            look_age_fast: Duration::from_secs(2),
            look_age_slow: Duration::from_secs(300),
            rest_heartbeat: Duration::from_secs(600),
            list_page: 250,
            watch_timeout: Duration::from_secs(55),
            watch_grace: Duration::from_secs(5),
            blind_after: Duration::from_secs(240),
            refused_after: Duration::from_secs(20),
            silent_watches_max: 2,
            watch_retry: Duration::from_millis(500),
            watch_retry_max: Duration::from_secs(30),
            poll: PollLimits::default(),
            events_queue_max: 4_096,
            event_message_bytes_max: 4_096,
            shutdown_grace: Duration::from_secs(10),
        }
    }
}

impl Default for PollLimits {
    fn default() -> PollLimits {
        PollLimits {
            prompt_max: 64,
            suspect_max: 64,
            patience: Duration::from_millis(500),
            call_timeout: Duration::from_secs(10),
            fast_min: Duration::from_millis(250),
            fast_max: Duration::from_secs(2),
            slow_min: Duration::from_secs(10),
            slow_max: Duration::from_secs(60),
            slow_per_second: 50,
            slow_grid: Duration::from_millis(500),
            suspect_interval_max: Duration::from_secs(30),
        }
    }
}

/// Doubles `first` `times` times, bounded by `max`, and takes off up to a fifth of it, by a hash of `seed`, so that
/// what failed together is not repeated together.
pub(crate) fn backed_off(first: Duration, max: Duration, times: u32, seed: u64) -> Duration {
    let doubled = first.saturating_mul(2_u32.saturating_pow(times.min(24)));
    jittered(doubled.min(max), seed.wrapping_add(u64::from(times)))
}

/// Between four and five fifths of `delay`, by a hash of `seed`: the same for the same seed.
pub(crate) fn jittered(delay: Duration, seed: u64) -> Duration {
    let mixed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (seed >> 29);
    let thousandths = 800 + u32::try_from((mixed >> 32) % 201).unwrap_or(0);
    delay / 1_000 * thousandths
}

/// The first moment at or after `at` that lies a whole number of `grid` after `origin`.
pub(crate) fn on_grid(at: Instant, origin: Instant, grid: Duration) -> Instant {
    let past = at.saturating_duration_since(origin).as_nanos();
    let over = past.checked_rem(grid.as_nanos()).unwrap_or(0);
    match u64::try_from(over) {
        Ok(over) if over > 0 => at + (grid - Duration::from_nanos(over)),
        Ok(_) | Err(_) => at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_their_bound_and_never_beyond() {
        let (first, max) = (Duration::from_millis(500), Duration::from_secs(300));
        let mut previous = Duration::ZERO;
        for times in 0..8 {
            let delay = backed_off(first, max, times, 7);
            assert!(delay > previous && delay <= max, "{times}: {delay:?}");
            previous = delay;
        }
        for times in [20, 40, u32::MAX] {
            let delay = backed_off(first, max, times, 7);
            assert!(delay >= max / 5 * 4 && delay <= max, "{times}: {delay:?}");
        }
    }

    #[test]
    fn moments_on_a_grid_are_never_earlier_and_less_than_one_step_later() {
        let (origin, grid) = (Instant::now(), Duration::from_millis(500));
        for (at_ms, expected_ms) in [(0, 0), (1, 500), (499, 500), (500, 500), (501, 1_000)] {
            let at = origin + Duration::from_millis(at_ms);
            assert_eq!(on_grid(at, origin, grid), origin + Duration::from_millis(expected_ms), "{at_ms}");
            assert_eq!(on_grid(at, origin, Duration::ZERO), at);
        }
    }

    #[test]
    fn jitter_is_repeatable_and_spreads() {
        let delay = Duration::from_secs(10);
        assert_eq!(jittered(delay, 3), jittered(delay, 3));
        let different: std::collections::HashSet<Duration> =
            (0..100).map(|seed| jittered(delay, seed)).collect();
        assert!(different.len() > 50, "{}", different.len());
    }
}
