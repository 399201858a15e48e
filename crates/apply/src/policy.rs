//! Timeouts of one service alone, as nftables rules of Plimsoll's own that stop matching by themselves.
//!
//! Table `inet plimsoll` holds, for each policy, a `ct timeout` object, a set with one element, and a chain each at
//! prerouting and output, after tracking (priority −200). Their rules match only while the element is in the set, and the
//! element has a timeout: when it runs out the policy is off, though no process be alive.

use std::fmt;
use std::time::Duration;

use plimsoll_model::{PolicyProtocol, ServicePolicy};
use plimsoll_render::name_in_nft;
use serde::{Deserialize, Serialize};

/// The table that holds all of Plimsoll's policies.
pub const TABLE: &str = "inet plimsoll";

/// After conntrack (−200), which has to have made the entry, and before mangle.
const PRIORITY: i32 = -190;

/// A policy's name in nft. It holds the number of the application that made it: what has another name is another's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PolicyName {
    /// The service's protocol.
    pub protocol: PolicyProtocol,
    /// The service's port.
    pub port: u16,
    /// The number of the application.
    pub application: u32,
}

impl PolicyName {
    /// That of a policy which an application makes.
    pub fn of(policy: &ServicePolicy, application: u32) -> Self {
        Self { protocol: policy.protocol, port: policy.port, application }
    }

    /// From the name of an object in the table.
    pub fn parse(name: &str) -> Option<Self> {
        let mut parts = name.split('_');
        let (protocol, port, application) = (parts.next()?, parts.next()?, parts.next()?);
        let protocol = [PolicyProtocol::Tcp, PolicyProtocol::Udp].into_iter().find(|known| known.name() == protocol)?;
        let parsed = Self { protocol, port: port.parse().ok()?, application: application.parse().ok()? };
        parts.next().is_none().then_some(parsed)
    }

    /// Whether it is a policy for that service, whoever made it.
    pub fn is_for(&self, policy: &ServicePolicy) -> bool {
        (self.protocol, self.port) == (policy.protocol, policy.port)
    }
}

impl fmt::Display for PolicyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}_{}", self.protocol.name(), self.port, self.application)
    }
}

/// How long a policy's rules match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Armed {
    /// Until this has passed.
    For(Duration),
    /// Until it is removed.
    ForGood,
}

/// The commands that make a policy.
pub fn making(policy: &ServicePolicy, name: &PolicyName, armed: Armed) -> String {
    let protocol = policy.protocol.name();
    let timeouts: Vec<_> = policy
        .timeouts
        .iter()
        .filter_map(|timeout| Some(format!("{}: {}", name_in_nft(policy.protocol, timeout.sysctl)?, timeout.secs)))
        .collect();
    let values = if timeouts.is_empty() { String::new() } else { format!(" policy = {{ {} }};", timeouts.join(", ")) };
    let rule =
        format!("meta l4proto @armed_{name} {protocol} dport {} ct state new ct timeout set \"{name}\"", policy.port);
    let chain = |hook: &str| {
        format!("    chain {hook}_{name} {{ type filter hook {hook} priority {PRIORITY}; policy accept; {rule}; }}\n")
    };
    format!(
        "table {TABLE} {{\n    ct timeout {name} {{ protocol {protocol};{values} }}\n    set armed_{name} {{ type inet_proto; flags \
         timeout; elements = {{ {} }}; }}\n{}{}}}\n",
        element(protocol, armed),
        chain("prerouting"),
        chain("output")
    )
}

/// The commands that change how long it matches. The set is flushed first: kernels before 6.12 leave the timeout of an
/// element that is there as it is, and one that has just run out could not be deleted.
pub fn rearming(name: &PolicyName, armed: Armed) -> String {
    let element = element(name.protocol.name(), armed);
    format!("flush set {TABLE} armed_{name}\nadd element {TABLE} armed_{name} {{ {element} }}\n")
}

/// The commands that remove it, and the table with it where it is the last.
pub(crate) fn removing(name: &PolicyName, last: LastInTable) -> String {
    match last {
        LastInTable::Yes => format!("delete table {TABLE}\n"),
        LastInTable::No => format!(
            "delete chain {TABLE} prerouting_{name}\ndelete chain {TABLE} output_{name}\ndelete set {TABLE} armed_{name}\n\
             delete ct timeout {TABLE} {name}\n"
        ),
    }
}

/// Whether anything else is in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LastInTable {
    /// Nothing.
    Yes,
    /// Something of another policy's, or of somebody else's.
    No,
}

fn element(protocol: &str, armed: Armed) -> String {
    match armed {
        // nft wants whole units; rounded up, so that no policy ends before its deadline.
        Armed::For(span) => format!("{protocol} timeout {}s", span.as_secs() + 1),
        Armed::ForGood => protocol.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_back_and_others_are_not_ours() {
        let name = PolicyName { protocol: PolicyProtocol::Tcp, port: 443, application: 7 };
        assert_eq!(PolicyName::parse(&name.to_string()), Some(name));
        for other in ["", "tcp", "tcp_443", "tcp_443_7_1", "icmp_1_1", "tcp_65536_1", "tcp_443_x"] {
            assert_eq!(PolicyName::parse(other), None, "{other}");
        }
    }
}
