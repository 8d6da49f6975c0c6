//! Flink configuration: flattening of nested trees, and the syntax of durations and booleans.
//!
//! Refuses to know any key; those that matter to drey are in [`crate::options`].

use std::collections::BTreeMap;

use serde_json::Value;

use crate::number;

/// What is wrong with a configuration tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigurationError {
    /// The tree is not a map.
    #[error("expected a map of configuration keys, found {found}")]
    NotAMap {
        /// What stood there: `a list`, `a string`, …
        found: &'static str,
    },
    /// An entry of a list is a map or a list, which no flat value can express.
    #[error("key `{key}`: expected a list of plain values, found {found} in it")]
    NestedInList {
        /// The flattened key.
        key: String,
        /// What stood in the list.
        found: &'static str,
    },
}

/// A value that does not follow Flink's syntax.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct ValueError {
    /// The value as given.
    pub text: String,
    /// What was expected.
    pub expected: &'static str,
}

/// Flattens a configuration tree: nested keys joined by dots, lists by `;`, scalars written as text.
/// Where two spellings of one key meet (`a.b` and `a: {b: …}`), the later wins.
///
/// # Errors
/// The tree is not a map, or a list holds something other than plain values.
pub fn flatten(tree: &Value) -> Result<BTreeMap<String, String>, ConfigurationError> {
    let mut flat = BTreeMap::new();
    match tree {
        Value::Null => {}
        Value::Object(map) => {
            for (key, value) in map {
                flatten_into(key.clone(), value, &mut flat)?;
            }
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            return Err(ConfigurationError::NotAMap { found: describe(tree) });
        }
    }
    Ok(flat)
}

fn flatten_into(
    key: String,
    value: &Value,
    flat: &mut BTreeMap<String, String>,
) -> Result<(), ConfigurationError> {
    match value {
        Value::Object(map) => {
            for (child, value) in map {
                flatten_into(format!("{key}.{child}"), value, flat)?;
            }
        }
        Value::Array(items) => {
            let texts: Result<Vec<String>, ConfigurationError> = items
                .iter()
                .map(|item| match item {
                    Value::Object(_) | Value::Array(_) => {
                        Err(ConfigurationError::NestedInList { key: key.clone(), found: describe(item) })
                    }
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(text(item)),
                })
                .collect();
            let joined = texts?.join(";");
            flat.insert(key, joined);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            flat.insert(key, text(value));
        }
    }
    Ok(())
}

fn text(scalar: &Value) -> String {
    match scalar {
        Value::String(text) => text.clone(),
        Value::Number(number) => number::text(number),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => scalar.to_string(),
    }
}

fn describe(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

const DURATION: &str = "a duration such as `10 s`, `5 min`, `1 h`, `500 ms` or `PT10S`";

/// Milliseconds of a duration in Flink's syntax: a whole number and a unit (`10s`, `10 s`, `1 min`,
/// `5 m`, `1 h`, `1 d`, `500 ms`), or ISO-8601 (`PT10S`). A bare number is milliseconds. Finer units are
/// rounded down.
///
/// # Errors
/// The text follows neither syntax, or does not fit.
pub fn parse_duration_ms(text: &str) -> Result<i64, ValueError> {
    let error = || ValueError { text: text.to_owned(), expected: DURATION };
    let trimmed = text.trim();
    let digits = trimmed.chars().take_while(char::is_ascii_digit).count();
    if digits == 0 {
        return iso_duration_ms(trimmed).ok_or_else(error);
    }
    let amount: i64 = trimmed[..digits].parse().map_err(|_| error())?;
    let (multiplier, divisor) = duration_unit(trimmed[digits..].trim()).ok_or_else(error)?;
    amount.checked_mul(multiplier).map(|value| value / divisor).ok_or_else(error)
}

/// Factor and divisor that turn an amount of a unit into milliseconds. The words are Flink's; case does
/// not matter, as there.
fn duration_unit(unit: &str) -> Option<(i64, i64)> {
    Some(match unit.to_ascii_lowercase().as_str() {
        "" | "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => (1, 1),
        "d" | "day" | "days" => (86_400_000, 1),
        "h" | "hour" | "hours" => (3_600_000, 1),
        "m" | "min" | "minute" | "minutes" => (60_000, 1),
        "s" | "sec" | "secs" | "second" | "seconds" => (1_000, 1),
        "µs" | "micro" | "micros" | "microsecond" | "microseconds" => (1, 1_000),
        "ns" | "nano" | "nanos" | "nanosecond" | "nanoseconds" => (1, 1_000_000),
        _ => return None,
    })
}

fn iso_duration_ms(text: &str) -> Option<i64> {
    if !text.trim_start_matches(['-', '+']).starts_with(['P', 'p']) {
        return None;
    }
    let span: jiff::SignedDuration = text.parse().ok()?;
    i64::try_from(span.as_millis()).ok()
}

/// A boolean in Flink's syntax: `true` or `false`, in any case.
///
/// # Errors
/// The text is neither.
pub fn parse_boolean(text: &str) -> Result<bool, ValueError> {
    match text.trim().to_ascii_uppercase().as_str() {
        "TRUE" => Ok(true),
        "FALSE" => Ok(false),
        _ => Err(ValueError { text: text.to_owned(), expected: "`true` or `false`" }),
    }
}

/// The first of some keys that is set, with its value; keys stand in Flink's order of preference, the
/// present name before deprecated ones.
#[must_use]
pub fn first_of<'a>(
    configuration: &'a BTreeMap<String, String>,
    keys: &[&str],
) -> Option<(&'a str, &'a str)> {
    keys.iter()
        .find_map(|key| configuration.get_key_value(*key))
        .map(|(key, value)| (key.as_str(), value.as_str()))
}
