//! Create, read, update and delete through `kube::Client`, without a socket.

use drey_apiserver::{ApiServer, Clock, Options};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, ObjectMeta, Patch,
    PatchParams, PostParams, Preconditions,
};
use kube::{Client, Error};
use serde_json::json;

use crate::support::{widget, widget_crd};

pub(crate) async fn with_widgets(server: &ApiServer) -> (Client, Api<DynamicObject>) {
    let client = server.client("default");
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    let crd = serde_json::from_value(widget_crd()).unwrap();
    crds.create(&PostParams::default(), &crd).await.unwrap();
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("example.com", "v1", "Widget"));
    (client.clone(), Api::default_namespaced_with(client, &resource))
}

pub(crate) fn object(name: &str, size: i64) -> DynamicObject {
    serde_json::from_value(widget(name, size)).unwrap()
}

fn code(error: Error) -> (u16, String) {
    match error {
        Error::Api(status) => (status.code, status.reason.clone()),
        other => panic!("not an API error: {other}"),
    }
}

#[tokio::test]
async fn a_custom_object_lives() {
    let server =
        ApiServer::in_memory_with(Options { clock: Clock::settable(1_795_255_200_000), seed: Some(1) })
            .unwrap();
    let (_, widgets) = with_widgets(&server).await;
    let made = widgets.create(&PostParams::default(), &object("a", 1)).await.unwrap();
    assert_eq!(made.metadata.generation, Some(1));
    assert_eq!(made.data["spec"], json!({"size": 1, "color": "red"}));
    assert_eq!(made.metadata.creation_timestamp.unwrap().0.to_string(), "2026-11-21T10:00:00Z");

    let patch = json!({"spec": {"size": 2}, "status": {"ignored": true}});
    let patched = widgets.patch("a", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    assert_eq!(patched.metadata.generation, Some(2));
    assert!(patched.data.get("status").is_none(), "the main resource does not write status");

    let status = json!({"status": {"size": 2}, "spec": {"size": 99}, "metadata": {"labels": {"a": "b"}}});
    let after = widgets.patch_status("a", &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
    assert_eq!(after.metadata.generation, Some(2));
    assert_eq!(after.data["spec"]["size"], 2);
    assert_eq!(after.data["status"]["size"], 2);
    assert!(after.metadata.labels.is_none());

    let same = widgets.patch_status("a", &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
    assert_eq!(same.metadata.resource_version, after.metadata.resource_version, "no change, no revision");

    let scale = widgets.get_scale("a").await.unwrap();
    assert_eq!(scale.status.unwrap().replicas, 2);
    let up = json!({"spec": {"replicas": 5}});
    widgets.patch_scale("a", &PatchParams::default(), &Patch::Merge(&up)).await.unwrap();
    let scaled = widgets.get("a").await.unwrap();
    assert_eq!((scaled.data["spec"]["size"].clone(), scaled.metadata.generation), (json!(5), Some(3)));

    widgets.delete("a", &DeleteParams::default()).await.unwrap();
    assert_eq!(code(widgets.get("a").await.unwrap_err()), (404, "NotFound".to_owned()));
}

#[tokio::test]
async fn conflicts_and_preconditions() {
    let server = ApiServer::in_memory().unwrap();
    let (_, widgets) = with_widgets(&server).await;
    let first = widgets.create(&PostParams::default(), &object("a", 1)).await.unwrap();
    let again = widgets.create(&PostParams::default(), &object("a", 1)).await.unwrap_err();
    assert_eq!(code(again), (409, "AlreadyExists".to_owned()));
    let mut newer = first.clone();
    newer.data["spec"]["size"] = json!(2);
    widgets.replace("a", &PostParams::default(), &newer).await.unwrap();
    let stale = widgets.replace("a", &PostParams::default(), &newer).await.unwrap_err();
    assert_eq!(code(stale), (409, "Conflict".to_owned()));
    let wrong = Preconditions { uid: Some("other".to_owned()), resource_version: None };
    let parameters = DeleteParams { preconditions: Some(wrong), ..DeleteParams::default() };
    assert_eq!(code(widgets.delete("a", &parameters).await.unwrap_err()).0, 409);
    let right = Preconditions { uid: first.metadata.uid, resource_version: None };
    let parameters = DeleteParams { preconditions: Some(right), ..DeleteParams::default() };
    widgets.delete("a", &parameters).await.unwrap();
}

#[tokio::test]
async fn invalid_objects_are_refused_by_field() {
    let server = ApiServer::in_memory().unwrap();
    let (_, widgets) = with_widgets(&server).await;
    let mut bad = object("a", -1);
    bad.data["spec"]["color"] = json!("green");
    let Error::Api(status) = widgets.create(&PostParams::default(), &bad).await.unwrap_err() else {
        panic!("an API error was expected");
    };
    assert_eq!(status.code, 422);
    assert_eq!(
        status.message,
        "Widget.example.com \"a\" is invalid: [spec.size: Invalid value: -1: spec.size in body should be greater \
         than or equal to 0, spec.color: Unsupported value: \"green\": supported values: \"red\", \"blue\", \
         .spec.size: Invalid value: -1: should be a non-negative integer]"
    );
    let causes = status.details.as_ref().map(|details| details.causes.len());
    assert_eq!(causes, Some(3));
}

#[tokio::test]
async fn lists_page_over_one_snapshot() {
    let server = ApiServer::in_memory().unwrap();
    let (client, widgets) = with_widgets(&server).await;
    for index in 0..5 {
        widgets.create(&PostParams::default(), &object(&format!("w{index}"), index)).await.unwrap();
    }
    let page = widgets.list(&ListParams::default().limit(2)).await.unwrap();
    assert_eq!(page.items.len(), 2);
    assert_eq!(page.metadata.remaining_item_count, Some(3));
    let token = page.metadata.continue_.clone().unwrap();
    // What happens between the pages does not show: neither a deletion nor a creation.
    widgets.delete("w3", &DeleteParams::default()).await.unwrap();
    widgets.create(&PostParams::default(), &object("w25", 0)).await.unwrap();
    let rest = widgets.list(&ListParams::default().limit(10).continue_token(&token)).await.unwrap();
    let names: Vec<String> = rest.items.iter().filter_map(|item| item.metadata.name.clone()).collect();
    assert_eq!(names, ["w2", "w3", "w4"]);
    assert_eq!(rest.metadata.resource_version, page.metadata.resource_version);
    let now = widgets.list(&ListParams::default()).await.unwrap();
    assert_eq!(now.items.len(), 5);
    let one = widgets.list(&ListParams::default().fields("metadata.name=w1")).await.unwrap();
    assert_eq!(one.items.len(), 1);
    let elsewhere: Api<ConfigMap> = Api::namespaced(client, "nowhere");
    let lost = ConfigMap {
        metadata: ObjectMeta { name: Some("x".to_owned()), ..Default::default() },
        ..Default::default()
    };
    assert_eq!(code(elsewhere.create(&PostParams::default(), &lost).await.unwrap_err()).0, 404);
}

#[tokio::test]
async fn a_fork_goes_its_own_way() {
    let server = ApiServer::in_memory().unwrap();
    let (_, widgets) = with_widgets(&server).await;
    let made = widgets.create(&PostParams::default(), &object("a", 1)).await.unwrap();
    let fork = server.fork(Options { clock: Clock::settable(0), seed: Some(1) });
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("example.com", "v1", "Widget"));
    let forked: Api<DynamicObject> = Api::default_namespaced_with(fork.client("default"), &resource);
    assert_eq!(forked.get("a").await.unwrap(), made);
    forked.delete("a", &DeleteParams::default()).await.unwrap();
    forked.create(&PostParams::default(), &object("b", 1)).await.unwrap();
    assert!(widgets.get_opt("a").await.unwrap().is_some());
    assert!(widgets.get_opt("b").await.unwrap().is_none());
}

#[tokio::test]
async fn a_seed_makes_runs_equal() {
    let mut uids = Vec::new();
    for _ in 0..2 {
        let options = Options { clock: Clock::settable(0), seed: Some(42) };
        let server = ApiServer::in_memory_with(options).unwrap();
        let (_, widgets) = with_widgets(&server).await;
        let mut generated = object("", 1);
        generated.metadata.name = None;
        generated.metadata.generate_name = Some("g-".to_owned());
        let made = widgets.create(&PostParams::default(), &generated).await.unwrap();
        assert!(made.metadata.name.as_deref().is_some_and(|name| name.starts_with("g-") && name.len() == 7));
        uids.push((made.metadata.uid, made.metadata.name));
    }
    assert_eq!(uids[0], uids[1]);
}
