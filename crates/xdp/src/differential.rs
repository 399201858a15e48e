//! The program in the kernel against the same decision in Rust, packet by packet (`BPF_PROG_TEST_RUN`). Needs root.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use aya::TestRunOptions;
use aya::programs::TestRun;
use plimsoll_host::boottime_now;
use plimsoll_model::Network;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::decision::Decider;
use crate::program::Loaded;
use crate::testing::{empty, lists, number};
use crate::{Action, Config, Dropped, Hit, Limit, Outcome, Passed, Ports, Rate, Rates, Room, Scope};

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// One program, under one configuration after another: buckets and counts stay, all else is replaced.
    #[test]
    fn the_program_decides_as_it_should(stages in vec((config(), vec(frame(), 100)), 6)) {
        let mut loaded = Loaded::load(empty().room).expect("loading an XDP program takes root");
        let mut decider = Decider::new(empty());
        let mut expected = [0; Outcome::ALL.len()];
        for (config, frames) in stages {
            loaded.maps.write(&config).unwrap();
            decider.config = config;
            for frame in frames {
                let outcome = decider.decide(&frame, boottime_now());
                expected[Outcome::ALL.iter().position(|other| *other == outcome).unwrap()] += 1;
                let drops = run(&loaded, &frame);
                prop_assert_eq!(drops, matches!(outcome, Outcome::Dropped(_)), "{:?} {:02x?}", outcome, frame);
                let counts = loaded.maps.counts().unwrap();
                let as_expected = counts.all().map(|(_, packets)| packets).eq(expected);
                prop_assert!(as_expected, "{:?} {:?} {:02x?}", outcome, counts, frame);
            }
            prop_assert_eq!(hits(&loaded), decider.hits.clone());
        }
    }
}

/// A map that is full fails open: it forgets sources, and drops nobody for want of room.
#[test]
fn more_sources_than_there_is_room_for_all_pass() {
    let room = Room { sources: number(512), ..empty().room };
    let rate = Rate::each(Duration::from_hours(1), number(1)).unwrap();
    let limit = Limit { ports: Ports::All, rates: Some(Rates::Source(rate)) };
    let mut loaded = Loaded::load(room).expect("loading an XDP program takes root");
    loaded.maps.write(&Config { udp: Some(limit), ..empty() }).unwrap();
    for source in 0..10_000_u16 {
        let [high, low] = source.to_be_bytes();
        let mut frame = vec![2; 12];
        frame.extend([8, 0, 0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, high, low, 192, 0, 2, 1]);
        frame.extend([0, 9, 0, 9, 0, 8, 0, 0]);
        assert!(!run(&loaded, &frame), "{source}");
    }
    let counts = loaded.maps.counts().unwrap();
    assert_eq!(counts.of(Outcome::Passed(Passed::WithinLimit)), 10_000, "{counts:?}");
}

/// A source that was hit long ago begins anew; more than there is room for are counted, until others were forgotten.
#[test]
fn whom_it_hits_is_noted_for_a_minute_and_while_there_is_room() {
    let room = Room { hits: number(2), ..empty().room };
    let mut loaded = Loaded::load(room).expect("loading an XDP program takes root");
    loaded.maps.write(&lists(&[], &[("10.0.0.0/8", u64::MAX >> 32)])).unwrap();
    let source = |number: u8| IpAddr::from([10, 0, 0, number]);
    let hit = |number: u8| {
        let mut frame = vec![2; 12];
        frame.extend([8, 0, 0x45, 0, 0, 20, 0, 1, 0, 0, 64, 59, 0, 0, 10, 0, 0, number, 192, 0, 2, 1]);
        move |loaded: &Loaded| assert!(run(loaded, &frame))
    };
    let before = boottime_now();
    loaded.maps.note(Hit { source: source(1), packets: 70, last: before.saturating_sub(Duration::from_secs(61)) });
    loaded.maps.note(Hit { source: source(2), packets: 70, last: before.saturating_sub(Duration::from_secs(5)) });
    hit(1)(&loaded);
    hit(2)(&loaded);
    assert_eq!(hits(&loaded), BTreeMap::from([(source(1), 1), (source(2), 71)]));
    assert_eq!(loaded.maps.unnoted().unwrap().packets, 0);

    (0..3).for_each(|_| hit(3)(&loaded));
    let unnoted = loaded.maps.unnoted().unwrap();
    assert!(unnoted.packets == 3 && unnoted.last >= before, "{unnoted:?}");
    (0..2).for_each(|_| loaded.maps.forget(source(1)).unwrap());
    hit(3)(&loaded);
    assert_eq!(hits(&loaded), BTreeMap::from([(source(2), 71), (source(3), 1)]));
    assert_eq!(loaded.maps.unnoted().unwrap().packets, 3);
}

/// Packets that were dropped, by their source.
fn hits(loaded: &Loaded) -> BTreeMap<IpAddr, u64> {
    loaded.maps.hits().unwrap().into_iter().map(|hit| (hit.source, hit.packets)).collect()
}

/// Whether the program drops a frame.
fn run(loaded: &Loaded, frame: &[u8]) -> bool {
    let options = TestRunOptions { data_in: Some(frame), ..TestRunOptions::default() };
    match loaded.program().unwrap().test_run(options).unwrap().return_value {
        1 => true,
        2 => false,
        other => panic!("{other} is neither XDP_DROP nor XDP_PASS"),
    }
}

/// Times and rates that come out the same whenever in the test they are looked at: long ago or long from now.
fn config() -> impl Strategy<Value = Config> {
    let until = prop_oneof![1 => Just(false), 9 => Just(true)].prop_map(soon);
    let dropped = (network(), any::<bool>().prop_map(soon)).prop_map(|(network, until)| Dropped { network, until });
    let action = select(vec![Action::Shadow, Action::Enforce]);
    let dropped = (vec(dropped, 0..6), select(vec![Scope::All, Scope::Limited]));
    (until, action, vec(network(), 0..4), dropped, option::of(limit()), option::of(limit())).prop_map(
        |(until, action, allowed, (dropped, scope), tcp, udp)| Config {
            until,
            action,
            allowed,
            dropped,
            scope,
            tcp,
            udp,
            ..empty()
        },
    )
}

fn soon(is_ahead: bool) -> Duration {
    if is_ahead { boottime_now() + Duration::from_hours(1) } else { boottime_now() }
}

fn limit() -> impl Strategy<Value = Limit> {
    let ports = prop_oneof![
        Just(Ports::All),
        proptest::collection::btree_set(select(vec![0, 7, 443, 444, 65535]), 0..3).prop_map(Ports::These)
    ];
    let interval = select(vec![Duration::from_hours(1), Duration::from_nanos(1)]);
    let rate = (interval, 1..4_u32).prop_map(|(interval, burst)| Rate::each(interval, number(burst)).unwrap());
    let rates = prop_oneof![
        rate.clone().prop_map(Rates::Source),
        rate.clone().prop_map(Rates::Prefix),
        (rate.clone(), rate).prop_map(|(source, prefix)| Rates::Both { source, prefix }),
    ];
    (ports, option::weighted(0.8, rates)).prop_map(|(ports, rates)| Limit { ports, rates })
}

/// Few addresses, so that packets meet networks and each other.
fn v4() -> impl Strategy<Value = Ipv4Addr> {
    select(vec![[192, 0, 2, 1], [192, 0, 2, 2], [192, 0, 3, 1], [198, 51, 100, 7], [0, 0, 0, 0]])
        .prop_map(Ipv4Addr::from)
}

fn v6() -> impl Strategy<Value = Ipv6Addr> {
    let addresses = ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "::ffff:192.0.2.1", "::"];
    select(addresses.map(|address| address.parse::<Ipv6Addr>().unwrap()).to_vec())
}

fn network() -> impl Strategy<Value = Network> {
    let v4 = (v4(), select(vec![0, 8, 23, 24, 31, 32])).prop_map(|(address, bits)| {
        let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
        format!("{}/{bits}", Ipv4Addr::from_bits(address.to_bits() & mask)).parse().unwrap()
    });
    let v6 = (v6(), select(vec![0, 33, 63, 64, 127, 128])).prop_map(|(address, bits)| {
        let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
        format!("{}/{bits}", Ipv6Addr::from_bits(address.to_bits() & mask)).parse().unwrap()
    });
    prop_oneof![v4, v6]
}

/// A frame, whole or harmed. The kernel runs none that is shorter than Ethernet's header or longer than a page.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let whole = (vec(select(vec![0x8100_u16, 0x88a8]), 0..3), prop_oneof![ipv4(), ipv6(), other()]);
    let whole = whole.prop_map(|(tags, (kind, packet))| {
        let mut frame = vec![2; 12];
        for tag in tags {
            frame.extend(tag.to_be_bytes());
            frame.extend([0, 7]);
        }
        frame.extend(kind.to_be_bytes());
        frame.extend(packet);
        frame
    });
    let harm = prop_oneof![
        6 => Just(None),
        2 => any::<Index>().prop_map(|at| Some((at, None))),
        2 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Some((at, Some(byte)))),
    ];
    (whole, harm).prop_map(|(mut frame, harm)| {
        match harm {
            None => {}
            Some((at, None)) => frame.truncate(at.index(frame.len())),
            // Headers are where it hurts.
            Some((at, Some(byte))) => {
                let at = at.index(frame.len().min(80));
                frame[at] = byte;
            }
        }
        frame.truncate(3000);
        frame.resize(frame.len().max(14), 0);
        frame
    })
}

fn other() -> impl Strategy<Value = (u16, Vec<u8>)> {
    (select(vec![0x0806, 0x86dd, 0x0800, 0x8100, 0x8847]), vec(any::<u8>(), 0..60))
}

fn ipv4() -> impl Strategy<Value = (u16, Vec<u8>)> {
    let fragment = prop_oneof![6 => Just(0_u16), 1 => Just(0x2000), 1 => Just(0x2001), 1 => Just(0x00b9)];
    (v4(), vec(any::<[u8; 4]>(), 0..11), fragment, transport(), beyond(), 0..9_usize).prop_map(
        |(source, options, fragment, (protocol, payload), beyond, padding)| {
            let header_bytes = 20 + options.len() * 4;
            let mut packet = vec![0x40 | u8::try_from(header_bytes / 4).unwrap(), 0];
            packet.extend(length(header_bytes + payload.len(), beyond));
            packet.extend([0, 1]);
            packet.extend(fragment.to_be_bytes());
            packet.extend([64, protocol, 0, 0]);
            packet.extend(source.octets());
            packet.extend([10, 0, 0, 1]);
            packet.extend(options.concat());
            packet.extend(payload);
            packet.resize(packet.len() + padding, 0);
            (0x0800, packet)
        },
    )
}

fn ipv6() -> impl Strategy<Value = (u16, Vec<u8>)> {
    let extension = (select(vec![0_u8, 43, 44, 51, 60, 135, 50]), 0..40_u8, select(vec![0_u16, 1, 8, 0xfff8]));
    let extensions = prop_oneof![2 => Just(Vec::new()), 3 => vec(extension.clone(), 1..4), 1 => vec(extension, 7..10)];
    let parts = (v6(), extensions, transport(), beyond(), 0..9_usize);
    parts.prop_map(|(source, extensions, (protocol, payload), beyond, padding)| {
        let mut behind = payload;
        let mut next = protocol;
        for (kind, length, fragment) in extensions.into_iter().rev() {
            let bytes = match kind {
                44 => 8,
                51 => usize::from(length) * 4 + 8,
                _ => usize::from(length) * 8 + 8,
            };
            let mut header = vec![0; bytes];
            header[0] = next;
            header[1] = length;
            header[2..4].copy_from_slice(&fragment.to_be_bytes());
            header.extend(behind);
            (behind, next) = (header, kind);
        }
        let mut packet = vec![0x60, 0, 0, 0];
        packet.extend(length(behind.len(), beyond));
        packet.extend([next, 64]);
        packet.extend(source.octets());
        packet.extend(Ipv6Addr::LOCALHOST.octets());
        packet.extend(behind);
        packet.resize(packet.len() + padding, 0);
        (0x86dd, packet)
    })
}

/// By how many bytes the header says less than there is.
fn beyond() -> impl Strategy<Value = usize> {
    prop_oneof![3 => Just(0), 1 => 0..40_usize]
}

fn length(bytes: usize, beyond: usize) -> [u8; 2] {
    u16::try_from(bytes.saturating_sub(beyond)).unwrap().to_be_bytes()
}

fn transport() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let port = select(vec![0_u16, 7, 443, 444, 65535]);
    let tcp = (
        port.clone(),
        prop_oneof![3 => Just(0x02_u8), 1 => select(vec![0x03_u8, 0x06, 0x12, 0xc2]), 1 => any::<u8>()],
        0..30_usize,
    );
    let tcp = tcp.prop_map(|(port, flags, more)| {
        let mut header = vec![0; 20 + more];
        header[2..4].copy_from_slice(&port.to_be_bytes());
        header[13] = flags;
        (6, header)
    });
    let udp = (port, 0..30_usize).prop_map(|(port, more)| {
        let mut header = vec![0; 8 + more];
        header[2..4].copy_from_slice(&port.to_be_bytes());
        (17, header)
    });
    prop_oneof![4 => tcp, 3 => udp, 1 => (any::<u8>(), vec(any::<u8>(), 0..30))]
}
