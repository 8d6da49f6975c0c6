//! Whom to kill.

/// Whom a kill hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Victim {
    /// The JobManager.
    JobManager,
    /// All TaskManagers.
    TaskManagers,
    /// drey.
    Drey,
    /// Everything at once.
    All,
    /// Nobody: the leading drey is asked to end, and another one that waits takes over.
    Leader,
}

impl Victim {
    /// Every victim of a kill.
    pub(crate) const ALL: &'static [Self] = &[Self::JobManager, Self::TaskManagers, Self::Drey, Self::All];
}
