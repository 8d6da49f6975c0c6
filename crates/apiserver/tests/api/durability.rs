//! What was acknowledged is there after any end of the process, and what was not stored is not told.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use drey_apiserver::{ApiServer, OpenError};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, PostParams};

use crate::in_process::{object, with_widgets};

/// Set for the child process of the kill test: the state file it shall write.
const CHILD_FILE: &str = "APISERVER_TEST_CHILD_FILE";

fn map(name: &str) -> ConfigMap {
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    ConfigMap { metadata, ..ConfigMap::default() }
}

#[tokio::test]
async fn state_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let server = ApiServer::open(&path).unwrap();
    let (client, widgets) = with_widgets(&server).await;
    let made = widgets.create(&PostParams::default(), &object("a", 1)).await.unwrap();
    widgets.create(&PostParams::default(), &object("b", 1)).await.unwrap();
    widgets.delete("b", &DeleteParams::default()).await.unwrap();
    assert!(matches!(ApiServer::open(&path), Err(OpenError::AlreadyOpen { .. })));
    drop((server, client, widgets));

    let server = reopen(&path).await;
    let resource =
        kube::core::ApiResource::from_gvk(&kube::core::GroupVersionKind::gvk("example.com", "v1", "Widget"));
    let widgets: Api<kube::api::DynamicObject> =
        Api::default_namespaced_with(server.client("default"), &resource);
    assert_eq!(widgets.get("a").await.unwrap(), made);
    assert!(widgets.get_opt("b").await.unwrap().is_none());
    let next = widgets.create(&PostParams::default(), &object("c", 1)).await.unwrap();
    let number = |revision: Option<String>| revision.unwrap().parse::<u64>().unwrap();
    assert!(number(next.metadata.resource_version) > number(made.metadata.resource_version) + 2);
}

/// A client's buffer task lets go of the server a moment after the client is dropped.
async fn reopen(path: &Path) -> ApiServer {
    loop {
        match ApiServer::open(path) {
            Ok(server) => return server,
            Err(OpenError::AlreadyOpen { .. }) => tokio::task::yield_now().await,
            Err(other) => panic!("{other}"),
        }
    }
}

/// The child: writes objects for ever and prints each name once it is acknowledged.
#[tokio::test]
async fn child_that_writes_until_killed() {
    let Some(path) = std::env::var_os(CHILD_FILE) else { return };
    let server = ApiServer::open(Path::new(&path)).unwrap();
    let maps: Api<ConfigMap> = Api::default_namespaced(server.client("default"));
    let writers = (0..4).map(|writer| {
        let maps = maps.clone();
        async move {
            for number in 0.. {
                let name = format!("w{writer}-{number}");
                maps.create(&PostParams::default(), &map(&name)).await.unwrap();
                println!("acknowledged {name}");
            }
        }
    });
    futures::future::join_all(writers).await;
}

#[tokio::test]
async fn a_kill_loses_nothing_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let mut acknowledged = Vec::new();
    for round in 1..=3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["durability::child_that_writes_until_killed", "--exact", "--nocapture"])
            .env(CHILD_FILE, path.with_extension(round.to_string()))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        acknowledged.clear();
        while acknowledged.len() < 30 * round {
            let line = lines.next().unwrap().unwrap();
            acknowledged.extend(line.strip_prefix("acknowledged ").map(str::to_owned));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged.extend(
            lines
                .map_while(Result::ok)
                .filter_map(|line| line.strip_prefix("acknowledged ").map(str::to_owned)),
        );

        let server = reopen(&path.with_extension(round.to_string())).await;
        let maps: Api<ConfigMap> = Api::default_namespaced(server.client("default"));
        let stored = maps.list(&ListParams::default()).await.unwrap();
        let names: Vec<String> = stored.items.into_iter().filter_map(|map| map.metadata.name).collect();
        for name in &acknowledged {
            assert!(names.contains(name), "{name} was acknowledged and is lost");
        }
    }
}

#[tokio::test]
async fn a_full_disk_refuses_and_undoes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let server = ApiServer::open(&path).unwrap();
    let maps: Api<ConfigMap> = Api::default_namespaced(server.client("default"));
    maps.create(&PostParams::default(), &map("before")).await.unwrap();
    // A second connection that holds the write lock makes commits fail, as a full disk does.
    let rival = rusqlite::Connection::open(&path).unwrap();
    rival.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = maps.create(&PostParams::default(), &map("during")).await.unwrap_err();
    assert!(error.to_string().contains("could not be stored"), "{error}");
    assert!(maps.get_opt("during").await.unwrap().is_none(), "what was refused is not there");
    rival.execute_batch("ROLLBACK").unwrap();
    maps.create(&PostParams::default(), &map("during")).await.unwrap();
    assert_eq!(maps.list(&ListParams::default()).await.unwrap().items.len(), 2);
}
