//! The simulator: a fake world nastier than the real one, the operator's contract around [`drey_core::decide`], and
//! the invariants that no schedule may break. One seed is one schedule; the same seed is the same story, always.
//!
//! ```text
//!   seed ─► chance ─► schedule ─► user edits ─► world ◄─ motion (Flink, clusters, storage move by themselves)
//!                        │                        ▲ │
//!                        └─► operator: sight ─► decide ─► status write ─► effects
//!                                                   ghost: S, L invariants at every event
//! ```

pub mod chance;
pub mod effects;
pub mod flink;
pub mod ghost;
pub mod motion;
pub mod operator;
pub mod planted;
pub mod schedule;
pub mod search;
pub mod sight;
pub mod spelling;
pub mod user;
pub mod world;

pub use search::main;
