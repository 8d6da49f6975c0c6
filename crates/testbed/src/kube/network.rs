//! The network of a cluster: a bridge of its own, with a subnet of its own, on which the API server listens and on
//! which pods may live. Bridges are numbered, and the number alone decides every address, so that clusters side by
//! side never want the same one.
//!
//! It refuses to know what is attached to the bridge.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use super::error::KubeError;

/// How many clusters one machine can hold.
pub(super) const CLUSTERS_MAX: u8 = 20;
/// Second byte of the first cluster's subnet, `10.210.0.0/16`.
const FIRST_SUBNET: u8 = 210;
/// Second byte of the first cluster's services, `10.230.0.0/16`.
const FIRST_SERVICES: u8 = 230;

/// Where the pods of a cluster live.
///
/// Network namespaces of its pods are named `<bridge>-…`: whatever takes the cluster away deletes those.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Name of the bridge.
    pub bridge: String,
    /// Address of the bridge, on which the API server listens.
    pub gateway: Ipv4Addr,
    /// Length of the subnet's prefix in bits.
    pub prefix_len: u8,
    /// Range of the addresses of Services. No packet is sent there: nothing routes it.
    pub service_cidr: String,
}

impl Network {
    /// The network with this number.
    pub(super) fn numbered(number: u8) -> Network {
        Network {
            bridge: format!("drey-kube{number}"),
            gateway: Ipv4Addr::new(10, FIRST_SUBNET + number, 0, 1),
            prefix_len: 16,
            service_cidr: format!("10.{}.0.0/16", FIRST_SERVICES + number),
        }
    }

    /// Address of the Service `kubernetes`: the first of the range.
    pub(super) fn kubernetes_service(&self) -> Ipv4Addr {
        let [first, second, ..] = self.gateway.octets();
        Ipv4Addr::new(first, second - FIRST_SUBNET + FIRST_SERVICES, 0, 1)
    }

    /// Where processes listen that only this machine should reach; as far apart as the clusters are.
    pub(super) fn loopback(&self) -> Ipv4Addr {
        let [_, second, third, fourth] = self.gateway.octets();
        Ipv4Addr::new(127, second, third, fourth)
    }

    /// Whether a bridge of this name is there, whosever it is.
    pub(super) fn is_there(&self) -> bool {
        Path::new("/sys/class/net").join(&self.bridge).exists()
    }

    /// Whether neither the bridge nor any address of the subnet is in use on this machine.
    pub(super) fn is_free(&self) -> Result<bool, KubeError> {
        if self.is_there() {
            return Ok(false);
        }
        let subnet = format!("{}/{}", self.gateway, self.prefix_len);
        Ok(ip(&["-4", "-oneline", "address", "show", "to", &subnet])?.trim().is_empty())
    }

    /// Makes the bridge.
    pub(super) fn make(&self) -> Result<(), KubeError> {
        ip(&["link", "add", "name", &self.bridge, "type", "bridge"])?;
        let address = format!("{}/{}", self.gateway, self.prefix_len);
        ip(&["address", "add", &address, "dev", &self.bridge])?;
        ip(&["link", "set", &self.bridge, "up"]).map(drop)
    }
}

/// Standard output of `ip`.
fn ip(arguments: &[&str]) -> Result<String, KubeError> {
    let shown = || format!("ip {}", arguments.join(" "));
    let output = Command::new("ip").args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|source| KubeError::Program { program: shown(), source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(KubeError::Network { command: shown(), said })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_networks_share_anything() {
        let all: Vec<Network> = (0..CLUSTERS_MAX).map(Network::numbered).collect();
        let services = all.iter().map(|network| network.kubernetes_service());
        let mut subnets: Vec<[u8; 2]> = all
            .iter()
            .map(|network| network.gateway)
            .chain(services)
            .map(|address| [address.octets()[0], address.octets()[1]])
            .collect();
        subnets.sort_unstable();
        subnets.dedup();
        assert_eq!(subnets.len(), 2 * usize::from(CLUSTERS_MAX));
        // The kernel takes no longer names of interfaces.
        assert!(all.iter().all(|network| network.bridge.len() <= 15));
        assert!(all.iter().all(|network| {
            network.service_cidr.starts_with(network.kubernetes_service().to_string().trim_end_matches('1'))
        }));
    }
}
