//! Recorded packets, played to a twin.

mod flow;
mod flows;
mod key;
mod listening;
mod table;

use std::ops::ControlFlow;
use std::time::Duration;

use plimsoll_model::Zone;
use plimsoll_twin::parse::{self, Checksums};
use plimsoll_twin::{Asked, NoRules, Outlook};

use crate::outcome::{Completeness, Outcome};
use crate::simulation::Simulation;
use crate::workload::Datagrams;
use crate::{Progress, Setup};

use self::flow::Flow;
use self::flows::Flows;
use self::listening::{Heard, Kind, Listening, Turn};

/// So many flows are remembered before it is asked which of them can be forgotten.
const FLOWS_AT_FIRST: usize = 1 << 16;

/// So many turns before its packet a flow is asked for, whose sign was asked for when the packet was read.
const TURNS_TO_FLOW: usize = Outlook::TURNS / 2;

pub(crate) fn play(
    datagrams: &mut dyn Datagrams,
    setup: &Setup,
    observer: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Outcome {
    let simulation = Simulation::new(setup, setup.settings.clone(), None, observer);
    let mut player = Player { simulation, flows: Flows::new(), look_at: FLOWS_AT_FIRST };
    let here = player.simulation.place(Zone::default());
    let mut listening = Listening::new(datagrams, setup.host.capabilities, here);
    match player.play(&mut listening) {
        ControlFlow::Continue(()) => player.simulation.finish(listening.now(), Completeness::Whole),
        ControlFlow::Break(at) => player.simulation.finish(at, Completeness::StoppedAt(at)),
    }
}

struct Player<'o> {
    simulation: Simulation<'o>,
    flows: Flows<Flow>,
    look_at: usize,
}

impl Player<'_> {
    fn play(&mut self, listening: &mut Listening<'_>) -> ControlFlow<Duration> {
        let mut outlook: Outlook<Turn> = Outlook::new();
        loop {
            if let Some(turn) = outlook.later(TURNS_TO_FLOW)
                && let Kind::Flows { flow, .. } = &listening.heard(*turn).packet
            {
                self.flows.ask_on(flow);
            }
            let twin = &self.simulation.twin;
            if let Some((turn, asked)) = outlook.next(twin, || listening.next(&self.flows, twin)) {
                let heard = listening.heard(*turn);
                self.simulation.until(heard.at)?;
                self.take(heard, asked);
            } else if let Some(bytes) = listening.take_whole() {
                self.take_whole(listening.now(), &bytes)?;
            } else {
                return ControlFlow::Continue(());
            }
        }
    }

    /// A datagram comes that could not be foreseen.
    fn take_whole(&mut self, at: Duration, bytes: &[u8]) -> ControlFlow<Duration> {
        let packet = parse::packet(bytes, Checksums::Ignored, self.simulation.twin.capabilities());
        let (heard, tuple) = Heard::of(at, packet, &self.flows);
        let asked = tuple.map(|tuple| self.simulation.ask(Zone::default(), &tuple));
        self.simulation.until(at)?;
        self.take(&heard, asked.as_ref());
        ControlFlow::Continue(())
    }

    #[inline]
    fn take(&mut self, heard: &Heard<'_>, asked: Option<&Asked>) {
        let Heard { at, ref packet } = *heard;
        let simulation = &mut self.simulation;
        match (packet, asked) {
            (Kind::Flows { content, flow, which }, Some(asked)) => {
                let packet = flow::Coming { at, content, asked, which: *which };
                if let Some(flow) = self.flows.get_mut(flow) {
                    flow.go_on(simulation, packet);
                } else {
                    self.flows.insert(flow, Flow::open(simulation, packet));
                    if self.flows.len() > self.look_at {
                        self.forget(at);
                    }
                }
            }
            (Kind::Somebodys { content }, Some(asked)) => {
                simulation.pass(at, asked, content, &mut NoRules);
            }
            (Kind::Stray(packet), _) => simulation.pass_stray(at, packet),
            // Whatever has a tuple was asked for.
            (Kind::Flows { .. } | Kind::Somebodys { .. }, None) => {}
        }
    }

    /// Forgets flows of which nothing is to come.
    fn forget(&mut self, now: Duration) {
        let twin = &self.simulation.twin;
        self.flows.retain(|protocol, flow| flow.may_go_on(now, protocol, twin));
        self.look_at = FLOWS_AT_FIRST.max(2 * self.flows.len());
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use plimsoll_model::{Layer4, Protocol, Tuple};
    use plimsoll_scenario::Side;
    use plimsoll_twin::Capabilities;
    use plimsoll_twin::packet::{Content, Packet, Segment, flags};

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
            let (heard, tuple) = Heard::of(at, packet, &player.flows);
            let asked = tuple.map(|tuple| player.simulation.ask(Zone::default(), &tuple));
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
