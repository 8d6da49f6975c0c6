//! Random names: uids and the suffixes of `generateName`.
//!
//! Not for secrets: a seed makes every id predictable, so that a simulation can replay exactly.

use std::hash::{BuildHasher, RandomState};

/// The letters of Kubernetes' name suffixes: no vowels, no look-alikes.
const SUFFIX_LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
/// Length of Kubernetes' name suffixes.
pub(crate) const SUFFIX_LENGTH: usize = 5;

/// A SplitMix64 sequence.
#[derive(Debug)]
pub(crate) struct IdSource {
    state: u64,
}

impl IdSource {
    /// `None` takes the seed from the operating system.
    pub(crate) fn new(seed: Option<u64>) -> IdSource {
        IdSource { state: seed.unwrap_or_else(|| RandomState::new().hash_one(std::process::id())) }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A version 4 UUID.
    pub(crate) fn uid(&mut self) -> Uid {
        let raw = (u128::from(self.next()) << 64) | u128::from(self.next());
        let versioned = (raw & !(0xF << 76)) | (0x4 << 76);
        Uid((versioned & !(0x3 << 62)) | (0x2 << 62))
    }

    /// A suffix for `generateName`.
    pub(crate) fn suffix(&mut self) -> String {
        (0..SUFFIX_LENGTH)
            .map(|_| {
                let index = usize::try_from(self.next() % 27).unwrap_or(0);
                char::from(SUFFIX_LETTERS[index])
            })
            .collect()
    }
}

/// An object's uid: 16 bytes instead of 36 letters, because the index holds one per object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Uid(u128);

impl Uid {
    /// Reads `8-4-4-4-12` hexadecimal; anything else is no uid of ours.
    pub(crate) fn parse(text: &str) -> Option<Uid> {
        let parts: Vec<&str> = text.split('-').collect();
        let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
        if lengths != [8, 4, 4, 4, 12] {
            return None;
        }
        u128::from_str_radix(&parts.concat(), 16).ok().map(Uid)
    }
}

impl std::fmt::Display for Uid {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hex = format!("{:032x}", self.0);
        write!(out, "{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uid_is_a_version_4_uuid_and_reads_back() {
        let mut ids = IdSource::new(Some(7));
        for _ in 0..100 {
            let uid = ids.uid();
            let text = uid.to_string();
            assert_eq!(text.as_bytes()[14], b'4', "{text}");
            assert!(matches!(text.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{text}");
            assert_eq!(Uid::parse(&text), Some(uid));
        }
        assert_eq!(Uid::parse("not-a-uid"), None);
    }

    #[test]
    fn a_seed_repeats() {
        let (mut one, mut two) = (IdSource::new(Some(1)), IdSource::new(Some(1)));
        assert_eq!(one.suffix(), two.suffix());
        assert_eq!(one.uid(), two.uid());
    }
}
