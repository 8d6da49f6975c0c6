//! As an HTTPRoute of a Gateway, which has the class and the certificates itself.

use drey_api::kinds::IngressSpec;
use drey_api::operator::keys::HTTP_ROUTE_GATEWAY;
use serde_json::{Value, json};

use super::{FIELD, Location};
use crate::cluster::{ClusterIdentity, rest_service_name};
use crate::error::BuildError;

/// The HTTPRoute. A path is taken off again before Flink sees it: its web interface lives at the root.
///
/// # Errors
/// The Gateway is named wrongly, the path is more than a prefix, or the spec has what only an Ingress has.
pub(super) fn object(
    cluster: &ClusterIdentity,
    spec: &IngressSpec,
    metadata: &Value,
    template: &str,
    location: Location,
    rest_port: u16,
    gateway: &str,
) -> Result<Value, BuildError> {
    for (is_set, field) in
        [(spec.class_name.is_some(), "spec.ingress.className"), (spec.tls.is_some(), "spec.ingress.tls")]
    {
        if is_set {
            return Err(BuildError::Unsupported {
                key: field.to_owned(),
                instead: "an HTTPRoute has it from its Gateway",
            });
        }
    }
    let mut rule = json!({
        "backendRefs": [{ "name": rest_service_name(&cluster.name), "port": rest_port }],
    });
    if let Some(path) = location.path.filter(|path| path != "/") {
        if path.contains(['(', ')', '*', '$', '[', '|', '\\']) {
            return Err(BuildError::value(FIELD, template, "a plain path: an HTTPRoute takes no expression"));
        }
        rule["matches"] = json!([{ "path": { "type": "PathPrefix", "value": path } }]);
        rule["filters"] = json!([{
            "type": "URLRewrite",
            "urlRewrite": { "path": { "type": "ReplacePrefixMatch", "replacePrefixMatch": "/" } },
        }]);
    }
    let mut object = json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": metadata,
        "spec": { "parentRefs": [parent(gateway)?], "rules": [rule] },
    });
    if let Some(host) = location.host {
        object["spec"]["hostnames"] = json!([host]);
    }
    Ok(object)
}

fn parent(gateway: &str) -> Result<Value, BuildError> {
    let parts: Vec<&str> = gateway.trim().split('/').collect();
    let named = parts.iter().all(|part| !part.is_empty());
    match parts.as_slice() {
        [namespace, name] if named => Ok(json!({ "namespace": namespace, "name": name })),
        [namespace, name, listener] if named => {
            Ok(json!({ "namespace": namespace, "name": name, "sectionName": listener }))
        }
        _ => Err(BuildError::value(
            HTTP_ROUTE_GATEWAY.names[0],
            gateway,
            "`namespace/name` or `namespace/name/listener` of a Gateway",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_is_named_by_namespace_and_name() {
        assert_eq!(parent("infra/web"), Ok(json!({ "namespace": "infra", "name": "web" })));
        let listener = json!({ "namespace": "infra", "name": "web", "sectionName": "https" });
        assert_eq!(parent("infra/web/https"), Ok(listener));
        for wrong in ["web", "infra/", "/web", "a/b/c/d", ""] {
            assert!(parent(wrong).is_err(), "{wrong}");
        }
    }
}
