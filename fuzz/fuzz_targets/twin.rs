//! Any bytes, taken for a sequence of datagrams to a small table: no panic, and counts stay in step.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use plimsoll_model::{Buckets, Capacity};
use plimsoll_twin::parse::{self, Checksums};
use plimsoll_twin::{Capabilities, HostSettings, NoRules, Settings, Twin};

fuzz_target!(|bytes: &[u8]| {
    let mut twin = Twin::new(HostSettings {
        buckets: Buckets(4),
        capacity: Capacity(6),
        ..HostSettings::stock(Capabilities::LINUX_6_18, 1)
    });
    let namespace = twin.add_namespace(Settings { translates: true, ..Settings::default() });
    let mut now = Duration::ZERO;
    let mut rest = bytes;
    // A byte of length, a byte of waiting, a datagram.
    while let [length, wait, behind @ ..] = rest {
        let (datagram, others) = behind.split_at(usize::from(*length).min(behind.len()));
        now += Duration::from_millis(u64::from(*wait).pow(2));
        let packet = parse::packet(datagram, Checksums::Ignored, twin.capabilities());
        twin.pass(now, namespace.into(), &packet, &mut NoRules);
        assert!(twin.entries(now, namespace).count() <= twin.occupancy(namespace).0 as usize);
        assert!(twin.occupancy(namespace).0 <= 7);
        rest = others;
    }
});
