//! Rules that leave a service's packets untracked, both ways, for nft and for iptables.
//!
//! They act before tracking (priority −301, before raw's; `nf_conntrack` is at −200), in the hooks through which packets come in.
//! Packets are left untracked both ways: an answer that is tracked makes an entry of its own.

use plimsoll_model::{Bypass, Bypassed, Network};

use crate::change::{BypassChange, Reasoned, bypasses};
use crate::quote::comment;

/// The table of bypasses that last, and nothing else. Its family is `inet`.
pub const NOTRACK_TABLE: &str = "plimsoll_notrack";

/// Which packets a rule is for. Of all, those of the service's protocol, and none by loopback: those pass output and prerouting both.
#[derive(Clone, Copy)]
struct Packets {
    meets: Meets,
    way: Way,
}

/// Where packets are met.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meets {
    /// In prerouting: they are for an address of this host.
    ForHere,
    /// In prerouting: they are for an address elsewhere.
    ForElsewhere,
    /// In output.
    FromHere,
}

/// Whether packets go to the service or come from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// They go to it.
    ToService,
    /// They come from it.
    FromService,
}

/// Requests, and answers.
fn packets(flows: &Bypassed) -> [Packets; 2] {
    let (requests, answers) = match flows {
        Bypassed::ServedHere => (Meets::ForHere, Meets::FromHere),
        Bypassed::AskedFromHere { .. } => (Meets::FromHere, Meets::ForHere),
        Bypassed::Forwarded { .. } => (Meets::ForElsewhere, Meets::ForElsewhere),
    };
    [Packets { meets: requests, way: Way::ToService }, Packets { meets: answers, way: Way::FromService }]
}

impl Packets {
    const fn hook(self) -> Hook {
        match self.meets {
            Meets::ForHere | Meets::ForElsewhere => Hook::Prerouting,
            Meets::FromHere => Hook::Output,
        }
    }
}

/// A hook through which packets come in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hook {
    Prerouting,
    Output,
}

impl Hook {
    const ALL: [Self; 2] = [Self::Prerouting, Self::Output];

    const fn in_nft(self) -> &'static str {
        match self {
            Self::Prerouting => "prerouting",
            Self::Output => "output",
        }
    }
}

/// Networks of one family on both sides; `None` where a side that is to be told has none of it.
struct Family<'a> {
    /// What nft calls it.
    nft: &'static str,
    digit: char,
    bypass: &'a Bypass,
    is_of_it: fn(&Network) -> bool,
}

const V4: fn(&Network) -> bool = |network| network.address().is_ipv4();
const V6: fn(&Network) -> bool = |network| network.address().is_ipv6();

fn families(bypass: &Bypass) -> [Family<'_>; 2] {
    [Family { nft: "ip", digit: '4', bypass, is_of_it: V4 }, Family { nft: "ip6", digit: '6', bypass, is_of_it: V6 }]
}

impl Family<'_> {
    fn clients(&self) -> Vec<String> {
        self.of(self.bypass.flows.clients())
    }

    fn servers(&self) -> Vec<String> {
        self.of(self.bypass.flows.servers())
    }

    fn of(&self, networks: &[Network]) -> Vec<String> {
        networks.iter().filter(|network| (self.is_of_it)(network)).map(Network::to_string).collect()
    }

    /// Whether every side that is to be told has networks of this family.
    fn is_meant(&self) -> bool {
        let has = |all: &[Network], of_family: Vec<String>| all.is_empty() || !of_family.is_empty();
        has(self.bypass.flows.clients(), self.clients()) && has(self.bypass.flows.servers(), self.servers())
    }
}

/// The name of the counter of what goes one way, beside rules that are named after `name`.
pub fn counter_in_nft(way: Way, name: &str) -> String {
    match way {
        Way::ToService => format!("requests_{name}"),
        Way::FromService => format!("answers_{name}"),
    }
}

/// The counters, sets and chains of a bypass for a table of nft's, named after `name`; a rule begins with `guard`.
pub fn notrack_in_nft(bypass: &Bypass, name: &str, guard: &str) -> String {
    let counters =
        [Way::ToService, Way::FromService].map(|way| format!("\tcounter {} {{ }}\n", counter_in_nft(way, name)));
    let mut text = counters.concat() + "\n";
    for family in families(bypass).iter().filter(|family| family.is_meant()) {
        for (side, networks) in [("clients", family.clients()), ("servers", family.servers())] {
            if !networks.is_empty() {
                text.push_str(&format!(
                    "\tset {} {{\n\t\ttype ipv{}_addr\n\t\tflags interval\n\t\tauto-merge\n\t\telements = {{ {} }}\n\t}}\n\n",
                    set_name(side, family.digit, name),
                    family.digit,
                    networks.join(", ")
                ));
            }
        }
    }
    for hook in Hook::ALL {
        let here = packets(&bypass.flows).into_iter().filter(|packets| packets.hook() == hook);
        let rules: Vec<_> = here.flat_map(|packets| in_nft(bypass, packets, name)).collect();
        if rules.is_empty() {
            continue;
        }
        let hook = hook.in_nft();
        text.push_str(&format!(
            "\tchain {hook}_{name} {{\n\t\ttype filter hook {hook} priority {}; policy accept;\n",
            Bypass::PRIORITY
        ));
        for rule in rules {
            text.push_str(&format!("\t\t{guard}{rule}\n"));
        }
        text.push_str("\t}\n");
    }
    text
}

fn set_name(side: &str, digit: char, name: &str) -> String {
    format!("{side}{digit}_{name}")
}

/// A rule, or one for each family where addresses tell.
fn in_nft(bypass: &Bypass, packets: Packets, name: &str) -> Vec<String> {
    let met = match packets.meets {
        Meets::ForHere => "iifname != \"lo\" fib daddr type local",
        Meets::ForElsewhere => "iifname != \"lo\" fib daddr type != local",
        Meets::FromHere => "oifname != \"lo\"",
    };
    let (protocol, port) = (bypass.protocol.name(), bypass.port);
    let then = format!("counter name {} notrack", counter_in_nft(packets.way, name));
    let service = match packets.way {
        Way::ToService => format!("{met} {protocol} dport {port}"),
        Way::FromService => format!("{met} {protocol} sport {port}"),
    };
    if bypass.flows.servers().is_empty() && bypass.flows.clients().is_empty() {
        return vec![format!("{service} {then}")];
    }
    let of = |family: &Family<'_>| {
        let at = |side: &str, networks: &[String], direction: &str| {
            let set = set_name(side, family.digit, name);
            if networks.is_empty() { String::new() } else { format!("{} {direction} @{set} ", family.nft) }
        };
        let (clients, servers) = (family.clients(), family.servers());
        let (from, to) = match packets.way {
            Way::ToService => (at("clients", &clients, "saddr"), at("servers", &servers, "daddr")),
            Way::FromService => (at("servers", &servers, "saddr"), at("clients", &clients, "daddr")),
        };
        format!("{from}{to}{service} {then}")
    };
    families(bypass).iter().filter(|family| family.is_meant()).map(of).collect()
}

/// A table of nft's with the bypasses among the changes, which replaces itself in one transaction. `None` where there are none.
pub(crate) fn ruleset(changes: &[Reasoned]) -> Option<String> {
    let mut text = String::new();
    for BypassChange { bypass, why } in bypasses(changes) {
        text.push_str(&comment("\t", why));
        text.push_str(&notrack_in_nft(bypass, &name(bypass), ""));
    }
    if text.is_empty() {
        return None;
    }
    let head =
        comment("", "Packets of some services are not tracked: they make no entry, and rules see them as UNTRACKED.");
    Some(format!(
        "{head}# nft delete table inet {NOTRACK_TABLE} undoes it.\ntable inet {NOTRACK_TABLE}\ndelete table inet \
         {NOTRACK_TABLE}\ntable inet {NOTRACK_TABLE} {{\n{text}}}\n"
    ))
}

/// A rule for iptables.
pub(crate) struct IptablesRule {
    /// The chain of iptables' own from which packets come to it.
    pub(crate) hook: &'static str,
    /// What it matches, and that it leaves it untracked.
    pub(crate) words: String,
}

/// One of the two programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Iptables {
    V4,
    V6,
}

/// The rules of a bypass for a program of iptables', for its table raw.
pub(crate) fn in_iptables(bypass: &Bypass, program: Iptables) -> Vec<IptablesRule> {
    let [v4, v6] = families(bypass);
    let family = match program {
        Iptables::V4 => v4,
        Iptables::V6 => v6,
    };
    let rules = packets(&bypass.flows).into_iter().filter(|_| family.is_meant());
    rules.map(|packets| iptables_rule(bypass, packets, &family)).collect()
}

fn iptables_rule(bypass: &Bypass, packets: Packets, family: &Family<'_>) -> IptablesRule {
    let hook = match packets.hook() {
        Hook::Prerouting => "PREROUTING",
        Hook::Output => "OUTPUT",
    };
    let (met, kind) = match packets.meets {
        Meets::ForHere => ("! -i lo", "-m addrtype --dst-type LOCAL "),
        Meets::ForElsewhere => ("! -i lo", "-m addrtype ! --dst-type LOCAL "),
        Meets::FromHere => ("! -o lo", ""),
    };
    let (clients, servers) = (family.clients().join(","), family.servers().join(","));
    let (from, to, side) = match packets.way {
        Way::ToService => (clients, servers, "dport"),
        Way::FromService => (servers, clients, "sport"),
    };
    let at = |flag: &str, networks: String| if networks.is_empty() { networks } else { format!("{flag} {networks} ") };
    let (from, to) = (at("-s", from), at("-d", to));
    let (protocol, port) = (bypass.protocol.name(), bypass.port);
    let words = format!("{met} {from}{to}-p {protocol} --{side} {port} {kind}-j CT --notrack");
    IptablesRule { hook, words }
}

/// `here_udp_53`, for a name in nft.
fn name(bypass: &Bypass) -> String {
    format!("{}_{}_{}", bypass.flows.word(), bypass.protocol.name(), bypass.port)
}
