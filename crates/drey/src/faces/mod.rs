//! The faces of drey, which run deployments or serve the dashboard. A build without the feature `full` knows their names
//! alone, and says so when one is asked for.

#[cfg(not(feature = "full"))]
mod absent;
#[cfg(feature = "full")]
mod full;

#[cfg(not(feature = "full"))]
pub(crate) use absent::{Face, command, run};
#[cfg(feature = "full")]
pub(crate) use full::{Face, command, run};
