//! Small scenarios, simulated.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file takes what it needs")]

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::Duration;

use plimsoll_scenario::{Ends, Place, Scenario, Schedule, Sent, Size, TcpNumbers, WINDOW};
use plimsoll_simulate::{Datagram, Datagrams, Outcome, Setup, Workload, run};
use plimsoll_twin::Capabilities;

pub(crate) fn scenario(traffic: &str, router: &str, script: &str) -> Scenario {
    let text = format!(
        r#"
name = "test"
title = "Test"
about = "A test."
[play]
secs = 60
{router}
[[traffic]]
name = "flows"
{traffic}
clients = {{ in = "10.1.0.0/16", hosts = 50 }}
servers = {{ in = "192.0.2.1", ports = 443 }}
script = "script"
[scripts.script]
packets = """
{script}
"""
[simulate]
"#
    );
    Scenario::parse("test.toml", &text).unwrap()
}

/// Short connections, so many new ones a second, with nine packets each.
pub(crate) fn requests(secs: u32, per_sec: u32) -> Scenario {
    let packets = ["> syn", "< syn-ack", "> ack", "> data 400", "< data 1200", "> ack", "> fin", "< fin", "> ack"];
    arriving(secs, per_sec, &packets.join("\n"))
}

/// Queries over UDP, so many a second, each answered.
pub(crate) fn queries(secs: u32, per_sec: u32) -> Scenario {
    arriving(secs, per_sec, "> udp 60\n< udp 200")
}

fn arriving(secs: u32, per_sec: u32, packets: &str) -> Scenario {
    let text = format!(
        r#"
name = "requests"
title = "Requests"
about = "A flow each."
[play]
secs = {secs}
[[traffic]]
name = "requests"
per_sec = {per_sec}
clients = {{ in = "10.0.0.0/8", ports = "1024-65535" }}
servers = {{ in = "192.0.2.10", ports = 443 }}
script = "request"
[scripts.request]
rtt_ms = 20
packets = """
{packets}
"""
[simulate]
"#
    );
    Scenario::parse("requests.toml", &text).unwrap()
}

pub(crate) fn setup(sysctls: &[(&str, u32)]) -> Setup {
    let mut setup = Setup::stock(Capabilities::LINUX_6_18, 7);
    for (name, value) in sysctls {
        setup.set(format!("nf_conntrack_{name}").parse().unwrap(), *value).unwrap();
    }
    setup
}

pub(crate) fn workload(scenario: &Scenario, seed: u64) -> Workload<'_> {
    Workload::Scenario { scenario, seed, size: Size::default() }
}

pub(crate) fn simulated(scenario: &Scenario, sysctls: &[(&str, u32)]) -> Outcome {
    run(workload(scenario, 1), &setup(sysctls), &mut |_| ControlFlow::Continue(())).unwrap()
}

/// A DNS query, without a checksum and the query.
pub(crate) const QUERY: [u8; 28] =
    [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 192, 0, 2, 1, 0x80, 0, 0, 53, 0, 8, 0, 0];

/// A scenario of TCP as somebody might have recorded it; before it a query, so that time begins when the scenario does.
pub(crate) struct Record<'a> {
    schedule: Option<Schedule<'a>>,
    scenario: &'a Scenario,
    seed: u64,
    flows: HashMap<u32, Ends>,
    bytes: Vec<u8>,
}

impl<'a> Record<'a> {
    pub(crate) fn new(scenario: &'a Scenario, seed: u64) -> Self {
        Self { schedule: None, scenario, seed, flows: HashMap::new(), bytes: Vec::new() }
    }
}

impl Datagrams for Record<'_> {
    fn next_datagram(&mut self) -> Option<Datagram<'_>> {
        // By a wall clock.
        let begin = Duration::from_secs(1_700_000_000);
        let Some(schedule) = &mut self.schedule else {
            self.schedule = Some(Schedule::new(self.scenario, self.seed, Size::default()));
            return Some(Datagram { at: begin, bytes: &QUERY });
        };
        let event = schedule.next()?;
        let ends = self.flows.entry(event.flow.number).or_insert_with(|| Ends::new(&event.flow));
        let sent = ends.send(&event.flow, event.packet);
        if event.place == Place::Last {
            self.flows.remove(&event.flow.number);
        }
        write(&mut self.bytes, &sent);
        Some(Datagram { at: begin + event.at, bytes: &self.bytes })
    }
}

/// An IPv4 datagram of TCP, without checksums.
fn write(bytes: &mut Vec<u8>, sent: &Sent) {
    let TcpNumbers { flags, sequence, acknowledgement } = sent.tcp.unwrap();
    bytes.clear();
    bytes.extend([0x45, 0]);
    bytes.extend((40 + sent.payload_bytes).to_be_bytes());
    bytes.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
    bytes.extend(sent.from.ip().octets());
    bytes.extend(sent.to.ip().octets());
    bytes.extend(sent.from.port().to_be_bytes());
    bytes.extend(sent.to.port().to_be_bytes());
    bytes.extend(sequence.to_be_bytes());
    bytes.extend(acknowledgement.to_be_bytes());
    bytes.extend([5 << 4, flags]);
    bytes.extend(WINDOW.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.resize(40 + usize::from(sent.payload_bytes), 0);
}
