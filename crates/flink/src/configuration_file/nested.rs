//! `config.yaml`: YAML 1.2 with keys nested at their dots.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{ConfigurationFileError, Entries, scalar};
use crate::limits;

enum Tree<'a> {
    Value { key: &'a str, value: &'a str },
    Branch(BTreeMap<&'a str, Tree<'a>>),
}

pub(super) fn render(entries: &Entries) -> Result<String, ConfigurationFileError> {
    let mut root = BTreeMap::new();
    for (key, value) in entries {
        plant(&mut root, key, value)?;
    }
    let mut text = String::new();
    write(&mut text, &root, 0);
    Ok(text)
}

fn plant<'a>(
    root: &mut BTreeMap<&'a str, Tree<'a>>,
    key: &'a str,
    value: &'a str,
) -> Result<(), ConfigurationFileError> {
    let mut branch = root;
    let (parents, last) = key.rsplit_once('.').map_or((None, key), |(parents, last)| (Some(parents), last));
    for part in parents.into_iter().flat_map(|parents| parents.split('.')) {
        match branch.entry(part).or_insert_with(|| Tree::Branch(BTreeMap::new())) {
            Tree::Branch(next) => branch = next,
            Tree::Value { key: shorter, .. } => return Err(clash(shorter, key)),
        }
    }
    match branch.insert(last, Tree::Value { key, value }) {
        None | Some(Tree::Value { .. }) => Ok(()),
        Some(Tree::Branch(taken)) => Err(clash(key, first_key(&taken).unwrap_or(key))),
    }
}

fn clash(shorter: &str, longer: &str) -> ConfigurationFileError {
    ConfigurationFileError::PrefixClash { shorter: shorter.to_owned(), longer: longer.to_owned() }
}

fn first_key<'a>(branch: &BTreeMap<&'a str, Tree<'a>>) -> Option<&'a str> {
    match branch.values().next()? {
        Tree::Value { key, .. } => Some(key),
        Tree::Branch(deeper) => first_key(deeper),
    }
}

fn write(text: &mut String, branch: &BTreeMap<&str, Tree<'_>>, depth: usize) {
    for (part, tree) in branch {
        text.extend(std::iter::repeat_n("  ", depth));
        scalar::write(text, part);
        match tree {
            Tree::Value { value, .. } => {
                text.push_str(": ");
                scalar::write(text, value);
                text.push('\n');
            }
            Tree::Branch(deeper) => {
                text.push_str(":\n");
                write(text, deeper, depth + 1);
            }
        }
    }
}

pub(super) fn parse(text: &str) -> Result<Entries, ConfigurationFileError> {
    // The words that YAML 1.1 took for booleans and numbers are text to Flink, which reads YAML 1.2.
    let options = serde_saphyr::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
    };
    let node = serde_saphyr::from_str_with_options::<Node>(text, options)
        .map_err(|error| ConfigurationFileError::Yaml { reason: error.to_string() })?;
    let mut entries = Entries::new();
    match node {
        Node::Null => {}
        Node::Branch(branch) => flatten(&mut entries, None, branch, 0)?,
        Node::Scalar(_) | Node::List(_) => {
            return Err(ConfigurationFileError::Yaml { reason: "the top is no mapping".to_owned() });
        }
    }
    Ok(entries)
}

fn flatten(
    entries: &mut Entries,
    prefix: Option<&str>,
    branch: Vec<(String, Node)>,
    depth: usize,
) -> Result<(), ConfigurationFileError> {
    let wrong = |key: &str, what: &str| ConfigurationFileError::Yaml { reason: format!("`{key}` {what}") };
    for (part, node) in branch {
        let key = prefix.map_or_else(|| part.clone(), |prefix| format!("{prefix}.{part}"));
        if depth > limits::CONFIGURATION_DEPTH_MAX {
            return Err(wrong(&limits::shorten(&key, 200), "is nested too deeply"));
        }
        let value = match node {
            Node::Branch(deeper) => {
                flatten(entries, Some(&key), deeper, depth + 1)?;
                continue;
            }
            Node::Scalar(value) => value,
            Node::List(items) => {
                join(items).ok_or_else(|| wrong(&key, "is a list of more than plain values"))?
            }
            // Flink does not start on this either ("Value must not be null").
            Node::Null => return Err(wrong(&key, "has no value: give it one, or remove the key")),
        };
        if entries.contains_key(&key) {
            return Err(ConfigurationFileError::Twice { key });
        }
        entries.insert(key, value);
    }
    Ok(())
}

/// Flink's text form of a list: items joined by `;`, those that need it in single quotes.
fn join(items: Vec<Node>) -> Option<String> {
    let texts: Option<Vec<String>> = items
        .into_iter()
        .map(|item| match item {
            Node::Scalar(text) if text.contains([';', '\'', '"']) => {
                Some(format!("'{}'", text.replace('\'', "''")))
            }
            Node::Scalar(text) => Some(text),
            Node::Null | Node::Branch(_) | Node::List(_) => None,
        })
        .collect();
    texts.map(|texts| texts.join(";"))
}

/// YAML with its scalars as the text that Flink makes of them.
enum Node {
    Null,
    Scalar(String),
    List(Vec<Node>),
    Branch(Vec<(String, Node)>),
}

/// A key of any scalar type, as text.
struct KeyText(String);

impl<'de> Deserialize<'de> for KeyText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Node::deserialize(deserializer)? {
            Node::Scalar(text) => Ok(Self(text)),
            Node::Null | Node::List(_) | Node::Branch(_) => {
                Err(D::Error::custom("a key is expected to be text"))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("keys and values")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    /// Java writes 1000.0 for a whole double.
    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Scalar(format!("{value:?}")))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_owned()))
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut branch = Vec::new();
        while let Some((KeyText(key), node)) = access.next_entry()? {
            branch.push((key, node));
        }
        Ok(Node::Branch(branch))
    }
}
