//! Flink's 128-bit identifiers, parsed once.
//!
//! This module refuses to make identifiers up: they are derived by whoever records the intent.

use std::fmt;
use std::str::FromStr;

/// An identifier that is not Flink's 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a Flink identifier: 32 hexadecimal digits are expected, such as 00000000000000000000000000000001"
)]
pub struct IdentifierError {
    /// What was given.
    pub text: String,
}

fn parse(text: &str) -> Result<[u8; 16], IdentifierError> {
    let wrong = || IdentifierError { text: crate::limits::shorten(text, 64) };
    if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    u128::from_str_radix(text, 16).map(u128::to_be_bytes).map_err(|_| wrong())
}

macro_rules! identifier {
    ($(#[$documentation:meta])* $name:ident) => {
        $(#[$documentation])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The identifier of these 16 bytes, most significant byte first.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The 16 bytes, most significant byte first.
            #[must_use]
            pub const fn to_bytes(self) -> [u8; 16] {
                self.0
            }
        }

        /// Accepts 32 hexadecimal digits of either case.
        impl FromStr for $name {
            type Err = IdentifierError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                parse(text).map(Self)
            }
        }

        /// Writes 32 lower-case hexadecimal digits, as Flink does.
        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{:032x}", u128::from_be_bytes(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, concat!(stringify!($name), "({})"), self)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

identifier! {
    /// Names one run of a job (Flink's `JobID`).
    JobId
}

identifier! {
    /// Names one asynchronous operation, chosen by the client before it asks (Flink's `triggerId`).
    /// Asking twice with the same one starts the operation once.
    TriggerId
}

#[cfg(test)]
mod tests {
    use super::{JobId, TriggerId};

    #[test]
    fn an_identifier_reads_either_case_and_writes_lower_case() {
        let id: JobId = "00FF0000000000000000000000000Abc".parse().unwrap();
        assert_eq!(id.to_string(), "00ff0000000000000000000000000abc");
        assert_eq!(JobId::from_bytes(id.to_bytes()), id);
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"00ff0000000000000000000000000abc\"");
    }

    #[test]
    fn what_is_not_32_digits_is_refused_with_an_example() {
        for text in ["", "abc", "+0000000000000000000000000000001", "0000000000000000000000000000000g", "é"]
        {
            let error = text.parse::<TriggerId>().unwrap_err();
            assert!(error.to_string().contains("32 hexadecimal digits"), "{error}");
        }
    }
}
