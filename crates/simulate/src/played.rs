//! A scenario, played to a twin as the lab plays it to a kernel.

use std::net::{IpAddr, SocketAddrV4};
use std::ops::ControlFlow;
use std::time::Duration;

use plimsoll_model::{Layer4, NewEntry, Protocol, Tuple};
use plimsoll_scenario::{
    Content, Ends, Event, Flow, FlowProtocol, Place, Scenario, Schedule, Segment, Sent, Side, Size, WINDOW,
};
use plimsoll_twin::packet::{self, Packet, flags};
use plimsoll_twin::{Direction, EntryId, Expected, NoRules, Settings, Verdict};

use crate::outcome::{Completeness, Outcome};
use crate::rules::RouterRules;
use crate::simulation::Simulation;
use crate::watch::{Tuples, Watch};
use crate::{NotSimulated, Progress, Setup};

/// The class of the SIP helper's expectations of audio.
const SIP_AUDIO: u8 = 1;

pub(crate) fn play(
    standing: &[NewEntry],
    scenario: &Scenario,
    seed: u64,
    size: Size,
    setup: &Setup,
    observer: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Outcome, NotSimulated> {
    if scenario.proxy.is_some() {
        return Err(NotSimulated::Proxy);
    }
    let settings = Settings { translates: scenario.router.translates(), ..setup.settings.clone() };
    let lasts = scenario.play.lasts;
    let mut simulation = Simulation::new(setup, settings, Some(lasts), observer);
    let mut stopped = standing.iter().try_for_each(|entry| simulation.stand(entry));
    for standing in &scenario.standing {
        let mut entries = standing.entries(seed, size, setup.host.capacity.0)?;
        if stopped.is_continue() {
            stopped = entries.try_for_each(|entry| simulation.stand(&entry.new_entry()));
        }
    }
    if stopped.is_break() {
        return Ok(simulation.finish(Duration::ZERO, Completeness::StoppedAt(Duration::ZERO)));
    }
    let rules = RouterRules::new(&scenario.router, &mut simulation.twin);
    let mut player = Player { simulation, rules, seed, translates: scenario.router.translates(), flows: Vec::new() };
    for event in Schedule::new(scenario, seed, size) {
        if let ControlFlow::Break(at) = player.simulation.until(event.at) {
            return Ok(player.simulation.finish(at, Completeness::StoppedAt(at)));
        }
        player.send(&event);
    }
    let mut simulation = player.simulation;
    if let ControlFlow::Break(at) = simulation.until(lasts) {
        return Ok(simulation.finish(at, Completeness::StoppedAt(at)));
    }
    Ok(simulation.finish(lasts, Completeness::Whole))
}

struct Player<'a, 'o> {
    simulation: Simulation<'o>,
    rules: RouterRules<'a>,
    seed: u64,
    translates: bool,
    /// Those of which more is to come, by their events' slots.
    flows: Vec<Option<Running>>,
}

#[derive(Clone, Copy)]
struct Running {
    ends: Ends,
    watch: Watch,
}

impl Player<'_, '_> {
    fn send(&mut self, event: &Event) {
        match event.place {
            Place::First | Place::Only => self.open(event),
            Place::Between | Place::Last => self.go_on(event),
        }
    }

    fn open(&mut self, event: &Event) {
        let running = self.begin(event);
        let slot = event.slot as usize;
        if self.flows.len() <= slot {
            self.flows.resize(slot + 1, None);
        }
        if let Some(place) = self.flows.get_mut(slot) {
            *place = running;
        }
    }

    /// Sends the first packet of a flow; what is known of the flow then, if more is to come.
    fn begin(&mut self, Event { at, flow, packet, place, .. }: &Event) -> Option<Running> {
        let mut ends = Ends::new(flow);
        let sent = ends.send(flow, *packet);
        self.rules.draw_for(self.seed, flow.number, *at);
        let packet_sent = as_packet(flow.protocol, packet.from, &sent);
        let verdict = self.simulation.pass(*at, &packet_sent, &mut self.rules);
        self.simulation.flows += 1;
        if matches!(verdict, Verdict::Dropped(_)) {
            // Nobody has heard of it.
            self.simulation.refused_flows += 1;
            return None;
        }
        let mut watch = Watch::new(None);
        watch.note(&packet_sent, packet.from, &verdict);
        self.overhear(*at, flow, packet.content, packet.from, watch.entry);
        if *place == Place::Only {
            return None;
        }
        if self.translates
            && let Some(tuples) = watch.entry.and_then(|entry| self.simulation.tuples(*at, entry))
        {
            // Sent back, an answer to it comes from where the server takes itself to be.
            (ends.server, ends.client) = sockets(&tuples.reply).unwrap_or((ends.server, ends.client));
        }
        Some(Running { ends, watch })
    }

    fn go_on(&mut self, Event { at, flow, packet, place, slot }: &Event) {
        let Some(known) = self.flows.get_mut(*slot as usize) else { return };
        // None if it was refused.
        let Some(running) = known else { return };
        let sent = running.ends.send(flow, *packet);
        let packet_sent = as_packet(flow.protocol, packet.from, &sent);
        self.rules.draw_for(self.seed, flow.number, *at);
        let ends = running.ends;
        let tuples = || Tuples {
            original: tuple(flow.protocol, Side::Client, flow.client, flow.server),
            reply: tuple(flow.protocol, Side::Server, ends.server, ends.client),
        };
        let verdict =
            self.simulation.pass_watched(*at, &packet_sent, packet.from, &mut running.watch, tuples, &mut self.rules);
        let entry = running.watch.entry;
        if *place == Place::Last {
            *known = None;
        }
        self.answer_in_place_of_a_client(*at, flow, packet.from, &sent, &verdict);
        self.overhear(*at, flow, packet.content, packet.from, entry);
    }

    /// A server's segment that no entry brings back to a translated client has reached the router itself, which knows of no
    /// such connection (`tcp_v4_send_reset`).
    fn answer_in_place_of_a_client(&mut self, at: Duration, flow: &Flow, from: Side, sent: &Sent, verdict: &Verdict) {
        let (Side::Server, Some(numbers)) = (from, sent.tcp) else { return };
        let is_for_the_router = sent.to.ip() != flow.client.ip()
            && matches!(verdict, Verdict::Passed { direction: Direction::Original, .. });
        if !is_for_the_router || numbers.flags & flags::RST != 0 {
            return;
        }
        let tuple = tuple(flow.protocol, Side::Client, sent.to, sent.from);
        let segment = packet::Segment::new(flags::RST, numbers.acknowledgement, 0, 0);
        let reset = Packet::Flow { tuple, content: packet::Content::Tcp(segment) };
        self.simulation.pass(at, &reset, &mut NoRules);
    }

    /// What helpers make of a packet. Whom no helper listens in on, and what has an expectation already, stays as it is.
    fn overhear(&mut self, at: Duration, flow: &Flow, content: Content, from: Side, entry: Option<EntryId>) {
        let Some(entry) = entry else { return };
        let (client, server) = (IpAddr::V4(*flow.client.ip()), IpAddr::V4(*flow.server.ip()));
        match content {
            Content::Tcp(Segment::Passive(port)) => {
                let what =
                    Expected { protocol: Protocol::TCP, source: Some(client), destination: server, port, class: 0 };
                let _ = self.simulation.twin.expect(at, entry, what);
            }
            Content::Announce(ports) => {
                let (source, destination) = match from {
                    Side::Client => (server, client),
                    Side::Server => (client, server),
                };
                for port in ports.iter() {
                    let source = Some(source);
                    let what = Expected { protocol: Protocol::UDP, source, destination, port, class: SIP_AUDIO };
                    let _ = self.simulation.twin.expect(at, entry, what);
                }
            }
            _ => {}
        }
    }
}

fn as_packet(protocol: FlowProtocol, from: Side, sent: &Sent) -> Packet<'static> {
    let content = match sent.tcp {
        None => packet::Content::Plain,
        Some(numbers) => packet::Content::Tcp(packet::Segment {
            payload_bytes: sent.payload_bytes.into(),
            ..packet::Segment::new(numbers.flags, numbers.sequence, numbers.acknowledgement, WINDOW)
        }),
    };
    Packet::Flow { tuple: tuple(protocol, from, sent.from, sent.to), content }
}

fn tuple(protocol: FlowProtocol, side: Side, from: SocketAddrV4, to: SocketAddrV4) -> Tuple {
    const ECHO_REQUEST: u8 = 8;
    const ECHO_REPLY: u8 = 0;
    let ports = Layer4::Ports { source: from.port(), destination: to.port() };
    let (protocol, layer4) = match (protocol, side) {
        (FlowProtocol::Tcp, _) => (Protocol::TCP, ports),
        (FlowProtocol::Udp, _) => (Protocol::UDP, ports),
        (FlowProtocol::Icmp, Side::Client) => {
            (Protocol::ICMP, Layer4::Icmp { id: from.port(), kind: ECHO_REQUEST, code: 0 })
        }
        (FlowProtocol::Icmp, Side::Server) => {
            (Protocol::ICMP, Layer4::Icmp { id: to.port(), kind: ECHO_REPLY, code: 0 })
        }
    };
    Tuple { source: IpAddr::V4(*from.ip()), destination: IpAddr::V4(*to.ip()), protocol, layer4 }
}

/// The two sides of a tuple of the server's, source first.
fn sockets(tuple: &Tuple) -> Option<(SocketAddrV4, SocketAddrV4)> {
    let (IpAddr::V4(source), IpAddr::V4(destination)) = (tuple.source, tuple.destination) else { return None };
    let (from, to) = match tuple.layer4 {
        Layer4::Ports { source, destination } => (source, destination),
        // Only the client has an identifier.
        Layer4::Icmp { id, .. } => (0, id),
        Layer4::None => return None,
    };
    Some((SocketAddrV4::new(source, from), SocketAddrV4::new(destination, to)))
}
