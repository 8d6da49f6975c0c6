//! The keys as a table of the documentation.

use std::fmt::Write;

use super::{Key, keys};

/// Every key as a table in Markdown.
#[must_use]
pub fn table_markdown() -> String {
    let mut text =
        "| Key | Value | Default of the Java operator | Read | What drey does |\n|---|---|---|---|---|\n"
            .to_owned();
    for key in keys::ALL {
        let default = match key.default {
            None => "–".to_owned(),
            Some("") => "empty".to_owned(),
            Some(default) => format!("`{default}`"),
        };
        let (name, value, read, words) = (names(key), key.value, key.scope, key.treatment);
        writeln!(text, "| {name} | {value} | {default} | {read} | {words} |")
            .expect("a string takes everything");
    }
    text
}

fn names(key: &Key) -> String {
    let own = format!("`{}`", key.name());
    let deprecated: Vec<String> = key.names[1..].iter().map(|name| format!("`{name}`")).collect();
    if deprecated.is_empty() { own } else { format!("{own} (formerly {})", deprecated.join(", ")) }
}
