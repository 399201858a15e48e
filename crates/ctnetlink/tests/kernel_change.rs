//! Changing and deleting entries of the running kernel: needs root, `ip` and `nft`, and fails without.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

use std::net::{Ipv4Addr, UdpSocket};

use plimsoll_ctnetlink::{
    Change, Changer, Dump, DumpedEntry, EntryKey, Error, NewEntry, Refusal, Refused, Status, Unknowns, Zone,
    table_statistics,
};
use plimsoll_lab::{Kind, LabNamespace, entries};
use rustix::thread::set_thread_res_uid;

#[path = "common/kinds.rs"]
mod kinds;

use kinds::every_kind;

const EXPIRE: Change = Change::Expire { after_secs: 77 };

/// What is read of each entry of a dump.
fn dumped<T: Send>(namespace: &LabNamespace, each: fn(&DumpedEntry<'_>) -> T) -> Vec<T> {
    let dump = || -> Result<_, Error> {
        let (mut all, mut unknowns) = (Vec::new(), Unknowns::default());
        let mut dump = Dump::start()?;
        while let Some(batch) = dump.next_batch()? {
            for entry in batch.entries(&mut unknowns) {
                all.push(each(&entry?));
            }
        }
        Ok(all)
    };
    namespace.enter(dump).unwrap().unwrap()
}

#[expect(clippy::redundant_closure_for_method_calls, reason = "the method is not of every lifetime at once")]
fn keys(namespace: &LabNamespace) -> Vec<EntryKey> {
    dumped(namespace, |dumped| dumped.key())
}

fn make(namespace: &LabNamespace, change: Change, keys: &[EntryKey]) -> Vec<Refused> {
    namespace.enter(|| Changer::open()?.make(change, keys)).unwrap().unwrap()
}

fn occupancy(namespace: &LabNamespace) -> u32 {
    namespace.enter(table_statistics).unwrap().unwrap().occupancy.0
}

#[test]
fn entries_of_every_kind_are_given_another_time_and_deleted() {
    let namespace = LabNamespace::create().unwrap();
    let made = every_kind();
    namespace.fill(made.clone()).unwrap();
    let keys = keys(&namespace);
    assert_eq!(keys.len(), made.len());

    assert_eq!(make(&namespace, EXPIRE, &keys), []);
    let remaining = dumped(&namespace, |dumped| dumped.entry.remaining_secs.unwrap());
    assert_eq!(remaining.len(), made.len(), "none was made, none is gone");
    assert!(remaining.iter().all(|secs| (60..=77).contains(secs)), "{remaining:?}");

    let (first, rest) = keys.split_at(keys.len() / 2);
    assert_eq!(make(&namespace, Change::Delete, first), []);
    let mut left: Vec<_> = self::keys(&namespace);
    let mut expected = rest.to_vec();
    let by_hash = |key: &EntryKey| (key.id, key.original_zone.0);
    left.sort_by_key(by_hash);
    expected.sort_by_key(by_hash);
    assert_eq!(left, expected, "the others stay");
    assert_eq!(make(&namespace, Change::Delete, rest), []);
    assert_eq!(occupancy(&namespace), 0);
}

#[test]
fn what_is_gone_is_told_each_and_no_successor_is_deleted() {
    let namespace = LabNamespace::create().unwrap();
    let made: Vec<NewEntry> = entries(Kind::UdpUnreplied, 0, 1000).collect();
    namespace.fill(made.clone()).unwrap();
    let keys = keys(&namespace);
    let gone = |every: usize| -> Vec<EntryKey> { keys.iter().copied().step_by(every).collect() };
    assert_eq!(make(&namespace, Change::Delete, &gone(3)), []);
    let expected: Vec<Refused> = (0..1000).step_by(3).map(|index| Refused { index, why: Refusal::Gone }).collect();
    assert_eq!(make(&namespace, EXPIRE, &keys), expected);
    assert_eq!(occupancy(&namespace) as usize, 1000 - expected.len(), "none was made again");
    assert_eq!(make(&namespace, Change::Delete, &keys), expected);
    // Far more refusals than fit a receive buffer at once.
    let all: Vec<_> = keys.iter().copied().cycle().take(20_000).collect();
    assert_eq!(make(&namespace, Change::Delete, &all).len(), all.len());

    namespace.fill(made).unwrap();
    let others: Vec<_> = self::keys(&namespace).iter().map(|key| EntryKey { id: !key.id, ..*key }).collect();
    assert_eq!(make(&namespace, Change::Delete, &others).len(), 1000);
    assert_eq!(occupancy(&namespace), 1000, "their ids are not those that were asked for");
}

#[test]
fn a_fixed_timeout_stays_as_it_is() {
    let namespace = LabNamespace::create().unwrap();
    let fixed = |entry: NewEntry| NewEntry { status: entry.status.and(Status::FIXED_TIMEOUT), ..entry };
    let made = entries(Kind::UdpStream, 0, 10).enumerate();
    namespace.fill(made.map(|(n, entry)| if n % 2 == 0 { entry } else { fixed(entry) })).unwrap();
    let is_fixed = dumped(&namespace, |dumped| dumped.entry.status.has(Status::FIXED_TIMEOUT));
    let indices = is_fixed.iter().enumerate().filter(|(_, fixed)| **fixed).map(|(index, _)| index);
    let expected: Vec<Refused> = indices.map(|index| Refused { index, why: Refusal::Fixed }).collect();
    assert_eq!(expected.len(), 5);
    assert_eq!(make(&namespace, EXPIRE, &keys(&namespace)), expected);
}

/// One socket sends to two ports, whose flows are in zones that hold for one direction each.
#[test]
fn zones_of_one_direction_are_found_by_it() {
    let namespace = LabNamespace::create().unwrap();
    namespace
        .nft(
            "table ip zones { chain out { type filter hook output priority -300; \
             udp dport 7001 ct original zone set 5; udp dport 7002 ct reply zone set 6; udp dport 7003 ct zone set 7; }; \
             chain in { type filter hook input priority 0; ct state new accept; }; }\n",
        )
        .unwrap();
    namespace.send_udp(7001..=7003).unwrap();
    let mut zones = dumped(&namespace, |dumped| (dumped.entry.zone.0, dumped.original_zone.0));
    zones.sort_unstable();
    // Over loopback each packet is tracked once more where its zone does not hold: those entries are in zone 0 or its like.
    for (zone, original) in [(5, 5), (6, 0), (7, 7)] {
        assert!(zones.contains(&(zone, original)), "{zones:?}");
    }
    let keys = keys(&namespace);
    assert_eq!(make(&namespace, EXPIRE, &keys), []);
    assert_eq!(make(&namespace, Change::Delete, &keys), []);
    assert_eq!(occupancy(&namespace), 0);
}

/// The kernel answers a datagram without rights once, with EPERM: not a fixed timeout.
#[test]
fn without_rights_nothing_is_taken_for_done() {
    let namespace = LabNamespace::create().unwrap();
    let as_nobody = || {
        // Of this thread alone, which ends with the closure.
        let nobody = rustix::fs::Uid::from_raw(65_534);
        set_thread_res_uid(nobody, nobody, nobody).unwrap();
        Changer::open().map(drop)
    };
    let error = namespace.enter(as_nobody).unwrap().unwrap_err();
    assert!(error.is_permission(), "{error}");
    assert!(error.to_string().starts_with("cannot change or delete conntrack entries: "), "{error}");
}

#[test]
fn an_entry_that_was_given_less_time_lives_on_when_a_packet_comes() {
    let namespace = LabNamespace::tracking().unwrap();
    namespace
        .enter(|| {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let send = || socket.send_to(b"x", (Ipv4Addr::LOCALHOST, 9)).map(drop).unwrap();
            send();
            let keys = {
                let (mut unknowns, mut dump) = (Unknowns::default(), Dump::start().unwrap());
                let batch = dump.next_batch().unwrap().unwrap();
                batch.entries(&mut unknowns).map(|dumped| dumped.unwrap().key()).collect::<Vec<_>>()
            };
            assert!(keys.iter().all(|key| key.original_zone == Zone(0)) && !keys.is_empty());
            let after = Change::Expire { after_secs: 12 };
            assert_eq!(Changer::open().unwrap().make(after, &keys).unwrap(), []);
            // Refused by the port, the first; the second comes.
            let _ = socket.send_to(b"x", (Ipv4Addr::LOCALHOST, 9));
            let _ = socket.send_to(b"x", (Ipv4Addr::LOCALHOST, 9));
        })
        .unwrap();
    let udp = dumped(&namespace, |dumped| (dumped.entry.original.protocol.0, dumped.entry.remaining_secs.unwrap()));
    assert!(udp.iter().any(|(protocol, secs)| *protocol == 17 && *secs > 12), "{udp:?}");
}
