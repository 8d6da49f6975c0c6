//! The operator's own configuration: what one process of drey on a cluster does for all resources.
//!
//! ```text
//!   keys (one definition of each) ─┬─► read: flat configuration ─► OperatorConfiguration, Findings
//!                                  ├─► crate::options: one resource
//!                                  └─► table: the documentation
//! ```
//! Refuses to know where the flat configuration comes from, and what the engine does with the values.

mod key;
pub mod keys;
mod read;
mod table;

pub use key::{Key, PREFIX, Scope, Treatment, ValueType};
pub use read::{
    DynamicConfiguration, Finding, LeaderElection, OperatorConfiguration, Refusal, WatchedNamespaces, read,
};
pub use table::table_markdown;

/// The key that is called `name`; an exact name counts before a family.
#[must_use]
pub fn find(name: &str) -> Option<&'static Key> {
    let exact = keys::ALL.iter().find(|key| key.names.contains(&name));
    exact.or_else(|| keys::ALL.iter().find(|key| key.is_called(name))).copied()
}
