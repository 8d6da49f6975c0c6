//! As an Ingress.

use drey_api::kinds::IngressSpec;
use serde_json::{Value, json};

use super::Location;
use crate::cluster::{ClusterIdentity, rest_service_name};

/// The Ingress.
pub(super) fn object(
    cluster: &ClusterIdentity,
    spec: &IngressSpec,
    metadata: &Value,
    location: Location,
    rest_port: u16,
) -> Value {
    let mut route = json!({
        "pathType": "ImplementationSpecific",
        "backend": { "service": { "name": rest_service_name(&cluster.name), "port": { "number": rest_port } } },
    });
    if let Some(path) = location.path {
        route["path"] = json!(path);
    }
    let mut rule = json!({ "http": { "paths": [route] } });
    if let Some(host) = location.host {
        rule["host"] = json!(host);
    }
    let mut object = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": metadata,
        "spec": { "rules": [rule] },
    });
    if let Some(class) = &spec.class_name {
        object["spec"]["ingressClassName"] = json!(class);
    }
    if let Some(tls) = &spec.tls {
        object["spec"]["tls"] = json!(tls);
    }
    object
}
