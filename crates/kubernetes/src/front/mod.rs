//! What stands in front of the REST API: the Ingress, or the HTTPRoute, that `spec.ingress` asks for. Pure; it refuses
//! to know whether one exists already.

mod http_route;
mod ingress;

use std::collections::BTreeMap;

use drey_api::desired::Desired;
use drey_api::ingress_template;
use drey_api::kinds::IngressSpec;
use serde_json::{Value, json};

use crate::cluster::{COMPONENT_LABEL, ClusterIdentity, owned_by};
use crate::error::BuildError;
use crate::ports;

/// Value of the component label on what stands in front of a cluster.
pub const COMPONENT: &str = "ingress";

const FIELD: &str = "spec.ingress.template";

/// What the deployed spec asks for, owned by the FlinkDeployment; its backend is the Service of the REST API.
///
/// # Errors
/// The template is missing or is no host with a path, or the Gateway is named wrongly.
pub fn object(cluster: &ClusterIdentity, desired: &Desired) -> Result<Option<Value>, BuildError> {
    let Some(spec) = &desired.spec.ingress else { return Ok(None) };
    let template = spec.template.as_deref().ok_or(BuildError::Missing {
        field: FIELD,
        hint: "an ingress needs a host or a path, such as `{{name}}.{{namespace}}.example.com`",
    })?;
    let location = location(template, &cluster.name, &cluster.namespace)?;
    let rest_port = ports::of(&desired.configuration)?.rest;
    let metadata = metadata(cluster, spec);
    match &desired.options.http_route_gateway {
        None => Ok(Some(ingress::object(cluster, spec, &metadata, location, rest_port))),
        Some(gateway) => {
            http_route::object(cluster, spec, &metadata, template, location, rest_port, gateway).map(Some)
        }
    }
}

fn metadata(cluster: &ClusterIdentity, spec: &IngressSpec) -> Value {
    let mut labels: BTreeMap<String, String> = spec.labels.clone().unwrap_or_default();
    labels.insert(COMPONENT_LABEL.to_owned(), COMPONENT.to_owned());
    labels.insert("app.kubernetes.io/managed-by".to_owned(), "drey".to_owned());
    json!({
        "name": &*cluster.name,
        "namespace": &*cluster.namespace,
        "labels": labels,
        "annotations": spec.annotations.clone().unwrap_or_default(),
        "ownerReferences": owned_by(cluster, true),
    })
}

#[derive(Debug, PartialEq, Eq)]
struct Location {
    host: Option<String>,
    path: Option<String>,
}

/// Host and path of a template with its variables filled in. A scheme may stand in front, and a port, a query and a
/// fragment behind; an Ingress has none of them.
fn location(template: &str, name: &str, namespace: &str) -> Result<Location, BuildError> {
    let filled = ingress_template::fill(template.trim(), name, namespace);
    let behind_scheme =
        |scheme: &str| filled.get(..scheme.len()).filter(|start| start.eq_ignore_ascii_case(scheme));
    let scheme = ["http://", "https://"].into_iter().find(|scheme| behind_scheme(scheme).is_some());
    let rest = scheme.map_or(filled.as_str(), |scheme| &filled[scheme.len()..]);
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    let host = authority.rsplit_once(':').map_or(authority, |(host, _port)| host);
    let given = |text: &str| (!text.trim().is_empty()).then(|| text.to_owned());
    let location = Location { host: given(host), path: given(path) };
    if location.host.is_none() && location.path.is_none() {
        return Err(BuildError::value(FIELD, template, "a host, a path or both"));
    }
    Ok(location)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_a_host_and_a_path() {
        for (template, host, path) in [
            ("flink.k8s.io", Some("flink.k8s.io"), None),
            ("{{name}}.{{namespace}}.flink.k8s.io", Some("job.team.flink.k8s.io"), None),
            ("{{NAME}}.{{Namespace}}/x", Some("job.team"), Some("/x")),
            ("/{{namespace}}/{{name}}(/|$)(.*)", None, Some("/team/job(/|$)(.*)")),
            ("https://flink.io:8443/a/b?c#d", Some("flink.io"), Some("/a/b")),
        ] {
            let expected = Location { host: host.map(str::to_owned), path: path.map(str::to_owned) };
            assert_eq!(location(template, "job", "team"), Ok(expected), "{template}");
        }
        assert!(location("http://", "job", "team").is_err());
    }
}
