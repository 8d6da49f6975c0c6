//! Free ports on the loopback interface. A port that is free now may be taken a moment later; the owner of a
//! cluster therefore asks again before every start.
//!
//! It refuses to know what listens on them.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};

use crate::limits;

/// Where the search for REST ports begins. Below the range from which systems take ports of outgoing connections.
pub(crate) const FIRST_REST_PORT: u16 = 18_081;

/// Where the search for RPC ports begins.
pub(crate) const FIRST_RPC_PORT: u16 = 16_123;

/// Whether a listener can be opened on this port.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// The first free port from `first` that is not reserved for another cluster.
pub(crate) fn find_free(first: u16, reserved: &BTreeSet<u16>) -> Option<u16> {
    (first..first.saturating_add(limits::PORTS_TRIED_MAX))
        .find(|port| !reserved.contains(port) && is_free(*port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taken_and_reserved_ports_are_passed_over() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert!(!is_free(port));
        let found = find_free(port, &BTreeSet::new()).unwrap();
        assert!(found > port);
        assert!(find_free(port, &BTreeSet::from([found])).is_none_or(|next| next > found));
    }
}
