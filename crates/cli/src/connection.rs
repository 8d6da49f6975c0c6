//! Which Kubernetes API a command talks to. In this order: `--kubeconfig`, `$KUBECONFIG`, the settings, the
//! `.drey/kubeconfig` of this directory or one above it, `~/.kube/config`, the service account of a pod.
//! Refuses to start anything.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap_complete::engine::ArgValueCandidates;
use kube::Api;
use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::{ApiResource, DynamicObject};
use tower::filter::FilterLayer;

use crate::complete;
use crate::failure::{Failure, Kind};
use crate::read_only;
use crate::settings::{self, Origin, Setting};

/// Name of the directory in which laptop mode keeps its state.
pub const STATE_DIRECTORY: &str = ".drey";
/// Name of the kubeconfig within that directory.
pub const KUBECONFIG_FILE: &str = "kubeconfig";
/// How long a dead local API may take to show that it is dead.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Which cluster, and which namespace in it.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Connection")]
pub struct ConnectionArgs {
    /// Kubeconfig file
    ///
    /// Without it: `$KUBECONFIG`, then `.drey/kubeconfig` of this directory or one above it, then
    /// `~/.kube/config`, then the service account of the pod.
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig
    #[arg(long, global = true, add = ArgValueCandidates::new(complete::contexts))]
    pub context: Option<String>,
    /// Namespace; without it that of the context
    #[arg(long, short = 'n', global = true, add = ArgValueCandidates::new(complete::namespaces))]
    pub namespace: Option<String>,
    /// User to act as
    #[arg(long = "as", global = true, value_name = "USER")]
    pub act_as: Option<String>,
    /// Group to act as; may be given several times
    #[arg(long = "as-group", global = true, value_name = "GROUP", requires = "act_as")]
    pub act_as_groups: Vec<String>,
    /// Change nothing: whatever would is refused
    #[arg(long, global = true)]
    pub read_only: bool,
    /// Do not read `drey.toml` and the other files of settings
    #[arg(long, global = true)]
    pub no_config: bool,
}

/// A client, and where it leads.
#[derive(Clone)]
pub struct Connection {
    /// The client.
    pub client: kube::Client,
    /// Namespace for objects that name none.
    pub namespace: String,
    /// Whether `--namespace` was given, which objects must then agree with.
    pub namespace_is_explicit: bool,
    /// The state directory, when the API is that of laptop mode.
    pub state_directory: Option<PathBuf>,
    /// Address of the API server without its path, which may hold a secret.
    pub server: String,
}

impl Connection {
    /// Objects of a kind, in the connection's namespace or in all of them.
    #[must_use]
    pub fn api(&self, resource: &ApiResource, all_namespaces: bool) -> Api<DynamicObject> {
        if all_namespaces {
            Api::all_with(self.client.clone(), resource)
        } else {
            Api::namespaced_with(self.client.clone(), &self.namespace, resource)
        }
    }
}

/// The connection of an operator.
pub struct OperatorConnection {
    /// Where it leads.
    pub connection: Connection,
    /// What it was made from.
    pub config: kube::Config,
    /// This process runs in a pod of the cluster.
    pub inside: bool,
}

impl ConnectionArgs {
    /// What the command line itself says of a key of [`settings`].
    pub(crate) fn given(&self, key: &str) -> Option<String> {
        match key {
            "kubeconfig" => self.kubeconfig.as_ref().map(|path| path.display().to_string()),
            "context" => self.context.clone(),
            "namespace" => self.namespace.clone(),
            "read-only" => self.read_only.then(|| true.to_string()),
            _ => None,
        }
    }

    /// With what variables and files say where the command line says nothing.
    ///
    /// # Errors
    /// A file of settings, or a variable, that is not understood.
    pub fn with_settings(mut self) -> Result<Self, Failure> {
        for Setting { key, value, origin } in settings::of(&self)? {
            // The library reads that variable itself, which may list several files.
            let Some(value) = value.filter(|_| origin != Origin::Variable("KUBECONFIG")) else { continue };
            match key {
                "kubeconfig" => self.kubeconfig = Some(value.into()),
                "context" => self.context = Some(value),
                "namespace" => self.namespace = Some(value),
                _ => {
                    self.read_only = value.parse().map_err(|_| {
                        Failure::new(Kind::Usage, format!("`{value}`: expected `true` or `false`"))
                            .on(origin.to_string())
                    })?;
                }
            }
        }
        Ok(self)
    }

    /// Refuses what would change something, where nothing may be.
    ///
    /// # Errors
    /// `read-only` is set.
    pub fn must_allow_changes(&self) -> Result<(), Failure> {
        if self.read_only { Err(Failure::read_only()) } else { Ok(()) }
    }

    /// Finds the API and makes a client. Nothing is requested yet.
    ///
    /// # Errors
    /// No kubeconfig, one that cannot be read, or a laptop mode that is not running.
    pub async fn connect(&self) -> Result<Connection, Failure> {
        let (config, state_directory) = self.config().await?;
        self.connection(config, state_directory)
    }

    fn connection(
        &self,
        config: kube::Config,
        state_directory: Option<PathBuf>,
    ) -> Result<Connection, Failure> {
        let server = without_path(&config.cluster_url);
        let namespace = self.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let builder = ClientBuilder::try_from(config).map_err(|error| {
            Failure::new(Kind::Invalid, format!("the kubeconfig cannot be used: {error}"))
        })?;
        let client = if self.read_only {
            builder.with_layer(&FilterLayer::new(read_only::check)).build()
        } else {
            builder.build()
        };
        let namespace_is_explicit = self.namespace.is_some();
        Ok(Connection { client, namespace, namespace_is_explicit, state_directory, server })
    }

    /// As [`ConnectionArgs::connect`], for an operator: inside a pod its service account counts first, and the API of
    /// laptop mode is refused.
    ///
    /// # Errors
    /// As [`ConnectionArgs::connect`].
    pub async fn connect_operator(&self) -> Result<OperatorConnection, Failure> {
        let is_given = self.kubeconfig.is_some() || self.context.is_some();
        if !is_given && std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
            let config = kube::Config::incluster().map_err(|error| {
                Failure::new(
                    Kind::Invalid,
                    format!("the service account of this pod cannot be used: {error}"),
                )
            })?;
            let config = bounded(config);
            let connection = self.connection(config.clone(), None)?;
            return Ok(OperatorConnection { connection, config, inside: true });
        }
        let (config, state_directory) = self.config().await?;
        if let Some(directory) = state_directory {
            return Err(Failure::new(Kind::Conflict, "laptop mode has an engine and a dashboard of its own")
                .on(directory.display().to_string())
                .hint("name a cluster with `--kubeconfig` or `--context`"));
        }
        let connection = self.connection(config.clone(), None)?;
        Ok(OperatorConnection { connection, config, inside: false })
    }

    /// The state directory of laptop mode, when that is the API that is meant; whether it runs is not asked.
    #[must_use]
    pub fn laptop(&self) -> Option<PathBuf> {
        if let Some(path) = &self.kubeconfig {
            return state_directory_of(path);
        }
        if let Some(path) = kubeconfig_variable() {
            return state_directory_of(&path);
        }
        match &self.context {
            Some(_) => None,
            None => find_state_directory(&std::env::current_dir().ok()?),
        }
    }

    async fn config(&self) -> Result<(kube::Config, Option<PathBuf>), Failure> {
        let laptop = self.laptop();
        if let Some(path) = &self.kubeconfig {
            return Ok((self.config_of(path).await?, laptop));
        }
        match laptop {
            Some(state_directory) if kubeconfig_variable().is_none() => {
                let config = self.config_of(&state_directory.join(KUBECONFIG_FILE)).await?;
                must_be_alive(&config, &state_directory).await?;
                Ok((config, Some(state_directory)))
            }
            laptop => Ok((self.inferred().await?, laptop)),
        }
    }

    async fn config_of(&self, path: &Path) -> Result<kube::Config, Failure> {
        let unusable = |error: &dyn std::fmt::Display| {
            Failure::new(Kind::Invalid, format!("the kubeconfig cannot be used: {error}"))
                .on(path.display().to_string())
        };
        if !path.exists() {
            return Err(Failure::new(Kind::NotFound, "no such file").on(path.display().to_string()));
        }
        let kubeconfig = Kubeconfig::read_from(path).map_err(|error| unusable(&error))?;
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &self.options())
            .await
            .map_err(|error| unusable(&error))?;
        Ok(self.acting(config))
    }

    async fn inferred(&self) -> Result<kube::Config, Failure> {
        let config = match (kube::Config::from_kubeconfig(&self.options()).await, &self.context) {
            (Ok(config), _) => config,
            (Err(error), Some(context)) => {
                let message = format!("the context `{context}` cannot be used: {error}");
                return Err(Failure::new(Kind::Invalid, message).hint("see `kubectl config get-contexts`"));
            }
            (Err(error), None) => kube::Config::incluster().map_err(|_| no_cluster(&error))?,
        };
        Ok(self.acting(config))
    }

    /// As the user that was asked for.
    fn acting(&self, mut config: kube::Config) -> kube::Config {
        if let Some(user) = &self.act_as {
            config.auth_info.impersonate = Some(user.clone());
            config.auth_info.impersonate_groups =
                Some(self.act_as_groups.clone()).filter(|groups| !groups.is_empty());
        }
        bounded(config)
    }

    fn options(&self) -> KubeConfigOptions {
        KubeConfigOptions { context: self.context.clone(), cluster: None, user: None }
    }
}

/// The nearest `.drey` with a kubeconfig, from `start` upward.
#[must_use]
pub fn find_state_directory(start: &Path) -> Option<PathBuf> {
    start
        .ancestors()
        .map(|directory| directory.join(STATE_DIRECTORY))
        .find(|directory| directory.join(KUBECONFIG_FILE).is_file())
}

fn kubeconfig_variable() -> Option<PathBuf> {
    std::env::var_os("KUBECONFIG").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// A kubeconfig in a directory called `.drey` belongs to laptop mode.
fn state_directory_of(kubeconfig: &Path) -> Option<PathBuf> {
    let path = std::fs::canonicalize(kubeconfig).ok()?;
    let directory = path.parent()?;
    (directory.file_name()? == STATE_DIRECTORY).then(|| directory.to_owned())
}

/// A directory whose drey is stopped must not lead to another cluster: `drey delete` would hit that one.
async fn must_be_alive(config: &kube::Config, state_directory: &Path) -> Result<(), Failure> {
    if is_alive(config).await {
        return Ok(());
    }
    Err(Failure::new(Kind::Unreachable, "drey is not running in this directory")
        .on(state_directory.display().to_string())
        .hint("start it with `drey up`, or name another cluster with `--kubeconfig` or `--context`"))
}

async fn is_alive(config: &kube::Config) -> bool {
    let Some(host) = config.cluster_url.host() else { return false };
    let port = config.cluster_url.port_u16().unwrap_or(443);
    let connect = tokio::net::TcpStream::connect((host.trim_matches(['[', ']']), port));
    matches!(tokio::time::timeout(PROBE_TIMEOUT, connect).await, Ok(Ok(_)))
}

fn without_path(address: &impl ToString) -> String {
    let address = address.to_string();
    let authority_ends = address.find("://").map_or(0, |at| at + 3);
    let path_begins = address[authority_ends..].find('/').map(|at| at + authority_ends);
    address[..path_begins.unwrap_or(address.len())].to_owned()
}

fn bounded(mut config: kube::Config) -> kube::Config {
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config
}

fn no_cluster(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Kind::Unreachable, "no Kubernetes API is known here")
        .detail(format!("no `.drey` in this directory or above, and no kubeconfig: {error}"))
        .hint("start a local one with `drey up job.yaml`, or give `--kubeconfig`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_path() {
        assert_eq!(without_path(&"http://127.0.0.1:6443/secret"), "http://127.0.0.1:6443");
        assert_eq!(without_path(&"https://host"), "https://host");
    }

    #[test]
    fn the_nearest_state_directory_upward_is_found() {
        let root = tempfile::tempdir().expect("temporary directory");
        let deep = root.path().join("a/b");
        std::fs::create_dir_all(&deep).expect("created");
        let state_directory = root.path().join(STATE_DIRECTORY);
        std::fs::create_dir(&state_directory).expect("created");
        assert_eq!(find_state_directory(&deep), None);
        std::fs::write(state_directory.join(KUBECONFIG_FILE), "").expect("written");
        assert_eq!(find_state_directory(&deep), Some(state_directory.clone()));
        let found = state_directory_of(&state_directory.join(KUBECONFIG_FILE)).expect("in `.drey`");
        assert_eq!(found.file_name(), state_directory.file_name());
        assert_eq!(state_directory_of(&deep.join("config")), None);
    }
}
