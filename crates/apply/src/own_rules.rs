//! Rules of Plimsoll's own for one service, which stop matching by themselves: timeouts of its own, or no tracking.
//!
//! Table `inet plimsoll` holds, for each, what its rules use, a set with one element, and chains. Its rules match only while the
//! element is in the set, and the element has a timeout: when it runs out they are off, though no process be alive.

use std::fmt;
use std::time::Duration;

use plimsoll_model::{Bypass, Bypassed, Edit, PolicyProtocol, ServicePolicy};
use plimsoll_render::{name_in_nft, notrack_in_nft};
use serde::{Deserialize, Serialize};

/// The table that holds all of them.
pub const TABLE: &str = "inet plimsoll";

/// After conntrack (−200), which has to have made the entry, and before mangle.
const PRIORITY: i32 = -190;

/// What the rules say.
#[derive(Clone, Copy, Debug)]
pub enum OwnRules<'a> {
    /// Timeouts for a service's new flows (a `ct timeout` object).
    Policy(&'a ServicePolicy),
    /// A service's packets are not tracked.
    Bypass(&'a Bypass),
}

/// What rules do, by one word in their name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RulesKind {
    /// Timeouts.
    Timeouts,
    /// No tracking of a service of this host.
    ServedHere,
    /// No tracking of what this host asks.
    AskedFromHere,
    /// No tracking of what passes through.
    Forwarded,
}

/// The name of rules in nft. It holds the number of the application that made them: what has another name is another's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RulesName {
    /// What they do.
    pub does: RulesKind,
    /// The service's protocol.
    pub protocol: PolicyProtocol,
    /// The service's port.
    pub port: u16,
    /// The number of the application.
    pub application: u32,
}

impl<'a> OwnRules<'a> {
    /// The rules that an edit makes; `None` where it makes none in this table.
    pub fn of(edit: &'a Edit) -> Option<Self> {
        match edit {
            Edit::Policy(policy) => Some(Self::Policy(policy)),
            Edit::Bypass(bypass) => Some(Self::Bypass(bypass)),
            Edit::Sysctl { .. } | Edit::Shield(_) | Edit::XdpStage(_) => None,
        }
    }

    /// Their name if an application makes them.
    pub const fn name(self, application: u32) -> RulesName {
        let (does, protocol, port) = match self {
            Self::Policy(policy) => (RulesKind::Timeouts, policy.protocol, policy.port),
            Self::Bypass(bypass) => (RulesKind::of(&bypass.flows), bypass.protocol, bypass.port),
        };
        RulesName { does, protocol, port, application }
    }
}

impl RulesKind {
    const ALL: [Self; 4] = [Self::Timeouts, Self::ServedHere, Self::AskedFromHere, Self::Forwarded];

    const fn of(flows: &Bypassed) -> Self {
        match flows {
            Bypassed::ServedHere => Self::ServedHere,
            Bypassed::AskedFromHere { .. } => Self::AskedFromHere,
            Bypassed::Forwarded { .. } => Self::Forwarded,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Timeouts => "timeouts",
            Self::ServedHere => "here",
            Self::AskedFromHere => "asked",
            Self::Forwarded => "forwarded",
        }
    }
}

/// In words: what the rules of a service are.
impl fmt::Display for RulesKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeouts => "timeouts of its own",
            Self::ServedHere | Self::AskedFromHere | Self::Forwarded => "no tracking",
        })
    }
}

impl RulesName {
    /// From the name of a set in the table.
    pub fn of_set(set: &str) -> Option<Self> {
        let mut parts = set.strip_prefix("armed_")?.split('_');
        let (does, protocol, port, application) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let does = RulesKind::ALL.into_iter().find(|known| known.word() == does)?;
        let protocol = [PolicyProtocol::Tcp, PolicyProtocol::Udp].into_iter().find(|known| known.name() == protocol)?;
        let parsed = Self { does, protocol, port: port.parse().ok()?, application: application.parse().ok()? };
        parts.next().is_none().then_some(parsed)
    }

    /// Whether what has a name in the table belongs to them.
    pub(crate) fn owns(&self, part: &str) -> bool {
        part.strip_suffix(&self.to_string()).is_some_and(|rest| rest.is_empty() || rest.ends_with('_'))
    }
}

impl fmt::Display for RulesName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}_{}_{}", self.does.word(), self.protocol.name(), self.port, self.application)
    }
}

/// How long rules match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Armed {
    /// Until this has passed.
    For(Duration),
    /// Until they are removed.
    ForGood,
}

/// The commands that make rules.
pub fn making(rules: OwnRules<'_>, name: &RulesName, armed: Armed) -> String {
    let guard = format!("meta l4proto @armed_{name} ");
    let body = match rules {
        OwnRules::Policy(policy) => policy_body(policy, name, &guard),
        OwnRules::Bypass(bypass) => notrack_in_nft(bypass, &name.to_string(), &guard),
    };
    format!(
        "table {TABLE} {{\n\tset armed_{name} {{ type inet_proto; flags timeout; elements = {{ {} }}; }}\n{body}}}\n",
        element(name.protocol.name(), armed)
    )
}

fn policy_body(policy: &ServicePolicy, name: &RulesName, guard: &str) -> String {
    let protocol = policy.protocol.name();
    let timeouts: Vec<_> = policy
        .timeouts
        .iter()
        .filter_map(|timeout| Some(format!("{}: {}", name_in_nft(policy.protocol, timeout.sysctl)?, timeout.secs)))
        .collect();
    let values = if timeouts.is_empty() { String::new() } else { format!(" policy = {{ {} }};", timeouts.join(", ")) };
    let rule = format!("{guard}{protocol} dport {} ct state new ct timeout set \"{name}\"", policy.port);
    let chain = |hook: &str| {
        format!("\tchain {hook}_{name} {{ type filter hook {hook} priority {PRIORITY}; policy accept; {rule}; }}\n")
    };
    format!("\tct timeout {name} {{ protocol {protocol};{values} }}\n{}{}", chain("prerouting"), chain("output"))
}

/// The commands that change how long they match. The set is flushed first: kernels before 6.12 leave the timeout of an
/// element that is there as it is, and one that has just run out could not be deleted.
pub fn rearming(name: &RulesName, armed: Armed) -> String {
    let element = element(name.protocol.name(), armed);
    format!("flush set {TABLE} armed_{name}\nadd element {TABLE} armed_{name} {{ {element} }}\n")
}

fn element(protocol: &str, armed: Armed) -> String {
    match armed {
        // nft wants whole units; rounded up, so that no rules end before their deadline.
        Armed::For(span) => format!("{protocol} timeout {}s", span.as_secs() + 1),
        Armed::ForGood => protocol.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_back_and_others_are_not_ours() {
        for does in RulesKind::ALL {
            let name = RulesName { does, protocol: PolicyProtocol::Tcp, port: 443, application: 7 };
            assert_eq!(RulesName::of_set(&format!("armed_{name}")), Some(name));
        }
        for other in ["", "tcp", "timeouts_tcp_443_7", "armed_tcp_443", "armed_x_tcp_443_7", "armed_here_tcp_443_7_1"] {
            assert_eq!(RulesName::of_set(other), None, "{other}");
        }
        for other in ["armed_here_icmp_1_1", "armed_here_tcp_65536_1", "armed_here_tcp_443_x"] {
            assert_eq!(RulesName::of_set(other), None, "{other}");
        }
    }

    #[test]
    fn what_has_its_name_at_the_end_is_its_own() {
        let name = RulesName::of_set("armed_here_udp_53_7").unwrap();
        assert!(
            ["here_udp_53_7", "armed_here_udp_53_7", "prerouting_here_udp_53_7"].iter().all(|part| name.owns(part))
        );
        assert!(!["here_udp_53_17", "xhere_udp_53_7", "armed_asked_udp_53_7"].iter().any(|part| name.owns(part)));
    }
}
