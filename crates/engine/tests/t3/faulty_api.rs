//! An API server that misbehaves as told, between the engine and the real one.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use drey_apiserver::ApiService;
use futures::future::BoxFuture;
use http::{Request, Response, StatusCode};
use kube::client::Body;
use serde_json::json;
use tower::Service;

type ResponseBody = <ApiService as Service<Request<Body>>>::Response;
type Before = Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>;

/// What happens to one request.
pub(crate) enum Fault {
    /// It is answered with this status and not applied.
    Fail(u16),
    /// It is applied, and the answer is an error.
    LoseAnswer,
    /// It is a watch that is opened and stays silent for ever.
    Silence,
    /// Something happens before it arrives.
    Before(Before),
}

struct Rule {
    method: &'static str,
    path: String,
    fault: Fault,
}

#[derive(Default)]
struct State {
    rules: VecDeque<Rule>,
    log: Vec<String>,
    down: bool,
}

/// The service.
#[derive(Clone)]
pub(crate) struct FaultyApi {
    inner: ApiService,
    state: Arc<Mutex<State>>,
}

impl FaultyApi {
    pub(crate) fn new(inner: ApiService) -> FaultyApi {
        FaultyApi { inner, state: Arc::default() }
    }

    /// The next request with this method whose path and query contain `path` meets `fault`.
    pub(crate) fn next(&self, method: &'static str, path: &str, fault: Fault) {
        self.state.lock().unwrap().rules.push_back(Rule { method, path: path.to_owned(), fault });
    }

    /// Every request is refused until the API server is there again.
    pub(crate) fn set_down(&self, down: bool) {
        self.state.lock().unwrap().down = down;
    }

    /// How many requests with this method had a path and query that contain `path`.
    pub(crate) fn count(&self, method: &str, path: &str) -> usize {
        let state = self.state.lock().unwrap();
        state.log.iter().filter(|line| line.starts_with(method) && line.contains(path)).count()
    }

    /// How many planned faults have not happened yet.
    pub(crate) fn pending(&self) -> usize {
        self.state.lock().unwrap().rules.len()
    }

    fn fault_of(&self, request: &Request<Body>) -> Option<Fault> {
        let (method, uri) = (request.method().as_str(), request.uri().to_string());
        let mut state = self.state.lock().unwrap();
        state.log.push(format!("{method} {uri}"));
        if state.down {
            return Some(Fault::Fail(503));
        }
        let index = state.rules.iter().position(|rule| rule.method == method && uri.contains(&rule.path))?;
        state.rules.remove(index).map(|rule| rule.fault)
    }
}

impl Service<Request<Body>> for FaultyApi {
    type Response = ResponseBody;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<ResponseBody, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let fault = self.fault_of(&request);
        let mut inner = self.inner.clone();
        Box::pin(async move {
            match fault {
                None => inner.call(request).await,
                Some(Fault::Fail(status)) => Ok(error(status)),
                Some(Fault::LoseAnswer) => {
                    drop(inner.call(request).await);
                    Ok(error(504))
                }
                Some(Fault::Silence) => {
                    let silent = futures::stream::pending::<Result<axum::body::Bytes, Infallible>>();
                    Ok(Response::new(axum::body::Body::from_stream(silent)))
                }
                Some(Fault::Before(before)) => {
                    before().await;
                    inner.call(request).await
                }
            }
        })
    }
}

fn error(code: u16) -> ResponseBody {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
        "reason": "InternalError", "message": "the test asked for this",
    });
    Response::builder()
        .status(StatusCode::from_u16(code).unwrap())
        .body(axum::body::Body::from(status.to_string()))
        .unwrap()
}
