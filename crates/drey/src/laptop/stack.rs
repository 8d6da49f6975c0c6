//! The parts of laptop mode, started in order and stopped in the opposite one.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use drey_apiserver::{ApiServer, Auth};
use drey_cli::connection::Connection;
use drey_cli::failure::{Failure, Kind};
use drey_cli::laptop;
use drey_core::Policy;
use drey_engine::{Engine, EngineConfig, Leadership, Limits, Namespaces, SystemClock};
use drey_local::distribution::{DistributionConfig, Distributions};
use drey_local::java::JavaPlaces;
use drey_local::state_dir::{StateDirectory, StateDirectoryError};
use drey_local::{LocalConfig, LocalLauncher};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::files::Files;
use super::{dashboard, definitions, log};

/// Namespace of objects that name none.
pub(crate) const NAMESPACE: &str = "default";

/// Everything that runs in `drey up`.
pub(crate) struct Stack {
    /// What lies in the state directory.
    pub(crate) files: Files,
    /// Address of the API.
    pub(crate) address: SocketAddr,
    /// A client of the API, in process.
    pub(crate) client: kube::Client,
    /// The processes.
    pub(crate) launcher: Arc<LocalLauncher>,
    engine_stop: CancellationToken,
    servers_stop: CancellationToken,
    /// One task each; a set, because it can be asked again after its task has ended.
    engine: JoinSet<Result<(), drey_engine::EngineError>>,
    /// The API and the dashboard.
    servers: JoinSet<(&'static str, std::io::Result<()>)>,
}

impl Stack {
    /// Opens the state directory below `directory` and starts everything.
    ///
    /// # Errors
    /// A directory in use or of a newer drey, a port that is taken, a disk that is full.
    pub(crate) async fn start(
        directory: &Path,
        port: Option<u16>,
        http: reqwest::Client,
    ) -> Result<Self, Failure> {
        let files = Files::below(directory);
        let state_directory = StateDirectory::open(files.root()).map_err(|error| unusable(&files, &error))?;
        let files = Files::of(state_directory.layout().root());
        log::write_to(&files)?;
        let working_directory = files.root().parent().unwrap_or(directory).to_owned();
        let listener = listen(&files, port).await?;
        let address = listener.local_addr()?;
        let api = open_store(&files)?;
        let token = files.api().token_or_new()?;
        files.api().remember_port(address.port())?;
        files.write_kubeconfig(&ApiServer::kubeconfig(&format!("http://{address}"), &token, NAMESPACE))?;
        let client = api.client(NAMESPACE);
        definitions::install(&client).await?;
        let servers_stop = CancellationToken::new();
        let mut servers = JoinSet::new();
        let stop = servers_stop.clone();
        servers.spawn(async move { ("the API server", api.serve(listener, Auth::Token(token), stop).await) });
        let launcher =
            Arc::new(open_launcher(state_directory, &files, working_directory, http.clone()).await?);
        let ready = dashboard::open(&files, &client, &launcher, http.clone()).await?;
        let stop = servers_stop.clone();
        servers.spawn(async move { ("the dashboard", ready.serve(stop).await) });
        let engine_stop = CancellationToken::new();
        let engine = start_engine(&files, &client, &launcher, http, engine_stop.clone());
        Ok(Self { files, address, client, launcher, engine_stop, servers_stop, engine, servers })
    }

    /// The API as other commands see it.
    pub(crate) fn connection(&self, namespace: Option<&str>) -> Connection {
        Connection {
            client: self.client.clone(),
            namespace: namespace.unwrap_or(NAMESPACE).to_owned(),
            namespace_is_explicit: namespace.is_some(),
            state_directory: Some(self.files.root().to_owned()),
            server: format!("http://{}", self.address),
        }
    }

    /// Resolves when a part ends by itself, which only a defect or a full disk brings about.
    pub(crate) async fn broken(&mut self) -> Failure {
        let why = tokio::select! {
            Some(ended) = self.engine.join_next() => match ended {
                Ok(Ok(())) => "the engine ended".to_owned(),
                Ok(Err(error)) => format!("the engine ended: {error}"),
                Err(error) => format!("the engine ended: {error}"),
            },
            Some(ended) = self.servers.join_next() => match ended {
                Ok((server, Ok(()))) => format!("{server} ended"),
                Ok((server, Err(error))) => format!("{server} ended: {error}"),
                Err(error) => format!("a server ended: {error}"),
            },
            else => "everything had ended before".to_owned(),
        };
        Failure::new(Kind::Internal, why)
            .hint(format!("the log is {}; start again with `drey up`", self.files.log().display()))
    }

    /// Stops deciding, then the processes of Flink, then the API, which Flink needs to the end. Jobs go on
    /// from their newest checkpoint when it is started again.
    pub(crate) async fn stop(mut self) {
        self.engine_stop.cancel();
        while self.engine.join_next().await.is_some() {}
        self.launcher.stop_all().await;
        self.servers_stop.cancel();
        while self.servers.join_next().await.is_some() {}
    }
}

async fn open_launcher(
    state_directory: StateDirectory,
    files: &Files,
    working_directory: PathBuf,
    http: reqwest::Client,
) -> Result<LocalLauncher, Failure> {
    LocalLauncher::open(LocalConfig {
        state_directory,
        kubeconfig: files.kubeconfig(),
        working_directory,
        distributions: Distributions::new(DistributionConfig::of_environment(), http),
        java: JavaPlaces::of_environment(),
    })
    .await
    .map_err(|error| Failure::new(Kind::Failed, format!("the processes cannot be taken over: {error}")))
}

fn start_engine(
    files: &Files,
    client: &kube::Client,
    launcher: &Arc<LocalLauncher>,
    http: reqwest::Client,
    stop: CancellationToken,
) -> JoinSet<Result<(), drey_engine::EngineError>> {
    let engine = Engine::new(EngineConfig {
        client: client.clone(),
        launcher: launcher.clone(),
        http,
        policy: Policy::default(),
        defaults: laptop::defaults(files.root()),
        namespaces: Namespaces::All,
        label_selector: None,
        leadership: Leadership::undisputed(0),
        clock: Arc::new(SystemClock),
        limits: Limits::default(),
    });
    let mut task = JoinSet::new();
    task.spawn(async move { engine.run(stop).await });
    task
}

/// Says why a state directory cannot be used.
pub(crate) fn unusable(files: &Files, error: &StateDirectoryError) -> Failure {
    let kind = match error {
        StateDirectoryError::InUse { .. } => Kind::Conflict,
        StateDirectoryError::Newer { .. }
        | StateDirectoryError::Version { .. }
        | StateDirectoryError::WorldWritable { .. }
        | StateDirectoryError::Foreign { .. } => Kind::Invalid,
        StateDirectoryError::Io { .. } => Kind::Failed,
    };
    Failure::new(kind, error.to_string()).on(files.root().display().to_string())
}

fn open_store(files: &Files) -> Result<ApiServer, Failure> {
    ApiServer::open(&files.store()).map_err(|error| {
        Failure::new(Kind::Failed, error.to_string()).on(files.store().display().to_string())
    })
}

/// Running processes of Flink know the API by the port that it had before, so that port is kept.
async fn listen(files: &Files, port: Option<u16>) -> Result<TcpListener, Failure> {
    let remembered = files.api().remembered_port();
    let wanted = port.or(remembered).unwrap_or(0);
    TcpListener::bind((Ipv4Addr::LOCALHOST, wanted)).await.map_err(|error| {
        let hint = match (port, remembered) {
            (None, Some(_)) => "end what listens there, or choose another port once with `--port`",
            (Some(_), _) | (None, None) => "choose another one with `--port`",
        };
        Failure::new(Kind::Conflict, format!("port {wanted} of 127.0.0.1 cannot be used: {error}")).hint(hint)
    })
}
