//! What entries of other kinds take: those with IPv6 addresses, and those that are translated.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::Command;
use std::time::Duration;

use plimsoll_model::{Buckets, Capacity, Tuple};
use plimsoll_twin::packet::{Content, Packet, Segment, flags};
use plimsoll_twin::{Capabilities, HostSettings, NatRange, NewFlow, NoRules, Rules, Ruling, Settings, Twin};

use crate::flows::tuple;
use crate::resident;

/// Each client is translated to another address.
struct Gateway;

impl Rules for Gateway {
    fn rule(&mut self, new: &NewFlow) -> Ruling {
        let ports = None;
        let source = match new.tuple().source {
            IpAddr::V4(client) => {
                NatRange { address: Ipv4Addr::from_bits(!client.to_bits()).into(), ports, is_masquerade: false }
            }
            IpAddr::V6(_) => return Ruling::default(),
        };
        Ruling { source: Some(source), ..Ruling::default() }
    }
}

/// A kind of entries.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    name: &'static str,
    bytes: fn(u32) -> f64,
}

const KINDS: [Kind; 3] = [
    Kind { name: "IPv4", bytes: |flows| bytes(flows, tuple, &mut NoRules) },
    Kind { name: "IPv4, translated", bytes: |flows| bytes(flows, tuple, &mut Gateway) },
    Kind { name: "IPv6", bytes: |flows| bytes(flows, wide, &mut NoRules) },
];

/// Each kind in a process of its own, in which nothing is left of other tables.
pub(crate) fn measure(flows: u32) {
    for Kind { name, .. } in KINDS {
        let own = std::env::current_exe().expect("its own name");
        let process = Command::new(own).args(["--bench", "--flows", &flows.to_string(), "--entries", name]).output();
        let output = process.expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        println!("bytes an entry, {name:<20}{}", String::from_utf8_lossy(&output.stdout).trim());
    }
}

/// What that process does.
pub(crate) fn show(kind: Kind, flows: u32) {
    println!("{:.0}", (kind.bytes)(flows));
}

impl Kind {
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        KINDS.into_iter().find(|kind| kind.name == name)
    }
}

fn wide(flow: u32) -> Tuple {
    let narrow = tuple(flow);
    Tuple { source: mapped(narrow.source), destination: mapped(narrow.destination), ..narrow }
}

/// In a table with as many buckets as entries.
fn bytes(flows: u32, tuple: impl Fn(u32) -> Tuple, rules: &mut impl Rules) -> f64 {
    let before = resident::bytes();
    let mut twin = Twin::new(HostSettings {
        buckets: Buckets(flows),
        capacity: Capacity(flows),
        ..HostSettings::stock(Capabilities::LINUX_6_18, 1)
    });
    let namespace = twin.add_namespace(Settings::default());
    let content = Content::Tcp(Segment::new(flags::SYN, 0, 0, 65_535));
    for flow in 0..flows {
        let packet = Packet::Flow { tuple: tuple(flow), content };
        let _ = twin.pass(Duration::ZERO, namespace.into(), &packet, rules);
    }
    assert_eq!(twin.occupancy(namespace).0, flows, "a flow was refused");
    resident::bytes().saturating_sub(before) as f64 / f64::from(flows)
}

fn mapped(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(address.to_bits())).into(),
        IpAddr::V6(address) => address.into(),
    }
}
