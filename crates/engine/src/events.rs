//! Kubernetes events in upstream's manner: one object for each distinct message, whose count rises. Best effort:
//! a bounded queue and one task; nothing ever waits for an event, and an API server that forbids them is not asked
//! again for a while.

use std::sync::Arc;

use drey_api::kinds::API_VERSION;
use drey_core::{Event, EventKind};
use k8s_openapi::api::core::v1::{Event as CoreEvent, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::launcher::Target;
use crate::limits::Limits;
use crate::metrics::Metrics;

/// An event on its way.
#[derive(Debug)]
struct Posting {
    target: Target,
    /// `metadata.generation` that the event is about.
    generation: i64,
    event: Event,
    at_ms: i64,
}

/// Takes events; never waits.
#[derive(Clone)]
pub(crate) struct Recorder {
    sender: mpsc::Sender<Posting>,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
}

/// Sends events.
pub(crate) struct Poster {
    receiver: mpsc::Receiver<Posting>,
    client: Client,
    limits: Arc<Limits>,
    metrics: Metrics,
}

/// The two ends of the queue.
pub(crate) fn queue(
    client: Client,
    limits: &Arc<Limits>,
    clock: Arc<dyn Clock>,
    metrics: &Metrics,
) -> (Recorder, Poster) {
    let (sender, receiver) = mpsc::channel(limits.events_queue_max);
    let poster = Poster { receiver, client, limits: limits.clone(), metrics: metrics.clone() };
    (Recorder { sender, clock, metrics: metrics.clone() }, poster)
}

impl Recorder {
    /// Queues an event. When the queue is full it is dropped and counted.
    pub(crate) fn record(&self, target: &Target, generation: i64, event: Event) {
        tracing::info!(
            resource = %format_args!("{}/{}", target.namespace, target.name),
            component = event.component, reason = event.reason, kind = ?event.kind, "{}", event.message
        );
        let posting = Posting { target: target.clone(), generation, event, at_ms: self.clock.now().0 };
        if self.sender.try_send(posting).is_err() {
            self.metrics.event("dropped");
        }
    }
}

impl Poster {
    /// Sends what is queued, for ever.
    pub(crate) async fn run(&mut self) {
        while let Some(posting) = self.receiver.recv().await {
            self.post(&posting).await;
        }
    }

    /// Sends what is queued now and no more.
    pub(crate) async fn drain(&mut self) {
        while let Ok(posting) = self.receiver.try_recv() {
            self.post(&posting).await;
        }
    }

    async fn post(&self, posting: &Posting) {
        let object = object(posting, self.limits.event_message_bytes_max);
        let result = match timeout(self.limits.request_timeout, self.send(posting, object)).await {
            Ok(Ok(())) => "sent",
            Ok(Err(kube::Error::Api(status))) if status.code == 403 => "forbidden",
            Ok(Err(error)) => {
                tracing::debug!(%error, "an event could not be sent");
                "failed"
            }
            Err(_) => "failed",
        };
        self.metrics.event(result);
    }

    async fn send(&self, posting: &Posting, object: CoreEvent) -> Result<(), kube::Error> {
        let api: Api<CoreEvent> = Api::namespaced(self.client.clone(), &posting.target.namespace);
        let name = object.metadata.name.clone().unwrap_or_default();
        match api.create(&PostParams::default(), &object).await {
            Ok(_) => return Ok(()),
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(error),
        }
        let mut known = api.get(&name).await?;
        known.count = Some(known.count.unwrap_or(0).saturating_add(1));
        known.last_timestamp = object.last_timestamp;
        known.message = object.message;
        api.replace(&name, &PostParams::default(), &known).await.map(drop)
    }
}

fn object(posting: &Posting, message_bytes_max: usize) -> CoreEvent {
    let Posting { target, generation: _, event, at_ms } = posting;
    let at = jiff::Timestamp::from_millisecond(*at_ms).ok().map(Time);
    CoreEvent {
        metadata: ObjectMeta {
            name: Some(name(posting)),
            namespace: Some(target.namespace.to_string()),
            ..ObjectMeta::default()
        },
        involved_object: ObjectReference {
            api_version: Some(API_VERSION.to_owned()),
            kind: Some(KIND.to_owned()),
            name: Some(target.name.to_string()),
            namespace: Some(target.namespace.to_string()),
            uid: Some(target.uid.to_string()),
            ..ObjectReference::default()
        },
        type_: Some(type_of(event).to_owned()),
        reason: Some(event.reason.to_owned()),
        message: Some(drey_flink::limits::shorten(&event.message, message_bytes_max)),
        first_timestamp: at.clone(),
        last_timestamp: at,
        count: Some(1),
        source: Some(EventSource { component: Some(event.component.to_owned()), host: None }),
        ..CoreEvent::default()
    }
}

const KIND: &str = "FlinkDeployment";

fn type_of(event: &Event) -> &'static str {
    match event.kind {
        EventKind::Normal => "Normal",
        EventKind::Warning => "Warning",
    }
}

/// Upstream's name: the component and a hash over what makes the event another one. A change of the spec is one
/// event for each generation, whatever its message says.
fn name(posting: &Posting) -> String {
    let Posting { target, generation, event, at_ms: _ } = posting;
    let Event { reason, kind: _, component, message } = event;
    let kind = type_of(event);
    let spec_change = format!("SpecChange: {generation}");
    let distinct = if *reason == "SpecChanged" { &spec_change } else { message };
    let text = format!("{reason}{distinct}{kind}{KIND}{}{}", target.name, target.uid);
    format!("{component}.{}", java_hash(&text) & 0x7FFF_FFFF)
}

/// Java's `String.hashCode`.
fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn posting(event: (&'static str, EventKind, &'static str, &str), generation: i64) -> Posting {
        let (reason, kind, component, message) = event;
        Posting {
            target: Target {
                namespace: "flink".into(),
                name: "led".into(),
                uid: "a6b0629d-9140-463d-9e69-e8c80adef24f".into(),
            },
            generation,
            event: Event { reason, kind, component, message: message.to_owned() },
            at_ms: 1_767_225_601_000,
        }
    }

    /// Names that the Java operator 1.15.0 gave to the events of one resource.
    #[test]
    fn names_are_upstreams() {
        use EventKind::Normal;
        let manager = "JobManagerDeployment";
        for (event, generation, expected) in [
            (("Submit", Normal, manager, "Starting deployment"), 1, "JobManagerDeployment.2123822220"),
            (
                ("Suspended", Normal, manager, "Suspending existing deployment."),
                2,
                "JobManagerDeployment.404945842",
            ),
            (
                ("JobStatusChanged", Normal, "Job", "Job status changed from RECONCILING to RUNNING"),
                1,
                "Job.239371794",
            ),
            (("SpecChanged", Normal, manager, "whatever changed"), 2, "JobManagerDeployment.1622446983"),
            (("SpecChanged", Normal, manager, "whatever changed"), 11, "JobManagerDeployment.719852553"),
        ] {
            assert_eq!(name(&posting(event, generation)), expected);
        }
    }

    #[test]
    fn the_hash_is_javas_also_beyond_ascii() {
        assert_eq!(java_hash(""), 0);
        assert_eq!(java_hash("hello world"), 1_794_106_052);
        // A character outside the basic plane is two units in Java.
        assert_eq!(java_hash("\u{1F43F}"), 0xD83D * 31 + 0xDC3F);
    }

    #[test]
    fn a_message_of_any_length_fits_into_an_event() {
        let event = ("Error", EventKind::Warning, "Job", "é".repeat(100_000).leak() as &str);
        let object = object(&posting(event, 1), 4_096);
        assert!(object.message.unwrap().len() < 4_200);
        assert_eq!(object.type_.as_deref(), Some("Warning"));
    }
}
