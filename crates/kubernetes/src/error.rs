//! Why the objects of a cluster cannot be built. Everything here is for the user to mend: the same input fails again.

use drey_flink::configuration_file::ConfigurationFileError;

/// A cluster whose objects cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// A value of the Flink configuration cannot be read.
    #[error("`{key}: {value}`: expected {expected}")]
    Value {
        /// The key.
        key: String,
        /// Its value.
        value: String,
        /// What was expected.
        expected: String,
    },
    /// Something is asked for that cannot be done here.
    #[error("`{key}` is not supported: {instead}")]
    Unsupported {
        /// The key or field.
        key: String,
        /// What to use in its place.
        instead: &'static str,
    },
    /// Something is needed and not given.
    #[error("`{field}` is not set: {hint}")]
    Missing {
        /// The field or key.
        field: &'static str,
        /// How to give it.
        hint: &'static str,
    },
    /// A pod template has something else where an object or a list belongs.
    #[error("the pod template has no {expected} at `{path}`")]
    PodTemplate {
        /// Path in the pod template.
        path: String,
        /// `object` or `list`.
        expected: &'static str,
    },
    /// The configuration file of this Flink version cannot hold the configuration.
    #[error(transparent)]
    ConfigurationFile(#[from] ConfigurationFileError),
}

impl BuildError {
    pub(crate) fn value(key: &str, value: &str, expected: impl Into<String>) -> Self {
        Self::Value { key: key.to_owned(), value: value.to_owned(), expected: expected.into() }
    }
}
