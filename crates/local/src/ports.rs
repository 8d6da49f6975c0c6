//! Free ports on the loopback interface. A port that is free now may be taken a moment later; the owner of a
//! cluster therefore asks again before every start.
//!
//! It refuses to know what listens on them.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use crate::limits;
use crate::record::Ports;

/// The lowest REST port. Below the range from which systems take ports of outgoing connections.
const LOWEST_REST_PORT: u16 = 18_081;

/// The lowest RPC port.
const LOWEST_RPC_PORT: u16 = 16_123;

/// Over how many ports the deployments are spread.
const SPREAD: u64 = 1_000;

/// Where the search for the ports of a deployment begins: elsewhere for each, so that two that start at the same time
/// seldom want the same port, and at the same place for every incarnation, so that its address stays.
pub(crate) fn preferred(state_directory: &Path, namespace: &str, name: &str) -> Ports {
    let mut hasher = DefaultHasher::new();
    (state_directory, namespace, name).hash(&mut hasher);
    let offset = u16::try_from(hasher.finish() % SPREAD).unwrap_or(0);
    Ports { rest: LOWEST_REST_PORT + offset, rpc: LOWEST_RPC_PORT + offset }
}

/// The ports of a deployment: its preferred ones, or the next that are free. A REST port that the user fixed stays.
///
/// # Errors
/// From which port on none is free.
pub(crate) fn choose(
    preferred: &Ports,
    fixed_rest: Option<u16>,
    mut reserved: BTreeSet<u16>,
) -> Result<Ports, u16> {
    let rest = match fixed_rest {
        Some(port) => port,
        None => find_free(preferred.rest, &reserved).ok_or(preferred.rest)?,
    };
    reserved.insert(rest);
    let rpc = find_free(preferred.rpc, &reserved).ok_or(preferred.rpc)?;
    Ok(Ports { rest, rpc })
}

/// Whether a listener can be opened on this port.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// The first free port from `first` that is not reserved for another cluster.
fn find_free(first: u16, reserved: &BTreeSet<u16>) -> Option<u16> {
    (first..first.saturating_add(limits::PORTS_TRIED_MAX))
        .find(|port| !reserved.contains(port) && is_free(*port))
}

/// The REST port that the user asks for. Flink's own default is no wish.
pub(crate) fn fixed_rest_port(configuration: &BTreeMap<String, String>) -> Option<u16> {
    let port = configuration.get("rest.port")?.trim().parse().ok()?;
    (port != 0 && port != 8081).then_some(port)
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

    #[test]
    fn a_deployment_keeps_its_place_and_others_have_other_ones() {
        let of = |name: &str| preferred(Path::new("/p/.drey"), "default", name);
        assert_eq!(of("counter").rest, of("counter").rest);
        let places: BTreeSet<u16> = (0..20).map(|number| of(&format!("job-{number}")).rest).collect();
        assert!(places.len() > 15, "{places:?}");
        assert!(places.iter().all(|port| (18_081..19_081).contains(port)));
    }

    #[test]
    fn only_a_port_of_the_users_own_is_a_wish() {
        let check =
            |value: &str| fixed_rest_port(&BTreeMap::from([("rest.port".to_owned(), value.to_owned())]));
        assert_eq!(check("8090"), Some(8_090));
        assert_eq!(check("8081"), None);
        assert_eq!(check("0"), None);
        assert_eq!(fixed_rest_port(&BTreeMap::new()), None);
    }
}
