//! When a process of a cluster is started again, and what is said of the cluster meanwhile. Pure: time and
//! evidence come in as values.
//!
//! ```text
//!   started ──► running ──exit──► waiting (1 s, 2 s, 4 s … 60 s) ──► started
//!                  └────exit with the job over──► resting: never again
//! ```
//! It refuses to know processes, files and Flink's interface.

use drey_core::observed::ClusterPhase;

use crate::limits;

/// The attempts to keep one process running.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attempts {
    /// Exits in a row, none of them after a healthy while.
    pub(crate) quick_exits: u32,
    /// When it may be started next, milliseconds since the epoch.
    pub(crate) not_before_ms: i64,
    /// Why it last ended.
    pub(crate) last_exit: Option<String>,
}

impl Attempts {
    /// Takes note of an exit.
    pub(crate) fn exited(&mut self, started_at_ms: i64, now_ms: i64, why: String) {
        let healthy = now_ms - started_at_ms >= limits::HEALTHY_AFTER_MS;
        self.quick_exits = if healthy { 1 } else { self.quick_exits.saturating_add(1) };
        self.not_before_ms = now_ms + restart_delay_ms(self.quick_exits);
        self.last_exit = Some(why);
    }

    /// Whether it may be started now.
    pub(crate) fn due(&self, now_ms: i64) -> bool {
        // A clock that was set back must not hold a start up for longer than the longest wait.
        now_ms >= self.not_before_ms || self.not_before_ms - now_ms > limits::RESTART_DELAY_MS_MAX
    }

    /// It has been healthy for a while: earlier exits are forgotten.
    pub(crate) fn healthy(&mut self, started_at_ms: i64, now_ms: i64) {
        if now_ms - started_at_ms >= limits::HEALTHY_AFTER_MS {
            *self = Attempts::default();
        }
    }
}

fn restart_delay_ms(quick_exits: u32) -> i64 {
    let doublings = quick_exits.saturating_sub(1).min(16);
    (limits::RESTART_DELAY_MS << doublings).min(limits::RESTART_DELAY_MS_MAX)
}

/// What is known of a JobManager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JobManagerView<'a> {
    /// What a start needs could not be got, as (reason, message).
    pub(crate) unprepared: Option<&'a (String, String)>,
    /// Its process is alive.
    pub(crate) running: bool,
    /// It has answered since it was started.
    pub(crate) answered: bool,
    /// A JobManager of this incarnation has answered.
    pub(crate) ever_available: bool,
    /// Its process is gone and the job has a result.
    pub(crate) job_over: bool,
    /// The attempts so far.
    pub(crate) attempts: &'a Attempts,
}

/// How far the JobManager came, in the words of a Kubernetes Deployment where it has them.
pub(crate) fn phase(view: &JobManagerView<'_>) -> ClusterPhase {
    if view.running && view.answered {
        return ClusterPhase::Available;
    }
    if let Some((reason, message)) = view.unprepared {
        return failing(reason, message.clone());
    }
    let cause = view.attempts.last_exit.clone().unwrap_or_default();
    if view.job_over {
        return failing(
            "JobManagerTerminated",
            format!("the job is over and its JobManager is gone: {cause}"),
        );
    }
    // One that never came up fails the same way again; one that did is given some attempts to come back.
    let exits_max = if view.ever_available { limits::QUICK_EXITS_MAX } else { 1 };
    if view.attempts.quick_exits >= exits_max {
        return failing("CrashLoopBackOff", cause);
    }
    ClusterPhase::Starting
}

fn failing(reason: &str, message: String) -> ClusterPhase {
    ClusterPhase::Failing { reason: reason.to_owned(), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_slow_down_to_a_bound_and_begin_anew_after_a_healthy_while() {
        let mut attempts = Attempts::default();
        assert!(attempts.due(0));
        let mut delays = Vec::new();
        for _ in 0..8 {
            attempts.exited(1_000, 1_100, "x".to_owned());
            delays.push(attempts.not_before_ms - 1_100);
        }
        assert_eq!(delays, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
        assert!(!attempts.due(2_000));
        assert!(attempts.due(61_100));
        attempts.exited(100_000, 200_000, "x".to_owned());
        assert_eq!((attempts.quick_exits, attempts.not_before_ms), (1, 201_000));
        attempts.healthy(201_000, 202_000);
        assert_eq!(attempts.quick_exits, 1);
        attempts.healthy(201_000, 262_000);
        assert_eq!(attempts, Attempts::default());
    }

    #[test]
    fn a_clock_set_back_does_not_stop_restarts() {
        let mut attempts = Attempts::default();
        attempts.exited(1_000_000, 1_000_000, "x".to_owned());
        assert!(attempts.due(0));
    }

    #[test]
    fn phases() {
        let none = Attempts::default();
        let mut exited = Attempts::default();
        exited.exited(0, 1, "cause".to_owned());
        let base = JobManagerView {
            unprepared: None,
            running: true,
            answered: false,
            ever_available: false,
            job_over: false,
            attempts: &none,
        };
        let reason = |view: &JobManagerView<'_>| match phase(view) {
            ClusterPhase::Starting => "Starting".to_owned(),
            ClusterPhase::Available => "Available".to_owned(),
            ClusterPhase::Failing { reason, message } => format!("{reason}: {message}"),
        };
        assert_eq!(reason(&base), "Starting");
        assert_eq!(
            reason(&JobManagerView { answered: true, attempts: &exited, ..base.clone() }),
            "Available"
        );
        let down = JobManagerView { running: false, attempts: &exited, ..base.clone() };
        assert_eq!(reason(&down), "CrashLoopBackOff: cause");
        assert_eq!(reason(&JobManagerView { ever_available: true, ..down.clone() }), "Starting");
        let over = JobManagerView { job_over: true, ..down };
        assert!(reason(&over).starts_with("JobManagerTerminated"));
        let unprepared = ("JavaNotFound".to_owned(), "no Java".to_owned());
        assert_eq!(
            reason(&JobManagerView { unprepared: Some(&unprepared), ..base }),
            "JavaNotFound: no Java"
        );
    }
}
