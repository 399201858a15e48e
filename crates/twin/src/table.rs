//! The hash: buckets, chains, and the two nodes of each entry.
//!
//! All lies in dense arrays and is linked by indices: slot `s` has the nodes `2s` (original) and `2s + 1` (reply).

use std::net::IpAddr;

use plimsoll_model::{Layer4, Protocol, Tuple, Zone};

use crate::entry::{Entry, Phase};
use crate::{Direction, NamespaceId};

/// No node.
const END: u32 = u32::MAX;

/// A tuple with all else that must agree, packed: what is hashed and compared.
#[derive(Clone, Copy, Debug, Eq, Hash)]
#[expect(clippy::derived_hash_with_manual_eq, reason = "equal in the same words")]
pub(crate) struct Key([u64; 6]);

/// In a few instructions: chains are walked by it, where a call of `memcmp` shows.
impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).fold(0, |difference, (own, other)| difference | (own ^ other)) == 0
    }
}

impl Key {
    pub(crate) fn new(tuple: &Tuple, namespace: NamespaceId, zone: Zone) -> Self {
        let [source, destination] = [tuple.source, tuple.destination].map(|address| match address {
            IpAddr::V4(address) => u128::from(address.to_bits()),
            IpAddr::V6(address) => address.to_bits(),
        });
        let [first, second] = match tuple.layer4 {
            Layer4::Ports { source, destination } => [source, destination],
            Layer4::Icmp { id, kind, code } => [id, u16::from_be_bytes([kind, code])],
            Layer4::None => [0, 0],
        };
        let version = if tuple.source.is_ipv4() { 4 } else { 6 };
        let place = u64::from(namespace.0) << 16 | u64::from(zone.0);
        let layer4 = u64::from(first) << 16 | u64::from(second);
        Self([
            (source >> 64) as u64,
            low(source),
            (destination >> 64) as u64,
            low(destination),
            layer4 << 32 | u64::from(tuple.protocol.0) << 8 | version,
            place,
        ])
    }

    pub(crate) fn tuple(&self) -> Tuple {
        let [source_high, source, destination_high, destination, rest, _] = self.0;
        let address = |high: u64, low: u64| {
            let bits = u128::from(high) << 64 | u128::from(low);
            if rest & 0xff == 4 { IpAddr::V4(((low & 0xffff_ffff) as u32).into()) } else { IpAddr::V6(bits.into()) }
        };
        let protocol = Protocol((rest >> 8 & 0xff) as u8);
        let (first, second) = ((rest >> 48) as u16, (rest >> 32 & 0xffff) as u16);
        let layer4 = match protocol {
            Protocol::ICMP | Protocol::ICMPV6 => {
                let [kind, code] = second.to_be_bytes();
                Layer4::Icmp { id: first, kind, code }
            }
            Protocol::TCP | Protocol::UDP | Protocol::UDPLITE | Protocol::SCTP | Protocol::DCCP | Protocol::GRE => {
                Layer4::Ports { source: first, destination: second }
            }
            _ => Layer4::None,
        };
        Tuple {
            source: address(source_high, source),
            destination: address(destination_high, destination),
            protocol,
            layer4,
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half")]
const fn low(bits: u128) -> u64 {
    bits as u64
}

#[derive(Clone, Copy, Debug)]
struct Node {
    key: Key,
    hash: u32,
    next: u32,
}

/// The hash, and the entries' slots.
#[derive(Debug)]
pub(crate) struct Table {
    heads: Vec<u32>,
    nodes: Vec<Node>,
    entries: Vec<Entry>,
    free: Vec<u32>,
    key: u64,
}

impl Table {
    pub(crate) fn new(buckets: u32, seed: u64) -> Self {
        Self {
            heads: vec![END; buckets.max(1) as usize],
            nodes: Vec::new(),
            entries: Vec::new(),
            free: Vec::new(),
            key: seed,
        }
    }

    pub(crate) fn buckets(&self) -> u32 {
        u32::try_from(self.heads.len()).unwrap_or(u32::MAX)
    }

    /// Slots that were ever taken at one time.
    pub(crate) fn slots(&self) -> u32 {
        u32::try_from(self.entries.len()).unwrap_or(u32::MAX)
    }

    /// Every slot, whether or not it is taken.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn entry(&self, slot: u32) -> &Entry {
        &self.entries[slot as usize]
    }

    pub(crate) fn entry_mut(&mut self, slot: u32) -> &mut Entry {
        &mut self.entries[slot as usize]
    }

    pub(crate) fn key(&self, slot: u32, direction: Direction) -> &Key {
        &self.nodes[node_of(slot, direction) as usize].key
    }

    pub(crate) fn tuple(&self, slot: u32, direction: Direction) -> Tuple {
        self.key(slot, direction).tuple()
    }

    /// Gives a tuple to an entry that is not in the hash yet.
    pub(crate) fn set_key(&mut self, slot: u32, direction: Direction, key: Key) {
        let hash = self.hash(&key);
        self.nodes[node_of(slot, direction) as usize] = Node { key, hash, next: END };
    }

    /// Takes a slot for an entry that is not in the hash yet.
    pub(crate) fn take(&mut self, mut entry: Entry, keys: [Key; 2]) -> u32 {
        let nodes = keys.map(|key| Node { key, hash: self.hash(&key), next: END });
        if let Some(slot) = self.free.pop() {
            let place = &mut self.entries[slot as usize];
            entry.generation = place.generation;
            *place = entry;
            self.nodes[2 * slot as usize..][..2].copy_from_slice(&nodes);
            return slot;
        }
        let slot = self.slots();
        self.entries.push(entry);
        self.nodes.extend(nodes);
        slot
    }

    /// Gives a slot back that is not in the hash.
    pub(crate) fn give_back(&mut self, slot: u32) {
        let entry = &mut self.entries[slot as usize];
        entry.phase = Phase::Free;
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(slot);
    }

    /// The bucket of a tuple.
    pub(crate) fn bucket(&self, key: &Key) -> u32 {
        self.scale(self.hash(key))
    }

    /// The bucket of an entry's tuple.
    pub(crate) fn bucket_of(&self, slot: u32, direction: Direction) -> u32 {
        self.scale(self.nodes[node_of(slot, direction) as usize].hash)
    }

    /// The entries in a bucket's chain, by the tuple that lies there, from its head on.
    pub(crate) fn chain(&self, bucket: u32) -> Chain<'_> {
        Chain { table: self, next: self.heads[bucket as usize] }
    }

    /// Puts a node at the head of its chain.
    pub(crate) fn link(&mut self, slot: u32, direction: Direction) {
        let node = node_of(slot, direction);
        let bucket = self.scale(self.nodes[node as usize].hash) as usize;
        self.nodes[node as usize].next = self.heads[bucket];
        self.heads[bucket] = node;
    }

    /// Takes a node out of its chain.
    pub(crate) fn unlink(&mut self, slot: u32, direction: Direction) {
        let node = node_of(slot, direction);
        let next = self.nodes[node as usize].next;
        let bucket = self.scale(self.nodes[node as usize].hash) as usize;
        let mut at = self.heads[bucket];
        if at == node {
            self.heads[bucket] = next;
            return;
        }
        while at != END {
            let behind = self.nodes[at as usize].next;
            if behind == node {
                self.nodes[at as usize].next = next;
                return;
            }
            at = behind;
        }
    }

    /// Another number of buckets: each chain's nodes go over in their order (`nf_conntrack_hash_resize`).
    pub(crate) fn resize(&mut self, buckets: u32) {
        let old = std::mem::replace(&mut self.heads, vec![END; buckets.max(1) as usize]);
        for head in old {
            let mut node = head;
            while node != END {
                let next = self.nodes[node as usize].next;
                let (slot, direction) = place_of(node);
                self.link(slot, direction);
                node = next;
            }
        }
    }

    /// A fast hash that spreads as the kernel's siphash does (`hash_conntrack_raw`), so that buckets fill alike.
    fn hash(&self, key: &Key) -> u32 {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let fold = |a: u64, b: u64| {
            let product = u128::from(a) * u128::from(b);
            low(product) ^ low(product >> 64)
        };
        let [source_high, source, destination_high, destination, layer4, place] = key.0;
        let first = fold(source_high ^ self.key, source ^ ODD);
        let second = fold(destination_high ^ self.key.rotate_left(21), destination ^ ODD.rotate_left(13));
        let third = fold(layer4 ^ self.key.rotate_left(42), place ^ ODD.rotate_left(29));
        (fold(first ^ second.rotate_left(17), third ^ ODD) >> 32) as u32
    }

    /// `reciprocal_scale`.
    fn scale(&self, hash: u32) -> u32 {
        ((u64::from(hash) * self.heads.len() as u64) >> 32) as u32
    }
}

/// Walks a chain.
pub(crate) struct Chain<'a> {
    table: &'a Table,
    next: u32,
}

impl<'a> Iterator for Chain<'a> {
    type Item = (u32, Direction, &'a Key);

    fn next(&mut self) -> Option<Self::Item> {
        if self.next == END {
            return None;
        }
        let node = &self.table.nodes[self.next as usize];
        let (slot, direction) = place_of(self.next);
        self.next = node.next;
        Some((slot, direction, &node.key))
    }
}

const fn node_of(slot: u32, direction: Direction) -> u32 {
    slot * 2 + direction as u32
}

const fn place_of(node: u32) -> (u32, Direction) {
    (node / 2, if node.is_multiple_of(2) { Direction::Original } else { Direction::Reply })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_holds_its_tuple() {
        let v6 = Tuple {
            source: "2001:db8::1".parse().unwrap(),
            destination: "2001:db8::2".parse().unwrap(),
            protocol: Protocol::ICMPV6,
            layer4: Layer4::Icmp { id: 0xfffe, kind: 128, code: 3 },
        };
        let v4 = Tuple {
            source: "255.255.255.254".parse().unwrap(),
            destination: "192.0.2.1".parse().unwrap(),
            protocol: Protocol::TCP,
            layer4: Layer4::Ports { source: 65_535, destination: 443 },
        };
        for tuple in [v4, v6] {
            assert_eq!(Key::new(&tuple, NamespaceId(3), Zone(7)).tuple(), tuple);
            assert_ne!(Key::new(&tuple, NamespaceId(3), Zone(7)), Key::new(&tuple, NamespaceId(3), Zone(8)));
            assert_ne!(Key::new(&tuple, NamespaceId(3), Zone(7)), Key::new(&tuple, NamespaceId(2), Zone(7)));
        }
    }

    /// Chains of a good hash are as long as those that chance makes: at one node a bucket, 36.8 % are empty.
    #[test]
    fn tuples_that_differ_little_are_spread_as_chance_spreads_them() {
        let table = Table::new(4096, 1);
        let mut counts = vec![0; 4096];
        for port in 0..4096 {
            let tuple = Tuple {
                source: "10.0.0.1".parse().unwrap(),
                destination: "192.0.2.1".parse().unwrap(),
                protocol: Protocol::TCP,
                layer4: Layer4::Ports { source: port, destination: 443 },
            };
            counts[table.bucket(&Key::new(&tuple, NamespaceId(0), Zone(0))) as usize] += 1;
        }
        let empty = counts.iter().filter(|count| **count == 0).count();
        // 1507 are expected, with a standard deviation of about 20.
        assert!((1400..1620).contains(&empty), "{empty}");
    }
}
