//! How a dashboard of a cluster is offered: below which path, and to whom. Refuses to know where it runs.

use std::sync::Arc;

use drey_cli::failure::{Failure, Kind};
use drey_server::{Access, Dashboard, DashboardConfig, Heimdall, IpNet, Link, Links, Mode, Persons};
use kube::Client;

use super::pods::KubernetesClusters;
use crate::reach::JobManagers;

/// How people show who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Login {
    /// Nobody is asked; everybody may look, and nobody may change anything
    None,
    /// By a bearer token of the cluster; each may do what the API server lets them do
    Token,
    /// By the headers `X-Forwarded-User` and `X-Forwarded-Groups` of a proxy that people sign in with
    Proxy,
}

/// How it is offered.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    /// Path below which it is served, with a slash at both ends.
    pub(crate) base_path: String,
    /// How people sign in.
    pub(crate) login: Login,
    /// Addresses of the proxy that people sign in with.
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// Only these namespaces; all when there are none.
    pub(crate) namespaces: Vec<String>,
}

impl Offer {
    /// Who may look and change.
    ///
    /// # Errors
    /// A proxy that nobody can tell from others.
    pub(crate) fn access(&self, config: &kube::Config) -> Result<Access, Failure> {
        let persons = || Persons::of(config.clone());
        match self.login {
            Login::None => Ok(Access::ReadOnly { reason: ONLY_SHOWS.to_owned() }),
            Login::Token => Ok(Access::ClusterToken(persons())),
            Login::Proxy if self.trusted_proxies.is_empty() => {
                Err(Failure::new(Kind::Invalid, "whoever reaches the port could say that they are anybody")
                    .hint("name the addresses of the proxy, such as `10.1.0.0/16`"))
            }
            Login::Proxy => Ok(Access::Proxy { persons: persons(), trusted: self.trusted_proxies.clone() }),
        }
    }
}

/// A dashboard of the cluster that `client` leads to, to be served on `port`.
pub(crate) fn of_cluster(
    offer: &Offer,
    access: Access,
    (client, cluster): (Client, String),
    job_managers: JobManagers,
    port: u16,
) -> Dashboard {
    let variable = |name: &str| std::env::var(name).ok();
    let heimdall = Heimdall::of_environment(variable);
    // On loopback nothing but a browser of this machine comes in, by no other name.
    let hosts = matches!(access, Access::Token(_)).then(|| vec!["localhost".to_owned()]);
    let config = DashboardConfig {
        client,
        clusters: Arc::new(KubernetesClusters { job_managers }),
        cluster,
        mode: Mode::Cluster,
        namespaces: offer.namespaces.clone(),
        access,
        base_path: offer.base_path.clone(),
        hosts,
        links: links(&heimdall, variable),
        heimdall,
    };
    Dashboard::new(config, port)
}

/// With a slash at both ends, and nothing in it that a page or a header would take for something else.
pub(crate) fn base_path(text: &str) -> Result<String, String> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.');
    let inner = text.trim_matches('/');
    if !text.starts_with('/')
        || !inner.bytes().all(legal)
        || inner.split('/').any(|part| matches!(part, "." | ".."))
    {
        return Err("a path such as `/flink/` is expected".to_owned());
    }
    Ok(if inner.is_empty() { "/".to_owned() } else { format!("/{inner}/") })
}

/// A network, or one address.
pub(crate) fn network(text: &str) -> Result<IpNet, String> {
    let network = text.parse().or_else(|_| text.parse().map(|address: std::net::IpAddr| address.into()));
    network.map_err(|_| "an address or a network such as `10.1.0.0/16` is expected".to_owned())
}

/// The links that somebody has set: Heimdall's own patterns lead nowhere.
fn links(heimdall: &Heimdall, variable: impl Fn(&str) -> Option<String>) -> Links {
    let link = |name: &str, set: &str, pattern: &String| {
        let is_set =
            variable(&format!("HEIMDALL_ENDPOINT_PATH_PATTERNS_{set}")).is_some() && !pattern.is_empty();
        is_set.then(|| Link { name: name.to_owned(), pattern: pattern.clone() })
    };
    let links = [
        link("Flink UI", "FLINK_UI", &heimdall.flink_ui),
        link("Flink REST API", "FLINK_API", &heimdall.flink_api),
        link("Metrics", "METRICS", &heimdall.metrics),
        link("Logs", "LOGS", &heimdall.logs),
    ];
    Links { display_name: heimdall.display_name.clone(), links: links.into_iter().flatten().collect() }
}

const ONLY_SHOWS: &str = "this dashboard only shows: it asks nobody who they are";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_path_has_a_slash_at_both_ends_and_nothing_odd_in_it() {
        for (text, path) in [("/", "/"), ("/flink", "/flink/"), ("/a/b/", "/a/b/")] {
            assert_eq!(base_path(text).as_deref(), Ok(path));
        }
        for text in ["flink", "", "/a\"b", "/../x", "/a b"] {
            assert!(base_path(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_proxy_is_one_address_or_a_network() {
        for (text, network_of) in
            [("10.1.0.0/16", "10.1.0.0/16"), ("10.1.2.3", "10.1.2.3/32"), ("fd00::1", "fd00::1/128")]
        {
            assert_eq!(network(text).map(|network| network.to_string()).as_deref(), Ok(network_of));
        }
        assert!(network("proxy.example").is_err());
    }
}
