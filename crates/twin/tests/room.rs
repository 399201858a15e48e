//! Who finds room in the table, who makes it, and what stays: limits, early drop, chains, expiry and gc.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::time::Duration;

use plimsoll_model::{Buckets, Capacity, Counter, NewEntry, Status, TcpState, Timeout};
use plimsoll_twin::{Capabilities, Hz, NotInserted, Relation, RemovedBy, Settings, Twin, Verdict};
use support::{START, flood, held, hold, host, host_of, pass, plain, secs, udp};

#[test]
fn assured_entries_are_never_dropped_early() {
    let (mut twin, namespace) = host(4096, 1000);
    hold(&mut twin, namespace, 0..1000, TcpState::Established);
    assert_eq!(flood(&mut twin, START, namespace, 5000..5200), 200);
    twin.advance(secs(600));
    assert_eq!(twin.occupancy(namespace).0, 1000);
    let counters = twin.counters(namespace);
    assert_eq!((counters.get(Counter::Drop), counters.get(Counter::EarlyDrop)), (200, 0));
}

/// Six kernels refused .984, .358 and .124 of new flows where the formula says .984, .368 and .135.
#[test]
fn a_full_table_of_entries_that_may_go_refuses_as_many_as_the_formula_says() {
    for filling in [64, 1024, 4096] {
        let buckets = 65_536;
        let (mut twin, namespace) = host(buckets, filling);
        flood(&mut twin, START, namespace, 0..filling);
        let refused = flood(&mut twin, START, namespace, 100_000..104_000) as f64 / 4000.0;
        let expected = (-16.0 * f64::from(filling) / f64::from(buckets)).exp();
        assert!((refused - expected).abs() < 0.04, "{filling}: {refused} and {expected}");
    }
}

#[test]
fn each_namespace_has_the_limit_to_itself_and_kills_only_its_own() {
    let (mut twin, first) = host(8, 10);
    let second = twin.add_namespace(Settings::default());
    assert_eq!(flood(&mut twin, START, first, 0..10) + flood(&mut twin, START, second, 0..10), 0);
    assert_eq!((twin.occupancy(first).0, twin.occupancy(second).0), (10, 10));
    flood(&mut twin, START, first, 100..101);
    assert_eq!(twin.occupancy(second).0, 10);
    assert!(twin.removals(first).by(RemovedBy::EarlyDrop) > 0);
    assert_eq!(twin.removals(second).by(RemovedBy::EarlyDrop), 0);
}

#[test]
fn a_lower_limit_evicts_nothing_and_zero_is_none() {
    let (mut twin, namespace) = host(4096, 1000);
    hold(&mut twin, namespace, 0..500, TcpState::Established);
    twin.set_capacity(Capacity(100));
    assert_eq!(twin.occupancy(namespace).0, 500);
    assert_eq!(flood(&mut twin, START, namespace, 1000..1010), 10);
    twin.set_capacity(Capacity(0));
    assert_eq!(flood(&mut twin, START, namespace, 1000..1010), 0);
}

#[test]
fn chains_stall_at_about_seventeen_thousand_entries_in_512_buckets() {
    let (mut twin, namespace) = host(512, 200_000);
    for client in 0..22_000 {
        pass(&mut twin, START, namespace, &plain(udp(client, 53)));
    }
    // Slower and slower it still grows: some chains are shorter than others.
    let stalled = twin.occupancy(namespace).0;
    assert!((16_000..18_500).contains(&stalled), "{stalled}");
    let counters = twin.counters(namespace);
    assert_eq!(counters.get(Counter::ChainTooLong), u64::from(22_000 - stalled));
    assert_eq!(counters.get(Counter::InsertFailed), counters.get(Counter::ChainTooLong));
    assert_eq!(counters.get(Counter::Drop), 0);

    let (mut twin, namespace) = host_of(Capabilities::LINUX_5_10, 512, 200_000);
    for client in 0..30_000 {
        pass(&mut twin, START, namespace, &plain(udp(client, 53)));
    }
    assert_eq!(twin.occupancy(namespace).0, 30_000);
}

#[test]
fn what_has_expired_is_counted_until_somebody_comes_by() {
    let (mut twin, namespace) = host(65_536, 1000);
    flood(&mut twin, secs(1), namespace, 0..500);
    let later = secs(59);
    assert_eq!((twin.occupancy(namespace).0, twin.entries(later, namespace).count()), (500, 0));
    // A packet that asks for its own bucket, a dump that passes all.
    pass(&mut twin, later, namespace, &plain(udp(3, 53)));
    assert_eq!(twin.removals(namespace).by(RemovedBy::Expiry), 1);
    assert_eq!(twin.dump(later, namespace).len(), 1);
    assert_eq!(twin.occupancy(namespace).0, 1);
    assert_eq!(twin.removals(namespace).by(RemovedBy::Expiry), 500);
}

/// A full table in which nearly all has expired still drops packets: only what lies in the buckets at hand is freed, and
/// that does not count as a success.
#[test]
fn a_table_full_of_what_has_expired_still_drops() {
    let (mut twin, namespace) = host(4096, 500);
    flood(&mut twin, secs(1), namespace, 0..500);
    let refused = flood(&mut twin, secs(50), namespace, 1000..1020);
    assert!((1..20).contains(&refused), "{refused}");
}

#[test]
fn gc_under_pressure_kills_what_is_closing_down_to_95_percent() {
    let (mut twin, namespace) = host(65_536, 1000);
    hold(&mut twin, namespace, 0..600, TcpState::Established);
    hold(&mut twin, namespace, 600..1000, TcpState::TimeWait);
    twin.advance(secs(30));
    assert_eq!(flood(&mut twin, secs(31), namespace, 5000..5030), 30);
    assert_eq!(twin.occupancy(namespace).0, 1000);
    twin.advance(secs(61));
    assert_eq!(twin.occupancy(namespace).0, 949);
    assert_eq!(twin.removals(namespace).by(RemovedBy::PressureClosing), 51);
    assert_eq!(twin.counters(namespace).get(Counter::EarlyDrop), 0);
}

/// A slice of gc ends after 256 removals and one, and the next has forgotten the pressure.
#[test]
fn one_slice_of_a_large_tables_closing_entries_goes() {
    let (mut twin, namespace) = host(65_536, 20_000);
    hold(&mut twin, namespace, 0..10_000, TcpState::Established);
    hold(&mut twin, namespace, 10_000..20_000, TcpState::TimeWait);
    assert!(flood(&mut twin, secs(1), namespace, 50_000..50_010) > 0);
    twin.advance(secs(63));
    assert_eq!(twin.removals(namespace).by(RemovedBy::PressureClosing), 257);
}

/// A flow that one namespace refuses lets gc loose on every other that is nearly full, and what it kills lies in buckets one after
/// the other. There early drop finds nothing then.
#[test]
fn a_refusal_elsewhere_costs_a_table_full_of_what_may_go_a_few_flows_too() {
    const FULL: u32 = 65_536;
    let (mut twin, elsewhere) = host(FULL, FULL);
    let here = twin.add_namespace(Settings::default());
    hold(&mut twin, elsewhere, 0..FULL, TcpState::Established);
    assert_eq!(flood(&mut twin, secs(50), here, 0..FULL), 0);
    assert_eq!(flood(&mut twin, secs(58), here, 100_000..104_000), 0, "exp(-16) of them would be");
    assert_eq!(flood(&mut twin, secs(59), elsewhere, 200_000..200_001), 1);
    twin.advance(secs(61));
    assert_eq!(twin.removals(here).by(RemovedBy::PressureUnassured), 257);
    let refused = flood(&mut twin, secs(62), here, 300_000..304_000);
    assert!((1..12).contains(&refused), "{refused}");
}

#[test]
fn gc_walks_after_as_long_as_entries_have_left() {
    let walks_within = |timeout_secs: u32, within: usize| {
        let (mut twin, namespace) = host(4096, 100_000);
        let timeouts = [(Timeout::Udp, timeout_secs)].into_iter().collect();
        twin.set_settings(namespace, Settings { timeouts, ..Settings::default() });
        // Entries that come all the time, so that each walk sees some.
        for second in 0..300_u32 {
            flood(&mut twin, secs(second.into()), namespace, second * 100..second * 100 + 100);
        }
        let expired = twin.entries(secs(300), namespace).count();
        let counted = twin.occupancy(namespace).0 as usize;
        assert!(counted - expired <= within * 100, "{timeout_secs}: {counted}, {expired} alive");
    };
    // Entries with 10 s have 5 left on the average, though the first hundred count for a minute each.
    walks_within(10, 8);
    walks_within(120, 61);
}

/// Of a table so large that gc's walks do not count every entry: what has expired goes all the same, in slices, also when
/// buckets change their numbers meanwhile, and nothing else goes.
#[test]
fn all_that_has_expired_goes_from_a_large_table() {
    let capabilities = Capabilities { hz: Hz::new(100).unwrap(), ..Capabilities::LINUX_6_18 };
    let (mut twin, namespace) = host_of(capabilities, 65_536, 100_000);
    hold(&mut twin, namespace, 0..20_000, TcpState::Established);
    flood(&mut twin, secs(1), namespace, 0..20_000);
    let left = |twin: &Twin| twin.occupancy(namespace).0;
    let mut at = secs(59);
    while left(&twin) == 40_000 {
        at += secs(1) / 100;
        assert!(at < secs(130), "nothing has gone");
        twin.advance(at);
    }
    assert!(left(&twin) > 39_000, "a slice is of 640 and one");
    twin.set_buckets(Buckets(30_000));
    twin.advance(at + secs(3));
    assert!((20_001..39_000).contains(&left(&twin)), "{}", left(&twin));
    twin.set_buckets(Buckets(100_000));
    twin.advance(at + secs(120));
    assert_eq!(left(&twin), 20_000);
    assert_eq!(twin.removals(namespace).by(RemovedBy::Expiry), 20_000);
    assert_eq!(twin.entries(at + secs(120), namespace).count(), 20_000);
}

/// A resize keeps every entry and the limit.
#[test]
fn another_number_of_buckets_loses_nothing() {
    let (mut twin, namespace) = host(64, 10_000);
    flood(&mut twin, START, namespace, 0..1000);
    let longest = twin.chain_lengths().longest();
    twin.set_buckets(Buckets(8192));
    assert!(twin.chain_lengths().longest() < longest);
    assert_eq!(twin.entries(START, namespace).count(), 1000);
    for client in 0..1000 {
        let answer = pass(&mut twin, START, namespace, &plain(udp(client, 53).mirrored()));
        assert!(matches!(answer, Verdict::Passed { relation: Relation::Established, .. }));
    }
    assert_eq!(twin.host_settings().capacity, Capacity(10_000));
}

/// An entry made without a packet has no hash: only the first eight buckets are emptied for it.
#[test]
fn room_for_an_entry_that_is_made_is_looked_for_in_the_first_buckets() {
    let (mut twin, namespace) = host(4096, 2000);
    flood(&mut twin, START, namespace, 0..2000);
    let made = |client| NewEntry { status: Status::default(), ..held(client, TcpState::SynSent) };
    let refused = (3000..3100).filter(|client| twin.insert(START, namespace, &made(*client)).is_err());
    assert!(refused.count() > 70);
}

#[test]
fn what_is_there_is_found_before_room_is_made_and_what_has_expired_gives_way() {
    let (mut twin, namespace) = host(1, 3);
    flood(&mut twin, START, namespace, 0..3);
    let new =
        NewEntry { original: udp(1, 53), reply: udp(1, 53).mirrored(), tcp_state: None, ..held(1, TcpState::None) };
    assert_eq!(twin.insert(START, namespace, &new), Err(NotInserted::Exists));
    assert_eq!((twin.counters(namespace).get(Counter::EarlyDrop), twin.occupancy(namespace).0), (0, 3));
    assert!(twin.insert(secs(31), namespace, &new).is_ok());
}

/// A hundred days are more than ticks can tell from the past.
#[test]
fn a_leap_of_months_leaves_nothing_that_has_expired() {
    for (hz, days) in [(250, 100), (1000, 25), (1000, 400)] {
        let capabilities = Capabilities { hz: Hz::new(hz).unwrap(), ..Capabilities::LINUX_6_18 };
        let (mut twin, namespace) = host_of(capabilities, 64, 2000);
        flood(&mut twin, START, namespace, 0..10);
        let later = Duration::from_hours(24 * days);
        twin.advance(later);
        assert_eq!((twin.occupancy(namespace).0, twin.entries(later, namespace).count()), (0, 0), "{hz}, {days}");
    }
    let (mut twin, namespace) = host(64, 2000);
    flood(&mut twin, secs(1000), namespace, 0..10);
    flood(&mut twin, secs(10), namespace, 0..20);
    flood(&mut twin, Duration::MAX, namespace, 0..10);
    flood(&mut twin, secs(3), namespace, 0..10);
}
