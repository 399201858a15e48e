//! Packets that are known before they come.
//!
//! Who holds packets in a form of their own, and has more to do with each than to hand it over, cannot have them passed by
//! [`Twin::pass_batch`]. Here look-ups go ahead of such packets as they do in a batch:
//!
//! ```
//! # use std::time::Duration;
//! # use plimsoll_twin::packet::Content;
//! # use plimsoll_twin::{Asked, NoRules, Twin};
//! # struct Packet { at: Duration, asked: Asked, content: Content<'static> }
//! fn play(twin: &mut Twin, packets: &mut [Packet]) {
//!     for turn in 0..packets.len() + Twin::TURNS_AHEAD {
//!         twin.go_ahead(packets, turn, |packet| Some(&mut packet.asked));
//!         if let Some(packet) = turn.checked_sub(Twin::TURNS_AHEAD).map(|turn| &packets[turn]) {
//!             twin.pass_asked_for(packet.at, &packet.asked, &packet.content, &mut NoRules);
//!         }
//!     }
//! }
//! ```

use std::time::Duration;

use plimsoll_model::Tuple;

use crate::ahead::{TO_ELSEWHERE, TO_ENTRY, TURNS};
use crate::packet::Content;
use crate::rules::Rules;
use crate::table::{Asked, Key, Table};
use crate::{EntryId, Place, Tracked, Twin, Verdict};

/// Begins to look for tuples for a twin, in another thread for example: nothing of the twin is needed for that but how it hashes.
#[derive(Clone, Copy, Debug)]
pub struct Asker {
    place: Place,
    seed: u64,
}

impl Asker {
    /// What [`Twin::ask`] does.
    #[inline]
    pub fn ask(&self, tuple: &Tuple) -> Asked {
        Asked::new(Key::new(tuple, self.place), self.seed)
    }
}

impl Twin {
    /// How many turns before a packet's own its look-up goes ahead.
    pub const TURNS_AHEAD: usize = TURNS;

    /// Begins to look for the tuple of a packet that comes to this place.
    #[inline]
    pub fn ask(&self, place: Place, tuple: &Tuple) -> Asked {
        self.table.asked(Key::new(tuple, place))
    }

    /// Who does that for packets that come to this place where the twin itself is not at hand.
    pub const fn asker(&self, place: Place) -> Asker {
        Asker { place, seed: self.table.seed() }
    }

    /// Has memory come near for what packets ask for: for the packet of this number, and for some before it, each of which is taken
    /// [`Twin::TURNS_AHEAD`] turns later. What is known to be found ([`Asked::found`]) is not looked for. All that is a hint.
    #[inline]
    pub fn go_ahead<P>(&self, packets: &mut [P], turn: usize, asked_of: impl Fn(&mut P) -> Option<&mut Asked>) {
        let mut step = |turns, ask: fn(&Table, &mut Asked)| {
            if let Some(asked) = packets.get_mut(turn.wrapping_sub(turns)).and_then(&asked_of) {
                ask(&self.table, asked);
            }
        };
        step(0, Table::ask_for);
        step(TURNS - TO_ENTRY, Table::ask_for_entry);
        step(TURNS - TO_ELSEWHERE, Table::ask_elsewhere);
    }

    /// Has the memory of an entry come near that a packet is about to need. That is a hint.
    #[inline]
    pub fn ask_for(&self, entry: EntryId) {
        self.table.ask_for_line(entry.slot);
    }

    /// Takes a flow's packet, whose tuple was asked for, its whole way. What becomes of it, and all else, is as by [`Twin::pass`].
    #[inline]
    pub fn pass_asked_for(
        &mut self,
        now: Duration,
        asked: &Asked,
        content: &Content<'_>,
        rules: &mut impl Rules,
    ) -> Verdict {
        let tick = self.pass_time(now);
        match self.take(tick, asked, content) {
            Tracked::Done(verdict) => verdict,
            Tracked::New(new) => self.complete_at(tick, new, rules),
        }
    }
}
