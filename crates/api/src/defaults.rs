//! The operator's own configuration as far as it enters a cluster's: base keys, then those for a
//! namespace, then those for a Flink version.
//!
//! Later wins: base → `kubernetes.operator.default-configuration.namespace.<ns>.*` →
//! `….flink-version.vX_Y+.*` for every X.Y up to the version, ascending → `….flink-version.vX_Y.*`.
//! Refuses to know where the operator's configuration comes from.

use std::collections::BTreeMap;

use crate::kinds::FlinkVersion;

const NAMESPACE_PREFIX: &str = "kubernetes.operator.default-configuration.namespace.";
const VERSION_PREFIX: &str = "kubernetes.operator.default-configuration.flink-version.";

/// The operator's configuration, flat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Defaults {
    base: BTreeMap<String, String>,
}

impl Defaults {
    /// Defaults from the operator's flat configuration. Keys of namespaces and versions stay among them
    /// until they are asked for.
    #[must_use]
    pub fn new(base: BTreeMap<String, String>) -> Self {
        Self { base }
    }

    /// The operator's own configuration, as it was given.
    #[must_use]
    pub fn base(&self) -> &BTreeMap<String, String> {
        &self.base
    }

    /// What a cluster in `namespace` starts from, before its own `flinkConfiguration`. Without a version
    /// no version-specific keys enter.
    #[must_use]
    pub fn effective(&self, namespace: &str, version: Option<FlinkVersion>) -> BTreeMap<String, String> {
        let mut effective = self.base.clone();
        self.overlay(&mut effective, &format!("{NAMESPACE_PREFIX}{namespace}."));
        if let Some(version) = version {
            for older in FlinkVersion::ALL.iter().filter(|older| **older <= version) {
                self.overlay(&mut effective, &format!("{VERSION_PREFIX}{older}+."));
            }
            self.overlay(&mut effective, &format!("{VERSION_PREFIX}{version}."));
        }
        effective
    }

    fn overlay(&self, effective: &mut BTreeMap<String, String>, prefix: &str) {
        let entries = self.base.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix));
        for (key, value) in entries {
            effective.insert(key[prefix.len()..].to_owned(), value.clone());
        }
    }
}
