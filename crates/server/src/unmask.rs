//! What was masked in an edited object comes back: people see no secrets, and do not take them away either. Pure. Refuses to
//! know who edits.

use drey_api::secrets;
use serde_json::Value;

/// Puts back into `edited` what was masked in what the person saw of `live`.
pub(crate) fn unmask(edited: &mut Value, live: &Value) {
    put_back(edited, live, &secrets::blot(live));
}

fn put_back(edited: &mut Value, live: &Value, shown: &Value) {
    if edited == shown {
        edited.clone_from(live);
        return;
    }
    match (edited, live, shown) {
        (Value::Object(edited), Value::Object(live), Value::Object(shown)) => {
            for (key, edited) in edited {
                if let (Some(live), Some(shown)) = (live.get(key), shown.get(key)) {
                    put_back(edited, live, shown);
                }
            }
        }
        (Value::Array(edited), Value::Array(live), Value::Array(shown)) => {
            for ((edited, live), shown) in edited.iter_mut().zip(live).zip(shown) {
                put_back(edited, live, shown);
            }
        }
        _ => {}
    }
}

/// The path of a value that is still masked: it was moved to where nothing was before.
pub(crate) fn still_masked(value: &Value, path: &str) -> Option<String> {
    match value {
        Value::String(text) if text.contains(secrets::BLOT) => Some(path.to_owned()),
        Value::Object(fields) => {
            fields.iter().find_map(|(key, value)| still_masked(value, &format!("{path}.{key}")))
        }
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(index, item)| still_masked(item, &format!("{path}[{index}]")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_was_masked_comes_back_and_what_was_edited_stays() {
        let live = json!({ "a": { "s3.secret-key": "one", "plain": "x" }, "args": ["--token=two", "z"] });
        let mut edited = secrets::blot(&live);
        edited["a"]["plain"] = json!("y");
        unmask(&mut edited, &live);
        assert_eq!(
            edited,
            json!({ "a": { "s3.secret-key": "one", "plain": "y" }, "args": ["--token=two", "z"] })
        );
        assert_eq!(still_masked(&edited, "spec"), None);
        let mut moved = json!({ "b": { "s3.secret-key": secrets::BLOT } });
        unmask(&mut moved, &live);
        assert_eq!(still_masked(&moved, "spec").as_deref(), Some("spec.b.s3.secret-key"));
    }
}
