//! What fills a table, told apart: each cause where it is, and nowhere else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

mod support;

use std::net::{IpAddr, Ipv4Addr};

use plimsoll_diagnose::diagnose;
use plimsoll_model::{
    Census, Confidence, Counter, End, Ends, Entry, Finding, FindingId, Layer4, Owner, Program, ProgramId, Protocol,
    Severity, Side, Snapshot, SocketState, Status, TcpState, Tuple, Untrusted,
};

use crate::support::entries::{
    ASSURED, REPLIED, SERVER, anywhere, closed, established, half_open, port, server, table, tcp, tuple,
};
use crate::support::{CAPACITY, change};

/// The causes that hold entries, as they are ranked.
fn causes(snapshot: &Snapshot) -> Vec<FindingId> {
    diagnose(snapshot).iter().filter(|finding| finding.holds.is_some()).map(|finding| finding.id).collect()
}

fn only(snapshot: &Snapshot) -> Finding {
    let mut findings = diagnose(snapshot);
    findings.retain(|finding| finding.holds.is_some());
    assert_eq!(findings.len(), 1, "{findings:#?}");
    findings.remove(0)
}

fn value(finding: &Finding, key: &str) -> f64 {
    finding.evidence.iter().find(|evidence| evidence.key == key).and_then(|evidence| evidence.value).unwrap()
}

#[test]
fn short_connections_of_many_clients_are_a_storm() {
    let storm = only(&table(closed(4000, 200)));
    assert_eq!((storm.id, storm.severity), (FindingId::ConnectionStorm, Severity::Info));
    assert!((value(&storm, "sources") - 200.0).abs() < f64::EPSILON);
    assert_eq!(only(&table(closed(9000, 200))).severity, Severity::Warning, "the table is filling");
}

#[test]
fn what_holds_less_than_a_tenth_and_heads_for_no_more_is_traffic() {
    let tenth = CAPACITY / 10;
    // Expired entries wait for gc, so the count heads for more than the live ones are.
    assert!(causes(&table(closed(tenth * 7 / 10, 200))).is_empty());
    assert_eq!(causes(&table(closed(tenth + 50, 200))), [FindingId::ConnectionStorm]);
    // Of a table that is filling a tenth matters too.
    let filling = |share: u32| closed(share, 200).chain(established(CAPACITY * 8 / 10 - share, 432_000 - 30));
    assert!(causes(&table(filling(700))).is_empty());
    assert_eq!(causes(&table(filling(900))), [FindingId::ConnectionStorm]);
}

#[test]
fn short_connections_of_few_sources_are_a_proxys() {
    for sources in [1, 4] {
        assert_eq!(only(&table(closed(4000, sources))).id, FindingId::ReverseProxyChurn, "{sources} sources");
    }
    assert_eq!(only(&table(closed(4000, 6))).id, FindingId::ConnectionStorm);
    // With many backends, or as a crawler.
    let everywhere = closed(4000, 1).enumerate().map(|(n, entry)| {
        let original = Tuple { destination: anywhere(u32::try_from(n).unwrap()), ..entry.original };
        Entry { original, reply: original.mirrored(), ..entry }
    });
    assert_eq!(only(&table(everywhere)).id, FindingId::ReverseProxyChurn);
}

#[test]
fn translated_ones_are_a_services() {
    let translated = closed(4000, 200).map(|entry| {
        let mut reply = entry.reply;
        reply.source = Ipv4Addr::new(10, 244, 0, 7).into();
        Entry { reply, status: entry.status.and(Status::DST_NAT), ..entry }
    });
    let found = only(&table(translated));
    assert_eq!(found.id, FindingId::NatOrServiceChurn);
    assert!(found.evidence.iter().any(|evidence| evidence.text.contains("10.244.0.7:80/tcp")), "{found:#?}");
}

#[test]
fn half_open_ones_to_one_service_are_a_flood() {
    let spoofed = only(&table(half_open(4000, |n| n, server)));
    assert_eq!(spoofed.id, FindingId::SynFlood);
    assert!(spoofed.title.contains("spoofed"), "{spoofed:#?}");
    let few = only(&table(half_open(4000, |n| n % 3, server)));
    assert!(few.id == FindingId::SynFlood && few.title.contains("few sources"), "{few:#?}");
    let mut off = table(half_open(4000, |n| n, server));
    off.namespaces[0].settings.syncookies = Some(0);
    let off = diagnose(&off).into_iter().find(|finding| finding.id == FindingId::SynFlood).unwrap();
    assert!(off.remedies[0].command.as_deref().unwrap().ends_with("tcp_syncookies=1"));
}

#[test]
fn half_open_ones_from_one_source_to_many_services_are_a_scan() {
    assert_eq!(only(&table(half_open(4000, |_| 7, anywhere))).id, FindingId::OutboundScan);
    // Many sources whose peers are gone: what it is cannot be told.
    let gone = only(&table(half_open(4000, |n| n % 500, anywhere)));
    assert_eq!((gone.id, gone.confidence), (FindingId::SynFlood, Confidence::Possible));
    let many = only(&table(half_open(4000, |n| n % 40, anywhere)));
    assert_eq!((many.id, many.confidence), (FindingId::OutboundScan, Confidence::Possible));
}

#[test]
fn a_flood_is_one_whatever_it_is_scattered_over() {
    let host = |n| Ipv4Addr::from_bits(0xc000_0200 | (n % 200)).into();
    let network = only(&table(half_open(4000, |n| n, host)));
    assert_eq!((network.id, network.confidence), (FindingId::SynFlood, Confidence::Likely));
    assert!(network.evidence.iter().any(|evidence| evidence.key == "networks"), "{network:#?}");
    let ports = half_open(4000, |n| n, server).enumerate().map(|(n, entry)| {
        let Layer4::Ports { source, .. } = entry.original.layer4 else { panic!("no ports") };
        let layer4 = Layer4::Ports { source, destination: u16::try_from(n).unwrap() };
        let original = Tuple { layer4, ..entry.original };
        Entry { original, reply: original.mirrored(), ..entry }
    });
    let one_host = only(&table(ports));
    assert!(one_host.evidence.iter().any(|evidence| evidence.key == "hosts"), "{one_host:#?}");
}

#[test]
fn pings_are_a_sweep_or_go_unanswered_or_are_questions() {
    let pings = |status: Status, source: fn(u32) -> u32, to: fn(u32) -> IpAddr| {
        table((0..4000).map(move |n| {
            let layer4 = Layer4::Icmp { id: u16::try_from(n).unwrap(), kind: 8, code: 0 };
            let source = Ipv4Addr::from_bits(0x0a00_0000 | source(n)).into();
            let tuple = Tuple { source, destination: to(n), protocol: Protocol::ICMP, layer4 };
            Entry { status, remaining_secs: Some(n * 30 / 4000), ..Entry::of(tuple) }
        }))
    };
    assert_eq!(only(&pings(Status::CONFIRMED, |_| 7, anywhere)).id, FindingId::OutboundScan);
    let unanswered = only(&pings(Status::CONFIRMED, |n| n, server));
    assert!(unanswered.id == FindingId::UdpUnreplied && unanswered.title.contains("ICMP"), "{unanswered:#?}");
    assert_eq!(only(&pings(REPLIED, |n| n, server)).id, FindingId::ConnectionStorm);
}

#[test]
fn a_scan_and_a_flood_at_once_are_two_and_ranked_by_what_they_hold() {
    let both = half_open(2000, |_| 7, anywhere).chain(half_open(3000, |n| 100 + n, server));
    assert_eq!(causes(&table(both)), [FindingId::SynFlood, FindingId::OutboundScan]);
    let both = half_open(3000, |_| 7, anywhere).chain(half_open(2000, |n| 100 + n, server));
    assert_eq!(causes(&table(both)), [FindingId::OutboundScan, FindingId::SynFlood]);
}

#[test]
fn udp_that_nobody_answered() {
    let asked = |status| {
        (0..4000).map(move |n| Entry {
            status,
            remaining_secs: Some(n * 30 / 4000),
            ..Entry::of(tuple(Protocol::UDP, n % 50, port(n / 50), SERVER.into(), 53))
        })
    };
    let unreplied = only(&table(asked(Status::CONFIRMED)));
    assert_eq!(unreplied.id, FindingId::UdpUnreplied);
    assert!(unreplied.title.contains("DNS"), "{unreplied:#?}");
    assert_eq!(only(&table(asked(REPLIED))).id, FindingId::ConnectionStorm, "questions that were answered");
}

#[test]
fn idle_is_told_by_the_lower_bound() {
    let hour = 3600;
    let idle = only(&table(established(4000, 432_000 - hour - 2)));
    assert_eq!(idle.id, FindingId::IdleEstablished);
    assert!(value(&idle, "idle_median_secs") >= f64::from(hour));
    assert!(causes(&table(established(4000, 432_000 - hour + 60))).is_empty());
    // Five minutes left may be data that is not acknowledged yet.
    assert!(causes(&table(established(4000, 290))).is_empty());
}

#[test]
fn half_closed_ones_say_who_closed_first() {
    for (side, who) in [(Side::Client, "the client has closed"), (Side::Server, "the server has closed")] {
        let entries = (0..4000).map(|n| Entry {
            closed_first: Some(side),
            ..tcp(tuple(Protocol::TCP, n, 40_000, SERVER.into(), 80), TcpState::CloseWait, ASSURED, 40)
        });
        let leak = only(&table(entries));
        assert!(leak.id == FindingId::HalfClosedLeak && leak.title.contains(who), "{leak:#?}");
    }
}

#[test]
fn only_close_wait_of_a_socket_says_which_program_does_not_close() {
    let entries = (0..4000).map(|n| Entry {
        closed_first: Some(Side::Client),
        ..tcp(tuple(Protocol::TCP, n, 40_000, SERVER.into(), 80), TcpState::CloseWait, ASSURED, 40)
    });
    let mut table = table(entries);
    let census = table.namespaces[0].census.as_mut().unwrap();
    let program = |command: &str, unit: Option<&str>| Program {
        owner: Owner {
            pid: 12,
            command: command.into(),
            unit: unit.map(Untrusted::from),
            container: None,
            pod: None,
            called: None,
        },
        namespace: "host".into(),
    };
    census.programs = vec![program("worker", Some("worker.service")), program("cron", None)];
    let with = |census: &mut Census, state| {
        for (n, drawn) in census.drawn.iter_mut().enumerate() {
            // A tenth is another's.
            let by = Some(ProgramId(u16::from(n % 10 == 0)));
            drawn.ends = Some(Ends { client: End::NotHere, server: End::Open { state, by } });
        }
    };
    with(census, SocketState::CloseWait);
    let leak = only(&table);
    assert!(leak.title.starts_with("connections that worker (process 12, worker.service) does not close"), "{leak:#?}");
    assert!(value(&leak, "close_wait_ratio") > 0.99);
    assert!(leak.remedies[0].action.contains("restarting worker"), "{leak:#?}");
    let shares: Vec<_> = leak.whose.iter().map(|whose| (whose.side, whose.program.owner.command.as_str())).collect();
    assert_eq!(shares, [(Side::Server, "worker"), (Side::Server, "cron")]);
    assert!(leak.whose[0].share.low <= 0.9 && leak.whose[0].share.high >= 0.9, "{leak:#?}");

    // The program has closed, or its peer's FIN never came: it is not its leak.
    with(table.namespaces[0].census.as_mut().unwrap(), SocketState::Established);
    let elsewhere = only(&table);
    assert!(elsewhere.title.contains("the client has closed"), "{elsewhere:#?}");
    assert!(elsewhere.evidence.iter().all(|evidence| evidence.key != "close_wait_ratio"), "{elsewhere:#?}");
    assert!(elsewhere.evidence.iter().any(|evidence| evidence.key == "server_programs"), "{elsewhere:#?}");

    // Who keeps connections there is said, and not that they are its.
    for drawn in &mut table.namespaces[0].census.as_mut().unwrap().drawn {
        drawn.ends =
            Some(Ends { client: End::Unknown { state: None, keeper: Some(ProgramId(0)) }, server: End::NotHere });
    }
    let unknown = only(&table);
    assert!(unknown.whose.is_empty(), "{unknown:#?}");
    assert!((value(&unknown, "unknown_client_ratio") - 1.0).abs() < 1e-9, "{unknown:#?}");
}

/// Flows whose source is translated to one address, towards one service, each to a port of its own.
fn masqueraded(ports: impl Iterator<Item = u32>) -> impl Iterator<Item = Entry> {
    (0..).zip(ports).map(|(n, port)| {
        let port = u16::try_from(port).unwrap();
        let tuple = tuple(Protocol::TCP, n, 40_000, SERVER.into(), 443);
        let mut reply = tuple.mirrored();
        reply.destination = Ipv4Addr::new(198, 51, 100, 1).into();
        reply.layer4 = Layer4::Ports { source: 443, destination: port };
        Entry { reply, ..tcp(tuple, TcpState::Established, ASSURED.and(Status::SRC_NAT), 432_000 - 30) }
    })
}

#[test]
fn translated_ports_run_out_by_their_range() {
    assert!(causes(&table(masqueraded((1024..5024).step_by(2)))).is_empty(), "of all ports that is little");
    // Ports in a row are what a busy client has, until flows fail.
    let mut range = table(masqueraded(20_000..22_000));
    assert!(causes(&range).is_empty());
    range.namespaces[0].change = Some(change(&[(Counter::Drop, 10), (Counter::InsertFailed, 10)]));
    let found = diagnose(&range);
    let out = found.iter().find(|finding| finding.id == FindingId::NatPortsExhausted).unwrap();
    assert_eq!(out.severity, Severity::Critical);
    assert!((value(out, "ports_used") - 2000.0).abs() < 1.0, "{out:#?}");
    assert!(!found.iter().any(|finding| finding.id == FindingId::InsertClash), "it is the same");
}

#[test]
fn all_translated_ports_are_64512() {
    let mut snapshot = table(masqueraded((0..56_000).map(|n| 1024 + n * 31 % 64_512)));
    snapshot.limits.capacity = Some(plimsoll_model::Capacity(1_000_000));
    snapshot.namespaces[0].capacity = snapshot.limits.capacity;
    let short = only(&snapshot);
    assert_eq!((short.id, short.severity), (FindingId::NatPortsExhausted, Severity::Warning), "{short:#?}");
    // Entries that fail meanwhile prove it.
    snapshot.namespaces[0].change = Some(change(&[(Counter::Drop, 10), (Counter::InsertFailed, 10)]));
    assert_eq!(only(&snapshot).severity, Severity::Critical);
}

#[test]
fn entries_of_helpers() {
    let sessions = |expected: u32| {
        (0..4000).map(move |n| {
            let status = if n < expected { ASSURED.and(Status::EXPECTED) } else { ASSURED };
            let mut entry =
                tcp(tuple(Protocol::TCP, n, 40_000, SERVER.into(), 21), TcpState::Established, status, 431_000);
            if n >= expected {
                entry.extensions.insert(plimsoll_model::Extension::Helper);
            }
            entry
        })
    };
    assert_eq!(only(&table(sessions(3000))).id, FindingId::HelperExpansion);
    assert!(causes(&table(sessions(0))).is_empty(), "masters alone expand nothing");
    let mut short = table(sessions(0).take(100));
    short.namespaces[0].expectations = Some(4000);
    assert_eq!(only(&short).severity, Severity::Warning, "expectations run out");
}

#[test]
fn gc_is_told_by_drops_of_a_table_that_is_full() {
    let mut snapshot = table(established(9000, 431_000).chain(closed(1000, 50)));
    assert!(!causes(&snapshot).contains(&FindingId::GcPressure));
    snapshot.namespaces[0].change = Some(change(&[(Counter::Drop, 10)]));
    assert!(causes(&snapshot).contains(&FindingId::GcPressure));
    let mut roomy = table(established(8000, 431_000).chain(closed(1000, 50)));
    roomy.namespaces[0].change = Some(change(&[(Counter::Drop, 10)]));
    assert!(!causes(&roomy).contains(&FindingId::GcPressure), "gc kills from 95% on");
}

#[test]
fn a_large_table_of_busy_connections_has_no_cause() {
    assert!(causes(&table(established(7000, 432_000 - 20))).is_empty());
}
