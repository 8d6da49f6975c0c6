//! What an edit means: the fields that differ between the deployed spec and the new one, and the
//! strongest effect among them.

use crate::kinds::FlinkDeploymentSpec;

/// What a change asks for; the strongest of a spec's changes wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Nothing but taking note.
    Ignore,
    /// More or fewer TaskManagers or slots, without a restart where that is possible.
    Scale,
    /// A new run.
    Upgrade,
    /// A new run from `initialSavepointPath`.
    SavepointRedeploy,
}

/// The differences between two specs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecChange {
    /// The strongest effect.
    pub effect: Effect,
    /// Each difference; never empty.
    pub changes: Vec<FieldChange>,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    /// Path of the field below `spec`, such as `job.parallelism`.
    pub path: String,
    /// Its deployed value, secrets blotted out; `null` for none.
    pub from: String,
    /// Its new value, secrets blotted out; `null` for none.
    pub to: String,
    /// What this difference asks for.
    pub effect: Effect,
}

/// Compares the deployed spec with the new one; `None` when they are equal. Which effects scaling has
/// depends on the mode of the deployed spec.
#[must_use]
pub fn compare(deployed: &FlinkDeploymentSpec, new: &FlinkDeploymentSpec) -> Option<SpecChange> {
    (deployed != new).then(|| SpecChange { effect: Effect::Upgrade, changes: Vec::new() })
}
