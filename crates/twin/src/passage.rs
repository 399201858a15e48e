//! A packet's way through tracking (`nf_conntrack_in` in `nf_conntrack_core.c`).

use std::time::Duration;

use plimsoll_model::{Counter, Protocol, Status, Tuple};

use crate::counters::RemovedBy;
use crate::packet::{Content, IcmpError, Packet};
use crate::rules::{Fate, Rules};
use crate::table::{Asked, Flow, Met, Node};
use crate::tick::Tick;
use crate::tracker::{After, Context, Handled, Kind};
use crate::tuple::inverted;
use crate::{Direction, DropReason, EntryId, NamespaceId, Place, Relation, Twin, Verdict};

/// The first packet of a flow on its way: the entry is counted, and in the table only once [`Twin::confirm`] has put it
/// there.
#[derive(Debug)]
#[must_use = "an entry that is neither confirmed nor abandoned is counted for ever"]
pub struct NewFlow {
    pub(crate) slot: u32,
    pub(crate) relation: Relation,
    /// Its tuple, and where it came.
    pub(crate) asked: Asked,
}

impl NewFlow {
    /// As the packet came.
    pub fn tuple(&self) -> Tuple {
        self.asked.tuple()
    }

    /// Where it came.
    pub const fn place(&self) -> Place {
        self.asked.place()
    }
}

/// What tracking makes of a packet before any rule has seen it.
#[derive(Debug)]
pub enum Tracked {
    /// All there is.
    Done(Verdict),
    /// It opens a flow.
    New(NewFlow),
}

impl Twin {
    /// Takes a packet its whole way: tracking, what rules do to a flow that it opens, and the insertion of the flow's
    /// entry. What is due of gc is done before.
    pub fn pass(&mut self, now: Duration, place: Place, packet: &Packet<'_>, rules: &mut impl Rules) -> Verdict {
        match self.track(now, place, packet) {
            Tracked::Done(verdict) => verdict,
            Tracked::New(new) => self.complete(now, new, rules),
        }
    }

    /// Takes a new flow's first packet the rest of its way: what rules do to it, and the insertion of its entry.
    pub fn complete(&mut self, now: Duration, new: NewFlow, rules: &mut impl Rules) -> Verdict {
        let now = self.tick(now);
        self.complete_at(now, new, rules)
    }

    pub(crate) fn complete_at(&mut self, now: Tick, new: NewFlow, rules: &mut impl Rules) -> Verdict {
        let ruling = rules.rule(&new);
        if ruling.fate == Fate::Dropped {
            self.abandon(new);
            return Verdict::Dropped(DropReason::Ruleset);
        }
        if let Some(policy) = ruling.policy {
            self.set_policy(&new, policy);
        }
        if let Some(helper) = ruling.helper {
            self.set_helper(&new, helper);
        }
        // No connection's first segment carries what a helper reads.
        if new.asked.key.protocol() != Protocol::TCP {
            self.refresh_by_helper(new.slot, now);
        }
        self.translate(new.slot, now, &ruling);
        self.confirm_at(now, &new)
    }

    /// Takes a packet to where rules would see it (priority −200 of prerouting or output). For a packet that opens a flow
    /// the caller then says what becomes of it: [`Twin::confirm`] or [`Twin::abandon`].
    pub fn track(&mut self, now: Duration, place: Place, packet: &Packet<'_>) -> Tracked {
        let now = self.pass_time(now);
        match packet {
            Packet::Unreadable => Tracked::Done(self.invalid(place.namespace)),
            Packet::Unwatched => Tracked::Done(Verdict::Untracked),
            Packet::IcmpError(error) => Tracked::Done(self.take_error(now, place, error)),
            Packet::Flow { tuple, content } => self.take(now, &self.ask(place, tuple), content),
        }
    }

    /// Gives an entry up whose first packet was dropped on its way.
    #[expect(clippy::needless_pass_by_value, reason = "a flow is abandoned once")]
    pub fn abandon(&mut self, new: NewFlow) {
        self.discard(new.slot);
    }

    /// Takes a packet of a flow to where rules would see it.
    #[inline]
    pub(crate) fn take(&mut self, now: Tick, asked: &Asked, content: &Content<'_>) -> Tracked {
        if let Some(node) = self.table.near(asked, now)
            && let Some(verdict) = self.go_on(now, node, content)
        {
            return Tracked::Done(verdict);
        }
        self.find_and_take(now, asked, content)
    }

    /// Takes a packet for whose entry nobody has gone ahead, or that has none.
    #[inline(never)]
    fn find_and_take(&mut self, now: Tick, asked: &Asked, content: &Content<'_>) -> Tracked {
        while let Some(node) = self.find(asked, now) {
            if let Some(verdict) = self.go_on(now, node, content) {
                return Tracked::Done(verdict);
            }
        }
        self.open(now, asked, content)
    }

    /// Takes a packet of an entry; `None` if it opens its flow again, whose entry is gone then.
    #[inline]
    fn go_on(&mut self, now: Tick, node: Node, content: &Content<'_>) -> Option<Verdict> {
        let Node { slot, direction } = node;
        // Its name and standing now: an RST may end it, and then the slot is another's.
        let found = self.table.entry(slot);
        let entry = EntryId { slot, generation: found.generation };
        let relation = relation(found.status(), direction);
        let namespace = found.namespace;
        match self.hand_to_tracker(now, slot, direction, content) {
            Handled::Accepted => {
                if speaks_to_a_helper(content, relation) {
                    self.refresh_by_helper(slot, now);
                }
            }
            Handled::Ends => {}
            Handled::OpensAgain => {
                self.remove(slot, RemovedBy::OpenedAgain);
                return None;
            }
            Handled::Invalid => return Some(self.invalid(namespace)),
        }
        Some(Verdict::Passed { entry, relation, direction })
    }

    /// Begins an entry for a packet that no entry has.
    #[inline(never)]
    fn open(&mut self, now: Tick, asked: &Asked, content: &Content<'_>) -> Tracked {
        let slot = match self.begin(now, asked) {
            Ok(slot) => slot,
            Err(verdict) => return Tracked::Done(verdict),
        };
        let relation = relation(self.table.entry(slot).status(), Direction::Original);
        match self.hand_first_to_tracker(now, slot, content) {
            Handled::Accepted => Tracked::New(NewFlow { slot, relation, asked: *asked }),
            // Nothing ends with its first packet, and nothing is opened again by it.
            Handled::Invalid | Handled::Ends | Handled::OpensAgain => {
                self.discard(slot);
                Tracked::Done(self.invalid(asked.place().namespace))
            }
        }
    }

    /// The entry that has this tuple. Expired ones that are met on the way are removed (`____nf_conntrack_find`).
    #[inline]
    pub(crate) fn find(&mut self, asked: &Asked, now: Tick) -> Option<Node> {
        loop {
            match self.table.search(asked, now) {
                Met::Node(node) => return Some(node),
                Met::Expired(slot) => self.remove(slot, RemovedBy::Expiry),
                Met::Nothing => return None,
            }
        }
    }

    /// Of a packet that opens a flow.
    #[inline(never)]
    fn hand_first_to_tracker(&mut self, now: Tick, slot: u32, content: &Content<'_>) -> Handled {
        self.hand_to_tracker(now, slot, Direction::Original, content)
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a call for each packet costs as much as what falls away")]
    fn hand_to_tracker(&mut self, now: Tick, slot: u32, direction: Direction, content: &Content<'_>) -> Handled {
        let Self { table, namespaces, policies, host, .. } = self;
        let policy = if table.entry(slot).is_ruled() { table.additions(slot).policy } else { None };
        let handled = table.change(slot, |Flow { entry, memory, windows, original_icmp_type }| {
            let namespace = &namespaces[entry.namespace.0 as usize];
            let kind = Kind::of(entry.protocol, &host.capabilities);
            let circumstances = Context {
                direction,
                now,
                status: entry.status(),
                expires: entry.expires,
                settings: &namespace.settings,
                timeouts: policy.map_or(&namespace.spans, |policy| &policies[policy.place()]),
                capabilities: &host.capabilities,
            };
            let After { handled, status, expires } =
                memory.take(windows, kind, circumstances, content, original_icmp_type);
            // Without a branch: from which side the next packet comes is not foreseen.
            let is_answer = handled == Handled::Accepted && direction == Direction::Reply;
            let seen = if is_answer { Status::SEEN_REPLY } else { Status(0) };
            entry.set_status(status.and(seen));
            (handled, expires)
        });
        if handled == Handled::Ends {
            self.remove(slot, RemovedBy::Reset);
        }
        handled
    }

    /// An ICMP error belongs to the flow of the packet that it quotes (`nf_conntrack_inet_error`).
    fn take_error(&mut self, now: Tick, place: Place, error: &IcmpError) -> Verdict {
        let found = error.about.as_ref().and_then(inverted).and_then(|answer| {
            let asked = self.ask(place, &answer);
            let node = self.find(&asked, now)?;
            // It must go to who sent the quoted packet.
            let sender = self.table.tuple(node.slot, node.direction).destination;
            (sender == error.destination).then_some(node)
        });
        let Some(Node { slot, direction }) = found else {
            self.namespace_mut(place.namespace).counters.count(Counter::IcmpError);
            return Verdict::Invalid;
        };
        let found = self.table.entry(slot);
        let is_translated = found.status().has(Status::SRC_NAT) || found.status().has(Status::DST_NAT);
        if is_translated && !error.is_translatable {
            return Verdict::Dropped(DropReason::Untranslatable);
        }
        let entry = EntryId { slot, generation: found.generation };
        Verdict::Passed { entry, relation: Relation::Related, direction }
    }

    #[cold]
    fn invalid(&mut self, namespace: NamespaceId) -> Verdict {
        self.namespace_mut(namespace).counters.count(Counter::Invalid);
        Verdict::Invalid
    }
}

/// What a packet of an entry with this status is to its flow.
const fn relation(status: Status, direction: Direction) -> Relation {
    if matches!(direction, Direction::Reply) || status.has(Status::SEEN_REPLY) {
        Relation::Established
    } else if status.has(Status::EXPECTED) {
        Relation::Related
    } else {
        Relation::New
    }
}

/// Whether a packet carries what helpers read: over TCP, data of an established flow (`sip_help_tcp`). What UDP carries the twin
/// does not see, and takes for something.
fn speaks_to_a_helper(content: &Content<'_>, relation: Relation) -> bool {
    match content {
        Content::Tcp(segment) => segment.payload_bytes > 0 && relation == Relation::Established,
        _ => true,
    }
}
