//! Owner references, finalizers, namespaces and CRDs: what follows from a deletion.

use drey_apiserver::ApiServer;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Client;
use kube::api::{
    Api, DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams, PropagationPolicy,
};
use serde_json::json;

use crate::in_process::{object, with_widgets};

fn owned(name: &str, owners: &[&ConfigMap], block: bool) -> ConfigMap {
    let reference = |owner: &&ConfigMap| OwnerReference {
        api_version: "v1".to_owned(),
        kind: "ConfigMap".to_owned(),
        name: owner.metadata.name.clone().unwrap(),
        uid: owner.metadata.uid.clone().unwrap(),
        block_owner_deletion: Some(block),
        controller: None,
    };
    let metadata = ObjectMeta {
        name: Some(name.to_owned()),
        owner_references: Some(owners.iter().map(reference).collect()),
        ..ObjectMeta::default()
    };
    ConfigMap { metadata, ..ConfigMap::default() }
}

async fn make(maps: &Api<ConfigMap>, map: ConfigMap) -> ConfigMap {
    maps.create(&PostParams::default(), &map).await.unwrap()
}

async fn names(maps: &Api<ConfigMap>) -> Vec<String> {
    let list = maps.list(&ListParams::default()).await.unwrap();
    list.items.into_iter().filter_map(|map| map.metadata.name).collect()
}

fn maps(client: &Client) -> Api<ConfigMap> {
    Api::default_namespaced(client.clone())
}

#[tokio::test]
async fn dependents_follow_their_last_owner() {
    let client = ApiServer::in_memory().unwrap().client("default");
    let maps = maps(&client);
    let one = make(&maps, owned("one", &[], false)).await;
    let two = make(&maps, owned("two", &[], false)).await;
    let child = make(&maps, owned("child", &[&one], false)).await;
    make(&maps, owned("grandchild", &[&child], false)).await;
    make(&maps, owned("shared", &[&one, &two], false)).await;
    maps.delete("one", &DeleteParams::background()).await.unwrap();
    assert_eq!(names(&maps).await, ["shared", "two"]);
    let shared = maps.get("shared").await.unwrap();
    assert_eq!(shared.metadata.owner_references.unwrap().len(), 1, "the reference to the dead owner is gone");
    maps.delete("two", &DeleteParams::default()).await.unwrap();
    assert!(names(&maps).await.is_empty());
}

#[tokio::test]
async fn orphans_stay_and_late_children_go() {
    let client = ApiServer::in_memory().unwrap().client("default");
    let maps = maps(&client);
    let parent = make(&maps, owned("parent", &[], false)).await;
    make(&maps, owned("child", &[&parent], false)).await;
    let orphan =
        DeleteParams { propagation_policy: Some(PropagationPolicy::Orphan), ..DeleteParams::default() };
    maps.delete("parent", &orphan).await.unwrap();
    assert!(maps.get("child").await.unwrap().metadata.owner_references.is_none());
    make(&maps, owned("late", &[&parent], false)).await;
    assert_eq!(names(&maps).await, ["child"], "a child of a dead owner does not stay");
}

#[tokio::test]
async fn foreground_waits_for_blocking_dependents() {
    let client = ApiServer::in_memory().unwrap().client("default");
    let maps = maps(&client);
    let parent = make(&maps, owned("parent", &[], false)).await;
    let mut child = owned("child", &[&parent], true);
    child.metadata.finalizers = Some(vec!["example.com/hold".to_owned()]);
    make(&maps, child).await;
    maps.delete("parent", &DeleteParams::foreground()).await.unwrap();
    let waiting = maps.get("parent").await.unwrap();
    assert_eq!(waiting.metadata.finalizers.unwrap(), ["foregroundDeletion"]);
    assert!(maps.get("child").await.unwrap().metadata.deletion_timestamp.is_some());
    let release = json!({"metadata": {"finalizers": null}});
    maps.patch("child", &PatchParams::default(), &Patch::Merge(&release)).await.unwrap();
    assert!(names(&maps).await.is_empty());
}

#[tokio::test]
async fn finalizers_hold_an_object() {
    let server = ApiServer::in_memory().unwrap();
    let (_, widgets) = with_widgets(&server).await;
    let mut held = object("a", 1);
    held.metadata.finalizers = Some(vec!["example.com/hold".to_owned()]);
    widgets.create(&PostParams::default(), &held).await.unwrap();
    widgets.delete("a", &DeleteParams::default()).await.unwrap();
    let going = widgets.get("a").await.unwrap();
    assert!(going.metadata.deletion_timestamp.is_some());
    assert_eq!(going.metadata.generation, Some(2));
    let more = json!({"metadata": {"finalizers": ["example.com/hold", "example.com/new"]}});
    let refused = widgets.patch("a", &PatchParams::default(), &Patch::Merge(&more)).await.unwrap_err();
    assert!(refused.to_string().contains("no new finalizers can be added"), "{refused}");
    let release = json!({"metadata": {"finalizers": []}});
    widgets.patch("a", &PatchParams::default(), &Patch::Merge(&release)).await.unwrap();
    assert!(widgets.get_opt("a").await.unwrap().is_none());
}

#[tokio::test]
async fn a_namespace_takes_its_contents_along() {
    let client = ApiServer::in_memory().unwrap().client("default");
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace: Namespace = serde_json::from_value(json!({"metadata": {"name": "team"}})).unwrap();
    namespaces.create(&PostParams::default(), &namespace).await.unwrap();
    let inside: Api<ConfigMap> = Api::namespaced(client, "team");
    let mut held = owned("held", &[], false);
    held.metadata.finalizers = Some(vec!["example.com/hold".to_owned()]);
    make(&inside, held).await;
    make(&inside, owned("free", &[], false)).await;
    namespaces.delete("team", &DeleteParams::default()).await.unwrap();
    assert_eq!(names(&inside).await, ["held"]);
    let going = namespaces.get("team").await.unwrap();
    assert_eq!(going.status.unwrap().phase.as_deref(), Some("Terminating"));
    let late = inside.create(&PostParams::default(), &owned("late", &[], false)).await.unwrap_err();
    assert!(late.to_string().contains("because it is being terminated"), "{late}");
    let release = json!({"metadata": {"finalizers": null}});
    inside.patch("held", &PatchParams::default(), &Patch::Merge(&release)).await.unwrap();
    assert!(namespaces.get_opt("team").await.unwrap().is_none());
}

#[tokio::test]
async fn a_definition_takes_its_objects_along() {
    let server = ApiServer::in_memory().unwrap();
    let (client, widgets) = with_widgets(&server).await;
    widgets.create(&PostParams::default(), &object("a", 1)).await.unwrap();
    let crds: Api<CustomResourceDefinition> = Api::all(client);
    crds.delete("widgets.example.com", &DeleteParams::default()).await.unwrap();
    assert!(crds.get_opt("widgets.example.com").await.unwrap().is_none());
    let gone = widgets.get("a").await.unwrap_err();
    assert!(gone.to_string().contains("404"), "{gone}");
}
