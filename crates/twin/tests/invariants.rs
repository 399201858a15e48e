//! What holds whatever comes: random packets, settings and deletions in any order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use plimsoll_draw::Draw;
use plimsoll_model::{Buckets, Capacity, Counter, Layer4, Protocol, Tuple, Zone};
use plimsoll_twin::packet::{Content, IcmpError, Packet, Segment};
use plimsoll_twin::parse::{self, Checksums};
use plimsoll_twin::{
    Arrival, Asked, Capabilities, Direction, EntryId, HostSettings, NamespaceId, NatRange, NewFlow, PortRange,
    RemovedBy, Rules, Ruling, Settings, Tracked, Twin, Verdict,
};

struct Sometimes(Draw);

impl Rules for Sometimes {
    fn rule(&mut self, new: &NewFlow) -> Ruling {
        let address = match new.tuple().source {
            IpAddr::V4(_) => Ipv4Addr::new(203, 0, 113, 1).into(),
            IpAddr::V6(_) => Ipv6Addr::from_bits(0x2001_0db8 << 96 | 0xffff).into(),
        };
        let range = |ports| NatRange { address, ports, is_masquerade: false };
        Ruling {
            source: (self.0.below(3) == 0).then(|| range(Some(PortRange { first: 1, last: 50 }))),
            destination: (self.0.below(5) == 0).then(|| range(None)),
            ..Ruling::default()
        }
    }
}

fn tuple(draw: &mut Draw) -> Tuple {
    let protocol = [Protocol::TCP, Protocol::UDP, Protocol::GRE, Protocol(99)][draw.below(4) as usize];
    let is_v6 = draw.below(4) == 0;
    let host = |draw: &mut Draw| match draw.below(12) {
        host if is_v6 => Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(host)).into(),
        host => Ipv4Addr::from_bits(0x0a00_0000 | host).into(),
    };
    let port = |draw: &mut Draw| u16::try_from(1 + draw.below(4)).unwrap();
    Tuple {
        source: host(draw),
        destination: host(draw),
        protocol,
        layer4: match protocol {
            Protocol(99) => Layer4::None,
            _ => Layer4::Ports { source: port(draw), destination: port(draw) },
        },
    }
}

fn content<'a>(draw: &mut Draw, protocol: Protocol) -> Content<'a> {
    if protocol != Protocol::TCP {
        return Content::Plain;
    }
    let mut number = |below| draw.below(below);
    let flags = u8::try_from(number(64)).unwrap();
    Content::Tcp(Segment::new(flags, number(2000), number(2000), u16::try_from(number(2000)).unwrap()))
}

#[test]
fn counts_chains_and_names_stay_in_step() {
    for seed in 0..40 {
        let mut draw = Draw::new(seed);
        let presets = Capabilities::PRESETS;
        let capabilities = presets[draw.below(u32::try_from(presets.len()).unwrap()) as usize].1;
        let mut twin = Twin::new(HostSettings {
            buckets: Buckets(1 + draw.below(200)),
            capacity: Capacity(50 + draw.below(300)),
            first_collection: Duration::from_secs(draw.below(60).into()),
            ..HostSettings::stock(capabilities, seed)
        });
        let namespaces = [Settings::default(), Settings { translates: true, ..Settings::default() }]
            .map(|settings| twin.add_namespace(settings));
        let mut rules = Sometimes(Draw::new(seed));
        let mut now = Duration::ZERO;
        let mut on_their_way: Vec<NewFlow> = Vec::new();
        let mut known: Vec<EntryId> = Vec::new();
        for step in 0..3000 {
            now += Duration::from_millis(draw.below(400).into());
            let namespace = namespaces[draw.below(2) as usize];
            let place = plimsoll_twin::Place { namespace, zone: Zone(u16::try_from(draw.below(2)).unwrap()) };
            let tuple = tuple(&mut draw);
            let packet = Packet::Flow { tuple, content: content(&mut draw, tuple.protocol) };
            match draw.below(20) {
                0 => {
                    if let Tracked::New(new) = twin.track(now, place, &packet) {
                        on_their_way.push(new);
                    }
                }
                1 if !on_their_way.is_empty() => {
                    twin.complete(now, on_their_way.swap_remove(0), &mut rules);
                }
                2 if !on_their_way.is_empty() => twin.abandon(on_their_way.swap_remove(0)),
                3 if !known.is_empty() => {
                    let at = draw.below(u32::try_from(known.len()).unwrap()) as usize;
                    twin.delete(known.swap_remove(at));
                }
                4 if step % 7 == 0 => twin.set_buckets(Buckets(1 + draw.below(300))),
                5 if step % 7 == 0 => twin.set_capacity(Capacity(20 + draw.below(300))),
                6 if step % 31 == 0 => drop(twin.dump(now, namespace)),
                _ => {
                    if let Verdict::Passed { entry, .. } = twin.pass(now, place, &packet, &mut rules) {
                        known.push(entry);
                    }
                }
            }
            if step % 100 == 0 {
                are_in_step(&twin, now, &namespaces);
            }
        }
        for new in on_their_way {
            twin.abandon(new);
        }
        for entry in known {
            twin.delete(entry);
        }
        // What merged with another's or came by an answer may be left: an hour later it has expired.
        now += Duration::from_hours(24 * 10);
        for namespace in namespaces {
            assert!(twin.dump(now, namespace).is_empty(), "seed {seed}");
            assert_eq!(twin.occupancy(namespace).0, 0, "seed {seed}");
            let removed: u64 = RemovedBy::ALL.iter().map(|by| twin.removals(namespace).by(*by)).sum();
            assert!(removed > 0 && twin.counters(namespace).get(Counter::Invalid) > 0, "seed {seed}");
        }
        assert_eq!(twin.memory().extensions_bytes + twin.memory().objects_bytes, 0, "seed {seed}");
        assert_eq!(twin.chain_lengths().longest(), 0, "seed {seed}");
    }
}

/// Each entry is found by both its tuples, and no more are shown than counted.
fn are_in_step(twin: &Twin, now: Duration, namespaces: &[NamespaceId]) {
    for namespace in namespaces {
        let shown: Vec<_> = twin.entries(now, *namespace).collect();
        assert!(shown.len() <= twin.occupancy(*namespace).0 as usize);
        for entry in shown {
            let place = plimsoll_twin::Place { namespace: *namespace, zone: entry.zone };
            let (by_original, original) = twin.lookup(now, place, &entry.original).unwrap();
            let (by_reply, _) = twin.lookup(now, place, &entry.reply).unwrap();
            assert_eq!(by_original, by_reply);
            // Who talks to himself by one port is his own answer.
            assert!(original == Direction::Original || entry.original == entry.reply);
        }
    }
}

/// A batch is its packets, one after the other: the same becomes of each, and the same is left behind.
#[test]
fn a_batch_is_its_packets() {
    for seed in 0..10 {
        let mut draw = Draw::new(seed);
        let twin = || {
            let mut twin = Twin::new(HostSettings {
                buckets: Buckets(64),
                capacity: Capacity(200),
                ..HostSettings::stock(Capabilities::LINUX_6_18, seed)
            });
            let translates = Settings { translates: true, ..Settings::default() };
            let namespaces = [Settings::default(), translates].map(|settings| twin.add_namespace(settings));
            (twin, namespaces)
        };
        let ((mut one, namespaces), (mut many, _), (mut foreseeing, _)) = (twin(), twin(), twin());
        let [mut rules_of_one, mut rules_of_many, mut rules_of_foreseeing] =
            [(); 3].map(|()| Sometimes(Draw::new(seed)));
        let mut at = Duration::ZERO;
        let mut tuples = Vec::new();
        // The entry that each tuple had last.
        let mut had = HashMap::new();
        for length in [0, 1, 2, 7, 63, 64, 65, 1000, 3000] {
            let arrivals: Vec<_> = (0..length)
                .map(|_| {
                    at += Duration::from_millis(draw.below(400).into());
                    tuples.push(tuple(&mut draw));
                    let earlier = tuples[draw.below(u32::try_from(tuples.len()).unwrap()) as usize];
                    let packet = match draw.below(20) {
                        0 => Packet::IcmpError(IcmpError {
                            destination: earlier.source,
                            is_translatable: true,
                            about: Some(earlier),
                        }),
                        1 => Packet::Unreadable,
                        2..10 => {
                            let answer = earlier.mirrored();
                            Packet::Flow { tuple: answer, content: content(&mut draw, answer.protocol) }
                        }
                        _ => Packet::Flow { tuple: earlier, content: content(&mut draw, earlier.protocol) },
                    };
                    Arrival { at, place: namespaces[draw.below(2) as usize].into(), packet }
                })
                .collect();
            let by_one: Vec<_> = arrivals
                .iter()
                .map(|arrival| one.pass(arrival.at, arrival.place, &arrival.packet, &mut rules_of_one))
                .collect();
            let mut by_many = Vec::new();
            many.pass_batch(&arrivals, &mut rules_of_many, &mut by_many);
            assert_eq!(by_one, by_many, "seed {seed}, {length} packets");
            let mut to_come: Vec<(&Arrival<'_>, Option<Asked>)> =
                arrivals.iter().map(|arrival| (arrival, None)).collect();
            let mut by_foreseeing = Vec::new();
            let mut last = None;
            for turn in 0..to_come.len() + Twin::TURNS_AHEAD {
                if let Some((Arrival { place, packet: Packet::Flow { tuple, .. }, .. }, asked)) = to_come.get_mut(turn)
                {
                    let asked = asked.insert(foreseeing.asker(*place).ask(tuple));
                    // Where its entry was once, or is; or somebody else's.
                    let where_to_look = match draw.below(4) {
                        0 | 1 => had.get(&(place.namespace, *tuple)).copied(),
                        2 => last,
                        _ => None,
                    };
                    if let Some(entry) = where_to_look {
                        foreseeing.ask_for(entry);
                        asked.found(entry);
                    }
                }
                foreseeing.go_ahead(&mut to_come, turn, |(_, asked)| asked.as_mut());
                let Some((arrival, asked)) = turn.checked_sub(Twin::TURNS_AHEAD).map(|turn| &to_come[turn]) else {
                    continue;
                };
                let rules = &mut rules_of_foreseeing;
                by_foreseeing.push(match (asked, &arrival.packet) {
                    (Some(asked), Packet::Flow { tuple, content }) => {
                        assert_eq!((asked.tuple(), asked.place()), (*tuple, arrival.place));
                        foreseeing.pass_asked_for(arrival.at, asked, content, rules)
                    }
                    (_, packet) => foreseeing.pass(arrival.at, arrival.place, packet, rules),
                });
                if let Some(Verdict::Passed { entry, .. }) = by_foreseeing.last() {
                    last = Some(*entry);
                    if let Packet::Flow { tuple, .. } = &arrival.packet {
                        had.insert((arrival.place.namespace, *tuple), *entry);
                    }
                }
                // To look is not to touch.
                foreseeing.live(arrival.at, arrival.place.namespace);
            }
            assert_eq!(by_one, by_foreseeing, "seed {seed}, {length} packets");
            for (namespace, other) in
                namespaces.into_iter().flat_map(|namespace| [(namespace, &many), (namespace, &foreseeing)])
            {
                assert_eq!(one.counters(namespace), other.counters(namespace));
                assert_eq!(one.removals(namespace), other.removals(namespace));
                assert!(one.entries(at, namespace).eq(other.entries(at, namespace)));
            }
        }
    }
}

/// Whatever the bytes are, something becomes of them.
#[test]
fn any_bytes_are_a_packet() {
    let mut draw = Draw::new(3);
    let mut twin = Twin::new(HostSettings::stock(Capabilities::LINUX_6_18, 1));
    let namespace = twin.add_namespace(Settings::default());
    let headers: [&[u8]; 3] =
        [&[0x45, 0, 0, 60, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 192, 0, 2, 1], &[0x60, 0, 0, 0, 0, 40, 0, 64], &[]];
    for _ in 0..200_000 {
        let mut bytes = headers[draw.below(3) as usize].to_vec();
        if let Some(protocol) = bytes.get_mut(9) {
            *protocol = [1, 6, 17, 47, 58, 132, 136, 99][draw.below(8) as usize];
        }
        if let Some(next @ 0) = bytes.get_mut(6) {
            *next = [0, 6, 17, 43, 44, 51, 58, 59, 60, 132][draw.below(10) as usize];
        }
        let more = draw.below(60) as usize;
        bytes.extend((0..more).map(|_| u8::try_from(draw.below(256)).unwrap()));
        let checksums = if draw.below(2) == 0 { Checksums::Ignored } else { Checksums::Verified };
        let packet = parse::packet(&bytes, checksums, twin.capabilities());
        twin.pass(Duration::ZERO, namespace.into(), &packet, &mut plimsoll_twin::NoRules);
    }
    assert!(twin.occupancy(namespace).0 > 1000);
}
