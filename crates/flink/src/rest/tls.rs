//! Makes the one HTTP client of a process, with or without TLS of its own.
//!
//! It refuses to install a crypto provider: that belongs to `main`, once, before the first client.

use std::error::Error;
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

/// Why two that connect do not agree on TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsFault {
    /// Nobody who is trusted has signed the certificate; perhaps only itself.
    UnknownAuthority,
    /// The certificate is that of another host.
    OtherHost,
    /// The certificate is not valid yet, or not any more.
    NotValidNow,
    /// What answers does not speak TLS.
    NoTls,
    /// The other side does not go on, such as one that asks for a certificate.
    TurnedAway,
    /// Something else.
    Other,
}

impl TlsFault {
    /// What an error says of TLS, if that is what it is about.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(error) = error.downcast_ref::<rustls::Error>() {
                return Some(Self::from(error));
            }
            // An I/O error names the source of what it holds, and not what it holds.
            let held = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            next = match held {
                Some(held) => Some(held),
                None => error.source(),
            };
        }
        None
    }
}

impl From<&rustls::Error> for TlsFault {
    fn from(error: &rustls::Error) -> Self {
        use rustls::{CertificateError as Certificate, Error as Tls};
        match error {
            Tls::InvalidCertificate(wrong) => match wrong {
                Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => Self::OtherHost,
                Certificate::Expired
                | Certificate::ExpiredContext { .. }
                | Certificate::NotValidYet
                | Certificate::NotValidYetContext { .. } => Self::NotValidNow,
                Certificate::UnknownIssuer | Certificate::BadSignature => Self::UnknownAuthority,
                // One that signs itself as an authority does.
                Certificate::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
                    Self::UnknownAuthority
                }
                _ => Self::Other,
            },
            Tls::InvalidMessage(_) => Self::NoTls,
            Tls::AlertReceived(_) => Self::TurnedAway,
            _ => Self::Other,
        }
    }
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
