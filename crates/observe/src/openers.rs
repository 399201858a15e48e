//! Who holds the sockets, and who opens connections that are over before they are looked for.
//!
//! A look at the sockets shows what is open just then. What is open for a part of a millisecond is in few looks, and gone soon after: so looks
//! follow one another as quickly as they may, and what has just come is looked for at once, where such were met before.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::thread;
use std::time::Duration;

use plimsoll_attribute::{Location, Met, Over, Question};
use plimsoll_host::{Holders, Search, Telling, Transport, monotonic_now, thread_processor_time};
use plimsoll_model::{Protocol, SocketFamily};

use crate::whose::{Asking, Look};

/// Between two looks, so that connections come and go meanwhile: at least so long. Within one, after each file, as long as that had a processor:
/// so that half of one is left.
const PAUSE: Duration = Duration::from_millis(2);
/// The same, after so many looks in a row in which none has come.
const LONG_PAUSE: Duration = Duration::from_millis(25);
const WITHOUT_ANY: u32 = 24;
/// So long, in one look, the programs of connections that have just come are looked for, while it goes on: many are gone before its end.
const AT_ONCE: Duration = Duration::from_millis(10);
/// Of the sockets of a family in which no such connection was met, while there are some in the other, every so many looks are left out but one.
const SELDOM: u32 = 8;
/// Where a file has so many sockets, it takes long to read each by itself, and the kernel is soon through with as many as it tells at once (27).
const MANY: usize = 1000;

/// Finds who holds the sockets. Then those namespaces are looked at again in which connections are opened by nobody knows whom: what comes
/// or goes tells of it.
pub(crate) fn held(asking: &Asking<'_>, question: &mut Question) -> Holders {
    let mut openers = Openers {
        asking,
        held: Holders::default(),
        missed: HashSet::new(),
        told: HashSet::new(),
        sockets: HashMap::new(),
        turn: 0,
        last: None,
        rested: Duration::ZERO,
    };
    let every = asking.host.find_holders(&mut openers.held, &question.inodes(), Search::Every, asking.deadline);
    // Without the right to see whose sockets are it would be in vain.
    let may_see = openers.held.first_refusal.is_none() || !openers.held.is_empty();
    if every.is_ok() && may_see {
        openers.look_again(question);
    }
    openers.held
}

struct Openers<'a> {
    asking: &'a Asking<'a>,
    held: Holders,
    /// Connections whose program was not found when they had just come.
    missed: HashSet<u64>,
    /// Where connections over the links that are asked about were met.
    told: HashSet<(Location, Transport, SocketFamily)>,
    /// How many sockets there were in the last look.
    sockets: HashMap<(Location, Transport, SocketFamily), usize>,
    turn: u32,
    /// Where the last look ended.
    last: Option<(Location, Protocol)>,
    /// How long was slept in this look.
    rested: Duration,
}

impl Openers<'_> {
    fn look_again(&mut self, question: &mut Question) {
        let until = self.asking.deadline.min(monotonic_now() + self.asking.again);
        let over = question.over();
        let mut without_any = 0;
        loop {
            let is_known = |inode| self.held.of(inode).is_some();
            let open: BTreeSet<_> =
                over.iter().filter(|over| question.is_open(over, is_known)).map(Over::sockets).collect();
            if open.is_empty() {
                return;
            }
            self.rested = Duration::ZERO;
            without_any = if self.look(question, &open, until) { 0 } else { without_any + 1 };
            let pause = if without_any < WITHOUT_ANY { PAUSE } else { LONG_PAUSE };
            if !self.rests(pause.saturating_sub(self.rested), until) {
                return;
            }
        }
    }

    /// Sleeps, unless that would take too long.
    fn rests(&mut self, pause: Duration, until: Duration) -> bool {
        let is_in_time = monotonic_now() + pause < until;
        if is_in_time {
            thread::sleep(pause);
            self.rested += pause;
        }
        is_in_time
    }

    /// One look more. The answer is whether a connection has come.
    fn look(&mut self, question: &mut Question, open: &BTreeSet<(Location, Protocol)>, until: Duration) -> bool {
        self.turn += 1;
        let mut left = AT_ONCE;
        let mut lasting = HashSet::new();
        let mut has_come = false;
        // Where the last one ended this one goes on: each has its turn, however many there are.
        let is_behind = |place: &(Location, Protocol)| self.last.is_none_or(|last| *place > last);
        let (behind, before): (Vec<_>, Vec<_>) = open.iter().copied().partition(is_behind);
        'places: for (at, protocol) in behind.into_iter().chain(before) {
            let transport = Transport::ALL.into_iter().find(|kind| kind.protocol() == protocol);
            let Some(transport) = transport else { continue };
            for family in
                SocketFamily::ALL.into_iter().filter(|family| self.is_worth(at, transport, *family)).collect::<Vec<_>>()
            {
                let began = thread_processor_time();
                let (asking, which) = (self.asking, (at, transport, family));
                let has_many = self.sockets.get(&which).is_some_and(|sockets| *sockets >= MANY);
                // The kernel counts anew for each call that reads UDP's.
                let is_quick = transport == Transport::Udp || has_many;
                let telling = if is_quick { Telling::InBulk } else { Telling::AtOnce };
                let sockets = asking.look(question, Look { at, transport, family, telling }, |met| {
                    self.told.insert(which);
                    match met {
                        Met::Now(inode) => {
                            has_come = true;
                            self.look_for(inode, &mut left);
                        }
                        Met::Before(inode) => {
                            if self.missed.remove(&inode) {
                                lasting.insert(inode);
                            }
                        }
                    }
                });
                // A look that is cut short is no new gap: the first one has been reported.
                self.sockets.insert(which, sockets.unwrap_or(MANY));
                if !self.rests(thread_processor_time().saturating_sub(began), until) {
                    break 'places;
                }
            }
            self.last = Some((at, protocol));
        }
        // For what is gone already it would be in vain.
        self.find(&lasting, Search::First, self.asking.deadline);
        has_come
    }

    /// Looks for the program of a connection that has just come, where it is likely.
    fn look_for(&mut self, inode: u64, left: &mut Duration) {
        if !left.is_zero() {
            let began = monotonic_now();
            self.find(&HashSet::from([inode]), Search::Likely, self.asking.deadline.min(began + *left));
            *left = left.saturating_sub(monotonic_now().saturating_sub(began));
        }
        if self.held.of(inode).is_none() {
            self.missed.insert(inode);
        }
    }

    fn is_worth(&self, at: Location, transport: Transport, family: SocketFamily) -> bool {
        let has_told = |family| self.told.contains(&(at, transport, family));
        has_told(family) || !SocketFamily::ALL.into_iter().any(has_told) || self.turn.is_multiple_of(SELDOM)
    }

    fn find(&mut self, inodes: &HashSet<u64>, search: Search, deadline: Duration) {
        // That /proc cannot be listed would have been said by the first search.
        let _ = self.asking.host.find_holders(&mut self.held, inodes, search, deadline);
    }
}
