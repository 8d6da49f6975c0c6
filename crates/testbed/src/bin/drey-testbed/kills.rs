//! Whom to kill, and what has to be started again afterwards.

use anyhow::Result;
use drey_local::record::Slot;

use crate::laptop::Laptop;

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

    /// Kills, and starts drey again if it was hit. Returns how many processes were.
    pub(crate) fn kill(self, laptop: &mut Laptop) -> Result<usize> {
        let hit = match self {
            Self::JobManager => laptop.kill_flink(|slot| slot == Slot::JobManager)?,
            Self::TaskManagers => laptop.kill_flink(|slot| slot != Slot::JobManager)?,
            Self::Drey => usize::from(laptop.kill()?),
            Self::All => usize::from(laptop.kill()?) + laptop.kill_flink(|_| true)?,
        };
        if !laptop.is_up() {
            laptop.up()?;
        }
        Ok(hit)
    }
}
