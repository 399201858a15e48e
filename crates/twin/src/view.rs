//! Looking into the table.

use std::time::Duration;

use plimsoll_model::{Entry, Extensions, ProtocolState, Tuple};

use crate::counters::RemovedBy;
use crate::table::{ChainLengths, Key, Node};
use crate::tick::Tick;
use crate::tracker::Memory;
use crate::tracker::tcp::Edges;
use crate::{Direction, EntryId, NamespaceId, Place, Twin};

impl Twin {
    /// The entries of a namespace as a dump would show them, bucket by bucket: not those that have expired, and not those
    /// that only answers find. Nothing is removed: see [`Twin::dump`].
    pub fn entries(&self, now: Duration, namespace: NamespaceId) -> impl Iterator<Item = Entry> {
        let now = self.tick(now);
        let buckets = 0..self.table.buckets();
        let shown = buckets.flat_map(|bucket| self.table.chain(bucket)).filter(move |node| {
            let entry = self.table.entry(node.slot);
            node.direction == Direction::Original && entry.namespace == namespace && !entry.expires.is_over(now)
        });
        shown.map(move |node| self.show(node.slot, now))
    }

    /// What a dump shows; and, as a dump does, removes what has expired, in every namespace.
    pub fn dump(&mut self, now: Duration, namespace: NamespaceId) -> Vec<Entry> {
        let tick = self.pass_time(now);
        for bucket in 0..self.table.buckets() {
            while let Some(slot) = self
                .table
                .chain(bucket)
                .find_map(|node| self.table.entry(node.slot).expires.is_over(tick).then_some(node.slot))
            {
                self.remove(slot, RemovedBy::Expiry);
            }
        }
        self.entries(now, namespace).collect()
    }

    /// An entry by its name; `None` once it is gone, or has expired.
    pub fn entry(&self, now: Duration, id: EntryId) -> Option<Entry> {
        let now = self.tick(now);
        let slot = self.slot(id)?;
        (!self.table.entry(slot).expires.is_over(now)).then(|| self.show(slot, now))
    }

    /// Whether an entry is there and has not expired.
    pub fn is_alive(&self, now: Duration, id: EntryId) -> bool {
        let now = self.tick(now);
        self.slot(id).is_some_and(|slot| !self.table.entry(slot).expires.is_over(now))
    }

    /// Lets time pass, as [`Twin::advance`] does, and says whether an entry is there then and has not expired.
    #[inline]
    pub fn survives(&mut self, now: Duration, id: EntryId) -> bool {
        let now = self.pass_time(now);
        self.slot(id).is_some_and(|slot| !self.table.entry(slot).expires.is_over(now))
    }

    /// How many entries of a namespace have not expired. What is due of gc is done before.
    pub fn live(&mut self, now: Duration, namespace: NamespaceId) -> u32 {
        let now = self.pass_time(now);
        if self.has_gone_back() {
            self.count_live(now, namespace)
        } else {
            self.namespace(namespace).in_table.saturating_sub(self.table.lapsed(namespace))
        }
    }

    fn count_live(&self, now: Tick, namespace: NamespaceId) -> u32 {
        let live = self
            .table
            .entries()
            .filter(|entry| entry.phase().is_in_table() && entry.namespace == namespace && !entry.expires.is_over(now));
        u32::try_from(live.count()).unwrap_or(u32::MAX)
    }

    /// The entry that a packet with this tuple would find, and the way it would go. Nothing is removed.
    pub fn lookup(&self, now: Duration, place: Place, tuple: &Tuple) -> Option<(EntryId, Direction)> {
        let now = self.tick(now);
        let asked = self.table.asked(Key::new(tuple, place));
        let Node { slot, direction } = self.table.look_up(&asked)?;
        let entry = self.table.entry(slot);
        (!entry.expires.is_over(now)).then_some((EntryId { slot, generation: entry.generation }, direction))
    }

    /// Time until an entry expires, to the jiffy.
    pub fn left(&self, now: Duration, id: EntryId) -> Option<Duration> {
        let now = self.tick(now);
        let left = self.table.entry(self.slot(id)?).expires.since(now);
        Some(self.host.capabilities.hz.duration(u32::try_from(left).unwrap_or(0)))
    }

    /// The numbers at which the judgement of a TCP segment of this direction changes.
    pub fn edges(&self, id: EntryId, direction: Direction) -> Option<Edges> {
        let slot = self.slot(id)?;
        let is_tcp = matches!(self.table.memory(slot), Memory::Tcp(_));
        is_tcp.then(|| Edges::of(self.table.windows(slot), direction))
    }

    /// How long the chains are.
    pub const fn chain_lengths(&self) -> &ChainLengths {
        self.table.chain_lengths()
    }

    fn show(&self, slot: u32, now: Tick) -> Entry {
        let entry = self.table.entry(slot);
        let (state, closed_first) = match self.table.memory(slot) {
            Memory::Tcp(tcp) => (ProtocolState::Tcp(tcp.state()), tcp.closed_first()),
            Memory::Sctp(sctp) => (ProtocolState::Sctp(sctp.state()), None),
            _ => (ProtocolState::None, None),
        };
        let left = u32::try_from(entry.expires.since(now)).unwrap_or(0);
        debug_assert!(entry.phase().is_in_table(), "what is shown is in the table");
        Entry {
            id: slot,
            original: self.table.tuple(slot, Direction::Original),
            reply: self.table.tuple(slot, Direction::Reply),
            zone: entry.zone,
            status: entry.status(),
            state,
            closed_first,
            remaining_secs: Some(left / self.host.capabilities.hz.get()),
            mark: 0,
            started_unix_nanos: None,
            packets: None,
            extensions: Extensions::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_draw::Draw;
    use plimsoll_model::{Buckets, Capacity, Layer4, Protocol, Timeout, Timeouts};

    use super::*;
    use crate::packet::{Content, Packet};
    use crate::{
        Capabilities, Helper, HelperId, HostSettings, NewFlow, Rules, Ruling, Settings, Tracked, Twin, Verdict,
    };

    /// Every other flow has a helper that arms it once more.
    struct Listening(HelperId, Draw);

    impl Rules for Listening {
        fn rule(&mut self, _: &NewFlow) -> Ruling {
            Ruling { helper: (self.1.below(2) == 0).then_some(self.0), ..Ruling::default() }
        }
    }

    /// Held against a look at each entry and at each bucket, whatever comes: timeouts of no time at all, entries that are removed,
    /// others in their slots, packets that come late.
    #[test]
    fn the_living_and_the_chains_are_counted_as_they_are_found() {
        for seed in 0..40 {
            let mut draw = Draw::new(seed);
            let mut twin = Twin::new(HostSettings {
                buckets: Buckets(1 + draw.below(100)),
                capacity: Capacity(20 + draw.below(200)),
                ..HostSettings::stock(Capabilities::LINUX_6_18, seed)
            });
            let udp = |secs| [(Timeout::Udp, secs), (Timeout::UdpStream, 2 * secs)].into_iter().collect::<Timeouts>();
            let namespaces = [draw.below(3), 5]
                .map(|secs| twin.add_namespace(Settings { timeouts: udp(secs), ..Settings::default() }));
            let helper = twin.add_helper(Helper { refresh_secs: Some(draw.below(9)), ..Helper::sip() });
            let mut rules = Listening(helper, Draw::new(seed));
            let mut on_their_way = Vec::new();
            let mut known = Vec::new();
            let mut now = Duration::ZERO;
            for _ in 0..3000 {
                now += Duration::from_millis(draw.below(200).into());
                let is_late = seed % 4 == 0 && draw.below(50) == 0;
                let at = if is_late { now.saturating_sub(Duration::from_secs(3)) } else { now };
                let namespace = namespaces[draw.below(2) as usize];
                let tuple = Tuple {
                    source: [10, 0, 0, u8::try_from(draw.below(200)).unwrap()].into(),
                    destination: [192, 0, 2, 1].into(),
                    protocol: Protocol::UDP,
                    layer4: Layer4::Ports { source: 1, destination: 53 },
                };
                let tuple = if draw.below(3) == 0 { tuple.mirrored() } else { tuple };
                let packet = Packet::Flow { tuple, content: Content::Plain };
                match draw.below(20) {
                    0 => match twin.track(at, namespace.into(), &packet) {
                        Tracked::New(new) => on_their_way.push(new),
                        Tracked::Done(_) => {}
                    },
                    1 if !on_their_way.is_empty() => {
                        twin.complete(at, on_their_way.swap_remove(0), &mut rules);
                    }
                    2 if !on_their_way.is_empty() => twin.abandon(on_their_way.swap_remove(0)),
                    3 if !known.is_empty() => {
                        twin.delete(known.swap_remove(0));
                    }
                    4 => twin.set_buckets(Buckets(1 + draw.below(100))),
                    5 => now += Duration::from_secs(draw.below(20).into()),
                    _ => {
                        if let Verdict::Passed { entry, .. } = twin.pass(at, namespace.into(), &packet, &mut rules) {
                            known.push(entry);
                        }
                    }
                }
                let counted = twin.live(now, namespace);
                assert_eq!(counted, twin.count_live(twin.tick(now), namespace), "seed {seed}");
                let nodes: Vec<_> = (0..twin.table.buckets()).map(|bucket| twin.table.chain(bucket).count()).collect();
                let lengths = twin.chain_lengths();
                assert_eq!(lengths.longest(), nodes.iter().copied().max().unwrap(), "seed {seed}");
                for length in 0..=lengths.longest() + 1 {
                    let with = nodes.iter().filter(|nodes| **nodes == length).count();
                    assert_eq!(lengths.with(length) as usize, with, "seed {seed}");
                }
                let passed: usize = nodes.iter().map(|nodes| nodes * (nodes + 1) / 2).sum();
                let mean = passed as f64 / nodes.iter().sum::<usize>().max(1) as f64;
                assert!((lengths.mean_lookup() - mean).abs() < 1e-9, "seed {seed}");
            }
        }
    }
}
