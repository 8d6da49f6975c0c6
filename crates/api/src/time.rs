//! Moments as Kubernetes spells them. Refuses to know what time it is.

use jiff::Timestamp;

/// Writes milliseconds since the epoch as an RFC 3339 time in UTC with whole seconds, as Kubernetes does.
#[must_use]
pub fn format_rfc3339_ms(epoch_ms: i64) -> String {
    Timestamp::from_second(epoch_ms.div_euclid(1_000)).unwrap_or(Timestamp::MIN).to_string()
}

/// Reads an RFC 3339 time as milliseconds since the epoch; `None` when it is not one.
#[must_use]
pub fn parse_rfc3339_ms(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_seconds_survive_and_nanoseconds_are_read() {
        assert_eq!(format_rfc3339_ms(1_795_257_512_000), "2026-11-21T10:38:32Z");
        assert_eq!(parse_rfc3339_ms("2026-11-21T10:38:32Z"), Some(1_795_257_512_000));
        assert_eq!(parse_rfc3339_ms("2026-11-21T10:38:35.359828655Z"), Some(1_795_257_515_359));
        assert_eq!(parse_rfc3339_ms("yesterday"), None);
    }
}
