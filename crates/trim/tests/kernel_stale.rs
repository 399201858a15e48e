//! Stale entries go, and how. On the running kernel: needs root, `ip` and `nft`, and fails without.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use plimsoll_ctnetlink::{Change, Changer, Dump, Entry, EntryKey, NewEntry, Unknowns, table_statistics};
use plimsoll_host::monotonic_now;
use plimsoll_lab::{Kind, LabNamespace, entries};
use plimsoll_model::{Layer4, Occupancy, Policies, Protocol, Status, TcpState, Timeout, Timeouts, Tuple, Zone};
use plimsoll_trim::{Acted, Ended, GRACE_SECS, Left, Limits, Manner, Selection, Wish, settle};
use support::{act, ground, name, occupancy, plan, set, table, trimming};

/// Timeouts of the kinds below, a quarter of what the kernel began with.
fn quarter() -> Vec<(Timeout, u32)> {
    let all = Timeouts::compiled_defaults();
    let lowered = [
        Timeout::Tcp(TcpState::Established),
        Timeout::Tcp(TcpState::TimeWait),
        Timeout::Tcp(TcpState::CloseWait),
        Timeout::Tcp(TcpState::SynSent),
        Timeout::Udp,
        Timeout::UdpStream,
        Timeout::Icmp,
        Timeout::Icmpv6,
        Timeout::Generic,
    ];
    lowered.into_iter().map(|timeout| (timeout, all.get_secs(timeout).unwrap() / 4)).collect()
}

/// Entries of many kinds, with the timeout that the kernel gives each when nothing is set.
fn kinds(first: u32) -> Vec<(u32, NewEntry)> {
    let of = |default: u32, kind: Kind| entries(kind, first, 20).map(move |entry| (default, entry));
    let tcp = |default: u32, state: TcpState| of(default, Kind::AssuredTcp(state)).chain(of(default, Kind::Tcp(state)));
    let mut all: Vec<(u32, NewEntry)> = tcp(432_000, TcpState::Established)
        .chain(tcp(120, TcpState::TimeWait))
        .chain(tcp(60, TcpState::CloseWait))
        .chain(tcp(120, TcpState::SynSent))
        .chain(of(432_000, Kind::Ipv6))
        .chain(of(432_000, Kind::DestinationNat))
        .chain(of(120, Kind::UdpStream))
        .chain(of(30, Kind::UdpUnreplied))
        .chain(of(600, Kind::Generic(253)))
        .collect();
    for zone in [1, 2, u16::MAX] {
        all.extend(of(30, Kind::UdpUnreplied).map(|(secs, entry)| (secs, NewEntry { zone: Zone(zone), ..entry })));
    }
    let id = u16::try_from(first % 1000).unwrap();
    all.push((30, echo("192.0.2.9", Protocol::ICMP, [8, 0], id)));
    all.push((30, echo("2001:db8::9", Protocol::ICMPV6, [128, 129], id)));
    all
}

fn echo(address: &str, protocol: Protocol, [asked, answered]: [u8; 2], id: u16) -> NewEntry {
    let tuple = |kind| Tuple {
        source: address.parse().unwrap(),
        destination: address.parse().unwrap(),
        protocol,
        layer4: Layer4::Icmp { id, kind, code: 0 },
    };
    NewEntry {
        original: tuple(asked),
        reply: tuple(answered),
        zone: Zone(0),
        status: Status::default(),
        tcp_state: None,
        timeout_secs: 30,
    }
}

/// Half of its time has passed: twice a quarter.
fn stale() -> Vec<NewEntry> {
    kinds(0).into_iter().map(|(default, entry)| NewEntry { timeout_secs: default / 2 + 2, ..entry }).collect()
}

/// A tenth of its time has passed.
fn fresh() -> Vec<NewEntry> {
    kinds(500).into_iter().map(|(default, entry)| NewEntry { timeout_secs: default - default / 10, ..entry }).collect()
}

fn names(entries: &[NewEntry]) -> BTreeSet<String> {
    entries.iter().map(|entry| name(entry.zone, &entry.original)).collect()
}

/// `count` entries that wait, for 60 of 120 seconds, where 30 are in force.
fn waiting(count: u32) -> LabNamespace {
    let namespace = LabNamespace::create().unwrap();
    set(&namespace, &[(Timeout::Tcp(TcpState::TimeWait), 30)]);
    let made = entries(Kind::AssuredTcp(TcpState::TimeWait), 0, count);
    namespace.fill(made.map(|entry| NewEntry { timeout_secs: 60, ..entry })).unwrap();
    namespace
}

/// What names those entries that a condition takes.
fn keys(namespace: &LabNamespace, takes: impl Fn(&Entry) -> bool + Sync) -> Vec<EntryKey> {
    let read = || {
        let (mut all, mut unknowns, mut dump) = (Vec::new(), Unknowns::default(), Dump::start().unwrap());
        while let Some(batch) = dump.next_batch().unwrap() {
            let dumped = batch.entries(&mut unknowns).map(|dumped| dumped.unwrap());
            all.extend(dumped.filter(|dumped| takes(&dumped.entry)).map(|dumped| dumped.key()));
        }
        all
    };
    namespace.enter(read).unwrap()
}

fn act_within(namespace: &LabNamespace, manner: Manner, limits: &Limits<'_>) -> Acted {
    namespace.enter(|| trimming(Wish::default(), manner).act(limits).unwrap()).unwrap()
}

#[test]
fn stale_entries_of_every_kind_go_and_no_other() {
    let namespace = LabNamespace::create().unwrap();
    set(&namespace, &quarter());
    let (stale, fresh) = (stale(), fresh());
    namespace.fill(stale.iter().chain(&fresh).copied()).unwrap();
    let planned = plan(&namespace, Wish::default(), Manner::Delete);
    assert_eq!((planned.stale(), planned.tally.read()), (stale.len() as u64, (stale.len() + fresh.len()) as u64));
    assert_eq!(table(&namespace).len(), stale.len() + fresh.len(), "a plan changes nothing");

    let acted = act(&namespace, Wish::default(), Manner::Delete);
    assert_eq!((acted.changed(), acted.gone, acted.fixed), (stale.len() as u64, 0, 0), "{acted:#?}");
    assert_eq!(acted.tally, planned.tally);
    let left: BTreeSet<String> = table(&namespace).into_keys().collect();
    assert_eq!(left, names(&fresh));
    assert_eq!(occupancy(&namespace) as usize, fresh.len());
}

#[test]
fn entries_that_are_let_go_have_ten_seconds_and_are_then_freed() {
    let namespace = LabNamespace::create().unwrap();
    set(&namespace, &quarter());
    let (stale, fresh) = (stale(), fresh());
    namespace.fill(stale.iter().chain(&fresh).copied()).unwrap();
    let acted = act(&namespace, Wish::default(), Manner::Expire);
    // What has ten seconds or less of its thirty left is not touched: a quarter of thirty is over by then as well.
    assert_eq!(acted.changed(), stale.len() as u64, "{acted:#?}");
    let after = table(&namespace);
    let stale_names = names(&stale);
    for (name, entry) in &after {
        let has_little = entry.remaining_secs.is_some_and(|secs| secs <= GRACE_SECS);
        assert_eq!(has_little, stale_names.contains(name), "{name}: {entry:?}");
    }
    let again = plan(&namespace, Wish::default(), Manner::Expire);
    assert_eq!(again.stale(), 0, "{again:#?}");

    let stop = AtomicBool::new(false);
    let settled = namespace.enter(|| settle(&acted, &Limits::none(&stop)).unwrap()).unwrap();
    // Some of those that were fresh have expired by themselves: pings and questions.
    let is_long = |(default, _): &(u32, NewEntry)| *default > 60;
    let long = kinds(500).iter().filter(|kind| is_long(kind)).count() as u64;
    let live = settled.live.unwrap();
    assert!((long..=fresh.len() as u64).contains(&live), "{settled:?}");
    assert_eq!(u64::from(settled.occupancy.0), live);
}

#[test]
fn only_what_is_selected_goes() {
    let namespace = LabNamespace::create().unwrap();
    set(&namespace, &quarter());
    let stale = stale();
    namespace.fill(stale.clone()).unwrap();
    let selection = Selection {
        sources: vec!["2001:db8::/32".parse().unwrap()],
        protocols: vec![Protocol::TCP],
        ..Selection::default()
    };
    let acted = act(&namespace, Wish { selection, ..Wish::default() }, Manner::Delete);
    assert_eq!(acted.changed(), 20, "{acted:#?}");
    assert_eq!(acted.tally.left.get(&Left::NotSelected), Some(&(stale.len() as u64 - 20)));
    let left = table(&namespace);
    assert!(left.values().all(|entry| entry.original.source.is_ipv4() || entry.original.protocol != Protocol::TCP));
    assert_eq!(left.len(), stale.len() - 20);
}

#[test]
fn it_stops_where_few_enough_are_left() {
    for manner in [Manner::Delete, Manner::Expire] {
        let namespace = waiting(2000);
        let stop = AtomicBool::new(false);
        let acted = act_within(&namespace, manner, &Limits { until: Some(Occupancy(777)), ..Limits::none(&stop) });
        assert_eq!((acted.changed(), acted.ended), (2000 - 777, Ended::FewEnough), "{manner:?}");
        let short = table(&namespace).values().filter(|entry| entry.remaining_secs <= Some(GRACE_SECS)).count();
        match manner {
            Manner::Delete => assert_eq!(occupancy(&namespace), 777),
            Manner::Expire => assert_eq!(short, 2000 - 777),
        }
        let enough = act_within(&namespace, manner, &Limits { until: Some(Occupancy(5000)), ..Limits::none(&stop) });
        assert_eq!((enough.changed(), enough.ended), (0, Ended::FewEnough));
    }
}

#[test]
fn it_stops_when_told_to_and_when_its_time_is_up() {
    let namespace = waiting(1000);
    let raised = AtomicBool::new(true);
    let acted = act_within(&namespace, Manner::Delete, &Limits::none(&raised));
    assert_eq!((acted.changed(), acted.ended), (0, Ended::Stopped));
    let stop = AtomicBool::new(false);
    let past = Limits { deadline: Some(Duration::ZERO), ..Limits::none(&stop) };
    assert_eq!(act_within(&namespace, Manner::Delete, &past).ended, Ended::Deadline);
    assert_eq!(occupancy(&namespace), 1000);

    // At one entry a second the first batch is all that is had, and nobody waits for the next.
    let slowly = Limits {
        entries_per_sec: std::num::NonZeroU32::new(1),
        deadline: Some(monotonic_now() + Duration::from_secs(1)),
        ..Limits::none(&stop)
    };
    let acted = act_within(&namespace, Manner::Delete, &slowly);
    assert_eq!(acted.ended, Ended::Deadline, "{acted:#?}");
    assert!((1..500).contains(&acted.changed()), "{acted:#?}");
}

/// Where entries are changed slowly, a batch has been read long before it is its turn. What a packet has armed meanwhile stays.
#[test]
fn what_was_armed_since_it_was_read_stays() {
    let namespace = waiting(1000);
    let stop = AtomicBool::new(false);
    let is_short = |entry: &Entry| entry.remaining_secs.is_none_or(|secs| secs <= GRACE_SECS);
    let (acted, armed) = thread::scope(|scope| {
        let namespace = &namespace;
        let other = scope.spawn(move || {
            while !table(namespace).values().any(is_short) {
                thread::yield_now();
            }
            // The first batch is changed; all the others see a packet now.
            let others = keys(namespace, |entry| !is_short(entry));
            let arm = || Changer::open().unwrap().make(Change::Expire { after_secs: 120 }, &others).unwrap();
            assert_eq!(namespace.enter(arm).unwrap(), []);
            others.len()
        });
        let rate = std::num::NonZeroU32::new(5);
        let acted = act_within(namespace, Manner::Expire, &Limits { entries_per_sec: rate, ..Limits::none(&stop) });
        (acted, other.join().unwrap())
    });
    assert!(armed > 0, "the first batch was all of them");
    assert_eq!(acted.changed() + armed as u64, 1000, "{acted:#?}");
    assert_eq!(table(&namespace).values().filter(|entry| !is_short(entry)).count(), armed);
}

/// Somebody else deletes the same entries meanwhile.
#[test]
fn what_others_delete_meanwhile_is_counted_as_gone() {
    let namespace = waiting(20_000);
    let keys = keys(&namespace, |_| true);
    let stop = AtomicBool::new(false);
    // The other begins at the end of the table, and they meet.
    let begun = AtomicBool::new(false);
    let (acted, theirs) = thread::scope(|scope| {
        let (begun, namespace, keys) = (&begun, &namespace, &keys);
        let other = scope.spawn(move || {
            let delete_all = || {
                let mut changer = Changer::open().unwrap();
                while !begun.load(Ordering::Relaxed) {
                    thread::yield_now();
                }
                let others: Vec<EntryKey> = keys.iter().rev().copied().collect();
                let refused: usize =
                    others.chunks(64).map(|some| changer.make(Change::Delete, some).unwrap().len()).sum();
                (others.len() - refused) as u64
            };
            namespace.enter(delete_all).unwrap()
        });
        let rate = std::num::NonZeroU32::new(20_000);
        let limits = Limits { entries_per_sec: rate, ..Limits::none(&stop) };
        begun.store(true, Ordering::Relaxed);
        let acted = act_within(namespace, Manner::Delete, &limits);
        (acted, other.join().unwrap())
    });
    assert_eq!(acted.changed() + acted.gone, acted.tally.stale(), "{acted:#?}");
    assert_eq!(acted.changed() + theirs, 20_000, "each entry was deleted once");
    assert_eq!(acted.ended, Ended::Complete);
    assert_eq!(namespace.enter(|| table_statistics().unwrap().occupancy).unwrap(), Occupancy(0));
}

#[test]
fn where_there_are_policies_nothing_is_known_and_nothing_goes() {
    let namespace = waiting(100);
    namespace
        .nft("table ip t { ct timeout brief { protocol tcp; l3proto ip; policy = { time_wait : 60 }; }; }\n")
        .unwrap();
    assert_eq!(namespace.enter(ground).unwrap().policies, Policies::Some(1));
    let acted = act(&namespace, Wish::default(), Manner::Delete);
    assert_eq!((acted.changed(), acted.tally.left), (0, BTreeMap::from([(Left::Policy, 100)])));
}

#[test]
fn fixed_timeouts_are_left_alone() {
    let namespace = LabNamespace::create().unwrap();
    set(&namespace, &[(Timeout::Tcp(TcpState::TimeWait), 30)]);
    let made = entries(Kind::AssuredTcp(TcpState::TimeWait), 0, 100);
    let fixed =
        |entry: NewEntry| NewEntry { timeout_secs: 60, status: entry.status.and(Status::FIXED_TIMEOUT), ..entry };
    namespace.fill(made.map(fixed)).unwrap();
    for manner in [Manner::Expire, Manner::Delete] {
        let acted = act(&namespace, Wish::default(), manner);
        assert_eq!((acted.changed(), acted.tally.left), (0, BTreeMap::from([(Left::FixedTimeout, 100)])));
    }
}

/// Several timeouts could have armed them, and all say that they are stale.
#[test]
fn ambiguous_entries_go_after_a_second_look_or_not_at_all() {
    let namespace = LabNamespace::create().unwrap();
    let established = Timeout::Tcp(TcpState::Established);
    set(&namespace, &[(established, 3600)]);
    let made = entries(Kind::AssuredTcp(TcpState::Established), 0, 500);
    namespace.fill(made.map(|entry| NewEntry { timeout_secs: 3000, ..entry })).unwrap();
    let wish = || Wish { as_if: vec![(established, 60)], ..Wish::default() };
    assert_eq!(plan(&namespace, wish(), Manner::Delete).ambiguous, 500);

    let stop = AtomicBool::new(false);
    let soon = Limits { deadline: Some(monotonic_now() + Duration::from_millis(500)), ..Limits::none(&stop) };
    let acted = namespace.enter(|| trimming(wish(), Manner::Delete).act(&soon).unwrap()).unwrap();
    assert_eq!((acted.ended, acted.changed(), acted.not_looked_at), (Ended::Deadline, 0, 500), "{acted:#?}");
    assert_eq!(occupancy(&namespace), 500);

    let acted = act(&namespace, wish(), Manner::Delete);
    assert_eq!((acted.changed(), acted.alive, acted.not_looked_at), (500, 0, 0), "{acted:#?}");
    assert_eq!(occupancy(&namespace), 0);
}
