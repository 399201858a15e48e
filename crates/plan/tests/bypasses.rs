//! Which services are proposed to be left untracked, beside no rules at all.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod common;
#[path = "../../diagnose/tests/support/mod.rs"]
mod support;

use std::collections::BTreeSet;

use common::planned_beside;
use plimsoll_model::{Edit, Entry, OwnAddresses, Protocol, Snapshot, TcpState};
use plimsoll_plan::{BypassGround, Bypasses, Plan, Saves, TimeoutsBy};
use plimsoll_rules::{Beside, Ruleset};
use support::entries::{ASSURED, REPLIED, SERVER, established, port, table, tcp, tuple};

fn planned(snapshot: &Snapshot, bypasses: Bypasses) -> Plan {
    let mut own = OwnAddresses::default();
    own.add(SERVER.into(), ["192.0.2.255".parse().unwrap()]);
    let (ruleset, beside) = (Ruleset::default(), Beside { balanced: Some(Vec::new()), replicated: Some(false) });
    let ground = BypassGround { ruleset: &ruleset, beside: &beside, own: &own };
    planned_beside(snapshot, TimeoutsBy::Keep, bypasses, Ok(ground))
}

/// The ports of services that are proposed, but for that of `established`.
fn ports(plan: &Plan) -> BTreeSet<u16> {
    let bypasses = plan.changes.iter().filter_map(|change| match &change.edit {
        Edit::Bypass(bypass) => Some(bypass.port),
        _ => None,
    });
    bypasses.filter(|port| *port != 5432).collect()
}

/// Short connections to so many ports, 60 to each: from few peers or many, evenly over two minutes.
fn checks(services: u16, peers: u32) -> impl Iterator<Item = Entry> {
    (0..services).flat_map(move |service| {
        (0..60_u32).map(move |n| {
            let to = tuple(Protocol::TCP, n % peers, port(n), SERVER.into(), 9000 + service);
            tcp(to, TcpState::TimeWait, ASSURED, n * 2)
        })
    })
}

#[test]
fn small_services_between_known_peers_are_proposed_where_they_hold_much_together() {
    let of = |services, peers| {
        let snapshot = table(established(3000, 431_000).chain(checks(services, peers)));
        ports(&planned(&snapshot, Bypasses::Everywhere))
    };
    // A 33rd service would not be reckoned: the large one is among them.
    assert_eq!(of(31, 3), (9000..9031).collect());
    // Sixty clients each are known peers still; were they unknown, it would be a service like others.
    assert_eq!(of(31, 60).len(), 31);
}

#[test]
fn small_ones_are_left_where_they_hold_little_or_are_everybodys() {
    // Half of what comes is of one larger service, so that none of the small ones makes a tenth.
    let busy =
        |n: u32| tcp(tuple(Protocol::TCP, n, port(n), SERVER.into(), 80), TcpState::TimeWait, ASSURED, n * 120 / 9000);
    let of = |services| {
        let snapshot = table((0..9000).map(busy).chain(checks(services, 3)));
        ports(&planned(&snapshot, Bypasses::Everywhere))
    };
    assert_eq!(of(5), [80].into(), "they hold three hundred of nine thousand");
    let many = (0..10_000).map(|n| {
        let to = tuple(Protocol::TCP, n, port(n), SERVER.into(), 9000 + u16::try_from(n % 20).unwrap());
        tcp(to, TcpState::TimeWait, ASSURED, n * 120 / 10_000)
    });
    assert_eq!(
        ports(&planned(&table(many), Bypasses::Everywhere)),
        BTreeSet::new(),
        "a twentieth each, of unknown peers"
    );
}

#[test]
fn what_comes_counts_as_much_as_what_is_there() {
    let snapshot = table(established(9700, 431_000).chain(checks(4, 2)));
    let plan = planned(&snapshot, Bypasses::Everywhere);
    assert_eq!(ports(&plan), (9000..9004).collect());
    let change = plan.changes.iter().find(|change| change.why.contains("port 9001")).unwrap();
    let Saves { entries, per_sec } = change.saves.unwrap();
    assert_eq!((entries.low, entries.high), (60, 60));
    assert!((0.3..0.8).contains(&per_sec.unwrap()), "60 in two minutes: {per_sec:?}");
    assert!(change.why.contains("0.5 new ones a second"), "{}", change.why);
}

#[test]
fn where_there_is_room_nobody_looks_unless_it_is_asked_for() {
    let snapshot = table(established(3000, 431_000).chain(checks(31, 3)));
    let plan = planned(&snapshot, Bypasses::WhereShort);
    assert!(
        ports(&plan).is_empty() && !plan.passed_over.iter().any(|passed| passed.what.contains("tracking")),
        "{plan:#?}"
    );
}

#[test]
fn what_is_for_many_or_within_the_host_is_no_service() {
    let to = |address: &str, n: u32| {
        let to = tuple(Protocol::UDP, n, port(n), address.parse().unwrap(), 5353);
        Entry { status: REPLIED, remaining_secs: Some(20), ..Entry::of(to) }
    };
    for address in ["224.0.0.251", "192.0.2.255", "255.255.255.255"] {
        let snapshot = table((0..500).map(|n| to(address, n)));
        let plan = planned(&snapshot, Bypasses::Everywhere);
        assert!(ports(&plan).is_empty() && plan.passed_over.is_empty(), "{address}: {plan:#?}");
    }
    let within = (0..500).map(|n| {
        let entry = to("127.0.0.53", n);
        Entry { original: plimsoll_model::Tuple { source: SERVER.into(), ..entry.original }, ..entry }
    });
    assert!(ports(&planned(&table(within), Bypasses::Everywhere)).is_empty());
    let snapshot = table((0..500).map(|n| to("192.0.2.1", n)));
    assert_eq!(ports(&planned(&snapshot, Bypasses::Everywhere)), [5353].into());
}
