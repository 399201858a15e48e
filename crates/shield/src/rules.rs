//! A shield as nft commands.
//!
//! The packets of the class jump to chain `shield` while `armed_<application>` holds their protocol. What is too many goes to `hit`,
//! which notes its source and, while `enforced` holds the protocol too, drops it. Both elements have a timeout, so the kernel ends both
//! by itself.
//!
//! A full dynamic set fails open: the statement then ends its rule as if it did not match (`nft_dynset_eval`, measured by this crate's
//! users' tests). What came from a source for which there was no room is told by its absence from the set, counted, and may have a limit
//! of its own.

use std::fmt::Write;
use std::net::IpAddr;
use std::time::Duration;

use plimsoll_model::{Class, Network, Rate, Shield, SourceLimits, Way};

/// The table of a shield; a namespace has one at most.
pub const TABLE: &str = "inet plimsoll-shield";

const RAW: i32 = Shield::BEFORE_TRACKING;
const AFTER_TRACKING: i32 = Shield::AFTER_TRACKING;

/// Sources that are remembered as hit.
pub(crate) const MOST_HITS: u32 = 65_536;

/// How long a source is remembered after its last hit, in seconds.
pub const HIT_SECS: u32 = 60;

/// Limits are forgotten no sooner than this, in seconds.
const LEAST_MEMORY_SECS: u32 = 10;

/// The MSS that a SYN-ACK of SYNPROXY's offers, and no timestamps. They would carry window scaling and SACK, but the proxy would have to go on
/// translating them for as long as the connection lives: when its rules went, connections stalled (3 of 10 measured; the client takes
/// the server's own timestamps for old ones, RFC 7323 §5). Sequence numbers are conntrack's to translate, and go on without the rules.
const OFFERED_MSS: u16 = 1460;

/// nft's SYNPROXY verifies checksums as of IPv4, whatever the packet (`nft_synproxy_do_eval` in `nft_synproxy.c` calls `nf_ip_checksum`): of
/// IPv6 it drops every segment that the device has not verified. Measured on 6.18: none came through whose checksum was not verified, all
/// others did. Which ones are, no rule can ask; so IPv6 is left to the limits.
const PROXIED: &str = "meta nfproto ipv4";

const SYN: &str = "tcp flags & (fin | syn | rst | ack) == syn";

/// Packets of a connection that goes on. A FIN or RST that tracking does not know comes late, and ends what has ended: to drop it harms nobody.
const CARRIED: &str = "tcp flags & (fin | syn | rst | ack) == ack";

/// The commands that make a shield, in shadow, for an application of this number. The table must not be there.
pub fn loading(shield: &Shield, application: u32, armed: Duration) -> String {
    let rules = Rules { shield, armed: armed_set(application) };
    // In a table that is there, these would be added to what it holds: this makes it fail.
    let mut text = format!("create table {TABLE}\ntable {TABLE} {{\n");
    rules.sets(&mut text, armed);
    counters(&mut text);
    hit(&mut text);
    rules.without_room(&mut text);
    rules.shield(&mut text);
    rules.entrance(&mut text);
    if matches!(shield.class, Class::Handshakes { .. }) {
        rules.handshakes(&mut text);
    }
    text + "}\n"
}

/// The set that says whether a shield matches. It holds the number of the application that made it.
pub fn armed_set(application: u32) -> String {
    format!("armed_{application}")
}

/// The application whose table has these sets; `None` where it is none of Plimsoll's.
pub fn made_by<'a>(sets: impl IntoIterator<Item = &'a str>) -> Option<u32> {
    sets.into_iter().find_map(|name| name.strip_prefix("armed_")?.parse().ok())
}

/// The commands by which it drops, for so long.
pub fn enforcing(shield: &Shield, lasts: Duration) -> String {
    replacing("enforced", shield, lasts)
}

/// The commands by which it only counts.
pub fn disarming() -> String {
    format!("flush set {TABLE} enforced\n")
}

/// The commands that change how long it counts.
pub fn rearming(shield: &Shield, application: u32, lasts: Duration) -> String {
    replacing(&armed_set(application), shield, lasts)
}

/// The commands that remove it.
pub fn removing() -> String {
    format!("delete table {TABLE}\n")
}

/// The set is flushed first: kernels before 6.12 leave the timeout of an element that is there as it is.
fn replacing(set: &str, shield: &Shield, lasts: Duration) -> String {
    let element = element(shield, lasts);
    format!("flush set {TABLE} {set}\nadd element {TABLE} {set} {{ {element} }}\n")
}

fn element(shield: &Shield, lasts: Duration) -> String {
    // nft wants whole units; rounded up, so that it does not end before its deadline.
    format!("{} timeout {}s", shield.class.protocol().name(), lasts.as_secs() + 1)
}

/// A family of addresses, as nft names it.
#[derive(Clone, Copy)]
struct Family {
    /// As set names end.
    digit: char,
    /// The expression's.
    ip: &'static str,
    /// The type's.
    kind: &'static str,
    /// Of a prefix as `model::Prefix` has it.
    mask: &'static str,
}

const FAMILIES: [Family; 2] = [
    Family { digit: '4', ip: "ip", kind: "ipv4_addr", mask: "255.255.255.0" },
    Family { digit: '6', ip: "ip6", kind: "ipv6_addr", mask: "ffff:ffff:ffff:ffff::" },
];

struct Rules<'a> {
    shield: &'a Shield,
    armed: String,
}

// Writing to a string does not fail.
macro_rules! put {
    ($text:expr, $($line:tt)*) => { let _ = writeln!($text, $($line)*); };
}

impl Rules<'_> {
    fn sets(&self, text: &mut String, armed: Duration) {
        let element = element(self.shield, armed);
        put!(text, "    set {} {{ type inet_proto; flags timeout; elements = {{ {element} }}; }}", self.armed);
        put!(text, "    set enforced {{ type inet_proto; flags timeout; }}");
        for family in FAMILIES {
            networks(text, "allow", family, &self.shield.allow);
            networks(text, "drop", family, &self.shield.drop);
            networks(text, "known", family, &self.known());
            if let Some(limits) = &self.shield.limits {
                let size = limits.most_sources.get();
                dynamic(text, "source", family, size, memory_secs(limits.per_source));
                if let Some(rate) = limits.per_prefix {
                    dynamic(text, "prefix", family, size, memory_secs(rate));
                }
            }
            dynamic(text, "hit", family, MOST_HITS, HIT_SECS);
        }
    }

    /// From sources for which there was no room: all of them together may have a limit. Who is hit by it is chance, and not noted.
    fn without_room(&self, text: &mut String) {
        let Some(limits) = &self.shield.limits else { return };
        put!(text, "    chain without_room {{");
        put!(text, "        counter name without_room");
        if let Some(rate) = limits.without_room {
            put!(text, "        limit rate over {} counter name over_total jump chance", written(rate));
        }
        put!(text, "    }}");
        put!(text, "    chain chance {{");
        put!(text, "        meta l4proto @enforced counter name dropped drop");
        put!(text, "    }}");
    }

    fn shield(&self, text: &mut String) {
        let (device, far) = match self.shield.class.way() {
            Way::Incoming => ("iifname", "saddr"),
            Way::Outgoing => ("oifname", "daddr"),
        };
        put!(text, "    chain shield {{");
        put!(text, "        {device} \"lo\" return");
        put!(text, "        counter name seen");
        listed(text, far, "allow", &self.shield.allow, "counter name allowed return");
        listed(text, "saddr", "drop", &self.shield.drop, "counter name listed goto hit");
        listed(text, far, "known", &self.known(), "counter name known return");
        if let Some(limits) = &self.shield.limits {
            limit(text, limits);
        }
        if matches!(self.shield.class, Class::Handshakes { .. }) {
            put!(text, "        {PROXIED} meta l4proto @enforced counter name proxied notrack");
        }
        put!(text, "    }}");
    }

    fn entrance(&self, text: &mut String) {
        let hook = match self.shield.class.way() {
            Way::Incoming => "prerouting",
            Way::Outgoing => "output",
        };
        let packets = match &self.shield.class {
            Class::Syns { .. } | Class::Handshakes { .. } => format!("{}{SYN}", self.ports()),
            Class::Datagrams { .. } => self.ports().trim_end().to_string(),
        };
        put!(text, "    chain {hook} {{");
        put!(text, "        type filter hook {hook} priority {RAW}; policy accept;");
        put!(text, "        {packets} meta l4proto @{} jump shield", self.armed);
        put!(text, "    }}");
    }

    /// What SYNPROXY needs after tracking. In shadow it counts what SYNPROXY drops for lack of a cookie: packets that tracking picks up in the
    /// middle of a connection (`tcp_loose`), and such as belong to none that it knows (INVALID: without `tcp_loose`, or out of the
    /// window), unless they end it.
    fn handshakes(&self, text: &mut String) {
        put!(text, "    chain handshake {{");
        put!(text, "        iifname \"lo\" return");
        listed(text, "saddr", "allow", &self.shield.allow, "return");
        put!(text, "        synproxy mss {OFFERED_MSS}");
        put!(text, "    }}");
        put!(text, "    chain picked_up {{");
        put!(text, "        iifname \"lo\" return");
        listed(text, "saddr", "allow", &self.shield.allow, "return");
        put!(text, "        counter name picked_up goto hit");
        put!(text, "    }}");
        let (ports, armed) = (self.ports(), &self.armed);
        for hook in ["input", "forward"] {
            put!(text, "    chain {hook} {{");
            put!(text, "        type filter hook {hook} priority {AFTER_TRACKING}; policy accept;");
            put!(text, "        {PROXIED} {ports}ct state invalid,untracked meta l4proto @enforced jump handshake");
            put!(
                text,
                "        {ports}{CARRIED} ct state invalid,new meta l4proto @{armed} meta l4proto != @enforced goto picked_up"
            );
            put!(text, "    }}");
        }
    }

    fn known(&self) -> Vec<Network> {
        match &self.shield.class {
            Class::Datagrams { known, .. } => known.iter().copied().map(Network::host).collect(),
            Class::Syns { .. } | Class::Handshakes { .. } => Vec::new(),
        }
    }

    /// A match on the ports, with a space behind it; nothing where all are meant.
    fn ports(&self) -> String {
        let ports = self.shield.class.ports();
        ports.map_or_else(String::new, |ports| format!("{} dport {{ {ports} }} ", self.shield.class.protocol().name()))
    }
}

fn counters(text: &mut String) {
    for name in crate::reading::COUNTERS {
        put!(text, "    counter {name} {{ }}");
    }
}

/// What is too many: noted, and dropped where the shield is enforced.
fn hit(text: &mut String) {
    put!(text, "    chain hit {{");
    for Family { digit, ip, .. } in FAMILIES {
        put!(text, "        update @hit{digit} {{ {ip} saddr counter }}");
        put!(text, "        {ip} saddr != @hit{digit} counter name unrecorded");
    }
    put!(text, "        meta l4proto @enforced counter name dropped drop");
    put!(text, "    }}");
}

fn limit(text: &mut String, limits: &SourceLimits) {
    for Family { digit, ip, .. } in FAMILIES {
        let rate = written(limits.per_source);
        put!(
            text,
            "        update @source{digit} {{ {ip} saddr limit rate over {rate} }} counter name over_source goto hit"
        );
    }
    if let Some(rate) = limits.per_prefix.map(written) {
        for Family { digit, ip, mask, .. } in FAMILIES {
            put!(
                text,
                "        update @prefix{digit} {{ {ip} saddr & {mask} limit rate over {rate} }} counter name over_prefix goto hit"
            );
        }
    }
    for Family { digit, ip, .. } in FAMILIES {
        put!(text, "        {ip} saddr != @source{digit} jump without_room");
    }
}

/// A set of networks; none where there are none, so that no packet is looked up in it.
fn networks(text: &mut String, name: &str, family: Family, networks: &[Network]) {
    let elements = of_family(networks, family);
    if !elements.is_empty() {
        let Family { digit, kind, .. } = family;
        let elements = elements.join(", ");
        put!(text, "    set {name}{digit} {{ type {kind}; flags interval; auto-merge; elements = {{ {elements} }}; }}");
    }
}

fn of_family(networks: &[Network], family: Family) -> Vec<String> {
    let is_of_family = |network: &&Network| matches!(network.address(), IpAddr::V4(_)) == (family.digit == '4');
    networks.iter().filter(is_of_family).map(ToString::to_string).collect()
}

/// A rule for the addresses of a set, where there is such a set.
fn listed(text: &mut String, expression: &str, name: &str, networks: &[Network], verdict: &str) {
    for family in FAMILIES {
        if !of_family(networks, family).is_empty() {
            let Family { digit, ip, .. } = family;
            put!(text, "        {ip} {expression} @{name}{digit} {verdict}");
        }
    }
}

fn dynamic(text: &mut String, name: &str, family: Family, size: u32, secs: u32) {
    let Family { digit, kind, .. } = family;
    put!(text, "    set {name}{digit} {{ type {kind}; size {size}; flags dynamic,timeout; timeout {secs}s; }}");
}

/// After so long without a packet a source may send a burst again in any case: nothing more is to be remembered of it.
fn memory_secs(rate: Rate) -> u32 {
    rate.burst.get().div_ceil(rate.per_sec.get()).saturating_add(1).max(LEAST_MEMORY_SECS)
}

fn written(rate: Rate) -> String {
    format!("{}/second burst {} packets", rate.per_sec, rate.burst)
}

#[cfg(test)]
mod tests {
    use super::*;
    use plimsoll_model::Ports;

    fn shield(class: Class) -> Shield {
        Shield { class, limits: None, drop: Vec::new(), allow: Vec::new() }
    }

    #[test]
    fn only_the_last_rules_drop_and_only_while_it_is_enforced() {
        let class = Class::Handshakes { ports: Ports::one(443).unwrap() };
        let text = loading(&shield(class), 7, Duration::from_mins(30));
        for line in text.lines().filter(|line| line.ends_with(" drop")) {
            assert!(line.contains("@enforced"), "{line}");
        }
        for line in text.lines().filter(|line| line.contains("notrack") || line.contains("jump handshake")) {
            assert!(line.contains("@enforced"), "{line}");
        }
        for line in text.lines().filter(|line| line.contains("jump shield")) {
            assert!(line.contains("@armed_7"), "{line}");
        }
    }

    #[test]
    fn in_shadow_packets_are_counted_that_the_proxy_would_drop() {
        let text = loading(&shield(Class::Handshakes { ports: Ports::one(443).unwrap() }), 7, Duration::from_mins(30));
        let lines: Vec<_> = text.lines().filter(|line| line.contains("goto picked_up")).collect();
        assert_eq!(lines.len(), 2, "one in input, one in forward: {lines:?}");
        for line in lines {
            assert!(line.contains("== ack ct state invalid,new ") && line.contains("!= @enforced"), "{line}");
        }
    }

    #[test]
    fn a_table_is_known_by_the_number_of_its_application() {
        assert_eq!(made_by(["hit4", "armed_12", "enforced"]), Some(12));
        assert_eq!(made_by(["armed", "armed_", "armed_x", "hit4"]), None);
    }

    #[test]
    fn a_source_is_remembered_until_its_burst_is_back() {
        let rate = |text: &str| memory_secs(text.parse().unwrap());
        assert_eq!((rate("20/50"), rate("1/100"), rate("3/100")), (10, 101, 35));
    }
}
