//! The same packets through the kernel and through the twin, and everything compared after each step.

use std::collections::HashMap;
use std::io;
use std::thread;
use std::time::Duration;

use plimsoll_host::monotonic_now;
use plimsoll_model::{Counter, Entry, Layer4, ProtocolState, Status, TcpState, Tuple};
use plimsoll_scenario::Side;
use plimsoll_twin::packet::{Content, Packet, flags};
use plimsoll_twin::parse::{self, Checksums};
use plimsoll_twin::{Capabilities, Edges, EntryId, HostSettings, NamespaceId, Settings, Twin, Verdict};

use super::flow::Sent;
use super::ground::{COMPARED, Class, Ground, POLICY_SECS, Policies, Translation, TwinRules};
use crate::Error;

/// What both play by.
#[derive(Clone, Debug)]
pub(crate) struct Rulebook {
    pub(crate) settings: Settings,
    pub(crate) translation: Translation,
    pub(crate) policies: Policies,
    pub(crate) capabilities: Capabilities,
}

/// A kernel and a twin that have seen the same.
#[derive(Debug)]
pub(crate) struct Contest {
    ground: Ground,
    twin: Twin,
    namespace: NamespaceId,
    rules: TwinRules,
    /// The longest that a packet of this step may have been on its way.
    slack: Duration,
    compared: u64,
}

/// Something in which kernel and twin differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// What became of a packet.
    Class {
        /// The kernel's.
        kernel: Class,
        /// The twin's.
        twin: Class,
    },
    /// An entry, or that there is one.
    Entry {
        /// The kernel's.
        kernel: Option<Box<Entry>>,
        /// The twin's.
        twin: Option<Box<Entry>>,
    },
    /// A counter.
    Counter {
        /// Which.
        counter: Counter,
        /// The kernel's.
        kernel: u64,
        /// The twin's.
        twin: u64,
    },
}

/// Two clocks that may not agree on which side of a moment a packet came: nothing is sent so close to one.
const TOO_CLOSE: Duration = Duration::from_millis(60);

/// Moments in the life of a flow at which a packet's fate turns.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Turns {
    expires: Option<Duration>,
    stream_from: Option<Duration>,
}

impl Contest {
    pub(crate) fn begin(rulebook: &Rulebook) -> Result<Self, Error> {
        let ground = Ground::build(&rulebook.settings, rulebook.translation, rulebook.policies)?;
        let mut twin = Twin::new(HostSettings {
            // What has expired goes when somebody comes by, as at the kernel; gc is judged elsewhere.
            first_collection: monotonic_now(),
            ..HostSettings::stock(rulebook.capabilities, 1)
        });
        let mut settings = rulebook.settings.clone();
        settings.translates = rulebook.translation != Translation::None;
        let namespace = twin.add_namespace(settings);
        let policies = (rulebook.policies == Policies::OnLowPorts).then(|| {
            POLICY_SECS.map(|timeouts| {
                let timeouts = timeouts.iter().map(|(timeout, _, secs)| (*timeout, *secs)).collect();
                twin.add_policy(&timeouts)
            })
        });
        let rules = TwinRules { translation: rulebook.translation, policies };
        Ok(Self { ground, twin, namespace, rules, slack: Duration::ZERO, compared: 0 })
    }

    /// Sends a packet to both, once it can be said what must become of it.
    pub(crate) fn send(
        &mut self,
        sent: &Sent,
        turns: &mut Turns,
        may_become_a_stream: bool,
    ) -> io::Result<Option<Difference>> {
        wait_out(turns);
        if !self.is_foreseeable(sent) {
            return Ok(None);
        }
        let before = monotonic_now();
        let kernel = self.ground.send(sent.from, &sent.bytes)?;
        self.slack = self.slack.max(monotonic_now().saturating_sub(before));
        let packet = parse::packet(&sent.bytes, Checksums::Verified, self.twin.capabilities());
        let verdict = self.twin.pass(before, self.namespace.into(), &packet, &mut self.rules);
        self.compared += 1;
        if let Verdict::Passed { entry, .. } = verdict {
            self.note(turns, before, entry, may_become_a_stream);
        }
        let twin = Class::of(&verdict);
        Ok((kernel != twin).then_some(Difference::Class { kernel, twin }))
    }

    /// Whether translation leaves nothing to chance: a server that opens a flow takes the client's place behind the gateway, and
    /// the client then gets a port that nobody can foresee.
    fn is_foreseeable(&self, sent: &Sent) -> bool {
        if self.rules.translation == Translation::None || sent.from == Side::Client {
            return true;
        }
        let Packet::Flow { tuple, content } = parse::packet(&sent.bytes, Checksums::Ignored, self.twin.capabilities())
        else {
            return true;
        };
        let now = monotonic_now();
        let Some((entry, _)) = self.twin.lookup(now, self.namespace.into(), &tuple) else {
            return !tuple.source.is_ipv4();
        };
        let state = self.twin.entry(now, entry).map(|entry| entry.state);
        let opens = matches!(content, Content::Tcp(segment) if segment.has(flags::SYN) && !segment.has(flags::ACK));
        !opens || state != Some(ProtocolState::Tcp(TcpState::TimeWait))
    }

    fn note(&self, turns: &mut Turns, now: Duration, entry: EntryId, may_become_a_stream: bool) {
        const STREAM_AFTER: Duration = Duration::from_secs(2);
        let had_expired = turns.expires.is_none_or(|expires| expires <= now);
        if may_become_a_stream && (turns.stream_from.is_none() || had_expired) {
            turns.stream_from = Some(now + STREAM_AFTER);
        }
        if let Some(left) = self.twin.left(now, entry) {
            turns.expires = Some(now + left);
        }
    }

    /// The numbers at which the judgement of a TCP segment changes: of this packet's flow and direction.
    pub(crate) fn edges(&self, bytes: &[u8]) -> Option<Edges> {
        let Packet::Flow { tuple, .. } = parse::packet(bytes, Checksums::Ignored, self.twin.capabilities()) else {
            return None;
        };
        let (entry, direction) = self.twin.lookup(monotonic_now(), self.namespace.into(), &tuple)?;
        self.twin.edges(entry, direction)
    }

    /// Compares the tables and the counters. Each difference comes with the client's tuple of the flow that it is of, if it
    /// is of one.
    pub(crate) fn compare(&mut self) -> Result<Vec<(Option<Tuple>, Difference)>, Error> {
        let begun = monotonic_now();
        let reading = self.ground.read()?;
        let took = monotonic_now().saturating_sub(begun);
        // A jiffy may have begun between the two clocks' readings.
        let uncertain = self.slack + took + Duration::from_millis(12);
        self.slack = Duration::ZERO;
        let twins = self.twin.dump(begun, self.namespace);
        let mut of_twin: HashMap<Tuple, Entry> =
            twins.into_iter().map(|entry| (plain(entry.original), entry)).collect();
        let mut differences = Vec::new();
        for kernel in reading.entries {
            let twin = of_twin.remove(&plain(kernel.original));
            if twin.is_none() && kernel.remaining_secs == Some(0) {
                // It expires while it is looked at.
                continue;
            }
            if twin.is_none_or(|twin| !self.agree(&kernel, &twin, begun, uncertain)) {
                let tuple = Some(kernel.original);
                let difference = Difference::Entry { kernel: Some(Box::new(kernel)), twin: twin.map(Box::new) };
                differences.push((tuple, difference));
            }
        }
        for twin in of_twin.into_values().filter(|twin| twin.remaining_secs != Some(0)) {
            let difference = Difference::Entry { kernel: None, twin: Some(Box::new(twin)) };
            differences.push((Some(twin.original), difference));
        }
        differences.sort_by_key(|(tuple, _)| tuple.map(|tuple| (tuple.source, tuple.destination)));
        for counter in COMPARED {
            let kernel = reading.counters.total(counter).unwrap_or(0);
            let twin = self.twin.counters(self.namespace).get(counter);
            if kernel != twin {
                differences.push((None, Difference::Counter { counter, kernel, twin }));
            }
        }
        Ok(differences)
    }

    /// Whether two entries are one: all that a dump shows, and what is left of their time, to the second.
    fn agree(&self, kernel: &Entry, twin: &Entry, now: Duration, uncertain: Duration) -> bool {
        const BITS: [Status; 8] = [
            Status::EXPECTED,
            Status::SEEN_REPLY,
            Status::ASSURED,
            Status::CONFIRMED,
            Status::SRC_NAT,
            Status::DST_NAT,
            Status::DYING,
            Status::FIXED_TIMEOUT,
        ];
        let same_bits = BITS.into_iter().all(|bit| kernel.status.has(bit) == twin.status.has(bit));
        let lookup = self.twin.lookup(now, self.namespace.into(), &twin.original);
        let left = lookup.and_then(|(id, _)| self.twin.left(now, id)).unwrap_or_default();
        let seconds = left.saturating_sub(uncertain).as_secs()..=(left + uncertain).as_secs();
        same_bits
            && plain(kernel.reply) == plain(twin.reply)
            && kernel.zone == twin.zone
            && kernel.state == twin.state
            && kernel.closed_first == twin.closed_first
            && kernel.remaining_secs.is_some_and(|secs| seconds.contains(&secs.into()))
    }

    /// Entries that the twin counts.
    pub(crate) fn live(&self) -> u64 {
        self.twin.occupancy(self.namespace).0.into()
    }

    /// Packets that both have seen.
    pub(crate) const fn compared(&self) -> u64 {
        self.compared
    }
}

/// Waits until no moment at which the packet's fate turns is near.
fn wait_out(turns: &Turns) {
    loop {
        let now = monotonic_now();
        let near = [turns.expires, turns.stream_from].into_iter().flatten();
        let Some(until) = near.filter(|turn| turn.abs_diff(now) < TOO_CLOSE).max() else { return };
        thread::sleep((until + TOO_CLOSE).saturating_sub(now));
    }
}

/// A protocol without ports is shown with none or with zeroes.
const fn plain(tuple: Tuple) -> Tuple {
    match tuple.layer4 {
        Layer4::None => Tuple { layer4: Layer4::Ports { source: 0, destination: 0 }, ..tuple },
        _ => tuple,
    }
}
