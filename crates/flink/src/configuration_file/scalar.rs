//! Writes one YAML scalar so that every reader, of YAML 1.1 or 1.2, takes it for the same text.
//!
//! Plain where nobody can misread it, in double quotes otherwise.

use std::fmt::Write as _;

/// Appends `value` to `text`.
pub(super) fn write(text: &mut String, value: &str) {
    if is_plain(value) {
        text.push_str(value);
    } else {
        quote(text, value);
    }
}

/// Words that some reader takes for a boolean, a number or nothing.
const RESERVED: [&str; 12] =
    ["null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf", "infinity"];

fn is_plain(value: &str) -> bool {
    let Some(first) = value.chars().next() else { return false };
    let safe = |character: char| {
        character.is_ascii_alphanumeric()
            || matches!(character, ' ' | '_' | '.' | '/' | ':' | ';' | '=' | '-' | ',' | '$' | '@' | '+')
    };
    if !value.chars().all(safe) || value.contains(": ") || value.contains("  ") || value.ends_with([':', ' '])
    {
        return false;
    }
    match first {
        'a'..='z' | 'A'..='Z' => !RESERVED.iter().any(|word| value.eq_ignore_ascii_case(word)),
        '/' => true,
        '0' => value == "0",
        '1'..='9' => is_integer_or_quantity(value),
        _ => false,
    }
}

/// `12`, `640m` or `10 s`, but nothing such as `1e3`, `1_000` or `12:30:45`.
fn is_integer_or_quantity(value: &str) -> bool {
    let unit = value.trim_start_matches(|character: char| character.is_ascii_digit());
    let digits = value.len() - unit.len();
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    digits <= 18
        && unit.chars().all(|character| character.is_ascii_alphabetic())
        && !unit.starts_with(['e', 'E'])
}

fn quote(text: &mut String, value: &str) {
    text.push('"');
    for character in value.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            _ if is_printable(character) => text.push(character),
            _ => write!(text, "\\U{:08X}", u32::from(character)).expect("writing to a string does not fail"),
        }
    }
    text.push('"');
}

/// YAML 1.2's printable characters, without its line separators and the byte order mark.
const fn is_printable(character: char) -> bool {
    matches!(character, ' '..='~' | '\u{A0}'..='\u{2027}' | '\u{202A}'..='\u{D7FF}' | '\u{E000}'..='\u{FEFE}' | '\u{FF00}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}')
}
