//! Recorded packets, played to a twin.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::Duration;

use plimsoll_model::{Protocol, Tuple};
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
        if player.simulation.until(now).is_break() {
            return player.simulation.finish(now, Completeness::StoppedAt(now));
        }
        let packet = parse::packet(datagram.bytes, Checksums::Ignored, &setup.host.capabilities);
        player.take(now, &packet);
    }
    player.simulation.finish(now, Completeness::Whole)
}

struct Player<'o> {
    simulation: Simulation<'o>,
    /// Each under the tuple of its first packet.
    flows: HashMap<Tuple, Recorded>,
    look_at: usize,
}

#[derive(Clone, Copy)]
struct Recorded {
    progress: Talk,
    watch: Watch,
    last: Duration,
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
        let (key, from) = if self.flows.contains_key(&answer) { (answer, Side::Server) } else { (tuple, Side::Client) };
        let flow = self.flows.get(&key).copied();
        match flow {
            Some(flow) if !flow.is_another(now, packet) => self.go_on(now, packet, key, from, flow),
            _ => {
                self.flows.remove(&key);
                self.simulation.flows += 1;
                self.open(now, packet, tuple);
            }
        }
        if self.flows.len() > self.look_at {
            self.forget(now);
        }
    }

    fn open(&mut self, now: Duration, packet: &Packet<'_>, tuple: Tuple) {
        let verdict = self.simulation.pass(now, packet, &mut NoRules);
        let mut watch = Watch::new(None);
        let progress = if matches!(verdict, Verdict::Dropped(_)) {
            self.simulation.refused_flows += 1;
            Talk::Refused
        } else {
            watch.note(packet, Side::Client, &verdict);
            Talk::Asked
        };
        self.flows.insert(tuple, Recorded { progress, watch, last: now });
    }

    fn go_on(&mut self, now: Duration, packet: &Packet<'_>, key: Tuple, from: Side, mut flow: Recorded) {
        flow.last = now;
        if flow.progress == Talk::Refused {
            let tries_again = match packet {
                Packet::Flow { content: Content::Tcp(_), .. } => flow.watch.role(packet) == Role::Opens,
                _ => from == Side::Client,
            };
            if tries_again {
                let verdict = self.simulation.pass(now, packet, &mut NoRules);
                if !matches!(verdict, Verdict::Dropped(_)) {
                    flow.watch.note(packet, from, &verdict);
                    flow.progress = Talk::Asked;
                }
            }
        } else {
            let tuples = || Tuples { original: key, reply: inverted(&key).unwrap_or(key.mirrored()) };
            self.simulation.pass_watched(now, packet, from, &mut flow.watch, tuples, &mut NoRules);
            flow.progress = match (flow.progress, from) {
                (Talk::Asked, Side::Server) => Talk::Answered,
                (Talk::Answered, Side::Client) => Talk::Established,
                (progress, _) => progress,
            };
        }
        self.flows.insert(key, flow);
    }

    /// Forgets flows of which nothing is to come: their next packet would be another flow's.
    fn forget(&mut self, now: Duration) {
        let twin = &self.simulation.twin;
        self.flows.retain(|tuple, flow| {
            let is_open_connection =
                tuple.protocol == Protocol::TCP && flow.progress == Talk::Established && !flow.watch.is_over();
            let is_silent = now.saturating_sub(flow.last) > SILENCE;
            is_open_connection || !is_silent || flow.watch.entry.is_some_and(|entry| twin.is_alive(now, entry))
        });
        self.look_at = FLOWS_AT_FIRST.max(2 * self.flows.len());
    }
}

impl Recorded {
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
