//! Runs FlinkDeployments: what `drey-core` decides becomes true here, and what is true is brought to it.
//!
//! ```text
//!   watch ─► index ─► observe (+ poll) ─► step: decide ─► journal (one PUT) ─► act (one action)
//!                        ▲                  │                                    │
//!                        │                  └─► events, view, metrics            │
//!                        └── launcher, JobManagers, high-availability store ◄────┘
//! ```
//! Architecture invariants: nothing outside `act` changes the world, and nothing reaches `act` before its journal is
//! acknowledged by the API server. A step never waits for Flink. Whatever one resource contains or causes, the others
//! go on. This crate knows no processes and no pods: they are behind [`launcher::Launcher`].

mod act;
mod after;
mod carry_out;
pub mod clock;
mod engine;
pub mod epoch;
mod events;
mod freeze;
mod health;
mod high_availability;
mod index;
mod invariants;
mod journal;
pub mod launcher;
pub mod lease;
pub mod limits;
pub mod metrics;
mod narrate;
mod object;
mod observe;
mod plan_poll;
mod poll;
mod queue;
mod schema;
mod scopes;
mod settings;
pub mod spans;
mod step;
pub mod view;
mod watch;

pub use clock::{Clock, SystemClock};
pub use engine::{Engine, EngineConfig, EngineError, Namespaces};
pub use health::Health;
pub use launcher::{LaunchError, Launcher, Target};
pub use lease::Leadership;
pub use limits::Limits;
pub use metrics::Metrics;
pub use schema::SchemaError;
pub use settings::Settings;
pub use view::{Census, EngineView, ResourceView};

/// The finalizer on every FlinkDeployment, which is also upstream's: either operator takes up the deletion that the
/// other began.
pub const FINALIZER: &str = "flinkdeployments.flink.apache.org/finalizer";
