//! Goal × situation → one step. The order is the same for every resource:
//!
//! 0. [`takeover`]: what the Java operator began and did not write down;
//! 1. [`absorb`]: what observation adds to the record (job state, ends of runs);
//! 2. [`resolve`]: did the open intent happen? While nobody knows, nothing else is begun;
//! 3. the goal: [`delete`], [`transition`] (stop, then start), [`rollback`], or [`rest`].

mod absorb;
mod complete;
mod delete;
mod draft;
mod resolve;
mod rest;
mod rollback;
mod scale;
mod snapshots;
mod start;
mod stop;
mod takeover;
mod transition;

use crate::Now;
use crate::decision::WaitingFor;
use crate::goal::{Goal, goal};
use crate::journal::Journal;
use crate::observed::Observed;
use crate::resource::{Policy, Resource};

pub(crate) use draft::{Draft, Flow};
pub(crate) use start::LAST_STATE_PATH;

/// Plans one step.
pub(crate) fn step<'a>(
    resource: &'a Resource,
    observed: &'a Observed,
    journal: &Journal,
    policy: &'a Policy,
    now: Now,
) -> Draft<'a> {
    let mut draft = Draft::new(resource, observed, journal, policy, now);
    if takeover::is_session_cluster(&draft) {
        draft.wait(
            WaitingFor::SessionCluster,
            "session clusters are not acted upon yet: this one goes on as it is, and edits and deletion wait",
        );
        draft.at_rest = true;
        return draft;
    }
    if takeover::take_over(&mut draft) == Flow::Done {
        return draft;
    }
    absorb::absorb(&mut draft);
    if resolve::resolve(&mut draft) == Flow::GoOn {
        absorb::note_stable(&mut draft);
        pursue(&mut draft);
    }
    draft
}

fn pursue(draft: &mut Draft<'_>) {
    match goal(draft.resource, &draft.journal) {
        Goal::Delete => delete::plan(draft),
        Goal::Refuse(message) => {
            draft.journal.observed_generation = Some(draft.resource.generation);
            draft.problem("ValidationError", "Operator", message.clone());
            draft.wait(WaitingFor::InvalidSpec, message);
        }
        Goal::KeepLast(message) => {
            draft.problem("ValidationError", "Operator", message.clone());
            transition::keep_last(draft);
            // It was looked at: who waits for that is told that it is refused.
            draft.journal.observed_generation = Some(draft.resource.generation);
            if draft.waiting.as_ref().is_none_or(|waiting| waiting.what.is_stalled()) {
                draft.wait(WaitingFor::InvalidSpec, message);
            }
        }
        Goal::Run(desired) | Goal::Suspend(desired) => transition::plan(draft, &desired),
    }
}
