//! One stream of changes for each page, as server-sent events. A reader that cannot keep up is told to fetch anew; what
//! waits for it never grows. Refuses to know what is in a row.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures::Stream;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::{Instant, sleep_until};

use super::visit::Visit;
use crate::key::Key;
use crate::row::Row;
use crate::server::now_ms;
use crate::store::{Changes, News, Stale};

/// How often a stream without news gives a sign of life.
const BEAT: Duration = Duration::from_secs(5);
/// What changes within so long is sent together.
const TOGETHER: Duration = Duration::from_millis(100);
/// More rows at once than this are read faster as a window.
const ROWS_MAX: usize = 2_000;

pub(super) async fn stream(visit: Visit, headers: HeaderMap) -> Response {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
    let events = events(visit, last);
    let mut response = Sse::new(events).into_response();
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// What is said on the stream: the name of the event, and its data.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "StreamMessage")]
#[serde(tag = "event", content = "data", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub(super) enum Message {
    /// The first one.
    Hello {
        /// Number of the newest change that the reader has.
        revision: u64,
        /// The server's clock, as in each that has it.
        now: i64,
        /// Every list has been read once.
        complete: bool,
        /// The rows may be out of date.
        stale: Option<Stale>,
    },
    /// What changed.
    Rows {
        /// Number of the newest change among them.
        revision: u64,
        now: i64,
        upserts: Vec<Arc<Row>>,
        deletes: Vec<Key>,
    },
    /// Too much changed: read the fleet anew.
    Reset {},
    /// From now on rows may be out of date.
    Stale(Stale),
    /// They are not any more.
    Fresh {},
    /// A sign of life.
    Beat { now: i64 },
}

impl Message {
    fn event(&self) -> Event {
        let said = serde_json::to_value(self).unwrap_or_default();
        let event = Event::default().event(said["event"].as_str().unwrap_or_default());
        event.data(said["data"].to_string())
    }
}

/// Where one reader is.
struct Reader {
    visit: Visit,
    news: tokio::sync::watch::Receiver<News>,
    seen: u64,
    stale: Option<Stale>,
    complete: bool,
    greeted: bool,
    beat_at: Instant,
}

fn events(visit: Visit, last: Option<u64>) -> impl Stream<Item = Result<Event, Infallible>> {
    let news = visit.store.subscribe();
    let now = news.borrow().clone();
    let reader = Reader {
        seen: last.unwrap_or(now.revision),
        stale: now.stale,
        complete: now.complete,
        greeted: false,
        beat_at: Instant::now() + BEAT,
        news,
        visit,
    };
    futures::stream::unfold(reader, |mut reader| async move {
        let event = reader.next().await?;
        Some((Ok(event), reader))
    })
}

impl Reader {
    /// The next event; `None` when the server ends.
    async fn next(&mut self) -> Option<Event> {
        if !self.greeted {
            self.greeted = true;
            return Some(self.hello());
        }
        loop {
            let news = self.news.borrow_and_update().clone();
            if let Some(event) = self.told(&news).await {
                self.beat_at = Instant::now() + BEAT;
                return Some(event);
            }
            tokio::select! {
                changed = self.news.changed() => {
                    changed.ok()?;
                    // A burst is one event.
                    tokio::time::sleep(TOGETHER).await;
                }
                () = sleep_until(self.beat_at) => {
                    self.beat_at = Instant::now() + BEAT;
                    return Some(Message::Beat { now: now_ms() }.event());
                }
                () = self.visit.stop.cancelled() => return None,
            }
        }
    }

    fn hello(&self) -> Event {
        let (revision, complete, stale) = (self.seen, self.complete, self.stale.clone());
        Message::Hello { revision, now: now_ms(), complete, stale }.event()
    }

    async fn told(&mut self, news: &News) -> Option<Event> {
        if news.stale != self.stale {
            self.stale.clone_from(&news.stale);
            let message = self.stale.clone().map_or(Message::Fresh {}, Message::Stale);
            return Some(message.event());
        }
        if news.complete != self.complete {
            self.complete = news.complete;
            return Some(self.reset(news.revision));
        }
        if news.revision == self.seen {
            return None;
        }
        self.rows().await
    }

    /// What changed for whoever reads; `None` when that is nothing.
    async fn rows(&mut self) -> Option<Event> {
        let visit = self.visit.clone();
        Some(match visit.store.changes_after(self.seen) {
            Changes::Some { revision, mut upserts, mut deletes }
                if upserts.len() + deletes.len() <= ROWS_MAX =>
            {
                self.seen = revision;
                let places = upserts.iter().map(|row| &row.id).chain(&deletes);
                // Whose rights cannot be asked for now reads anew, and hears there why.
                let Ok(sight) = visit.caller.sight(places).await else { return Some(self.reset(revision)) };
                upserts.retain(|row| sight.shows(&row.id));
                deletes.retain(|key| sight.shows(key));
                if upserts.is_empty() && deletes.is_empty() {
                    return None;
                }
                let rows = Message::Rows { revision, now: now_ms(), upserts, deletes };
                rows.event().id(revision.to_string())
            }
            Changes::Some { revision, .. } => self.reset(revision),
            Changes::TooMany => {
                let revision = visit.store.news().revision;
                self.reset(revision)
            }
        })
    }

    fn reset(&mut self, revision: u64) -> Event {
        self.seen = revision;
        Message::Reset {}.event().id(revision.to_string())
    }
}
