//! What the queue does with a resource after its step.

use std::time::Duration;

/// What the queue has to do after a step.
#[derive(Debug)]
pub(crate) enum After {
    /// Step again after this time, unless something happens before.
    Wake(Duration),
    /// An action is being performed; its end asks for the next step.
    Busy,
    /// Step again after a growing delay.
    Retry(String),
    /// Step again at once: the object has changed.
    Again,
    /// The resource does not exist any more.
    Gone,
    /// Somebody else may lead; nothing was written and nothing done.
    NotLeading,
    /// The resource must be left alone.
    Freeze(String),
    /// The resource is left alone already.
    Frozen,
}

impl After {
    /// The label of the metric.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            After::Wake(_) => "done",
            After::Busy => "busy",
            After::Retry(_) => "retry",
            After::Again => "conflict",
            After::Gone => "gone",
            After::NotLeading => "not_leading",
            After::Freeze(_) | After::Frozen => "frozen",
        }
    }
}
