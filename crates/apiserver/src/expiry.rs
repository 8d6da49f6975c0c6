//! Events live for an hour after their last write, as under kube-apiserver's `--event-ttl`.

use std::sync::Arc;

use crate::kinds::Family;
use crate::limits::{EVENT_SWEEP_INTERVAL_MS, EVENT_TTL_MS};
use crate::state::{ObjectKey, State};

/// Where events are stored.
const EVENT_COLLECTION: &str = "events";

/// Removes expired events, at most once a minute and only when an event is written.
pub(crate) fn sweep_events(state: &mut State, written: Family, now_ms: i64) {
    let due = now_ms - state.events_swept_ms >= EVENT_SWEEP_INTERVAL_MS;
    if !due || !matches!(written, Family::CoreEvent | Family::NewEvent) {
        return;
    }
    state.events_swept_ms = now_ms;
    let collection: Arc<str> = Arc::from(EVENT_COLLECTION);
    let expired: Vec<ObjectKey> = state
        .collection(EVENT_COLLECTION)
        .objects
        .iter()
        .filter(|(_, entry)| now_ms - entry.written_ms > EVENT_TTL_MS)
        .map(|(object, _)| ObjectKey { collection: Arc::clone(&collection), object: object.clone() })
        .collect();
    for key in expired {
        state.remove(&key, now_ms);
    }
}
