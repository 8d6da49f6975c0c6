//! The network that pods and the API server share: a bridge on this machine, and which addresses of it a node
//! gives to its pods. It refuses to make the bridge, and to know what a pod is.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::kube::Network;

/// The addresses of one node: the last octet runs, the third one is the node's.
#[derive(Debug)]
pub(crate) struct Addresses {
    base: u32,
    last: u8,
    used: HashSet<Ipv4Addr>,
}

/// The lowest last octet that a pod gets: the gateway is 1.
const FIRST_OCTET: u8 = 2;
/// The highest: 255 can be a broadcast address.
const LAST_OCTET: u8 = 254;

impl Addresses {
    /// The addresses of the node with this number: `10.244.3.2` to `10.244.3.254` for number 3.
    pub(crate) fn new(network: &Network, node_number: u8) -> Addresses {
        let base = (u32::from(network.gateway) & 0xffff_ff00) + (u32::from(node_number) << 8);
        Addresses { base, last: FIRST_OCTET - 1, used: HashSet::new() }
    }

    /// An address that no pod has; one that was given back lately comes last. `None` when all are in use.
    pub(crate) fn take(&mut self) -> Option<Ipv4Addr> {
        for _ in FIRST_OCTET..=LAST_OCTET {
            self.last = if self.last >= LAST_OCTET { FIRST_OCTET } else { self.last + 1 };
            let address = Ipv4Addr::from(self.base + u32::from(self.last));
            if self.used.insert(address) {
                return Some(address);
            }
        }
        None
    }

    fn give_back(&mut self, address: Ipv4Addr) {
        self.used.remove(&address);
    }
}

/// An address that is a pod's for as long as this is kept.
#[derive(Debug)]
pub(crate) struct Lease {
    address: Ipv4Addr,
    pool: Arc<Mutex<Addresses>>,
}

impl Lease {
    pub(crate) fn new(address: Ipv4Addr, pool: Arc<Mutex<Addresses>>) -> Lease {
        Lease { address, pool }
    }

    pub(crate) fn address(&self) -> Ipv4Addr {
        self.address
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner).give_back(self.address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> Network {
        Network {
            bridge: "br".to_owned(),
            gateway: Ipv4Addr::new(10, 250, 0, 1),
            prefix_len: 16,
            service_cidr: "10.96.0.0/16".to_owned(),
        }
    }

    #[test]
    fn an_address_that_was_given_back_is_not_the_next_one() {
        let mut addresses = Addresses::new(&network(), 3);
        let first = addresses.take().unwrap();
        assert_eq!(first, Ipv4Addr::new(10, 250, 3, 2));
        addresses.give_back(first);
        assert_eq!(addresses.take(), Some(Ipv4Addr::new(10, 250, 3, 3)));
    }

    #[test]
    fn a_node_runs_out_of_addresses_rather_than_giving_one_twice() {
        let mut addresses = Addresses::new(&network(), 1);
        let all: HashSet<_> = std::iter::from_fn(|| addresses.take()).collect();
        assert_eq!(all.len(), 253);
        assert!(all.iter().all(|address| *address != Ipv4Addr::new(10, 250, 0, 1)));
    }
}
