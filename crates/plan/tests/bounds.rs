//! What a plan does not claim, and what it does not make worse: unknown growth, other namespaces, what no setting cures.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod common;
#[path = "../../diagnose/tests/support/mod.rs"]
mod support;

use common::{ESTABLISHED, TIME_WAIT, auto, named, of, planned, to};
use plimsoll_diagnose::diagnose;
use plimsoll_model::{Buckets, FindingId, NamedBy, Occupancy, Relation, Sysctl};
use plimsoll_plan::{Profile, Risk, TimeoutsBy};
use support::entries::{closed, established, table};
use support::{CAPACITY, change, namespace};

#[test]
fn no_harm_is_told_that_no_entry_would_meet() {
    // They are up to 30 s silent, and none is translated.
    let plan = planned(&table(closed(100, 50)), TimeoutsBy::Profile(Profile::Vpn));
    let change = of(&plan, named(ESTABLISHED)).unwrap();
    let silenced = change.silenced.unwrap();
    assert_eq!((silenced.picked_up, silenced.reset, silenced.black_holed), (0, 0, 0), "{silenced:?}");
    assert_eq!(change.risk, Risk::Low);
    assert!(change.risk_because.starts_with("no entry that was read has been silent for longer"), "{change:?}");
    let plan = planned(&table(established(5000, 300_000)), TimeoutsBy::Profile(Profile::Vpn));
    let told = &of(&plan, named(ESTABLISHED)).unwrap().risk_because;
    assert!(told.ends_with("those that live are picked up again (up to 5,000)"), "{told}");
}

#[test]
fn a_table_that_grows_for_unknown_reasons_needs_room_and_nothing_is_foretold_of_it() {
    // Open connections tell not when they came.
    let mut snapshot = table(established(4000, 431_999));
    assert!(auto(&snapshot).changes.is_empty());
    snapshot.namespaces[0].change = Some(plimsoll_model::Change { occupancy: 200, ..change(&[]) });
    let plan = auto(&snapshot);
    assert_eq!(plan.sizing.demands[0].demand.measured, u64::from(CAPACITY), "{:?}", plan.sizing.demands);
    assert_eq!(to(&plan, Sysctl::CAPACITY), Some((2 * CAPACITY).next_power_of_two()));
    assert!(plan.together.is_none() && plan.changes.iter().all(|change| change.forecast.is_none()), "{plan:#?}");
    assert!(plan.notes.iter().any(|note| note.starts_with("nothing is predicted")), "{:?}", plan.notes);
}

#[test]
fn what_was_found_and_no_change_is_for_is_told() {
    let mut snapshot = table(closed(1000, 500));
    snapshot.namespaces[0].change =
        Some(change(&[(plimsoll_model::Counter::InsertFailed, 500), (plimsoll_model::Counter::Drop, 500)]));
    let found: Vec<_> = diagnose(&snapshot).into_iter().filter(|of| of.id == FindingId::InsertClash).collect();
    let [clash] = &found[..] else { panic!("{found:#?}") };
    let plan = auto(&snapshot);
    let told = plan.passed_over.iter().find(|passed| passed.what == clash.title);
    assert!(told.is_some_and(|told| told.because.contains("plimsoll explain insert-clash")), "{:?}", plan.passed_over);
}

#[test]
fn a_timeout_that_ends_flows_that_live_is_raised() {
    let mut snapshot = table(closed(1000, 4));
    let timeout = named(TIME_WAIT).timeout().unwrap();
    snapshot.namespaces[0].timeouts = [(timeout, 5)].into_iter().collect();
    let plan = auto(&snapshot);
    assert_eq!(to(&plan, named(TIME_WAIT)), Some(15), "{plan:#?}");
    assert_eq!(of(&plan, named(TIME_WAIT)).unwrap().risk, Risk::None);
}

#[test]
fn a_change_of_a_namespace_is_undone_there() {
    let mut snapshot = table(closed(9000, 3000));
    snapshot.namespaces[0].namespace.named_by = NamedBy::Given;
    snapshot.namespaces[0].namespace.name = plimsoll_model::Untrusted::from_escaped("web".to_string());
    let plan = auto(&snapshot);
    let undo = |sysctl| of(&plan, sysctl).unwrap().revert.clone();
    assert!(undo(named(TIME_WAIT)).starts_with("ip netns exec web sysctl -w "), "{}", undo(named(TIME_WAIT)));
    assert!(undo(Sysctl::CAPACITY).starts_with("sysctl -w "), "it is the host's");
    snapshot.namespaces[0].namespace.name = plimsoll_model::Untrusted::from_escaped("a;b".to_string());
    let plan = auto(&snapshot);
    assert!(of(&plan, named(TIME_WAIT)).unwrap().revert.starts_with("in a;b: sysctl -w "));
}

#[test]
fn what_silent_connections_give_is_in_no_prediction() {
    let plan = planned(&table(established(5000, 300_000)), TimeoutsBy::Profile(Profile::Vpn));
    let change = of(&plan, named(ESTABLISHED)).unwrap();
    assert!(change.forecast.is_none() && change.silenced.is_some(), "{change:#?}");
}

#[test]
fn a_profiles_limit_is_told_where_less_is_enough() {
    let plan = planned(&table(closed(100, 50)), TimeoutsBy::Profile(Profile::Kubernetes));
    assert!(plan.passed_over.iter().any(|passed| passed.what.contains("1,048,576")), "{:?}", plan.passed_over);
}

#[test]
fn packets_that_another_namespace_loses_put_a_resize_off_too() {
    let mut snapshot = table(closed(5500, 3000));
    snapshot.limits.buckets = Some(Buckets(512));
    snapshot.namespaces.push(namespace("other", Relation::Other, 10));
    assert!(to(&auto(&snapshot), Sysctl::BUCKETS).is_some());
    snapshot.namespaces[1].change = Some(change(&[(plimsoll_model::Counter::Drop, 5)]));
    assert_eq!(to(&auto(&snapshot), Sysctl::BUCKETS), None);
}

#[test]
fn where_chains_refuse_entries_a_resize_does_not_wait() {
    let mut snapshot = table(closed(5500, 3000));
    snapshot.limits.buckets = Some(Buckets(512));
    snapshot.namespaces[0].occupancy = Some(Occupancy(CAPACITY));
    assert_eq!(to(&auto(&snapshot), Sysctl::BUCKETS), None);
    snapshot.namespaces[0].change = Some(change(&[(plimsoll_model::Counter::ChainTooLong, 5)]));
    assert!(to(&auto(&snapshot), Sysctl::BUCKETS).is_some());
}

#[test]
fn all_namespaces_share_the_buckets() {
    let mut snapshot = table(closed(1000, 500));
    snapshot.limits.buckets = Some(Buckets(CAPACITY));
    assert_eq!(to(&auto(&snapshot), Sysctl::BUCKETS), None);
    let pods = (0..10).map(|number| namespace(&format!("pod-{number}"), Relation::Other, CAPACITY / 2));
    snapshot.namespaces.extend(pods);
    let plan = auto(&snapshot);
    assert!(to(&plan, Sysctl::BUCKETS).is_some_and(|buckets| buckets > CAPACITY), "{:?}", plan.buckets);
}
