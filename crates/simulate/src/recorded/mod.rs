//! Recorded packets, played to a twin.
//!
//! A thread reads them, and another plays them: what a packet is, and to which flow it belongs, does not depend on what became of others.

mod flow;
mod flows;
mod handover;
mod heard;
mod key;
mod reader;
mod sorter;
mod table;

use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

use plimsoll_hints::fetch_at;
use plimsoll_model::Zone;
use plimsoll_twin::{Asked, NoRules, Twin};

use crate::batch::Plays;
use crate::outcome::{Completeness, Outcome};
use crate::simulation::Simulation;
use crate::workload::Datagrams;
use crate::{Progress, Setup};

use self::flow::Flow;
use self::handover::{PlayersEnd, Said, handover};
use self::heard::{Heard, Kind, OfFlow};
use self::reader::Reader;
use self::table::push;

pub(crate) fn play(
    datagrams: &mut dyn Datagrams,
    setup: &Setup,
    observer: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Outcome {
    let mut player = Player::new(Simulation::new(setup, setup.settings.clone(), None, observer));
    let ended = player.play(datagrams);
    let Player { simulation, now, .. } = player;
    match ended {
        ControlFlow::Continue(()) => simulation.finish(now, Completeness::Whole),
        ControlFlow::Break(at) => simulation.finish(at, Completeness::StoppedAt(at)),
    }
}

struct Player<'o> {
    simulation: Simulation<'o>,
    /// By their numbers.
    flows: Vec<Flow>,
    now: Duration,
}

impl<'o> Player<'o> {
    const fn new(simulation: Simulation<'o>) -> Self {
        Self { simulation, flows: Vec::new(), now: Duration::ZERO }
    }

    /// Plays all there is, while a thread reads it; says whether it came to its end, and if not, how far.
    fn play(&mut self, datagrams: &mut dyn Datagrams) -> ControlFlow<Duration> {
        let twin = &self.simulation.twin;
        let asker = twin.asker(self.simulation.place(Zone::default()));
        let reader = Reader::new(datagrams, *twin.capabilities(), asker);
        let (readers_end, players_end) = handover();
        thread::scope(|scope| {
            let reading = scope.spawn(move || reader.read(&readers_end));
            let ended = self.play_what_is_read(players_end);
            // That nobody listens any more is known here.
            let _ = reading.join().unwrap_or_else(|panic| resume_unwind(panic));
            ended
        })
    }

    #[expect(clippy::needless_pass_by_value, reason = "once it is gone nothing more is read")]
    fn play_what_is_read(&mut self, reader: PlayersEnd) -> ControlFlow<Duration> {
        while let Some(said) = reader.listen() {
            match said {
                Said::Packets(mut batch) => {
                    self.play_batch(&mut batch)?;
                    self.now = batch.last().map_or(self.now, |last| last.at);
                    reader.give_back(batch);
                }
                Said::WhichGoOn => reader.answer(self.forget()),
            }
        }
        ControlFlow::Continue(())
    }

    /// Forgets flows of which nothing is to come. Those that may go on, by the numbers that they had, in their order.
    fn forget(&mut self) -> Vec<u32> {
        let twin = &self.simulation.twin;
        let (mut number, mut kept) = (0, Vec::new());
        self.flows.retain(|flow| {
            let may_go_on = flow.may_go_on(self.now, twin);
            kept.extend(may_go_on.then_some(number));
            number += 1;
            may_go_on
        });
        kept
    }
}

impl Plays for Player<'_> {
    type Packet = Heard;

    fn twin(&self) -> &Twin {
        &self.simulation.twin
    }

    #[inline]
    fn asked(heard: &mut Heard) -> Option<&mut Asked> {
        match &mut heard.packet {
            Kind::Asks { asked, .. } => Some(asked),
            Kind::Stray(_) => None,
        }
    }

    #[inline]
    fn ask_for_flow(&self, heard: &Heard) {
        if let Kind::Asks { flow: Some(OfFlow { number, .. }), .. } = heard.packet {
            fetch_at(&self.flows, number as usize);
        }
    }

    /// If its flow's entry is known, it looks there first.
    #[inline]
    fn foresee(&self, heard: &mut Heard) {
        if let Kind::Asks { asked, flow: Some(flow), .. } = &mut heard.packet
            && let Some(entry) = self.flows.get(flow.number as usize).and_then(Flow::entry)
        {
            asked.found(entry);
        }
    }

    #[inline]
    fn take(&mut self, heard: &Heard) -> ControlFlow<Duration> {
        let Heard { at, ref packet } = *heard;
        let simulation = &mut self.simulation;
        simulation.until(at)?;
        match packet {
            Kind::Asks { asked, content, flow: Some(OfFlow { number, which }) } => {
                let packet = flow::Coming { at, content: &content.content(), asked, which: *which };
                if let Some(flow) = self.flows.get_mut(*number as usize) {
                    flow.go_on(simulation, packet);
                } else {
                    debug_assert_eq!(*number as usize, self.flows.len(), "reader and player number flows alike");
                    push(&mut self.flows, Flow::open(simulation, packet));
                }
            }
            Kind::Asks { asked, content, flow: None } => {
                simulation.pass(at, asked, &content.content(), &mut NoRules);
            }
            Kind::Stray(packet) => simulation.pass_stray(at, packet),
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_scenario::Side;
    use plimsoll_twin::Capabilities;
    use plimsoll_twin::packet::flags;

    use super::*;

    /// A datagram of a client's connection.
    fn tcp(client: u32, from: Side, flags: u8, sequence: u32, acknowledgement: u32) -> Vec<u8> {
        let mut ends = [(0x0a00_0000 | client, 40_000_u16), (0xc000_0201, 443)];
        if from == Side::Server {
            ends.reverse();
        }
        let [(source, source_port), (destination, destination_port)] = ends;
        let mut bytes = vec![0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0];
        bytes.extend([source, destination].map(u32::to_be_bytes).as_flattened());
        bytes.extend([source_port, destination_port].map(u16::to_be_bytes).as_flattened());
        bytes.extend([sequence, acknowledgement].map(u32::to_be_bytes).as_flattened());
        bytes.extend([5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
        bytes
    }

    /// Takes packets and says how many flows are remembered then, once those are forgotten of which nothing is to come, how many came,
    /// how many were refused, how many packets there were, and how many entries were missed.
    fn take(capacity: u32, packets: impl Iterator<Item = (Duration, Vec<u8>)>) -> [u64; 6] {
        let mut setup = Setup::stock(Capabilities::LINUX_6_18, 1);
        setup.host.capacity.0 = capacity;
        setup.host.buckets.0 = 512;
        setup.set("nf_conntrack_tcp_timeout_syn_sent".parse().unwrap(), 1).unwrap();
        let mut go_on = |_| ControlFlow::Continue(());
        let mut player = Player::new(Simulation::new(&setup, setup.settings.clone(), None, &mut go_on));
        let packets: Vec<_> = packets.collect();
        assert!(player.play(&mut packets.iter()).is_continue());
        let remembered = player.flows.len() as u64;
        player.forget();
        let going_on = player.flows.len() as u64;
        let outcome = player.simulation.finish(Duration::from_hours(1), Completeness::Whole);
        let Outcome { flows, refused_flows, packets, ref false_kills, .. } = outcome;
        [remembered, going_on, flows, refused_flows, packets, false_kills.total()]
    }

    /// 100 SYNs a second for half an hour: those of the last five minutes might still be answered.
    #[test]
    fn of_a_flood_no_more_is_remembered_than_might_go_on() {
        let flood = (0..180_000)
            .map(|number| (Duration::from_millis(u64::from(number) * 10), tcp(number, Side::Client, flags::SYN, 0, 0)));
        let [remembered, going_on, flows, ..] = take(0, flood);
        assert_eq!(flows, 180_000);
        assert!((30_000..30_010).contains(&going_on), "{going_on}");
        // It was asked at the end of a batch.
        assert!((going_on..67_000).contains(&remembered), "{remembered}");
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
        assert_eq!(take(0, handshakes), [100, 100, 100, 0, 300, 0]);
    }

    /// More flows than are remembered without a look, half of which are reset at once. Of those that began within the last minutes before
    /// others are forgotten, some go on that are not over: each misses its entry, which lived for a second.
    #[test]
    fn flows_that_go_on_are_the_same_after_others_were_forgotten() {
        let at = |flow: u32| Duration::from_millis(u64::from(flow) * 10);
        let is_reset = |flow: u32| flow.wrapping_mul(0x9e37_79b9) >> 31 == 0;
        let begun = (0..67_000).flat_map(|flow| {
            let reset = is_reset(flow).then(|| (at(flow), tcp(flow, Side::Server, flags::RST | flags::ACK, 0, 1)));
            [(at(flow), tcp(flow, Side::Client, flags::SYN, 0, 0))].into_iter().chain(reset)
        });
        let go_on = (37_000..40_000).chain(62_000..65_000).filter(|flow| !is_reset(*flow));
        let number = go_on.clone().count() as u64;
        let go_on = go_on.map(|flow| (at(67_000), tcp(flow, Side::Client, flags::ACK, 1, 1)));
        let [remembered, _, flows, refused, _, missed] = take(0, begun.chain(go_on));
        assert_eq!([flows, refused, missed], [67_000, 0, number]);
        assert!(remembered < 40_000, "{remembered}");
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
        assert_eq!(take(1, packets.into_iter()), [2, 2, 2, 1, 5, 0]);
    }
}
