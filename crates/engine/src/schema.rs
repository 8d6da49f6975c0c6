//! Is the served CRD ours? The API server silently drops fields that the CRD does not have; without `status.intent`
//! nothing could be written ahead. So this is asked before anything else, and the engine refuses to act without it.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, Client};
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
    #[error(
        "the CRD `{NAME}` is not installed\nhint: install it with `kubectl create -f charts/drey-crds/crds/`"
    )]
    NotInstalled,
    /// The CRD is an older one, such as that of the Java operator.
    #[error(
        "the CRD `{NAME}` has no `status.{field}`, so that the API server would drop what drey writes there before \
         it acts\nhint: replace it with `kubectl replace -f charts/drey-crds/crds/`; resources and running jobs are \
         not touched"
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

/// Checks the CRD that is served now.
pub(crate) async fn check(client: &Client, limits: &Limits) -> Result<(), SchemaError> {
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    match timeout(limits.request_timeout, api.get_opt(NAME)).await {
        Ok(Ok(Some(crd))) => judge(&crd),
        Ok(Ok(None)) => Err(SchemaError::NotInstalled),
        Ok(Err(kube::Error::Api(status))) if matches!(status.code, 401 | 403) => {
            Err(SchemaError::Forbidden { message: status.message.clone() })
        }
        Ok(Err(error)) => Err(SchemaError::NotRead { message: error.to_string() }),
        Err(_) => {
            Err(SchemaError::NotRead { message: format!("no answer within {:?}", limits.request_timeout) })
        }
    }
}

fn judge(crd: &CustomResourceDefinition) -> Result<(), SchemaError> {
    let version = crd.spec.versions.iter().find(|version| version.name == VERSION && version.served);
    let root = version.and_then(|version| version.schema.as_ref()?.open_api_v3_schema.as_ref());
    let status = root.and_then(|root| root.properties.as_ref()?.get("status"));
    let Some(status) = status else { return Err(SchemaError::Outdated { field: NEEDED[0] }) };
    if status.x_kubernetes_preserve_unknown_fields == Some(true) {
        return Ok(());
    }
    let has = |field: &str| status.properties.as_ref().is_some_and(|fields| fields.contains_key(field));
    match NEEDED.iter().find(|field| !has(field)) {
        None => Ok(()),
        Some(field) => Err(SchemaError::Outdated { field }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn crd(status: &serde_json::Value) -> CustomResourceDefinition {
        serde_json::from_value(json!({
            "metadata": {"name": NAME},
            "spec": {
                "group": "flink.apache.org", "scope": "Namespaced",
                "names": {"kind": "FlinkDeployment", "plural": "flinkdeployments"},
                "versions": [{"name": "v1beta1", "served": true, "storage": true, "schema": {
                    "openAPIV3Schema": {"type": "object", "properties": {"status": status}},
                }}],
            },
        }))
        .unwrap()
    }

    #[test]
    fn our_own_crd_is_taken() {
        let ours = drey_api::crd::all().into_iter().find(|crd| crd.metadata.name.as_deref() == Some(NAME));
        judge(&ours.expect("the API has a FlinkDeployment")).unwrap();
    }

    #[test]
    fn a_crd_that_would_drop_the_intent_is_refused_with_the_command_that_helps() {
        let error =
            judge(&crd(&json!({"type": "object", "properties": {"error": {"type": "string"}}}))).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("`status.intent`") && text.contains("kubectl replace -f"), "{text}");
        assert!(!error.is_passing());
    }

    #[test]
    fn a_crd_that_drops_nothing_is_taken() {
        judge(&crd(&json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}))).unwrap();
    }
}
