//! `flink-conf.yaml`: lines of `key: value`, where `#` begins a comment anywhere and nothing is quoted.
//! It looks like YAML and is not.

use super::{Entries, Loss, LossKind, Rendered};

pub(super) fn render(entries: &Entries) -> Rendered {
    let (mut text, mut losses) = (String::new(), Vec::new());
    for (key, value) in entries {
        let (kept, kind) = representable(value);
        losses.extend(kind.map(|kind| Loss { key: key.clone(), kind }));
        if !kept.is_empty() {
            text.push_str(key);
            text.push_str(": ");
            text.push_str(kept);
            text.push('\n');
        }
    }
    Rendered { text, losses }
}

/// The part of `value` that Flink reads back, and why the rest is lost. Surrounding space is no loss.
fn representable(value: &str) -> (&str, Option<LossKind>) {
    let whole = value.trim();
    let line = whole.split(['\n', '\r']).next().unwrap_or_default().trim();
    let kept = line.split('#').next().unwrap_or_default().trim();
    let kind = if kept.len() < line.len() {
        Some(LossKind::CutAtHash)
    } else if line.len() < whole.len() {
        Some(LossKind::FirstLineOnly)
    } else if whole.is_empty() {
        Some(LossKind::Empty)
    } else {
        None
    };
    (kept, kind)
}

pub(super) fn parse(text: &str) -> Entries {
    let content = |line: &str| line.split('#').next().unwrap_or_default().trim().to_owned();
    text.lines()
        .filter_map(|line| {
            let line = content(line);
            let (key, value) = line.split_once(": ")?;
            let (key, value) = (key.trim(), value.trim());
            (!key.is_empty() && !value.is_empty()).then(|| (key.to_owned(), value.to_owned()))
        })
        .collect()
}
