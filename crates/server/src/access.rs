//! Who may look and who may change. Refuses to know HTTP.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::persons::Persons;

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
    /// Whoever shows a bearer token of the cluster may do what the API server lets them do.
    ClusterToken(Persons),
    /// Whom a proxy names may do what the API server lets them do.
    Proxy {
        /// The persons.
        persons: Persons,
        /// Addresses that the proxy may have; what others say of themselves does not count.
        trusted: Vec<IpNet>,
    },
}

impl Access {
    /// Whether `token` is the one that lets in.
    #[must_use]
    pub(crate) fn is_token(&self, token: &str) -> bool {
        matches!(self, Self::Token(expected) if same(token.as_bytes(), expected.as_bytes()))
    }

    /// Whether what `peer` says of who asks counts.
    pub(crate) fn trusts(trusted: &[IpNet], peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        trusted.iter().any(|network| network.contains(&peer))
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(_) => formatter.write_str("Token"),
            Self::ReadOnly { reason } => formatter.debug_struct("ReadOnly").field("reason", reason).finish(),
            Self::ClusterToken(_) => formatter.write_str("ClusterToken"),
            Self::Proxy { persons: _, trusted } => {
                formatter.debug_struct("Proxy").field("trusted", trusted).finish_non_exhaustive()
            }
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
        assert!(access.is_token("abc"));
        for token in ["", "ab", "abd", "abcd"] {
            assert!(!access.is_token(token), "{token:?}");
        }
        assert!(!format!("{access:?}").contains("abc"));
    }

    #[test]
    fn only_the_proxy_says_who_asks() {
        let trusted = ["10.1.0.0/16".parse().expect("a network")];
        for (peer, counts) in [("10.1.2.3", true), ("::ffff:10.1.2.3", true), ("10.2.0.1", false)] {
            assert_eq!(Access::trusts(&trusted, peer.parse().expect("an address")), counts, "{peer}");
        }
        assert!(!Access::trusts(&[], "10.1.2.3".parse().expect("an address")));
    }
}
