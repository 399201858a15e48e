//! What follows for timeouts from recordings whose silences are known.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use plimsoll_model::{NetworkSettings, Protocol, TcpState, Timeout};
use plimsoll_plan::{MeasureRequest, Measured, MeasuredTimeout, Rails, ServiceKind, Share, Silences, measure};
use plimsoll_recording::{Change, ChangeKind, FlowKey, GapEnd, IdleGap, Translation, UnixMicros};

const BEGAN: UnixMicros = UnixMicros(1_795_658_584_000_000);
const HOUR: u64 = 3600;

struct World {
    silences: Silences,
    flows: u32,
}

/// A silence of a new flow from a peer of its own.
#[derive(Clone, Copy)]
struct Of {
    held_by: Timeout,
    protocol: Protocol,
    port: u16,
    translation: Translation,
}

const STREAM: Of =
    Of { held_by: Timeout::UdpStream, protocol: Protocol::UDP, port: 5060, translation: Translation::None };
const CONNECTION: Of = Of {
    held_by: Timeout::Tcp(TcpState::Established),
    protocol: Protocol::TCP,
    port: 443,
    translation: Translation::None,
};

impl World {
    /// In which these timeouts are in force, over so many seconds.
    fn new(in_force: &[(&str, u32)], secs: u64) -> Self {
        let mut silences = Silences::new();
        for (name, value) in in_force {
            silences.note(&Change {
                at: BEGAN,
                kind: ChangeKind::Setting,
                what: (*name).to_string(),
                from: None,
                to: Some(value.to_string()),
            });
        }
        let at = BEGAN.plus(Duration::from_secs(secs));
        silences.note(&Change { at, kind: ChangeKind::Ended, what: "time".to_string(), from: None, to: None });
        Self { silences, flows: 0 }
    }

    fn flow(&mut self) -> u32 {
        self.flows += 1;
        self.flows
    }

    /// A silence that begins so many seconds after the recording did, or before it, and lasts so long; it is looked at every few
    /// seconds.
    fn silent(&mut self, of: Of, flow: u32, at_secs: i64, secs: u64, ends_with: GapEnd) {
        let ends = ends_with == GapEnd::Packet;
        let client = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + flow));
        let seen_from = Duration::from_secs(if at_secs < 0 { at_secs.unsigned_abs() } else { 2 });
        // Expired ones reached their timeout.
        let before = if ends { u64::from(flow) % 4 } else { 0 };
        self.silences.add(&IdleGap {
            key: FlowKey(u64::from(flow) * 0x9e37_79b9),
            client,
            server: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
            protocol: of.protocol,
            port: Some(of.port),
            translation: of.translation,
            held_by: of.held_by,
            armed_secs: 0,
            began_at: UnixMicros(BEGAN.0 + at_secs * 1_000_000),
            began_within: Duration::ZERO,
            seen_from,
            longer_than: Duration::from_secs(secs.saturating_sub(before)).max(seen_from),
            at_most: ends.then(|| Duration::from_secs(secs + 4 - before)),
            end: ends_with,
            weight: 1.0,
        });
    }

    fn measured(&self) -> Measured {
        self.measured_with(0.0001, Rails::Hold)
    }

    fn measured_with(&self, most_false_kills: f64, rails: Rails) -> Measured {
        let settings = NetworkSettings::default();
        let most_false_kills = Share::new(most_false_kills).unwrap();
        measure(&self.silences, MeasureRequest { most_false_kills, rails, settings: &settings, seed: 1 })
    }
}

fn only(measured: &Measured) -> &MeasuredTimeout {
    assert_eq!(measured.timeouts.len(), 1, "{measured:#?}");
    &measured.timeouts[0]
}

/// Streams of which each sends again after 20 to 25 seconds, and then falls silent for good.
fn calls(flows: u32) -> World {
    let mut world = World::new(&[("net.netfilter.nf_conntrack_udp_timeout_stream", 120)], HOUR);
    for number in 0..flows {
        let flow = world.flow();
        let at = i64::from(number) * 3400 / i64::from(flows);
        world.silent(STREAM, flow, at, 20 + u64::from(number % 6), GapEnd::Packet);
        world.silent(STREAM, flow, at + 30, 120, GapEnd::Expired);
    }
    world
}

#[test]
fn many_flows_that_send_again_soon_bear_a_timeout_just_above_that() {
    let measured = calls(50_000).measured();
    let timeout = only(&measured);
    assert_eq!(timeout.recommended.secs, Some(30), "{:#?}", timeout.recommended);
    let at = |secs| timeout.values.iter().find(|value| value.secs == secs).unwrap();
    assert!(at(30).worst_upper.unwrap() <= 0.0001, "{:#?}", at(30));
    assert!(at(20).worst_upper.unwrap() > 0.5, "at 20 s most are killed: {:#?}", at(20));
    assert!(at(20).later_rate.unwrap() > 0.5, "in the later part too");
    // Each flow's entry is held for 88 seconds less: 50,000 times that within an hour.
    let saved = at(30).saved_entries;
    assert!((1150.0..1300.0).contains(&saved), "{saved}");
}

#[test]
fn too_few_flows_carry_nothing_and_it_is_said_how_many_would() {
    let measured = calls(2000).measured();
    let timeout = only(&measured);
    assert_eq!(timeout.recommended.secs, None, "{:#?}", timeout.recommended);
    assert!(timeout.recommended.because.contains("29956"), "{}", timeout.recommended.because);
    assert_eq!(measured.flows_that_suffice, 29_956);
    // To bear more takes fewer.
    let bold = calls(2000).measured_with(0.01, Rails::Hold);
    assert_eq!(only(&bold).recommended.secs, Some(30), "{:#?}", only(&bold).recommended);
}

const DAY: i64 = 86_400;

/// A day in which thousands of connections to one port die silently, each of another peer, and some of another service are
/// silent for three hours and then send.
fn with_websockets(websockets: u32) -> World {
    let mut world = World::new(&[("net.netfilter.nf_conntrack_tcp_timeout_established", 86_400)], DAY.unsigned_abs());
    for number in 0..5000 {
        let (dead, living) = (world.flow(), world.flow());
        let age = i64::from(number) * (DAY - 10) / 5000;
        world.silent(CONNECTION, dead, -age, 86_400, GapEnd::Expired);
        world.silent(CONNECTION, living, age, 60, GapEnd::Packet);
    }
    for number in 0..websockets {
        let flow = world.flow();
        for hours in [1, 8, 15] {
            world.silent(
                Of { port: 9000, ..CONNECTION },
                flow,
                hours * 3600 + i64::from(number),
                3 * HOUR,
                GapEnd::Packet,
            );
        }
    }
    world
}

#[test]
fn one_dead_websocket_is_not_hidden_by_thousands_of_others() {
    let measured = with_websockets(3).measured_with(0.01, Rails::Hold);
    let timeout = only(&measured);
    assert_eq!(timeout.recommended.secs, None, "{:#?}", timeout.recommended);
    let two_hours = timeout.values.iter().find(|value| value.secs == 7440).or(timeout.values.last()).unwrap();
    assert_eq!(two_hours.worst_service, Some(ServiceKind::Others(Protocol::TCP)), "{two_hours:#?}");
    assert!(two_hours.worst_upper.unwrap() > 0.9, "{two_hours:#?}");
    // The service whose flows bear it gets a timeout of its own.
    let policy = &timeout.recommended.policies[..];
    assert!(matches!(policy, [policy] if policy.service == ServiceKind::Port(Protocol::TCP, 443)), "{policy:#?}");
    assert!(policy[0].secs < 43_200, "{policy:#?}");
}

#[test]
fn nothing_below_the_guard_rail_is_recommended_unless_it_is_asked_for() {
    let world = with_websockets(0);
    let timeout = |rails| {
        let measured = world.measured_with(0.01, rails);
        only(&measured).clone()
    };
    let (held, crossed) = (timeout(Rails::Hold), timeout(Rails::AreCrossed));
    assert_eq!(held.guard.secs, 7275, "the kernel's keepalive");
    assert!(held.recommended.lowest_secs.unwrap() >= 7275, "{:#?}", held.recommended);
    assert!(crossed.recommended.lowest_secs.unwrap() < 7275, "{:#?}", crossed.recommended);
    // Where addresses are translated RFC 5382 binds.
    let mut world = World::new(&[("net.netfilter.nf_conntrack_tcp_timeout_established", 86_400)], HOUR);
    let flow = world.flow();
    world.silent(Of { translation: Translation::Source, ..CONNECTION }, flow, 1, 60, GapEnd::Packet);
    assert_eq!(only(&world.measured()).guard.secs, 7440);
}

/// A tenth of the flows change their ways in the last third: the fit cannot know, and the later part tells.
#[test]
fn the_later_part_is_counted_by_itself() {
    let mut world = calls(3000);
    for number in 0..300_u32 {
        let flow = world.flow();
        let at = 2460 + i64::from(number);
        world.silent(STREAM, flow, at, 80, GapEnd::Packet);
    }
    let measured = world.measured();
    let at_60 = only(&measured).values.iter().find(|value| value.secs == 60).unwrap().clone();
    assert!(at_60.fitted_rate.unwrap() < 0.01, "{at_60:#?}");
    assert!(at_60.later_rate.unwrap() > 0.1, "{at_60:#?}");
}

#[test]
fn a_recording_without_silences_says_nothing() {
    let world = World::new(&[("net.netfilter.nf_conntrack_tcp_timeout_established", 86_400)], HOUR);
    assert!(world.measured().timeouts.is_empty());
}

#[test]
fn each_peer_counts_once_whenever_it_was_silent() {
    let mut world = World::new(&[("net.netfilter.nf_conntrack_udp_timeout_stream", 120)], HOUR);
    for number in 0..600 {
        let flow = world.flow();
        // One in three only after the part by which values are fitted.
        world.silent(STREAM, flow, number * 3400 / 600, 20, GapEnd::Packet);
    }
    let measured = world.measured();
    assert_eq!(only(&measured).services[0].peers, 600);
}

#[test]
fn a_silence_that_was_written_down_meanwhile_counts_once() {
    let mut world = World::new(&[("net.netfilter.nf_conntrack_udp_timeout_stream", 120)], HOUR);
    let (seen_to_the_end, left_by_a_kill) = (world.flow(), world.flow());
    for flow in [seen_to_the_end, left_by_a_kill] {
        // What is known of when it began may have changed by a little.
        world.silent(STREAM, flow, 10, 20, GapEnd::GoesOn);
        world.silent(STREAM, flow, 11, 40, GapEnd::GoesOn);
    }
    world.silent(STREAM, seen_to_the_end, 12, 60, GapEnd::Packet);
    assert_eq!(world.silences.count(), 1);
    world.silences.finish();
    assert_eq!(world.silences.count(), 2);
}
