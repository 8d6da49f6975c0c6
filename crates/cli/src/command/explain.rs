//! `drey explain`: what a field of a resource, or a configuration key of the operator, means.

use drey_api::crd;
use drey_api::operator::{self, keys};
use drey_api::unknown_fields::nearest;
use serde_json::{Value, json};

use crate::failure::{Failure, Kind};
use crate::kinds::FlinkKind;
use crate::output::line;

/// Columns of a description.
const WIDTH: usize = 78;

/// Say what a field or a configuration key means
///
/// `drey explain deployment.spec.job.upgradeMode`, `drey explain spec.job` (of a FlinkDeployment),
/// `drey explain snapshot`; or a key of the operator's configuration such as
/// `drey explain kubernetes.operator.job.restart.failed`. Needs no cluster.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Kind and path of a field, or a configuration key
    #[arg(default_value = "deployment")]
    pub what: String,
    /// Every field below it
    #[arg(long)]
    pub recursive: bool,
}

/// Runs the command.
///
/// # Errors
/// A field or key that does not exist, with the one that was probably meant.
pub fn run(args: &Args) -> Result<(), Failure> {
    if args.what.starts_with(operator::PREFIX) {
        return of_key(&args.what)?.iter().try_for_each(|text| line(text));
    }
    let (kind, path) = field(&args.what);
    let schema = schema(kind)?;
    let mut found = &schema;
    let mut walked = kind.resource().kind;
    for name in &path {
        found = child(found, name, &walked)?;
        walked = format!("{walked}.{name}");
    }
    text(kind, path.last().copied(), found, args.recursive).iter().try_for_each(|text| line(text))
}

/// The first word is a kind, or the path begins with a FlinkDeployment.
fn field(text: &str) -> (FlinkKind, Vec<&str>) {
    let mut words: Vec<&str> = text.split('.').filter(|word| !word.is_empty()).collect();
    match words.first().and_then(|word| FlinkKind::from_name(word)) {
        Some(kind) => {
            words.remove(0);
            (kind, words)
        }
        None => (FlinkKind::Deployment, words),
    }
}

fn schema(kind: FlinkKind) -> Result<Value, Failure> {
    let name = kind.resource().kind;
    let definition = crd::each().find(|definition| definition.spec.names.kind == name);
    let version = definition.and_then(|definition| definition.spec.versions.into_iter().next());
    let schema = version.and_then(|version| version.schema?.open_api_v3_schema);
    schema
        .map(|schema| json!(schema))
        .ok_or_else(|| Failure::new(Kind::Internal, "its definition has no schema").on(name))
}

/// Lists are walked through, as `kubectl explain` does.
fn fields(schema: &Value) -> Option<&serde_json::Map<String, Value>> {
    let item = schema.pointer("/items").unwrap_or(schema);
    let of_values = item.pointer("/additionalProperties").filter(|value| value.is_object());
    of_values.unwrap_or(item)["properties"].as_object()
}

fn child<'a>(schema: &'a Value, name: &str, walked: &str) -> Result<&'a Value, Failure> {
    let fields = fields(schema);
    if let Some(found) = fields.and_then(|fields| fields.get(name)) {
        return Ok(found);
    }
    let failure = Failure::new(Kind::NotFound, format!("there is no field `{name}` in `{walked}`"));
    let known = fields.into_iter().flat_map(|fields| fields.keys().map(String::as_str));
    Err(match nearest(name, known.clone()) {
        Some(meant) => failure.hint(format!("did you mean `{meant}`?")),
        None if fields.is_none() => failure.hint(format!("`{walked}` is a {}", type_of(schema))),
        None => failure.hint(format!("its fields are {}", known.collect::<Vec<_>>().join(", "))),
    })
}

fn type_of(schema: &Value) -> String {
    if schema["x-kubernetes-int-or-string"] == true {
        return "integer or string".to_owned();
    }
    match schema["type"].as_str() {
        Some("array") => format!("list of {}", type_of(&schema["items"])),
        Some("object") => match schema.pointer("/additionalProperties").filter(|value| value.is_object()) {
            Some(values) => format!("map of {}", type_of(values)),
            None => "object".to_owned(),
        },
        Some(other) => other.to_owned(),
        None => "anything".to_owned(),
    }
}

fn text(kind: FlinkKind, field: Option<&str>, schema: &Value, recursive: bool) -> Vec<String> {
    let resource = kind.resource();
    let mut lines =
        vec![format!("KIND:     {}", resource.kind), format!("VERSION:  {}", resource.api_version)];
    if let Some(field) = field {
        lines.push(format!("\nFIELD:    {field} <{}>", type_of(schema)));
    }
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
        lines.push(format!("VALUES:   {}", values.join(", ")));
    }
    lines.push("\nDESCRIPTION:".to_owned());
    lines.extend(described(schema, 4));
    if let Some(fields) = fields(schema) {
        lines.push("\nFIELDS:".to_owned());
        lines.extend(listed(fields, 2, recursive));
    }
    lines
}

fn described(schema: &Value, indent: usize) -> Vec<String> {
    let text = schema["description"].as_str().unwrap_or("No description.");
    let width = WIDTH.saturating_sub(indent);
    text.lines()
        .flat_map(|paragraph| wrapped(paragraph, width))
        .map(|text| format!("{:indent$}{text}", ""))
        .collect()
}

fn listed(fields: &serde_json::Map<String, Value>, indent: usize, recursive: bool) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, schema) in fields {
        lines.push(format!("{:indent$}{name} <{}>", "", type_of(schema)));
        match (recursive, self::fields(schema)) {
            (true, Some(below)) => lines.extend(listed(below, indent + 2, recursive)),
            (true, None) => {}
            (false, _) => lines.extend(described(schema, indent + 4)),
        }
    }
    lines
}

/// Text in lines of at most so many characters, where its words allow it.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("there is always a line");
        if !last.is_empty() && last.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}

fn of_key(name: &str) -> Result<Vec<String>, Failure> {
    let Some(key) = operator::find(name) else {
        let failure = Failure::new(Kind::NotFound, format!("there is no key `{name}`"));
        return Err(match nearest(name, keys::ALL.iter().map(|key| key.name())) {
            Some(meant) => failure.hint(format!("did you mean `{meant}`?")),
            None => failure.hint("docs/operator-configuration.md lists them all"),
        });
    };
    let mut lines = vec![
        format!("KEY:      {}", key.name()),
        format!("VALUE:    {}", key.value),
        format!("DEFAULT:  {}", key.default.filter(|default| !default.is_empty()).unwrap_or("none")),
        format!("READ:     {}", key.scope),
    ];
    if key.names.len() > 1 {
        lines.push(format!("FORMERLY: {}", key.names[1..].join(", ")));
    }
    lines.push("\nWHAT DREY DOES:".to_owned());
    lines
        .extend(wrapped(&key.treatment.to_string(), WIDTH - 4).into_iter().map(|text| format!("    {text}")));
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(what: &str) -> Result<Vec<String>, Failure> {
        let (kind, path) = field(what);
        let schema = schema(kind)?;
        let mut found = &schema;
        for name in &path {
            found = child(found, name, "it")?;
        }
        Ok(text(kind, path.last().copied(), found, false))
    }

    #[test]
    fn a_field_is_told_with_its_type_and_values() {
        let lines = explained("flinkdep.spec.job.upgradeMode").expect("exists");
        assert_eq!(lines[0], "KIND:     FlinkDeployment");
        assert_eq!(lines[2], "\nFIELD:    upgradeMode <string>");
        assert!(lines[3].starts_with("VALUES:   ") && lines[3].contains("last-state"), "{lines:#?}");
        assert_eq!(explained("spec.job.upgradeMode"), Ok(lines));
    }

    #[test]
    fn every_field_of_every_kind_is_described() {
        fn walk(schema: &Value, path: &str, found: &mut Vec<String>) {
            if schema["description"].is_null() {
                found.push(path.to_owned());
            }
            // These are types of Kubernetes, which come without words.
            if path.ends_with("podTemplate") || path.ends_with("metadata") {
                return;
            }
            for (name, below) in fields(schema).into_iter().flatten() {
                walk(below, &format!("{path}.{name}"), found);
            }
        }
        for kind in FlinkKind::ALL {
            let mut found = Vec::new();
            walk(&schema(*kind).expect("has one")["properties"]["spec"], "spec", &mut found);
            assert_eq!(found, [""; 0], "{kind:?}");
        }
    }

    #[test]
    fn what_does_not_exist_is_refused_with_what_was_meant() {
        let failure = explained("spec.job.paralelism").expect_err("no such field");
        assert_eq!(failure.kind(), Kind::NotFound);
        assert!(failure.to_string().contains("did you mean `parallelism`?"), "{failure}");
        let failure = explained("spec.image.tag").expect_err("no such field");
        assert!(failure.to_string().contains("is a string"), "{failure}");
        let failure = of_key("kubernetes.operator.job.restart.faild").expect_err("no such key");
        assert!(failure.to_string().contains("`kubernetes.operator.job.restart.failed`"), "{failure}");
    }

    #[test]
    fn a_key_is_told_with_what_drey_does() {
        let lines = of_key("kubernetes.operator.job.restart.failed").expect("exists");
        assert_eq!(lines[0], "KEY:      kubernetes.operator.job.restart.failed");
        assert!(lines.iter().all(|text| text.chars().count() <= WIDTH), "{lines:#?}");
    }

    #[test]
    fn words_are_never_cut() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("incomprehensible", 5), ["incomprehensible"]);
    }
}
