//! A scenario's packets, in the order of time.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use plimsoll_draw::Draw;

use crate::agenda::{Agenda, Due};
use crate::cursor::{After, Cursor, Turn};
use crate::script::{FlowProtocol, Packet, Script, ScriptId};
use crate::source::Source;
use crate::time::nanos;
use crate::{Scenario, Size};

/// The packets of a scenario: an iterator that makes them as they are asked for.
#[derive(Debug)]
pub struct Schedule<'a> {
    scenario: &'a Scenario,
    lasts_nanos: u64,
    sources: Vec<Source<'a>>,
    agenda: Agenda,
    flows: Vec<Running>,
    free: Vec<u32>,
    begun: u32,
}

/// A packet of a flow, and when it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Time since the scenario's begin.
    pub at: Duration,
    /// Whose.
    pub flow: Flow,
    /// What.
    pub packet: Packet,
    /// Where in the flow.
    pub place: Place,
    /// A number that no other flow has while this one lasts. It goes to another one later: the numbers of flows at one time lie
    /// close together.
    pub slot: u32,
}

/// A flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Its number, by the order in which flows begin.
    pub number: u32,
    /// Its protocol.
    pub protocol: FlowProtocol,
    /// The client. For ICMP the port is the echo's identifier.
    pub client: SocketAddrV4,
    /// The server as the client knows it. No port for ICMP.
    pub server: SocketAddrV4,
}

/// Where in its flow a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It opens the flow; more will come.
    First,
    /// It is the flow.
    Only,
    /// There were some and there are more.
    Between,
    /// No other follows.
    Last,
}

/// A flow of which more is to come. Turns come in the order of time, and so from all over the flows: each is one cache line.
#[derive(Debug)]
#[repr(align(64))]
struct Running {
    flow: Flow,
    source: u32,
    script: ScriptId,
    cursor: Cursor,
}

const _: () = assert!(size_of::<Running>() == 64);

impl<'a> Schedule<'a> {
    /// The packets of a scenario for a seed, at a size.
    pub fn new(scenario: &'a Scenario, seed: u64, size: Size) -> Self {
        let mut seeds = Draw::new(seed);
        let sources = scenario.traffic.iter().map(|traffic| Source::new(traffic, seeds.next(), size)).collect();
        let mut schedule = Self {
            scenario,
            lasts_nanos: nanos(scenario.play.lasts),
            sources,
            agenda: Agenda::new(),
            flows: Vec::new(),
            free: Vec::new(),
            begun: 0,
        };
        for source in 0..u32::try_from(schedule.sources.len()).unwrap_or(u32::MAX) {
            schedule.plan_arrival(source);
        }
        schedule
    }

    /// Flows that have begun so far.
    pub const fn flows_begun(&self) -> u32 {
        self.begun
    }

    fn plan_arrival(&mut self, source: u32) {
        if let Some(at_nanos) = self.sources.get_mut(source as usize).and_then(Source::next_arrival_nanos) {
            self.agenda.plan_arrival(at_nanos, source);
        }
    }

    fn begin(&mut self, now_nanos: u64, source: u32, opens: Opens) {
        let Some(from) = self.sources.get_mut(source as usize) else { return };
        let (script, client, server) = match opens {
            Opens::Anew => {
                let (client, server) = from.endpoints();
                (from.script(), client, server)
            }
            Opens::Related { script, client, client_port, server } => {
                let port = client_port.unwrap_or_else(|| from.next_port(client));
                (script, SocketAddrV4::new(client, port), server)
            }
        };
        let cursor = Cursor::new(from.draw());
        let Some(protocol) = self.scenario.script(script).map(Script::protocol) else { return };
        let flow = Flow { number: self.begun, protocol, client, server };
        self.begun += 1;
        let running = Running { flow, source, script, cursor };
        let slot = self.free.pop().unwrap_or(u32::try_from(self.flows.len()).unwrap_or(u32::MAX));
        match self.flows.get_mut(slot as usize) {
            Some(place) => *place = running,
            None => self.flows.push(running),
        }
        self.agenda.plan_after(now_nanos, 0, slot);
    }

    #[inline]
    fn take_turn(&mut self, now_nanos: u64, slot: u32) -> Option<Event> {
        let running = self.flows.get_mut(slot as usize)?;
        let script = self.scenario.script(running.script)?;
        let is_first = !running.cursor.has_sent();
        let turn = running.cursor.take_turn(script)?;
        let next = running.cursor.go_on(script);
        match next {
            Some(After::Written(span)) => self.agenda.plan_after(now_nanos, span, slot),
            Some(After::Drawn(span)) => self.agenda.plan_at(now_nanos.saturating_add(span), slot),
            None => self.free.push(slot),
        }
        let packet = match &turn {
            Turn::Send(packet) => *packet,
            Turn::Announce(packet) => packet,
            Turn::Open(script, by) => {
                let Flow { client, server, .. } = running.flow;
                let (source, server) = (running.source, SocketAddrV4::new(*server.ip(), by.server));
                let opens = Opens::Related { script: *script, client: *client.ip(), client_port: by.client, server };
                self.begin(now_nanos, source, opens);
                return None;
            }
        };
        let place = match (is_first, next.is_some()) {
            (true, true) => Place::First,
            (true, false) => Place::Only,
            (false, true) => Place::Between,
            (false, false) => Place::Last,
        };
        Some(Event { at: Duration::from_nanos(now_nanos), flow: running.flow, packet: *packet, place, slot })
    }
}

/// How a flow comes to begin.
#[derive(Clone, Copy)]
enum Opens {
    Anew,
    Related { script: ScriptId, client: Ipv4Addr, client_port: Option<u16>, server: SocketAddrV4 },
}

impl Iterator for Schedule<'_> {
    type Item = Event;

    #[inline]
    fn next(&mut self) -> Option<Event> {
        loop {
            let (now_nanos, due) = self.agenda.next()?;
            if now_nanos > self.lasts_nanos {
                // Later ones come later still.
                self.agenda.clear();
                return None;
            }
            match due {
                Due::Arrival(source) => {
                    self.begin(now_nanos, source, Opens::Anew);
                    self.plan_arrival(source);
                }
                Due::Turn(slot) => {
                    if let Some(event) = self.take_turn(now_nanos, slot) {
                        return Some(event);
                    }
                }
            }
        }
    }
}
