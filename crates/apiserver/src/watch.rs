//! Watches: the history of a collection as a stream of events, filtered for one client.
//!
//! A watch holds no queue: it remembers the revision it has reached, and takes the next committed changes
//! from the history. One that falls behind what the history remembers ends with 410, as everywhere.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::commit::Progress;
use crate::errors::{ApiError, FieldError};
use crate::limits::{
    BOOKMARK_INTERVAL_SECONDS, LAST_BOOKMARK_SECONDS, WATCH_BATCH_EVENTS, WATCH_TIMEOUT_SECONDS,
};
use crate::path::Query;
use crate::read::{invalid_options, parse_revision, reach};
use crate::render::{Form, View, encode, watched};
use crate::selector::Selector;
use crate::server::Server;
use crate::state::{Change, ChangeKind, decode};
use crate::write::Scope;

/// What a watch asks for.
#[derive(Debug)]
pub(crate) struct WatchRequest {
    selector: Selector,
    from: From,
    bookmarks: bool,
    timeout: Duration,
}

/// Where a watch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    /// With the objects that exist, as ADDED events; then their changes.
    /// Not before the server has reached `at_least`.
    Existing { at_least: u64, announce_end: bool },
    /// With what changes from now on.
    Now,
    /// With the changes after a revision.
    After(u64),
}

impl WatchRequest {
    /// Reads the parameters.
    pub(crate) fn parse(query: &Query, scope: &Scope) -> Result<WatchRequest, ApiError> {
        let fields = query.get("fieldSelector").unwrap_or("");
        let selector = Selector::parse(query.get("labelSelector").unwrap_or(""), fields, &scope.kind)?;
        let bookmarks = query.flag("allowWatchBookmarks");
        let timeout = match query.get("timeoutSeconds") {
            None => WATCH_TIMEOUT_SECONDS,
            Some(text) => text.parse().map_err(|_| {
                ApiError::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))
            })?,
        };
        let from = beginning(query, bookmarks)?;
        Ok(WatchRequest { selector, from, bookmarks, timeout: Duration::from_secs(timeout) })
    }
}

fn beginning(query: &Query, bookmarks: bool) -> Result<From, ApiError> {
    let revision = query.get("resourceVersion");
    let matching = query.get("resourceVersionMatch");
    if query.has("sendInitialEvents") {
        if matching != Some("NotOlderThan") {
            let detail = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            let mut errors = vec![FieldError::forbidden("resourceVersionMatch", detail)];
            if let Some(other) = matching {
                let supported = ["\"NotOlderThan\"".to_owned()];
                errors.push(FieldError::unsupported("resourceVersionMatch", &json!(other), &supported));
            }
            return Err(invalid_options(&errors));
        }
        if query.flag("sendInitialEvents") {
            let at_least = revision.map_or(Ok(0), watch_revision)?;
            return Ok(From::Existing { at_least, announce_end: bookmarks });
        }
    } else if matching.is_some() {
        let detail = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
        return Err(invalid_options(&[FieldError::forbidden("resourceVersionMatch", detail)]));
    }
    match revision {
        None | Some("0") if query.has("sendInitialEvents") => Ok(From::Now),
        None | Some("0") => Ok(From::Existing { at_least: 0, announce_end: false }),
        Some(text) => Ok(From::After(watch_revision(text)?)),
    }
}

fn watch_revision(text: &str) -> Result<u64, ApiError> {
    parse_revision(text).map_err(|problem| ApiError::unclassified(problem.to_string()))
}

/// A running watch: call [`Watch::next`] until it gives `None`.
pub(crate) struct Watch {
    server: Server,
    scope: Scope,
    selector: Selector,
    view: View,
    bookmarks: bool,
    /// Every change up to here was delivered or skipped.
    reached: u64,
    progress: tokio::sync::watch::Receiver<Progress>,
    pending: VecDeque<Bytes>,
    ends_at: Instant,
    bookmark_at: Instant,
    stop: CancellationToken,
    columns_sent: bool,
    ended: bool,
}

impl Watch {
    /// Starts a watch.
    pub(crate) async fn start(
        server: Server,
        scope: Scope,
        request: WatchRequest,
        view: View,
        stop: CancellationToken,
    ) -> Result<Watch, ApiError> {
        let now = Instant::now();
        let mut watch = Watch {
            progress: server.shared.subscribe(),
            reached: 0,
            selector: request.selector,
            view,
            bookmarks: request.bookmarks,
            pending: VecDeque::new(),
            ends_at: now + request.timeout,
            bookmark_at: next_bookmark(now, now + request.timeout),
            stop,
            columns_sent: false,
            ended: false,
            server,
            scope,
        };
        match request.from {
            From::Now => watch.reached = watch.server.shared.committed(),
            From::After(revision) => watch.begin_after(revision),
            From::Existing { at_least, announce_end } => match reach(&watch.server, at_least).await {
                Ok(()) => watch.begin_with_existing(announce_end).await?,
                Err(error) => watch.end_with(&error),
            },
        }
        Ok(watch)
    }

    /// Goes on after a revision that the client has seen.
    ///
    /// One that has not happened yet was seen on another state, which was deleted since. kube-apiserver stays
    /// silent until it comes to pass; here the client is told at once that it must list again.
    fn begin_after(&mut self, revision: u64) {
        self.reached = revision;
        let committed = self.server.shared.committed();
        if revision > committed {
            self.end_with(&too_old(revision, committed));
        }
    }

    /// Ends the watch with an ERROR event.
    fn end_with(&mut self, error: &ApiError) {
        self.pending.push_back(line("ERROR", &encode(&error.to_status())));
        self.ended = true;
    }

    /// Queues the existing objects as ADDED events.
    async fn begin_with_existing(&mut self, announce_end: bool) -> Result<(), ApiError> {
        let (revision, bodies) = {
            let state = self.server.shared.lock();
            let objects = &state.collection(&self.scope.kind.collection).objects;
            let inside =
                |namespace: &str| self.scope.namespace.is_empty() || namespace == self.scope.namespace;
            let mine = objects.iter().filter(|(object, _)| inside(&object.namespace));
            let bodies: Vec<Bytes> = mine.map(|(_, entry)| entry.body.clone()).collect();
            (state.revision, bodies)
        };
        self.server.shared.durable(revision).await?;
        for body in bodies {
            if self.selected(&body) {
                let event = self.event("ADDED", &body);
                self.pending.push_back(event);
            }
        }
        self.reached = revision;
        if announce_end {
            let bookmark = self.bookmark(true);
            self.pending.push_back(bookmark);
        }
        Ok(())
    }

    /// The next bytes to send: one or more events, each on a line. `None` ends the watch.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(chunk) = self.drain() {
                return Some(chunk);
            }
            if self.ended {
                return None;
            }
            self.collect();
            if self.pending.is_empty() && !self.ended {
                self.wait().await;
            }
        }
    }

    /// The next single event, for websockets, where each is a message.
    pub(crate) async fn next_event(&mut self) -> Option<Bytes> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Some(event);
            }
            if self.ended {
                return None;
            }
            self.collect();
            if self.pending.is_empty() && !self.ended {
                self.wait().await;
            }
        }
    }

    fn drain(&mut self) -> Option<Bytes> {
        if self.pending.len() <= 1 {
            return self.pending.pop_front();
        }
        let size = self.pending.iter().map(Bytes::len).sum();
        let mut chunk = BytesMut::with_capacity(size);
        self.pending.drain(..).for_each(|event| chunk.put(event));
        Some(chunk.freeze())
    }

    /// Waits for a commit, the time for a bookmark, or the end.
    async fn wait(&mut self) {
        let wake_at = if self.bookmarks { self.ends_at.min(self.bookmark_at) } else { self.ends_at };
        tokio::select! {
            changed = self.progress.changed() => self.ended = changed.is_err(),
            () = self.stop.cancelled() => self.ended = true,
            () = tokio::time::sleep_until(wake_at) => {
                let now = Instant::now();
                self.ended = now >= self.ends_at;
                if self.bookmarks && !self.ended {
                    self.bookmark_at = next_bookmark(now, self.ends_at);
                    let bookmark = self.bookmark(false);
                    self.pending.push_back(bookmark);
                }
            }
        }
    }

    /// Takes the next committed changes from the history.
    fn collect(&mut self) {
        let committed = self.progress.borrow_and_update().committed;
        if committed <= self.reached {
            return;
        }
        let changes = {
            let state = self.server.shared.lock();
            let collection = state.collection(&self.scope.kind.collection);
            collection.changes_after(self.reached, committed, WATCH_BATCH_EVENTS)
        };
        let Some(changes) = changes else {
            self.end_with(&too_old(self.reached, committed));
            return;
        };
        let full = changes.len() == WATCH_BATCH_EVENTS;
        for change in &changes {
            self.translate(change);
        }
        self.reached = match changes.last() {
            Some(last) if full => last.revision,
            _ => committed,
        };
    }

    /// What a change means for this client: an object that stops matching is gone for it.
    fn translate(&mut self, change: &Arc<Change>) {
        if !self.scope.namespace.is_empty() && *change.object.namespace != *self.scope.namespace {
            return;
        }
        if self.selector.only_name().is_some_and(|name| name != &*change.object.name) {
            return;
        }
        let before = change.previous.as_ref().is_some_and(|previous| self.selected(&previous.body));
        let after = change.kind != ChangeKind::Deleted && self.selected(&change.body);
        let event = match (before, after) {
            (false, false) => return,
            (false, true) => self.event("ADDED", &change.body),
            (true, true) => self.event("MODIFIED", &change.body),
            (true, false) if change.kind == ChangeKind::Deleted => self.event("DELETED", &change.body),
            (true, false) => {
                // The client knows the object as it was when it still matched, at the revision of the change.
                let previous = change.previous.as_ref().map(|previous| previous.body.clone());
                let mut value = decode(&previous.unwrap_or_else(|| change.body.clone()));
                value["metadata"]["resourceVersion"] = json!(change.revision.to_string());
                self.event("DELETED", &encode(&value))
            }
        };
        self.pending.push_back(event);
    }

    fn selected(&self, body: &Bytes) -> bool {
        self.selector.is_everything() || self.selector.matches(&decode(body), &self.scope.kind)
    }

    fn event(&mut self, kind: &str, body: &Bytes) -> Bytes {
        let first = !self.columns_sent;
        self.columns_sent = true;
        line(kind, &watched(&self.scope.kind, body, self.view, first))
    }

    fn bookmark(&self, initial_events_end: bool) -> Bytes {
        let kind = &self.scope.kind;
        let mut metadata = json!({"resourceVersion": self.reached.to_string(), "creationTimestamp": null});
        if initial_events_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object: Value = match self.view.form {
            Form::Json => json!({"kind": kind.kind, "apiVersion": kind.api_version(), "metadata": metadata}),
            Form::Metadata => {
                json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
            }
            Form::Table => json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
                "columnDefinitions": null, "rows": []}),
        };
        line("BOOKMARK", &encode(&object))
    }
}

fn too_old(asked: u64, committed: u64) -> ApiError {
    ApiError::expired(format!("too old resource version: {asked} ({committed})"))
}

/// Each minute, and shortly before the end, so that a client goes on from a fresh revision.
fn next_bookmark(now: Instant, ends_at: Instant) -> Instant {
    let regular = now + Duration::from_secs(BOOKMARK_INTERVAL_SECONDS);
    match ends_at.checked_sub(Duration::from_secs(LAST_BOOKMARK_SECONDS)) {
        Some(last) if last > now => regular.min(last),
        Some(_) | None => regular,
    }
}

fn line(kind: &str, object: &Bytes) -> Bytes {
    let mut event = BytesMut::with_capacity(object.len() + kind.len() + 32);
    event.put_slice(b"{\"type\":\"");
    event.put_slice(kind.as_bytes());
    event.put_slice(b"\",\"object\":");
    event.put_slice(object);
    event.put_slice(b"}\n");
    event.freeze()
}
