//! The four CustomResourceDefinitions, made from the types.
//!
//! Like upstream's, the schemas have no defaults, no required fields and no nullable ones: defaults are
//! applied when an object is read, so that an absent field and its default are the same, and the API
//! server adds nothing to what people wrote. Unlike upstream's, fields are described, and pod templates
//! keep fields that this version does not know. Refuses to know what fields mean.

pub mod change;

use std::sync::OnceLock;

use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::CustomResourceExt;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value};

use crate::kinds::{FlinkBlueGreenDeployment, FlinkDeployment, FlinkSessionJob, FlinkStateSnapshot};

const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";

/// Stands for a Kubernetes type until [`tidy`] puts its schema in: the derived generators rewrite
/// everything they see several times over, which takes seconds for pods.
const POD_TEMPLATE: &str = "pod-template";
const OBJECT_METADATA: &str = "object-metadata";

/// The four definitions, one at a time. Made once and kept as text: as trees, four at once would be the larger part of
/// the memory of a process that needs them a few times in its life.
pub fn each() -> impl Iterator<Item = CustomResourceDefinition> {
    static TEXTS: OnceLock<[Box<[u8]>; 4]> = OnceLock::new();
    let make = || {
        let embedded = Embedded::new();
        let derived = [
            FlinkDeployment::crd,
            FlinkSessionJob::crd,
            FlinkStateSnapshot::crd,
            FlinkBlueGreenDeployment::crd,
        ];
        derived.map(|derive| {
            let definition = tidy(derive(), &embedded);
            serde_json::to_vec(&definition).expect("a definition is plain data with text keys").into()
        })
    };
    TEXTS.get_or_init(make).iter().map(|text| serde_json::from_slice(text).expect("what was written is read"))
}

/// All four definitions.
#[must_use]
pub fn all() -> Vec<CustomResourceDefinition> {
    each().collect()
}

/// The definition of a kind as YAML, ending in a newline; `None` for a kind that is not ours.
#[must_use]
pub fn yaml(kind: &str) -> Option<String> {
    let definition = each().find(|definition| definition.spec.names.kind == kind)?;
    let text = serde_saphyr::to_string(&definition).expect("a definition is plain data with text keys");
    Some(if text.ends_with('\n') { text } else { text + "\n" })
}

/// Name of the file that holds a definition in the chart, such as
/// `flinkdeployments.flink.apache.org-v1.yaml`.
#[must_use]
pub fn file_name(definition: &CustomResourceDefinition) -> String {
    format!("{}.{}-v1.yaml", definition.spec.names.plural, definition.spec.group)
}

/// The schemas of Kubernetes types that stand within ours.
struct Embedded {
    pod_template: Map<String, Value>,
    object_metadata: Map<String, Value>,
}

impl Embedded {
    fn new() -> Self {
        Self { pod_template: pod_template_schema(), object_metadata: kubernetes_type::<ObjectMeta>() }
    }

    fn named(&self, marker: &str) -> Option<&Map<String, Value>> {
        match marker {
            POD_TEMPLATE => Some(&self.pod_template),
            OBJECT_METADATA => Some(&self.object_metadata),
            _ => None,
        }
    }
}

fn tidy(definition: CustomResourceDefinition, embedded: &Embedded) -> CustomResourceDefinition {
    let mut value = serde_json::to_value(definition).expect("a definition is plain data with text keys");
    let versions = value.pointer_mut("/spec/versions").and_then(Value::as_array_mut);
    for version in versions.into_iter().flatten() {
        if let Some(Value::Object(schema)) = version.pointer_mut("/schema/openAPIV3Schema") {
            tidy_schema(schema, embedded);
        }
    }
    serde_json::from_value(value).expect("a schema stays one when keywords are taken from it")
}

/// Puts embedded types in, and takes away what upstream's schemas do not have, at every level.
fn tidy_schema(schema: &mut Map<String, Value>, embedded: &Embedded) {
    let marker = schema.get("format").and_then(Value::as_str);
    if let Some(type_schema) = marker.and_then(|marker| embedded.named(marker)) {
        schema.extend(type_schema.clone());
    }
    for keyword in ["default", "required", "nullable", "title", "format", "minimum"] {
        schema.shift_remove(keyword);
    }
    if let Some(Value::Array(values)) = schema.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    for child in children(schema) {
        tidy_schema(child, embedded);
    }
}

fn children(schema: &mut Map<String, Value>) -> Vec<&mut Map<String, Value>> {
    let mut found = Vec::new();
    for (keyword, value) in schema.iter_mut() {
        match (keyword.as_str(), value) {
            ("properties", Value::Object(properties)) => {
                found.extend(properties.values_mut().filter_map(Value::as_object_mut));
            }
            ("items" | "additionalProperties", Value::Object(child)) => found.push(child),
            _ => {}
        }
    }
    found
}

pub(crate) fn free_form(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "x-kubernetes-preserve-unknown-fields": true })
}

pub(crate) fn number(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "number" })
}

pub(crate) fn int_or_string() -> Schema {
    json_schema!({ "x-kubernetes-int-or-string": true })
}

pub(crate) fn pod_template(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "format": POD_TEMPLATE })
}

pub(crate) fn object_metadata(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "format": OBJECT_METADATA })
}

/// A pod template, with the `apiVersion` and `kind` that people copy from pods.
fn pod_template_schema() -> Map<String, Value> {
    let mut schema = kubernetes_type::<PodTemplateSpec>();
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for name in ["apiVersion", "kind"] {
            properties.insert(name.to_owned(), serde_json::json!({ "type": "string" }));
        }
    }
    keep_unknown_fields(&mut schema);
    schema
}

/// The schema of a Kubernetes type without descriptions: with them a definition would be too large for
/// the annotation in which `kubectl apply` keeps what it applied.
fn kubernetes_type<T: JsonSchema>() -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let schema = settings.into_generator().into_root_schema_for::<T>();
    let mut schema = schema.as_object().cloned().unwrap_or_default();
    schema.shift_remove("$schema");
    without_descriptions(&mut schema);
    schema
}

fn without_descriptions(schema: &mut Map<String, Value>) {
    schema.shift_remove("description");
    for child in children(schema) {
        without_descriptions(child);
    }
}

fn keep_unknown_fields(schema: &mut Map<String, Value>) {
    if schema.contains_key("properties") {
        schema.insert(PRESERVE.to_owned(), Value::Bool(true));
    }
    for child in children(schema) {
        keep_unknown_fields(child);
    }
}
