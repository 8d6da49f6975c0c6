//! When the next periodic snapshot is due. Knows no clock: the time comes in as an argument.

use crate::configuration::parse_duration_ms;
use crate::cron::Cron;

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

/// Text that is neither a duration nor a cron expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is neither a duration such as `1 h` nor a Quartz cron expression: {reason}")]
pub struct ScheduleError {
    /// The text as given.
    pub text: String,
    /// Why it is no cron expression.
    pub reason: String,
}

impl Schedule {
    /// Reads a schedule: a duration, or a Quartz cron expression of six or seven fields. Blank text and
    /// a duration of zero mean no schedule.
    ///
    /// # Errors
    /// The text is neither.
    pub fn parse(text: &str) -> Result<Option<Self>, ScheduleError> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Ok(None);
        }
        let error = |reason: String| ScheduleError { text: text.to_owned(), reason };
        match parse_duration_ms(trimmed) {
            Ok(0) => Ok(None),
            Ok(interval_ms) if interval_ms > 0 => Ok(Some(Self::Every { interval_ms })),
            Ok(_) => Err(error("the duration is negative".to_owned())),
            Err(_) => Cron::parse(trimmed)
                .map(|_| Some(Self::Cron(trimmed.to_owned())))
                .map_err(|reason| error(reason.to_string())),
        }
    }

    /// The first due time after `last_ms`, both in milliseconds since the epoch; `None` when there is no
    /// further one.
    #[must_use]
    pub fn next_after(&self, last_ms: i64) -> Option<i64> {
        match self {
            Self::Every { interval_ms } => last_ms.checked_add(*interval_ms),
            Self::Cron(expression) => Cron::parse(expression).ok()?.next_after(last_ms),
        }
    }
}
