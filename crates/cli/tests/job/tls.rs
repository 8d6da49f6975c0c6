//! TLS that does not come about: what is wrong and what helps is said in words.

use std::path::PathBuf;
use std::sync::Arc;

use drey_cli::exit::Exit;
use drey_cli::failure::Failure;
use drey_cli::job::flink::FlinkArgs;
use drey_cli::job::talk::Talk;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use crate::support::Bench;

/// A Flink with a certificate that signs itself, and the file with it.
struct Signed {
    directory: tempfile::TempDir,
    port: u16,
}

impl Signed {
    async fn start(name: &str, is_authority: bool) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let key = KeyPair::generate().expect("a key");
        let mut parameters = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        if is_authority {
            parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        let certificate = parameters.self_signed(&key).expect("signed");
        std::fs::write(directory.path().join("its.pem"), certificate.pem()).expect("written");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let server = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("a server");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(server))));
        Self { directory, port }
    }

    fn its(&self) -> PathBuf {
        self.directory.path().join("its.pem")
    }
}

/// Answers every request as Flink without jobs does.
async fn serve(listener: tokio::net::TcpListener, acceptor: TlsAcceptor) {
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        // Whoever does not agree on TLS ends here; the next may come.
        let Ok(mut stream) = acceptor.accept(stream).await else { continue };
        let mut request = [0; 4096];
        if stream.read(&mut request).await.is_ok() {
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{\"jobs\":[]}";
            let _gone = stream.write_all(answer.as_bytes()).await;
        }
    }
}

async fn list(bench: &Bench, url: String, authority: Option<PathBuf>) -> Result<(), Failure> {
    let flink = FlinkArgs { flink_url: Some(url), flink_ca_file: authority, ..bench.flink() };
    let session = flink.session(None, Talk::kept()).expect("a session");
    bench.run_as("list", &session).await.outcome
}

#[track_caller]
fn says(outcome: Result<(), Failure>, why: &str, next: &str) {
    let failure = outcome.expect_err("it does not come about");
    assert_eq!(failure.kind().exit(), Exit::Unreachable, "{failure}");
    assert!(failure.message().contains(why), "`{why}`: {failure}");
    let hints: Vec<String> =
        failure.to_string().lines().filter(|line| line.starts_with("hint: ")).map(str::to_owned).collect();
    assert!(hints.len() == 1 && hints[0].contains(next), "`{next}`: {failure}");
}

#[tokio::test]
async fn a_certificate_that_signs_itself_has_to_be_given() {
    let bench = Bench::new().await;
    for is_authority in [false, true] {
        let signed = Signed::start("localhost", is_authority).await;
        let url = || format!("https://localhost:{}", signed.port);
        let why = "nobody who is trusted has signed its certificate";
        says(list(&bench, url(), None).await, why, "`--flink-ca-file FILE`");
        let other = Signed::start("localhost", is_authority).await;
        says(list(&bench, url(), Some(other.its())).await, why, "`--flink-ca-file FILE`");
    }
    let signed = Signed::start("localhost", false).await;
    let given = list(&bench, format!("https://localhost:{}", signed.port), Some(signed.its())).await;
    assert_eq!(given, Ok(()));
}

#[tokio::test]
async fn a_certificate_for_another_host_is_told() {
    let bench = Bench::new().await;
    let signed = Signed::start("jobmanager.example", false).await;
    let outcome = list(&bench, format!("https://localhost:{}", signed.port), Some(signed.its())).await;
    says(outcome, "its certificate is that of another host", "FLINK_BASE_URL or `--flink-url`");
}

#[tokio::test]
async fn plain_http_to_a_port_of_tls_is_told() {
    let bench = Bench::new().await;
    let signed = Signed::start("localhost", false).await;
    let outcome = list(&bench, format!("http://localhost:{}", signed.port), None).await;
    says(outcome, "the connection to Flink was lost", "begins with `https://`");
}

#[tokio::test]
async fn tls_to_a_port_of_plain_http_is_told() {
    let bench = Bench::new().await;
    let outcome = list(&bench, bench.fake.url.replace("http://", "https://"), None).await;
    says(outcome, "what answers there does not speak TLS", "begins with `http://`");
}

#[test]
fn a_file_for_tls_that_is_not_there_is_named() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let flink = FlinkArgs {
        flink_url: Some("https://localhost:1".to_owned()),
        flink_ca_file: Some("/nowhere/ca.pem".into()),
        ..FlinkArgs::default()
    };
    let failure = flink.session(None, Talk::kept()).expect_err("no file");
    assert_eq!(failure.kind().exit(), Exit::Refused, "{failure}");
    assert!(failure.message().contains("`/nowhere/ca.pem`"), "{failure}");
}
