//! What the sets that rules name have in them.

use std::collections::HashSet;

use plimsoll_model::Service;

/// Elements of sets, each as `ipset save` writes it.
pub(super) struct Sets<'a>(HashSet<(&'a str, &'a str)>);

impl<'a> Sets<'a> {
    pub(super) fn of(ipsets: &'a str) -> Self {
        let element = |line: &'a str| {
            let mut words = line.strip_prefix("add ")?.split_ascii_whitespace();
            Some((words.next()?, words.next()?))
        };
        Self(ipsets.lines().filter_map(element).collect())
    }

    /// Whether a set of addresses and ports has a service (`10.96.0.1,tcp:443`).
    pub(super) fn has_service(&self, set: &str, at: Service) -> bool {
        let Service { address, protocol, port } = at;
        // Where a host has no /etc/protocols, ipset writes a protocol as its number.
        self.has(set, &format!("{address},{protocol}:{port}"))
            || self.has(set, &format!("{address},{}:{port}", protocol.0))
    }

    /// Whether a set of ports has that of a service; ports of which protocol, the set's name tells.
    pub(super) fn has_port(&self, set: &str, at: Service) -> bool {
        self.has(set, &at.port.to_string())
    }

    /// Whether a set has what packets to a service are sent to, by the parts that are looked up in it (`dst`, `dst,dst`).
    pub(super) fn has_destination(&self, set: &str, parts: &str, at: Service) -> bool {
        match parts {
            "dst" => self.has_port(set, at) || self.has(set, &at.address.to_string()),
            "dst,dst" => self.has_service(set, at),
            _ => false,
        }
    }

    fn has(&self, set: &str, element: &str) -> bool {
        self.0.contains(&(set, element))
    }
}
