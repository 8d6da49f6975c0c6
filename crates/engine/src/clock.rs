//! The only door to the wall clock. Everything that is written to a resource takes its time from here; how long
//! the engine itself waits is measured by tokio's own clock, which tests may pause.

use drey_core::Now;
use tokio::time::Instant;

/// Tells the wall-clock time.
pub trait Clock: Send + Sync + 'static {
    /// The moment, milliseconds since the Unix epoch.
    fn now(&self) -> Now;
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Now {
        Now(jiff::Timestamp::now().as_millisecond())
    }
}

/// A wall clock that moves with tokio's: paused when that is paused.
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    origin_ms: i64,
    started: Instant,
}

impl TokioClock {
    /// A clock that shows `origin_ms` (milliseconds since the Unix epoch) now.
    #[must_use]
    pub fn starting_at(origin_ms: i64) -> TokioClock {
        TokioClock { origin_ms, started: Instant::now() }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Now {
        let elapsed_ms = i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX);
        Now(self.origin_ms.saturating_add(elapsed_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn the_tokio_clock_stands_still_while_tokio_does() {
        let clock = TokioClock::starting_at(1_000);
        assert_eq!(clock.now(), Now(1_000));
        tokio::time::advance(Duration::from_millis(250)).await;
        assert_eq!(clock.now(), Now(1_250));
    }
}
