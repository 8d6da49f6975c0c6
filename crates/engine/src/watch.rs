//! Follows all FlinkDeployments of one namespace or of all: list, then watch, for ever. Refuses to judge an object
//! and to keep one: each is handed on as a [`Change`].
//!
//! ```text
//!   list (pages) ──► Listed… , ListComplete ──► watch ──► Changed | Deleted
//!      ▲                                         │ ends: opened anew from where it was
//!      └── 410 Gone, repeated failure, silence ──┘
//! ```
//! A watch that is alive brings at least a bookmark before it ends. Watches that end without one are deaf, whatever
//! the connection says; after `silent_watches_max` of them everything is listed again.

use std::collections::HashSet;
use std::time::Duration;

use drey_api::kinds::CANARY_LABEL;
use futures::{StreamExt, TryFutureExt};
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::{Api, Client};
use tokio::time::{Instant, timeout};

use crate::limits::{Limits, backed_off};
use crate::object::{Key, Stored, WireDeployment};

/// What a watch tells.
#[derive(Debug)]
pub(crate) enum Change {
    /// An object in a list that is under way.
    Listed(Stored),
    /// The list is over; these are all there are.
    ListComplete(HashSet<Key>),
    /// An object was created or changed.
    Changed(Stored),
    /// An object is gone; the version is that of the deletion.
    Deleted(Stored),
    /// A watch has begun.
    Opened,
    /// A sign of life without an object.
    Heard,
    /// A list or watch failed; it goes on by itself.
    Failed(String),
}

#[derive(Debug, thiserror::Error)]
enum WatchError {
    #[error("{0}")]
    Api(#[from] kube::Error),
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    #[error("the list has no resourceVersion")]
    NoVersion,
}

impl WatchError {
    /// The server no longer has the version that was asked for.
    fn is_expired(&self) -> bool {
        matches!(self, WatchError::Api(kube::Error::Api(status)) if status.code == 410)
    }
}

/// How one watch ended.
enum Ended {
    /// As agreed, after at least one message.
    Heard,
    /// Without any message.
    Silent,
    /// The server no longer has the version.
    Expired,
    /// With an error.
    Failed(WatchError),
}

/// Follows `namespace`, or all of them, until the future is dropped.
pub(crate) async fn follow(
    client: Client,
    namespace: Option<&str>,
    label_selector: Option<&str>,
    limits: &Limits,
    sink: impl Fn(Change) + Send + Sync,
) {
    let api: Api<WireDeployment> = match namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    let watcher = Watcher { api, label_selector, limits, sink };
    let mut failures = 0;
    loop {
        match watcher.list().await {
            Ok(version) => {
                failures = 0;
                watcher.watch_from(version).await;
            }
            Err(error) => watcher.failed(&error, &mut failures).await,
        }
    }
}

struct Watcher<'a, S> {
    api: Api<WireDeployment>,
    label_selector: Option<&'a str>,
    limits: &'a Limits,
    sink: S,
}

impl<S: Fn(Change) + Send + Sync> Watcher<'_, S> {
    /// Lists everything, page by page. A page is handed on and dropped before the next one is read.
    async fn list(&self) -> Result<String, WatchError> {
        let mut keys = HashSet::new();
        let mut params = ListParams::default().limit(self.limits.list_page);
        params.label_selector = self.label_selector.map(str::to_owned);
        loop {
            let page = self.within(self.limits.request_timeout, self.api.list(&params)).await?;
            for wire in page.items.into_iter().filter(|wire| !is_canary(wire)) {
                if let Some(stored) = Stored::from_wire(wire) {
                    keys.insert(stored.key.clone());
                    (self.sink)(Change::Listed(stored));
                }
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => {
                    let version = page.metadata.resource_version.ok_or(WatchError::NoVersion)?;
                    (self.sink)(Change::ListComplete(keys));
                    return Ok(version);
                }
            }
        }
    }

    /// Watches from `version` on, until only a new list helps.
    async fn watch_from(&self, mut version: String) {
        let mut silent = 0;
        let mut failures = 0;
        while silent < self.limits.silent_watches_max && failures < LIST_AFTER_FAILURES {
            match self.watch_once(&mut version).await {
                Ended::Heard => (silent, failures) = (0, 0),
                Ended::Silent => silent += 1,
                Ended::Expired => return,
                Ended::Failed(error) => self.failed(&error, &mut failures).await,
            }
        }
    }

    async fn watch_once(&self, version: &mut String) -> Ended {
        let seconds = u32::try_from(self.limits.watch_timeout.as_secs()).unwrap_or(u32::MAX).clamp(1, 290);
        let mut params = WatchParams::default().timeout(seconds);
        params.label_selector = self.label_selector.map(str::to_owned);
        let opening = self.api.watch(&params, version);
        let mut stream = match self.within(self.limits.request_timeout, opening).await {
            Ok(stream) => stream.boxed(),
            Err(error) if error.is_expired() => return Ended::Expired,
            Err(error) => return Ended::Failed(error),
        };
        (self.sink)(Change::Opened);
        let ends_at = Instant::now() + self.limits.watch_timeout + self.limits.watch_grace;
        let mut heard = false;
        loop {
            let event = match tokio::time::timeout_at(ends_at, stream.next()).await {
                Ok(Some(Ok(event))) => event,
                Ok(Some(Err(error))) => {
                    let error = WatchError::from(error);
                    return if error.is_expired() { Ended::Expired } else { Ended::Failed(error) };
                }
                Ok(None) | Err(_) => return if heard { Ended::Heard } else { Ended::Silent },
            };
            heard = true;
            if let Err(ended) = self.hand_on(event, version) {
                return ended;
            }
        }
    }

    fn hand_on(&self, event: WatchEvent<WireDeployment>, version: &mut String) -> Result<(), Ended> {
        let (wire, change): (_, fn(Stored) -> Change) = match event {
            WatchEvent::Added(wire) | WatchEvent::Modified(wire) => (wire, Change::Changed),
            WatchEvent::Deleted(wire) => (wire, Change::Deleted),
            WatchEvent::Bookmark(bookmark) => {
                *version = bookmark.metadata.resource_version;
                (self.sink)(Change::Heard);
                return Ok(());
            }
            WatchEvent::Error(status) if status.code == 410 => return Err(Ended::Expired),
            WatchEvent::Error(status) => {
                return Err(Ended::Failed(WatchError::Api(kube::Error::Api(status))));
            }
        };
        let canary = is_canary(&wire);
        if let Some(stored) = Stored::from_wire(wire) {
            stored.version.as_str().clone_into(version);
            (self.sink)(if canary { Change::Heard } else { change(stored) });
        }
        Ok(())
    }

    async fn failed(&self, error: &WatchError, failures: &mut u32) {
        (self.sink)(Change::Failed(error.to_string()));
        let seed = u64::from(*failures) ^ self.api.resource_url().len() as u64;
        tokio::time::sleep(backed_off(self.limits.watch_retry, self.limits.watch_retry_max, *failures, seed))
            .await;
        *failures += 1;
    }

    async fn within<T>(
        &self,
        limit: Duration,
        call: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, WatchError> {
        match timeout(limit, call.map_err(WatchError::from)).await {
            Ok(answer) => answer,
            Err(_) => Err(WatchError::TimedOut(limit)),
        }
    }
}

fn is_canary(wire: &WireDeployment) -> bool {
    let labels = wire.metadata.labels.as_ref();
    labels.and_then(|labels| labels.get(CANARY_LABEL)).is_some_and(|value| value == "true")
}

/// After so many failed watches in a row the version that they start from is given up.
const LIST_AFTER_FAILURES: u32 = 4;
