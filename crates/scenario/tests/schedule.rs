//! The packets that follow from a scenario.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use plimsoll_scenario::{Content, Event, Place, Scenario, Schedule, Segment, Side, Size};
use proptest::prelude::*;

const WEB: &str = r#"
name = "web"
title = "Web"
about = "Requests, and queries on the side."
[play]
secs = 20
check_at_secs = 10
[[traffic]]
name = "requests"
per_sec = 200
clients = { in = "10.1.0.0/16", hosts = 20 }
servers = { in = "192.0.2.0/28", hosts = 3, ports = 443 }
script = "request"
[[traffic]]
name = "queries"
count = 1000
from_secs = 5
until_secs = 15
clients = { in = "10.0.0.0/8", ports = "1024-65535" }
servers = { in = "198.51.100.53", ports = "53-54" }
script = "query"
[scripts.request]
rtt_ms = 100
packets = """
> syn
< syn-ack
> ack
repeat 3   # requests
  > data 200
  < data 1400
  > ack
  wait ~100ms
end
> fin
< fin
> ack
"""
[scripts.query]
packets = "> udp 40"
[expect]
must = []
"#;

fn web() -> Scenario {
    Scenario::parse("web.toml", WEB).unwrap()
}

fn size(factor: f64) -> Size {
    factor.to_string().parse().unwrap()
}

fn opens(event: &Event) -> bool {
    matches!(event.place, Place::First | Place::Only)
}

#[test]
fn the_same_seed_gives_the_same_packets_and_another_gives_others() {
    let web = web();
    let packets = |seed| Schedule::new(&web, seed, Size::default()).collect::<Vec<_>>();
    assert_eq!(packets(1), packets(1));
    assert_ne!(packets(1), packets(2));
}

#[test]
fn a_flow_follows_its_script() {
    let web = web();
    let mut flows: BTreeMap<u32, Vec<Event>> = BTreeMap::new();
    Schedule::new(&web, 3, Size::default()).for_each(|event| flows.entry(event.flow.number).or_default().push(event));
    let finished = flows.values().filter(|packets| packets.len() == 15);
    assert!(finished.clone().count() > 3000);
    for packets in finished {
        let of = |side| packets.iter().filter(move |event| event.packet.from == side);
        let segments: Vec<_> = of(Side::Server).map(|event| event.packet.content).collect();
        let data = Content::Tcp(Segment::Data(1400));
        let (answer, bye) = (Content::Tcp(Segment::SynAck), Content::Tcp(Segment::Fin));
        assert_eq!(segments, [answer, data, data, data, bye]);
        let places: Vec<_> = packets.iter().map(|event| event.place).collect();
        assert_eq!((places[0], places[14]), (Place::First, Place::Last));
        assert!(places[1..14].iter().all(|place| *place == Place::Between));
        // Half a round trip wherever the direction changes.
        assert_eq!(packets[1].at, packets[0].at + Duration::from_millis(50));
        assert_eq!(packets[2].at, packets[1].at + Duration::from_millis(50));
        assert_eq!(packets[3].at, packets[2].at);
    }
    let queries = flows.values().filter(|packets| packets[0].flow.server.port() < 443);
    assert!(queries.clone().all(|packets| packets.len() == 1 && packets[0].place == Place::Only));
    assert_eq!(queries.count(), 1000);
}

#[test]
fn hosts_take_one_port_after_the_other_and_spoofed_addresses_any() {
    let web = web();
    let mut ports: BTreeMap<_, Vec<u16>> = BTreeMap::new();
    let mut spoofed = BTreeSet::new();
    for event in Schedule::new(&web, 4, Size::default()).filter(opens) {
        if event.flow.server.port() == 443 {
            ports.entry(*event.flow.client.ip()).or_default().push(event.flow.client.port());
        } else {
            assert!(event.flow.client.port() >= 1024);
            spoofed.insert(event.flow.client);
        }
    }
    assert_eq!(ports.len(), 20);
    for (host, ports) in ports {
        assert!(ports.iter().all(|port| (32_768..61_000).contains(port)), "{host}");
        assert!(ports.windows(2).all(|pair| pair[1] == pair[0] + 1 || pair[1] == 32_768), "{host}: {ports:?}");
    }
    assert!(spoofed.len() > 990, "{}", spoofed.len());
}

#[test]
fn flows_that_are_opened_by_others_go_to_the_port_that_was_announced() {
    let text = r#"
name = "ftp"
title = ""
about = ""
[play]
secs = 5
check_at_secs = 1
[helper]
ftp_port = 21
[[traffic]]
name = "sessions"
count = 10
clients = { in = "10.1.0.0/16", hosts = 2 }
servers = { in = "192.0.2.21", ports = 21 }
script = "session"
[scripts.session]
packets = """
> syn
repeat 2
  < passive
  + transfer
  wait 1s
end
"""
[scripts.transfer]
packets = "> syn"
[expect]
must = []
"#;
    let scenario = Scenario::parse("ftp.toml", text).unwrap();
    let mut announced = BTreeSet::new();
    let mut opened = BTreeSet::new();
    let mut clients = BTreeSet::new();
    for event in Schedule::new(&scenario, 1, Size::default()) {
        match event.packet.content {
            Content::Tcp(Segment::Passive(port)) => drop(announced.insert(port)),
            _ if event.flow.server.port() != 21 => {
                opened.insert(event.flow.server.port());
                clients.insert(event.flow.client);
            }
            _ => {}
        }
    }
    assert_eq!(announced, opened);
    assert_eq!(clients.len(), 20, "each data connection has a client's port to itself");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Within five standard deviations of a Poisson process's mean: wrong once in more than a million cases.
    #[test]
    fn rates_and_counts_follow_the_size(seed: u64, factor in 0.2_f64..4.0) {
        let web = web();
        let size = size(factor);
        let (queries, requests): (Vec<Event>, Vec<Event>) = Schedule::new(&web, seed, size)
            .filter(opens)
            .partition(|event| event.flow.server.port() != 443);
        let mean = 200.0 * 20.0 * size.factor();
        prop_assert!((requests.len() as f64 - mean).abs() < 5.0 * mean.sqrt(), "{} of {mean}", requests.len());
        prop_assert!((queries.len() as f64 - 1000.0 * size.factor()).abs() <= 0.5);
        let (from, until) = (Duration::from_secs(5), Duration::from_secs(15));
        prop_assert!(queries.iter().all(|event| (from..=until).contains(&event.at)));
    }

    #[test]
    fn packets_come_in_the_order_of_time_and_not_after_the_end(seed: u64) {
        let web = web();
        let mut last = Duration::ZERO;
        for event in Schedule::new(&web, seed, Size::default()) {
            prop_assert!(event.at >= last && event.at <= web.play.lasts);
            last = event.at;
        }
    }
}

#[test]
fn media_flows_go_by_the_ports_that_both_sides_announced() {
    let text = r#"
name = "calls"
title = ""
about = ""
[play]
secs = 5
[helper]
sip_port = 5060
[[traffic]]
name = "calls"
count = 10
clients = { in = "10.1.0.0/16", hosts = 2 }
servers = { in = "192.0.2.21", ports = 5060 }
script = "call"
[scripts.call]
packets = """
> announce 2
< announce 2
+ media
+ media
> udp 10
"""
[scripts.media]
packets = "> udp 100"
[simulate]
"#;
    let scenario = Scenario::parse("calls.toml", text).unwrap();
    assert!(scenario.announces_media() && !web().announces_media());
    let mut announced: [BTreeSet<u16>; 2] = [BTreeSet::new(), BTreeSet::new()];
    let mut opened = announced.clone();
    for Event { flow, packet, .. } in Schedule::new(&scenario, 1, Size::default()) {
        match packet.content {
            Content::Announce(ports) => {
                assert_eq!((ports.first % 2, ports.count.get()), (0, 2));
                announced[packet.from as usize].extend(ports.iter());
            }
            _ if flow.server.port() != 5060 => {
                opened[0].insert(flow.client.port());
                opened[1].insert(flow.server.port());
                assert_eq!(flow.client.port() % 2, flow.server.port() % 2);
            }
            _ => {}
        }
    }
    assert!(announced[1].len() > 16);
    assert_eq!(announced, opened);
}

#[test]
fn what_comes_until_the_end_comes_until_another_end_at_the_same_rate() {
    let scenario = Scenario::parse("web.toml", WEB).unwrap();
    // 200 a second and 1,000 between the fifth and the fifteenth second.
    for (secs, requests, queries) in
        [(20, 4000.0, 1000.0), (60, 12_000.0, 1000.0), (10, 2000.0, 500.0), (2, 400.0, 0.0)]
    {
        let lasting = scenario.clone().lasting(Duration::from_secs(secs));
        let about = |size: &str| lasting.flows_about(size.parse().unwrap());
        assert!((about("1") - (requests + queries)).abs() < 1e-6, "{secs}");
        assert!((about("0.5") * 2.0 - (requests + queries)).abs() < 1e-6, "{secs}");
        let schedule = Schedule::new(&lasting, 1, Size::default());
        let events: Vec<_> = schedule.collect();
        assert!(events.iter().all(|event| event.at <= Duration::from_secs(secs)));
        let begun = events.iter().filter(|event| matches!(event.place, Place::First | Place::Only)).count() as f64;
        let expected = requests + queries;
        assert!((begun - expected).abs() < 5.0 * expected.sqrt(), "{secs} s: {begun} of {expected}");
    }
    let same = scenario.clone().lasting(scenario.play.lasts);
    assert_eq!(same, scenario);
}
