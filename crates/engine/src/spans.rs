//! What a trace tells of a resource: one span for each step, and below it one for the action that the step began.
//! Without a listener they are never made. Refuses to know where they go.

use drey_core::{Decision, Resource, render};
use tracing::Span;
use tracing::field::Empty;

use crate::act::{self, Outcome};
use crate::after::After;
use crate::object::Key;

/// Target of every span, for whoever listens.
pub const TARGET: &str = "drey::trace";

/// The span of one step.
pub(crate) fn reconcile(key: &Key) -> Span {
    tracing::trace_span!(
        target: TARGET,
        "reconcile",
        k8s.namespace.name = %key.namespace,
        flink.deployment = %key.name,
        generation = Empty,
        lifecycle = Empty,
        intent = Empty,
        seq = Empty,
        action = Empty,
        waits.reason = Empty,
        result = Empty,
        otel.status_code = Empty,
        otel.status_description = Empty,
    )
}

/// The present step has decided.
pub(crate) fn decided(resource: &Resource, decision: &Decision) {
    let span = Span::current();
    if span.is_disabled() {
        return;
    }
    let journal = &decision.journal;
    span.record("generation", resource.generation);
    span.record("lifecycle", tracing::field::display(render::lifecycle(resource, journal)));
    span.record("seq", journal.seq);
    if let Some(intent) = &journal.intent {
        span.record("intent", intent.kind.name());
    }
    if let Some(action) = &decision.action {
        span.record("action", act::kind(action));
    }
    if let Some(waiting) = &journal.waiting {
        span.record("waits.reason", &*waiting.reason);
    }
}

/// The step is over.
pub(crate) fn stepped(span: &Span, after: &After) {
    span.record("result", after.label());
    if let After::Retry(message) | After::Freeze(message) = after {
        failed(span, message);
    }
}

/// The span of an action, below that of the present step.
pub(crate) fn action(kind: &'static str, seq: i64) -> Span {
    tracing::trace_span!(
        target: TARGET,
        "action",
        otel.name = kind,
        seq,
        outcome = Empty,
        otel.status_code = Empty,
        otel.status_description = Empty,
    )
}

/// The action is over.
pub(crate) fn acted(span: &Span, outcome: &Outcome) {
    span.record("outcome", outcome.label());
    if let Some(message) = outcome.failure() {
        failed(span, message);
    }
}

fn failed(span: &Span, message: &str) {
    span.record("otel.status_code", "ERROR");
    span.record("otel.status_description", message);
}
