//! A JSON document from a client, and the fields that it names twice.
//!
//! A JSON tree keeps only the last of two equal members; the real server tells the client about the others.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::errors::ApiError;

/// A document and its duplicate fields.
#[derive(Clone, Debug, Default)]
pub(crate) struct Document {
    pub(crate) value: Value,
    /// Such as `spec.size`.
    pub(crate) duplicates: Vec<String>,
}

impl Document {
    /// Reads a body that should be an object of `kind`.
    pub(crate) fn parse(body: &[u8], kind: &str) -> Result<Document, ApiError> {
        let refuse = |problem: &str| {
            ApiError::bad_request(format!(
                "the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; json \
                 parse error: {problem}"
            ))
        };
        if body.is_empty() {
            return Err(refuse("unexpected end of JSON input (<empty>)"));
        }
        let value = serde_json::from_slice(body).map_err(|error| refuse(&error.to_string()))?;
        let mut duplicates = Vec::new();
        let finder = Finder { path: String::new(), found: &mut duplicates };
        let mut deserializer = serde_json::Deserializer::from_slice(body);
        finder.deserialize(&mut deserializer).map_err(|error| refuse(&error.to_string()))?;
        Ok(Document { value, duplicates })
    }
}

impl From<Value> for Document {
    fn from(value: Value) -> Document {
        Document { value, duplicates: Vec::new() }
    }
}

/// Walks a document without building it.
struct Finder<'a> {
    path: String,
    found: &'a mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Finder<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Finder<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("any JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut index = 0;
        loop {
            let inner = Finder { path: format!("{}[{index}]", self.path), found: &mut *self.found };
            if list.next_element_seed(inner)?.is_none() {
                return Ok(());
            }
            index += 1;
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            let path = crate::schema::join(&self.path, &key);
            if seen.insert(key) {
                map.next_value_seed(Finder { path, found: &mut *self.found })?;
            } else {
                self.found.push(path);
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_are_named() {
        let text =
            br#"{"a": 1, "spec": {"size": 1, "list": [{"x": 1, "x": [2]}], "size": {"y": 1}}, "a": null}"#;
        let document = Document::parse(text, "Widget").unwrap();
        assert_eq!(document.duplicates, ["spec.list[0].x", "spec.size", "a"]);
        assert!(Document::parse(b"{", "Widget").unwrap_err().message.contains("must be of type Widget"));
        assert!(Document::parse(b"", "Widget").unwrap_err().message.ends_with("(<empty>)"));
    }
}
