//! How long a container that keeps ending waits for its next start. It refuses to know the clock.

use std::time::Duration;

/// Times between restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartTimes {
    /// Before the second restart; the first comes at once.
    pub initial: Duration,
    /// The longest.
    pub longest: Duration,
    /// A container that ran for so long begins anew.
    pub forgiven_after: Duration,
}

impl Default for RestartTimes {
    /// Those of a kubelet: 10 s, doubled to 300 s, forgiven after 600 s.
    fn default() -> RestartTimes {
        RestartTimes {
            initial: Duration::from_secs(10),
            longest: Duration::from_secs(300),
            forgiven_after: Duration::from_secs(600),
        }
    }
}

/// The restarts of one container.
#[derive(Debug)]
pub(crate) struct BackOff {
    times: RestartTimes,
    next: Duration,
}

impl BackOff {
    pub(crate) fn new(times: RestartTimes) -> BackOff {
        BackOff { times, next: Duration::ZERO }
    }

    /// How long to wait now, given how long it ran.
    pub(crate) fn wait(&mut self, ran: Duration) -> Duration {
        if ran >= self.times.forgiven_after {
            self.next = Duration::ZERO;
        }
        let wait = self.next;
        self.next = if wait.is_zero() { self.times.initial } else { (wait * 2).min(self.times.longest) };
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_come_later_and_later_until_one_lasts() {
        let mut back_off = BackOff::new(RestartTimes::default());
        let second = Duration::from_secs(1);
        let waits: Vec<u64> = (0..8).map(|_| back_off.wait(second).as_secs()).collect();
        assert_eq!(waits, [0, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(back_off.wait(Duration::from_secs(601)), Duration::ZERO);
        assert_eq!(back_off.wait(second).as_secs(), 10);
    }
}
