//! What the sets that rules name have in them.

use std::collections::{HashMap, HashSet};

use plimsoll_model::Service;

/// Sets as `ipset save` writes them.
pub(super) struct Sets<'a> {
    /// The type of each.
    kinds: HashMap<&'a str, &'a str>,
    elements: HashSet<(&'a str, &'a str)>,
}

impl<'a> Sets<'a> {
    pub(super) fn of(ipsets: &'a str) -> Self {
        let pairs = |command: &'static str| {
            ipsets.lines().filter_map(move |line| {
                let mut words = line.strip_prefix(command)?.split_ascii_whitespace();
                Some((words.next()?, words.next()?))
            })
        };
        Self { kinds: pairs("create ").collect(), elements: pairs("add ").collect() }
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

    /// Whether a set has what packets to a service are sent to, by the parts that are looked up in it (`dst`, `dst,dst`); `None` where it
    /// depends on more, or the set's elements are not single ones.
    pub(super) fn has_destination(&self, set: &str, parts: &str, at: Service) -> Option<bool> {
        match (*self.kinds.get(set)?, parts) {
            ("bitmap:port", "dst") => Some(self.has_port(set, at)),
            ("hash:ip", "dst") => Some(self.has(set, &at.address.to_string())),
            ("hash:ip,port", "dst,dst") => Some(self.has_service(set, at)),
            _ => None,
        }
    }

    fn has(&self, set: &str, element: &str) -> bool {
        self.elements.contains(&(set, element))
    }
}
