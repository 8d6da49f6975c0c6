//! Reads the scalars of Flink's answers, which differ in form between versions.
//!
//! Numbers come as numbers or as text, and "not yet" comes as -1, as null or as nothing. This module
//! refuses to guess: text that is no number is an error.

use std::fmt;

use serde::de::{Deserializer, Error, Visitor};

struct Integer;

impl Visitor<'_> for Integer {
    type Value = Option<i64>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an integer, or text that holds one")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Some(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        i64::try_from(value).map(Some).map_err(|_| E::custom(format_args!("{value} is too large")))
    }

    #[expect(clippy::cast_possible_truncation, reason = "the value is whole and within 2^53")]
    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
        if value.fract() == 0.0 && value.abs() <= EXACT_MAX {
            return Ok(Some(value as i64));
        }
        Err(E::custom(format_args!("{value} is not an integer")))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        let wrong = || E::custom(format_args!("`{}` is not an integer", crate::limits::shorten(text, 64)));
        text.trim().parse().map(Some).map_err(|_| wrong())
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// An integer that may be null or, with `#[serde(default)]`, missing.
pub(super) fn optional_integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    deserializer.deserialize_any(Integer)
}

/// An integer that must be there.
pub(super) fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    optional_integer(deserializer)?.ok_or_else(|| D::Error::custom("an integer is expected, not null"))
}

/// A count or a size: absent, null and negative read as 0, since Flink writes -1 for "not known yet".
pub(super) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    Ok(optional_integer(deserializer)?.and_then(|value| u64::try_from(value).ok()).unwrap_or(0))
}

/// An identifier counted by Flink, such as a checkpoint's: it must be there and not negative.
pub(super) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let value = integer(deserializer)?;
    u64::try_from(value).map_err(|_| D::Error::custom(format_args!("{value} is negative")))
}

/// A time in milliseconds since 1970, where -1, 0 and null mean "not yet".
pub(super) fn time_ms<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Ok(optional_integer(deserializer)?.filter(|value| *value > 0))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    struct Probe {
        #[serde(default, deserialize_with = "super::count")]
        count: u64,
        #[serde(default, deserialize_with = "super::time_ms")]
        time_ms: Option<i64>,
        #[serde(deserialize_with = "super::number")]
        id: u64,
    }

    fn read(text: &str) -> Result<(u64, Option<i64>, u64), String> {
        serde_json::from_str::<Probe>(text)
            .map(|probe| (probe.count, probe.time_ms, probe.id))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn numbers_come_in_every_form() {
        assert_eq!(read(r#"{"count":3,"time_ms":5,"id":7}"#), Ok((3, Some(5), 7)));
        assert_eq!(read(r#"{"count":"3","time_ms":"5","id":" 7 "}"#), Ok((3, Some(5), 7)));
        assert_eq!(read(r#"{"count":3.0,"time_ms":-1,"id":7.0}"#), Ok((3, None, 7)));
        assert_eq!(read(r#"{"count":null,"time_ms":null,"id":0}"#), Ok((0, None, 0)));
        assert_eq!(read(r#"{"count":-1,"id":7,"new":{"a":[1]}}"#), Ok((0, None, 7)));
    }

    #[test]
    fn what_is_no_number_is_an_error_that_says_so() {
        for (text, word) in [
            (r#"{"id":"seven"}"#, "`seven` is not an integer"),
            (r#"{"id":1.5}"#, "1.5 is not an integer"),
            (r#"{"id":-1}"#, "negative"),
            (r#"{"id":null}"#, "not null"),
            (r#"{"id":18446744073709551615}"#, "too large"),
            (r#"{"id":[1]}"#, "an integer, or text"),
            (r#"{}"#, "missing field `id`"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
