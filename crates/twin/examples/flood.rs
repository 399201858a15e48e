//! A SYN flood against a table of 524,288 entries, and what is left for a client who comes while it lasts.
//!
//!     cargo run --release -p plimsoll-twin --example flood

use std::net::Ipv4Addr;
use std::time::Duration;

use plimsoll_model::{Buckets, Capacity, Counter, Layer4, Protocol, Tuple};
use plimsoll_twin::packet::{Content, Packet, Segment, flags};
use plimsoll_twin::{Capabilities, HostSettings, NoRules, RemovedBy, Settings, Twin, Verdict};

const CAPACITY: u32 = 524_288;
const SYNS_PER_SEC: u32 = 10_000;

fn main() {
    let mut twin = Twin::new(HostSettings {
        buckets: Buckets(CAPACITY),
        capacity: Capacity(CAPACITY),
        ..HostSettings::stock(Capabilities::LINUX_6_18, 1)
    });
    let namespace = twin.add_namespace(Settings::default());
    let mut full_at = None;
    let mut served = 0;
    for number in 0..SYNS_PER_SEC * 90 {
        let now = Duration::from_secs(1) / SYNS_PER_SEC * number;
        let source = Ipv4Addr::from_bits(0x0a00_0000 | number);
        twin.pass(now, namespace.into(), &syn(source, number), &mut NoRules);
        if twin.occupancy(namespace).0 == CAPACITY {
            full_at.get_or_insert(now);
        }
        // A client a second.
        if number % SYNS_PER_SEC == 0 {
            let client = Ipv4Addr::from_bits(0xac10_0000 | (number / SYNS_PER_SEC));
            let verdict = twin.pass(now, namespace.into(), &syn(client, 1), &mut NoRules);
            served += u32::from(matches!(verdict, Verdict::Passed { .. }));
        }
    }
    match full_at {
        Some(at) => println!("full after {:.1} s", at.as_secs_f64()),
        None => println!("never full"),
    }
    println!("entries dropped early: {}", twin.removals(namespace).by(RemovedBy::EarlyDrop));
    println!("packets dropped: {}", twin.counters(namespace).get(Counter::Drop));
    println!("clients let in: {served} of 90");
    println!("memory: {} MiB", twin.memory().total_bytes() >> 20);
}

fn syn<'a>(source: Ipv4Addr, sequence: u32) -> Packet<'a> {
    let tuple = Tuple {
        source: source.into(),
        destination: Ipv4Addr::new(192, 0, 2, 1).into(),
        protocol: Protocol::TCP,
        layer4: Layer4::Ports { source: 1024, destination: 443 },
    };
    Packet::Flow { tuple, content: Content::Tcp(Segment::new(flags::SYN, sequence, 0, 65_535)) }
}
