//! Recorded packets, played to a twin.

use std::net::IpAddr;
use std::ops::ControlFlow;
use std::time::Duration;

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use plimsoll_model::{Layer4, Protocol, Tuple};
use plimsoll_scenario::Side;
use plimsoll_twin::packet::{Content, Packet};
use plimsoll_twin::parse::{self, Checksums};
use plimsoll_twin::{NoRules, Verdict, inverted};

use crate::outcome::{Completeness, Outcome};
use crate::simulation::Simulation;
use crate::watch::{Role, Tuples, Watch};
use crate::workload::Datagrams;
use crate::{Progress, Setup};

/// What has neither handshake nor end is another flow after such a silence: the time for which RFC 4787 (REQ-5) has a
/// translation keep a UDP flow.
const SILENCE: Duration = Duration::from_mins(5);

/// How long a TCP stack lingers behind a connection that is over (`TCP_TIMEWAIT_LEN`): nothing is sent again after that.
const LINGER: Duration = Duration::from_mins(1);

/// So many flows are remembered before it is asked which of them can be forgotten.
const FLOWS_AT_FIRST: usize = 1 << 16;

pub(crate) fn play(
    datagrams: &mut dyn Datagrams,
    setup: &Setup,
    observer: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Outcome {
    let simulation = Simulation::new(setup, setup.settings.clone(), None, observer);
    let mut player = Player { simulation, flows: HashMap::new(), look_at: FLOWS_AT_FIRST };
    let mut first = None;
    let mut now = Duration::ZERO;
    while let Some(datagram) = datagrams.next_datagram() {
        let first = *first.get_or_insert(datagram.at);
        now = now.max(datagram.at.saturating_sub(first));
        if let ControlFlow::Break(at) = player.simulation.until(now) {
            return player.simulation.finish(at, Completeness::StoppedAt(at));
        }
        let packet = parse::packet(datagram.bytes, Checksums::Ignored, &setup.host.capabilities);
        player.take(now, &packet);
    }
    player.simulation.finish(now, Completeness::Whole)
}

struct Player<'o> {
    simulation: Simulation<'o>,
    /// By the key of both their tuples. The hash is drawn anew in each process: no file can be made to unbalance it.
    flows: HashMap<Tuple, Recorded>,
    look_at: usize,
}

#[derive(Clone, Copy)]
struct Recorded {
    progress: Talk,
    watch: Watch,
    last: Duration,
    opener: Opener,
}

/// Whose tuple a flow's key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opener {
    /// The client's.
    HasTheKey,
    /// The server's.
    HasTheOther,
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
    fn take(&mut self, now: Duration, packet: &Packet<'_>) {
        let known = match packet {
            // Whom a broken header is from cannot be relied on.
            Packet::Flow { tuple, content } if *content != Content::Malformed => {
                inverted(tuple).map(|answer| (*tuple, answer))
            }
            Packet::Flow { .. } | Packet::IcmpError(_) | Packet::Unwatched | Packet::Unreadable => None,
        };
        let Some((tuple, answer)) = known else {
            self.simulation.pass(now, packet, &mut NoRules);
            return;
        };
        let key = key(tuple, answer);
        let sender = if key == tuple { Opener::HasTheKey } else { Opener::HasTheOther };
        let simulation = &mut self.simulation;
        match self.flows.entry(key) {
            Entry::Occupied(mut known) if !known.get().is_another(now, packet) => {
                let flow = known.get_mut();
                let (from, original) =
                    if flow.opener == sender { (Side::Client, tuple) } else { (Side::Server, answer) };
                flow.go_on(simulation, now, packet, from, original);
            }
            entry => {
                entry.insert(Recorded::open(simulation, now, packet, sender));
            }
        }
        if self.flows.len() > self.look_at {
            self.forget(now);
        }
    }

    /// Forgets flows of which nothing is to come: their next packet would be another flow's.
    fn forget(&mut self, now: Duration) {
        let twin = &self.simulation.twin;
        self.flows.retain(|tuple, flow| {
            let is_open_connection =
                tuple.protocol == Protocol::TCP && flow.progress == Talk::Established && !flow.watch.is_over();
            let patience = if flow.watch.is_over() { LINGER } else { SILENCE };
            let is_silent = now.saturating_sub(flow.last) > patience;
            is_open_connection || !is_silent || flow.watch.entry.is_some_and(|entry| twin.is_alive(now, entry))
        });
        self.look_at = FLOWS_AT_FIRST.max(2 * self.flows.len());
    }
}

impl Recorded {
    fn open(simulation: &mut Simulation<'_>, now: Duration, packet: &Packet<'_>, opener: Opener) -> Self {
        simulation.flows += 1;
        let verdict = simulation.pass(now, packet, &mut NoRules);
        let mut watch = Watch::new(None);
        let progress = if matches!(verdict, Verdict::Dropped(_)) {
            simulation.refused_flows += 1;
            Talk::Refused
        } else {
            watch.note(packet, Side::Client, &verdict);
            Talk::Asked
        };
        Self { progress, watch, last: now, opener }
    }

    /// Its next packet comes. `original` is the tuple of the client's.
    fn go_on(
        &mut self,
        simulation: &mut Simulation<'_>,
        now: Duration,
        packet: &Packet<'_>,
        from: Side,
        original: Tuple,
    ) {
        self.last = now;
        if self.progress == Talk::Refused {
            let tries_again = match packet {
                Packet::Flow { content: Content::Tcp(_), .. } => self.watch.role(packet) == Role::Opens,
                _ => from == Side::Client,
            };
            if tries_again {
                let verdict = simulation.pass(now, packet, &mut NoRules);
                if !matches!(verdict, Verdict::Dropped(_)) {
                    self.watch.note(packet, from, &verdict);
                    self.progress = Talk::Asked;
                }
            }
            return;
        }
        let tuples = || Tuples { original, reply: inverted(&original).unwrap_or(original.mirrored()) };
        simulation.pass_watched(now, packet, from, &mut self.watch, tuples, &mut NoRules);
        self.progress = match (self.progress, from) {
            (Talk::Asked, Side::Server) => Talk::Answered,
            (Talk::Answered, Side::Client) => Talk::Established,
            (progress, _) => progress,
        };
    }

    /// Whether a packet with its tuples is another flow's: one that opens after this one is over, or after a silence where
    /// nothing else would tell.
    fn is_another(&self, now: Duration, packet: &Packet<'_>) -> bool {
        match packet {
            Packet::Flow { content: Content::Tcp(_), .. } => {
                self.watch.is_over() && self.watch.role(packet) == Role::Opens
            }
            _ => now.saturating_sub(self.last) > SILENCE,
        }
    }
}

/// Of a flow's two tuples the one that is its key: the same, whichever of them comes.
fn key(tuple: Tuple, answer: Tuple) -> Tuple {
    if rank(&tuple) <= rank(&answer) { tuple } else { answer }
}

/// That of a tuple and that of its answer are the same only where both tuples are.
fn rank(tuple: &Tuple) -> (IpAddr, u16) {
    let number = match tuple.layer4 {
        Layer4::Ports { source, .. } => source,
        Layer4::Icmp { kind, .. } => kind.into(),
        Layer4::None => 0,
    };
    (tuple.source, number)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

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
        let mut player = Player { simulation, flows: HashMap::new(), look_at: FLOWS_AT_FIRST };
        let mut last = Duration::ZERO;
        for (at, packet) in packets {
            player.take(at, &packet);
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
