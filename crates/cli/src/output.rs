//! Data to standard output, talk to standard error, in the formats of `-o`. Refuses to know which
//! columns a kind has.

use std::io::{IsTerminal, Write};

use serde_json::{Value, json};

use crate::columns::CustomColumns;
use crate::failure::{Failure, Kind};
use crate::jsonpath::JsonPath;
use crate::table::Table;

/// How results are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Columns for people.
    #[default]
    Table,
    /// More columns for people.
    Wide,
    /// The objects of Kubernetes, unchanged.
    Json,
    /// The objects of Kubernetes, unchanged, one a line.
    JsonLines,
    /// The objects of Kubernetes, unchanged.
    Yaml,
    /// `kind/name`, one a line.
    Name,
    /// A template of JSONPath.
    JsonPath(JsonPath),
    /// Columns of one's own.
    CustomColumns(CustomColumns),
}

/// The words of [`Format`], for manuals and errors.
pub const FORMATS: &str =
    "`table`, `wide`, `json`, `jsonl`, `yaml`, `name`, `jsonpath=…` or `custom-columns=…`";

impl Format {
    /// Whether programs read it as JSON, and its failures too.
    #[must_use]
    pub fn is_json(&self) -> bool {
        matches!(self, Self::Json | Self::JsonLines)
    }
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "table" => Ok(Self::Table),
            "wide" => Ok(Self::Wide),
            "json" => Ok(Self::Json),
            "jsonl" => Ok(Self::JsonLines),
            "yaml" => Ok(Self::Yaml),
            "name" => Ok(Self::Name),
            other => match other.split_once('=') {
                Some(("jsonpath", path)) => JsonPath::parse(path).map(Self::JsonPath),
                Some(("custom-columns", columns)) => CustomColumns::parse(columns).map(Self::CustomColumns),
                Some(_) | None => Err(format!("expected {FORMATS}")),
            },
        }
    }
}

/// Whether a command prints text for people or JSON for programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum TextOrJson {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// Writes one line of data.
///
/// # Errors
/// When standard output does not take it; a closed pipe is told apart.
pub fn line(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{text}")?;
    stdout.flush()?;
    Ok(())
}

/// Writes text that may be no UTF-8, as it is.
///
/// # Errors
/// As [`line`].
pub fn bytes(text: &[u8]) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text)?;
    stdout.flush()?;
    Ok(())
}

/// Writes the lines of a table.
///
/// # Errors
/// As [`line`].
pub fn table(table: &Table, no_headers: bool) -> Result<(), Failure> {
    let lines = if no_headers { table.body() } else { table.lines() };
    lines.iter().try_for_each(|text| line(text))
}

/// Writes a value as JSON.
///
/// # Errors
/// As [`line`].
pub fn json(value: &Value) -> Result<(), Failure> {
    line(&format!("{value:#}"))
}

/// Writes a value as JSON on one line.
///
/// # Errors
/// As [`line`].
pub fn json_line(value: &Value) -> Result<(), Failure> {
    line(&value.to_string())
}

/// Writes a value as YAML.
///
/// # Errors
/// As [`line`].
pub fn yaml(value: &Value) -> Result<(), Failure> {
    let text = serde_saphyr::to_string(value)
        .map_err(|error| Failure::new(Kind::Internal, format!("cannot be written as YAML: {error}")))?;
    line(text.trim_end())
}

/// Several objects as `kubectl` prints them: one `List`.
#[must_use]
pub fn list(items: &[Value]) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": items})
}

/// Talks to the person, on standard error. A standard error that is gone changes nothing.
pub fn say(text: &str) {
    // Nobody is left to be told that nobody listens.
    let _gone = writeln!(std::io::stderr().lock(), "{text}");
}

/// Whether a stream is a terminal that can be repainted.
#[must_use]
pub fn is_live(stream: &impl IsTerminal) -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
    stream.is_terminal() && !dumb && std::env::var_os("CI").is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_those_of_the_manual() {
        assert_eq!("wide".parse(), Ok(Format::Wide));
        assert!(matches!("jsonpath={.a}".parse(), Ok(Format::JsonPath(_))));
        assert!("jsonpath={.a".parse::<Format>().is_err());
        assert!(matches!("custom-columns=A:.a".parse(), Ok(Format::CustomColumns(_))));
        assert_eq!("jsonl".parse(), Ok(Format::JsonLines));
        assert!("xml".parse::<Format>().expect_err("unknown").contains("jsonpath"));
    }
}
