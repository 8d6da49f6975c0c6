//! Memory sizes as upstream reads them: Flink's syntax first, then a Kubernetes quantity.

/// A memory size that follows neither syntax.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a memory size such as `2048m`, `2g` or `2Gi`")]
pub struct MemoryError {
    /// The size as given.
    pub text: String,
}

/// Bytes of a memory size. Flink's syntax counts in steps of 1024 and ignores case, so that `2g`, `2G`,
/// `2gb` and `2Gi` are the same; what it cannot read, such as `1.5G`, is read as a Kubernetes quantity,
/// which counts in steps of 1000 unless it ends in `i`.
///
/// # Errors
/// The text follows neither syntax, or does not fit.
pub fn parse_bytes(text: &str) -> Result<i64, MemoryError> {
    flink_bytes(text).ok_or_else(|| MemoryError { text: text.to_owned() })
}

fn flink_bytes(text: &str) -> Option<i64> {
    let trimmed = text.trim();
    let digits = trimmed.chars().take_while(char::is_ascii_digit).count();
    let amount: i64 = trimmed[..digits].parse().ok()?;
    let shift = match trimmed[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" | "bytes" => 0,
        "k" | "kb" | "kibibytes" | "ki" | "kib" => 10,
        "m" | "mb" | "mebibytes" | "mi" | "mib" => 20,
        "g" | "gb" | "gibibytes" | "gi" | "gib" => 30,
        "t" | "tb" | "tebibytes" | "ti" | "tib" => 40,
        _ => return None,
    };
    amount.checked_mul(1 << shift)
}
