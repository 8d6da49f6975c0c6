//! What differs between versions of Flink, in one place: the configuration file and names of options.
//! (Which REST calls exist is in [`crate::rest::Endpoint::exists_in`].)
//!
//! This module refuses to know which versions drey supports or recommends.

use std::fmt;
use std::str::FromStr;

/// A Flink version without its patch number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlinkVersion {
    /// Such as 2 of 2.1.
    pub major: u16,
    /// Such as 1 of 2.1.
    pub minor: u16,
}

/// A text that is no Flink version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a Flink version: a form such as `1.20`, `1.20.3`, `2.1-SNAPSHOT` or `v2_1` is expected"
)]
pub struct VersionError {
    /// What was given.
    pub text: String,
}

impl FlinkVersion {
    /// The version `major.minor`.
    #[must_use]
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    /// Whether this is `major.minor` or later.
    #[must_use]
    pub const fn is_at_least(self, major: u16, minor: u16) -> bool {
        self.major > major || (self.major == major && self.minor >= minor)
    }

    /// The form of the configuration file that drey writes. Flink 1.19 and 1.20 read both and prefer
    /// `flink-conf.yaml`; 2.0 reads only the nested one.
    #[must_use]
    pub const fn configuration_format(self) -> ConfigurationFormat {
        if self.is_at_least(2, 0) { ConfigurationFormat::Nested } else { ConfigurationFormat::Flat }
    }
}

/// Accepts `1.20`, `1.20.3`, `2.1-SNAPSHOT`, `2.1.0-rc1` and the custom resource's form `v1_20`.
impl FromStr for FlinkVersion {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || VersionError { text: crate::limits::shorten(text, 64) };
        let (digits, separator) = text.strip_prefix('v').map_or((text, '.'), |rest| (rest, '_'));
        let released = digits.split_once('-').map_or(digits, |(released, _suffix)| released);
        let mut parts = released.split(separator);
        let mut next = || parts.next().filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
        let major = next().and_then(|part| part.parse().ok()).ok_or_else(wrong)?;
        let minor = next().and_then(|part| part.parse().ok()).ok_or_else(wrong)?;
        Ok(Self { major, minor })
    }
}

/// Writes `1.20`.
impl fmt::Display for FlinkVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.major, self.minor)
    }
}

/// The two forms of Flink's configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConfigurationFormat {
    /// `flink-conf.yaml`: one `key: value` per line, nothing quoted.
    Flat,
    /// `config.yaml`: YAML 1.2, keys nested at their dots.
    Nested,
}

impl ConfigurationFormat {
    /// The file's name in the configuration directory.
    #[must_use]
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Flat => "flink-conf.yaml",
            Self::Nested => "config.yaml",
        }
    }
}

/// An option of Flink whose name has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RenamedOption {
    /// Where checkpoints lie.
    CheckpointsDirectory,
    /// Where savepoints lie unless asked otherwise.
    SavepointsDirectory,
    /// How many completed checkpoints are kept.
    RetainedCheckpoints,
    /// Which state backend is used.
    StateBackend,
    /// The snapshot to start from.
    RestorePath,
    /// Who owns the snapshot that was restored from.
    ClaimMode,
    /// Whether state that no operator wants is left out.
    IgnoreUnclaimedState,
    /// The kind of high availability.
    HighAvailability,
    /// JVM options of all processes.
    JavaOptions,
}

impl RenamedOption {
    /// Every one, in the order of the declaration.
    pub const ALL: [Self; 9] = [
        Self::CheckpointsDirectory,
        Self::SavepointsDirectory,
        Self::RetainedCheckpoints,
        Self::StateBackend,
        Self::RestorePath,
        Self::ClaimMode,
        Self::IgnoreUnclaimedState,
        Self::HighAvailability,
        Self::JavaOptions,
    ];

    /// The newest name and since which version it is understood, and the name before that. Flink reads
    /// the older name too, in every version up to 2.x.
    const fn names(self) -> ((u16, u16), &'static str, &'static str) {
        match self {
            Self::CheckpointsDirectory => ((1, 20), "execution.checkpointing.dir", "state.checkpoints.dir"),
            Self::SavepointsDirectory => {
                ((1, 20), "execution.checkpointing.savepoint-dir", "state.savepoints.dir")
            }
            Self::RetainedCheckpoints => {
                ((1, 20), "execution.checkpointing.num-retained", "state.checkpoints.num-retained")
            }
            Self::StateBackend => ((1, 18), "state.backend.type", "state.backend"),
            Self::RestorePath => ((1, 20), "execution.state-recovery.path", "execution.savepoint.path"),
            Self::ClaimMode => {
                ((1, 20), "execution.state-recovery.claim-mode", "execution.savepoint-restore-mode")
            }
            Self::IgnoreUnclaimedState => (
                (1, 20),
                "execution.state-recovery.ignore-unclaimed-state",
                "execution.savepoint.ignore-unclaimed-state",
            ),
            Self::HighAvailability => ((1, 17), "high-availability.type", "high-availability"),
            Self::JavaOptions => ((1, 18), "env.java.opts.all", "env.java.opts"),
        }
    }

    /// The name to write for Flink of `version`.
    #[must_use]
    pub const fn key(self, version: FlinkVersion) -> &'static str {
        let ((major, minor), new, old) = self.names();
        if version.is_at_least(major, minor) { new } else { old }
    }

    /// The names to look for, the one that wins first.
    #[must_use]
    pub const fn keys(self) -> [&'static str; 2] {
        let (_since, new, old) = self.names();
        [new, old]
    }
}

#[cfg(test)]
mod tests {
    use super::{ConfigurationFormat, FlinkVersion, RenamedOption};

    #[test]
    fn every_form_of_a_version_reads() {
        for (text, major, minor) in [
            ("1.20", 1, 20),
            ("1.20.3", 1, 20),
            ("v1_20", 1, 20),
            ("2.1-SNAPSHOT", 2, 1),
            ("2.0.0-rc1", 2, 0),
            ("v2_1", 2, 1),
        ] {
            assert_eq!(text.parse(), Ok(FlinkVersion::new(major, minor)), "{text}");
        }
        for text in ["", "1", "v1.20", "1_20", "one.two", "1.-2", "1.", "+1.2", "99999999.1"] {
            let error = text.parse::<FlinkVersion>().unwrap_err().to_string();
            assert!(error.contains("is not a Flink version"), "{text}: {error}");
        }
    }

    #[test]
    fn versions_are_ordered_by_number() {
        assert!(FlinkVersion::new(1, 9) < FlinkVersion::new(1, 20));
        assert!(FlinkVersion::new(2, 0).is_at_least(1, 20));
        assert!(!FlinkVersion::new(1, 20).is_at_least(2, 0));
    }

    #[test]
    fn the_nested_file_is_written_from_2_0() {
        assert_eq!(FlinkVersion::new(1, 20).configuration_format(), ConfigurationFormat::Flat);
        assert_eq!(FlinkVersion::new(2, 0).configuration_format().file_name(), "config.yaml");
    }

    #[test]
    fn an_option_has_the_name_of_its_version() {
        let key = |minor| RenamedOption::ClaimMode.key(FlinkVersion::new(1, minor));
        assert_eq!(key(19), "execution.savepoint-restore-mode");
        assert_eq!(key(20), "execution.state-recovery.claim-mode");
    }
}
