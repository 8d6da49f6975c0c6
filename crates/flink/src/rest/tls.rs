//! Makes the one HTTP client of a process, with or without TLS of its own.
//!
//! It refuses to install a crypto provider: that belongs to `main`, once, before the first client.

use std::path::{Path, PathBuf};

use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;

use crate::limits;

/// How JobManagers are trusted, and how drey shows who it is (Flink's `security.ssl.rest.*`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// A PEM file of certificates that are trusted **instead of** the system's. `None`: the system's.
    pub certificate_authority_file: Option<PathBuf>,
    /// A PEM file with drey's own certificate and private key, for mutual authentication.
    pub client_identity_file: Option<PathBuf>,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// `main` has not installed a crypto provider.
    #[error("no crypto provider is installed: install rustls' ring provider first thing in `main`")]
    NoCryptoProvider,
    /// A file cannot be read.
    #[error("the {what} `{}` cannot be read", path.display())]
    Unreadable {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("the {what} `{}` is not as expected: {expected}", path.display())]
    Malformed {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// The client cannot be built.
    #[error("the HTTP client cannot be built")]
    Build(#[source] reqwest::Error),
}

const AUTHORITY: &str = "certificate authority file";
const IDENTITY: &str = "client identity file";

/// Makes the HTTP client for all JobManagers of a process: no proxy from the environment, no redirects,
/// [`limits::CONNECT_DEADLINE`] for connecting.
///
/// # Errors
/// [`ClientError`] names the file that is missing or malformed.
pub fn client(settings: &TlsSettings) -> Result<reqwest::Client, ClientError> {
    client_with_headers(settings, HeaderMap::new())
}

/// As [`client`], and every request carries `headers`, such as those of a proxy that asks for a password.
///
/// # Errors
/// As [`client`].
pub fn client_with_headers(
    settings: &TlsSettings,
    headers: HeaderMap,
) -> Result<reqwest::Client, ClientError> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        return Err(ClientError::NoCryptoProvider);
    }
    let TlsSettings { certificate_authority_file, client_identity_file } = settings;
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .default_headers(headers)
        .redirect(Policy::none())
        .connect_timeout(limits::CONNECT_DEADLINE)
        .user_agent(concat!("drey/", env!("CARGO_PKG_VERSION")));
    if let Some(path) = certificate_authority_file {
        builder = builder.tls_certs_only(certificates(path)?);
    }
    if let Some(path) = client_identity_file {
        builder = builder.identity(identity(path)?);
    }
    builder.build().map_err(ClientError::Build)
}

fn certificates(path: &Path) -> Result<Vec<reqwest::Certificate>, ClientError> {
    let expected = "one or more PEM certificates (-----BEGIN CERTIFICATE-----)";
    let malformed = || ClientError::Malformed { what: AUTHORITY, path: path.to_owned(), expected };
    let found = reqwest::Certificate::from_pem_bundle(&read(AUTHORITY, path)?).map_err(|_| malformed())?;
    if found.is_empty() { Err(malformed()) } else { Ok(found) }
}

fn identity(path: &Path) -> Result<reqwest::Identity, ClientError> {
    let expected = "a PEM certificate followed by its private key";
    reqwest::Identity::from_pem(&read(IDENTITY, path)?).map_err(|_| ClientError::Malformed {
        what: IDENTITY,
        path: path.to_owned(),
        expected,
    })
}

fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, ClientError> {
    std::fs::read(path).map_err(|source| ClientError::Unreadable { what, path: path.to_owned(), source })
}
