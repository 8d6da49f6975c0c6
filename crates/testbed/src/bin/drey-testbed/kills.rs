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
}

impl Victim {
    /// Every victim.
    pub(crate) const ALL: &'static [Self] = &[Self::JobManager, Self::TaskManagers, Self::Drey, Self::All];
}
