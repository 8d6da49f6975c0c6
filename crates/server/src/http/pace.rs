//! How fast one address may ask. A page asks a few times a second; what asks hundreds of times is a mistake or worse.
//! Refuses to know who asks.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::answer::{Kind, Refusal};

/// Requests a second; many people may share the address of a proxy.
const PER_SECOND: NonZeroU32 = NonZeroU32::new(200).expect("above 0");
/// Requests at once.
const BURST: NonZeroU32 = NonZeroU32::new(2_000).expect("above 0");
/// Addresses that are remembered before those that ask no more are forgotten.
const ADDRESSES_MAX: usize = 10_000;

/// The pace of each address.
#[derive(Debug)]
pub(crate) struct Pace(DefaultKeyedRateLimiter<IpAddr>);

impl Default for Pace {
    fn default() -> Pace {
        Pace(RateLimiter::keyed(Quota::per_second(PER_SECOND).allow_burst(BURST)))
    }
}

impl Pace {
    /// Refuses one who asks too often.
    pub(super) fn check(&self, peer: Option<IpAddr>) -> Result<(), Refusal> {
        if self.0.len() > ADDRESSES_MAX {
            self.0.retain_recent();
        }
        self.0.check_key(&peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))).map_err(|_| {
            Refusal::new(Kind::TooMany, format!("more than {PER_SECOND} requests a second come from there"))
                .hint("ask less often")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_who_asks_without_end_is_refused_and_nobody_else() {
        let pace = Pace::default();
        let (eager, other) = (Some([10, 0, 0, 1].into()), Some([10, 0, 0, 2].into()));
        let refused = (0..2 * BURST.get()).filter(|_| pace.check(eager).is_err()).count();
        assert!(refused > 0);
        assert!(pace.check(other).is_ok());
    }
}
