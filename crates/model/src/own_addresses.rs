//! The addresses that a network namespace has for itself.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};

/// The addresses of a namespace's interfaces, as the kernel lists them.
///
/// What routes take in beside them (a `local` route for a whole network) is not among them: packets for it may be meant for a proxy that passes
/// them on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnAddresses {
    own: HashSet<IpAddr>,
    broadcast: HashSet<Ipv4Addr>,
}

impl OwnAddresses {
    /// Adds one of an interface's, and the broadcast addresses of its network.
    pub fn add(&mut self, address: IpAddr, broadcasts: impl IntoIterator<Item = Ipv4Addr>) {
        self.own.insert(address);
        self.broadcast.extend(broadcasts);
    }

    /// Whether an address is its own. All of `127.0.0.0/8` is, though only `127.0.0.1` is listed.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_loopback() || self.own.contains(&address)
    }

    /// Whether packets to an address are for many: to a group, or to all of a network.
    pub fn is_for_many(&self, address: IpAddr) -> bool {
        address.is_multicast() || matches!(address, IpAddr::V4(v4) if v4.is_broadcast() || self.broadcast.contains(&v4))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_own_and_what_is_for_many_is_nobodys() {
        let mut own = OwnAddresses::default();
        own.add("192.0.2.1".parse().unwrap(), ["192.0.2.255".parse().unwrap()]);
        for address in ["192.0.2.1", "127.0.0.53", "::1"] {
            assert!(own.contains(address.parse().unwrap()), "{address}");
        }
        for address in ["192.0.2.2", "192.0.2.255", "224.0.0.251", "2001:db8::1"] {
            assert!(!own.contains(address.parse().unwrap()), "{address}");
        }
        for address in ["192.0.2.255", "255.255.255.255", "224.0.0.251", "ff02::fb"] {
            assert!(own.is_for_many(address.parse().unwrap()), "{address}");
        }
        assert!(!own.is_for_many("192.0.2.1".parse().unwrap()));
    }
}
