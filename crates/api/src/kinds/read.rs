//! Reading one object, with the path of what could not be read.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// A field of an object that has a wrong type or an unknown word.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct ReadError {
    /// Path of the field, such as `spec.job.upgradeMode`.
    pub path: String,
    /// What stood there and what was expected.
    pub message: String,
}

/// Reads an object, or a part of one, from JSON.
///
/// # Errors
/// The first field that could not be read; nothing is said of other objects.
pub fn read<T: DeserializeOwned>(object: &Value) -> Result<T, ReadError> {
    serde_path_to_error::deserialize(object).map_err(|error| {
        let path = error.path().to_string();
        ReadError { path, message: in_words(&error.into_inner().to_string()) }
    })
}

/// The reader's own message, with what was expected in words of YAML instead of Rust.
fn in_words(message: &str) -> String {
    let Some((found, expected)) = message.rsplit_once("expected ") else { return message.to_owned() };
    let word = match expected {
        "i32" | "i64" | "u16" | "u32" | "u64" => "a whole number",
        "f64" => "a number",
        "string or map" => "a word",
        "a sequence" => "a list",
        _ if expected.starts_with("struct ") => "a map",
        _ => expected,
    };
    format!("{found}expected {word}")
}
