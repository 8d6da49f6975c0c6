//! Watches: through kube's own watcher, with replay, expiry, selectors and paused time.

use std::time::Duration;

use drey_apiserver::{ApiServer, Clock, Options};
use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::runtime::watcher;
use serde_json::json;

use crate::in_process::{object, with_widgets};

async fn create(widgets: &Api<DynamicObject>, name: &str, size: i64) -> String {
    let made = widgets.create(&PostParams::default(), &object(name, size)).await.unwrap();
    made.metadata.resource_version.unwrap()
}

fn told(event: &WatchEvent<DynamicObject>) -> String {
    let name = |object: &DynamicObject| object.metadata.name.clone().unwrap_or_default();
    match event {
        WatchEvent::Added(object) => format!("added {}", name(object)),
        WatchEvent::Modified(object) => format!("modified {}", name(object)),
        WatchEvent::Deleted(object) => format!("deleted {}", name(object)),
        WatchEvent::Bookmark(_) => "bookmark".to_owned(),
        WatchEvent::Error(status) => format!("error {}", status.code),
    }
}

async fn watch_until_end(widgets: &Api<DynamicObject>, parameters: &WatchParams, from: &str) -> Vec<String> {
    let stream = widgets.watch(parameters, from).await.unwrap();
    let events: Vec<WatchEvent<DynamicObject>> = stream.try_collect().await.unwrap();
    events.iter().map(told).collect()
}

#[tokio::test(start_paused = true)]
async fn replay_begins_after_the_revision() {
    let server = ApiServer::in_memory().unwrap();
    let (_, widgets) = with_widgets(&server).await;
    let first = create(&widgets, "a", 1).await;
    create(&widgets, "b", 1).await;
    widgets.delete("a", &DeleteParams::default()).await.unwrap();
    let parameters = WatchParams { bookmarks: false, ..WatchParams::default() }.timeout(1);
    assert_eq!(watch_until_end(&widgets, &parameters, &first).await, ["added b", "deleted a"]);
    assert_eq!(watch_until_end(&widgets, &parameters, "0").await, ["added b"]);
}

#[tokio::test(start_paused = true)]
async fn leaving_a_selector_is_a_deletion() {
    let server = ApiServer::in_memory().unwrap();
    let (_, widgets) = with_widgets(&server).await;
    let before = create(&widgets, "a", 1).await;
    for label in ["x", "y", "x"] {
        let patch = json!({"metadata": {"labels": {"k": label}}});
        widgets.patch("a", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    }
    let parameters = WatchParams { bookmarks: false, ..WatchParams::default() }.timeout(1).labels("k=x");
    assert_eq!(watch_until_end(&widgets, &parameters, &before).await, ["added a", "deleted a", "added a"]);
}

#[tokio::test(start_paused = true)]
async fn bookmarks_come_each_minute() {
    let server = ApiServer::in_memory().unwrap();
    let (_, widgets) = with_widgets(&server).await;
    let first = create(&widgets, "a", 1).await;
    let parameters = WatchParams::default().timeout(130);
    assert_eq!(watch_until_end(&widgets, &parameters, &first).await, ["bookmark", "bookmark", "bookmark"]);
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_revision_is_gone() {
    let clock = Clock::settable(0);
    let server = ApiServer::in_memory_with(Options { clock: clock.clone(), seed: None }).unwrap();
    let (_, widgets) = with_widgets(&server).await;
    let first = create(&widgets, "a", 1).await;
    create(&widgets, "b", 1).await;
    clock.set_ms(10 * 60 * 1000);
    create(&widgets, "c", 1).await;
    let parameters = WatchParams { bookmarks: false, ..WatchParams::default() }.timeout(1);
    assert_eq!(watch_until_end(&widgets, &parameters, &first).await, ["error 410"]);
}

#[tokio::test(start_paused = true)]
async fn streaming_lists_end_with_a_bookmark() {
    let server = ApiServer::in_memory().unwrap();
    let (client, widgets) = with_widgets(&server).await;
    create(&widgets, "a", 1).await;
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("example.com", "v1", "Widget"));
    let api: Api<DynamicObject> = Api::all_with(client, &resource);
    let mut stream = watcher(api, watcher::Config::default().streaming_lists()).boxed();
    let mut seen = Vec::new();
    while seen.len() < 3 {
        seen.push(match stream.next().await.unwrap().unwrap() {
            watcher::Event::Init => "init",
            watcher::Event::InitApply(_) => "apply",
            watcher::Event::InitDone => "done",
            watcher::Event::Apply(_) | watcher::Event::Delete(_) => "change",
        });
    }
    assert_eq!(seen, ["init", "apply", "done"]);
}

#[tokio::test]
async fn many_events_reach_a_watcher_in_order() {
    let server = ApiServer::in_memory().unwrap();
    let (_, widgets) = with_widgets(&server).await;
    let first = create(&widgets, "a", 0).await;
    let mut stream = widgets.watch(&WatchParams::default(), &first).await.unwrap().boxed();
    let writer = tokio::spawn({
        let widgets = widgets.clone();
        async move {
            for size in 1..=500 {
                let patch = json!({"spec": {"size": size}});
                widgets.patch("a", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
            }
        }
    });
    let mut last = 0;
    while last < 500 {
        let event =
            tokio::time::timeout(Duration::from_secs(10), stream.next()).await.unwrap().unwrap().unwrap();
        if let WatchEvent::Modified(object) = event {
            let size = object.data["spec"]["size"].as_i64().unwrap();
            assert_eq!(size, last + 1);
            last = size;
        }
    }
    writer.await.unwrap();
}
