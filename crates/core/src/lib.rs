//! Decides, for one application FlinkDeployment, what to do next. Pure: no clock, no randomness, no I/O,
//! no async and no logging; time and evidence come in as values, and what to do goes out as a value.
//!
//! ```text
//!  Resource ─┐
//!  Observed ─┼─► assess ──► Situation ─┐
//!  Journal ──┤                         ├─► plan ──► Step ──► render ──► Decision{journal, action, events, wake}
//!  now ──────┴─► goal ────► Goal ──────┘
//! ```
//!
//! The engine writes the journal of a decision to `status` first, then performs at most one action, and then
//! forgets the answer: what happened is learned only from the next [`Observed`].

pub mod assess;
pub mod decision;
pub mod goal;
pub mod health;
pub mod identity;
pub mod intent;
pub mod journal;
pub mod observed;
pub mod plan;
pub mod render;
pub mod resource;
pub mod restore;
pub mod status;

pub use decision::{Action, Decision, Event, EventKind, Pace, Waiting, WaitingFor};
pub use identity::{JobId, TriggerId};
pub use intent::{Intent, IntentKind};
pub use journal::Journal;
pub use observed::{Observed, Seen};
pub use resource::{Policy, Resource};
pub use restore::Restore;

/// A moment, in milliseconds since the Unix epoch, passed in by the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now(pub i64);

/// Decides the next step of one resource.
pub fn decide(
    resource: &Resource,
    observed: &Observed,
    journal: &Journal,
    policy: &Policy,
    now: Now,
) -> Decision {
    if journal.is_of_later_leader(policy.epoch) {
        // Another process leads now: this one writes nothing any more, not even that.
        return render::unchanged(journal, policy);
    }
    let step = plan::step(resource, observed, journal, policy, now);
    render::decision(resource, journal, step, policy, now)
}
