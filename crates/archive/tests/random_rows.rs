//! Whatever a row holds, it comes back.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::net::IpAddr;
use std::time::Duration;

use plimsoll_archive::{Archive, Limits, Writer};
use plimsoll_model::{
    Buckets, Capacity, Layer4, Occupancy, Protocol, SctpState, Status, TcpState, Timeout, Tuple, Zone,
};
use plimsoll_recording::{
    Began, Change, ChangeKind, Counts, End, FlowKey, GapEnd, IdleGap, Life, Row, Sight, State, Step, TableReading,
    Translation, UnixMicros, Volume,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use support::{BEGAN, Folder, origin};

fn moment() -> impl Strategy<Value = UnixMicros> {
    any::<i64>().prop_map(UnixMicros)
}

fn micros() -> impl Strategy<Value = Duration> {
    (0..=i64::MAX as u64).prop_map(Duration::from_micros)
}

fn amount() -> impl Strategy<Value = f64> {
    prop_oneof![Just(1.0), Just(0.0), 0.0..1e300]
}

fn count() -> impl Strategy<Value = u64> {
    prop_oneof![0..10_u64, 0..=i64::MAX as u64]
}

fn protocol() -> impl Strategy<Value = Protocol> {
    prop_oneof![
        select(&[Protocol::TCP, Protocol::UDP, Protocol::ICMP, Protocol::ICMPV6, Protocol::SCTP, Protocol::GRE][..]),
        any::<u8>().prop_map(Protocol),
    ]
}

fn layer4() -> impl Strategy<Value = Layer4> {
    prop_oneof![
        any::<(u16, u16)>().prop_map(|(source, destination)| Layer4::Ports { source, destination }),
        any::<(u16, u8, u8)>().prop_map(|(id, kind, code)| Layer4::Icmp { id, kind, code }),
        Just(Layer4::None),
    ]
}

fn tuple() -> impl Strategy<Value = Tuple> {
    (any::<(IpAddr, IpAddr)>(), protocol(), layer4()).prop_map(|((source, destination), protocol, layer4)| Tuple {
        source,
        destination,
        protocol,
        layer4,
    })
}

fn state(protocol: Protocol) -> impl Strategy<Value = State> {
    let mut all = match protocol {
        Protocol::TCP => TcpState::ALL.iter().map(|state| State::Tcp(*state)).collect(),
        Protocol::SCTP => SctpState::ALL.iter().map(|state| State::Sctp(*state)).collect(),
        _ => vec![State::Unreplied, State::Replied, State::Assured],
    };
    all.push(State::Unknown);
    select(all)
}

fn steps(protocol: Protocol) -> impl Strategy<Value = Vec<Step>> {
    vec((moment(), state(protocol)).prop_map(|(at, state)| Step { at, state }), 0..6)
}

fn counts() -> impl Strategy<Value = Counts> {
    (count(), count()).prop_map(|(packets, bytes)| Counts { packets, bytes })
}

fn life() -> impl Strategy<Value = Life> {
    let flow = (tuple(), option::of(tuple())).prop_flat_map(|(original, reply)| {
        // The protocol of both directions is the same.
        let reply = reply.map_or(original.mirrored(), |reply| Tuple { protocol: original.protocol, ..reply });
        (Just(original), Just(reply), steps(original.protocol))
    });
    let times = (any::<bool>(), moment(), moment());
    let kinds = (select(End::ALL), select(Sight::ALL), any::<u32>(), any::<u16>(), any::<u64>());
    let volume = option::of((counts(), counts()).prop_map(|(original, reply)| Volume { original, reply }));
    (flow, times, kinds, volume, amount()).prop_map(|(flow, times, kinds, volume, weight)| {
        let ((original, reply, steps), (was_seen, at, ended_at)) = (flow, times);
        let (end, sight, status, zone, key) = kinds;
        Life {
            key: FlowKey(key),
            original,
            reply,
            zone: Zone(zone),
            began: if was_seen { Began::At(at) } else { Began::Before(at) },
            steps,
            ended_at,
            end,
            status: Status(status),
            volume,
            weight,
            sight,
        }
    })
}

fn gap() -> impl Strategy<Value = IdleGap> {
    let timeouts: Vec<_> = Timeout::all_with_sysctl().chain([Timeout::Tcp(TcpState::SynSent2)]).collect();
    let flow = (any::<u64>(), any::<(IpAddr, IpAddr)>(), protocol(), any::<Option<u16>>(), select(Translation::ALL));
    let times = (any::<u32>(), moment(), micros(), micros(), micros(), option::of(micros()));
    (flow, times, select(timeouts), select(GapEnd::ALL), amount()).prop_map(|(flow, times, held_by, end, weight)| {
        let (key, (client, server), protocol, port, translation) = flow;
        let (armed_secs, began_at, began_within, seen_from, longer_than, at_most) = times;
        IdleGap {
            key: FlowKey(key),
            client,
            server,
            protocol,
            port,
            translation,
            held_by,
            armed_secs,
            began_at,
            began_within,
            seen_from,
            longer_than,
            at_most,
            end,
            weight,
        }
    })
}

fn reading() -> impl Strategy<Value = TableReading> {
    let kernel = (any::<Option<u32>>(), any::<Option<u32>>(), any::<Option<u32>>());
    let counters = proptest::array::uniform13(option::of(count()));
    let recorder = (count(), count(), option::of(count()), amount(), count(), count());
    (moment(), kernel, counters, recorder).prop_map(|(at, kernel, counters, recorder)| {
        let (events, losses, dropped_events, share, followed, looked_at) = recorder;
        TableReading {
            at,
            occupancy: kernel.0.map(Occupancy),
            capacity: kernel.1.map(Capacity),
            buckets: kernel.2.map(Buckets),
            counters,
            events,
            losses,
            dropped_events,
            share,
            followed,
            looked_at,
        }
    })
}

fn change() -> impl Strategy<Value = Change> {
    let text = || option::of(".*");
    (moment(), select(ChangeKind::ALL), ".*", text(), text()).prop_map(|(at, kind, what, from, to)| Change {
        at,
        kind,
        what,
        from,
        to,
    })
}

fn row() -> impl Strategy<Value = Row> {
    prop_oneof![
        5 => life().prop_map(Row::Life),
        3 => gap().prop_map(Row::Gap),
        1 => reading().prop_map(Row::Reading),
        1 => change().prop_map(Row::Change),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn rows_come_back_as_they_were(rows in vec(row(), 0..100)) {
        let folder = Folder::new();
        let (mut writer, _) = Writer::begin(folder.path(), &origin(), Limits::default()).unwrap();
        for row in &rows {
            prop_assert_eq!(writer.write(row).unwrap(), []);
        }
        let _ = writer.finish(BEGAN).unwrap();
        let archive = Archive::open(folder.path()).unwrap();
        let mut read: Vec<Row> = archive.lives().unwrap().map(|row| Row::Life(row.unwrap())).collect();
        read.extend(archive.gaps().unwrap().map(|row| Row::Gap(row.unwrap())));
        read.extend(archive.readings().unwrap().map(|row| Row::Reading(row.unwrap())));
        read.extend(archive.changes().unwrap().map(|row| Row::Change(row.unwrap())));
        let mut written = rows;
        // By table; within each, as they were written.
        written.sort_by_key(|row| match row {
            Row::Life(_) => 0,
            Row::Gap(_) => 1,
            Row::Reading(_) => 2,
            Row::Change(_) => 3,
        });
        prop_assert_eq!(read, written);
    }
}
