//! The stream of changes.

use drey_server::FleetKind;
use kube::api::DeleteParams;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::world::{PATIENCE, Setup, World};

/// Reads events one by one.
struct Events {
    answer: Response,
    read: String,
}

impl Events {
    async fn open(world: &World, last: Option<u64>) -> Events {
        let mut request = world.ask(Method::GET, "api/v1/stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.headers()["x-accel-buffering"], "no");
        Events { answer, read: String::new() }
    }

    async fn next(&mut self) -> (String, Value) {
        loop {
            if let Some((event, rest)) = self.read.split_once("\n\n") {
                let field = |name: &str| {
                    event
                        .lines()
                        .find_map(|line| line.strip_prefix(name))
                        .unwrap_or_default()
                        .trim()
                        .to_owned()
                };
                let found = (field("event:"), serde_json::from_str(&field("data:")).unwrap_or_default());
                self.read = rest.to_owned();
                return found;
            }
            let part = timeout(PATIENCE, self.answer.chunk()).await.unwrap().unwrap().unwrap();
            self.read.push_str(std::str::from_utf8(&part).unwrap());
        }
    }

    async fn until(&mut self, name: &str) -> Value {
        loop {
            let (event, data) = self.next().await;
            if event == name {
                return data;
            }
        }
    }
}

#[tokio::test]
async fn changes_arrive_as_they_happen_and_a_reader_that_was_away_hears_what_it_missed() {
    let world = World::start(Setup::default()).await;
    let mut events = Events::open(&world, None).await;
    let (first, hello) = events.next().await;
    assert_eq!((first.as_str(), &hello["complete"]), ("hello", &json!(true)));
    world.deployment("a", 1).await;
    let rows = events.until("rows").await;
    assert_eq!(rows["upserts"][0]["name"], "a");
    let seen = rows["revision"].as_u64().unwrap();
    drop(events);
    world.deployment("b", 1).await;
    world.resources(FleetKind::Deployment).delete("a", &DeleteParams::default()).await.unwrap();
    world.until("api/v1/fleet", |fleet| fleet["total"] == 1 && fleet["rows"][0]["name"] == "b").await;
    let mut again = Events::open(&world, Some(seen)).await;
    let rows = again.until("rows").await;
    assert_eq!(
        (&rows["upserts"][0]["name"], &rows["deletes"]),
        (&json!("b"), &json!(["default/flinkdeployments/a"]))
    );
    let mut lost = Events::open(&world, Some(1_000_000)).await;
    assert_eq!(lost.until("reset").await, json!({}));
}

#[tokio::test]
async fn a_stream_without_news_gives_signs_of_life() {
    let world = World::start(Setup::default()).await;
    let mut events = Events::open(&world, None).await;
    assert!(events.until("beat").await["now"].is_i64());
}
