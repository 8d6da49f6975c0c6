//! Flink's configuration file in its two forms, from and to flat `key → value` text.
//!
//! What is written is what Flink reads back: where a form cannot hold a value, the caller is told (a
//! [`Loss`]) or refused (a [`ConfigurationFileError`]). This module refuses to know options and defaults.

mod flat;
mod nested;
mod scalar;

use std::collections::BTreeMap;

use crate::limits;
use crate::version::{ConfigurationFormat, RenamedOption};

/// Flat keys and their values as text, as everywhere in Flink.
pub type Entries = BTreeMap<String, String>;

/// A configuration file ready to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The file's text, keys in order, ending with a newline unless empty.
    pub text: String,
    /// Values that Flink will read differently from what was asked. Always empty for the nested form.
    pub losses: Vec<Loss>,
}

/// A value that `flink-conf.yaml` cannot hold. Flink, and whoever writes this file, cuts it without a
/// word; this names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// The key.
    pub key: String,
    /// What is lost.
    pub kind: LossKind,
}

/// How a value is lost in `flink-conf.yaml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossKind {
    /// `#` begins a comment even inside a value: Flink reads what stands before it.
    CutAtHash,
    /// A value is one line: only the first is kept.
    FirstLineOnly,
    /// An empty value does not exist: the key is left out and Flink takes its default.
    Empty,
}

impl std::fmt::Display for Loss {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = match self.kind {
            LossKind::CutAtHash => "is cut at its `#`, which begins a comment in `flink-conf.yaml`",
            LossKind::FirstLineOnly => {
                "keeps only its first line, since `flink-conf.yaml` has one line for each"
            }
            LossKind::Empty => "is left out, since `flink-conf.yaml` has no empty values",
        };
        write!(formatter, "`{}` {what}", self.key)
    }
}

/// A configuration that cannot be written, or a file that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigurationFileError {
    /// Nested YAML has one place for both keys. Flink 2.0 and later.
    #[error(
        "`{shorter}` and `{longer}` cannot both be set, since config.yaml nests keys at their dots: {}",
        advice(shorter)
    )]
    PrefixClash {
        /// The key that is the beginning of the other.
        shorter: String,
        /// The key that goes on.
        longer: String,
    },
    /// The key cannot be written in this form.
    #[error("`{key}` cannot be a key of {file_name}: {reason}")]
    Key {
        /// The key, shortened.
        key: String,
        /// The file.
        file_name: &'static str,
        /// Why not.
        reason: &'static str,
    },
    /// The file is too long.
    #[error("{file_name} has {bytes} bytes, at most {bytes_max} are read")]
    TooLong {
        /// The file.
        file_name: &'static str,
        /// Its length in bytes.
        bytes: usize,
        /// The limit in bytes.
        bytes_max: usize,
    },
    /// The file is not YAML, or not keys and values.
    #[error("config.yaml is not a tree of keys and values: {reason}")]
    Yaml {
        /// The reason with line and column.
        reason: String,
    },
    /// The same key is given twice, once nested and once with dots.
    #[error("config.yaml has `{key}` twice: keep one")]
    Twice {
        /// The key.
        key: String,
    },
}

fn advice(shorter: &str) -> String {
    let renamed = RenamedOption::ALL.iter().map(|option| option.keys()).find(|[_new, old]| *old == shorter);
    match renamed {
        Some([new, old]) => format!("use `{new}` in place of `{old}`"),
        None => "remove one of them".to_owned(),
    }
}

/// Writes `entries` in `format`.
///
/// # Errors
/// [`ConfigurationFileError`] names the key or keys that cannot be written.
pub fn render(entries: &Entries, format: ConfigurationFormat) -> Result<Rendered, ConfigurationFileError> {
    for key in entries.keys() {
        check_key(key, format)?;
    }
    match format {
        ConfigurationFormat::Flat => Ok(flat::render(entries)),
        ConfigurationFormat::Nested => {
            nested::render(entries).map(|text| Rendered { text, losses: Vec::new() })
        }
    }
}

/// Reads the text of a configuration file as Flink does: of repeated flat keys the last wins, lines that
/// are no `key: value` are skipped. Lists of a nested file come joined by `;`.
///
/// # Errors
/// [`ConfigurationFileError`] with the line, for a nested file that Flink would not read either.
pub fn parse(text: &str, format: ConfigurationFormat) -> Result<Entries, ConfigurationFileError> {
    let (bytes, bytes_max) = (text.len(), limits::CONFIGURATION_FILE_BYTES_MAX);
    if bytes > bytes_max {
        let file_name = format.file_name();
        return Err(ConfigurationFileError::TooLong { file_name, bytes, bytes_max });
    }
    match format {
        ConfigurationFormat::Flat => Ok(flat::parse(text)),
        ConfigurationFormat::Nested => nested::parse(text),
    }
}

fn check_key(key: &str, format: ConfigurationFormat) -> Result<(), ConfigurationFileError> {
    let reason = if key.is_empty() || key.trim() != key {
        Some("it is empty, or begins or ends with a space")
    } else if key.chars().any(char::is_control) {
        Some("it has a line break or another control character")
    } else if key.len() > KEY_BYTES_MAX {
        Some("it is longer than 1000 bytes")
    } else {
        match format {
            ConfigurationFormat::Flat if key.contains('#') => Some("`#` begins a comment"),
            ConfigurationFormat::Flat if key.contains(": ") => Some("`: ` ends a key"),
            ConfigurationFormat::Nested if key.split('.').count() > limits::CONFIGURATION_DEPTH_MAX => {
                Some("it has more than 64 parts")
            }
            ConfigurationFormat::Flat | ConfigurationFormat::Nested => None,
        }
    };
    match reason {
        None => Ok(()),
        Some(reason) => {
            let (key, file_name) = (limits::shorten(key, 200), format.file_name());
            Err(ConfigurationFileError::Key { key, file_name, reason })
        }
    }
}

/// YAML allows no longer keys on one line.
const KEY_BYTES_MAX: usize = 1000;

#[cfg(test)]
mod tests;
