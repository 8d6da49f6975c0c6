//! Where drey's own papers are kept, a Secret, and who is told of the authority, the webhook configurations.
//!
//! ```text
//!   Secret ──read──► papers ──due?──► new papers ──PUT with resourceVersion──► Secret     whoever comes first
//!                      │
//!                      ├─► caBundle of both configurations, where it is another one        every replica
//!                      └─► what is served
//! ```

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind, ObjectMeta};
use kube::{Api, Client};
use serde_json::{Value, json};

use super::papers::{Papers, PapersError};

/// The two kinds that name the webhook.
const KINDS: [&str; 2] = ["ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"];
/// With this annotation cert-manager writes `caBundle`.
const CERT_MANAGER: &str = "cert-manager.io/inject-ca-from";
const CERTIFICATE_UNTIL: &str = "drey.dev/certificate-not-after";
const AUTHORITY_UNTIL: &str = "drey.dev/authority-not-after";
const NAMES: &str = "drey.dev/certificate-names";
/// How often the Secret is read again when another replica was quicker.
const TRIES_MAX: usize = 4;

/// Why papers are not there, or nobody is told of them.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeeperError {
    /// They cannot be made or used.
    #[error(transparent)]
    Papers(#[from] PapersError),
    /// The Secret cannot be read or written.
    #[error("Secret `{secret}`: {error}")]
    Secret {
        /// Which.
        secret: String,
        /// Why not.
        error: kube::Error,
    },
    /// Other replicas write it all the time.
    #[error("Secret `{0}`: others write it all the time")]
    Contended(String),
    /// A configuration cannot be read or written.
    #[error("{kind} `{name}`: {error}")]
    Configuration {
        /// Its kind.
        kind: &'static str,
        /// Which.
        name: String,
        /// Why not.
        error: kube::Error,
    },
    /// Somebody else writes `caBundle`.
    #[error(
        "{kind} `{name}` has the annotation `{CERT_MANAGER}`, so that its caBundle is cert-manager's, but no certificate \
         of cert-manager is mounted: set `WEBHOOK_CERT_DIR` to where `tls.crt` and `tls.key` are, or remove the annotation"
    )]
    CertManager {
        /// Its kind.
        kind: &'static str,
        /// Which.
        name: String,
    },
}

/// Whom the papers are for.
pub(super) struct Keeper {
    /// The Kubernetes API.
    pub(super) client: Client,
    /// Namespace of Secret and Service.
    pub(super) namespace: String,
    /// Name of the Secret.
    pub(super) secret: String,
    /// Name of the Service.
    pub(super) service: String,
    /// Name of both webhook configurations.
    pub(super) configuration: String,
}

impl Keeper {
    /// The papers in force, made or made anew when that is due.
    pub(super) async fn papers(&self, now_s: i64) -> Result<Papers, KeeperError> {
        let names = names(&self.service, &self.namespace);
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let failed = |error| KeeperError::Secret { secret: self.secret.clone(), error };
        for _ in 0..TRIES_MAX {
            let stored = api.get_opt(&self.secret).await.map_err(failed)?;
            let known = stored.as_ref().and_then(from_secret);
            let new = match &known {
                Some(papers) => papers.renewed(&names, now_s)?,
                None => Some(Papers::make(&names, now_s)?),
            };
            let Some(new) = new else {
                return known.ok_or_else(|| KeeperError::Contended(self.secret.clone()));
            };
            let written = match stored {
                Some(stored) => {
                    let secret = to_secret(stored, &new);
                    api.replace(&self.secret, &PostParams::default(), &secret).await
                }
                None => {
                    let metadata = ObjectMeta { name: Some(self.secret.clone()), ..ObjectMeta::default() };
                    let type_ = Some("kubernetes.io/tls".to_owned());
                    let secret = to_secret(Secret { metadata, type_, ..Secret::default() }, &new);
                    api.create(&PostParams::default(), &secret).await
                }
            };
            match written {
                Ok(_) => {
                    tracing::info!(
                        secret = self.secret,
                        until = %date(new.certificate_until_s),
                        "webhook: a new certificate was made"
                    );
                    return Ok(new);
                }
                // Another replica came first, or took it away.
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Err(KeeperError::Contended(self.secret.clone()))
    }

    /// Tells the API server whom to trust. A configuration that is not there is nobody's business.
    pub(super) async fn inject(&self, papers: &Papers) -> Result<(), KeeperError> {
        for kind in KINDS {
            let resource =
                ApiResource::from_gvk(&GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", kind));
            let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource);
            let name = self.configuration.clone();
            let failed = |error| KeeperError::Configuration { kind, name: self.configuration.clone(), error };
            let Some(configuration) = api.get_opt(&name).await.map_err(failed)? else { continue };
            if configuration.metadata.annotations.iter().flatten().any(|(key, _)| key == CERT_MANAGER) {
                return Err(KeeperError::CertManager { kind, name });
            }
            let webhooks = &configuration.data["webhooks"];
            let Some(webhooks) = trusting(webhooks, &papers.authorities, &self.service, &self.namespace)
            else {
                continue;
            };
            let version = configuration.metadata.resource_version.clone();
            let patch = json!({ "metadata": { "resourceVersion": version }, "webhooks": webhooks });
            match api.patch(&name, &PatchParams::default(), &Patch::Strategic(patch)).await {
                Ok(_) => tracing::info!("webhook: {kind} `{name}` trusts drey's authority"),
                // Another replica came first; the next round looks again.
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(())
    }
}

/// The names by which API servers call a Service; the first is that of TLS.
fn names(service: &str, namespace: &str) -> Vec<String> {
    vec![format!("{service}.{namespace}.svc"), format!("{service}.{namespace}.svc.cluster.local")]
}

/// What has to be merged into `webhooks` so that all that call this Service trust these authorities.
fn trusting(webhooks: &Value, authorities: &str, service: &str, namespace: &str) -> Option<Value> {
    let bundle = STANDARD.encode(authorities);
    let is_due = |webhook: &&Value| {
        let client = &webhook["clientConfig"];
        client["service"]["name"] == service
            && client["service"]["namespace"] == namespace
            && client["caBundle"] != bundle.as_str()
    };
    let due = webhooks.as_array()?.iter().filter(is_due);
    let patches: Vec<Value> = due
        .map(|webhook| json!({ "name": webhook["name"], "clientConfig": { "caBundle": bundle } }))
        .collect();
    (!patches.is_empty()).then_some(Value::Array(patches))
}

/// Papers that can be served, if there are any.
fn from_secret(secret: &Secret) -> Option<Papers> {
    let text = |key: &str| {
        let bytes = secret.data.as_ref()?.get(key)?;
        String::from_utf8(bytes.0.clone()).ok().filter(|text| !text.is_empty())
    };
    let annotation = |key: &str| secret.metadata.annotations.as_ref()?.get(key);
    let seconds = |key: &str| annotation(key)?.parse::<Timestamp>().ok().map(Timestamp::as_second);
    let papers = Papers {
        authorities: text("ca.crt")?,
        authority_key: text("ca.key")?,
        authority_until_s: seconds(AUTHORITY_UNTIL)?,
        certificate: text("tls.crt")?,
        key: text("tls.key")?,
        certificate_until_s: seconds(CERTIFICATE_UNTIL)?,
        names: annotation(NAMES)?.split(',').map(str::to_owned).collect(),
    };
    papers.certified_key().is_ok().then_some(papers)
}

/// Everything else of the Secret stays.
fn to_secret(mut secret: Secret, papers: &Papers) -> Secret {
    let data: &mut BTreeMap<String, ByteString> = secret.data.get_or_insert_default();
    for (key, text) in [
        ("ca.crt", &papers.authorities),
        ("ca.key", &papers.authority_key),
        ("tls.crt", &papers.certificate),
        ("tls.key", &papers.key),
    ] {
        data.insert(key.to_owned(), ByteString(text.clone().into_bytes()));
    }
    let annotations = secret.metadata.annotations.get_or_insert_default();
    annotations.insert(CERTIFICATE_UNTIL.to_owned(), date(papers.certificate_until_s));
    annotations.insert(AUTHORITY_UNTIL.to_owned(), date(papers.authority_until_s));
    annotations.insert(NAMES.to_owned(), papers.names.join(","));
    secret
}

fn date(seconds: i64) -> String {
    Timestamp::from_second(seconds).map(|time| time.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn papers_come_back_from_their_secret_and_leave_the_rest_of_it() {
        let papers = Papers::make(&names("hook", "flink"), 1_800_000_000).expect("made");
        let given: Secret = serde_json::from_value(json!({
            "metadata": { "name": "a", "labels": { "app": "drey" }, "resourceVersion": "7" },
            "data": { "note": "eA==" },
        }))
        .expect("a Secret");
        let secret = to_secret(given, &papers);
        assert!(from_secret(&secret) == Some(papers));
        assert_eq!(secret.metadata.resource_version.as_deref(), Some("7"), "written by compare-and-swap");
        assert!(secret.data.as_ref().is_some_and(|data| data.contains_key("note")));
        for key in ["ca.crt", "ca.key", "tls.crt", "tls.key"] {
            let mut broken = secret.clone();
            broken.data.get_or_insert_default().insert(key.to_owned(), ByteString(b"".to_vec()));
            assert!(from_secret(&broken).is_none(), "without {key}");
        }
    }

    #[test]
    fn only_webhooks_that_call_this_service_and_trust_somebody_else_are_changed() {
        let webhook = |name: &str, service: &str, bundle: &str| {
            json!({ "name": name, "clientConfig": {
                "caBundle": bundle, "service": { "name": service, "namespace": "flink", "path": "/validate" } } })
        };
        let webhooks = json!([
            webhook("new", "hook", ""),
            webhook("other", "elsewhere", ""),
            webhook("known", "hook", &STANDARD.encode("PEM")),
        ]);
        let expected = json!([{ "name": "new", "clientConfig": { "caBundle": STANDARD.encode("PEM") } }]);
        assert_eq!(trusting(&webhooks, "PEM", "hook", "flink"), Some(expected));
        assert_eq!(trusting(&webhooks, "PEM", "hook", "other"), None);
        assert_eq!(trusting(&Value::Null, "PEM", "hook", "flink"), None);
    }
}
