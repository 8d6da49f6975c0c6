//! Follows every kind in every namespace that is shown, and says when what is shown may be out of date. A kind that the
//! cluster does not have, or that may not be read, is left out; without FlinkDeployments there is nothing to show, and
//! that is told. Refuses to judge an object.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use kube::core::DynamicObject;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use tokio::time::{Instant, sleep, timeout};

use crate::key::{FleetKind, Key};
use crate::row::Row;
use crate::server::now_ms;
use crate::store::{Stale, Store};

/// How many objects one page of a list holds.
const PAGE: u32 = 200;
/// How often the API server is asked for a sign of life, and how often while it gives none.
const PROBE: Duration = Duration::from_secs(5);
const PROBE_AGAIN: Duration = Duration::from_secs(1);
/// How long it may take to answer.
const PROBE_PATIENCE: Duration = Duration::from_secs(2);
/// For how long one error of a watch counts when the API server answers and the watch says nothing more.
const ERROR_COUNTS: Duration = Duration::from_secs(3);

/// What is followed.
#[derive(Clone)]
pub(crate) struct Scope {
    /// The API.
    pub(crate) client: Client,
    /// Name of the cluster, for people.
    pub(crate) cluster: Arc<str>,
    /// The namespaces; all when there are none.
    pub(crate) namespaces: Vec<String>,
}

/// One kind in one namespace, or in all.
type Stream = (FleetKind, Option<String>);

/// What is known of the streams.
#[derive(Default)]
struct Streams {
    /// Errors that still count: since when, when last, and what.
    errors: BTreeMap<Stream, (i64, Instant, String)>,
    /// Streams whose first list is not over.
    unread: BTreeSet<Stream>,
    /// Since when the API server gives no sign of life, and why.
    silent: Option<(i64, String)>,
}

/// Follows `scope` into `store` until the future is dropped.
pub(crate) async fn follow(scope: &Scope, store: &Store) {
    let namespaces: Vec<Option<String>> = match scope.namespaces.as_slice() {
        [] => vec![None],
        some => some.iter().cloned().map(Some).collect(),
    };
    let all: Vec<Stream> = FleetKind::ALL
        .into_iter()
        .flat_map(|kind| namespaces.iter().cloned().map(move |ns| (kind, ns)))
        .collect();
    let streams = Mutex::new(Streams { unread: all.iter().cloned().collect(), ..Streams::default() });
    let follower = Follower { scope, store, streams: &streams };
    let following = join_all(all.iter().map(|stream| follower.follow(stream)));
    tokio::join!(following, follower.probe());
}

struct Follower<'a> {
    scope: &'a Scope,
    store: &'a Store,
    streams: &'a Mutex<Streams>,
}

impl Follower<'_> {
    async fn follow(&self, stream: &Stream) {
        let (kind, namespace) = stream;
        let resource = kind.resource();
        let api: Api<DynamicObject> = match namespace {
            Some(namespace) => Api::namespaced_with(self.scope.client.clone(), namespace, &resource),
            None => Api::all_with(self.scope.client.clone(), &resource),
        };
        let events = watcher(api, watcher::Config::default().page_size(PAGE)).default_backoff();
        let mut events = pin!(events);
        let mut listed = BTreeSet::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => {
                    let over = matches!(event, Event::InitDone);
                    self.take(stream, event, &mut listed);
                    self.note(|streams| {
                        streams.errors.remove(stream);
                        if over {
                            streams.unread.remove(stream);
                        }
                    });
                }
                Err(error) => self.failed(stream, &error),
            }
        }
    }

    fn take(&self, (kind, namespace): &Stream, event: Event<DynamicObject>, listed: &mut BTreeSet<Key>) {
        let here =
            |key: &Key| key.kind == *kind && namespace.as_deref().is_none_or(|ns| *ns == *key.namespace);
        match event {
            Event::Init => listed.clear(),
            Event::InitApply(object) => {
                if let Some(row) = self.row(*kind, object) {
                    listed.insert(row.id.clone());
                    self.upsert(row);
                }
            }
            Event::InitDone => {
                let there = std::mem::take(listed);
                self.store.retain(|key| !here(key) || there.contains(key));
            }
            Event::Apply(object) => {
                if let Some(row) = self.row(*kind, object) {
                    self.upsert(row);
                }
            }
            Event::Delete(object) => {
                if let Some(row) = self.row(*kind, object) {
                    self.store.delete(&row.id);
                }
            }
        }
    }

    /// What only a JobManager tells stays as it was last heard.
    fn upsert(&self, mut row: Row) {
        row.remember(self.store);
        self.store.upsert(row);
    }

    fn row(&self, kind: FleetKind, object: DynamicObject) -> Option<Row> {
        let object = serde_json::to_value(object).ok()?;
        Row::of(&self.scope.cluster, kind, &object)
    }

    fn failed(&self, stream: &Stream, error: &watcher::Error) {
        let (kind, namespace) = stream;
        let code = code(error);
        // Not every cluster has every kind, and not everybody may read them.
        if *kind != FleetKind::Deployment && matches!(code, Some(403 | 404)) {
            self.note(|streams| {
                streams.unread.remove(stream);
            });
            return;
        }
        let place =
            namespace.as_ref().map_or_else(String::new, |namespace| format!(" in namespace {namespace}"));
        let what = match code {
            Some(403) => format!("the right to list and watch {}{place} is lacking", kind.plural()),
            Some(404) => {
                "the cluster has no definition of FlinkDeployments: `drey crds apply` installs it".to_owned()
            }
            Some(401) => "the API server does not accept drey's credentials any more".to_owned(),
            Some(_) | None => format!("{} cannot be followed{place}: {}", kind.plural(), innermost(error)),
        };
        tracing::debug!(kind = kind.plural(), %error, "a watch failed");
        self.note(|streams| {
            let since = streams.errors.get(stream).map_or_else(now_ms, |(since, _, _)| *since);
            streams.errors.insert(stream.clone(), (since, Instant::now(), what));
        });
    }

    /// Watches may be silent for long, also because nobody is there any more.
    async fn probe(&self) {
        loop {
            let answer = timeout(PROBE_PATIENCE, self.scope.client.apiserver_version()).await;
            let silent = match answer {
                Ok(Ok(_)) | Ok(Err(kube::Error::Api(_))) => None,
                Ok(Err(error)) => Some(format!("the API server does not answer: {error}")),
                Err(_) => Some("the API server does not answer".to_owned()),
            };
            let answers = silent.is_none();
            self.note(|streams| {
                streams.silent = silent.map(|why| {
                    let since = streams.silent.as_ref().map_or_else(now_ms, |(since, _)| *since);
                    (since, why)
                });
                let unread = &streams.unread;
                streams.errors.retain(|stream, (_, last, _)| {
                    !answers || unread.contains(stream) || last.elapsed() < ERROR_COUNTS
                });
            });
            let well = self.store.news().stale.is_none();
            sleep(if well { PROBE } else { PROBE_AGAIN }).await;
        }
    }

    fn note(&self, change: impl FnOnce(&mut Streams)) {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut streams);
        let of_streams = streams.errors.values().map(|(since, _, message)| (*since, message));
        let oldest =
            streams.silent.as_ref().map(|(since, message)| (*since, message)).or_else(|| of_streams.min());
        let stale = oldest.map(|(since, message)| Stale { since, message: message.clone() });
        self.store.set_health(stale, streams.unread.is_empty());
    }
}

fn code(error: &watcher::Error) -> Option<u16> {
    let of = |error: &kube::Error| match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    };
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => of(error),
        watcher::Error::WatchError(status) => Some(status.code),
        watcher::Error::NoResourceVersion => None,
    }
}

/// The cause that everything else wraps.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
