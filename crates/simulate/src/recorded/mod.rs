//! Recorded packets, played to a twin.

mod flows;
mod key;
mod listening;

use std::ops::ControlFlow;
use std::time::Duration;

use plimsoll_model::{Protocol, Tuple, Zone};
use plimsoll_scenario::Side;
use plimsoll_twin::packet::{Content, Packet};
use plimsoll_twin::parse::{self, Checksums};
use plimsoll_twin::{Asked, Coming, NoRules, Outlook, Place, Verdict, inverted};

use crate::outcome::{Completeness, Outcome};
use crate::simulation::Simulation;
use crate::watch::{Role, Tuples, Watch};
use crate::workload::Datagrams;
use crate::{Progress, Setup};

use self::flows::{Flows, Sought};
use self::key::{Key, Which};
use self::listening::Listening;

/// What has neither handshake nor end is another flow after such a silence: the time for which RFC 4787 (REQ-5) has a
/// translation keep a UDP flow.
const SILENCE: Duration = Duration::from_mins(5);

/// How long a TCP stack lingers behind a connection that is over (`TCP_TIMEWAIT_LEN`): nothing is sent again after that.
const LINGER: Duration = Duration::from_mins(1);

/// So many flows are remembered before it is asked which of them can be forgotten.
const FLOWS_AT_FIRST: usize = 1 << 16;

/// So many turns before its packet a flow is asked for, whose chain was asked for when the packet was read.
const TURNS_TO_FLOW: usize = Outlook::TURNS / 2;

pub(crate) fn play(
    datagrams: &mut dyn Datagrams,
    setup: &Setup,
    observer: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Outcome {
    let simulation = Simulation::new(setup, setup.settings.clone(), None, observer);
    let mut player = Player { simulation, flows: Flows::new(), look_at: FLOWS_AT_FIRST };
    let mut listening = Listening::new(datagrams, setup.host.capabilities);
    match player.play(&mut listening) {
        ControlFlow::Continue(()) => player.simulation.finish(listening.now(), Completeness::Whole),
        ControlFlow::Break(at) => player.simulation.finish(at, Completeness::StoppedAt(at)),
    }
}

struct Player<'o> {
    simulation: Simulation<'o>,
    flows: Flows<Recorded>,
    look_at: usize,
}

#[derive(Clone, Copy, Debug)]
struct Recorded {
    progress: Talk,
    watch: Watch,
    last: Duration,
    /// Which of the flow's tuples is the client's.
    client: Which,
}

/// A packet, and when it comes.
#[derive(Clone, Copy, Debug)]
struct Heard<'a> {
    at: Duration,
    packet: Packet<'a>,
    of: Option<Of>,
}

/// Of which flow a packet is, and which of its tuples it has.
#[derive(Clone, Copy, Debug)]
struct Of {
    flow: Sought,
    which: Which,
}

/// Who has said something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Talk {
    /// Its first packet was dropped: it is not heard of until the client tries again.
    Refused,
    /// The client alone.
    Asked,
    /// The server has answered.
    Answered,
    /// The client has said something to that.
    Established,
}

impl Player<'_> {
    fn play(&mut self, listening: &mut Listening<'_>) -> ControlFlow<Duration> {
        let mut outlook: Outlook<Heard<'static>> = Outlook::new();
        loop {
            if let Some(Heard { of: Some(of), .. }) = outlook.later(TURNS_TO_FLOW) {
                self.flows.ask_on(&of.flow);
            }
            let next = outlook.next(&self.simulation.twin, || {
                let (at, packet) = listening.next()?;
                Some(Coming { packet: self.hear(at, packet), flow: self.flow_of(&packet) })
            });
            if let Some((heard, asked)) = next {
                self.simulation.until(heard.at)?;
                self.take(heard, asked);
            } else if let Some(bytes) = listening.take_whole() {
                let capabilities = self.simulation.twin.capabilities();
                let heard = self.hear(listening.now(), parse::packet(&bytes, Checksums::Ignored, capabilities));
                let flow = self.flow_of(&heard.packet);
                let asked = flow.map(|(place, tuple)| self.simulation.twin.ask(place, &tuple));
                self.simulation.until(heard.at)?;
                self.take(&heard, asked.as_ref());
            } else {
                return ControlFlow::Continue(());
            }
        }
    }

    /// A packet that will come. Whom a broken header is from cannot be relied on.
    #[inline]
    fn hear<'a>(&self, at: Duration, packet: Packet<'a>) -> Heard<'a> {
        let of = match &packet {
            Packet::Flow { tuple, content } if *content != Content::Malformed => {
                Key::of(tuple).map(|(key, which)| Of { flow: self.flows.ask(key), which })
            }
            Packet::Flow { .. } | Packet::IcmpError(_) | Packet::Unwatched | Packet::Unreadable => None,
        };
        Heard { at, packet, of }
    }

    #[inline]
    fn flow_of(&self, packet: &Packet<'_>) -> Option<(Place, Tuple)> {
        match packet {
            Packet::Flow { tuple, .. } => Some((self.simulation.place(Zone::default()), *tuple)),
            Packet::IcmpError(_) | Packet::Unwatched | Packet::Unreadable => None,
        }
    }

    #[inline]
    fn take(&mut self, heard: &Heard<'_>, asked: Option<&Asked>) {
        let Heard { at, ref packet, of } = *heard;
        let (Packet::Flow { tuple, content }, Some(asked)) = (packet, asked) else {
            self.simulation.pass_stray(at, packet);
            return;
        };
        let simulation = &mut self.simulation;
        let Some(of) = of else {
            simulation.pass(at, asked, content, &mut NoRules);
            return;
        };
        match self.flows.get_mut(&of.flow) {
            Some(flow) if flow.is_another(at, content) => {
                *flow = Recorded::open(simulation, at, asked, content, of.which);
            }
            Some(flow) => {
                let from = if flow.client == of.which { Side::Client } else { Side::Server };
                flow.go_on(simulation, at, asked, content, tuple, from);
            }
            None => {
                let opened = Recorded::open(simulation, at, asked, content, of.which);
                self.flows.insert(&of.flow, opened);
            }
        }
        if self.flows.len() > self.look_at {
            self.forget(at);
        }
    }

    /// Forgets flows of which nothing is to come: their next packet would be another flow's.
    fn forget(&mut self, now: Duration) {
        let twin = &self.simulation.twin;
        self.flows.retain(|key, flow| {
            let is_open_connection =
                key.protocol() == Protocol::TCP && flow.progress == Talk::Established && !flow.watch.is_over();
            let patience = if flow.watch.is_over() { LINGER } else { SILENCE };
            let is_silent = now.saturating_sub(flow.last) > patience;
            is_open_connection || !is_silent || flow.watch.entry.is_some_and(|entry| twin.is_alive(now, entry))
        });
        self.look_at = FLOWS_AT_FIRST.max(2 * self.flows.len());
    }
}

impl Recorded {
    /// The first packet of a flow comes, with this one of its tuples.
    fn open(
        simulation: &mut Simulation<'_>,
        at: Duration,
        asked: &Asked,
        content: &Content<'_>,
        client: Which,
    ) -> Self {
        simulation.flows += 1;
        let verdict = simulation.pass(at, asked, content, &mut NoRules);
        let mut watch = Watch::new(None);
        let progress = if matches!(verdict, Verdict::Dropped(_)) {
            simulation.refused_flows += 1;
            Talk::Refused
        } else {
            watch.note(content, Side::Client, &verdict);
            Talk::Asked
        };
        Self { progress, watch, last: at, client }
    }

    /// Its next packet comes.
    #[inline]
    fn go_on(
        &mut self,
        simulation: &mut Simulation<'_>,
        at: Duration,
        asked: &Asked,
        content: &Content<'_>,
        tuple: &Tuple,
        from: Side,
    ) {
        self.last = at;
        if self.progress == Talk::Refused {
            let tries_again = match content {
                Content::Tcp(_) => self.watch.role(content) == Role::Opens,
                _ => from == Side::Client,
            };
            if tries_again {
                let verdict = simulation.pass(at, asked, content, &mut NoRules);
                if !matches!(verdict, Verdict::Dropped(_)) {
                    self.watch.note(content, from, &verdict);
                    self.progress = Talk::Asked;
                }
            }
            return;
        }
        let tuples = || tuples(tuple, from);
        simulation.pass_watched(at, asked, content, from, &mut self.watch, tuples, &mut NoRules);
        self.progress = match (self.progress, from) {
            (Talk::Asked, Side::Server) => Talk::Answered,
            (Talk::Answered, Side::Client) => Talk::Established,
            (progress, _) => progress,
        };
    }

    /// Whether a packet with its tuples is another flow's: one that opens after this one is over, or after a silence where
    /// nothing else would tell.
    fn is_another(&self, at: Duration, content: &Content<'_>) -> bool {
        match content {
            Content::Tcp(_) => self.watch.is_over() && self.watch.role(content) == Role::Opens,
            _ => at.saturating_sub(self.last) > SILENCE,
        }
    }
}

/// Both tuples of a flow, by that of one of its packets.
fn tuples(tuple: &Tuple, from: Side) -> Tuples {
    let tuple = *tuple;
    let answer = inverted(&tuple).unwrap_or(tuple.mirrored());
    match from {
        Side::Client => Tuples { original: tuple, reply: answer },
        Side::Server => Tuples { original: answer, reply: tuple },
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use plimsoll_model::Layer4;
    use plimsoll_twin::Capabilities;
    use plimsoll_twin::packet::{Segment, flags};

    use super::*;

    fn tcp(client: u32, from: Side, flags: u8, sequence: u32, acknowledgement: u32) -> Packet<'static> {
        let asks = Tuple {
            source: IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 | client)),
            destination: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
            protocol: Protocol::TCP,
            layer4: Layer4::Ports { source: 40_000, destination: 443 },
        };
        let tuple = if from == Side::Client { asks } else { asks.mirrored() };
        Packet::Flow { tuple, content: Content::Tcp(Segment::new(flags, sequence, acknowledgement, 0xffff)) }
    }

    /// Takes packets and says how many flows are remembered then, how many came, and how many were refused.
    fn take(capacity: u32, packets: impl Iterator<Item = (Duration, Packet<'static>)>) -> [u64; 4] {
        let mut setup = Setup::stock(Capabilities::LINUX_6_18, 1);
        setup.host.capacity.0 = capacity;
        setup.host.buckets.0 = 512;
        let mut go_on = |_| ControlFlow::Continue(());
        let simulation = Simulation::new(&setup, setup.settings.clone(), None, &mut go_on);
        let mut player = Player { simulation, flows: Flows::new(), look_at: FLOWS_AT_FIRST };
        let mut last = Duration::ZERO;
        for (at, packet) in packets {
            let heard = player.hear(at, packet);
            let asked = player.flow_of(&packet).map(|(place, tuple)| player.simulation.twin.ask(place, &tuple));
            player.take(&heard, asked.as_ref());
            last = at;
        }
        player.forget(last);
        let remembered = player.flows.len() as u64;
        let outcome = player.simulation.finish(Duration::from_hours(1), Completeness::Whole);
        [remembered, outcome.flows, outcome.refused_flows, outcome.packets]
    }

    /// 100 SYNs a second for half an hour: those of the last five minutes might still be answered.
    #[test]
    fn of_a_flood_no_more_is_remembered_than_might_go_on() {
        let flood = (0..180_000)
            .map(|number| (Duration::from_millis(u64::from(number) * 10), tcp(number, Side::Client, flags::SYN, 0, 0)));
        let [remembered, flows, ..] = take(0, flood);
        assert_eq!(flows, 180_000);
        assert!((30_000..30_010).contains(&remembered), "{remembered}");
    }

    /// An open connection may go on after any time.
    #[test]
    fn open_connections_are_remembered() {
        let handshakes = (0..100).flat_map(|number| {
            let at = Duration::from_mins(u64::from(number));
            [
                (at, tcp(number, Side::Client, flags::SYN, 0, 0)),
                (at, tcp(number, Side::Server, flags::SYN | flags::ACK, 0, 1)),
                (at, tcp(number, Side::Client, flags::ACK, 1, 1)),
            ]
        });
        assert_eq!(take(0, handshakes), [100, 100, 0, 300]);
    }

    /// Of two clients there is room for one: what the other sends is left out until it sends a SYN again.
    #[test]
    fn the_rest_of_a_refused_flow_is_left_out() {
        let at = Duration::from_secs;
        let packets = [
            (at(0), tcp(1, Side::Client, flags::SYN, 0, 0)),
            (at(0), tcp(1, Side::Server, flags::SYN | flags::ACK, 0, 1)),
            (at(0), tcp(1, Side::Client, flags::ACK, 1, 1)),
            (at(1), tcp(2, Side::Client, flags::SYN, 0, 0)),
            (at(1), tcp(2, Side::Server, flags::SYN | flags::ACK, 0, 1)),
            (at(1), tcp(2, Side::Client, flags::ACK, 1, 1)),
            (at(2), tcp(2, Side::Client, flags::SYN, 0, 0)),
        ];
        assert_eq!(take(1, packets.into_iter()), [2, 2, 1, 5]);
    }
}
