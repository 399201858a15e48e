//! A scenario's packets, in the order of time.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use crate::agenda::Agenda;
use crate::script::{After, Cursor, FlowProtocol, Packet, ScriptId, Turn, nanos};
use crate::{Arrivals, Clients, Hosts, Scenario, Servers, Size, Traffic};
use plimsoll_draw::Draw;

/// The packets of a scenario: an iterator that makes them as they are asked for.
#[derive(Debug)]
pub struct Schedule<'a> {
    scenario: &'a Scenario,
    lasts_nanos: u64,
    sources: Vec<Source<'a>>,
    agenda: Agenda<Item>,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Item {
    /// The next flow of this source.
    Arrival(u32),
    /// The next turn of the flow in this slot.
    Flow(u32),
}

#[derive(Debug)]
struct Running {
    flow: Flow,
    source: u32,
    script: ScriptId,
    cursor: Cursor,
    /// What it does when its time has come.
    turn: Turn,
    sent: bool,
}

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
        if let Some(at) = self.sources.get_mut(source as usize).and_then(Source::next_arrival) {
            self.agenda.plan(nanos(at), Item::Arrival(source));
        }
    }

    fn begin(&mut self, now_nanos: u64, source: u32, opens: Opens) {
        let Some(from) = self.sources.get_mut(source as usize) else { return };
        let (script, client, server) = match opens {
            Opens::Anew => {
                let (client, server) = from.endpoints();
                (from.traffic.script, client, server)
            }
            Opens::Related { script, client, client_port, server } => {
                let port = client_port.unwrap_or_else(|| from.next_port(client));
                (script, SocketAddrV4::new(client, port), server)
            }
        };
        let draw = Draw::new(from.draw.next());
        let Some(steps) = self.scenario.script(script) else { return };
        let mut cursor = Cursor::new(draw);
        let mut turn = Turn::NOTHING;
        let Some(after) = cursor.advance(steps, &mut turn) else { return };
        let flow = Flow { number: self.begun, protocol: steps.protocol(), client, server };
        self.begun += 1;
        let running = Running { flow, source, script, cursor, turn, sent: false };
        let slot = self.free.pop().unwrap_or(u32::try_from(self.flows.len()).unwrap_or(u32::MAX));
        match self.flows.get_mut(slot as usize) {
            Some(place) => *place = running,
            None => self.flows.push(running),
        }
        self.plan_turn(now_nanos, slot, after);
    }

    #[inline]
    fn plan_turn(&mut self, now_nanos: u64, slot: u32, after: After) {
        match after {
            After::Written(span) => self.agenda.plan_after(now_nanos, span, Item::Flow(slot)),
            After::Drawn(span) => self.agenda.plan(now_nanos.saturating_add(span), Item::Flow(slot)),
        }
    }

    #[inline]
    fn take_turn(&mut self, now_nanos: u64, slot: u32) -> Option<Event> {
        let running = self.flows.get_mut(slot as usize)?;
        let (flow, source, turn) = (running.flow, running.source, running.turn);
        let was_sent = std::mem::replace(&mut running.sent, true);
        let script = self.scenario.script(running.script);
        let next = script.and_then(|script| running.cursor.advance(script, &mut running.turn));
        match next {
            Some(after) => self.plan_turn(now_nanos, slot, after),
            None => self.free.push(slot),
        }
        match turn {
            Turn::Send(packet) => {
                let place = match (was_sent, next.is_some()) {
                    (false, true) => Place::First,
                    (false, false) => Place::Only,
                    (true, true) => Place::Between,
                    (true, false) => Place::Last,
                };
                Some(Event { at: Duration::from_nanos(now_nanos), flow, packet, place, slot })
            }
            Turn::Open(script, by) => {
                let server = SocketAddrV4::new(*flow.server.ip(), by.server);
                self.begin(
                    now_nanos,
                    source,
                    Opens::Related { script, client: *flow.client.ip(), client_port: by.client, server },
                );
                None
            }
        }
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
            let (now_nanos, item) = self.agenda.next()?;
            if now_nanos > self.lasts_nanos {
                // Later ones come later still.
                self.agenda.clear();
                return None;
            }
            match item {
                Item::Arrival(source) => {
                    self.begin(now_nanos, source, Opens::Anew);
                    self.plan_arrival(source);
                }
                Item::Flow(slot) => {
                    if let Some(event) = self.take_turn(now_nanos, slot) {
                        return Some(event);
                    }
                }
            }
        }
    }
}

/// Where flows of one kind come from.
#[derive(Debug)]
struct Source<'a> {
    traffic: &'a Traffic,
    draw: Draw,
    size: Size,
    begun: u32,
    last: Duration,
    /// For each host, how many ports it has taken; the first is drawn.
    ports: Vec<u32>,
}

impl<'a> Source<'a> {
    fn new(traffic: &'a Traffic, seed: u64, size: Size) -> Self {
        let mut draw = Draw::new(seed);
        let hosts = match traffic.clients.hosts {
            Hosts::First(count) => count.get(),
            Hosts::Any => 0,
        };
        let count = traffic.clients.ports.count();
        let ports = (0..hosts).map(|_| draw.below(count)).collect();
        let last = match traffic.arrivals {
            Arrivals::Random { from, .. } | Arrivals::Spread { from, .. } => from,
        };
        Self { traffic, draw, size, begun: 0, last, ports }
    }

    fn next_arrival(&mut self) -> Option<Duration> {
        match self.traffic.arrivals {
            Arrivals::Random { per_sec, until, .. } => {
                let mean = Duration::from_secs_f64(1.0 / (per_sec * self.size.factor()));
                self.last += self.draw.exponential(mean);
                (self.last < until).then_some(self.last)
            }
            Arrivals::Spread { count, from, until } => {
                let count = self.size.of(count);
                let at = from + until.saturating_sub(from).mul_f64(f64::from(self.begun) / f64::from(count.max(1)));
                self.begun += 1;
                (self.begun <= count).then_some(at)
            }
        }
    }

    fn endpoints(&mut self) -> (SocketAddrV4, SocketAddrV4) {
        let Clients { network, hosts, ports } = &self.traffic.clients;
        let client = match hosts {
            Hosts::First(count) => {
                let host = self.draw.below(count.get());
                SocketAddrV4::new(network.host(host), self.port_of(host))
            }
            Hosts::Any => {
                let host = network.host(self.draw.below(network.room()));
                SocketAddrV4::new(host, ports.nth(self.draw.below(ports.count())))
            }
        };
        let Servers { network, hosts, ports } = &self.traffic.servers;
        let host = match hosts {
            Hosts::First(count) => self.draw.below(count.get()),
            Hosts::Any => self.draw.below(network.room()),
        };
        let port = ports.map_or(0, |ports| ports.nth(self.draw.below(ports.count())));
        (client, SocketAddrV4::new(network.host(host), port))
    }

    /// The next port of a client that is known by its address.
    fn next_port(&mut self, client: Ipv4Addr) -> u16 {
        let clients = &self.traffic.clients;
        match clients.hosts {
            Hosts::First(_) => self.port_of(clients.network.number_of(client)),
            Hosts::Any => clients.ports.nth(self.draw.below(clients.ports.count())),
        }
    }

    fn port_of(&mut self, host: u32) -> u16 {
        let taken = self.ports.get_mut(host as usize).map_or(0, |taken| {
            *taken = taken.wrapping_add(1);
            *taken
        });
        self.traffic.clients.ports.nth(taken)
    }
}
