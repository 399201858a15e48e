//! A small twin, and packets to send through it.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use plimsoll_model::{Buckets, Capacity, Layer4, NewEntry, Protocol, Status, TcpState, Tuple, Zone};
use plimsoll_twin::packet::{Content, Packet, Segment};
use plimsoll_twin::{
    Capabilities, DropReason, EntryId, HostSettings, NamespaceId, NoRules, Place, Settings, Twin, Verdict,
};

pub(crate) const START: Duration = Duration::ZERO;

pub(crate) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A host with one namespace; gc first comes a minute after the start.
pub(crate) fn host(buckets: u32, capacity: u32) -> (Twin, NamespaceId) {
    host_of(Capabilities::LINUX_6_18, buckets, capacity)
}

pub(crate) fn host_of(capabilities: Capabilities, buckets: u32, capacity: u32) -> (Twin, NamespaceId) {
    let mut twin = Twin::new(HostSettings {
        buckets: Buckets(buckets),
        capacity: Capacity(capacity),
        first_collection: secs(60),
        ..HostSettings::stock(capabilities, 7)
    });
    let namespace = twin.add_namespace(Settings::default());
    (twin, namespace)
}

pub(crate) fn udp(client: u32, port: u16) -> Tuple {
    Tuple {
        source: IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 | client)),
        destination: "192.0.2.1".parse().unwrap(),
        protocol: Protocol::UDP,
        layer4: Layer4::Ports { source: 40_000, destination: port },
    }
}

pub(crate) fn tcp(client: u32, source: u16) -> Tuple {
    Tuple { protocol: Protocol::TCP, layer4: Layer4::Ports { source, destination: 443 }, ..udp(client, 0) }
}

pub(crate) const fn plain<'a>(tuple: Tuple) -> Packet<'a> {
    Packet::Flow { tuple, content: Content::Plain }
}

pub(crate) const fn segment<'a>(tuple: Tuple, flags: u8, sequence: u32, acknowledgement: u32) -> Packet<'a> {
    let content = Content::Tcp(Segment::new(flags, sequence, acknowledgement, 65_535));
    Packet::Flow { tuple, content }
}

pub(crate) fn pass(twin: &mut Twin, at: Duration, place: impl Into<Place>, packet: &Packet<'_>) -> Verdict {
    twin.pass(at, place.into(), packet, &mut NoRules)
}

/// Sends a packet of each of so many flows, and counts those that were refused.
pub(crate) fn flood(twin: &mut Twin, at: Duration, namespace: NamespaceId, clients: std::ops::Range<u32>) -> usize {
    let full = Verdict::Dropped(DropReason::TableFull);
    clients.filter(|client| pass(twin, at, namespace, &plain(udp(*client, 53))) == full).count()
}

pub(crate) fn entry_of(verdict: Verdict) -> EntryId {
    match verdict {
        Verdict::Passed { entry, .. } => entry,
        other => panic!("{other:?}"),
    }
}

/// An entry of a flow that has seen much.
pub(crate) fn held(client: u32, state: TcpState) -> NewEntry {
    let original = tcp(client, 1024);
    NewEntry {
        original,
        reply: original.mirrored(),
        zone: Zone::default(),
        status: Status::SEEN_REPLY.and(Status::ASSURED),
        tcp_state: Some(state),
        timeout_secs: 3600,
    }
}

pub(crate) fn hold(twin: &mut Twin, namespace: NamespaceId, clients: std::ops::Range<u32>, state: TcpState) {
    for client in clients {
        twin.insert(START, namespace, &held(client, state)).unwrap();
    }
}
