//! The text forms that Flink has for options with several values: lists (`a;b`), maps (`k:v,k:v`) and lists of
//! maps. Flink 2.0 also takes YAML in place of each.
//!
//! An item that holds a delimiter or a quote stands in quotes, in which a quote is doubled. It refuses to know
//! which option has which form.

use std::collections::BTreeMap;

/// A text that does not have the form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionValueError {
    /// A quote that is opened and not closed.
    #[error("the quote in `{0}` is not closed")]
    OpenQuote(String),
    /// Something stands between a closing quote and the next delimiter.
    #[error("`{0}` goes on behind a closing quote: put the whole item in quotes")]
    BehindQuote(String),
    /// An item of a map that is not one key and one value.
    #[error("`{0}` is not `key:value`; a value with a colon stands with its key in quotes: `'key:''a:b'''`")]
    NotAPair(String),
    /// YAML that is not a list or map of plain values.
    #[error("`{0}` is neither Flink's list or map nor YAML with plain values")]
    Yaml(String),
}

/// A list: `a;b`, or a YAML list.
///
/// # Errors
/// [`OptionValueError`] says where the text leaves the form.
pub fn list(text: &str) -> Result<Vec<String>, OptionValueError> {
    if text.trim_start().starts_with('[') {
        let items: Vec<serde_json::Value> = yaml(text)?;
        return items.iter().map(|item| scalar(item, text)).collect();
    }
    split(text, ';')
}

/// A map: `key:value,key:value`, or a YAML map.
///
/// # Errors
/// [`OptionValueError`] says where the text leaves the form.
pub fn map(text: &str) -> Result<BTreeMap<String, String>, OptionValueError> {
    if text.trim_start().starts_with('{') {
        return yaml_map(&yaml(text)?, text);
    }
    split(text, ',')?.into_iter().map(|pair| key_and_value(&pair)).collect()
}

/// A list of maps: `k:v,k:v;k:v`, or a YAML list of maps.
///
/// # Errors
/// [`OptionValueError`] says where the text leaves the form.
pub fn maps(text: &str) -> Result<Vec<BTreeMap<String, String>>, OptionValueError> {
    if text.trim_start().starts_with('[') {
        let items: Vec<BTreeMap<String, serde_json::Value>> = yaml(text)?;
        return items.iter().map(|item| yaml_map(item, text)).collect();
    }
    split(text, ';')?.iter().map(|item| map(item)).collect()
}

fn key_and_value(pair: &str) -> Result<(String, String), OptionValueError> {
    match <[String; 2]>::try_from(split(pair, ':')?) {
        Ok([key, value]) => Ok((key, value)),
        Err(_) => Err(OptionValueError::NotAPair(pair.to_owned())),
    }
}

/// Splits at a delimiter outside of quotes, which count at the beginning of an item only. Items are trimmed, empty
/// ones left out.
fn split(text: &str, delimiter: char) -> Result<Vec<String>, OptionValueError> {
    let mut items = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == delimiter);
        let Some(first) = rest.chars().next() else { return Ok(items) };
        if first == '"' || first == '\'' {
            let (item, behind) = quoted(rest, first)?;
            items.push(item);
            rest = behind.trim_start();
            if !rest.is_empty() && !rest.starts_with(delimiter) {
                return Err(OptionValueError::BehindQuote(text.to_owned()));
            }
        } else {
            let end = rest.find(delimiter).unwrap_or(rest.len());
            items.push(rest[..end].trim().to_owned());
            rest = &rest[end..];
        }
    }
}

/// The content of the quotes that `text` begins with, and what stands behind them.
fn quoted(text: &str, quote: char) -> Result<(String, &str), OptionValueError> {
    let mut item = String::new();
    let mut rest = &text[quote.len_utf8()..];
    loop {
        let Some(end) = rest.find(quote) else { return Err(OptionValueError::OpenQuote(text.to_owned())) };
        item.push_str(&rest[..end]);
        rest = &rest[end + quote.len_utf8()..];
        match rest.strip_prefix(quote) {
            Some(behind) => {
                item.push(quote);
                rest = behind;
            }
            None => return Ok((item, rest)),
        }
    }
}

fn yaml<'de, T: serde::Deserialize<'de>>(text: &'de str) -> Result<T, OptionValueError> {
    serde_saphyr::from_str(text).map_err(|_| OptionValueError::Yaml(text.to_owned()))
}

fn yaml_map(
    map: &BTreeMap<String, serde_json::Value>,
    text: &str,
) -> Result<BTreeMap<String, String>, OptionValueError> {
    map.iter().map(|(key, value)| Ok((key.clone(), scalar(value, text)?))).collect()
}

fn scalar(value: &serde_json::Value, text: &str) -> Result<String, OptionValueError> {
    match value {
        serde_json::Value::String(value) => Ok(value.clone()),
        serde_json::Value::Bool(value) => Ok(value.to_string()),
        serde_json::Value::Number(value) => Ok(value.to_string()),
        serde_json::Value::Null | serde_json::Value::Array(_) | serde_json::Value::Object(_) => {
            Err(OptionValueError::Yaml(text.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(expected: &[(&str, &str)]) -> BTreeMap<String, String> {
        expected.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn lists_are_split_at_semicolons() {
        for (text, expected) in [
            ("", vec![]),
            ("a", vec!["a"]),
            (" a ; b ;", vec!["a", "b"]),
            ("'a;b';c", vec!["a;b", "c"]),
            ("'it''s'", vec!["it's"]),
            ("\"say \"\"x\"\"\"", vec!["say \"x\""]),
            ("a'b", vec!["a'b"]),
            ("[a, 'b;c', 3]", vec!["a", "b;c", "3"]),
        ] {
            assert_eq!(list(text), Ok(expected.into_iter().map(str::to_owned).collect()), "{text}");
        }
    }

    #[test]
    fn maps_have_one_key_and_one_value_in_each_item() {
        assert_eq!(map("a:1, b : x.y/z "), Ok(pairs(&[("a", "1"), ("b", "x.y/z")])));
        assert_eq!(map("'key:''a:b,c'''"), Ok(pairs(&[("key", "a:b,c")])));
        assert_eq!(map("{a: 1, b: true}"), Ok(pairs(&[("a", "1"), ("b", "true")])));
        assert!(matches!(map("a:b:c"), Err(OptionValueError::NotAPair(_))));
        assert!(matches!(map("a"), Err(OptionValueError::NotAPair(_))));
    }

    #[test]
    fn lists_of_maps_nest() {
        let expected = vec![pairs(&[("key", "k"), ("operator", "Exists")]), pairs(&[("key", "l")])];
        assert_eq!(maps("key:k,operator:Exists;key:l"), Ok(expected.clone()));
        assert_eq!(maps("[{key: k, operator: Exists}, {key: l}]"), Ok(expected));
    }

    #[test]
    fn errors_name_the_item() {
        for (text, expected) in
            [("'a", "not closed"), ("'a'b;c", "behind a closing quote"), ("[{a: 1}]", "neither Flink's list")]
        {
            let error = list(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
