//! Label and field selectors: reading them, and whether an object matches.

use serde_json::Value;

use crate::errors::ApiError;
use crate::kinds::{Family, Kind};
use crate::names::{label_value_problem, qualified_problems};

/// Both selectors of a list or watch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selector {
    labels: Vec<Requirement>,
    fields: Vec<FieldRequirement>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Operator {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
    Greater(i64),
    Less(i64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct FieldRequirement {
    field: String,
    value: String,
    equal: bool,
}

impl Selector {
    /// Reads both; unknown fields of a kind are refused as the real server does.
    pub(crate) fn parse(labels: &str, fields: &str, kind: &Kind) -> Result<Selector, ApiError> {
        let fields = parse_fields(fields)?;
        for requirement in &fields {
            if !is_selectable(kind, &requirement.field) {
                return Err(ApiError::bad_request(unsupported_field(kind, &requirement.field)));
            }
        }
        Ok(Selector { labels: parse_labels(labels)?, fields })
    }

    pub(crate) fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// The one name that can match, which spares looking at the rest.
    pub(crate) fn only_name(&self) -> Option<&str> {
        self.fields
            .iter()
            .find(|requirement| requirement.equal && requirement.field == "metadata.name")
            .map(|requirement| requirement.value.as_str())
    }

    pub(crate) fn matches(&self, value: &Value, kind: &Kind) -> bool {
        let labels = &value["metadata"]["labels"];
        self.labels.iter().all(|requirement| requirement.matches(labels))
            && self
                .fields
                .iter()
                .all(|wanted| (field_of(value, &wanted.field, kind) == wanted.value) == wanted.equal)
    }
}

impl Requirement {
    fn matches(&self, labels: &Value) -> bool {
        let value = labels.get(&self.key).and_then(Value::as_str);
        match &self.operator {
            Operator::In(wanted) => value.is_some_and(|value| wanted.iter().any(|one| one == value)),
            Operator::NotIn(refused) => value.is_none_or(|value| refused.iter().all(|one| one != value)),
            Operator::Exists => value.is_some(),
            Operator::Absent => value.is_none(),
            Operator::Greater(bound) => number(value).is_some_and(|value| value > *bound),
            Operator::Less(bound) => number(value).is_some_and(|value| value < *bound),
        }
    }
}

fn number(value: Option<&str>) -> Option<i64> {
    value.and_then(|value| value.parse().ok())
}

fn parse_labels(source: &str) -> Result<Vec<Requirement>, ApiError> {
    let broken = |why: &str| ApiError::bad_request(format!("unable to parse requirement: {why}"));
    let mut requirements = Vec::new();
    if source.trim().is_empty() {
        return Ok(requirements);
    }
    for part in split_outside_parentheses(source) {
        let part = part.trim();
        let unexpected = match part.chars().next() {
            None => Some(','),
            Some(first) => Some(first).filter(|first| matches!(first, '=' | ',' | '(' | ')' | '<' | '>')),
        };
        if let Some(unexpected) = unexpected {
            let why = format!("found '{unexpected}', expected: !, identifier, or 'end of string'");
            return Err(ApiError::bad_request(why));
        }
        let requirement = parse_requirement(part).map_err(|why| broken(&why))?;
        if let Some(problem) = qualified_problems(&requirement.key).first() {
            return Err(broken(&format!("<nil>: Invalid value: {:?}: {problem}", requirement.key)));
        }
        if let Operator::In(values) | Operator::NotIn(values) = &requirement.operator {
            for value in values {
                if let Some(problem) = label_value_problem(value) {
                    let at = format!("values[0][{}]", requirement.key);
                    return Err(broken(&format!("{at}: Invalid value: {value:?}: {problem}")));
                }
            }
        }
        requirements.push(requirement);
    }
    Ok(requirements)
}

fn parse_requirement(part: &str) -> Result<Requirement, String> {
    let of = |key: &str, operator| Ok(Requirement { key: key.trim().to_owned(), operator });
    let one = |value: &str| vec![value.trim().to_owned()];
    if let Some(key) = part.strip_prefix('!') {
        return of(key, Operator::Absent);
    }
    if let Some((key, value)) = part.split_once("!=") {
        return of(key, Operator::NotIn(one(value)));
    }
    if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return of(key, Operator::In(one(value)));
    }
    if let Some((key, set)) = split_operator(part, " notin") {
        return of(key, Operator::NotIn(parse_set(set)?));
    }
    if let Some((key, set)) = split_operator(part, " in") {
        return of(key, Operator::In(parse_set(set)?));
    }
    for (sign, greater) in [('>', true), ('<', false)] {
        if let Some((key, bound)) = part.split_once(sign) {
            let bound = bound
                .trim()
                .parse()
                .map_err(|_| format!("for {sign} operator, the value must be an integer"))?;
            return of(key, if greater { Operator::Greater(bound) } else { Operator::Less(bound) });
        }
    }
    match part.split_once(char::is_whitespace) {
        None => of(part, Operator::Exists),
        Some((_, rest)) => Err(format!(
            "found '{}', expected: in, notin, =, ==, !=, gt, lt",
            rest.split_whitespace().next().unwrap_or("")
        )),
    }
}

/// Splits at a word that a space or a parenthesis follows.
fn split_operator<'a>(part: &'a str, operator: &str) -> Option<(&'a str, &'a str)> {
    let (key, set) = part.split_once(operator)?;
    set.starts_with([' ', '(']).then_some((key, set))
}

fn parse_set(set: &str) -> Result<Vec<String>, String> {
    let set = set.trim();
    let Some(inner) = set.strip_prefix('(') else {
        let found = set.split(',').next().unwrap_or("");
        return Err(format!("found '{found}' expected: '('"));
    };
    let inner = inner.strip_suffix(')').ok_or_else(|| "found '', expected: ',' or ')'".to_owned())?;
    Ok(inner.split(',').map(|value| value.trim().to_owned()).collect())
}

fn split_outside_parentheses(source: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_i32, 0);
    for (index, letter) in source.char_indices() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&source[start..index]);
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&source[start..]);
    parts
}

fn parse_fields(source: &str) -> Result<Vec<FieldRequirement>, ApiError> {
    let mut requirements = Vec::new();
    for part in source.split(',').filter(|part| !part.is_empty()) {
        let (field, value, equal) = if let Some((field, value)) = part.split_once("!=") {
            (field, value, false)
        } else if let Some((field, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
            (field, value, true)
        } else {
            let why = format!("invalid selector: '{source}'; can't understand '{part}'");
            return Err(ApiError::bad_request(why));
        };
        requirements.push(FieldRequirement { field: field.to_owned(), value: value.to_owned(), equal });
    }
    Ok(requirements)
}

fn unsupported_field(kind: &Kind, field: &str) -> String {
    match kind.family {
        Family::ConfigMap | Family::Lease | Family::Deployment | Family::ServiceAccount => {
            format!(
                "\"{field}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
            )
        }
        Family::Custom
        | Family::Secret
        | Family::CoreEvent
        | Family::NewEvent
        | Family::Namespace
        | Family::Service
        | Family::Pod
        | Family::CustomResourceDefinition
        | Family::AccessReview
        | Family::RulesReview => format!("field label not supported: {field}"),
    }
}

fn is_selectable(kind: &Kind, field: &str) -> bool {
    if matches!(field, "metadata.name" | "metadata.namespace") {
        return true;
    }
    match kind.family {
        Family::CoreEvent | Family::NewEvent => matches!(
            field,
            "involvedObject.kind"
                | "involvedObject.namespace"
                | "involvedObject.name"
                | "involvedObject.uid"
                | "involvedObject.apiVersion"
                | "involvedObject.resourceVersion"
                | "involvedObject.fieldPath"
                | "reason"
                | "reportingComponent"
                | "source"
                | "type"
                | "regarding.kind"
                | "regarding.namespace"
                | "regarding.name"
                | "regarding.uid"
                | "regarding.apiVersion"
                | "regarding.resourceVersion"
                | "regarding.fieldPath"
                | "reportingController"
        ),
        Family::Pod => matches!(
            field,
            "spec.nodeName"
                | "spec.restartPolicy"
                | "spec.schedulerName"
                | "spec.serviceAccountName"
                | "spec.hostNetwork"
                | "status.phase"
                | "status.podIP"
                | "status.podIPs"
                | "status.nominatedNodeName"
        ),
        Family::Secret => field == "type",
        Family::Namespace => matches!(field, "name" | "status.phase"),
        Family::Service => matches!(field, "spec.clusterIP" | "spec.type"),
        Family::Custom => kind.selectable_fields.iter().any(|path| path.trim_start_matches('.') == field),
        Family::ConfigMap
        | Family::Lease
        | Family::Deployment
        | Family::ServiceAccount
        | Family::CustomResourceDefinition
        | Family::AccessReview
        | Family::RulesReview => false,
    }
}

/// The text of a field of a stored object; missing ones are empty.
fn field_of(value: &Value, field: &str, kind: &Kind) -> String {
    let stored = match (kind.family, field) {
        (Family::CoreEvent | Family::NewEvent, "source") => "source.component".to_owned(),
        (Family::CoreEvent | Family::NewEvent, "reportingController") => "reportingComponent".to_owned(),
        (Family::CoreEvent | Family::NewEvent, field) => field.replacen("regarding.", "involvedObject.", 1),
        (Family::Namespace, "name") => "metadata.name".to_owned(),
        (_, field) => field.to_owned(),
    };
    let mut node = value;
    for part in stored.split('.') {
        node = &node[part];
    }
    match node {
        Value::Null | Value::Array(_) | Value::Object(_) => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::Registry;
    use serde_json::json;

    #[track_caller]
    fn check(labels: &str, fields: &str, expect: bool) {
        let registry = Registry::new(std::iter::empty());
        let kind = registry.find("", "v1", "pods").unwrap();
        let pod = json!({"metadata": {"name": "a", "namespace": "n", "labels": {"app": "x", "n": "5"}},
            "status": {"phase": "Running"}});
        let selector = Selector::parse(labels, fields, kind).unwrap();
        assert_eq!(selector.matches(&pod, kind), expect, "{labels} {fields}");
    }

    #[test]
    fn label_operators() {
        check("", "", true);
        check("app=x", "", true);
        check("app==y", "", false);
        check("app!=y,other!=z", "", true);
        check("app in (x, y)", "", true);
        check("app notin (x,y)", "", false);
        check("app,!missing", "", true);
        check("n>4,n<6", "", true);
        check("n>5", "", false);
    }

    #[test]
    fn field_operators() {
        check("", "metadata.name=a", true);
        check("", "metadata.name!=a", false);
        check("", "status.phase=Running,metadata.namespace=n", true);
    }

    #[test]
    fn refused_selectors() {
        let registry = Registry::new(std::iter::empty());
        let kind = registry.find("", "v1", "configmaps").unwrap();
        for (labels, fields) in [("a b", ""), ("-x=y", ""), ("x=$", ""), ("", "spec.x=1"), ("", "name")] {
            assert!(Selector::parse(labels, fields, kind).is_err(), "{labels} {fields}");
        }
    }
}
