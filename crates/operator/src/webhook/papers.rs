//! The certificates that drey makes for itself: an authority, and with it the certificate that is served.
//!
//! ```text
//!   certificate: 90 days, made anew 30 days before its end, by the authority in force
//!   authority:   10 years, made anew a year before its end; the one before stays trusted
//! ```
//! Both are never made anew in such an order that a certificate is served whose authority was not trusted before:
//! the first certificate of a new authority comes when the last one of the old is due. Refuses to know where papers
//! are kept, and what time it is.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

const DAY_S: i64 = 24 * 60 * 60;
const CERTIFICATE_S: i64 = 90 * DAY_S;
const CERTIFICATE_RENEWAL_S: i64 = 30 * DAY_S;
const AUTHORITY_S: i64 = 3650 * DAY_S;
const AUTHORITY_RENEWAL_S: i64 = 365 * DAY_S;
/// The clocks of API servers may be behind by this.
const SKEW_S: i64 = DAY_S;
/// How many authorities are trusted: that in force and the one before.
const AUTHORITIES_MAX: usize = 2;

/// Why papers cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub(super) enum PapersError {
    /// They cannot be made.
    #[error("a certificate cannot be made: {0}")]
    Make(#[from] rcgen::Error),
    /// This is no PEM.
    #[error("{what} is no PEM of the expected kind: {error}")]
    Pem {
        /// Which part.
        what: &'static str,
        /// Why not.
        error: rustls::pki_types::pem::Error,
    },
    /// TLS cannot use them.
    #[error("certificate and key cannot be served: {0}")]
    Tls(#[from] rustls::Error),
}

/// An authority and a certificate. Times are seconds since 1970.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Papers {
    /// Who is trusted, in PEM; the authority in force is the first.
    pub(super) authorities: String,
    /// Key of the authority in force, in PEM.
    pub(super) authority_key: String,
    /// When the authority in force ends.
    pub(super) authority_until_s: i64,
    /// The certificate that is served, in PEM.
    pub(super) certificate: String,
    /// Its key, in PEM.
    pub(super) key: String,
    /// When the certificate ends.
    pub(super) certificate_until_s: i64,
    /// The names that it is for.
    pub(super) names: Vec<String>,
}

impl Papers {
    /// New ones for these names.
    pub(super) fn make(names: &[String], now_s: i64) -> Result<Papers, PapersError> {
        let key = KeyPair::generate()?;
        let authority_until_s = now_s + AUTHORITY_S;
        let authorities = authority(now_s, authority_until_s)?.self_signed(&key)?.pem();
        let unsigned = Papers {
            authorities,
            authority_key: key.serialize_pem(),
            authority_until_s,
            certificate: String::new(),
            key: String::new(),
            certificate_until_s: 0,
            names: names.to_vec(),
        };
        unsigned.with_certificate(names, now_s)
    }

    /// The papers that take the place of these, if anything is due.
    pub(super) fn renewed(&self, names: &[String], now_s: i64) -> Result<Option<Papers>, PapersError> {
        if self.authority_until_s <= now_s {
            return Papers::make(names, now_s).map(Some);
        }
        let is_certificate_due =
            self.certificate_until_s - now_s <= CERTIFICATE_RENEWAL_S || self.names != names;
        let is_authority_due = self.authority_until_s - now_s <= AUTHORITY_RENEWAL_S;
        if !is_certificate_due && !is_authority_due {
            return Ok(None);
        }
        let mut new = self.clone();
        if is_certificate_due {
            new = new.with_certificate(names, now_s)?;
        }
        if is_authority_due {
            new = new.with_next_authority(now_s)?;
        }
        Ok(Some(new))
    }

    /// What TLS serves.
    pub(super) fn certified_key(&self) -> Result<CertifiedKey, PapersError> {
        certified_key(self.certificate.as_bytes(), self.key.as_bytes())
    }

    fn with_certificate(self, names: &[String], now_s: i64) -> Result<Papers, PapersError> {
        // No certificate outlives its authority.
        let certificate_until_s = (now_s + CERTIFICATE_S).min(self.authority_until_s);
        let mut parameters = CertificateParams::new(names)?;
        let first = names.first().map_or("drey", String::as_str);
        // The field has room for 64 characters.
        parameters.distinguished_name.push(DnType::CommonName, first.chars().take(64).collect::<String>());
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        parameters.use_authority_key_identifier_extension = true;
        span(&mut parameters, now_s, certificate_until_s);
        let key = KeyPair::generate()?;
        let authority_key = KeyPair::from_pem(&self.authority_key)?;
        // The issuer is known by its name and its key; its dates are in its own certificate.
        let issuer = Issuer::new(authority(now_s, self.authority_until_s)?, authority_key);
        let certificate = parameters.signed_by(&key, &issuer)?.pem();
        Ok(Papers {
            certificate,
            key: key.serialize_pem(),
            certificate_until_s,
            names: names.to_vec(),
            ..self
        })
    }

    fn with_next_authority(self, now_s: i64) -> Result<Papers, PapersError> {
        let key = KeyPair::generate()?;
        let authority_until_s = now_s + AUTHORITY_S;
        let mut trusted = vec![authority(now_s, authority_until_s)?.self_signed(&key)?.pem()];
        trusted.extend(split(&self.authorities).into_iter().take(AUTHORITIES_MAX - 1));
        Ok(Papers {
            authorities: trusted.concat(),
            authority_key: key.serialize_pem(),
            authority_until_s,
            ..self
        })
    }
}

/// Reads a chain and its key, both PEM, and holds one to the other.
pub(super) fn certified_key(chain: &[u8], key: &[u8]) -> Result<CertifiedKey, PapersError> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<_, _>>()
        .map_err(|error| PapersError::Pem { what: "the certificate", error })?;
    let key =
        PrivateKeyDer::from_pem_slice(key).map_err(|error| PapersError::Pem { what: "the key", error })?;
    let key = CertifiedKey::new(chain, any_supported_type(&key)?);
    key.keys_match()?;
    Ok(key)
}

fn authority(now_s: i64, until_s: i64) -> Result<CertificateParams, PapersError> {
    let mut parameters = CertificateParams::new(Vec::new())?;
    parameters.distinguished_name.push(DnType::CommonName, "drey webhook authority");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    span(&mut parameters, now_s, until_s);
    Ok(parameters)
}

fn span(parameters: &mut CertificateParams, now_s: i64, until_s: i64) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let after_epoch = |seconds: i64| Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    parameters.not_before = epoch + after_epoch(now_s - SKEW_S);
    parameters.not_after = epoch + after_epoch(until_s);
}

/// The certificates of a bundle, one by one.
fn split(bundle: &str) -> Vec<String> {
    const END: &str = "-----END CERTIFICATE-----\n";
    bundle.split_inclusive(END).filter(|part| part.ends_with(END)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::RootCertStore;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier as _;
    use rustls::pki_types::{ServerName, UnixTime};

    use super::*;

    const NOW_S: i64 = 1_800_000_000;

    fn names() -> Vec<String> {
        vec!["hook.flink.svc".to_owned(), "hook.flink.svc.cluster.local".to_owned()]
    }

    /// Whether somebody who trusts `authorities` takes the certificate at that time.
    fn is_trusted(authorities: &str, papers: &Papers, now_s: i64) -> bool {
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(authorities.as_bytes()) {
            roots.add(root.expect("a certificate")).expect("an authority");
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().expect("roots");
        let name = ServerName::try_from("hook.flink.svc").expect("a name");
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now_s.unsigned_abs()));
        let key = papers.certified_key().expect("papers");
        verifier.verify_server_cert(&key.cert[0], &[], &name, &[], now).is_ok()
    }

    #[test]
    fn what_is_made_is_trusted_until_its_end_and_by_its_own_authority_alone() {
        let papers = Papers::make(&names(), NOW_S).expect("made");
        assert!(is_trusted(&papers.authorities, &papers, NOW_S));
        assert!(is_trusted(&papers.authorities, &papers, NOW_S - SKEW_S + 1), "a clock that is behind");
        assert!(!is_trusted(&papers.authorities, &papers, papers.certificate_until_s + 1));
        let other = Papers::make(&names(), NOW_S).expect("made");
        assert!(!is_trusted(&other.authorities, &papers, NOW_S));
    }

    #[test]
    fn nothing_is_made_anew_before_it_is_due() {
        let papers = Papers::make(&names(), NOW_S).expect("made");
        let due_s = papers.certificate_until_s - CERTIFICATE_RENEWAL_S;
        assert!(papers.renewed(&names(), due_s - 1).expect("nothing").is_none());
        let new = papers.renewed(&names(), due_s).expect("made").expect("due");
        assert_eq!(new.authorities, papers.authorities);
        assert!(new.certificate != papers.certificate && new.key != papers.key);
        assert!(is_trusted(&papers.authorities, &new, due_s), "nobody has to learn of a new authority");
    }

    #[test]
    fn other_names_need_another_certificate() {
        let papers = Papers::make(&["other.flink.svc".to_owned()], NOW_S).expect("made");
        assert!(!is_trusted(&papers.authorities, &papers, NOW_S));
        let new = papers.renewed(&names(), NOW_S).expect("made").expect("due");
        assert!(is_trusted(&papers.authorities, &new, NOW_S));
    }

    /// Twenty-five years, looked at every ten days: whoever knows the bundle of the look before trusts what is served.
    #[test]
    fn no_certificate_is_served_whose_authority_was_not_trusted_before() {
        let mut papers = Papers::make(&names(), NOW_S).expect("made");
        let (mut renewals, mut authorities) = (0, 0);
        for look in 1..(25 * 365 / 10) {
            let now_s = NOW_S + look * 10 * DAY_S;
            let before = papers.clone();
            if let Some(new) = papers.renewed(&names(), now_s).expect("made") {
                renewals += 1;
                authorities += i32::from(new.authorities != before.authorities);
                papers = new;
            }
            assert!(is_trusted(&before.authorities, &papers, now_s), "look {look}");
            assert!(is_trusted(&papers.authorities, &papers, now_s), "look {look}");
            assert!(is_trusted(&papers.authorities, &before, now_s), "a replica that has not looked yet");
            assert!(split(&papers.authorities).len() <= AUTHORITIES_MAX);
        }
        assert!(renewals > 100 && authorities == 2, "{renewals}, {authorities}");
    }

    #[test]
    fn after_a_long_sleep_everything_is_made_anew() {
        let papers = Papers::make(&names(), NOW_S).expect("made");
        let now_s = papers.authority_until_s + 1;
        let new = papers.renewed(&names(), now_s).expect("made").expect("due");
        assert!(is_trusted(&new.authorities, &new, now_s));
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let (one, other) =
            (Papers::make(&names(), NOW_S).expect("made"), Papers::make(&names(), NOW_S).expect("made"));
        assert!(certified_key(one.certificate.as_bytes(), other.key.as_bytes()).is_err());
        let error = certified_key(b"-----BEGIN", b"").expect_err("no key").to_string();
        assert!(error.contains("the key is no PEM"), "{error}");
    }
}
