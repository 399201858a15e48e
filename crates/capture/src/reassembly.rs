//! Fragments in, whole datagrams out: what `nf_defrag_ipv4` and `nf_defrag_ipv6` do before conntrack.

use std::collections::btree_map::BTreeMap;
use std::collections::hash_map::{Entry, HashMap};
use std::time::Duration;

use crate::fragment::{Fragment, Key};
use crate::queue::{Progress, Queue, Refused};
use crate::skipped::{Reason, Skipped};

/// `net.ipv4.ipfrag_time` as compiled in (`IP_FRAG_TIME`, `net/ip.h`).
const IPV4_TIMEOUT: Duration = Duration::from_secs(30);
/// `net.netfilter.nf_conntrack_frag6_timeout` as compiled in (`IPV6_FRAG_TIMEOUT`, `net/ipv6.h`).
const IPV6_TIMEOUT: Duration = Duration::from_mins(1);
/// `net.ipv4.ipfrag_high_thresh` and `net.netfilter.nf_conntrack_frag6_high_thresh` as compiled in.
const ROOM_BYTES: usize = 4 * 1024 * 1024;
/// What a fragment costs beyond its payload. The kernel counts buffers as its network driver made them (`truesize`), so
/// this can only be near: 1,480 bytes in a page's half with their `sk_buff` cost about 2,250.
const FRAGMENT_BYTES: usize = 768;
/// `struct ipq`, `struct frag_queue`.
const QUEUE_BYTES: usize = 200;
/// `net.ipv4.ipfrag_max_dist` as compiled in.
const MOST_BETWEEN: u32 = 64;

/// The datagrams of which fragments came.
#[derive(Debug)]
pub(crate) struct Reassembly {
    v4: Waiting,
    v6: Waiting,
    whole: Vec<u8>,
}

impl Default for Reassembly {
    fn default() -> Self {
        Self { v4: Waiting::with_timeout(IPV4_TIMEOUT), v6: Waiting::with_timeout(IPV6_TIMEOUT), whole: Vec::new() }
    }
}

impl Reassembly {
    /// Takes in a fragment that came at some time, if that is known. When it completes its datagram, that is there as
    /// [`Self::whole`].
    pub(crate) fn add(&mut self, fragment: &Fragment<'_>, at: Option<Duration>, skipped: &mut Skipped) -> Progress {
        let waiting = match fragment.key {
            Key::V4 { .. } => &mut self.v4,
            Key::V6 { .. } => &mut self.v6,
        };
        if let Some(at) = at {
            waiting.expire(at, skipped);
        }
        let added = waiting.add(fragment, at, skipped).and_then(|completed| match completed {
            Some(mut queue) => queue.assemble(&mut self.whole).map(|()| Progress::Complete),
            None => Ok(Progress::Waits),
        });
        added.unwrap_or_else(|reason| {
            skipped.add(reason);
            Progress::Waits
        })
    }

    /// The datagram that was completed last.
    pub(crate) fn whole(&self) -> &[u8] {
        &self.whole
    }

    /// Nothing comes any more, so that no datagram will be completed.
    pub(crate) fn end(&mut self, skipped: &mut Skipped) {
        for waiting in [&mut self.v4, &mut self.v6] {
            let left = waiting.datagrams.drain().filter(|(_, datagram)| !datagram.queue.is_empty()).count();
            skipped.add_many(Reason::Incomplete, left as u64);
        }
    }
}

/// The datagrams of one IP version.
#[derive(Debug)]
struct Waiting {
    timeout: Duration,
    datagrams: HashMap<Key, Datagram>,
    /// When the datagrams are given up, in the order of time whatever the order of packets is.
    deadlines: BTreeMap<Deadline, Key>,
    senders: HashMap<[u8; 4], Sender>,
    /// Of the datagram that came last.
    serial: u64,
    used_bytes: usize,
}

/// When a datagram is given up. The serial number tells those apart that began at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Deadline {
    at: Duration,
    serial: u64,
}

#[derive(Debug)]
struct Datagram {
    queue: Queue,
    serial: u64,
    /// `None` where the capture tells no time.
    deadline: Option<Deadline>,
    used_bytes: usize,
    /// How many fragments of its sender had come with the latest of its own.
    seen_of_sender: u32,
}

/// An IPv4 address of which fragments wait (`struct inet_peer`).
#[derive(Debug, Default)]
struct Sender {
    datagrams: usize,
    /// Fragments since there were none that wait.
    fragments: u32,
}

impl Waiting {
    fn with_timeout(timeout: Duration) -> Self {
        Self {
            timeout,
            datagrams: HashMap::new(),
            deadlines: BTreeMap::new(),
            senders: HashMap::new(),
            serial: 0,
            used_bytes: 0,
        }
    }

    /// Gives up the datagrams whose time is up.
    fn expire(&mut self, now: Duration, skipped: &mut Skipped) {
        while let Some(first) = self.deadlines.first_entry()
            && first.key().at <= now
        {
            let key = first.remove();
            if self.remove(&key).is_some_and(|queue| !queue.is_empty()) {
                skipped.add(Reason::Incomplete);
            }
        }
    }

    /// Adds a fragment and returns its datagram if that is complete.
    fn add(
        &mut self,
        fragment: &Fragment<'_>,
        at: Option<Duration>,
        skipped: &mut Skipped,
    ) -> Result<Option<Queue>, Reason> {
        // `inet_frag_find` refuses every fragment then, also of datagrams that it has.
        if self.used_bytes > ROOM_BYTES {
            return Err(Reason::FragmentNoRoom);
        }
        let datagram = match self.datagrams.entry(fragment.key) {
            Entry::Occupied(occupied) => occupied.into_mut(),
            Entry::Vacant(vacant) => {
                self.serial += 1;
                self.used_bytes += QUEUE_BYTES;
                let datagram = vacant.insert(Datagram {
                    queue: Queue::default(),
                    serial: self.serial,
                    deadline: None,
                    used_bytes: QUEUE_BYTES,
                    seen_of_sender: 0,
                });
                datagram.wait(&mut self.deadlines, fragment.key, at, self.timeout);
                if let Key::V4 { source, .. } = fragment.key {
                    self.senders.entry(source).or_default().datagrams += 1;
                }
                datagram
            }
        };
        if let Key::V4 { source, .. } = fragment.key
            && let Some(sender) = self.senders.get_mut(&source)
        {
            // `ip_frag_too_far` and `ip_frag_reinit`: an id comes again after 65,536 datagrams, so that what is far apart
            // may be of different ones.
            sender.fragments = sender.fragments.wrapping_add(1);
            let between = sender.fragments.wrapping_sub(datagram.seen_of_sender);
            datagram.seen_of_sender = sender.fragments;
            if !datagram.queue.is_empty() && between > MOST_BETWEEN {
                skipped.add(Reason::Disordered);
                self.used_bytes -= datagram.used_bytes - QUEUE_BYTES;
                datagram.used_bytes = QUEUE_BYTES;
                datagram.queue = Queue::default();
                datagram.wait(&mut self.deadlines, fragment.key, at, self.timeout);
            }
        }
        match datagram.queue.insert(fragment) {
            Ok(Progress::Waits) => {
                let cost = FRAGMENT_BYTES + fragment.payload.len();
                datagram.used_bytes += cost;
                self.used_bytes += cost;
                Ok(None)
            }
            Ok(Progress::Complete) => Ok(self.remove(&fragment.key)),
            Err(Refused::Fragment(reason)) => Err(reason),
            Err(Refused::Datagram(reason)) => {
                self.remove(&fragment.key);
                Err(reason)
            }
        }
    }

    fn remove(&mut self, key: &Key) -> Option<Queue> {
        let datagram = self.datagrams.remove(key)?;
        self.used_bytes -= datagram.used_bytes;
        if let Some(deadline) = datagram.deadline {
            self.deadlines.remove(&deadline);
        }
        if let Key::V4 { source, .. } = key
            && let Entry::Occupied(mut sender) = self.senders.entry(*source)
        {
            sender.get_mut().datagrams -= 1;
            if sender.get().datagrams == 0 {
                sender.remove();
            }
        }
        Some(datagram.queue)
    }
}

impl Datagram {
    /// Sets the time at which it is given up, counted from a fragment.
    fn wait(&mut self, deadlines: &mut BTreeMap<Deadline, Key>, key: Key, at: Option<Duration>, timeout: Duration) {
        if let Some(earlier) = self.deadline.take() {
            deadlines.remove(&earlier);
        }
        let at = at.and_then(|at| at.checked_add(timeout));
        self.deadline = at.map(|at| Deadline { at, serial: self.serial });
        if let Some(deadline) = self.deadline {
            deadlines.insert(deadline, key);
        }
    }
}
