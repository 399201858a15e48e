//! A class of packets as a match of nft's or iptables'.

use std::net::{Ipv4Addr, Ipv6Addr};

use plimsoll_model::Protocol;

use crate::class::{IpVersion, PacketClass, Route};
use crate::key::Field;
use crate::model::Hook;
use crate::numbers::{Numbers, Span};

impl PacketClass {
    /// As nft's matches in a rule at a hook; `None` where it cannot be written in one rule.
    pub fn in_nft(&self, hook: Hook) -> Option<Vec<String>> {
        let version = self.version()?;
        let mut words = vec![format!("meta nfproto {}", if version == IpVersion::V4 { "ipv4" } else { "ipv6" })];
        let ip = if version == IpVersion::V4 { "ip" } else { "ip6" };
        for (field, name) in [(Field::Source, "saddr"), (Field::Destination, "daddr")] {
            if self.restricts(field) {
                words.push(format!("{ip} {name} {}", braced(&self.ranges(field, '-')?)));
            }
        }
        let protocol = self.protocol()?;
        if !self.restricts(Field::SourcePort) && !self.restricts(Field::DestinationPort) {
            words.push(format!("meta l4proto {}", protocol.name()?));
        }
        for (field, name) in [(Field::SourcePort, "sport"), (Field::DestinationPort, "dport")] {
            if self.restricts(field) {
                words.push(format!("{} {name} {}", protocol.name()?, braced(&self.ranges(field, '-')?)));
            }
        }
        if self.restricts(Field::IcmpType) {
            words.push(format!("{} type {}", protocol.name()?, braced(&self.ranges(Field::IcmpType, '-')?)));
        }
        for (devices, field) in self.devices_at(hook)? {
            let name = if field == Field::InInterface { "iifname" } else { "oifname" };
            words.push(match devices {
                Devices::NotLoopback => format!("{name} != \"lo\""),
                Devices::Named(names) => {
                    format!("{name} {}", braced(&names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>()))
                }
            });
        }
        for (is, field) in self.kinds_at(hook)? {
            let name = if field == Field::SourceKind { "saddr" } else { "daddr" };
            words.push(format!("fib {name} type {}local", if is == Is::Local { "" } else { "!= " }));
        }
        Some(words)
    }

    /// As iptables' options, for as many rules as it takes; `None` where it cannot be written.
    pub fn in_iptables(&self, hook: Hook) -> Option<Vec<Vec<String>>> {
        let mut words: Vec<String> = Vec::new();
        for (field, option) in [(Field::Source, "--src-range"), (Field::Destination, "--dst-range")] {
            if self.restricts(field) {
                let [range] = <[String; 1]>::try_from(self.ranges(field, '-')?).ok()?;
                words.extend(["-m", "iprange", option, &range].map(str::to_string));
            }
        }
        let protocol = self.protocol()?;
        words.extend(["-p".to_string(), protocol.name()?.to_string()]);
        for (field, option) in [(Field::SourcePort, "--sports"), (Field::DestinationPort, "--dports")] {
            if self.restricts(field) {
                let ranges = self.ranges(field, ':')?;
                // XT_MULTI_PORTS is 15, and a range takes two.
                if ranges.iter().map(|range| 1 + usize::from(range.contains(':'))).sum::<usize>() > 15 {
                    return None;
                }
                words.extend(["-m", "multiport", option, &ranges.join(",")].map(str::to_string));
            }
        }
        for (devices, field) in self.devices_at(hook)? {
            let option = if field == Field::InInterface { "-i" } else { "-o" };
            match devices {
                Devices::NotLoopback => words.extend(["!", option, "lo"].map(str::to_string)),
                Devices::Named(names) => {
                    let [name] = <[String; 1]>::try_from(names).ok()?;
                    words.extend([option.to_string(), name]);
                }
            }
        }
        for (is, field) in self.kinds_at(hook)? {
            words.extend(["-m", "addrtype"].map(str::to_string));
            words.extend((is == Is::Elsewhere).then(|| "!".to_string()));
            words.extend(
                [if field == Field::SourceKind { "--src-type" } else { "--dst-type" }, "LOCAL"].map(str::to_string),
            );
        }
        if !self.restricts(Field::IcmpType) {
            return Some(vec![words]);
        }
        let (module, option) = match protocol {
            Protocol::ICMP => ("icmp", "--icmp-type"),
            _ => ("icmp6", "--icmpv6-type"),
        };
        let types = (0..=255).filter(|kind| self.field(Field::IcmpType).has(*kind));
        let rule = |kind: u128| {
            let asked = ["-m", module, option, &kind.to_string()].map(str::to_string);
            words.iter().cloned().chain(asked).collect()
        };
        Some(types.map(rule).collect())
    }

    fn protocol(&self) -> Option<Protocol> {
        self.field(Field::Protocol).single().and_then(|number| u8::try_from(number).ok()).map(Protocol)
    }

    /// Whether not every value of a field is in it.
    fn restricts(&self, field: Field) -> bool {
        let all = self.version().map(|version| Self::new(self.route(), version));
        all.is_none_or(|all| self.field(field) != all.field(field))
    }

    fn ranges(&self, field: Field, between: char) -> Option<Vec<String>> {
        let version = self.version()?;
        let one = |number: u128| {
            Some(match (field, version) {
                (Field::Source | Field::Destination, IpVersion::V4) => {
                    Ipv4Addr::from_bits(number.try_into().ok()?).to_string()
                }
                (Field::Source | Field::Destination, IpVersion::V6) => Ipv6Addr::from_bits(number).to_string(),
                _ => number.to_string(),
            })
        };
        let range = |span: &Span| {
            let (first, last) = (one(span.first)?, one(span.last)?);
            Some(if first == last { first } else { format!("{first}{between}{last}") })
        };
        self.field(field).spans().iter().map(range).collect()
    }

    /// What must be asked of devices at a hook. Before routing nothing can be asked of the device that a packet will go by.
    fn devices_at(&self, hook: Hook) -> Option<Vec<(Devices, Field)>> {
        let fields: &[Field] = match (self.route(), hook) {
            (Route::Forwarded, Hook::Prerouting) if self.restricts(Field::OutInterface) => return None,
            (Route::ToHost, _) | (Route::Forwarded, Hook::Prerouting) => &[Field::InInterface],
            (Route::FromHost, _) => &[Field::OutInterface],
            (Route::Forwarded, _) => &[Field::InInterface, Field::OutInterface],
        };
        let devices = |field: &Field| {
            Some((if self.restricts(*field) { named(self.field(*field))? } else { Devices::NotLoopback }, *field))
        };
        fields.iter().map(devices).collect()
    }

    /// What must be asked of the kinds of addresses at a hook: where the hook says it already, nothing. `None` where a class asks for
    /// more than its way does.
    fn kinds_at(&self, hook: Hook) -> Option<Vec<(Is, Field)>> {
        if self.restricts(Field::SourceKind) || self.restricts(Field::DestinationKind) {
            return None;
        }
        Some(match (self.route(), hook) {
            (Route::ToHost, Hook::Prerouting) => vec![(Is::Local, Field::DestinationKind)],
            (Route::Forwarded, Hook::Prerouting) => vec![(Is::Elsewhere, Field::DestinationKind)],
            (Route::FromHost, Hook::Postrouting) => vec![(Is::Local, Field::SourceKind)],
            _ => Vec::new(),
        })
    }
}

/// Which devices a rule must ask for.
enum Devices {
    NotLoopback,
    Named(Vec<String>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Is {
    Local,
    Elsewhere,
}

/// The devices' names, where they are whole names that need no quoting.
fn named(numbers: &Numbers) -> Option<Devices> {
    let name = |span: &Span| {
        let bytes = span.first.to_be_bytes();
        let text: String = bytes.iter().take_while(|byte| **byte != 0).map(|byte| char::from(*byte)).collect();
        let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.@:".contains(c));
        (span.first == span.last && !text.is_empty() && is_plain).then_some(text)
    };
    numbers.spans().iter().map(name).collect::<Option<_>>().map(Devices::Named)
}

fn braced(ranges: &[String]) -> String {
    match ranges {
        [one] => one.clone(),
        several => format!("{{ {} }}", several.join(", ")),
    }
}
