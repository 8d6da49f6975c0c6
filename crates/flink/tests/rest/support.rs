//! A server on loopback that gives one prepared answer after the other, for the tests of the REST client.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use drey_flink::FlinkRest;
use drey_flink::rest::tls::{TlsSettings, client};

/// What was asked, as `METHOD /path?query body`.
type Asked = String;

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    status: u16,
    body: String,
    asked: Vec<Asked>,
}

pub(crate) struct Server {
    shared: Shared,
    pub(crate) rest: FlinkRest,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        let shared = Shared::default();
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { shared, rest: rest(&format!("http://{address}")), task }
    }

    /// Gives this answer from now on.
    pub(crate) fn answer(&self, status: u16, body: &str) {
        let mut script = self.shared.0.lock().unwrap();
        (script.status, script.body) = (status, body.to_owned());
    }

    /// What was asked last.
    pub(crate) fn asked(&self) -> Asked {
        self.shared.0.lock().unwrap().asked.last().unwrap().clone()
    }
}

async fn answer(State(shared): State<Shared>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let mut script = shared.0.lock().unwrap();
    script
        .asked
        .push(format!("{} {} {}", head.method, head.uri, String::from_utf8_lossy(&body)).trim().to_owned());
    let status = StatusCode::from_u16(script.status).unwrap();
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(Body::from(script.body.clone()))
        .unwrap()
}

pub(crate) fn install_crypto() {
    // Another test of the same process may have installed it before.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

pub(crate) fn rest(base: &str) -> FlinkRest {
    install_crypto();
    FlinkRest::new(client(&TlsSettings::default()).unwrap(), base.parse().unwrap())
}
