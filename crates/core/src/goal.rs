//! What is wanted of the resource now, whatever the situation is.

use std::sync::Arc;

use drey_api::desired::Desired;
use drey_api::kinds::JobState;

use crate::journal::Journal;
use crate::resource::Resource;

/// What is wanted.
#[derive(Clone, Debug)]
pub enum Goal {
    /// The job runs this spec.
    Run(Arc<Desired>),
    /// The job does not run, and its state is kept.
    Suspend(Arc<Desired>),
    /// The resource goes away, with everything that belongs to it.
    Delete,
    /// The spec is refused and nothing was ever deployed: do nothing, and say why.
    Refuse(String),
    /// The spec is refused: go on with the last one that was accepted, and say why.
    KeepLast(String),
}

/// Says what is wanted.
pub fn goal(resource: &Resource, journal: &Journal) -> Goal {
    if resource.deleting {
        return Goal::Delete;
    }
    match &resource.desired {
        Ok(desired) => match job_state(desired) {
            JobState::Running => Goal::Run(desired.clone()),
            JobState::Suspended => Goal::Suspend(desired.clone()),
        },
        Err(invalid) if journal.reconciled.is_none() => Goal::Refuse(invalid.to_string()),
        Err(invalid) => Goal::KeepLast(invalid.to_string()),
    }
}

/// The state that a spec wants; a spec without a job (a session cluster) wants its cluster to run.
pub fn job_state(desired: &Desired) -> JobState {
    desired.spec.job.as_ref().map_or(JobState::Running, |job| job.state)
}
