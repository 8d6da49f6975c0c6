//! The API of drey: the four Flink kinds as types, and what can be said of them without looking at
//! the world.
//!
//! ```text
//!   JSON ──kinds::read──► FlinkDeployment ──desired::parse──► Desired   (effective configuration, options)
//!                               │
//!                               ├──diff::compare──► SpecChange          (what an edit means)
//!                               └──reconciled::{encode, decode}         (status.….lastReconciledSpec)
//!   operator's files ──operator::read──► OperatorConfiguration   (and warnings)
//!   kinds ──crd::all──► CustomResourceDefinitions
//! ```
//!
//! Architecture invariant: nothing here does I/O, reads a clock or an environment variable, or knows
//! Flink's REST API. Objects are judged one at a time; a broken one is an error of that object alone.

pub mod change;
pub mod configuration;
pub mod crd;
mod cron;
pub mod defaults;
pub mod desired;
pub mod diff;
pub mod effect;
mod effective;
pub mod ingress_template;
pub mod kinds;
pub mod memory;
mod number;
pub mod operator;
pub mod options;
mod process_memory;
pub mod reconciled;
pub mod rollback;
pub mod schedule;
pub mod secrets;
pub mod story;
pub mod time;
pub mod unknown_fields;
mod validate;
