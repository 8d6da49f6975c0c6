//! The transport: requests in, responses out, in process and over loopback HTTP with its websockets.
//!
//! It refuses to know what any request means.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::FromRequestParts as _;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, UPGRADE,
};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio_util::sync::CancellationToken;

use crate::answer::{Answer, Content};
use crate::errors::ApiError;
use crate::limits::{REQUEST_BYTES_MAX, WEBSOCKET_PING_SECONDS};
use crate::path::{Query, parse};
use crate::render::{self, View};
use crate::routes::{Call, Outcome, dispatch};
use crate::server::Server;
use crate::watch::Watch;

const WARNING: HeaderName = HeaderName::from_static("warning");

/// Who may use the HTTP server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Requests must carry this token: as `Authorization: Bearer`, or in front of the path as in the server URL
    /// of [`ApiServer::kubeconfig`](crate::ApiServer::kubeconfig).
    Token(String),
    /// Anyone who reaches the socket.
    None,
}

/// The API as a `tower` service, for [`kube::Client::new`]. Clones are the same server.
#[derive(Clone, Debug)]
pub struct ApiService {
    server: Server,
    stop: CancellationToken,
}

impl ApiService {
    pub(crate) fn new(server: Server, stop: CancellationToken) -> ApiService {
        ApiService { server, stop }
    }
}

impl<B> tower::Service<Request<B>> for ApiService
where
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let ApiService { server, stop } = self.clone();
        Box::pin(async move { Ok(answer(server, request, stop).await) })
    }
}

async fn answer<B>(server: Server, request: Request<B>, stop: CancellationToken) -> Response<Body>
where
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (mut parts, body) = request.into_parts();
    let body = match read_body(body).await {
        Ok(body) => body,
        Err(error) => return failure(&error),
    };
    let call = Call {
        target: parse(&parts.uri),
        query: Query::parse(&parts.uri),
        method: parts.method.clone(),
        headers: parts.headers.clone(),
        body,
    };
    let outcome = match dispatch(&server, &call, &stop).await {
        Ok(outcome) => outcome,
        Err(error) => return failure(&error),
    };
    match outcome {
        Outcome::Answer(answer, view) => match server.shared.durable(answer.revision).await {
            Ok(()) => respond(answer, view),
            Err(error) => failure(&error),
        },
        Outcome::Document { media_type, body } => with_type(StatusCode::OK, media_type, Body::from(body)),
        Outcome::Watch(watch) => {
            if parts.headers.contains_key(UPGRADE)
                && let Ok(upgrade) = WebSocketUpgrade::from_request_parts(&mut parts, &()).await
            {
                return upgrade.on_upgrade(move |socket| serve_websocket(socket, *watch));
            }
            stream(*watch)
        }
    }
}

async fn read_body<B>(body: B) -> Result<Bytes, ApiError>
where
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match Limited::new(body, REQUEST_BYTES_MAX).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::body_too_large(REQUEST_BYTES_MAX)),
        Err(error) => Err(ApiError::bad_request(format!("the request body could not be read: {error}"))),
    }
}

fn respond(answer: Answer, view: View) -> Response<Body> {
    let Answer { code, content, warnings, revision: _ } = answer;
    let body = match content {
        Content::Json(value) => Body::from(render::encode(&value)),
        Content::Object { kind, body } => Body::from(render::object(&kind, &body, view)),
        Content::List(list) => {
            let pieces = render::list(&list, view);
            Body::from_stream(futures::stream::iter(pieces.into_iter().map(Ok::<Bytes, Infallible>)))
        }
    };
    let mut response = with_type(code, "application/json", body);
    add_warnings(&mut response, &warnings);
    response
}

fn add_warnings(response: &mut Response<Body>, warnings: &[String]) {
    for warning in warnings {
        if let Ok(value) = HeaderValue::try_from(warning_header(warning)) {
            response.headers_mut().append(WARNING, value);
        }
    }
}

/// RFC 7234: code, agent, quoted text.
fn warning_header(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace(['\n', '\r'], " ");
    format!("299 - \"{escaped}\"")
}

fn with_type(code: StatusCode, media_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

fn failure(error: &ApiError) -> Response<Body> {
    if error.is_plain_text() {
        return with_type(error.code, "text/plain; charset=utf-8", Body::from(error.message.clone()));
    }
    let body = Body::from(render::encode(&error.to_status()));
    let mut response = with_type(error.code, "application/json", body);
    if let Some(seconds) = error.retry_after_seconds() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    add_warnings(&mut response, error.warnings());
    response
}

/// A watch as a chunked body: one JSON document on each line.
fn stream(watch: Watch) -> Response<Body> {
    let events = futures::stream::unfold(watch, |mut watch| async move {
        let chunk = watch.next().await?;
        Some((Ok::<Bytes, Infallible>(chunk), watch))
    });
    with_type(StatusCode::OK, "application/json;stream=watch", Body::from_stream(events))
}

/// A watch as a websocket: one JSON document in each text message.
async fn serve_websocket(socket: WebSocket, mut watch: Watch) {
    let (mut sink, mut source) = socket.split();
    let mut ping = tokio::time::interval(Duration::from_secs(WEBSOCKET_PING_SECONDS));
    ping.reset();
    loop {
        let message = tokio::select! {
            event = watch.next_event() => match event.map(Utf8Bytes::try_from) {
                Some(Ok(text)) => Message::Text(text),
                Some(Err(_)) | None => break,
            },
            received = source.next() => match received {
                // Pongs and whatever the client says only show that it lives.
                Some(Ok(Message::Text(_) | Message::Binary(_) | Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
            },
            _ = ping.tick() => Message::Ping(Bytes::new()),
        };
        if sink.send(message).await.is_err() {
            return;
        }
    }
    // Ends politely, with a close frame.
    if let Err(error) = sink.close().await {
        tracing::debug!(%error, "the websocket was gone before its close");
    }
}

/// Serves HTTP until `shutdown`; then running watches end and open requests finish.
pub(crate) async fn serve(
    server: Server,
    listener: tokio::net::TcpListener,
    auth: Auth,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let service = ApiService::new(server, shutdown.clone());
    let app = axum::Router::new().fallback(move |request: axum::extract::Request| {
        let mut service = service.clone();
        let admitted = admit(&auth, request);
        async move {
            let Some(request) = admitted else { return failure(&ApiError::unauthorized()) };
            match tower::Service::call(&mut service, request).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        }
    });
    axum::serve(listener, app).with_graceful_shutdown(async move { shutdown.cancelled().await }).await
}

/// Lets a request in that shows the token: as `Authorization: Bearer`, or as the first segment of its path, which
/// is taken off. `kubectl` sends no credentials over plain HTTP, but keeps the path of a server's address.
fn admit(auth: &Auth, mut request: axum::extract::Request) -> Option<axum::extract::Request> {
    let Auth::Token(expected) = auth else { return Some(request) };
    let given = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let shown =
        given.and_then(|value| value.strip_prefix("Bearer ")).is_some_and(|token| same(token, expected));
    match without_first_segment(request.uri(), expected) {
        Some(uri) => {
            *request.uri_mut() = uri;
            Some(request)
        }
        None => shown.then_some(request),
    }
}

fn without_first_segment(uri: &http::Uri, expected: &str) -> Option<http::Uri> {
    let (first, rest) = uri.path().strip_prefix('/')?.split_once('/').unwrap_or((&uri.path()[1..], ""));
    if !same(first, expected) {
        return None;
    }
    let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
    format!("/{rest}{query}").parse().ok()
}

/// Compares without telling by its duration where the texts differ.
fn same(given: &str, expected: &str) -> bool {
    let differing = given.bytes().zip(expected.bytes()).fold(0, |sum, (one, two)| sum | (one ^ two));
    given.len() == expected.len() && differing == 0
}
