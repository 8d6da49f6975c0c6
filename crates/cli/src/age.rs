//! Times as people read them: the age of an object in the short form of `kubectl`. Refuses to read a
//! clock; now is an argument.

use jiff::Timestamp;

/// The time from `then` to `now` in the short form of `kubectl get`: `45s`, `3m12s`, `2h5m`, `3d4h`.
/// A time in the future counts as `0s`.
#[must_use]
pub fn since(then: Timestamp, now: Timestamp) -> String {
    short(now.as_second() - then.as_second())
}

/// A number of seconds in the short form of `kubectl get`. Negative counts as 0.
#[must_use]
pub fn short(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    if seconds < 120 {
        format!("{seconds}s")
    } else if minutes < 10 {
        two(minutes, "m", seconds % 60, "s")
    } else if minutes < 180 {
        format!("{minutes}m")
    } else if hours < 8 {
        two(hours, "h", minutes % 60, "m")
    } else if hours < 48 {
        format!("{hours}h")
    } else if days < 8 {
        two(days, "d", hours % 24, "h")
    } else if days < 730 {
        format!("{days}d")
    } else {
        two(days / 365, "y", days % 365, "d")
    }
}

fn two(large: i64, large_unit: &str, small: i64, small_unit: &str) -> String {
    if small == 0 {
        format!("{large}{large_unit}")
    } else {
        format!("{large}{large_unit}{small}{small_unit}")
    }
}

/// The age of something that carries an RFC 3339 time; `<unknown>` when it cannot be read.
#[must_use]
pub fn since_text(then: Option<&str>, now: Timestamp) -> String {
    then.and_then(|text| text.parse::<Timestamp>().ok())
        .map_or_else(|| "<unknown>".to_owned(), |then| since(then, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_as_those_of_kubectl() {
        let expected = [
            (-5, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (192, "3m12s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (11_100, "3h5m"),
            (28_800, "8h"),
            (172_800, "2d"),
            (187_200, "2d4h"),
            (691_200, "8d"),
            (63_072_000, "2y"),
        ];
        for (seconds, text) in expected {
            assert_eq!(short(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn a_broken_time_is_unknown() {
        assert_eq!(since_text(Some("yesterday"), Timestamp::UNIX_EPOCH), "<unknown>");
        assert_eq!(since_text(Some("1970-01-01T00:00:00Z"), Timestamp::UNIX_EPOCH), "0s");
    }
}
