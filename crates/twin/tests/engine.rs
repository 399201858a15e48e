//! What the engine does beyond single packets and room: clashes, expectations, policies, translation, zones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::net::{IpAddr, Ipv4Addr};

use plimsoll_model::{Counter, Entry, Layer4, Protocol, ProtocolState, Status, TcpState, Timeout, Tuple, Zone};
use plimsoll_twin::packet::{Content, Packet, Segment, flags};
use plimsoll_twin::{
    Capabilities, DropReason, EntryId, Expected, Fate, Helper, NamespaceId, NatRange, NewFlow, NotExpected,
    NotInserted, Place, PortRange, Relation, RemovedBy, Rules, Ruling, Settings, Tracked, Twin, Verdict,
};
use support::{START, entry_of, flood, held, host, host_of, pass, plain, secs, segment, tcp, udp};

/// Two packets of one flow on their way at once: the second finds the first one's entry only when it is to be inserted.
#[test]
fn identical_flows_merge() {
    let (mut twin, namespace) = host(4096, 1000);
    let (first, second) = two_on_their_way(&mut twin, namespace, udp(1, 53));
    assert_eq!(twin.occupancy(namespace).0, 2);
    let first = entry_of(twin.confirm(START, first));
    assert_eq!(entry_of(twin.confirm(START, second)), first);
    assert_eq!(twin.occupancy(namespace).0, 1);
    assert_eq!(twin.counters(namespace).get(Counter::ClashResolved), 1);
}

#[test]
fn tcp_does_not_allow_clashes() {
    let (mut twin, namespace) = host(4096, 1000);
    let syn = segment(tcp(1, 1024), flags::SYN, 1, 0);
    let [Tracked::New(first), Tracked::New(second)] = [0, 1].map(|_| twin.track(START, namespace.into(), &syn)) else {
        panic!("both are new")
    };
    assert!(matches!(twin.confirm(START, first), Verdict::Passed { .. }));
    assert_eq!(twin.confirm(START, second), Verdict::Dropped(DropReason::Clash));
    let counters = twin.counters(namespace);
    assert_eq!((counters.get(Counter::Drop), counters.get(Counter::InsertFailed)), (1, 1));
    assert_eq!(twin.occupancy(namespace).0, 1);
}

/// Translated to two backends at once: the second entry is found by answers alone, for a second.
#[test]
fn flows_that_were_translated_apart_are_inserted_by_their_answers() {
    struct NextBackend(u8);
    impl Rules for NextBackend {
        fn rule(&mut self, _: &NewFlow) -> Ruling {
            self.0 += 1;
            let backend = Ipv4Addr::new(198, 51, 100, self.0).into();
            Ruling {
                destination: Some(NatRange { address: backend, ports: None, is_masquerade: false }),
                ..Ruling::default()
            }
        }
    }
    let (mut twin, namespace) = host(4096, 1000);
    let mut rules = NextBackend(0);
    let query = plain(udp(1, 53));
    // The second packet's look-up comes before the first one's insertion.
    let Tracked::New(second) = twin.track(START, namespace.into(), &query) else { panic!() };
    entry_of(twin.pass(START, namespace.into(), &query, &mut rules));
    let second = twin.complete(START, second, &mut rules);
    let second = entry_of(second);
    assert_eq!(twin.occupancy(namespace).0, 2);
    assert_eq!(twin.entries(START, namespace).count(), 1, "a dump does not show it");
    let answer = Tuple { source: "198.51.100.2".parse().unwrap(), ..udp(1, 53).mirrored() };
    assert_eq!(entry_of(pass(&mut twin, START, namespace, &plain(answer))), second);
    assert!(!twin.is_alive(secs(2), second));
}

fn two_on_their_way(twin: &mut Twin, namespace: NamespaceId, tuple: Tuple) -> (NewFlow, NewFlow) {
    let [Tracked::New(first), Tracked::New(second)] =
        [0, 1].map(|_| twin.track(START, namespace.into(), &plain(tuple)))
    else {
        panic!("both are new")
    };
    (first, second)
}

#[test]
fn a_flow_that_rules_drop_leaves_nothing() {
    struct DropAll;
    impl Rules for DropAll {
        fn rule(&mut self, _: &NewFlow) -> Ruling {
            Ruling { fate: Fate::Dropped, ..Ruling::default() }
        }
    }
    let (mut twin, namespace) = host(4096, 1000);
    let verdict = twin.pass(START, namespace.into(), &plain(udp(1, 53)), &mut DropAll);
    assert_eq!(verdict, Verdict::Dropped(DropReason::Ruleset));
    assert_eq!((twin.occupancy(namespace).0, twin.memory().objects_bytes), (0, 0));
}

/// With a helper on every flow to port 21.
struct WithHelper(plimsoll_twin::HelperId);

impl Rules for WithHelper {
    fn rule(&mut self, new: &NewFlow) -> Ruling {
        let is_control = matches!(new.tuple().layer4, Layer4::Ports { destination: 21, .. });
        Ruling { helper: is_control.then_some(self.0), ..Ruling::default() }
    }
}

fn ftp(twin: &mut Twin, namespace: NamespaceId) -> (EntryId, WithHelper) {
    let mut rules = WithHelper(twin.add_helper(Helper::ftp()));
    let control = Tuple { layer4: Layer4::Ports { source: 1024, destination: 21 }, ..tcp(1, 0) };
    let control = twin.pass(START, namespace.into(), &segment(control, flags::SYN, 1, 0), &mut rules);
    (entry_of(control), rules)
}

const fn data_to(port: u16) -> Expected {
    Expected {
        protocol: Protocol::TCP,
        source: None,
        destination: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        port,
        class: 0,
    }
}

#[test]
fn an_expected_flow_is_related_and_pins_its_master() {
    let (mut twin, namespace) = host(4096, 1000);
    let (control, mut rules) = ftp(&mut twin, namespace);
    twin.expect(START, control, data_to(20_000)).unwrap();
    let data = Tuple { layer4: Layer4::Ports { source: 1025, destination: 20_000 }, ..tcp(1, 0) };
    let verdict = twin.pass(secs(1), namespace.into(), &segment(data, flags::SYN, 1, 0), &mut rules);
    let Verdict::Passed { entry, relation: Relation::Related, .. } = verdict else { panic!("{verdict:?}") };
    assert!(twin.entry(secs(1), entry).unwrap().status.has(Status::EXPECTED));
    let counters = twin.counters(namespace);
    let counted = [Counter::ExpectCreate, Counter::ExpectNew, Counter::ExpectDelete].map(|one| counters.get(one));
    assert_eq!((counted, twin.expectations(namespace)), ([1, 1, 1], 0));
    // The master goes, and is counted on for as long as its child is there.
    assert!(twin.delete(control));
    assert_eq!((twin.occupancy(namespace).0, twin.entries(secs(1), namespace).count()), (2, 1));
    assert!(twin.delete(entry));
    assert_eq!(twin.occupancy(namespace).0, 0);
}

#[test]
fn a_helper_expects_no_more_than_it_may() {
    let (mut twin, namespace) = host(4096, 1000);
    let (control, _) = ftp(&mut twin, namespace);
    twin.expect(START, control, data_to(20_000)).unwrap();
    twin.expect(START, control, data_to(20_001)).unwrap();
    assert_eq!(twin.expectations(namespace), 1, "the older one was given up");
    let late = Tuple { layer4: Layer4::Ports { source: 1025, destination: 20_000 }, ..tcp(1, 0) };
    let verdict = pass(&mut twin, START, namespace, &segment(late, flags::SYN, 1, 0));
    assert!(matches!(verdict, Verdict::Passed { relation: Relation::New, .. }), "{verdict:?}");
    let stranger = entry_of(pass(&mut twin, START, namespace, &segment(tcp(2, 1024), flags::SYN, 1, 0)));
    assert_eq!(twin.expect(START, stranger, data_to(1)), Err(NotExpected::NoHelper));
    // What is not fulfilled within five minutes is given up.
    let data = Tuple { layer4: Layer4::Ports { source: 1026, destination: 20_001 }, ..tcp(1, 0) };
    let verdict = pass(&mut twin, secs(301), namespace, &segment(data, flags::SYN, 1, 0));
    assert!(matches!(verdict, Verdict::Passed { relation: Relation::New, .. }), "{verdict:?}");
    assert_eq!(twin.expectations(namespace), 0);
}

#[test]
fn a_policy_holds_for_the_flows_on_which_it_is_set() {
    struct Policy(plimsoll_twin::PolicyId);
    impl Rules for Policy {
        fn rule(&mut self, _: &NewFlow) -> Ruling {
            Ruling { policy: Some(self.0), ..Ruling::default() }
        }
    }
    let (mut twin, namespace) = host(4096, 1000);
    let timeouts = [(Timeout::Udp, 7), (Timeout::Tcp(TcpState::SynSent), 9)].into_iter().collect();
    let mut rules = Policy(twin.add_policy(&timeouts));
    let left = |twin: &Twin, at, verdict| twin.entry(at, entry_of(verdict)).unwrap().remaining_secs;
    let query = twin.pass(START, namespace.into(), &plain(udp(1, 53)), &mut rules);
    assert_eq!(left(&twin, START, query), Some(7));
    // A flow that is picked up is new too.
    let picked_up = twin.pass(START, namespace.into(), &segment(tcp(1, 1), flags::ACK, 1, 1), &mut rules);
    assert_eq!(left(&twin, START, picked_up), Some(9));
    // Others keep the namespace's.
    let other = pass(&mut twin, START, namespace, &plain(udp(2, 53)));
    assert_eq!(left(&twin, START, other), Some(30));
    // And the namespace's new ones hold from the next packet on.
    let timeouts = [(Timeout::Udp, 100)].into_iter().collect();
    twin.set_settings(namespace, Settings { timeouts, ..Settings::default() });
    assert_eq!(left(&twin, START, other), Some(30));
    let again = pass(&mut twin, secs(1), namespace, &plain(udp(2, 53)));
    assert_eq!(left(&twin, secs(1), again), Some(100));
}

#[test]
fn zones_never_meet() {
    let (mut twin, namespace) = host(4096, 1000);
    let place = |zone| Place { namespace, zone: Zone(zone) };
    let first = entry_of(pass(&mut twin, START, place(1), &plain(udp(1, 53))));
    let second = entry_of(pass(&mut twin, START, place(2), &plain(udp(1, 53))));
    assert_ne!(first, second);
    assert_eq!(entry_of(pass(&mut twin, START, place(1), &plain(udp(1, 53).mirrored()))), first);
    let zones: Vec<_> = twin.entries(START, namespace).map(|entry: Entry| entry.zone.0).collect();
    assert_eq!(zones.len(), 2);
    assert!(zones.contains(&1) && zones.contains(&2));
}

/// Clients behind one address with four ports.
struct FourPorts;

impl Rules for FourPorts {
    fn rule(&mut self, _: &NewFlow) -> Ruling {
        let address = "203.0.113.1".parse().unwrap();
        let ports = Some(PortRange { first: 40_000, last: 40_003 });
        Ruling { source: Some(NatRange { address, ports, is_masquerade: false }), ..Ruling::default() }
    }
}

#[test]
fn a_range_of_ports_runs_out() {
    let (mut twin, namespace) = host_of(Capabilities::LINUX_6_1, 4096, 1000);
    let syn = |client| segment(tcp(client, 1024), flags::SYN, 1, 0);
    let mut verdicts = (0..6).map(|client| twin.pass(START, namespace.into(), &syn(client), &mut FourPorts));
    assert!(verdicts.by_ref().take(4).all(|verdict| matches!(verdict, Verdict::Passed { .. })));
    assert!(verdicts.all(|verdict| verdict == Verdict::Dropped(DropReason::Clash)));
    drop(verdicts);
    assert_eq!(twin.counters(namespace).get(Counter::InsertFailed), 2);
    assert!(twin.counters(namespace).get(Counter::Found) >= 8);
    let mut ports: Vec<_> = twin.entries(START, namespace).map(|entry| entry.reply.layer4).collect();
    ports.sort_by_key(|layer4| format!("{layer4:?}"));
    ports.dedup();
    assert_eq!(ports.len(), 4, "each has its own");
}

/// Newer kernels take the port of a connection that is closed, if the new one's numbers are further on.
#[test]
fn a_closed_connections_port_is_taken() {
    for (capabilities, passes) in [(Capabilities::LINUX_6_1, false), (Capabilities::LINUX_6_18, true)] {
        let (mut twin, namespace) = host_of(capabilities, 4096, 1000);
        for client in 0..4 {
            let entry = entry_of(twin.pass(
                START,
                namespace.into(),
                &segment(tcp(client, 1024), flags::SYN, 1000, 0),
                &mut FourPorts,
            ));
            let answer = twin.entry(START, entry).unwrap().reply;
            pass(&mut twin, START, namespace, &segment(answer, flags::SYN | flags::ACK, 5000, 1001));
            pass(&mut twin, START, namespace, &segment(tcp(client, 1024), flags::RST | flags::ACK, 1001, 5001));
        }
        let late = segment(tcp(9, 1024), flags::SYN, 900_000, 0);
        let verdict = twin.pass(START, namespace.into(), &late, &mut FourPorts);
        assert_eq!(matches!(verdict, Verdict::Passed { .. }), passes, "{verdict:?}");
        assert_eq!(twin.removals(namespace).by(RemovedBy::PortTaken), u64::from(passes));
    }
}

/// What one source was translated to for one destination, it is for another.
#[test]
fn a_sources_translation_is_kept_for_other_destinations() {
    let (mut twin, namespace) = host(4096, 1000);
    let to = |host: u8| Tuple { destination: Ipv4Addr::new(192, 0, 2, host).into(), ..tcp(1, 1024) };
    let mut port_of = |host| {
        let verdict = twin.pass(START, namespace.into(), &segment(to(host), flags::SYN, 1, 0), &mut FourPorts);
        match twin.entry(START, entry_of(verdict)).unwrap().reply.layer4 {
            Layer4::Ports { destination, .. } => destination,
            other => panic!("{other:?}"),
        }
    };
    let first = port_of(1);
    assert!((2..40).all(|host| port_of(host) == first));
}

#[test]
fn entries_are_made_as_ctnetlink_makes_them() {
    let (mut twin, namespace) = host(4096, 2);
    let entry = held(1, TcpState::Established);
    let id = twin.insert(START, namespace, &entry).unwrap();
    assert_eq!(twin.insert(START, namespace, &entry), Err(NotInserted::Exists));
    twin.insert(START, namespace, &held(2, TcpState::Established)).unwrap();
    assert_eq!(twin.insert(START, namespace, &held(3, TcpState::Established)), Err(NotInserted::TableFull));
    assert_eq!(twin.counters(namespace).get(Counter::Insert), 2);
    let shown = twin.entry(secs(600), id).unwrap();
    assert_eq!((shown.state, shown.remaining_secs), (ProtocolState::Tcp(TcpState::Established), Some(3000)));
    // A client that opens it again, a reset that ends it.
    let gone = twin.entry(secs(3600), id);
    assert_eq!(gone, None);
}

/// An entry's name is not given to a later one.
#[test]
fn a_name_is_never_given_twice() {
    let (mut twin, namespace) = host(4096, 1000);
    let first = entry_of(pass(&mut twin, START, namespace, &plain(udp(1, 53))));
    assert!(twin.delete(first));
    let second = entry_of(pass(&mut twin, START, namespace, &plain(udp(1, 53))));
    assert_ne!(first, second);
    assert!(!twin.delete(first) && twin.is_alive(START, second));
}

#[test]
fn memory_is_the_kernels() {
    let (mut twin, namespace) = host(4096, 10_000);
    flood(&mut twin, START, namespace, 0..1000);
    let memory = twin.memory();
    assert_eq!((memory.buckets_bytes, memory.objects_bytes, memory.extensions_bytes), (32_768, 256_000, 0));
    twin.set_settings(namespace, Settings { accounting: true, ..Settings::default() });
    flood(&mut twin, START, namespace, 2000..2010);
    assert_eq!(twin.memory().extensions_bytes, 10 * 128);
    twin.dump(secs(100), namespace);
    assert_eq!(twin.memory().total_bytes(), 32_768);
}

/// Neither is the name of an entry that a reset has just ended.
#[test]
fn a_reset_flows_name_is_not_the_next_ones() {
    let (mut twin, namespace) = host(4096, 1000);
    pass(&mut twin, START, namespace, &segment(tcp(1, 1000), flags::SYN, 0, 0));
    let reset = entry_of(pass(&mut twin, START, namespace, &segment(tcp(1, 1000), flags::RST, 1, 0)));
    let next = entry_of(pass(&mut twin, START, namespace, &plain(udp(7, 53))));
    assert!(!twin.is_alive(START, reset) && twin.is_alive(START, next));
}

/// SIP over TCP is kept for an hour by data of an established connection, and by nothing else.
#[test]
fn a_helper_refreshes_what_it_reads() {
    let (mut twin, namespace) = host(4096, 2000);
    let mut rules = WithHelper(twin.add_helper(Helper::sip()));
    let call = Tuple { layer4: Layer4::Ports { source: 1024, destination: 21 }, ..tcp(1, 0) };
    let mut left = |tuple, flags, sequence, acknowledgement, payload_bytes| {
        let segment = Segment { payload_bytes, ..Segment::new(flags, sequence, acknowledgement, 65_535) };
        let packet = Packet::Flow { tuple, content: Content::Tcp(segment) };
        let entry = entry_of(twin.pass(START, namespace.into(), &packet, &mut rules));
        twin.left(START, entry).unwrap().as_secs()
    };
    let answer = call.mirrored();
    assert_eq!(left(call, flags::SYN, 0, 0, 0), 120);
    assert_eq!(left(answer, flags::SYN | flags::ACK, 0, 1, 0), 60);
    assert_eq!(left(call, flags::ACK, 1, 1, 0), 432_000);
    assert_eq!(left(call, flags::PSH | flags::ACK, 1, 1, 500), 3600);
    assert_eq!(left(answer, flags::FIN | flags::ACK, 1, 501, 0), 120);
}

#[test]
fn expectations_that_nobody_fulfilled_do_not_stand_in_the_way() {
    let (mut twin, namespace) = host(4096, 2000);
    let class = plimsoll_twin::HelperClass { most_expected: 0, timeout_secs: 5 };
    let mut rules = WithHelper(twin.add_helper(Helper { classes: vec![class], refresh_secs: None }));
    let masters =
        [1, 2].map(|client| entry_of(twin.pass(START, namespace.into(), &plain(udp(client, 21)), &mut rules)));
    for port in 1..=5 {
        twin.expect(START, masters[0], data_to(port)).unwrap();
    }
    assert_eq!(twin.expectations(namespace), 5, "no limit");
    assert_eq!(twin.expect(START, masters[1], data_to(1)), Err(NotExpected::Clash));
    assert_eq!(twin.expect(secs(6), masters[1], data_to(1)), Ok(()));
}
