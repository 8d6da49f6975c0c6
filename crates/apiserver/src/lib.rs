//! An embedded Kubernetes API server: resources in SQLite or in memory, behind the API that `kube`, `kubectl`
//! and other Kubernetes clients speak.
//!
//! CustomResourceDefinitions go in, resources come out. It knows nothing of the kinds that are defined on it,
//! runs no controllers besides garbage collection, and schedules nothing. Its behaviour is held to
//! kube-apiserver's by recorded requests and answers in `tests/conformance`.
//!
//! ```text
//! http ─► routes ─► read | write | delete | watch ─► state ─► commit ─► store
//!            │                │                        ▲
//!            └► discovery     └► admission ─► schema   └ gc
//! ```

mod admission;
mod answer;
mod clock;
mod commit;
mod delete;
mod discovery;
mod document;
mod errors;
mod event_forms;
mod expiry;
mod gc;
mod http;
mod ids;
mod jsonpath;
mod kinds;
mod limits;
mod names;
mod object;
mod openapi;
mod patch;
mod path;
mod protobuf;
mod read;
mod render;
mod reviews;
mod routes;
mod scale;
mod schema;
mod selector;
mod server;
mod state;
mod store;
mod table;
mod watch;
mod write;

use std::io;
use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use tokio_util::sync::CancellationToken;

pub use crate::clock::Clock;
pub use crate::http::{ApiService, Auth};
pub use crate::store::OpenError;

use crate::commit::Shared;
use crate::server::Server;
use crate::state::{ObjectKey, State};
use crate::store::Store;

/// Choices for a server that have defaults.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where timestamps come from; the machine's clock unless told otherwise.
    pub clock: Clock,
    /// Makes uids and generated names the same in every run; random when `None`.
    pub seed: Option<u64>,
}

/// The server. Clones are cheap and are the same server; the last one dropped closes the state file, after
/// everything acknowledged is in it.
#[derive(Clone, Debug)]
pub struct ApiServer {
    server: Server,
    stop: CancellationToken,
}

impl ApiServer {
    /// A server that forgets everything when it goes. It starts with the namespace `default`.
    ///
    /// # Errors
    /// None today; the signature is that of [`ApiServer::open`].
    pub fn in_memory() -> Result<ApiServer, OpenError> {
        ApiServer::in_memory_with(Options::default())
    }

    /// As [`ApiServer::in_memory`], with options.
    ///
    /// # Errors
    /// None today; the signature is that of [`ApiServer::open_with`].
    pub fn in_memory_with(options: Options) -> Result<ApiServer, OpenError> {
        let state = State::new(1, options.seed);
        Ok(ApiServer::start(Shared::in_memory(state), options.clock))
    }

    /// A server over the SQLite file at `path`, which is made if it does not exist. What it acknowledges is on
    /// the disk. One process may have the file open.
    ///
    /// # Errors
    /// When the file is open elsewhere, of a newer version, of another program, damaged or not writable.
    pub fn open(path: &Path) -> Result<ApiServer, OpenError> {
        ApiServer::open_with(path, Options::default())
    }

    /// As [`ApiServer::open`], with options.
    ///
    /// # Errors
    /// As [`ApiServer::open`].
    pub fn open_with(path: &Path, options: Options) -> Result<ApiServer, OpenError> {
        let store = Store::open(path)?;
        let loaded =
            store.load().map_err(|source| OpenError::Sqlite { path: store.path().to_owned(), source })?;
        let now_ms = options.clock.now_ms();
        let mut state = State::new(loaded.revision, options.seed);
        for (key, revision, body) in loaded.rows {
            let object = format!("{} {}/{}", key.collection, key.object.namespace, key.object.name);
            state.load(key, revision, body, now_ms).map_err(|source| OpenError::Damaged {
                path: store.path().to_owned(),
                object,
                source,
            })?;
        }
        state.rebuild_registry();
        Ok(ApiServer::start(Shared::on_disk(state, store)?, options.clock))
    }

    /// A new server in memory that begins with this one's objects and kinds, at the same revision, and then goes
    /// its own way. Cheap, because bodies and compiled schemas are shared: tests install their definitions once
    /// and fork for each case.
    pub fn fork(&self, options: Options) -> ApiServer {
        let state = self.server.shared.lock().fork(options.seed);
        ApiServer::start(Shared::in_memory(state), options.clock)
    }

    fn start(shared: Shared, clock: Clock) -> ApiServer {
        let server = Server { shared: Arc::new(shared), clock };
        ensure_namespaces(&server);
        ApiServer { server, stop: CancellationToken::new() }
    }

    /// The API as a service: `kube::Client::new(server.service(), "default")`. Watches work as over HTTP.
    pub fn service(&self) -> ApiService {
        ApiService::new(self.server.clone(), self.stop.clone())
    }

    /// A client of this server, in process.
    pub fn client(&self, default_namespace: &str) -> kube::Client {
        kube::Client::new(self.service(), default_namespace)
    }

    /// Serves HTTP on `listener` until `shutdown`: HTTP/1.1 with keep-alive, watches chunked or as websockets.
    /// Bind to loopback: there is no TLS.
    ///
    /// # Errors
    /// When accepting connections fails.
    pub async fn serve(
        &self,
        listener: tokio::net::TcpListener,
        auth: Auth,
        shutdown: CancellationToken,
    ) -> io::Result<()> {
        http::serve(self.server.clone(), listener, auth, shutdown).await
    }

    /// A kubeconfig (YAML 1.2, written as JSON) for `url`, such as `http://127.0.0.1:6443`, with a bearer
    /// `token` (none when empty) and a default `namespace`. Write it with mode 0600: the token is a secret.
    ///
    /// The token also stands in the server's path, because kubectl sends none over plain HTTP.
    pub fn kubeconfig(url: &str, token: &str, namespace: &str) -> String {
        let url = url.trim_end_matches('/');
        let (url, user) = match token {
            "" => (url.to_owned(), json!({})),
            token => (format!("{url}/{token}"), json!({"token": token})),
        };
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "drey", "cluster": {"server": url}}],
            "users": [{"name": "drey", "user": user}],
            "contexts": [{"name": "drey", "context": {"cluster": "drey", "user": "drey", "namespace": namespace}}],
            "current-context": "drey",
        });
        format!("{config:#}\n")
    }
}

/// Makes the namespaces that every cluster has.
fn ensure_namespaces(server: &Server) {
    for name in ["default", "kube-system"] {
        let key = ObjectKey::namespace(name);
        let mut state = server.shared.lock();
        if state.get(&key).is_some() {
            continue;
        }
        let mut value = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": name,
                "uid": state.ids.uid().to_string(),
                "creationTimestamp": server.clock.now_text(),
                "labels": {"kubernetes.io/metadata.name": name},
            },
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Active"},
        });
        state.write(&key, &mut value, server.clock.now_ms());
        server.shared.seal(&mut state);
    }
}
