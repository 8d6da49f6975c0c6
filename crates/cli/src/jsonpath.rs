//! The part of `kubectl`'s JSONPath that scripts use: `{.a.b[0]}`, `{.items[*].metadata.name}`, keys in
//! quotes, escaped dots, and literal text around braces. Refuses filters and `range`, with a message.

use serde_json::Value;

/// A parsed expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPath {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Path(Vec<Step>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(i64),
    All,
}

impl JsonPath {
    /// Parses an expression; one without braces is taken as a single path, as `kubectl` does.
    ///
    /// # Errors
    /// What is not understood, with its place in the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        if !text.contains('{') {
            return Ok(Self { parts: vec![Part::Path(steps(text)?)] });
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let close = rest[open..].find('}').ok_or("a `{` has no `}`")? + open;
            if open > 0 {
                parts.push(Part::Text(unescape(&rest[..open])));
            }
            parts.push(inside(&rest[open + 1..close])?);
            rest = &rest[close + 1..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(unescape(rest)));
        }
        Ok(Self { parts })
    }

    /// The text for one value; what does not exist is empty, several values stand apart by a space.
    #[must_use]
    pub fn render(&self, value: &Value) -> String {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Path(steps) => {
                    let found: Vec<String> = select(value, steps).into_iter().map(plain).collect();
                    text.push_str(&found.join(" "));
                }
            }
        }
        text
    }
}

fn unescape(text: &str) -> String {
    text.replace("\\n", "\n").replace("\\t", "\t")
}

fn inside(text: &str) -> Result<Part, String> {
    let text = text.trim();
    if text.starts_with("range") || text == "end" || text.contains("?(") {
        return Err(format!("`{{{text}}}` is not supported; use `-o json` with another tool"));
    }
    if let Some(literal) = quoted(text) {
        return Ok(Part::Text(unescape(literal)));
    }
    Ok(Part::Path(steps(text)?))
}

fn quoted(text: &str) -> Option<&str> {
    let strip = |quote| text.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    strip('"').or_else(|| strip('\''))
}

fn steps(text: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let mut rest = text.strip_prefix('$').unwrap_or(text);
    while !rest.is_empty() {
        if let Some(bracket) = rest.strip_prefix('[') {
            let close = bracket.find(']').ok_or_else(|| format!("`{text}`: a `[` has no `]`"))?;
            steps.push(index(&bracket[..close])?);
            rest = &bracket[close + 1..];
        } else {
            let (key, after) = key(rest.strip_prefix('.').unwrap_or(rest));
            if key == "*" {
                steps.push(Step::All);
            } else if !key.is_empty() {
                steps.push(Step::Key(key));
            } else if !after.is_empty() && !after.starts_with('[') {
                return Err(format!("`{text}`: recursive descent is not supported"));
            }
            rest = after;
        }
    }
    Ok(steps)
}

fn index(text: &str) -> Result<Step, String> {
    if text == "*" {
        return Ok(Step::All);
    }
    if let Some(key) = quoted(text) {
        return Ok(Step::Key(key.to_owned()));
    }
    let number = text.parse().map_err(|_| format!("`[{text}]`: expected a number, `*` or a quoted key"))?;
    Ok(Step::Index(number))
}

/// Reads a key up to an unescaped `.` or `[`.
fn key(text: &str) -> (String, &str) {
    let mut key = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => key.extend(characters.next().map(|(_, escaped)| escaped)),
            '.' | '[' => return (key, &text[at..]),
            other => key.push(other),
        }
    }
    (key, "")
}

fn select<'a>(value: &'a Value, steps: &[Step]) -> Vec<&'a Value> {
    let mut found = vec![value];
    for step in steps {
        found = found.into_iter().flat_map(|value| children(value, step)).collect();
    }
    found
}

fn children<'a>(value: &'a Value, step: &Step) -> Vec<&'a Value> {
    match (step, value) {
        (Step::Key(key), Value::Object(map)) => map.get(key).into_iter().collect(),
        (Step::Index(index), Value::Array(items)) => at(items, *index).into_iter().collect(),
        (Step::All, Value::Array(items)) => items.iter().collect(),
        (Step::All, Value::Object(map)) => map.values().collect(),
        (Step::Key(_) | Step::Index(_) | Step::All, _) => Vec::new(),
    }
}

fn at(items: &[Value], index: i64) -> Option<&Value> {
    let length = i64::try_from(items.len()).ok()?;
    let index = if index < 0 { length + index } else { index };
    items.get(usize::try_from(index).ok()?)
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn paths_of_scripts() {
        let value = json!({"items": [{"metadata": {"name": "a", "labels": {"x.y/z": 1}}},
                                     {"metadata": {"name": "b"}}], "ok": true});
        let expected = [
            ("{.items[0].metadata.name}", "a"),
            (".items[1].metadata.name", "b"),
            ("{.items[*].metadata.name}", "a b"),
            ("{.items[-1].metadata.name}", "b"),
            ("{$.ok}", "true"),
            ("{.items[0].metadata.labels.x\\.y/z}", "1"),
            ("{.items[0].metadata.labels['x.y/z']}", "1"),
            ("name={.items[0].metadata.name}{\"\\n\"}", "name=a\n"),
            ("{.nothing.here}", ""),
        ];
        for (path, text) in expected {
            assert_eq!(JsonPath::parse(path).expect(path).render(&value), text, "{path}");
        }
    }

    #[test]
    fn what_is_not_supported_says_so() {
        for path in ["{range .items[*]}{end}", "{.items[?(@.a==1)]}", "{.a", "{.a[x]}"] {
            assert!(JsonPath::parse(path).is_err(), "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,40}") {
            if let Ok(path) = JsonPath::parse(&text) {
                let text = path.render(&json!({"a": [1, {"b": null}]}));
                prop_assert!(text.len() < 1_000);
            }
        }
    }
}
