//! Over a socket: tokens, keep-alive, limits, and watches as websockets and as chunks.

use std::time::Duration;

use bytes::Bytes;
use drey_apiserver::{ApiServer, Auth};
use futures::{SinkExt as _, StreamExt as _};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, PostParams};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::Listening;

async fn send(request: Request<Full<Bytes>>) -> (StatusCode, Value) {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = client.request(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

fn map(name: &str) -> Value {
    json!({"metadata": {"name": name}, "data": {"k": "v"}})
}

#[tokio::test]
async fn a_token_is_asked_for() {
    let server = ApiServer::in_memory().unwrap();
    let listening = Listening::start(&server, Auth::Token("secret".to_owned())).await;
    let request = |token: Option<&str>| {
        let mut request = Request::get(format!("{}/api/v1/namespaces", listening.url()));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        request.body(Full::default()).unwrap()
    };
    let (status, body) = send(request(None)).await;
    assert_eq!((status.as_u16(), body["reason"].clone()), (401, json!("Unauthorized")));
    assert_eq!(send(request(Some("wrong!"))).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(send(request(Some("secret"))).await.0, StatusCode::OK);
    for (path, status) in [("/secret/api/v1/namespaces?limit=1", 200), ("/guess/api/v1/namespaces", 401)] {
        let request = Request::get(format!("{}{path}", listening.url())).body(Full::default()).unwrap();
        assert_eq!(send(request).await.0.as_u16(), status, "{path}");
    }
}

#[tokio::test]
async fn bodies_have_a_limit() {
    let server = ApiServer::in_memory().unwrap();
    let listening = Listening::start(&server, Auth::None).await;
    let url = format!("{}/api/v1/namespaces/default/configmaps", listening.url());
    let post = |body: Value| Request::post(&url).body(Full::from(body.to_string())).unwrap();
    let mut large = map("large");
    large["data"]["k"] = json!("x".repeat(3 * 1024 * 1024));
    let (status, body) = send(post(large)).await;
    assert_eq!(status.as_u16(), 413);
    assert_eq!(body["reason"], "RequestEntityTooLarge");
    let (status, body) = send(post(json!(["not", "an", "object"]))).await;
    assert_eq!((status.as_u16(), body["reason"].clone()), (400, json!("BadRequest")));
}

#[tokio::test]
async fn a_websocket_watch_carries_one_event_per_message() {
    let server = ApiServer::in_memory().unwrap();
    let listening = Listening::start(&server, Auth::None).await;
    let maps: Api<ConfigMap> = Api::default_namespaced(server.client("default"));
    let url = format!(
        "ws://{}/api/v1/namespaces/default/configmaps?watch=true&fieldSelector=metadata.name%3Da&resourceVersion=1",
        listening.address
    );
    let (mut socket, response) = tokio_tungstenite::connect_async(&url).await.unwrap();
    assert_eq!(response.status().as_u16(), 101);
    for name in ["b", "a"] {
        let made: ConfigMap = serde_json::from_value(map(name)).unwrap();
        maps.create(&PostParams::default(), &made).await.unwrap();
    }
    let message =
        tokio::time::timeout(Duration::from_secs(10), socket.next()).await.unwrap().unwrap().unwrap();
    let Message::Text(text) = message else { panic!("{message:?}") };
    let event: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(event["type"], "ADDED");
    assert_eq!(event["object"]["metadata"]["name"], "a");
    socket.send(Message::Ping(Bytes::from_static(b"x"))).await.unwrap();
    let pong = socket.next().await.unwrap().unwrap();
    assert!(pong.is_pong(), "{pong:?}");
    listening.shutdown.cancel();
    let close = tokio::time::timeout(Duration::from_secs(10), socket.next()).await.unwrap().unwrap().unwrap();
    assert!(close.is_close(), "{close:?}");
}

#[tokio::test]
async fn shutdown_ends_watches_and_the_server() {
    let server = ApiServer::in_memory().unwrap();
    let mut listening = Listening::start(&server, Auth::None).await;
    let url = format!("{}/api/v1/configmaps?watch=true&resourceVersion=1", listening.url());
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let response = client.get(url.parse().unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    listening.shutdown.cancel();
    let rest = tokio::time::timeout(Duration::from_secs(10), response.into_body().collect()).await.unwrap();
    assert!(rest.unwrap().to_bytes().is_empty());
    drop(client);
    tokio::time::timeout(Duration::from_secs(10), &mut listening.task).await.unwrap().unwrap().unwrap();
}
