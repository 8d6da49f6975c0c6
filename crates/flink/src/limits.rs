//! Every bound that this crate puts on what Flink may send and how long it may take.
//!
//! It refuses to know policy: a caller that wants to wait longer says so with [`crate::rest::FlinkRest::with_deadline`].

use std::time::Duration;

/// The longest answer that is read, in bytes. A job graph of ten thousand vertices stays below it.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The longest error text kept from an answer, in bytes. Flink puts whole stack traces there.
pub const ERROR_TEXT_BYTES_MAX: usize = 4 * 1024;

/// The longest stack trace kept of a failure cause or a job exception, in bytes.
pub const STACK_TRACE_BYTES_MAX: usize = 64 * 1024;

/// How many job exceptions are asked for at once.
pub const EXCEPTIONS_MAX: usize = 20;

/// How long one call may take from connecting to the last byte of the answer (as Flink's own
/// `flink.client.timeout` of the Kubernetes operator).
pub const CALL_DEADLINE: Duration = Duration::from_secs(10);

/// How long connecting may take. It is shorter than [`CALL_DEADLINE`], so that a JobManager that is not
/// there is told from one that does not answer.
pub const CONNECT_DEADLINE: Duration = Duration::from_secs(3);

/// The longest configuration file that is parsed, in bytes: a Kubernetes ConfigMap holds no more.
pub const CONFIGURATION_FILE_BYTES_MAX: usize = 1024 * 1024;

/// The deepest nesting of a configuration file.
pub const CONFIGURATION_DEPTH_MAX: usize = 64;

/// Shortens `text` to at most `bytes_max` bytes at a character boundary, and marks the cut.
#[must_use]
pub fn shorten(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let end = (0..=bytes_max).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}… ({} bytes in all)", &text[..end], text.len())
}

#[cfg(test)]
mod tests {
    use super::shorten;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(shorten("abc", 3), "abc");
        assert_eq!(shorten("aé", 2), "a… (3 bytes in all)");
    }
}
