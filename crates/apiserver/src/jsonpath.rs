//! The part of JSONPath that printer columns and scale paths use: members, indexes, `[*]`, and filters such as
//! `[?(@.type=="Ready")]`. Anything else finds nothing, as an empty column.

use serde_json::Value;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Member(String),
    Index(i64),
    All,
    Filter { path: Vec<String>, equal: bool, value: String },
}

/// All values that `path` finds in `root`.
pub(crate) fn find<'a>(root: &'a Value, path: &str) -> Vec<&'a Value> {
    let Some(steps) = parse(path) else { return Vec::new() };
    let mut found = vec![root];
    for step in &steps {
        found = found.into_iter().flat_map(|value| advance(value, step)).collect();
    }
    found
}

/// Sets the value at a path of plain members, creating objects on the way. Returns whether the path is plain.
pub(crate) fn set(root: &mut Value, path: &str, value: Value) -> bool {
    let Some(steps) = parse(path) else { return false };
    let mut node = root;
    for step in steps {
        let Step::Member(name) = step else { return false };
        if !node.is_object() && !node.is_null() {
            return false;
        }
        node = &mut node[name];
    }
    *node = value;
    true
}

fn advance<'a>(value: &'a Value, step: &Step) -> Vec<&'a Value> {
    match step {
        Step::Member(name) => value.get(name).into_iter().collect(),
        Step::Index(index) => {
            let Some(list) = value.as_array() else { return Vec::new() };
            let length = i64::try_from(list.len()).unwrap_or(i64::MAX);
            let at = if *index < 0 { length + index } else { *index };
            usize::try_from(at).ok().and_then(|at| list.get(at)).into_iter().collect()
        }
        Step::All => match value {
            Value::Array(list) => list.iter().collect(),
            Value::Object(map) => map.values().collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
        },
        Step::Filter { path, equal, value: wanted } => {
            let matches = |item: &&Value| {
                let mut node = *item;
                for part in path {
                    node = &node[part.as_str()];
                }
                let text = node.as_str().map_or_else(|| node.to_string(), str::to_owned);
                (text == *wanted) == *equal
            };
            value.as_array().into_iter().flatten().filter(matches).collect()
        }
    }
}

fn parse(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.trim().trim_start_matches('{').trim_end_matches('}').trim_start_matches('$');
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let (name, remaining) = member(after);
            if !name.is_empty() {
                steps.push(if name == "*" { Step::All } else { Step::Member(name) });
            }
            rest = remaining;
        } else if let Some(after) = rest.strip_prefix('[') {
            let end = closing(after)?;
            steps.push(bracket(&after[..end])?);
            rest = &after[end + 1..];
        } else {
            let (name, remaining) = member(rest);
            steps.push(Step::Member(name));
            rest = remaining;
        }
    }
    Some(steps)
}

/// Reads a member name up to `.` or `[`; a backslash keeps the next letter.
fn member(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut letters = text.char_indices();
    while let Some((index, letter)) = letters.next() {
        match letter {
            '\\' => name.extend(letters.next().map(|(_, escaped)| escaped)),
            '.' | '[' => return (name, &text[index..]),
            other => name.push(other),
        }
    }
    (name, "")
}

fn closing(text: &str) -> Option<usize> {
    let mut quote = None;
    for (index, letter) in text.char_indices() {
        match (quote, letter) {
            (None, ']') => return Some(index),
            (None, '\'' | '"') => quote = Some(letter),
            (Some(open), letter) if open == letter => quote = None,
            _ => {}
        }
    }
    None
}

fn bracket(inner: &str) -> Option<Step> {
    let inner = inner.trim();
    if inner == "*" {
        return Some(Step::All);
    }
    if let Ok(index) = inner.parse() {
        return Some(Step::Index(index));
    }
    if let Some(condition) = inner.strip_prefix("?(").and_then(|inner| inner.strip_suffix(')')) {
        let (left, right, equal) = match condition.split_once("!=") {
            Some((left, right)) => (left, right, false),
            None => condition.split_once("==").map(|(left, right)| (left, right, true))?,
        };
        let path = left.trim().strip_prefix('@')?.split('.').filter(|part| !part.is_empty());
        return Some(Step::Filter {
            path: path.map(str::to_owned).collect(),
            equal,
            value: unquote(right.trim()),
        });
    }
    let name = unquote(inner);
    (name != inner).then_some(Step::Member(name))
}

fn unquote(text: &str) -> String {
    text.trim_matches(|letter| letter == '"' || letter == '\'').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(path: &str, expect: &[Value]) {
        let root = json!({"a": {"b": [1, 2, 3], "c.d": "x"}, "status": {"conditions": [
            {"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}]}});
        let found: Vec<Value> = find(&root, path).into_iter().cloned().collect();
        assert_eq!(found, expect, "{path}");
    }

    #[test]
    fn paths() {
        check(".a.b[1]", &[json!(2)]);
        check(".a.b[-1]", &[json!(3)]);
        check(".a.b[*]", &[json!(1), json!(2), json!(3)]);
        check(r".a.c\.d", &[json!("x")]);
        check(".a['c.d']", &[json!("x")]);
        check(r#".status.conditions[?(@.type=="Ready")].status"#, &[json!("True")]);
        check(r#"{.status.conditions[?(@.type!="Ready")].status}"#, &[json!("False")]);
        check(".missing.x", &[]);
        check(".a[?(", &[]);
    }

    #[test]
    fn setting() {
        let mut root = json!({"spec": {"a": 1}});
        assert!(set(&mut root, ".spec.job.parallelism", json!(4)));
        assert_eq!(root, json!({"spec": {"a": 1, "job": {"parallelism": 4}}}));
        assert!(!set(&mut root, ".spec.a.b", json!(4)));
    }
}
