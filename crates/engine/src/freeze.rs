//! Leaves one resource alone, visibly: a condition `Stalled` with reason `Frozen`, an event, a metric. The status
//! stays as it is otherwise, also where it cannot be read. A resource thaws when its user changes its spec or
//! deletes it, or when the engine starts anew.

use std::sync::Arc;

use drey_core::WaitingFor;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::engine::Shared;
use crate::index::Frozen;
use crate::journal::{self, Written};
use crate::limits::backed_off;
use crate::object::{Key, Stored};

/// Freezes `key`.
pub(crate) async fn freeze(shared: &Arc<Shared>, key: &Key, message: &str) {
    tracing::error!(resource = %key, "frozen: {message}");
    let stored = shared.index.with(key, |slot| {
        slot.frozen = Some(Frozen {
            generation: slot.stored.generation,
            deleting: slot.stored.deleting,
            message: message.into(),
            published: false,
        });
        slot.said.sentence = "left alone until its spec is changed".into();
        slot.said.error = Some(message.into());
        slot.stored.clone()
    });
    let Some(stored) = stored else { return };
    shared.warn(&stored.target(), stored.generation, message);
    publish(shared, &stored, message).await;
}

/// Puts the condition on the resource, if it is not there yet.
pub(crate) async fn publish_again(shared: &Arc<Shared>, key: &Key) {
    let pending = shared.index.with(key, |slot| {
        let frozen = slot.frozen.as_ref().filter(|frozen| !frozen.published)?;
        Some((slot.stored.clone(), frozen.message.clone()))
    });
    if let Some(Some((stored, message))) = pending {
        publish(shared, &stored, &message).await;
    }
}

async fn publish(shared: &Arc<Shared>, stored: &Stored, message: &str) {
    let key = &stored.key;
    let status = with_condition(shared, stored, message);
    let written = if shared.leadership.is_held() {
        journal::write_tree(&shared.actor.client, &shared.limits, stored, &status).await
    } else {
        Written::Unknown("this process does not lead".to_owned())
    };
    shared.metrics.status_written(written.label());
    let published = match written {
        Written::Same | Written::Refused(_) => true,
        Written::Acknowledged(written) => {
            shared.index.offer(*written);
            true
        }
        Written::Conflict | Written::Gone | Written::Unknown(_) => false,
    };
    let failures = shared.index.with(key, |slot| {
        slot.in_doubt |= !published;
        slot.failures = if published { 0 } else { slot.failures.saturating_add(1) };
        if let Some(frozen) = &mut slot.frozen {
            frozen.published = published;
        }
        slot.failures
    });
    if let (false, Some(failures)) = (published, failures) {
        let limits = &shared.limits;
        let delay = backed_off(limits.retry_delay, limits.retry_delay_max, failures - 1, key.seed());
        shared.queue.add_at(key, Instant::now() + delay);
    }
}

/// The status as it is, with our condition in it.
fn with_condition(shared: &Shared, stored: &Stored, message: &str) -> Value {
    let mut status = match stored.status.as_ref().map(crate::object::CompactStatus::tree) {
        Some(Value::Object(status)) => status,
        // The API server lets no other status in; what cannot be kept is not kept.
        Some(_) | None => Map::new(),
    };
    let mut conditions = match status.remove("conditions") {
        Some(Value::Array(conditions)) => conditions,
        Some(_) | None => Vec::new(),
    };
    let message = drey_flink::limits::shorten(message, shared.limits.event_message_bytes_max);
    let stalled = |condition: &Value| condition["type"] == "Stalled";
    let same = |condition: &Value| {
        stalled(condition) && condition["status"] == "True" && condition["message"] == message.as_str()
    };
    if !conditions.iter().any(same) {
        conditions.retain(|condition| !stalled(condition));
        let now = jiff::Timestamp::from_millisecond(shared.clock.now().0 / 1_000 * 1_000).unwrap_or_default();
        conditions.push(json!({
            "type": "Stalled",
            "status": "True",
            "reason": WaitingFor::Frozen.as_str(),
            "message": message,
            "lastTransitionTime": now.to_string(),
            "observedGeneration": stored.generation,
        }));
    }
    status.insert("conditions".to_owned(), Value::Array(conditions));
    Value::Object(status)
}
