//! What a part of a table is doing now: bursts that are over, storms that have just begun.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod simulated;

use std::time::Duration;

use plimsoll_churn::{Outlook, Series, TimelineCourse, churn, flow};
use plimsoll_model::{Drawn, Occupancy, Policies, TcpState};
use simulated::{Simulated, Traffic};

fn all(_: &Drawn) -> bool {
    true
}

#[test]
fn a_burst_that_ended_20_s_ago_has_a_rate_of_nothing_and_falls() {
    let mut table = Simulated::new(1);
    table.arrive(Traffic::syns().between(60.0, 20.0), 400.0);
    let ns = table.read();
    let flow = flow(&ns, &all).unwrap();
    let per_sec = flow.per_sec.unwrap();
    assert!(per_sec.value == 0.0 && per_sec.high < 1.0, "{per_sec:?}");
    assert!(flow.now.low > 15_000 && flow.tends_to.unwrap().value < 10.0, "{flow:?}");
}

#[test]
fn a_storm_that_began_8_s_ago_has_its_full_rate_at_once() {
    let mut table = Simulated::new(2);
    table.arrive(Traffic::syns().between(8.0, 0.0), 1000.0);
    let ns = table.read();
    let flow = flow(&ns, &all).unwrap();
    assert!(flow.per_sec.unwrap().covers(1000.0) && flow.per_sec.unwrap().low > 900.0, "{flow:?}");
    assert!(flow.tends_to.unwrap().covers(120_000.0) && flow.tends_to.unwrap().low > 100_000.0, "{flow:?}");
}

#[test]
fn a_burst_that_ended_a_moment_ago_and_a_storm_that_began_a_moment_ago_are_not_averaged() {
    let mut table = Simulated::new(8);
    table.arrive(Traffic::closes().between(9.0, 4.0), 3000.0);
    let told = flow(&table.read(), &all).unwrap();
    assert!(told.per_sec.unwrap().value == 0.0 && told.per_sec.unwrap().high < 5.0, "{told:?}");
    let mut table = Simulated::new(9);
    table.arrive(Traffic::closes().between(2.1, 0.0), 3000.0);
    let told = flow(&table.read(), &all).unwrap();
    assert!(told.per_sec.unwrap().covers(3000.0) && told.per_sec.unwrap().low > 2700.0, "{told:?}");
}

#[test]
fn one_source_that_uses_every_port_in_turn_is_told_at_the_rate_that_is_seen() {
    let mut table = Simulated::new(10);
    let source = Traffic::closes().sources(1);
    for port in 0..65_535_u16 {
        // From the youngest to the oldest: 13,107 a second for five seconds, and every port is taken.
        table.add(&source.ports(port + 1, port + 1), f64::from(port) / 13_107.0);
    }
    let told = flow(&table.read(), &all).unwrap();
    let per_sec = told.per_sec.unwrap();
    assert!(per_sec.covers(13_107.0) && (per_sec.value / 13_107.0 - 1.0).abs() < 0.02, "{per_sec:?}");
    assert!(told.tends_to.unwrap().high < 70_000.0, "{told:?}");
}

#[test]
fn syns_from_a_source_whose_every_port_is_half_open_are_no_end_of_the_storm() {
    let mut table = Simulated::new(12);
    let source = Traffic::syns().sources(1);
    for port in 0..65_535_u16 {
        // The ports were used up 8 s ago.
        table.add(&source.ports(port + 1, port + 1), 8.0 + f64::from(port) / 13_107.0);
    }
    table.arrive(Traffic::syns().between(60.0, 0.0), 50.0);
    let ns = table.read();
    let told = flow(&ns, &all).unwrap();
    assert!(told.per_sec.unwrap().covers(50.0) && told.tends_to.is_none(), "{told:?}");
    assert!(matches!(churn(&ns).unwrap().outlook, Outlook::NotKnown { .. }));
}

#[test]
fn a_storm_that_has_not_begun_to_expire_is_told_at_its_full_rate_from_a_sample_too() {
    let mut table = Simulated::new(5);
    table.sample = Some(4_000);
    table.arrive(Traffic::udp().between(12.0, 0.0), 3000.0);
    let per_sec = flow(&table.read(), &all).unwrap().per_sec.unwrap();
    assert!(per_sec.covers(3000.0) && (per_sec.value / 3000.0 - 1.0).abs() < 0.05, "{per_sec:?}");
}

#[test]
fn senders_that_nobody_answers_are_no_arrivals_and_do_not_go_away() {
    let mut table = Simulated::new(6);
    // The last packet of each was a moment ago.
    table.arrive(Traffic::udp().between(1.0, 0.0), 2000.0);
    table.arrive(Traffic::udp().between(60.0, 0.0), 10.0);
    let told = flow(&table.read(), &all).unwrap();
    assert!(told.per_sec.unwrap().covers(10.0) && told.per_sec.unwrap().high < 20.0, "{told:?}");
    assert_eq!(told.tends_to, None, "how long they go on is not known");
}

#[test]
fn senders_of_a_packet_each_few_seconds_are_no_arrivals_while_the_count_stays() {
    let mut table = Simulated::new(11);
    table.sample = Some(4_000);
    // 20,000 senders, each of which sent its last packet within 3 s, and who were there long before.
    table.arrive(Traffic::udp().between(3.0, 0.0), 20_000.0 / 3.0);
    let entries = u32::try_from(table.len()).unwrap();
    table.course = (0..=10).map(|tenth| (Duration::from_millis(100 * tenth), Occupancy(entries))).collect();
    let ns = table.read();
    let told = flow(&ns, &all).unwrap();
    assert_eq!((told.per_sec.map(|rate| rate.covers(0.0)), told.tends_to), (Some(false), None), "by timestamps alone");
    let told = churn(&ns).unwrap();
    let course = &told.timelines.iter().find(|line| line.series == Series::OneWayUdp).unwrap().course;
    assert!(matches!(course, TimelineCourse::NotKnown(because) if because.contains("again")), "{told:?}");
    // Where the count grows by them, they are arrivals.
    let grows = |tenth: u32| Occupancy(entries - 6_667 * (10 - tenth) / 10);
    table.course = (0..=10).map(|tenth| (Duration::from_millis(100 * u64::from(tenth)), grows(tenth))).collect();
    assert!(flow(&table.read(), &all).unwrap().per_sec.unwrap().covers(20_000.0 / 3.0));
}

#[test]
fn established_flows_are_dated_by_timestamps_alone() {
    let mut table = Simulated::new(7);
    table.arrive(Traffic::established().between(60.0, 0.0), 50.0);
    let mut ns = table.read();
    let told = flow(&ns, &all).unwrap();
    assert!(told.per_sec.unwrap().covers(50.0) && told.tends_to.is_none(), "{told:?}");
    ns.census.as_mut().unwrap().read_at_unix_nanos = None;
    assert_eq!(flow(&ns, &all).unwrap().per_sec, None);
}

#[test]
fn a_part_is_told_apart() {
    let mut table = Simulated::new(3);
    table.arrive(Traffic::syns().between(120.0, 0.0), 100.0);
    table.arrive(Traffic::closes().between(120.0, 0.0), 300.0);
    let ns = table.read();
    let syns = flow(&ns, &|drawn| drawn.entry.state == plimsoll_model::ProtocolState::Tcp(TcpState::SynSent)).unwrap();
    assert!(syns.per_sec.unwrap().covers(100.0) && syns.per_sec.unwrap().high < 200.0, "{syns:?}");
    let nobody = flow(&ns, &|_| false).unwrap();
    assert_eq!((nobody.now.low, nobody.per_sec, nobody.tends_to), (0, None, None));
}

#[test]
fn without_a_census_there_is_nothing_to_tell_and_policies_leave_ages_unknown() {
    let mut table = Simulated::new(4);
    table.arrive(Traffic::closes().between(120.0, 0.0), 100.0);
    let mut ns = table.read();
    ns.policies = Policies::Some(1);
    assert!(flow(&ns, &all).unwrap().per_sec.unwrap().covers(100.0), "timestamps know nothing of policies");
    ns.census.as_mut().unwrap().read_at_unix_nanos = None;
    assert_eq!(flow(&ns, &all).unwrap().per_sec, None);
    let told = churn(&ns).unwrap();
    assert!(matches!(&told.outlook, Outlook::NotKnown { because, .. } if because.contains("TIME_WAIT")), "{told:?}");
    ns.census = None;
    assert_eq!((flow(&ns, &all), churn(&ns)), (None, None));
}
