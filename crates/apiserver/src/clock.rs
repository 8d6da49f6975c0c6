//! The time that goes into `creationTimestamp`, `deletionTimestamp` and event expiry.
//!
//! It refuses to know about timers: how long a watch or a wait lasts is tokio's time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where the server takes "now" from. Clones share the same time.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    source: Source,
}

#[derive(Clone, Debug, Default)]
enum Source {
    #[default]
    System,
    Tokio {
        start_ms: i64,
        start: tokio::time::Instant,
    },
    Settable(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Clock {
        Clock { source: Source::System }
    }

    /// A clock that reads `start_ms` (milliseconds since 1970) now and then advances with tokio's time, so
    /// that a test with paused time sees timestamps move together with its timers.
    pub fn tokio(start_ms: i64) -> Clock {
        Clock { source: Source::Tokio { start_ms, start: tokio::time::Instant::now() } }
    }

    /// A clock that stands at `now_ms` (milliseconds since 1970) until [`Clock::set_ms`] moves it.
    pub fn settable(now_ms: i64) -> Clock {
        Clock { source: Source::Settable(Arc::new(AtomicI64::new(now_ms))) }
    }

    /// Moves a settable clock, for every clone of it. Other clocks cannot be moved and ignore the call.
    pub fn set_ms(&self, now_ms: i64) {
        match &self.source {
            Source::Settable(value) => value.store(now_ms, Ordering::SeqCst),
            Source::System | Source::Tokio { .. } => {}
        }
    }

    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        match &self.source {
            Source::System => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
            Source::Tokio { start_ms, start } => {
                start_ms.saturating_add(i64::try_from(start.elapsed().as_millis()).unwrap_or(i64::MAX))
            }
            Source::Settable(value) => value.load(Ordering::SeqCst),
        }
    }

    /// Now as Kubernetes writes `metav1.Time`: RFC 3339, whole seconds, `Z`.
    pub(crate) fn now_text(&self) -> String {
        seconds_text(self.now_ms().div_euclid(1000))
    }
}

/// Seconds since 1970 as `2026-11-21T10:00:00Z`.
pub(crate) fn seconds_text(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
}

/// Milliseconds since 1970 of an RFC 3339 text; `None` when it is not one.
pub(crate) fn parse_ms(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_whole_seconds() {
        let clock = Clock::settable(1_795_255_200_999);
        assert_eq!(clock.now_text(), "2026-11-21T10:00:00Z");
        assert_eq!(parse_ms("2026-11-21T10:00:00Z"), Some(1_795_255_200_000));
        assert_eq!(parse_ms("yesterday"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn tokio_clock_follows_paused_time() {
        let clock = Clock::tokio(1_000);
        tokio::time::advance(std::time::Duration::from_secs(5)).await;
        assert_eq!(clock.now_ms(), 6_000);
    }
}
