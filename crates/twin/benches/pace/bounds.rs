//! What the twin is held against: the machine's memory, and the table that one would write in an hour.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::IpAddr;
use std::time::Duration;

use hashbrown::HashMap;
use plimsoll_hints::prefer_huge_pages;
use plimsoll_model::{Layer4, Tuple};
use plimsoll_twin::packet::{Content, Packet, Segment};

use crate::clock::Begun;
use crate::flows::{BURST, Handshake, Numbered, opening};

/// A cache line for each flow.
pub(crate) struct Lines(Vec<Line>);

#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Line([u64; 8]);

impl Lines {
    pub(crate) fn new(flows: u32) -> Self {
        // By huge pages, as the twin's memory is.
        let mut lines = Vec::with_capacity(flows as usize);
        prefer_huge_pages(lines.spare_capacity_mut());
        lines.resize(flows as usize, Line([1; 8]));
        Self(lines)
    }

    /// Reads and updates the line of each packet's flow. No read waits for another: the processor has as many under way as it
    /// can.
    pub(crate) fn touch(&mut self, burst: &[Numbered]) -> Duration {
        let mut numbers = [0; BURST];
        for (number, numbered) in numbers.iter_mut().zip(burst) {
            *number = numbered.flow;
        }
        let began = Begun::now();
        for number in numbers {
            let Line(line) = &mut self.0[number as usize];
            line[0] = line[0].wrapping_add(line[7]);
        }
        began.elapsed()
    }
}

/// A hash map of tuples, and a heap of expiries. There are no trackers, buckets, eviction or translation.
#[derive(Default)]
pub(crate) struct Plain {
    flows: HashMap<Key, State>,
    /// An expiry is looked at again when it comes due: a packet only moves the one in the map.
    expiries: BinaryHeap<Reverse<(u64, Key)>>,
    now: u64,
}

/// Addresses and ports, the lower end first: both directions are one flow's.
type Key = [(u32, u16); 2];

struct State {
    expires: u64,
    ends: [u32; 2],
}

/// In microseconds; each packet takes one.
const TIMEOUT: u64 = 432_000_000_000;

impl Plain {
    /// Passes a burst of packets, and says how long that took.
    pub(crate) fn pass(&mut self, burst: &[Numbered]) -> Duration {
        let began = Begun::now();
        for numbered in burst {
            self.take(&numbered.packet);
        }
        began.elapsed()
    }

    /// Opens as many flows.
    pub(crate) fn fill(&mut self, flows: u32) -> Duration {
        let mut took = Duration::ZERO;
        let mut burst = Vec::with_capacity(BURST);
        let mut numbers = (0..flows).peekable();
        while numbers.peek().is_some() {
            burst.clear();
            burst.extend(numbers.by_ref().take(BURST).map(|flow| opening(flow, Handshake::Syn)));
            took += self.pass(&burst);
        }
        took
    }

    fn take(&mut self, packet: &Packet<'_>) {
        self.now += 1;
        self.expire();
        let Packet::Flow { tuple, content: Content::Tcp(segment) } = packet else { return };
        let Some((key, side)) = key(tuple) else { return };
        let expires = self.now + TIMEOUT;
        let state = self.flows.entry(key).or_insert_with(|| {
            self.expiries.push(Reverse((expires, key)));
            State { expires, ends: [0; 2] }
        });
        state.expires = expires;
        state.ends[side] = Segment::end(segment);
    }

    fn expire(&mut self) {
        while let Some(Reverse((due, key))) = self.expiries.peek().copied()
            && due <= self.now
        {
            self.expiries.pop();
            match self.flows.get(&key).map(|state| state.expires) {
                Some(later) if later > self.now => self.expiries.push(Reverse((later, key))),
                _ => drop(self.flows.remove(&key)),
            }
        }
    }
}

fn key(tuple: &Tuple) -> Option<(Key, usize)> {
    let (IpAddr::V4(from), IpAddr::V4(to)) = (tuple.source, tuple.destination) else { return None };
    let Layer4::Ports { source, destination } = tuple.layer4 else { return None };
    let ends = [(from.to_bits(), source), (to.to_bits(), destination)];
    Some(if ends[0] < ends[1] { (ends, 0) } else { ([ends[1], ends[0]], 1) })
}
