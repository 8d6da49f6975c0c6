//! Whom the cluster trusts: one authority of its own for servers and clients, and the key that signs the tokens of
//! service accounts.
//!
//! ```text
//!   ca.crt ─┬─► apiserver.crt            the bridge's address, `kubernetes.default.svc`, the Service's address
//!           ├─► admin                    in its kubeconfig; group `system:masters`
//!           └─► controller-manager       in its kubeconfig; user `system:kube-controller-manager`
//!   service-account.key, .pub
//! ```
//! It refuses to know what a user may do: RBAC does.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType,
};
use serde_json::json;

use super::error::KubeError;
use super::network::Network;

/// The names that clients use for the API server.
const NAMES: [&str; 5] = [
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
];

/// Files below the directory of a cluster.
#[derive(Clone, Debug)]
pub(super) struct Papers {
    directory: PathBuf,
}

/// Who a client certificate says one is.
struct Identity {
    user: &'static str,
    group: Option<&'static str>,
}

impl Papers {
    /// The files below this directory, whether they are there or not.
    pub(super) fn at(directory: &Path) -> Papers {
        Papers { directory: directory.to_owned() }
    }

    pub(super) fn authority(&self) -> PathBuf {
        self.directory.join("ca.crt")
    }

    pub(super) fn server_certificate(&self) -> PathBuf {
        self.directory.join("apiserver.crt")
    }

    pub(super) fn server_key(&self) -> PathBuf {
        self.directory.join("apiserver.key")
    }

    pub(super) fn account_key(&self) -> PathBuf {
        self.directory.join("service-account.key")
    }

    pub(super) fn account_public_key(&self) -> PathBuf {
        self.directory.join("service-account.pub")
    }

    pub(super) fn admin_kubeconfig(&self) -> PathBuf {
        self.directory.join("kubeconfig")
    }

    pub(super) fn controller_manager_kubeconfig(&self) -> PathBuf {
        self.directory.join("controller-manager.kubeconfig")
    }

    /// Makes every file anew.
    pub(super) fn make(&self, network: &Network, api_server: SocketAddr) -> Result<(), KubeError> {
        let authority = authority()?;
        write(&self.authority(), &authority.pem())?;
        let key = KeyPair::generate()?;
        write(&self.server_certificate(), &server(network)?.signed_by(&key, &authority)?.pem())?;
        write(&self.server_key(), &key.serialize_pem())?;
        let key = KeyPair::generate()?;
        write(&self.account_key(), &key.serialize_pem())?;
        write(&self.account_public_key(), &key.public_key_pem())?;
        let admin = Identity { user: "admin", group: Some("system:masters") };
        let controllers = Identity { user: "system:kube-controller-manager", group: None };
        for (path, identity) in
            [(self.admin_kubeconfig(), admin), (self.controller_manager_kubeconfig(), controllers)]
        {
            let key = KeyPair::generate()?;
            let certificate = client(&identity)?.signed_by(&key, &authority)?;
            write(&path, &kubeconfig(api_server, &identity, &authority.pem(), &certificate, &key))?;
        }
        Ok(())
    }
}

fn authority() -> Result<CertifiedIssuer<'static, KeyPair>, KubeError> {
    let mut parameters = CertificateParams::new(Vec::new())?;
    parameters.distinguished_name.push(DnType::CommonName, "kubernetes");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    Ok(CertifiedIssuer::self_signed(parameters, KeyPair::generate()?)?)
}

fn server(network: &Network) -> Result<CertificateParams, KubeError> {
    let mut parameters = CertificateParams::new(NAMES.map(str::to_owned))?;
    let addresses = [network.gateway, network.kubernetes_service(), Ipv4Addr::LOCALHOST];
    parameters.subject_alt_names.extend(addresses.map(|address| SanType::IpAddress(IpAddr::V4(address))));
    parameters.distinguished_name.push(DnType::CommonName, "kube-apiserver");
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(parameters)
}

fn client(identity: &Identity) -> Result<CertificateParams, KubeError> {
    let mut parameters = CertificateParams::new(Vec::new())?;
    parameters.distinguished_name.push(DnType::CommonName, identity.user);
    if let Some(group) = identity.group {
        parameters.distinguished_name.push(DnType::OrganizationName, group);
    }
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    Ok(parameters)
}

/// A kubeconfig that needs no other file. JSON is YAML.
fn kubeconfig(
    api_server: SocketAddr,
    identity: &Identity,
    authority: &str,
    certificate: &Certificate,
    key: &KeyPair,
) -> String {
    let cluster = json!({
        "server": format!("https://{api_server}"),
        "certificate-authority-data": STANDARD.encode(authority),
    });
    let user = json!({
        "client-certificate-data": STANDARD.encode(certificate.pem()),
        "client-key-data": STANDARD.encode(key.serialize_pem()),
    });
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "drey-testbed", "cluster": cluster}],
        "users": [{"name": identity.user, "user": user}],
        "contexts": [{"name": "drey-testbed", "context": {"cluster": "drey-testbed", "user": identity.user}}],
        "current-context": "drey-testbed",
    });
    format!("{config:#}\n")
}

/// Writes a file that its owner alone can read.
fn write(path: &Path, text: &str) -> Result<(), KubeError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(KubeError::file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kubeconfigs_are_read_by_kube() {
        let directory = tempfile::tempdir().unwrap();
        let papers = Papers::at(directory.path());
        let network = Network::numbered(0);
        papers.make(&network, SocketAddr::from((network.gateway, 26443))).unwrap();
        for path in [papers.admin_kubeconfig(), papers.controller_manager_kubeconfig()] {
            let config = kube::config::Kubeconfig::read_from(path).unwrap();
            assert_eq!(config.current_context.as_deref(), Some("drey-testbed"));
            let cluster = config.clusters[0].cluster.as_ref().unwrap();
            assert_eq!(cluster.server.as_deref(), Some("https://10.210.0.1:26443"));
        }
        let refused = papers.make(&network, SocketAddr::from((network.gateway, 26443)));
        assert!(matches!(refused, Err(KubeError::File { .. })), "papers in use are not overwritten");
    }
}
