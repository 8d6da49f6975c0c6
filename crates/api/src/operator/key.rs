//! What is said of one configuration key. Refuses to know any particular one; those are in [`super::keys`].

use std::fmt;

use crate::configuration::{parse_boolean, parse_duration_ms};
use crate::schedule::Schedule;

/// What all keys of the operator begin with.
pub const PREFIX: &str = "kubernetes.operator.";

/// One configuration key of the operator, or a family of keys that share a beginning.
#[derive(Debug)]
pub struct Key {
    /// The present name, then deprecated ones. A name that ends in `*` stands for every key that begins so.
    pub names: &'static [&'static str],
    /// What a value looks like.
    pub value: ValueType,
    /// Upstream's default; `None` for none.
    pub default: Option<&'static str>,
    /// Where it is set, and when a new value takes effect.
    pub scope: Scope,
    /// What drey does with it.
    pub treatment: Treatment,
}

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer,
    /// A number with a fraction.
    Number,
    /// A duration that is not negative.
    Duration,
    /// A duration, where a negative one means off.
    SignedDuration,
    /// A duration or a Quartz cron expression.
    Schedule,
    /// `CANONICAL` or `NATIVE`.
    SavepointFormat,
    /// `FULL` or `INCREMENTAL`.
    CheckpointType,
    /// A port, or a range such as `9250-9260`.
    Port,
    /// Anything.
    Text,
}

/// Where a key is set, and when a new value takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In the operator's configuration; read at its start.
    Start,
    /// In the operator's configuration; read again while it runs.
    Running,
    /// In `flinkConfiguration` of a resource, with the operator's configuration as default.
    Resource,
}

/// What drey does with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// It works; the text says what it does.
    Works(&'static str),
    /// It is accepted and does nothing, because of this.
    Ignored(&'static str),
    /// The operator does not start with it, because of this.
    Refused(&'static str),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "at start",
            Self::Running => "while running",
            Self::Resource => "for each resource",
        })
    }
}

impl fmt::Display for Treatment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Works(words) => f.write_str(words),
            Self::Ignored(reason) => write!(f, "accepted, without effect: {reason}"),
            Self::Refused(reason) => write!(f, "refused: {reason}"),
        }
    }
}

impl Key {
    /// The present name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.names[0]
    }

    /// Whether this is the key that is called `name`, by its present name or a deprecated one.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        self.names.iter().any(|own| match own.strip_suffix('*') {
            Some(beginning) => name.len() > beginning.len() && name.starts_with(beginning),
            None => *own == name,
        })
    }

    /// Checks that `text` is a value of this key.
    ///
    /// # Errors
    /// What was expected.
    pub fn check(&self, text: &str) -> Result<(), String> {
        self.value.check(text)
    }
}

impl ValueType {
    fn check(self, text: &str) -> Result<(), String> {
        let trimmed = text.trim();
        let word_of = |words: [&str; 2]| {
            let known = words.iter().any(|word| word.eq_ignore_ascii_case(trimmed));
            if known { Ok(()) } else { Err(words.join(" or ")) }
        };
        match self {
            Self::Boolean => parse_boolean(text).map(drop).map_err(|error| error.expected.to_owned()),
            Self::Integer => trimmed.parse::<i32>().map(drop).map_err(|_| "a whole number".to_owned()),
            Self::Number => match trimmed.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(()),
                Ok(_) | Err(_) => Err("a number".to_owned()),
            },
            Self::Duration => match parse_duration_ms(text) {
                Ok(ms) if ms < 0 => Err("a duration that is not negative".to_owned()),
                Ok(_) => Ok(()),
                Err(error) => Err(error.expected.to_owned()),
            },
            Self::SignedDuration => signed_duration_ms(text).map(drop),
            Self::Schedule => Schedule::parse(text).map(drop).map_err(|error| error.to_string()),
            Self::SavepointFormat => word_of(["CANONICAL", "NATIVE"]),
            Self::CheckpointType => word_of(["FULL", "INCREMENTAL"]),
            Self::Port => port(text).map(drop).ok_or_else(|| "a port between 1 and 65535".to_owned()),
            Self::Text => Ok(()),
        }
    }
}

/// The port, or the first one of a range.
pub(super) fn port(text: &str) -> Option<u16> {
    let (first, last) = text.trim().split_once('-').unwrap_or((text.trim(), text.trim()));
    let (first, last): (u16, u16) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first > 0 && first <= last).then_some(first)
}

/// Milliseconds of a duration that may be written with a minus, such as `-1 min`.
pub(super) fn signed_duration_ms(text: &str) -> Result<i64, String> {
    let trimmed = text.trim();
    let (sign, rest) = trimmed.strip_prefix('-').map_or((1, trimmed), |rest| (-1, rest));
    parse_duration_ms(rest).map(|ms| sign * ms).map_err(|error| error.expected.to_owned())
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Boolean => "boolean",
            Self::Integer => "whole number",
            Self::Number => "number",
            Self::Duration | Self::SignedDuration => "duration",
            Self::Schedule => "duration or cron expression",
            Self::SavepointFormat => "`CANONICAL` or `NATIVE`",
            Self::CheckpointType => "`FULL` or `INCREMENTAL`",
            Self::Port => "port",
            Self::Text => "text",
        })
    }
}
