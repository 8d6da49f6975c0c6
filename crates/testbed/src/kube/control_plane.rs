//! The command lines of etcd, kube-apiserver and kube-controller-manager.
//!
//! It refuses to know how they are started and stopped.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use super::certificates::Papers;
use super::network::Network;
use super::process::Launch;
use super::programs::Programs;

// Addresses are each cluster's own, but a stranger that listens on all addresses has a port on these too. So none of the
// ports is one that Kubernetes or etcd has by default.

/// Port of the API server.
const API_PORT: u16 = 26_443;
/// Port of etcd for clients.
const ETCD_PORT: u16 = 22_379;
/// Port of etcd for its peers, of which there are none.
const ETCD_PEER_PORT: u16 = 22_380;
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

/// The controllers of what is deleted.
const GARBAGE: &[&str] = &["garbage-collector-controller", "namespace-controller"];

/// Deletes pods whose node is not there.
const POD_GARBAGE: &str = "pod-garbage-collector-controller";

/// Which controllers run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controllers {
    /// None: an API server alone, on which nothing happens by itself.
    None,
    /// Those that finish deletions: of dependents and of namespaces.
    Garbage,
    /// Those of workloads, namespaces, accounts, quotas and garbage; not the one that deletes pods.
    Workloads,
    /// Those, and the one that deletes pods whose Node object is missing.
    WorkloadsAndPodGarbage,
}

impl Controllers {
    fn names(self) -> Vec<&'static str> {
        match self {
            Self::None => Vec::new(),
            Self::Garbage => GARBAGE.to_vec(),
            Self::Workloads => WORKLOADS.to_vec(),
            Self::WorkloadsAndPodGarbage => WORKLOADS.iter().copied().chain([POD_GARBAGE]).collect(),
        }
    }

    /// Whether a namespace gets its account and its authority by itself.
    pub(super) fn equip_namespaces(self) -> bool {
        match self {
            Self::None | Self::Garbage => false,
            Self::Workloads | Self::WorkloadsAndPodGarbage => true,
        }
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
            // Webhooks are asked at the addresses of pods: nothing here forwards that of a Service.
            "--enable-aggregator-routing=true".to_owned(),
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
            // Nobody asks it anything, so it does not listen.
            "--secure-port=0".to_owned(),
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
