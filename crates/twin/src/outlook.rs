//! Packets that are made as they are asked for, and are known a little before they come.
//!
//! Who makes packets while they pass, from a script for example, has no batch of them for [`Twin::pass_batch`]. An [`Outlook`] holds
//! the next few, and look-ups go ahead of them as they do in a batch.

use std::time::Duration;

use plimsoll_model::Tuple;

use crate::ahead::Ahead;
use crate::packet::Content;
use crate::rules::Rules;
use crate::table::{Asked, Key};
use crate::{Place, Tracked, Twin, Verdict};

/// The next packets, in their order.
#[derive(Debug)]
pub struct Outlook<T> {
    /// Each at its turn's place.
    ring: [Option<Known<T>>; Ahead::TURNS],
    ahead: Ahead,
    /// How many will come, the one whose turn it is among them.
    coming: usize,
}

/// A packet that will come.
#[derive(Clone, Copy, Debug)]
pub struct Coming<T> {
    /// What its maker knows of it.
    pub packet: T,
    /// Its tuple, for a look-up to go ahead; `None` if it belongs to no flow, or needs none.
    pub asked: Option<Asked>,
}

#[derive(Debug)]
struct Known<T> {
    packet: T,
    is_asked: bool,
}

impl Outlook<()> {
    /// How many turns before its own a packet is made.
    pub const TURNS: usize = Ahead::TURNS;
}

impl<T> Outlook<T> {
    /// Of packets none of which is known.
    pub fn new() -> Self {
        Self { ring: std::array::from_fn(|_| None), ahead: Ahead::new(), coming: 0 }
    }

    /// The packet whose turn it is, with its tuple if that was asked for; `None` behind the last. `make` makes those that
    /// come [`Outlook::TURNS`] turns later; once it has none it is asked again each turn.
    #[inline]
    pub fn next(
        &mut self,
        twin: &Twin,
        mut make: impl FnMut() -> Option<Coming<T>>,
    ) -> Option<(&mut T, Option<&Asked>)> {
        self.coming = self.coming.saturating_sub(1);
        loop {
            let next = make();
            // Looked at where it lies: to move what was just written takes longer than to read it.
            if let Some(Coming { asked: Some(asked), .. }) = &next {
                self.ahead.begin_asked(&twin.table, asked);
            }
            // It takes the place of the one whose turn it was.
            let place = &mut self.ring[self.ahead.place(0)];
            *place = match next {
                Some(Coming { packet, asked }) => {
                    self.coming += 1;
                    Some(Known { packet, is_asked: asked.is_some() })
                }
                None if self.coming == 0 => return None,
                None => None,
            };
            self.ahead.go_on(&twin.table);
            if self.ring[self.ahead.place(0)].is_some() {
                break;
            }
        }
        let Known { packet, is_asked } = self.ring[self.ahead.place(0)].as_mut()?;
        Some((packet, is_asked.then_some(self.ahead.asked())))
    }
}

impl<T> Default for Outlook<T> {
    fn default() -> Self {
        Self::new()
    }
}

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
    /// Begins to look for the tuple of a packet that comes to this place.
    #[inline]
    pub fn ask(&self, place: Place, tuple: &Tuple) -> Asked {
        self.table.asked(Key::new(tuple, place))
    }

    /// Who does that for packets that come to this place where the twin itself is not at hand.
    pub const fn asker(&self, place: Place) -> Asker {
        Asker { place, seed: self.table.seed() }
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
