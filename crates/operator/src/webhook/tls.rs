//! Connections with TLS, whose certificate can change while they are served. Refuses to know where it comes from.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::serve::Listener;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How many handshakes there are at the same time.
const HANDSHAKES_MAX: usize = 256;
/// How many connections wait to be served.
const READY_MAX: usize = 64;
/// After a failure to accept, such as too many open files.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

type Connection = (TlsStream<TcpStream>, SocketAddr);

/// The certificate that is served from now on, if there is one.
#[derive(Debug, Default)]
pub(super) struct Served(RwLock<Option<Arc<CertifiedKey>>>);

impl Served {
    /// Handshakes from now on get this one; connections that are open go on.
    pub(super) fn set(&self, key: CertifiedKey) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(key));
    }

    /// The present one.
    pub(super) fn get(&self) -> Option<Arc<CertifiedKey>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResolvesServerCert for Served {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.get()
    }
}

/// Connections that have made their handshakes.
pub(super) struct Tls {
    connections: mpsc::Receiver<Connection>,
    address: SocketAddr,
}

impl Tls {
    /// Accepts connections of `listener` until it is dropped.
    pub(super) fn over(listener: TcpListener, served: Arc<Served>) -> io::Result<Tls> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_cert_resolver(served);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let address = listener.local_addr()?;
        let (ready, connections) = mpsc::channel(READY_MAX);
        tokio::spawn(accept(listener, TlsAcceptor::from(Arc::new(config)), ready));
        Ok(Tls { connections, address })
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, ready: mpsc::Sender<Connection>) {
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    loop {
        let Ok(permit) = handshakes.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = ready.closed() => return,
        };
        let Ok((stream, peer)) = accepted else {
            tokio::time::sleep(ACCEPT_RETRY).await;
            continue;
        };
        let (acceptor, ready) = (acceptor.clone(), ready.clone());
        // A slow handshake holds up nobody else.
        tokio::spawn(async move {
            let failure = match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => ready.send((stream, peer)).await.err().map(|_| "nobody serves".to_owned()),
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some(format!("it took longer than {HANDSHAKE_TIMEOUT:?}")),
            };
            if let Some(failure) = failure {
                tracing::debug!(%peer, "webhook: a handshake failed: {failure}");
            }
            drop(permit);
        });
    }
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
