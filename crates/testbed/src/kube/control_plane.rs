//! The command lines of etcd, kube-apiserver and kube-controller-manager.
//!
//! It refuses to know how they are started and stopped.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use super::certificates::Papers;
use super::network::Network;
use super::process::Launch;
use super::programs::Programs;

/// Port of the API server.
const API_PORT: u16 = 6443;
/// Port of etcd for clients.
const ETCD_PORT: u16 = 2379;
/// Port of etcd for its peers, of which there are none.
const ETCD_PEER_PORT: u16 = 2380;
/// Port of the controller manager.
const CONTROLLER_MANAGER_PORT: u16 = 10_257;
/// Who issues tokens: the name that the Service of the API server has in every cluster.
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// The controllers that tests of workloads need.
const WORKLOADS: &[&str] = &[
    "clusterrole-aggregation-controller",
    "deployment-controller",
    "disruption-controller",
    "endpoints-controller",
    "endpointslice-controller",
    "garbage-collector-controller",
    "job-controller",
    "namespace-controller",
    "replicaset-controller",
    "resourcequota-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "statefulset-controller",
];

/// Deletes pods whose node is not there.
const POD_GARBAGE: &str = "pod-garbage-collector-controller";

/// Which controllers run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controllers {
    /// None: an API server alone, on which nothing happens by itself.
    None,
    /// Those of workloads, namespaces, accounts, quotas and garbage; not the one that deletes pods.
    Workloads,
    /// Those, and the one that deletes pods whose Node object is missing.
    WorkloadsAndPodGarbage,
}

impl Controllers {
    fn names(self) -> Vec<&'static str> {
        let last = match self {
            Self::None => return Vec::new(),
            Self::Workloads => None,
            Self::WorkloadsAndPodGarbage => Some(POD_GARBAGE),
        };
        WORKLOADS.iter().copied().chain(last).collect()
    }
}

/// What the three processes have in common.
#[derive(Debug)]
pub(super) struct ControlPlane<'a> {
    pub(super) programs: &'a Programs,
    pub(super) network: &'a Network,
    pub(super) directory: &'a Path,
}

/// Where the API server of a network listens.
pub(super) fn api_server(network: &Network) -> SocketAddr {
    SocketAddr::from((network.gateway, API_PORT))
}

impl ControlPlane<'_> {
    pub(super) fn etcd(&self) -> Launch {
        let clients = self.etcd_url(ETCD_PORT);
        let peers = self.etcd_url(ETCD_PEER_PORT);
        let data = self.directory.join("etcd");
        let arguments = vec![
            "--name=default".to_owned(),
            format!("--data-dir={}", data.display()),
            // The data goes with the cluster, so that losing it costs nothing.
            "--unsafe-no-fsync".to_owned(),
            format!("--listen-client-urls={clients}"),
            format!("--advertise-client-urls={clients}"),
            format!("--listen-peer-urls={peers}"),
            format!("--initial-advertise-peer-urls={peers}"),
            format!("--initial-cluster=default={peers}"),
            "--log-level=warn".to_owned(),
        ];
        Launch { name: "etcd", program: self.programs.etcd.clone(), arguments }
    }

    pub(super) fn apiserver(&self) -> Launch {
        let papers = Papers::at(self.directory);
        let address = self.network.gateway;
        let arguments = vec![
            format!("--etcd-servers={}", self.etcd_url(ETCD_PORT)),
            format!("--bind-address={address}"),
            format!("--advertise-address={address}"),
            format!("--secure-port={API_PORT}"),
            format!("--tls-cert-file={}", papers.server_certificate().display()),
            format!("--tls-private-key-file={}", papers.server_key().display()),
            format!("--client-ca-file={}", papers.authority().display()),
            "--authorization-mode=Node,RBAC".to_owned(),
            format!("--service-account-issuer={ISSUER}"),
            format!("--service-account-signing-key-file={}", papers.account_key().display()),
            format!("--service-account-key-file={}", papers.account_public_key().display()),
            format!("--service-cluster-ip-range={}", self.network.service_cidr),
            "--allow-privileged=true".to_owned(),
            // Hundreds of jobs on one machine are not to be held back by limits made for two requests a second each.
            "--max-requests-inflight=3000".to_owned(),
            "--max-mutating-requests-inflight=1000".to_owned(),
        ];
        Launch { name: "kube-apiserver", program: self.programs.apiserver.clone(), arguments }
    }

    /// `None` when no controllers are wanted.
    pub(super) fn controller_manager(&self, controllers: Controllers) -> Option<Launch> {
        let controllers = controllers.names();
        if controllers.is_empty() {
            return None;
        }
        let papers = Papers::at(self.directory);
        let arguments = vec![
            format!("--kubeconfig={}", papers.controller_manager_kubeconfig().display()),
            format!("--bind-address={}", self.network.loopback()),
            format!("--secure-port={CONTROLLER_MANAGER_PORT}"),
            format!("--cert-dir={}", self.directory.join("controller-manager").display()),
            // Each controller has the rights that it has in a real cluster.
            "--use-service-account-credentials=true".to_owned(),
            format!("--service-account-private-key-file={}", papers.account_key().display()),
            format!("--root-ca-file={}", papers.authority().display()),
            format!("--controllers={}", controllers.join(",")),
            // There is one, so nobody is to be waited for.
            "--leader-elect=false".to_owned(),
        ];
        let program = self.programs.controller_manager.clone();
        Some(Launch { name: "kube-controller-manager", program, arguments })
    }

    fn etcd_url(&self, port: u16) -> String {
        let address: Ipv4Addr = self.network.loopback();
        format!("http://{address}:{port}")
    }
}
