//! Whom a shield hits, and whether it may drop.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use plimsoll_model::{Status, TcpState};
use plimsoll_shield::{Collateral, Counters, Early, Hit, Judgement, NotEnforced, Part, Peers, Reading};

use support::{address, done, half_open, shield, tcp};

fn reading(hits: &[(u8, u64)], counters: Counters) -> Reading {
    let hits = hits.iter().map(|(source, packets)| Hit { source: address(*source), packets: *packets }).collect();
    Reading { armed_secs: 60, enforced_secs: 0, counters, hits }
}

/// What the table shows: of each source, completed flows and half-open ones.
fn peers(reading: &Reading, flows: &[(u8, u16, u16)]) -> Peers {
    let (mut peers, shield, hit) = (Peers::default(), shield(443), reading.hit_sources());
    for (source, completed, open) in flows {
        (0..*completed).for_each(|port| peers.count(&done(*source, port, 443), &shield, &hit));
        (0..*open).for_each(|port| peers.count(&half_open(*source, 10_000 + port, 443), &shield, &hit));
    }
    peers
}

fn of(hits: &[(u8, u64)], flows: &[(u8, u16, u16)]) -> Collateral {
    let reading = reading(hits, Counters::default());
    Collateral::of(&reading, &peers(&reading, flows))
}

#[test]
fn nobody_who_means_well_is_hit_by_a_limit_on_a_flood() {
    let collateral = of(&[(9, 100_000)], &[(1, 10, 0), (2, 10, 2), (9, 0, 500)]);
    assert_eq!((collateral.sources, collateral.flows), (Part { hit: 0, of: 2 }, Part { hit: 0, of: 20 }));
    assert_eq!(collateral.judge(0.01), Judgement::Enforce(0.0));
}

#[test]
fn a_flooder_that_completes_a_handshake_is_no_source_that_means_well() {
    let collateral = of(&[(9, 100_000)], &[(1, 1000, 0), (9, 3, 500)]);
    assert_eq!((collateral.sources, collateral.flows), (Part { hit: 0, of: 1 }, Part { hit: 3, of: 1003 }));
    assert_eq!(collateral.judge(0.01), Judgement::Enforce(3.0 / 1003.0));
    // As many completed as half-open: it is one.
    let collateral = of(&[(9, 100_000)], &[(1, 1000, 0), (9, 500, 500)]);
    assert_eq!(collateral.sources, Part { hit: 1, of: 2 });
}

#[test]
fn many_users_behind_one_address_weigh_as_many() {
    let others: Vec<_> = (10..110).map(|source| (source, 1, 0)).collect();
    let flows: Vec<_> = others.iter().copied().chain([(1, 1000, 0)]).collect();
    let collateral = of(&[(1, 800)], &flows);
    assert_eq!(collateral.flows, Part { hit: 800, of: 1100 });
    assert!(matches!(collateral.judge(0.5), Judgement::Stay(NotEnforced::TooMany { .. })));
    assert_eq!(collateral.hit, [address(1)]);
    assert_eq!(of(&[(1, 5000)], &flows).flows, Part { hit: 1000, of: 1100 }, "no more than it has");
}

#[test]
fn what_is_not_known_is_no_reason_to_drop() {
    let flows = &[(1, 10, 0)];
    let counted = |counters| {
        let reading = reading(&[], counters);
        Collateral::of(&reading, &peers(&reading, flows))
    };
    let unrecorded = counted(Counters { unrecorded: 3, ..Counters::default() });
    assert_eq!(unrecorded.judge(0.99), Judgement::Stay(NotEnforced::Unrecorded(3)));
    let chance = counted(Counters { without_room: 1000, over_total: 900, ..Counters::default() });
    assert!(matches!(chance.judge(0.5), Judgement::Stay(NotEnforced::TooMany { share, .. }) if share >= 0.9));
    let nobody = of(&[(9, 10)], &[]);
    assert_eq!(nobody.judge(0.99), Judgement::Stay(NotEnforced::NobodyKnown));
    for collateral in [unrecorded, chance, nobody] {
        assert!(matches!(collateral.judge(1.0), Judgement::Enforce(_)), "who allows everything is not told no");
    }
}

#[test]
fn what_never_came_to_the_rules_counts_with_what_did() {
    let hits = |hits: &[(u8, u64)]| reading(hits, Counters::default()).hits;
    let early = Early { hits: hits(&[(1, 3), (2, 4)]), unrecorded: 5 };
    let mut reading = reading(&[(1, 2), (3, 1)], Counters { unrecorded: 1, ..Counters::default() }).and_early(early);
    reading.hits.sort_unstable_by_key(|hit| hit.source);
    assert_eq!((reading.hits.clone(), reading.counters.unrecorded), (hits(&[(1, 5), (2, 4), (3, 1)]), 6));
    let collateral = Collateral::of(&reading, &peers(&reading, &[(2, 10, 0), (4, 90, 0)]));
    assert_eq!((collateral.sources, collateral.flows), (Part { hit: 1, of: 2 }, Part { hit: 4, of: 100 }));
}

#[test]
fn the_share_that_is_allowed_is_allowed() {
    let flows: Vec<_> = (1..=100).map(|source| (source, 1, 0)).collect();
    let collateral = of(&[(1, 1)], &flows);
    assert_eq!(collateral.judge(0.01), Judgement::Enforce(0.01));
    assert!(matches!(collateral.judge(0.009), Judgement::Stay(_)));
}

#[test]
fn whom_a_shield_keeps_out_is_not_forgotten() {
    let before = of_table(&[(1, 10, 0), (2, 10, 0)]);
    let now = of_table(&[(2, 12, 0)]).and_before(&before);
    assert_eq!((now.of(address(1)).done, now.of(address(2)).done), (10, 12));
}

fn of_table(flows: &[(u8, u16, u16)]) -> Peers {
    peers(&reading(&[], Counters::default()), flows)
}

#[test]
fn what_is_of_another_service_or_protocol_is_left_out() {
    let (mut peers, shield, nobody) = (Peers::default(), shield(443), std::collections::HashSet::new());
    peers.count(&done(1, 1, 80), &shield, &nobody);
    peers.count(&tcp(2, 1, 443, TcpState::Established, Status::default()), &shield, &nobody);
    peers.count(&half_open(3, 1, 443), &shield, &nobody);
    assert_eq!(peers.iter().count(), 0, "another port; picked up and never answered; half-open and not hit");
}
