//! A structural schema in memory: what prunes, defaults and validates objects.
//!
//! It is compiled once from OpenAPI v3 JSON (a CRD's `openAPIV3Schema`, or the built-in kinds' own), without
//! descriptions. It refuses to know about kinds, metadata rules and requests.

mod check;
mod defaults;
mod prune;
mod validate;

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Map, Value};

pub(crate) use check::check_structural;
pub(crate) use defaults::apply_defaults;
pub(crate) use prune::prune;
pub(crate) use validate::{type_errors, validate, validate_member};

/// What JSON type a schema demands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Type {
    /// No `type` was given.
    #[default]
    Any,
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
    /// `x-kubernetes-int-or-string`.
    IntOrString,
}

impl Type {
    fn from_name(name: &str) -> Type {
        match name {
            "object" => Type::Object,
            "array" => Type::Array,
            "string" => Type::String,
            "integer" => Type::Integer,
            "number" => Type::Number,
            "boolean" => Type::Boolean,
            _ => Type::Any,
        }
    }

    /// The name as messages show it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Type::Any => "",
            Type::Object => "object",
            Type::Array => "array",
            Type::String => "string",
            Type::Integer => "integer",
            Type::Number => "number",
            Type::Boolean => "boolean",
            Type::IntOrString => "integer,string",
        }
    }
}

/// `additionalProperties`.
#[derive(Clone, Debug, Default)]
pub(crate) enum Additional {
    /// Not given: properties that are not listed are pruned.
    #[default]
    Unlisted,
    /// `true`: anything goes, and is kept as it is.
    Anything,
    /// A schema for each value.
    Each(Box<Schema>),
}

/// `x-kubernetes-list-type`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum ListType {
    #[default]
    Atomic,
    Set,
    Map(Vec<String>),
}

/// Numeric and length bounds; most schemas have none, so they live behind one pointer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bounds {
    pub(crate) minimum: Option<f64>,
    pub(crate) exclusive_minimum: bool,
    pub(crate) maximum: Option<f64>,
    pub(crate) exclusive_maximum: bool,
    pub(crate) multiple_of: Option<f64>,
    pub(crate) min_length: Option<usize>,
    pub(crate) max_length: Option<usize>,
    pub(crate) min_items: Option<usize>,
    pub(crate) max_items: Option<usize>,
    pub(crate) min_properties: Option<usize>,
    pub(crate) max_properties: Option<usize>,
    pub(crate) pattern: Option<Regex>,
    pub(crate) enumeration: Vec<Value>,
    pub(crate) all_of: Vec<Schema>,
    pub(crate) any_of: Vec<Schema>,
    pub(crate) one_of: Vec<Schema>,
    pub(crate) not: Option<Box<Schema>>,
}

/// One node of a structural schema.
#[derive(Clone, Debug, Default)]
pub(crate) struct Schema {
    pub(crate) kind: Type,
    pub(crate) nullable: bool,
    pub(crate) properties: BTreeMap<String, Schema>,
    pub(crate) additional: Additional,
    pub(crate) items: Option<Box<Schema>>,
    pub(crate) required: Vec<String>,
    pub(crate) preserve_unknown: bool,
    pub(crate) embedded_resource: bool,
    pub(crate) default: Option<Value>,
    pub(crate) format: Option<String>,
    pub(crate) list_type: ListType,
    pub(crate) bounds: Option<Box<Bounds>>,
    /// The Go type's name, for messages about built-in kinds; empty for custom ones.
    pub(crate) type_name: String,
}

impl Schema {
    /// The schema of a member: its own, or that of all additional ones.
    pub(crate) fn nested(&self, name: &str) -> Option<&Schema> {
        self.properties.get(name).or(match &self.additional {
            Additional::Each(each) => Some(each),
            Additional::Anything | Additional::Unlisted => None,
        })
    }
}

/// Why a schema cannot be compiled: a path inside it and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub(crate) struct SchemaError {
    pub(crate) path: String,
    pub(crate) problem: String,
}

/// Compiles a CRD's `openAPIV3Schema`, which has no references.
pub(crate) fn compile(source: &Value) -> Result<Schema, SchemaError> {
    Compiler { definitions: &Map::new(), open: Vec::new() }.node(source, "")
}

/// Compiles a root schema whose references point into its `$defs`.
pub(crate) fn compile_with_definitions(source: &Value) -> Result<Schema, SchemaError> {
    let none = Map::new();
    let definitions = source.get("$defs").and_then(Value::as_object).unwrap_or(&none);
    Compiler { definitions, open: Vec::new() }.node(source, "")
}

struct Compiler<'a> {
    definitions: &'a Map<String, Value>,
    /// References being resolved, to cut recursive types.
    open: Vec<String>,
}

impl Compiler<'_> {
    fn node(&mut self, source: &Value, path: &str) -> Result<Schema, SchemaError> {
        let Some(object) = source.as_object() else {
            return Ok(Schema { preserve_unknown: true, ..Schema::default() });
        };
        if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
            return self.reference(reference, path);
        }
        let mut schema = Schema {
            kind: node_type(object),
            nullable: flag(object, "nullable"),
            preserve_unknown: flag(object, "x-kubernetes-preserve-unknown-fields"),
            embedded_resource: flag(object, "x-kubernetes-embedded-resource"),
            default: object.get("default").cloned(),
            format: text(object, "format"),
            required: texts(object, "required"),
            list_type: list_type(object),
            additional: self.additional(object, path)?,
            ..Schema::default()
        };
        if let Some(properties) = object.get("properties").and_then(Value::as_object) {
            for (name, property) in properties {
                let inner = format!("{path}.properties[{name}]");
                schema.properties.insert(name.clone(), self.node(property, &inner)?);
            }
        }
        if let Some(items) = object.get("items") {
            schema.items = Some(Box::new(self.node(items, &format!("{path}.items"))?));
        }
        schema.bounds = self.bounds(object, path)?;
        Ok(schema)
    }

    fn reference(&mut self, reference: &str, path: &str) -> Result<Schema, SchemaError> {
        let name = reference.rsplit('/').next().unwrap_or(reference).to_owned();
        let target = self.definitions.get(&name);
        let (Some(target), false) = (target, self.open.contains(&name)) else {
            return Ok(Schema { preserve_unknown: true, ..Schema::default() });
        };
        self.open.push(name.clone());
        let mut schema = self.node(target, path)?;
        self.open.pop();
        schema.type_name = name.rsplit('.').next().unwrap_or(&name).to_owned();
        if name.ends_with(".resource.Quantity") {
            schema.kind = Type::IntOrString;
            schema.format = Some("quantity".to_owned());
        }
        Ok(schema)
    }

    fn additional(&mut self, object: &Map<String, Value>, path: &str) -> Result<Additional, SchemaError> {
        match object.get("additionalProperties") {
            None | Some(Value::Bool(false)) => Ok(Additional::Unlisted),
            Some(Value::Bool(true)) => Ok(Additional::Anything),
            Some(each) => {
                let inner = format!("{path}.additionalProperties");
                Ok(Additional::Each(Box::new(self.node(each, &inner)?)))
            }
        }
    }

    fn bounds(
        &mut self,
        object: &Map<String, Value>,
        path: &str,
    ) -> Result<Option<Box<Bounds>>, SchemaError> {
        const KEYS: [&str; 19] = [
            "minimum",
            "maximum",
            "exclusiveMinimum",
            "exclusiveMaximum",
            "multipleOf",
            "minLength",
            "maxLength",
            "minItems",
            "maxItems",
            "uniqueItems",
            "minProperties",
            "maxProperties",
            "pattern",
            "enum",
            "allOf",
            "anyOf",
            "oneOf",
            "not",
            "x-kubernetes-validations",
        ];
        if !KEYS.iter().any(|key| object.contains_key(*key)) {
            return Ok(None);
        }
        let not = match object.get("not") {
            Some(inner) => Some(Box::new(self.node(inner, &format!("{path}.not"))?)),
            None => None,
        };
        Ok(Some(Box::new(Bounds {
            minimum: number(object, "minimum"),
            exclusive_minimum: flag(object, "exclusiveMinimum"),
            maximum: number(object, "maximum"),
            exclusive_maximum: flag(object, "exclusiveMaximum"),
            multiple_of: number(object, "multipleOf"),
            min_length: size(object, "minLength"),
            max_length: size(object, "maxLength"),
            min_items: size(object, "minItems"),
            max_items: size(object, "maxItems"),
            min_properties: size(object, "minProperties"),
            max_properties: size(object, "maxProperties"),
            pattern: pattern(object, path)?,
            enumeration: object.get("enum").and_then(Value::as_array).cloned().unwrap_or_default(),
            all_of: self.several(object, "allOf", path)?,
            any_of: self.several(object, "anyOf", path)?,
            one_of: self.several(object, "oneOf", path)?,
            not,
        })))
    }

    fn several(
        &mut self,
        object: &Map<String, Value>,
        key: &str,
        path: &str,
    ) -> Result<Vec<Schema>, SchemaError> {
        let Some(list) = object.get(key).and_then(Value::as_array) else {
            return Ok(Vec::new());
        };
        list.iter()
            .enumerate()
            .map(|(index, inner)| self.node(inner, &format!("{path}.{key}[{index}]")))
            .collect()
    }
}

fn node_type(object: &Map<String, Value>) -> Type {
    if flag(object, "x-kubernetes-int-or-string") {
        return Type::IntOrString;
    }
    match object.get("type") {
        Some(Value::String(name)) => Type::from_name(name),
        // `["string", "null"]`, as schema generators write optional values.
        Some(Value::Array(names)) => names
            .iter()
            .filter_map(Value::as_str)
            .map(Type::from_name)
            .find(|kind| *kind != Type::Any)
            .unwrap_or(Type::Any),
        _ if object.contains_key("properties") => Type::Object,
        _ => Type::Any,
    }
}

fn list_type(object: &Map<String, Value>) -> ListType {
    match object.get("x-kubernetes-list-type").and_then(Value::as_str) {
        Some("set") => ListType::Set,
        Some("map") => ListType::Map(texts(object, "x-kubernetes-list-map-keys")),
        _ => ListType::Atomic,
    }
}

fn pattern(object: &Map<String, Value>, path: &str) -> Result<Option<Regex>, SchemaError> {
    let Some(source) = object.get("pattern").and_then(Value::as_str) else {
        return Ok(None);
    };
    Regex::new(source).map(Some).map_err(|error| SchemaError {
        path: format!("{path}.pattern"),
        problem: format!("must be a valid regular expression, but isn't: {error}"),
    })
}

fn flag(object: &Map<String, Value>, key: &str) -> bool {
    object.get(key).and_then(Value::as_bool).unwrap_or(false)
}

fn text(object: &Map<String, Value>, key: &str) -> Option<String> {
    object.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn texts(object: &Map<String, Value>, key: &str) -> Vec<String> {
    let list = object.get(key).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn number(object: &Map<String, Value>, key: &str) -> Option<f64> {
    object.get(key).and_then(Value::as_f64)
}

fn size(object: &Map<String, Value>, key: &str) -> Option<usize> {
    object.get(key).and_then(Value::as_u64).and_then(|value| usize::try_from(value).ok())
}

/// `a.b`, or `b` at the root.
pub(crate) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
