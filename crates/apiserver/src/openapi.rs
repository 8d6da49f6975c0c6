//! OpenAPI documents, for `kubectl explain` and for its check that the server validates fields itself.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::errors::ApiError;
use crate::kinds::{Family, Kind, Registry, api_version, openapi_definition, openapi_schema};
use crate::server::Server;
use crate::state::{CRD_COLLECTION, ObjectKey};

/// `/openapi/v2`: kubectl asks for it as protobuf, and goes on without when it is refused.
pub(crate) fn v2(
    server: &Server,
    registry: &Registry,
    accept: &str,
) -> Result<(&'static str, Bytes), ApiError> {
    if !accept.is_empty() && !accept.contains("json") && !accept.contains("*/*") {
        return Err(ApiError::not_acceptable(
            "only the following media types are accepted: application/json",
        ));
    }
    let mut definitions = Map::new();
    for kind in registry.stored() {
        if kind.family == Family::Custom {
            definitions.insert(definition_name(&kind), definition(server, &kind));
        }
    }
    let document = json!({
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": "v1.35.4"},
        "paths": {},
        "definitions": definitions,
    });
    Ok(("application/json", crate::render::encode(&document)))
}

/// `/openapi/v3`: where the documents are.
pub(crate) fn v3_index(registry: &Registry) -> Value {
    let mut paths = Map::new();
    paths.insert("api/v1".to_owned(), json!({"serverRelativeURL": "/openapi/v3/api/v1"}));
    for (group, versions) in registry.groups() {
        for version in versions {
            let path = format!("apis/{group}/{version}");
            let url = format!("/openapi/v3/{path}");
            paths.insert(path, json!({"serverRelativeURL": url}));
        }
    }
    json!({"paths": paths})
}

/// The document of one group and version.
pub(crate) fn v3(server: &Server, registry: &Registry, group: &str, version: &str) -> Option<Value> {
    let kinds = registry.kinds(group, version)?;
    let mut schemas = Map::new();
    let mut paths = Map::new();
    for kind in kinds.values() {
        if kind.family == Family::Custom {
            schemas.insert(definition_name(kind), definition(server, kind));
        } else {
            insert_builtin(kind, &mut schemas);
        }
        insert_paths(kind, &mut paths);
    }
    Some(json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.35.4"},
        "paths": paths,
        "components": {"schemas": schemas},
    }))
}

/// `org.apache.flink.v1beta1.FlinkDeployment` for the group `flink.apache.org`.
fn definition_name(kind: &Kind) -> String {
    let mut parts: Vec<&str> = kind.group.split('.').collect();
    parts.reverse();
    format!("{}.{}.{}", parts.join("."), kind.version, kind.kind)
}

fn group_version_kind(kind: &Kind) -> Value {
    json!([{"group": kind.group, "kind": kind.kind, "version": kind.version}])
}

/// The schema of a custom kind with the members that every object has.
///
/// The schema with its descriptions stays in the stored CRD: as a tree it would take many times its text.
fn definition(server: &Server, kind: &Kind) -> Value {
    let key = ObjectKey::new(&CRD_COLLECTION.into(), "", &kind.collection);
    let crd = server.shared.lock().decode(&key);
    let schema = crd.and_then(|crd| openapi_schema(crd, &kind.version)).filter(Value::is_object);
    let mut schema = schema.unwrap_or_else(|| json!({"type": "object"}));
    for (member, text) in [
        ("apiVersion", "The versioned schema of this representation of an object: `group/version`."),
        ("kind", "The REST resource that this object represents."),
    ] {
        schema["properties"][member] = json!({"type": "string", "description": text});
    }
    schema["properties"]["metadata"] = metadata_schema();
    schema["x-kubernetes-group-version-kind"] = group_version_kind(kind);
    schema
}

fn metadata_schema() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    let texts = |description: &str| json!({"type": "object", "additionalProperties": {"type": "string"}, "description": description});
    json!({
        "type": "object",
        "description": "Standard object's metadata.",
        "properties": {
            "name": text("Unique within a namespace."),
            "generateName": text("Prefix of a name that the server completes."),
            "namespace": text("The space within which the name is unique."),
            "uid": text("Unique in time and space; set by the server."),
            "resourceVersion": text("Changes whenever the object does; for optimistic concurrency."),
            "generation": {"type": "integer", "format": "int64", "description": "Counts changes of the desired state."},
            "creationTimestamp": {"type": "string", "format": "date-time", "description": "Set by the server."},
            "deletionTimestamp": {"type": "string", "format": "date-time", "description": "When deletion was asked for."},
            "labels": texts("For selecting objects."),
            "annotations": texts("For tools to keep their data."),
            "finalizers": {"type": "array", "items": {"type": "string"}, "description": "Must be empty before the object goes."},
            "ownerReferences": {"type": "array", "items": {"type": "object"}, "description": "Objects that this one depends on."},
        },
    })
}

/// Adds a built-in kind and the types that it refers to.
fn insert_builtin(kind: &Kind, schemas: &mut Map<String, Value>) {
    let Some(mut root) = openapi_definition(kind) else { return };
    if let Some(Value::Object(definitions)) = root.as_object_mut().and_then(|root| root.shift_remove("$defs"))
    {
        for (name, mut definition) in definitions {
            point_to_components(&mut definition);
            schemas.insert(name, definition);
        }
    }
    point_to_components(&mut root);
    if let Some(root) = root.as_object_mut() {
        root.shift_remove("$schema");
        root.shift_remove("title");
    }
    root["x-kubernetes-group-version-kind"] = group_version_kind(kind);
    schemas.insert(builtin_name(kind), root);
}

fn builtin_name(kind: &Kind) -> String {
    let group = kind.group.split('.').next().filter(|group| !group.is_empty()).unwrap_or("core");
    format!("io.k8s.api.{group}.{}.{}", kind.version, kind.kind)
}

fn point_to_components(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map.iter_mut() {
                match inner {
                    Value::String(text) if key == "$ref" => {
                        *text = text.replace("#/$defs/", "#/components/schemas/");
                    }
                    other => point_to_components(other),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(point_to_components),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The paths that kubectl looks at: it wants to see `fieldValidation` among the parameters of PATCH.
fn insert_paths(kind: &Kind, paths: &mut Map<String, Value>) {
    let base = if kind.group.is_empty() { "/api".to_owned() } else { "/apis".to_owned() };
    let namespace = if kind.namespaced { "/namespaces/{namespace}" } else { "" };
    let collection = format!("{base}/{}{namespace}/{}", api_version(&kind.group, &kind.version), kind.plural);
    let parameter =
        |name: &str| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}});
    let write = |action: &str| {
        json!({
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": group_version_kind(kind)[0],
            "parameters": [parameter("dryRun"), parameter("fieldManager"), parameter("fieldValidation")],
            "responses": {"200": {"description": "OK"}},
        })
    };
    paths.insert(collection.clone(), json!({"post": write("post")}));
    paths.insert(format!("{collection}/{{name}}"), json!({"put": write("put"), "patch": write("patch")}));
}
