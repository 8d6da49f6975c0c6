//! TLS to a JobManager: whom the client trusts, how it shows who it is, and what bad files are called.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use drey_flink::FlinkRest;
use drey_flink::rest::tls::{ClientError, TlsSettings, client};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use crate::support::install_crypto;

/// A directory with an authority, a client's identity and a stranger's authority, and the server's own.
struct Papers {
    directory: tempfile::TempDir,
    server: Arc<rustls::ServerConfig>,
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
}

fn papers() -> Papers {
    install_crypto();
    let directory = tempfile::tempdir().unwrap();
    let (ours, stranger) = (authority("ours"), authority("stranger"));
    let issue = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &ours).unwrap();
        (certificate, key)
    };
    let ((server, server_key), (us, our_key)) = (issue("localhost"), issue("drey"));
    for (name, text) in [
        ("authority.pem", ours.pem()),
        ("stranger.pem", stranger.pem()),
        ("identity.pem", us.pem() + &our_key.serialize_pem()),
        ("empty.pem", String::new()),
    ] {
        fs::write(directory.path().join(name), text).unwrap();
    }
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ours.der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
    let key = PrivateKeyDer::try_from(server_key.serialize_der()).unwrap();
    let server = rustls::ServerConfig::builder()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![server.der().clone()], key)
        .unwrap();
    Papers { directory, server: Arc::new(server) }
}

impl Papers {
    fn file(&self, name: &str) -> Option<PathBuf> {
        Some(self.directory.path().join(name))
    }
}

/// Answers every request over TLS, and only to who has a certificate of ours.
async fn serve(server: Arc<rustls::ServerConfig>) -> (String, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // A client that is refused, or refuses, ends here; the next may come.
            let Ok(mut stream) = TlsAcceptor::from(Arc::clone(&server)).accept(stream).await else {
                continue;
            };
            let mut request = [0; 4096];
            if stream.read(&mut request).await.is_ok() {
                let answer = "HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{\"jobs\":[]}";
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        }
    });
    (format!("https://localhost:{port}"), task)
}

#[tokio::test]
async fn trust_goes_both_ways() {
    let papers = papers();
    let (base, task) = serve(Arc::clone(&papers.server)).await;
    let jobs = async |authority: &str, identity: Option<&str>| {
        let settings = TlsSettings {
            certificate_authority_file: papers.file(authority),
            client_identity_file: identity.and_then(|name| papers.file(name)),
        };
        FlinkRest::new(client(&settings).unwrap(), base.parse().unwrap()).jobs().await
    };
    assert_eq!(jobs("authority.pem", Some("identity.pem")).await, Ok(Vec::new()));
    let stranger = jobs("stranger.pem", Some("identity.pem")).await.unwrap_err();
    assert!(stranger.is_unreachable() && stranger.to_string().contains("certificate"), "{stranger}");
    assert!(jobs("authority.pem", None).await.is_err());
    task.abort();
}

#[test]
fn files_that_are_missing_or_malformed_are_named() {
    let papers = papers();
    let with = |authority: Option<PathBuf>, identity: Option<PathBuf>| {
        client(&TlsSettings { certificate_authority_file: authority, client_identity_file: identity })
            .unwrap_err()
    };
    let missing = with(Some(Path::new("nowhere.pem").to_owned()), None);
    assert!(matches!(missing, ClientError::Unreadable { .. }));
    assert_eq!(missing.to_string(), "the certificate authority file `nowhere.pem` cannot be read");
    let empty = with(papers.file("empty.pem"), None).to_string();
    assert!(empty.contains("empty.pem") && empty.contains("BEGIN CERTIFICATE"), "{empty}");
    let no_key = with(None, papers.file("authority.pem")).to_string();
    assert!(no_key.contains("client identity file") && no_key.contains("private key"), "{no_key}");
}
