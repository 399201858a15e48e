//! Packets of UDP, one by one.

use std::net::{IpAddr, SocketAddr};

use plimsoll_ctnetlink::{Layer4, NewEntry, Protocol, Status, Tuple, Zone};
use plimsoll_draw::Draw;
use plimsoll_lab::{Door, Fate, Firewall, IpOf};
use plimsoll_rules::{
    Direction, Field, IpVersion, Numbers, PacketClass, Route, Tracking, Translated, address_number, interface,
};

/// A packet, and the way that it takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe {
    pub(crate) route: Route,
    /// The side that it comes from, of one from the host that it goes to.
    pub(crate) side: Door,
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
}

pub(crate) const TRACKINGS: [Tracking; 5] = [
    Tracking::NEW,
    Tracking::established(Direction::Original, Translated::No),
    Tracking::established(Direction::Reply, Translated::No),
    Tracking::Untracked,
    Tracking::Invalid,
];

/// Leaves everything untracked, where a bypass would.
pub(crate) const ALL_UNTRACKED: &str = "table inet all_untracked { \
    chain prerouting { type filter hook prerouting priority -301; notrack; }; \
    chain output { type filter hook output priority -301; notrack; }; }\n";

const PORTS: [u16; 8] = [53, 80, 123, 4000, 5000, 5353, 8053, 30053];
const OUTSIDE_V4: [&str; 4] = ["198.51.100.1", "198.51.100.2", "203.0.113.9", "172.17.0.2"];
const OUTSIDE_V6: [&str; 2] = ["2001:db8:f::1", "2001:db8:f::2"];
const INSIDE_V4: [&str; 3] = ["10.0.0.2", "10.1.0.5", "10.244.0.2"];
const INSIDE_V6: [&str; 2] = ["2001:db8:1::2", "2001:db8:1:5::2"];

/// So many packets, drawn by chance.
pub(crate) fn probes(seed: u64, count: usize) -> Vec<Probe> {
    let mut draw = Draw::new(seed);
    (33_000..).take(count).map(|port| one(&mut draw, port)).collect()
}

fn pick<T: Copy>(draw: &mut Draw, from: &[T]) -> T {
    let at = draw.below(u32::try_from(from.len()).unwrap());
    from[usize::try_from(at).unwrap()]
}

/// With a port of its own, so that no packet belongs to another's flow.
fn one(draw: &mut Draw, port: u16) -> Probe {
    let route = pick(draw, &[Route::ToHost, Route::ToHost, Route::FromHost, Route::Forwarded]);
    let side = pick(draw, &[Door::Outside, Door::Inside]);
    let is = pick(draw, &[IpOf::V4, IpOf::V4, IpOf::V6]);
    let at = |draw: &mut Draw, side: Door| -> IpAddr {
        let addresses: &[&str] = match (side, is) {
            (Door::Outside, IpOf::V4) => &OUTSIDE_V4,
            (Door::Outside, IpOf::V6) => &OUTSIDE_V6,
            (Door::Inside, IpOf::V4) => &INSIDE_V4,
            (Door::Inside, IpOf::V6) => &INSIDE_V6,
        };
        pick(draw, addresses).parse().unwrap()
    };
    let opposite = if side == Door::Outside { Door::Inside } else { Door::Outside };
    let (from, to) = match route {
        Route::ToHost => (at(draw, side), side.address(is)),
        Route::FromHost => (side.address(is), at(draw, side)),
        Route::Forwarded => (at(draw, side), at(draw, opposite)),
    };
    let service = pick(draw, &PORTS);
    let ports = pick(draw, &[[port, service], [port, service], [service, port]]);
    Probe { route, side, from: SocketAddr::new(from, ports[0]), to: SocketAddr::new(to, ports[1]) }
}

impl Probe {
    /// The class of this packet alone.
    pub(crate) fn class(&self) -> PacketClass {
        let version = if self.from.is_ipv4() { IpVersion::V4 } else { IpVersion::V6 };
        let device = |side: Door| interface(side.device()).unwrap();
        let class = PacketClass::new(self.route, version)
            .of(Protocol::UDP)
            .with(Field::Source, &Numbers::one(address_number(self.from.ip())))
            .with(Field::Destination, &Numbers::one(address_number(self.to.ip())))
            .with(Field::SourcePort, &Numbers::one(self.from.port().into()))
            .with(Field::DestinationPort, &Numbers::one(self.to.port().into()));
        let other = if self.side == Door::Outside { Door::Inside } else { Door::Outside };
        match self.route {
            Route::ToHost => class.with(Field::InInterface, &device(self.side)),
            Route::FromHost => class.with(Field::OutInterface, &device(self.side)),
            Route::Forwarded => {
                class.with(Field::InInterface, &device(self.side)).with(Field::OutInterface, &device(other))
            }
        }
    }

    /// Has the packet be in this state: makes the entry that it belongs to.
    pub(crate) fn prepare(&self, firewall: &Firewall, tracking: Tracking) {
        let this = Tuple {
            source: self.from.ip(),
            destination: self.to.ip(),
            protocol: Protocol::UDP,
            layer4: Layer4::Ports { source: self.from.port(), destination: self.to.port() },
        };
        let original = match tracking {
            Tracking::Entry { direction: Direction::Reply, .. } => this.mirrored(),
            _ => this,
        };
        let entry = NewEntry {
            original,
            reply: original.mirrored(),
            zone: Zone(0),
            status: Status::SEEN_REPLY,
            tcp_state: None,
            timeout_secs: 600,
        };
        if matches!(tracking, Tracking::Entry { .. }) && tracking != Tracking::NEW {
            assert_eq!(firewall.namespace().fill([entry]).unwrap(), 1);
        }
    }

    /// Sends it as one that tracking makes nothing of. `None` where its fate would not tell: sockets do not take such packets, and those of
    /// this host are well-formed.
    pub(crate) fn send_malformed(&self, firewall: &Firewall) -> Option<Fate> {
        (self.route == Route::Forwarded)
            .then(|| firewall.is_forwarded_malformed(self.side, self.from, self.to).unwrap())
    }

    pub(crate) fn send(&self, firewall: &Firewall) -> Fate {
        match self.route {
            Route::ToHost => firewall.arrives(self.side, self.from, self.to).unwrap(),
            Route::FromHost => firewall.leaves(self.side, self.from, self.to).unwrap(),
            Route::Forwarded => firewall.is_forwarded(self.side, self.from, self.to).unwrap(),
        }
    }
}
