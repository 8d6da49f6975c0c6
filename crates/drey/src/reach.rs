//! How JobManagers are reached: by their own addresses from the same machine or from inside their cluster, and through
//! the API server from elsewhere, with what the kubeconfig holds. Refuses to know Flink.

use std::time::Duration;

use drey_cli::failure::{Failure, Kind};
use drey_kubernetes::Reach;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use kube::client::ConfigExt;
use secrecy::ExposeSecret;

/// How long an idle connection to a JobManager is kept: while something goes on it is asked more often, and at rest a new one
/// now and then is cheaper than thousands that wait.
const IDLE_CONNECTION: Duration = Duration::from_secs(2);

/// Addresses of JobManagers, and the connections to them.
pub(crate) struct JobManagers {
    /// Their addresses.
    pub(crate) reach: Reach,
    /// Their connections.
    pub(crate) http: reqwest::Client,
}

impl JobManagers {
    /// As a process inside or outside of the cluster of `config` reaches them.
    ///
    /// # Errors
    /// Credentials that this cannot use.
    pub(crate) fn of(config: &kube::Config, inside: bool) -> Result<Self, Failure> {
        if inside { Self::from_inside() } else { Self::from_outside(config) }
    }

    /// From a pod of the cluster.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    fn from_inside() -> Result<Self, Failure> {
        Ok(Self { reach: Reach::Services, http: direct()? })
    }

    /// From anywhere else, through the API server of `config`.
    ///
    /// # Errors
    /// Credentials that this cannot use.
    fn from_outside(config: &kube::Config) -> Result<Self, Failure> {
        let tls = config.rustls_client_config().map_err(|error| {
            Failure::new(Kind::Invalid, format!("the kubeconfig's certificates cannot be used: {error}"))
        })?;
        let mut headers = HeaderMap::new();
        if let Some(token) = token(config)? {
            let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
                .map_err(|_| Failure::new(Kind::Invalid, "the kubeconfig's token holds a line break"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let base = config.cluster_url.to_string();
        let reach = Reach::ApiServer(base.trim_end_matches('/').to_owned());
        // Every JobManager is behind the same host.
        let client =
            client().pool_max_idle_per_host(64).default_headers(headers).tls_backend_preconfigured(tls);
        Ok(Self { reach, http: built(client)? })
    }
}

fn token(config: &kube::Config) -> Result<Option<String>, Failure> {
    let auth = &config.auth_info;
    if auth.exec.is_some() || auth.auth_provider.is_some() || auth.username.is_some() {
        return Err(Failure::new(
            Kind::Invalid,
            "the kubeconfig gets its credentials from a plug-in or a password, by which JobManagers cannot be reached",
        )
        .hint("run the operator in a pod, or with a kubeconfig that has a token or a client certificate"));
    }
    if let Some(token) = &auth.token {
        return Ok(Some(token.expose_secret().to_owned()));
    }
    let Some(file) = &auth.token_file else { return Ok(None) };
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::new(Kind::Invalid, error.to_string()).on(file.clone()))?;
    Ok(Some(text.trim().to_owned()))
}

/// The HTTP client for JobManagers that are reached by their own addresses.
///
/// # Errors
/// When TLS cannot be set up.
pub(crate) fn direct() -> Result<reqwest::Client, Failure> {
    built(client())
}

fn client() -> reqwest::ClientBuilder {
    reqwest::Client::builder().pool_max_idle_per_host(1).pool_idle_timeout(IDLE_CONNECTION)
}

/// The client that was asked for.
pub(crate) fn built(client: reqwest::ClientBuilder) -> Result<reqwest::Client, Failure> {
    client.build().map_err(|error| Failure::new(Kind::Internal, format!("no HTTP client: {error}")))
}
