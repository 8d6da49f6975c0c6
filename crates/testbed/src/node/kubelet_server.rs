//! The port of the node that the API server asks for logs: `kubectl logs` ends here.
//!
//! It answers whoever can reach the bridge, and has a certificate of its own making, which an API server without
//! `--kubelet-certificate-authority` takes. It refuses to run commands in containers.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::Listener;
use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;

use super::container_log::Selection;
use super::record::PodRecord;
use super::{Shared, limits};

/// Connections that have made their handshakes.
#[derive(Debug)]
pub(crate) struct Tls {
    connections: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    address: SocketAddr,
}

impl Tls {
    /// Listens at any free port of this address.
    pub(crate) async fn bind(address: std::net::IpAddr) -> io::Result<Tls> {
        let listener = TcpListener::bind((address, 0)).await?;
        let local = listener.local_addr()?;
        let acceptor = acceptor(address).map_err(io::Error::other)?;
        let (ready, connections) = mpsc::channel(16);
        tokio::spawn(accept(listener, acceptor, ready));
        Ok(Tls { connections, address: local })
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    ready: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, peer)) = accepted else { continue };
                let (acceptor, ready) = (acceptor.clone(), ready.clone());
                // A slow handshake holds up nobody else.
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        drop(ready.send((stream, peer)).await);
                    }
                });
            }
            () = ready.closed() => return,
        }
    }
}

fn acceptor(address: std::net::IpAddr) -> Result<TlsAcceptor, Box<dyn std::error::Error + Send + Sync>> {
    let own = rcgen::generate_simple_self_signed([address.to_string()])?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.connections.recv().await {
            Some(connection) => connection,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

/// Serves for as long as the node lives.
pub(crate) async fn serve(node: Arc<Shared>, listener: Tls) {
    let router = Router::new()
        .route("/containerLogs/{namespace}/{pod}/{container}", get(logs))
        .route("/healthz", get(async || "ok"))
        .with_state(node);
    // It has no reason to end by itself.
    drop(axum::serve(listener, router).await);
}

/// The query of a request for logs, by the names that the API server uses.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LogQuery {
    follow: bool,
    previous: bool,
    timestamps: bool,
    tail_lines: Option<usize>,
    limit_bytes: Option<usize>,
    since_seconds: Option<i64>,
    since_time: Option<Timestamp>,
}

impl LogQuery {
    fn selection(&self) -> Selection {
        let before = self
            .since_seconds
            .and_then(|seconds| Timestamp::now().checked_sub(SignedDuration::from_secs(seconds)).ok());
        Selection {
            tail_lines: self.tail_lines,
            since: before.or(self.since_time),
            timestamps: self.timestamps,
            limit_bytes: self.limit_bytes,
        }
    }
}

async fn logs(
    State(node): State<Arc<Shared>>,
    Path((namespace, pod, container)): Path<(String, String, String)>,
    Query(query): Query<LogQuery>,
) -> Response {
    if !node.is_online() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the node is lost").into_response();
    }
    let Some(record) = node.record(&namespace, &pod) else {
        return (StatusCode::NOT_FOUND, format!("pod \"{pod}\" not found")).into_response();
    };
    match file_of(&record, &container, query.previous) {
        Ok((file, start)) if query.follow => follow(record, container, start, file, query.selection()),
        Ok((file, _)) => match tokio::fs::read(&file).await {
            Ok(content) => query.selection().of(&content).into_response(),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
        },
        Err((code, message)) => (code, message).into_response(),
    }
}

/// The log that is asked for, and the number of its start.
fn file_of(
    record: &PodRecord,
    container: &str,
    previous: bool,
) -> Result<(PathBuf, i32), (StatusCode, String)> {
    let pod = &record.name;
    let mut view = record.view();
    let status = view.container(container).ok_or_else(|| {
        (StatusCode::NOT_FOUND, format!("container \"{container}\" in pod \"{pod}\" is not available"))
    })?;
    if previous {
        // While the next start is waited for, the last one is the previous one.
        let is_between = status.state.as_ref().is_some_and(|state| state.waiting.is_some());
        let end = status.restart_count + i32::from(is_between);
        let before = (0..end).rev().map(|start| (record.log_file(container, start), start));
        let mut kept = before.filter(|(file, _)| file.exists());
        return kept.next().ok_or_else(|| {
            let message = format!("previous terminated container \"{container}\" in pod \"{pod}\" not found");
            (StatusCode::BAD_REQUEST, message)
        });
    }
    let file = record.log_file(container, status.restart_count);
    if file.exists() {
        return Ok((file, status.restart_count));
    }
    let waiting = status.state.as_ref().and_then(|state| state.waiting.as_ref());
    let reason = waiting.and_then(|waiting| waiting.reason.clone()).unwrap_or_default();
    let message = format!("container \"{container}\" in pod \"{pod}\" is waiting to start: {reason}");
    Err((StatusCode::BAD_REQUEST, message))
}

/// The log as it grows, until this start of the container has ended and all of it has been sent.
fn follow(
    record: Arc<PodRecord>,
    container: String,
    start: i32,
    file: PathBuf,
    selection: Selection,
) -> Response {
    let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(16);
    tokio::spawn(async move {
        let mut sent = 0;
        let mut selection = selection;
        loop {
            let is_running = runs(&record, &container, start);
            let Ok(content) = read_from(&file, sent).await else { return };
            let whole = content.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            if whole > 0 {
                let part = selection.of(&content[..whole]);
                if !part.is_empty() && sender.send(Ok(part.into())).await.is_err() {
                    return;
                }
                sent += whole as u64;
                selection = selection.following();
            }
            if !is_running {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(limits::LOOK * 5) => {}
                () = sender.closed() => return,
            }
        }
    });
    Body::from_stream(ReceiverStream::new(receiver)).into_response()
}

async fn read_from(file: &std::path::Path, offset: u64) -> io::Result<Vec<u8>> {
    let mut file = tokio::fs::File::open(file).await?;
    file.seek(io::SeekFrom::Start(offset)).await?;
    let mut content = Vec::new();
    file.read_to_end(&mut content).await?;
    Ok(content)
}

fn runs(record: &PodRecord, container: &str, start: i32) -> bool {
    let mut view = record.view();
    view.container(container).is_some_and(|status| {
        status.restart_count == start && status.state.as_ref().is_some_and(|state| state.running.is_some())
    })
}
