//! Insertion at the end of a packet's way, and what happens if somebody else was faster (`__nf_conntrack_confirm`,
//! `nf_ct_resolve_clash`).

use std::time::Duration;

use plimsoll_model::{Counter, Status};

use crate::capabilities::ChainCap;
use crate::entry::{NAT_CLASH, Phase};
use crate::passage::NewFlow;
use crate::table::Node;
use crate::tick::Tick;
use crate::tracker::Kind;
use crate::{Direction, DropReason, EntryId, Relation, Twin, Verdict};

/// A chain's cap is drawn from here on (`MIN_CHAINLEN`)…
const LEAST_CAP: u32 = 50;
/// …and below this (`MAX_CHAINLEN`).
const CAPS: u32 = 30;

/// Why an entry is not inserted.
pub(crate) enum Obstacle {
    /// This one has the tuple.
    Taken(u32),
    ChainTooLong,
}

impl Twin {
    /// Puts a new flow's entry into the table. Its timeout counts from now.
    #[expect(clippy::needless_pass_by_value, reason = "a flow is confirmed once")]
    pub fn confirm(&mut self, now: Duration, new: NewFlow) -> Verdict {
        let now = self.tick(now);
        self.confirm_at(now, &new)
    }

    pub(crate) fn confirm_at(&mut self, now: Tick, new: &NewFlow) -> Verdict {
        let &NewFlow { slot, relation, ref asked } = new;
        let namespace = self.table.entry(slot).namespace;
        let hashes = self.table.hashes(slot, asked.hash);
        match self.obstacle(slot, hashes) {
            None => {}
            Some(Obstacle::Taken(other)) => return self.resolve_clash(now, slot, hashes, other, relation),
            Some(Obstacle::ChainTooLong) => {
                let counters = &mut self.namespace_mut(namespace).counters;
                counters.count(Counter::ChainTooLong);
                counters.count(Counter::InsertFailed);
                self.discard(slot);
                return Verdict::Dropped(DropReason::ChainTooLong);
            }
        }
        let expires = now.plus(self.table.entry(slot).expires.as_span());
        self.put_into_table(slot, hashes, Phase::InTable, expires);
        self.passed(slot, relation)
    }

    fn passed(&self, slot: u32, relation: Relation) -> Verdict {
        let entry = EntryId { slot, generation: self.table.entry(slot).generation };
        Verdict::Passed { entry, relation, direction: Direction::Original }
    }

    pub(crate) fn put_into_table(&mut self, slot: u32, hashes: [u32; 2], phase: Phase, expires: Tick) {
        let entry = self.table.entry_mut(slot);
        entry.set_phase(phase);
        entry.add_status(Status::CONFIRMED);
        let namespace = entry.namespace;
        self.namespace_mut(namespace).in_table += 1;
        self.table.arm(slot, expires);
        self.table.link(slot, hashes);
    }

    /// What stands in the way of an entry, whose tuples have these hashes. Expired ones do too: nobody removes them here.
    pub(crate) fn obstacle(&mut self, slot: u32, hashes: [u32; 2]) -> Option<Obstacle> {
        let cap = match self.host.capabilities.chain_cap {
            ChainCap::None => u32::MAX,
            ChainCap::Drawn => LEAST_CAP + self.draw.below(CAPS),
        };
        let fit = |hash: u32| self.table.nodes(self.table.bucket_of_hash(hash)) <= cap.saturating_add(1);
        if self.table.are_free(slot, hashes) && hashes.into_iter().all(fit) {
            return None;
        }
        self.obstacle_in_chains(slot, hashes, cap)
    }

    #[inline(never)]
    fn obstacle_in_chains(&self, slot: u32, hashes: [u32; 2], cap: u32) -> Option<Obstacle> {
        for (direction, hash) in [Direction::Original, Direction::Reply].into_iter().zip(hashes) {
            let bucket = self.table.bucket_of_hash(hash);
            let holder = self.table.holder(slot, direction, hash);
            // Who has the tuple is met before the cap, or behind it.
            if self.table.nodes(bucket) > cap.saturating_add(1) {
                let mut met = self.table.chain(bucket).take(cap as usize + 2);
                return match holder.filter(|holder| met.any(|node| node == *holder)) {
                    Some(holder) => Some(Obstacle::Taken(holder.slot)),
                    None => Some(Obstacle::ChainTooLong),
                };
            }
            if let Some(holder) = holder {
                return Some(Obstacle::Taken(holder.slot));
            }
        }
        None
    }

    /// Two packets that open one flow, both on their way at once.
    fn resolve_clash(&mut self, now: Tick, slot: u32, hashes: [u32; 2], other: u32, relation: Relation) -> Verdict {
        let namespace = self.table.entry(slot).namespace;
        if Kind::of(self.table.entry(other).protocol, &self.host.capabilities).allows_clash() {
            if let Some(verdict) = self.merge(slot, other, relation) {
                return verdict;
            }
            match self.table.holder(slot, Direction::Reply, hashes[1]) {
                Some(Node { slot: rival, .. }) => {
                    if let Some(verdict) = self.merge(slot, rival, relation) {
                        return verdict;
                    }
                }
                None => return self.insert_by_reply(now, slot, hashes, relation),
            }
        }
        let counters = &mut self.namespace_mut(namespace).counters;
        counters.count(Counter::Drop);
        counters.count(Counter::InsertFailed);
        self.discard(slot);
        Verdict::Dropped(DropReason::Clash)
    }

    /// Gives a packet to the entry that has both tuples of its own, in either order.
    fn merge(&mut self, slot: u32, other: u32, relation: Relation) -> Option<Verdict> {
        let [original, reply] = self.table.keys(slot);
        if ![[original, reply], [reply, original]].contains(&self.table.keys(other)) {
            return None;
        }
        let namespace = self.table.entry(slot).namespace;
        self.namespace_mut(namespace).counters.count(Counter::ClashResolved);
        self.discard(slot);
        Some(self.passed(other, relation))
    }

    /// Only answers are to find it: another entry has its original tuple.
    fn insert_by_reply(&mut self, now: Tick, slot: u32, hashes: [u32; 2], relation: Relation) -> Verdict {
        const SECS: u32 = 1;
        let expires = now.plus(self.host.capabilities.hz.jiffies(SECS));
        let entry = self.table.entry_mut(slot);
        entry.add_status(Status::FIXED_TIMEOUT.and(NAT_CLASH));
        let namespace = entry.namespace;
        self.put_into_table(slot, hashes, Phase::InTableByReply, expires);
        self.namespace_mut(namespace).counters.count(Counter::ClashResolved);
        self.passed(slot, relation)
    }
}
