//! False kills: each judgement shown by one flow.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use plimsoll_scenario::Scenario;
use plimsoll_simulate::{Harm, Outcome};
use plimsoll_twin::RemovedBy;

use support::{scenario, simulated};

const MASQUERADE: &str = "[[masquerade]]\nclients = \"10.1.0.0/16\"";
const TWO_BACKENDS: &str =
    "[[dnat]]\nservice = \"192.0.2.1:443/tcp\"\nbackends = [\"10.9.0.1:8443/tcp\", \"10.9.0.2:8443/tcp\"]";
const HANDSHAKE: &str = "> syn\n< syn-ack\n> ack\n";
const SHORT: &[(&str, u32)] =
    &[("tcp_timeout_established", 5), ("tcp_timeout_time_wait", 5), ("tcp_timeout_syn_sent", 5), ("udp_timeout", 5)];

fn one(router: &str, script: &str, sysctls: &[(&str, u32)]) -> Outcome {
    simulated(&scenario("count = 1", router, script), sysctls)
}

#[track_caller]
fn does(harm: Option<Harm>, outcome: &Outcome) {
    let found: Vec<_> = Harm::ALL.into_iter().filter(|harm| outcome.false_kills.by(*harm) > 0).collect();
    assert_eq!(found, Vec::from_iter(harm), "{:?}", outcome.false_kills);
    let kills = u64::from(harm.is_some());
    assert_eq!((outcome.false_kills.total(), outcome.false_kills.flows_hit), (kills, kills));
}

#[test]
fn data_after_the_entry_is_gone_are_picked_up_from_either_side() {
    for from in ["> data 100", "< data 100"] {
        let script = format!("{HANDSHAKE}wait 10s\n{from}\nwait 1s\n> data 50");
        does(Some(Harm::PickedUp), &one("", &script, SHORT));
        // In time it is no kill.
        does(None, &one("", &script, &[]));
    }
    does(Some(Harm::PickedUp), &one("", "> udp 10\nwait 10s\n> udp 10", SHORT));
}

#[test]
fn two_kills_of_one_flow_hit_one_flow() {
    let outcome = one("", "> udp 10\nwait 10s\n> udp 10\nwait 10s\n> udp 10", SHORT);
    assert_eq!((outcome.false_kills.by(Harm::PickedUp), outcome.false_kills.flows_hit), (2, 1));
    assert!((outcome.false_kill_rate() - 1.0).abs() < 1e-9);
}

#[test]
fn what_is_invalid_without_an_entry_is_black_holed() {
    let script = format!("{HANDSHAKE}wait 10s\n> data 100\nwait 1s\n> data 100");
    let strict: Vec<_> = SHORT.iter().copied().chain([("tcp_loose", 0)]).collect();
    does(Some(Harm::BlackHoled), &one("", &script, &strict));
    // No flow is picked up by a FIN.
    does(Some(Harm::BlackHoled), &one("", &format!("{HANDSHAKE}wait 10s\n> fin"), SHORT));
}

#[test]
fn a_masqueraded_client_s_packet_finds_its_port_again_and_the_server_s_finds_nobody() {
    does(Some(Harm::PickedUp), &one(MASQUERADE, &format!("{HANDSHAKE}wait 10s\n> data 100"), SHORT));
    let outcome = one(MASQUERADE, &format!("{HANDSHAKE}wait 10s\n< data 100"), SHORT);
    does(Some(Harm::Reset), &outcome);
    // The router's RST has killed what the server's packet made.
    assert_eq!(outcome.removals.by(RemovedBy::Reset), 1);
    does(Some(Harm::BlackHoled), &one(MASQUERADE, "> udp 10\n< udp 10\nwait 10s\n< udp 10", SHORT));
}

/// The server has heard that the connection is gone: what its client would have sent then is no second kill.
#[test]
fn a_connection_that_was_reset_is_over() {
    let script = format!("{HANDSHAKE}wait 10s\n< data 100\n> ack\nwait 10s\n> data 100");
    does(Some(Harm::Reset), &one(MASQUERADE, &script, SHORT));
    // Until a SYN opens it again.
    let outcome = one(MASQUERADE, &format!("{script}\n{HANDSHAKE}wait 10s\n> data 100"), SHORT);
    assert_eq!((outcome.false_kills.by(Harm::Reset), outcome.false_kills.by(Harm::PickedUp)), (1, 1));
}

/// Half of the flows come to the backend that they had.
#[test]
fn a_backend_is_drawn_anew() {
    let flows = scenario("count = 400", TWO_BACKENDS, &format!("{HANDSHAKE}wait 10s\n> data 100"));
    let outcome = simulated(&flows, SHORT);
    let (same, other) = (outcome.false_kills.by(Harm::PickedUp), outcome.false_kills.by(Harm::Reset));
    assert_eq!(same + other, 400);
    assert!((150..250).contains(&other), "{other}");
    // What the server sends comes to a client that never called it.
    does(Some(Harm::Reset), &one(TWO_BACKENDS, &format!("{HANDSHAKE}wait 10s\n< data 100"), SHORT));
}

#[test]
fn nobody_misses_the_entry_of_a_flow_that_is_over_or_begins() {
    let closed = format!("{HANDSHAKE}> fin\n< fin\n> ack\nwait 10s\n> fin\n< ack");
    for script in [closed.as_str(), &format!("{HANDSHAKE}wait 10s\n< rst"), "> syn\nwait 10s\n> syn\nwait 10s\n> syn"] {
        does(None, &one("", script, SHORT));
    }
}

/// A table full of assured entries: the flow's own was killed for another's sake, and there is no room for a new one.
#[test]
fn in_a_full_table_an_evicted_flow_is_black_holed() {
    let text = r#"
name = "full"
title = "Full"
about = "A table that is full of assured entries."
[play]
secs = 30
[[standing]]
name = "assured"
count = 99
state = "established"
idle_from_secs = 0
idle_until_secs = 10
clients = { in = "10.2.0.0/16", hosts = 10 }
servers = { in = "192.0.2.9", ports = 5432 }
[[traffic]]
name = "asked"
count = 1
clients = { in = "10.1.0.1" }
servers = { in = "192.0.2.1", ports = 53 }
script = "asked"
[[traffic]]
name = "connections"
count = 400
from_secs = 1
until_secs = 5
clients = { in = "10.1.0.2" }
servers = { in = "192.0.2.1", ports = 443 }
script = "kept"
[scripts.asked]
packets = """
> udp 10
wait 10s
> udp 10
"""
[scripts.kept]
rtt_ms = 0.01
packets = """
> syn
< syn-ack
> ack
wait 18s
> data 10
"""
[simulate]
"#;
    let scenario = Scenario::parse("full.toml", text).unwrap();
    // Of 512 buckets early drop looks through eight: one of 400 connections comes by the asked one's.
    let outcome = simulated(&scenario, &[("max", 100), ("buckets", 1)]);
    assert_eq!(outcome.peak.occupancy, 100);
    assert!(outcome.saturated_at.is_some() && outcome.refused_flows > 0);
    assert_eq!((outcome.standing_not_made, outcome.removals.by(RemovedBy::EarlyDrop)), (0, 1));
    does(Some(Harm::BlackHoled), &outcome);
}

#[test]
fn stock_timeouts_kill_nothing_of_an_ordinary_day() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/healthy-web.toml");
    let scenario = Scenario::parse("healthy-web", &std::fs::read_to_string(file).unwrap()).unwrap();
    let outcome = simulated(&scenario, &[]);
    does(None, &outcome);
    assert!(outcome.flows > 500);
    // With timeouts below the keepalives' silence there are some.
    assert!(simulated(&scenario, &[("tcp_timeout_established", 1)]).false_kills.total() > 0);
}

/// The second flow of a port finds the entry that the first one's late answer has opened, the other way round: its server answers to
/// the client all the same.
#[test]
fn a_server_answers_to_the_client_though_its_entry_was_opened_by_another_answer() {
    let text = r#"
name = "test"
title = "Test"
about = "A test."
[play]
secs = 60
[[traffic]]
name = "flows"
count = 2
until_secs = 24
clients = { in = "10.1.0.1/32", ports = "5000-5000" }
servers = { in = "192.0.2.1", ports = 443 }
script = "script"
[scripts.script]
packets = """
> udp 10
< udp 10
wait 10s
< udp 10
"""
[simulate]
"#;
    let outcome = simulated(&Scenario::parse("test.toml", text).unwrap(), SHORT);
    assert_eq!((outcome.false_kills.total(), outcome.false_kills.by(Harm::PickedUp)), (2, 2), "{outcome:?}");
}
