//! Plans for hosts with one trouble each: what helps is proposed, in order, and what does harm is not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod common;
#[path = "../../diagnose/tests/support/mod.rs"]
mod support;

use common::{ESTABLISHED, SYN_SENT, TIME_WAIT, UDP, auto, named, of, planned, to};
use plimsoll_diagnose::diagnose;
use plimsoll_model::{
    Buckets, Capacity, Edit, Entry, FindingId, Layer4, Limits, NetworkSettings, Occupancy, Protocol, Relation,
    Snapshot, Status, Sysctl, TcpState, Timeouts, Tuple,
};
use plimsoll_plan::{FOUNDING_SHARE, Going, Profile, Risk, Role, Room, SizeDecision, TimeoutsBy, relief};
use support::entries::{ASSURED, SERVER, closed, established, half_open, server, table, tcp, tuple};
use support::{BUCKETS, CAPACITY, change, host, namespace};

#[test]
fn a_healthy_host_has_nothing_to_do() {
    for snapshot in [host(), table(closed(1000, 500)), table(established(2000, 431_000))] {
        let plan = auto(&snapshot);
        assert!(plan.changes.is_empty(), "{plan:#?}");
        assert!(matches!(plan.sizing.decision, SizeDecision::Enough { .. }), "{plan:#?}");
    }
}

#[test]
fn a_storm_gets_room_and_the_gentlest_timeout_that_is_enough() {
    // 75 closes a second: 9,000 entries at 120 s, and gc's lag.
    let snapshot = table(closed(9000, 3000));
    let plan = auto(&snapshot);
    let raised = to(&plan, Sysctl::CAPACITY).unwrap();
    assert!(raised >= 18_000 && raised.is_power_of_two(), "{raised}");
    // With 60 s it would be 6,750 with gc's lag, and twice that is no room; with 30 s, 4,500.
    assert_eq!(to(&plan, named(TIME_WAIT)), Some(30), "{plan:#?}");
    let change = of(&plan, named(TIME_WAIT)).unwrap();
    let forecast = change.forecast.as_ref().unwrap();
    let (as_is, then) = (forecast.as_is.moments.last().unwrap(), forecast.then.moments.last().unwrap());
    // gc's lag fills the table: not all of the 9,000 find room.
    assert!(as_is.live.value > 7000.0 && forecast.as_is.refused_flows > 100, "{forecast:?}");
    assert!((then.live.value - 2250.0).abs() < 200.0, "{forecast:?}");
    // Within half a minute a lower timeout has let nothing go: entries that are there keep their time.
    let soon = |of: &plimsoll_plan::Course| of.moments[0].live.value;
    assert!((soon(&forecast.as_is) - soon(&forecast.then)).abs() < 200.0, "{forecast:?}");
    assert!(change.takes_effect.contains("trim"), "{change:?}");
    assert!(plan.together.is_some());
}

#[test]
fn the_most_helpful_for_the_least_risk_comes_first() {
    let mut snapshot = table(closed(9000, 3000));
    snapshot.namespaces[0].settings.syncookies = Some(1);
    let plan = auto(&snapshot);
    let first = &plan.changes[0];
    assert!(
        matches!(first.edit, Edit::Sysctl { sysctl: Sysctl::CAPACITY, .. }) && first.risk == Risk::None,
        "{plan:#?}"
    );
}

#[test]
fn memory_refuses_with_its_arithmetic_and_timeouts_are_proposed_all_the_same() {
    let mut snapshot = table(closed(9000, 3000));
    snapshot.host.ram_bytes = Some(32 << 20);
    let plan = auto(&snapshot);
    let SizeDecision::Refused { because, bears_entries } = &plan.sizing.decision else { panic!("{plan:#?}") };
    assert!(because.contains("12.0% of 32 MiB RAM are 3.8 MiB") && because.contains("448 bytes"), "{because}");
    assert_eq!(*bears_entries, (32_u64 << 20) * 12 / 100 / 448);
    assert_eq!(to(&plan, Sysctl::CAPACITY), None);
    assert_eq!(to(&plan, named(TIME_WAIT)), Some(30));
    assert!(plan.passed_over.iter().any(|passed| passed.what.contains("nf_conntrack_max")), "{plan:#?}");
}

#[test]
fn memory_that_is_not_available_refuses_too() {
    let mut snapshot = table(closed(9000, 3000));
    snapshot.host.available_bytes = Some(1 << 20);
    let SizeDecision::Refused { because, .. } = auto(&snapshot).sizing.decision else { panic!() };
    assert!(because.contains("1.0 MiB of memory are available"), "{because}");
}

#[test]
fn what_is_measured_decides_and_the_worst_case_is_stated_apart() {
    let mut snapshot = table(closed(1000, 500));
    snapshot.limits.capacity = Some(Capacity(262_144));
    snapshot.namespaces[0].capacity = snapshot.limits.capacity;
    let pods = (0..110).map(|number| namespace(&format!("pod-{number}"), Relation::Other, 300));
    snapshot.namespaces.extend(pods);
    let plan = auto(&snapshot);
    assert!(matches!(plan.sizing.decision, SizeDecision::Enough { .. }), "{:?}", plan.sizing.decision);
    let all_full = plan.sizing.all_full_bytes.unwrap();
    assert_eq!(all_full, 111 * 262_144 * 448 + u64::from(BUCKETS) * 8);
    assert!(all_full > plan.sizing.budget.unwrap().bytes);
}

#[test]
fn the_founding_formula_and_its_table_are_both_told() {
    let budget = auto(&host()).sizing.budget.unwrap();
    assert_eq!(budget.founding_formula_entries, (16_u64 << 30) * 12 / 100 / 500);
    assert_eq!(budget.founding_table_entries, Some(1_048_576));
    let mut small = host();
    small.host.ram_bytes = Some(2 << 30);
    assert_eq!(auto(&small).sizing.budget.unwrap().founding_table_entries, None);
    // The kernel tells somewhat less than what was bought.
    small.host.ram_bytes = Some((4 << 30) - (200 << 20));
    assert_eq!(auto(&small).sizing.budget.unwrap().founding_table_entries, Some(262_144));
}

#[test]
fn a_table_without_a_limit_gets_one() {
    let mut snapshot = table(closed(1000, 500));
    snapshot.limits = Limits { capacity: Some(Capacity(0)), ..snapshot.limits };
    snapshot.namespaces[0].capacity = Some(Capacity(0));
    let raised = to(&auto(&snapshot), Sysctl::CAPACITY).unwrap();
    assert_eq!(u64::from(raised), (16_u64 << 30) * 12 / 100 / 448);
}

#[test]
fn established_never_goes_below_what_keepalives_need() {
    let mut snapshot = table(established(5000, 300_000));
    let keepalive = NetworkSettings {
        keepalive_time_secs: Some(7200),
        keepalive_interval_secs: Some(75),
        ..NetworkSettings::default()
    };
    snapshot.namespaces[0].settings = keepalive;
    let plan = planned(&snapshot, TimeoutsBy::Profile(Profile::ApiGateway));
    assert_eq!(to(&plan, named(ESTABLISHED)), Some(7275));
    let change = of(&plan, named(ESTABLISHED)).unwrap();
    assert!(change.derivation.contains("600 s") && change.derivation.contains("keepalive"), "{}", change.derivation);
    // Its price: RFC 5382 has 2 h 4 min, and this is no NAT.
    assert!(change.prices.iter().any(|price| price.source.contains("5382")), "{change:#?}");
    // What was not read is taken to be the kernel's own, which is the same.
    snapshot.namespaces[0].settings = NetworkSettings::default();
    let plan = planned(&snapshot, TimeoutsBy::Profile(Profile::ApiGateway));
    assert_eq!(to(&plan, named(ESTABLISHED)), Some(7275));
    assert!(of(&plan, named(ESTABLISHED)).unwrap().derivation.contains("could not be read"), "{plan:#?}");
    // Whoever sends them each minute may forget sooner.
    snapshot.namespaces[0].settings.keepalive_time_secs = Some(60);
    snapshot.namespaces[0].settings.keepalive_interval_secs = Some(10);
    assert_eq!(to(&planned(&snapshot, TimeoutsBy::Profile(Profile::ApiGateway)), named(ESTABLISHED)), Some(600));
}

#[test]
fn silent_connections_are_counted_and_what_would_become_of_them() {
    // All have been silent for 132,000 s.
    let snapshot = table(established(5000, 300_000));
    let plan = planned(&snapshot, TimeoutsBy::Profile(Profile::Vpn));
    let change = of(&plan, named(ESTABLISHED)).unwrap();
    let silenced = change.silenced.unwrap();
    assert_eq!((silenced.flows.low, silenced.flows.high, silenced.picked_up), (5000, 5000, 5000), "{silenced:?}");
    assert_eq!(change.risk, Risk::Low);
    // Translated ones are not picked up.
    let translated = established(5000, 300_000).map(|entry| Entry { status: ASSURED.and(Status::SRC_NAT), ..entry });
    let plan = planned(&table(translated), TimeoutsBy::Profile(Profile::Vpn));
    let change = of(&plan, named(ESTABLISHED)).unwrap();
    assert_eq!(change.silenced.unwrap().reset, 5000);
    assert_eq!((change.risk, plan.role), (Risk::Medium, Role::Nat));
}

#[test]
fn time_wait_never_goes_below_fifteen_seconds() {
    let snapshot = table(closed(9900, 3000));
    let mut full = snapshot.clone();
    full.limits.capacity = Some(Capacity(100));
    full.namespaces[0].capacity = Some(Capacity(100));
    assert_eq!(to(&auto(&full), named(TIME_WAIT)), Some(15), "far too little room");
    full.namespaces[0].timeouts = [(named(TIME_WAIT).timeout().unwrap(), 15)].into_iter().collect();
    assert_eq!(to(&auto(&full), named(TIME_WAIT)), None);
}

fn asked(count: u32, port: u16) -> impl Iterator<Item = Entry> {
    (0..count).map(move |number| {
        let from = u16::try_from(1024 + number % 60_000).unwrap();
        let tuple = tuple(Protocol::UDP, number / 60_000, from, SERVER.into(), port);
        let remaining_secs = Some(number * 29 / count);
        Entry { status: Status::CONFIRMED.and(Status::SRC_NAT), remaining_secs, ..Entry::of(tuple) }
    })
}

#[test]
fn a_nat_keeps_udp_for_two_minutes_and_only_a_well_known_port_gets_less() {
    let plan = auto(&table(asked(9500, 53)));
    assert_eq!(to(&plan, named(UDP)), None, "30 s are less already, and less than that is not proposed");
    assert!(plan.passed_over.iter().any(|passed| passed.because.contains("RFC 4787")), "{plan:#?}");
    let policy = plan.changes.iter().find_map(|change| match &change.edit {
        Edit::Policy(policy) => Some(policy),
        Edit::Sysctl { .. } | Edit::Bypass(_) | Edit::Shield(_) | Edit::XdpStage(_) => None,
    });
    let policy = policy.unwrap();
    assert_eq!((policy.port, policy.timeouts[0].secs), (53, 10));
    // Where there are policies already, this may be one of them.
    let mut governed = table(asked(9500, 53));
    governed.namespaces[0].policies = plimsoll_model::Policies::Some(1);
    assert!(auto(&governed).changes.iter().all(|change| matches!(change.edit, Edit::Sysctl { .. })));
    // No such port, no policy.
    let plan = auto(&table(asked(9500, 5353)));
    assert!(plan.changes.iter().all(|change| matches!(change.edit, Edit::Sysctl { .. })), "{plan:#?}");
    // Who translates nothing may go lower, at a price.
    let untranslated = asked(9500, 53).map(|entry| Entry { status: Status::CONFIRMED, ..entry });
    let plan = auto(&table(untranslated));
    assert!(to(&plan, named(UDP)).is_some_and(|secs| secs < 30), "{plan:#?}");
    assert!(of(&plan, named(UDP)).unwrap().prices.iter().any(|price| price.least_secs == 120));
}

#[test]
fn half_open_connections_go_sooner_and_tcp_loose_stays() {
    let mut snapshot = table(half_open(9000, |number| number, server));
    snapshot.namespaces[0].settings.tcp_loose = Some(true);
    snapshot.namespaces[0].settings.syncookies = Some(0);
    let plan = auto(&snapshot);
    assert!(to(&plan, named(SYN_SENT)).is_some_and(|secs| secs <= 60), "{plan:#?}");
    assert_eq!(to(&plan, Sysctl::SYNCOOKIES), Some(1), "{plan:#?}");
    assert!(plan.passed_over.iter().any(|passed| passed.what.contains("tcp_loose")), "{plan:#?}");
    // Room is what a flood fills: said where it is proposed, and no first thing to do.
    let room = of(&plan, Sysctl::CAPACITY).unwrap();
    assert!(room.risk == Risk::Medium && room.risk_because.contains("filter before tracking"), "{room:?}");
    assert!(!matches!(plan.changes[0].edit, Edit::Sysctl { sysctl: Sysctl::CAPACITY, .. }), "{plan:#?}");
    // A flood elsewhere says nothing of this namespace's room.
    snapshot = table(closed(9000, 3000));
    let mut other = table(half_open(3000, |number| number, server)).namespaces.remove(0);
    other.namespace = namespace("other", Relation::Other, 0).namespace;
    snapshot.namespaces.push(other);
    assert!(diagnose(&snapshot).iter().any(|finding| finding.id == FindingId::SynFlood), "{snapshot:#?}");
    assert_eq!(of(&auto(&snapshot), Sysctl::CAPACITY).unwrap().risk, Risk::None);
}

#[test]
fn buckets_follow_where_chains_would_be_long_and_not_in_an_emergency() {
    let mut snapshot = table(closed(5500, 3000));
    snapshot.limits.buckets = Some(Buckets(512));
    let plan = auto(&snapshot);
    let choice = plan.buckets.as_ref().unwrap();
    assert_eq!(to(&plan, Sysctl::BUCKETS), Some(choice.then));
    assert_eq!(choice.then, plan.sizing.capacity_then().unwrap() / 4);
    let now = choice.options.iter().find(|option| option.buckets == 512).unwrap();
    assert!(now.chain_cap_bites, "{choice:#?}");
    // More buckets look up faster and let early_drop find less.
    let pairs = choice.options.windows(2);
    assert!(pairs.clone().all(|pair| pair[0].nodes_a_lookup > pair[1].nodes_a_lookup), "{choice:#?}");
    let mut full = snapshot.clone();
    full.namespaces[0].occupancy = Some(Occupancy(CAPACITY));
    let plan = auto(&full);
    assert_eq!(to(&plan, Sysctl::BUCKETS), None);
    assert!(plan.buckets.unwrap().because.contains("nearly full"));
    snapshot.namespaces[0].change = Some(change(&[(plimsoll_model::Counter::Drop, 5)]));
    assert_eq!(to(&auto(&snapshot), Sysctl::BUCKETS), None);
    snapshot.namespaces[0].change = Some(change(&[]));
    snapshot.limits.buckets = Some(Buckets(CAPACITY));
    assert_eq!(to(&auto(&snapshot), Sysctl::BUCKETS), None, "chains are short enough");
}

#[test]
fn helpers_without_need_and_expectations_without_room() {
    let mut snapshot = table(closed(1000, 500));
    snapshot.namespaces[0].settings.helper = Some(true);
    snapshot.namespaces[0].expectations = Some(4000);
    let plan = auto(&snapshot);
    assert_eq!(to(&plan, Sysctl::HELPER), Some(0));
    assert_eq!(to(&plan, Sysctl::EXPECT_MAX), Some(8192));
    let helped = closed(1000, 500).map(|entry| Entry { status: entry.status.and(Status::EXPECTED), ..entry });
    let mut snapshot = table(helped);
    snapshot.namespaces[0].settings.helper = Some(true);
    assert_eq!(to(&auto(&snapshot), Sysctl::HELPER), None, "they are used");
}

#[test]
fn entries_that_were_not_read_are_not_planned_for() {
    let mut snapshot = host();
    snapshot.namespaces[0].occupancy = Some(Occupancy(9000));
    let plan = auto(&snapshot);
    assert_eq!(to(&plan, Sysctl::CAPACITY), Some(32_768), "what is counted needs room");
    assert!(plan.together.is_none() && plan.passed_over.iter().any(|passed| passed.because.contains("not read")));
}

#[test]
fn an_emergency_gets_as_much_room_as_the_tightest_bound_allows() {
    let mut snapshot = table(closed(10_000, 3000));
    let room = |snapshot: &Snapshot| relief(snapshot, &snapshot.namespaces[0], FOUNDING_SHARE).room;
    let raised = |snapshot: &Snapshot, to: u32, because: &str| match room(snapshot) {
        Room::Raise { from, to: raised, because: told } => {
            assert_eq!((from, raised), (CAPACITY, to / 1024 * 1024), "{told}");
            assert!(told.contains(because), "{told}");
        }
        stays @ Room::Stays { .. } => panic!("{stays:?}"),
    };
    raised(&snapshot, 25 * BUCKETS, "cap of a chain");
    snapshot.host.available_bytes = Some(16 << 20);
    raised(&snapshot, 10_000 + (8 << 20) / 448, "half of the 16 MiB");
    snapshot.host.ram_bytes = Some(64 << 20);
    raised(&snapshot, ((64 << 20) * 12 / 100 - 8 * BUCKETS) / 448, "12.0% of 64 MiB RAM");
    for missing in [
        Snapshot { host: plimsoll_model::Host { available_bytes: None, ..snapshot.host.clone() }, ..snapshot.clone() },
        Snapshot { host: plimsoll_model::Host { ram_bytes: None, ..snapshot.host.clone() }, ..snapshot.clone() },
        Snapshot {
            host: plimsoll_model::Host { ram_bytes: Some(1 << 20), ..snapshot.host.clone() },
            ..snapshot.clone()
        },
        Snapshot { limits: Limits { capacity: Some(Capacity(0)), ..snapshot.limits }, ..snapshot.clone() },
        Snapshot { limits: Limits { capacity: None, ..snapshot.limits }, ..snapshot.clone() },
    ] {
        assert!(matches!(room(&missing), Room::Stays { .. }), "{missing:?}");
    }
}

#[test]
fn an_emergency_clears_no_connection_that_may_carry_data_at_once() {
    for stale in relief(&host(), &host().namespaces[0], FOUNDING_SHARE).stale {
        assert_ne!(stale.state, TcpState::Established);
        let may_carry_data = matches!(stale.state, TcpState::FinWait | TcpState::CloseWait | TcpState::LastAck);
        assert_eq!(may_carry_data, stale.going == Going::UnlessAPacketComes, "{stale:?}");
    }
}

#[test]
fn that_others_have_room_says_nothing_of_a_namespace_that_was_not_counted() {
    let mut snapshot = host();
    snapshot.namespaces[0].occupancy = None;
    snapshot.namespaces.push(namespace("other", Relation::Other, 25));
    let SizeDecision::NotKnown { because } = auto(&snapshot).sizing.decision else { panic!() };
    assert_eq!(because, "the entries of host could not be counted");
}

#[test]
fn the_same_snapshot_gives_the_same_plan_and_its_edits_are_read_back() {
    let snapshot = table(closed(9000, 3000));
    let texts = [auto(&snapshot), auto(&snapshot)].map(|plan| serde_json::to_string(&plan).unwrap());
    assert_eq!(texts[0], texts[1]);
    let document: serde_json::Value = serde_json::from_str(&texts[0]).unwrap();
    for change in document["changes"].as_array().unwrap() {
        serde_json::from_value::<Edit>(change["edit"].clone()).unwrap();
    }
}

#[test]
fn a_profile_sets_what_it_says_and_nothing_that_is_so_already() {
    let mut snapshot = table(closed(100, 50));
    snapshot.namespaces[0].timeouts = Timeouts::compiled_defaults();
    let plan = planned(&snapshot, TimeoutsBy::Profile(Profile::General));
    assert_eq!(to(&plan, named(TIME_WAIT)), Some(30));
    assert_eq!(to(&plan, named(UDP)), None, "30 s are the default");
    assert_eq!(to(&plan, Sysctl::CAPACITY), None, "sizes follow from what was measured");
    assert!(planned(&snapshot, TimeoutsBy::Keep).changes.is_empty());
}

#[test]
fn hostile_tables_make_a_plan_too() {
    let odd = |number: u32| {
        let tuple = Tuple {
            layer4: Layer4::None,
            protocol: Protocol(254),
            ..tuple(Protocol::TCP, number, 1, SERVER.into(), 1)
        };
        Entry { remaining_secs: None, ..Entry::of(tuple) }
    };
    let stateless = |number: u32| Entry {
        state: plimsoll_model::ProtocolState::Unknown(99),
        remaining_secs: Some(u32::MAX),
        ..tcp(tuple(Protocol::TCP, number, 2, SERVER.into(), 2), TcpState::None, Status(0), 0)
    };
    let plan = auto(&table((0..3000).map(odd).chain((0..6000).map(stateless))));
    assert!(to(&plan, Sysctl::CAPACITY).is_some(), "{plan:#?}");
}
