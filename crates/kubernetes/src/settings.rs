//! Typed reading of the flat configuration. Keys stand in Flink's order of preference. It refuses to know defaults.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use drey_api::configuration::{first_of, parse_boolean};
use drey_flink::option_value::{self, OptionValueError};

use crate::error::BuildError;

/// A flat configuration that is read by type.
#[derive(Clone, Copy)]
pub(crate) struct Settings<'a>(pub(crate) &'a BTreeMap<String, String>);

impl<'a> Settings<'a> {
    /// The text of an option, if it is set.
    pub(crate) fn text(self, keys: &[&str]) -> Option<&'a str> {
        first_of(self.0, keys).map(|(_, value)| value)
    }

    pub(crate) fn boolean(self, key: &str) -> Result<Option<bool>, BuildError> {
        self.read(&[key], |text| parse_boolean(text).map_err(|error| error.expected.to_owned()))
    }

    pub(crate) fn number<T: FromStr>(self, keys: &[&str]) -> Result<Option<T>, BuildError> {
        self.read(keys, |text| text.trim().parse().map_err(|_| "a number".to_owned()))
    }

    pub(crate) fn list(self, key: &str) -> Result<Vec<String>, BuildError> {
        self.structured(&[key], option_value::list)
    }

    pub(crate) fn map(self, key: &str) -> Result<BTreeMap<String, String>, BuildError> {
        self.structured(&[key], option_value::map)
    }

    pub(crate) fn maps(self, key: &str) -> Result<Vec<BTreeMap<String, String>>, BuildError> {
        self.structured(&[key], option_value::maps)
    }

    /// What stands behind a prefix, by what is left of the keys.
    pub(crate) fn with_prefix(self, prefix: &str) -> Vec<(&'a str, &'a str)> {
        let stripped =
            self.0.iter().filter_map(|(key, value)| Some((key.strip_prefix(prefix)?, value.as_str())));
        stripped.filter(|(key, _)| !key.is_empty()).collect()
    }

    fn structured<T: Default>(
        self,
        keys: &[&str],
        parse: impl FnOnce(&str) -> Result<T, OptionValueError>,
    ) -> Result<T, BuildError> {
        Ok(self.read(keys, parse)?.unwrap_or_default())
    }

    fn read<T, E: Display>(
        self,
        keys: &[&str],
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, BuildError> {
        let Some((key, value)) = first_of(self.0, keys) else { return Ok(None) };
        parse(value).map(Some).map_err(|error| BuildError::value(key, value, error.to_string()))
    }
}
