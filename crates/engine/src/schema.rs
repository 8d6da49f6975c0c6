//! Is the served CRD ours? The API server silently drops fields that the CRD does not have; without `status.intent`
//! nothing could be written ahead. So this is asked before anything else, and the engine refuses to act without it.
//! Of the CRD, which is large, only what is asked for is read.

use std::collections::BTreeMap;

use kube::Client;
use kube::api::GetParams;
use kube::core::Request;
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::time::timeout;

use drey_api::kinds::VERSION;

use crate::limits::Limits;

/// Name of the CRD.
const NAME: &str = "flinkdeployments.flink.apache.org";
/// Fields of the status that upstream's CRD does not have.
const NEEDED: &[&str] = &["intent", "run"];

/// Why the engine refuses to act.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The cluster has no FlinkDeployment CRD.
    #[error("the CRD `{NAME}` is not installed\nhint: install it with `drey crds apply`")]
    NotInstalled,
    /// The CRD is an older one, such as that of the Java operator.
    #[error(
        "the CRD `{NAME}` has no `status.{field}`, so that the API server would drop what drey writes there before \
         it acts\nhint: replace it with `drey crds apply`; resources and running jobs are not touched"
    )]
    Outdated {
        /// The field of the status that is missing.
        field: &'static str,
    },
    /// The CRD may not be read.
    #[error(
        "the CRD `{NAME}` may not be read: {message}\nhint: allow `get` on `customresourcedefinitions` of \
         `apiextensions.k8s.io` to drey's service account"
    )]
    Forbidden {
        /// The API server's words.
        message: String,
    },
    /// The API server did not answer as expected.
    #[error("the CRD `{NAME}` could not be read: {message}")]
    NotRead {
        /// What went wrong.
        message: String,
    },
}

impl SchemaError {
    /// Whether asking again may help without anybody changing anything.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            SchemaError::NotRead { .. } => true,
            SchemaError::NotInstalled | SchemaError::Outdated { .. } | SchemaError::Forbidden { .. } => false,
        }
    }
}

#[derive(Deserialize)]
struct Crd {
    spec: CrdSpec,
}

#[derive(Deserialize)]
struct CrdSpec {
    versions: Vec<CrdVersion>,
}

#[derive(Deserialize)]
struct CrdVersion {
    name: String,
    #[serde(default)]
    served: bool,
    #[serde(default)]
    schema: Option<CrdValidation>,
}

#[derive(Deserialize)]
struct CrdValidation {
    #[serde(default, rename = "openAPIV3Schema")]
    root: Option<RootSchema>,
}

#[derive(Deserialize)]
struct RootSchema {
    #[serde(default)]
    properties: Option<RootProperties>,
}

#[derive(Deserialize)]
struct RootProperties {
    #[serde(default)]
    status: Option<StatusSchema>,
}

#[derive(Deserialize)]
struct StatusSchema {
    #[serde(default, rename = "x-kubernetes-preserve-unknown-fields")]
    preserves_unknown_fields: bool,
    #[serde(default)]
    properties: BTreeMap<String, IgnoredAny>,
}

/// Checks the CRD that is served now.
pub(crate) async fn check(client: &Client, limits: &Limits) -> Result<(), SchemaError> {
    let crds = Request::new("/apis/apiextensions.k8s.io/v1/customresourcedefinitions");
    let request = crds
        .get(NAME, &GetParams::default())
        .map_err(|error| SchemaError::NotRead { message: error.to_string() })?;
    match timeout(limits.request_timeout, client.request::<Crd>(request)).await {
        Ok(Ok(crd)) => judge(&crd),
        Ok(Err(kube::Error::Api(status))) if status.code == 404 => Err(SchemaError::NotInstalled),
        Ok(Err(kube::Error::Api(status))) if matches!(status.code, 401 | 403) => {
            Err(SchemaError::Forbidden { message: status.message.clone() })
        }
        Ok(Err(error)) => Err(SchemaError::NotRead { message: error.to_string() }),
        Err(_) => {
            Err(SchemaError::NotRead { message: format!("no answer within {:?}", limits.request_timeout) })
        }
    }
}

fn judge(crd: &Crd) -> Result<(), SchemaError> {
    let version = crd.spec.versions.iter().find(|version| version.name == VERSION && version.served);
    let root = version.and_then(|version| version.schema.as_ref()?.root.as_ref());
    let status = root.and_then(|root| root.properties.as_ref()?.status.as_ref());
    let Some(status) = status else { return Err(SchemaError::Outdated { field: NEEDED[0] }) };
    let missing = NEEDED.iter().find(|field| !status.properties.contains_key(**field));
    match missing {
        Some(field) if !status.preserves_unknown_fields => Err(SchemaError::Outdated { field }),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn crd(status: &serde_json::Value) -> Crd {
        serde_json::from_value(json!({ "spec": { "versions": [{
            "name": "v1beta1", "served": true, "storage": true,
            "schema": { "openAPIV3Schema": { "type": "object", "properties": { "status": status } } },
        }] } }))
        .unwrap()
    }

    #[test]
    fn our_own_crd_is_taken() {
        let ours = drey_api::crd::all().into_iter().find(|crd| crd.metadata.name.as_deref() == Some(NAME));
        let text = serde_json::to_string(&ours.expect("the API has a FlinkDeployment")).unwrap();
        judge(&serde_json::from_str(&text).unwrap()).unwrap();
    }

    #[test]
    fn a_crd_that_would_drop_the_intent_is_refused_with_the_command_that_helps() {
        let error =
            judge(&crd(&json!({"type": "object", "properties": {"error": {"type": "string"}}}))).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("`status.intent`") && text.contains("drey crds apply"), "{text}");
        assert!(!error.is_passing());
    }

    #[test]
    fn a_crd_that_drops_nothing_is_taken() {
        judge(&crd(&json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}))).unwrap();
    }
}
