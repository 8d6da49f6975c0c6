//! Holds a value to its schema, in the words of kube-openapi's validator.

use serde_json::{Value, json};

use super::{Additional, Bounds, ListType, Schema, Type, join};
use crate::errors::FieldError;
use crate::limits::FIELD_ERRORS_MAX;

/// Every way in which `value` breaks `schema`, in document order, at most [`FIELD_ERRORS_MAX`].
pub(crate) fn validate(value: &Value, schema: &Schema) -> Vec<FieldError> {
    let mut errors = Vec::new();
    walk(value, schema, "", &mut errors);
    errors.truncate(FIELD_ERRORS_MAX);
    errors
}

/// As [`validate`], for one member alone: its errors' texts name paths inside it, as for status updates.
pub(crate) fn validate_member(value: &Value, schema: &Schema, member: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if let (Some(inner), Some(nested)) = (value.get(member), schema.nested(member)) {
        walk(inner, nested, "", &mut errors);
    }
    errors.truncate(FIELD_ERRORS_MAX);
    errors.into_iter().map(|error| FieldError { field: join(member, &error.field), ..error }).collect()
}

fn walk(value: &Value, schema: &Schema, path: &str, errors: &mut Vec<FieldError>) {
    if errors.len() >= FIELD_ERRORS_MAX {
        return;
    }
    if value.is_null() && (schema.nullable || schema.kind == Type::Any) {
        return;
    }
    if !fits(value, schema.kind) {
        errors.push(type_error(value, schema.kind, path));
        return;
    }
    if let Some(bounds) = &schema.bounds {
        enumeration(value, bounds, path, errors);
        scalar_bounds(value, bounds, path, errors);
        junctors(value, bounds, path, errors);
    }
    if let Some(format) = &schema.format {
        check_format(value, format, path, errors);
    }
    match value {
        Value::Object(map) => {
            for name in schema.required.iter().filter(|name| !map.contains_key(*name)) {
                errors.push(FieldError::required(join(path, name), ""));
            }
            for (name, inner) in map {
                if let Some(nested) = schema.nested(name) {
                    walk(inner, nested, &join(path, name), errors);
                }
            }
        }
        Value::Array(list) => {
            duplicates(list, &schema.list_type, path, errors);
            if let Some(items) = schema.items.as_deref() {
                for (index, item) in list.iter().enumerate() {
                    walk(item, items, &format!("{path}[{index}]"), errors);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn fits(value: &Value, kind: Type) -> bool {
    match kind {
        Type::Any => true,
        Type::Object => value.is_object(),
        Type::Array => value.is_array(),
        Type::String => value.is_string(),
        Type::Boolean => value.is_boolean(),
        Type::Number => value.is_number(),
        Type::Integer => is_integer(value),
        Type::IntOrString => value.is_string() || is_integer(value),
    }
}

fn is_integer(value: &Value) -> bool {
    match value {
        Value::Number(number) => {
            // Whole fractions count, as far as an int64 goes.
            let whole = |float: f64| float.fract() == 0.0 && float.abs() < 9.2e18;
            number.is_i64() || number.is_u64() || number.as_f64().is_some_and(whole)
        }
        _ => false,
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) if is_integer(value) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn type_error(value: &Value, kind: Type, path: &str) -> FieldError {
    let found = type_name(value);
    let detail = format!("{path} in body must be of type {}: \"{found}\"", kind.name());
    FieldError::wrong_type(shown_path(path), found, &detail)
}

/// The validator calls the root `<nil>`.
fn shown_path(path: &str) -> String {
    if path.is_empty() { "<nil>".to_owned() } else { path.to_owned() }
}

fn enumeration(value: &Value, bounds: &Bounds, path: &str, errors: &mut Vec<FieldError>) {
    if bounds.enumeration.is_empty() || bounds.enumeration.contains(value) {
        return;
    }
    let supported: Vec<String> = bounds.enumeration.iter().map(Value::to_string).collect();
    errors.push(FieldError::unsupported(path, value, &supported));
}

fn scalar_bounds(value: &Value, bounds: &Bounds, path: &str, errors: &mut Vec<FieldError>) {
    match value {
        Value::Number(number) => {
            if let Some(number) = number.as_f64() {
                number_bounds(value, number, bounds, path, errors);
            }
        }
        Value::String(text) => string_bounds(value, text, bounds, path, errors),
        Value::Array(list) => {
            if let Some(most) = bounds.max_items.filter(|most| list.len() > *most) {
                errors.push(FieldError::too_many(path, list.len(), most));
            }
            if let Some(least) = bounds.min_items.filter(|least| list.len() < *least) {
                let detail = format!("{path} in body should have at least {least} items");
                errors.push(FieldError::invalid(path, &json!(list.len()), &detail));
            }
        }
        Value::Object(map) => {
            if let Some(most) = bounds.max_properties.filter(|most| map.len() > *most) {
                errors.push(FieldError::too_many(path, map.len(), most));
            }
            if let Some(least) = bounds.min_properties.filter(|least| map.len() < *least) {
                let detail = format!("{path} in body should have at least {least} properties");
                errors.push(FieldError::invalid(path, &json!(map.len()), &detail));
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

fn number_bounds(value: &Value, number: f64, bounds: &Bounds, path: &str, errors: &mut Vec<FieldError>) {
    let mut refuse = |detail: String| errors.push(FieldError::invalid(path, value, &detail));
    if let Some(least) = bounds.minimum {
        match bounds.exclusive_minimum {
            true if number <= least => refuse(format!("{path} in body should be greater than {least}")),
            false if number < least => {
                refuse(format!("{path} in body should be greater than or equal to {least}"));
            }
            true | false => {}
        }
    }
    if let Some(most) = bounds.maximum {
        match bounds.exclusive_maximum {
            true if number >= most => refuse(format!("{path} in body should be less than {most}")),
            false if number > most => {
                refuse(format!("{path} in body should be less than or equal to {most}"));
            }
            true | false => {}
        }
    }
    if let Some(factor) = bounds.multiple_of.filter(|factor| (number / factor).fract() != 0.0) {
        refuse(format!("{path} in body should be a multiple of {factor}"));
    }
}

fn string_bounds(value: &Value, text: &str, bounds: &Bounds, path: &str, errors: &mut Vec<FieldError>) {
    let length = text.chars().count();
    if let Some(most) = bounds.max_length.filter(|most| length > *most) {
        errors.push(FieldError::too_long(path, most));
    }
    if let Some(least) = bounds.min_length.filter(|least| length < *least) {
        let detail = format!("{path} in body should be at least {least} chars long");
        errors.push(FieldError::invalid(path, value, &detail));
    }
    if let Some(pattern) = bounds.pattern.as_ref().filter(|pattern| !pattern.is_match(text)) {
        let detail = format!("{path} in body should match '{}'", pattern.as_str());
        errors.push(FieldError::invalid(path, value, &detail));
    }
}

fn junctors(value: &Value, bounds: &Bounds, path: &str, errors: &mut Vec<FieldError>) {
    let passes = |schema: &Schema| {
        let mut inner = Vec::new();
        walk(value, schema, path, &mut inner);
        inner.is_empty()
    };
    for schema in &bounds.all_of {
        walk(value, schema, path, errors);
    }
    let must = |what: &str| {
        FieldError::invalid(
            shown_path(path),
            &json!(""),
            &format!("{} in body must validate {what}", quoted(path)),
        )
    };
    if !bounds.any_of.is_empty() && !bounds.any_of.iter().any(passes) {
        errors.push(must("at least one schema (anyOf)"));
    }
    if !bounds.one_of.is_empty() {
        match bounds.one_of.iter().filter(|schema| passes(schema)).count() {
            1 => {}
            0 => errors.push(must("one and only one schema (oneOf). Found none valid")),
            several => errors
                .push(must(&format!("one and only one schema (oneOf). Found {several} valid alternatives"))),
        }
    }
    if bounds.not.as_deref().is_some_and(passes) {
        errors.push(must("must not validate the schema (not)"));
    }
}

fn quoted(path: &str) -> String {
    format!("\"{path}\"")
}

fn check_format(value: &Value, format: &str, path: &str, errors: &mut Vec<FieldError>) {
    let Value::String(text) = value else { return };
    let fits = match format {
        "date-time" => crate::clock::parse_ms(text).is_some(),
        "date" => text.parse::<jiff::civil::Date>().is_ok(),
        "byte" => {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD.decode(text).is_ok()
        }
        "uuid" => crate::ids::Uid::parse(text).is_some(),
        "ipv4" => text.parse::<std::net::Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<std::net::Ipv6Addr>().is_ok(),
        "ip" => text.parse::<std::net::IpAddr>().is_ok(),
        // Unknown formats are notes for the reader, as in kube-openapi.
        _ => true,
    };
    if !fits {
        let detail = format!("{path} in body must be of type {format}: {value}");
        errors.push(FieldError::wrong_type(path, text, &detail));
    }
}

fn duplicates(list: &[Value], list_type: &ListType, path: &str, errors: &mut Vec<FieldError>) {
    let key_of = |item: &Value| -> Value {
        match list_type {
            ListType::Atomic => Value::Null,
            ListType::Set => item.clone(),
            ListType::Map(keys) => {
                let named = keys.iter().filter_map(|key| Some((key.clone(), item.get(key)?.clone())));
                Value::Object(named.collect())
            }
        }
    };
    if *list_type == ListType::Atomic {
        return;
    }
    let mut seen: Vec<Value> = Vec::with_capacity(list.len());
    for (index, item) in list.iter().enumerate() {
        let key = key_of(item);
        if seen.contains(&key) {
            errors.push(FieldError::duplicate(format!("{path}[{index}]"), &key));
        } else {
            seen.push(key);
        }
    }
}

/// The first place where a built-in kind's JSON has a type that Go could not decode, in the words of Go's
/// decoder. Nulls are zero values there, so they always fit.
pub(crate) fn type_errors(value: &Value, schema: &Schema, kind: &str) -> Option<String> {
    decode(value, schema, kind, "")
}

fn decode(value: &Value, schema: &Schema, structure: &str, path: &str) -> Option<String> {
    if value.is_null() {
        return None;
    }
    if !fits(value, schema.kind) {
        // Quantities may also be written as fractions.
        if schema.format.as_deref() == Some("quantity") && value.is_number() {
            return None;
        }
        let found = match value {
            Value::Number(number) => format!("number {number}"),
            Value::Bool(_) => "bool".to_owned(),
            other => type_name(other).to_owned(),
        };
        let found = if schema.kind == Type::Integer { found } else { found.split(' ').next()?.to_owned() };
        return Some(format!(
            "json: cannot unmarshal {found} into Go struct field {structure}.{path} of type {}",
            go_type(schema)
        ));
    }
    match value {
        Value::Object(map) => map.iter().find_map(|(name, inner)| {
            let (nested, inner_path) = match (schema.properties.get(name), &schema.additional) {
                (Some(nested), _) => (nested, join(path, name)),
                (None, Additional::Each(each)) => (each.as_ref(), path.to_owned()),
                (None, Additional::Anything | Additional::Unlisted) => return None,
            };
            let named = if schema.type_name.is_empty() { structure } else { &schema.type_name };
            decode(inner, nested, named, &inner_path)
        }),
        Value::Array(list) => {
            let items = schema.items.as_deref()?;
            list.iter().find_map(|item| decode(item, items, structure, path))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn go_type(schema: &Schema) -> String {
    match schema.kind {
        Type::String => "string".to_owned(),
        Type::Boolean => "bool".to_owned(),
        Type::Integer => schema.format.clone().unwrap_or_else(|| "int64".to_owned()),
        Type::Number => "float64".to_owned(),
        Type::IntOrString => "intstr.IntOrString".to_owned(),
        Type::Array => format!("[]{}", schema.items.as_deref().map(go_type).unwrap_or_default()),
        Type::Object | Type::Any => match (&schema.additional, schema.type_name.as_str()) {
            (Additional::Each(each), "") => format!("map[string]{}", go_type(each)),
            (_, "") => "map[string]interface {}".to_owned(),
            (_, name) => format!("v1.{name}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::compile;
    use super::*;

    #[track_caller]
    fn check(schema: &Value, value: &Value, expect: &[&str]) {
        let schema = compile(schema).unwrap();
        let found: Vec<String> = validate(value, &schema)
            .iter()
            .map(|error| format!("{}: {}", error.field, error.message))
            .collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn messages_are_the_real_ones() {
        let schema = json!({"type": "object", "required": ["job"], "properties": {
            "n": {"type": "integer", "minimum": 1},
            "v": {"type": "string", "enum": ["a", "b"]},
            "p": {"type": "string", "pattern": "^x+$", "maxLength": 3},
            "q": {"x-kubernetes-int-or-string": true},
            "l": {"type": "array", "maxItems": 1, "x-kubernetes-list-type": "set", "items": {"type": "string"}}}});
        check(&schema, &json!({"job": {}, "n": 1, "v": "a", "p": "xx", "q": "5%", "l": ["x"]}), &[]);
        check(
            &schema,
            &json!({"n": "one"}),
            &[
                "job: Required value",
                "n: Invalid value: \"string\": n in body must be of type integer: \"string\"",
            ],
        );
        check(
            &schema,
            &json!({"job": 1, "n": 0, "v": "c", "p": "yyyy", "q": 1.5}),
            &[
                "n: Invalid value: 0: n in body should be greater than or equal to 1",
                "v: Unsupported value: \"c\": supported values: \"a\", \"b\"",
                "p: Too long: may not be more than 3 bytes",
                "p: Invalid value: \"yyyy\": p in body should match '^x+$'",
                "q: Invalid value: \"number\": q in body must be of type integer,string: \"number\"",
            ],
        );
        check(
            &schema,
            &json!({"job": 1, "l": ["x", "x"]}),
            &["l: Too many: 2: must have at most 1 item", "l[1]: Duplicate value: \"x\""],
        );
    }

    #[test]
    fn go_decoder_words() {
        let schema = compile(&json!({"type": "object", "properties": {
            "data": {"type": "object", "additionalProperties": {"type": "string"}}}}))
        .unwrap();
        assert_eq!(
            type_errors(&json!({"data": {"a": 1}}), &schema, "ConfigMap").as_deref(),
            Some("json: cannot unmarshal number into Go struct field ConfigMap.data of type string")
        );
        assert_eq!(type_errors(&json!({"data": {"a": null}}), &schema, "ConfigMap"), None);
    }
}
