//! A packet's way through tracking (`nf_conntrack_in` in `nf_conntrack_core.c`).

use std::time::Duration;

use plimsoll_model::{Counter, Protocol, Status, Tuple};

use crate::counters::RemovedBy;
use crate::entry::Phase;
use crate::packet::{Content, IcmpError, Packet};
use crate::rules::{Fate, Rules};
use crate::table::{Asked, Key, Met};
use crate::tick::Tick;
use crate::tracker::{Context, Handled, Kind};
use crate::tuple::inverted;
use crate::{Direction, DropReason, EntryId, Place, Relation, Twin, Verdict};

/// The first packet of a flow on its way: the entry is counted, and in the table only once [`Twin::confirm`] has put it
/// there.
#[derive(Debug)]
#[must_use = "an entry that is neither confirmed nor abandoned is counted for ever"]
pub struct NewFlow {
    pub(crate) slot: u32,
    pub(crate) relation: Relation,
    tuple: Tuple,
    place: Place,
}

impl NewFlow {
    /// As the packet came.
    pub const fn tuple(&self) -> &Tuple {
        &self.tuple
    }

    /// Where it came.
    pub const fn place(&self) -> Place {
        self.place
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
        let now = self.tick(now);
        // No connection's first segment carries what a helper reads.
        if new.tuple.protocol != Protocol::TCP {
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
            Packet::Unreadable => Tracked::Done(self.invalid(place)),
            Packet::Unwatched => Tracked::Done(Verdict::Untracked),
            Packet::IcmpError(error) => Tracked::Done(self.take_error(now, place, error)),
            Packet::Flow { tuple, content } => {
                let asked = self.table.asked(Key::new(tuple, place.namespace, place.zone));
                self.take(now, place, tuple, content, &asked)
            }
        }
    }

    /// Gives an entry up whose first packet was dropped on its way.
    #[expect(clippy::needless_pass_by_value, reason = "a flow is abandoned once")]
    pub fn abandon(&mut self, new: NewFlow) {
        self.discard(new.slot);
    }

    /// Takes a packet of a flow to where rules would see it.
    pub(crate) fn take(
        &mut self,
        now: Tick,
        place: Place,
        tuple: &Tuple,
        content: &Content<'_>,
        asked: &Asked,
    ) -> Tracked {
        let bucket = self.table.bucket_of_hash(asked.hash);
        loop {
            let (slot, direction) = match self.find(&asked.key, bucket, now) {
                Some(found) => found,
                None => match self.begin(now, place, tuple, asked) {
                    Ok(slot) => (slot, Direction::Original),
                    Err(verdict) => return Tracked::Done(verdict),
                },
            };
            let relation = self.relation(slot, direction);
            // Its name now: an RST may end it, and then the slot is another's.
            let entry = EntryId { slot, generation: self.table.entry(slot).generation };
            let is_new = self.table.entry(slot).phase() == Phase::Unconfirmed;
            match self.hand_to_tracker(now, slot, direction, content) {
                Handled::OpensAgain => {
                    self.remove(slot, RemovedBy::OpenedAgain);
                    continue;
                }
                Handled::Invalid => {
                    if is_new {
                        self.discard(slot);
                    }
                    return Tracked::Done(self.invalid(place));
                }
                Handled::Accepted if is_new => {
                    return Tracked::New(NewFlow { slot, relation, tuple: *tuple, place });
                }
                Handled::Accepted => {
                    if speaks_to_a_helper(content, relation) {
                        self.refresh_by_helper(slot, now);
                    }
                    if direction == Direction::Reply {
                        self.table.entry_mut(slot).add_status(Status::SEEN_REPLY);
                    }
                }
                Handled::Ends => {}
            }
            return Tracked::Done(Verdict::Passed { entry, relation, direction });
        }
    }

    /// The entry that has this tuple. Expired ones that are met on the way are removed (`____nf_conntrack_find`).
    pub(crate) fn find(&mut self, key: &Key, bucket: u32, now: Tick) -> Option<(u32, Direction)> {
        loop {
            match self.table.search(key, bucket, now) {
                Met::Node(slot, direction) => return Some((slot, direction)),
                Met::Expired(slot) => self.remove(slot, RemovedBy::Expiry),
                Met::Nothing => return None,
            }
        }
    }

    fn relation(&self, slot: u32, direction: Direction) -> Relation {
        let status = self.table.entry(slot).status();
        if direction == Direction::Reply || status.has(Status::SEEN_REPLY) {
            Relation::Established
        } else if status.has(Status::EXPECTED) {
            Relation::Related
        } else {
            Relation::New
        }
    }

    /// Not inlined: the compiler would work out beforehand, for the case that a packet is taken again, all that follows from it
    /// alone, and that costs every packet a quarter more.
    #[inline(never)]
    fn hand_to_tracker(&mut self, now: Tick, slot: u32, direction: Direction, content: &Content<'_>) -> Handled {
        let Self { table, namespaces, policies, host, .. } = self;
        let original_icmp_type = table.icmp_type(slot);
        let (entry, memory) = table.flow_mut(slot);
        let namespace = &namespaces[entry.namespace.0 as usize];
        let kind = Kind::of(entry.protocol, &host.capabilities);
        let mut circumstances = Context {
            direction,
            now,
            status: entry.status(),
            expires: entry.expires,
            settings: &namespace.settings,
            timeouts: entry.policy.map_or(&namespace.spans, |policy| &policies[policy.place()]),
            capabilities: &host.capabilities,
        };
        let handled = memory.take(kind, &mut circumstances, content, original_icmp_type);
        entry.set_status(circumstances.status);
        table.arm(slot, circumstances.expires);
        if handled == Handled::Ends {
            self.remove(slot, RemovedBy::Reset);
        }
        handled
    }

    /// An ICMP error belongs to the flow of the packet that it quotes (`nf_conntrack_inet_error`).
    fn take_error(&mut self, now: Tick, place: Place, error: &IcmpError) -> Verdict {
        let found = error.about.as_ref().and_then(inverted).and_then(|answer| {
            let key = Key::new(&answer, place.namespace, place.zone);
            let (slot, direction) = self.find(&key, self.table.bucket(&key), now)?;
            // It must go to who sent the quoted packet.
            let sender = self.table.tuple(slot, direction).destination;
            (sender == error.destination).then_some((slot, direction))
        });
        let Some((slot, direction)) = found else {
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

    fn invalid(&mut self, place: Place) -> Verdict {
        self.namespace_mut(place.namespace).counters.count(Counter::Invalid);
        Verdict::Invalid
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
