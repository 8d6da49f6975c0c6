//! Who may look and who may change. Refuses to know HTTP.

use std::fmt;

/// How the dashboard lets people in.
#[derive(Clone)]
pub enum Access {
    /// Whoever shows this token may do everything: it stands in the address that the one who started drey sees.
    Token(String),
    /// Everybody who reaches the server may look, and nobody may change anything.
    ReadOnly {
        /// Why, in a sentence for people.
        reason: String,
    },
}

impl Access {
    /// Whether a request that shows `token` may look.
    #[must_use]
    pub fn lets_in(&self, token: Option<&str>) -> bool {
        match self {
            Self::Token(expected) => token.is_some_and(|token| same(token.as_bytes(), expected.as_bytes())),
            Self::ReadOnly { .. } => true,
        }
    }

    /// Why nothing may be changed, if that is so.
    #[must_use]
    pub fn read_only(&self) -> Option<&str> {
        match self {
            Self::Token(_) => None,
            Self::ReadOnly { reason } => Some(reason),
        }
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(_) => formatter.write_str("Token"),
            Self::ReadOnly { reason } => formatter.debug_struct("ReadOnly").field("reason", reason).finish(),
        }
    }
}

/// Compares in a time that tells nothing of where two differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_lets_in() {
        let access = Access::Token("abc".to_owned());
        assert!(access.lets_in(Some("abc")));
        for token in [None, Some(""), Some("ab"), Some("abd"), Some("abcd")] {
            assert!(!access.lets_in(token), "{token:?}");
        }
        assert!(!format!("{access:?}").contains("abc"));
    }
}
