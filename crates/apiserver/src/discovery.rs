//! Discovery: which groups, versions and resources exist, in the plain and the aggregated form.

use serde_json::{Value, json};

use crate::kinds::{Family, Kind, Registry};

/// The Kubernetes version whose behaviour this server follows.
const GIT_VERSION: &str = "v1.35.4";
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const PLAIN: &str = "application/json";

/// `/version`
pub(crate) fn version() -> Value {
    json!({
        "major": "1",
        "minor": "35",
        "gitVersion": format!("{GIT_VERSION}+drey"),
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}

/// `/`
pub(crate) fn root(registry: &Registry) -> Value {
    let mut paths = vec!["/api".to_owned(), "/api/v1".to_owned(), "/apis".to_owned()];
    for (group, versions) in registry.groups() {
        paths.push(format!("/apis/{group}"));
        paths.extend(versions.iter().map(|version| format!("/apis/{group}/{version}")));
    }
    paths.extend(
        ["/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"].map(str::to_owned),
    );
    json!({"paths": paths})
}

/// `/api`, with the media type of the answer.
pub(crate) fn core(registry: &Registry, accept: &str) -> (&'static str, Value) {
    if wants_aggregated(accept) {
        return (AGGREGATED, aggregated(&[aggregated_group(registry, "", &["v1"])]));
    }
    let value = json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [],
    });
    (PLAIN, value)
}

/// `/apis`, with the media type of the answer.
pub(crate) fn groups(registry: &Registry, accept: &str) -> (&'static str, Value) {
    if wants_aggregated(accept) {
        let groups: Vec<Value> =
            registry.groups().map(|(group, versions)| aggregated_group(registry, group, &versions)).collect();
        return (AGGREGATED, aggregated(&groups));
    }
    let groups: Vec<Value> =
        registry.groups().map(|(group, versions)| group_entry(group, &versions)).collect();
    (PLAIN, json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
}

/// `/apis/{group}`
pub(crate) fn group(registry: &Registry, name: &str) -> Option<Value> {
    let (group, versions) = registry.groups().find(|(group, _)| *group == name)?;
    let mut value = json!({"kind": "APIGroup", "apiVersion": "v1"});
    let entry = group_entry(group, &versions);
    for member in ["name", "versions", "preferredVersion"] {
        value[member] = entry[member].clone();
    }
    Some(value)
}

/// `/api/v1` or `/apis/{group}/{version}`
pub(crate) fn resources(registry: &Registry, group: &str, version: &str) -> Option<Value> {
    let kinds = registry.kinds(group, version)?;
    let mut resources = Vec::new();
    for kind in kinds.values() {
        resources.push(resource_entry(kind));
        for (subresource, sub_kind) in subresources(kind) {
            let mut entry = json!({
                "name": format!("{}/{subresource}", kind.plural),
                "singularName": "",
                "namespaced": kind.namespaced,
                "kind": sub_kind.kind,
            });
            if sub_kind.group != kind.group {
                entry["group"] = json!(sub_kind.group);
                entry["version"] = json!(sub_kind.version);
            }
            entry["verbs"] = json!(["get", "patch", "update"]);
            resources.push(entry);
        }
    }
    let mut value = json!({"kind": "APIResourceList"});
    if !group.is_empty() {
        value["apiVersion"] = json!("v1");
    }
    value["groupVersion"] = json!(crate::kinds::api_version(group, version));
    value["resources"] = Value::Array(resources);
    Some(value)
}

/// A subresource's own kind.
struct SubKind {
    group: String,
    version: String,
    kind: String,
}

fn subresources(kind: &Kind) -> Vec<(&'static str, SubKind)> {
    let mut found = Vec::new();
    if kind.scale.is_some() {
        let scale =
            SubKind { group: "autoscaling".to_owned(), version: "v1".to_owned(), kind: "Scale".to_owned() };
        found.push(("scale", scale));
    }
    if kind.status {
        let own =
            SubKind { group: kind.group.clone(), version: kind.version.clone(), kind: kind.kind.clone() };
        found.push(("status", own));
    }
    found
}

fn verbs(kind: &Kind) -> &'static [&'static str] {
    match kind.family {
        Family::AccessReview | Family::RulesReview => &["create"],
        Family::Namespace => &["create", "delete", "get", "list", "patch", "update", "watch"],
        Family::Custom => {
            &["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"]
        }
        Family::ConfigMap
        | Family::Secret
        | Family::CoreEvent
        | Family::NewEvent
        | Family::Lease
        | Family::Service
        | Family::Deployment
        | Family::Pod
        | Family::ServiceAccount
        | Family::CustomResourceDefinition => {
            &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
        }
    }
}

fn resource_entry(kind: &Kind) -> Value {
    let mut entry = json!({
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": verbs(kind),
    });
    for (member, list) in [("shortNames", &kind.short_names), ("categories", &kind.categories)] {
        if !list.is_empty() {
            entry[member] = json!(list);
        }
    }
    entry
}

fn group_entry(group: &str, versions: &[&str]) -> Value {
    let entry = |version: &str| json!({"groupVersion": format!("{group}/{version}"), "version": version});
    json!({
        "name": group,
        "versions": versions.iter().map(|version| entry(version)).collect::<Vec<_>>(),
        "preferredVersion": versions.first().map(|version| entry(version)),
    })
}

/// Whether aggregated discovery is the first choice that is understood.
fn wants_aggregated(accept: &str) -> bool {
    for choice in accept.split(',') {
        let compact: String = choice.chars().filter(|letter| !letter.is_whitespace()).collect();
        let has = |part: &str| compact.split(';').any(|found| found == part);
        if has("application/json")
            && has("as=APIGroupDiscoveryList")
            && has("g=apidiscovery.k8s.io")
            && has("v=v2")
        {
            return true;
        }
        if compact == "application/json" || compact == "*/*" {
            return false;
        }
    }
    false
}

fn aggregated(items: &[Value]) -> Value {
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

fn aggregated_group(registry: &Registry, group: &str, versions: &[&str]) -> Value {
    let mut metadata = json!({"creationTimestamp": null});
    if !group.is_empty() {
        metadata["name"] = json!(group);
    }
    let versions: Vec<Value> = versions
        .iter()
        .map(|version| {
            let kinds = registry.kinds(group, version).into_iter().flat_map(|kinds| kinds.values());
            let resources: Vec<Value> = kinds.map(|kind| aggregated_resource(kind)).collect();
            json!({"version": version, "resources": resources, "freshness": "Current"})
        })
        .collect();
    json!({"metadata": metadata, "versions": versions})
}

fn aggregated_resource(kind: &Kind) -> Value {
    let response =
        |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
    let mut entry = json!({
        "resource": kind.plural,
        "responseKind": response(&kind.group, &kind.version, &kind.kind),
        "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": kind.singular,
        "verbs": verbs(kind),
    });
    for (member, list) in [("shortNames", &kind.short_names), ("categories", &kind.categories)] {
        if !list.is_empty() {
            entry[member] = json!(list);
        }
    }
    let subresources: Vec<Value> = subresources(kind)
        .into_iter()
        .map(|(name, sub)| {
            json!({
                "subresource": name,
                "responseKind": response(&sub.group, &sub.version, &sub.kind),
                "verbs": ["get", "patch", "update"],
            })
        })
        .collect();
    if !subresources.is_empty() {
        entry["subresources"] = json!(subresources);
    }
    entry
}
