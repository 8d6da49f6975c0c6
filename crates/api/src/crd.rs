//! The four CustomResourceDefinitions, made from the types.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use schemars::{Schema, SchemaGenerator, json_schema};

pub(crate) fn free_form(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "x-kubernetes-preserve-unknown-fields": true })
}

pub(crate) fn number(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "number" })
}

pub(crate) fn int_or_string() -> Schema {
    json_schema!({
        "anyOf": [{ "type": "integer" }, { "type": "string" }],
        "x-kubernetes-int-or-string": true
    })
}

pub(crate) fn pod_template(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

pub(crate) fn object_metadata(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

/// All four definitions.
#[must_use]
pub fn all() -> Vec<CustomResourceDefinition> {
    vec![
        crate::kinds::FlinkDeployment::crd(),
        crate::kinds::FlinkSessionJob::crd(),
        crate::kinds::FlinkStateSnapshot::crd(),
        crate::kinds::FlinkBlueGreenDeployment::crd(),
    ]
}
