//! Whether a shield that drops hits those who mean well: looked at again and again, by the command that has enforced it or, when that
//! has ended, by the shield's watchdog.

use std::time::Duration;

use plimsoll_host::boottime_now;
use plimsoll_shield::{Collateral, Judgement, NotEnforced, Peers, Reading};

use crate::Error;
use crate::shielded::Shielded;
use crate::state_dir::{Lock, PATIENCE};

/// Of the time at most so much is spent on reading the table: a twentieth.
const READING: u32 = 20;

/// Whoever looks at a shield.
#[derive(Debug)]
pub struct Vigil {
    shielded: Shielded,
    /// Who has completed flows, since it began: a shield that keeps them out must not make them forgotten.
    peers: Peers,
    /// When the table may be read again, after boot.
    due: Duration,
}

/// What a judgement rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The table as it is.
    Table,
    /// What is remembered of it.
    Memory,
}

/// What was seen.
#[derive(Debug)]
pub struct Seen {
    /// What the rules have counted.
    pub reading: Reading,
    /// Whom they hit.
    pub collateral: Collateral,
}

impl Seen {
    /// Why it is to drop no more, where at most such a share may be hit. That nobody is known is no worse than it was: it was judged, or
    /// allowed.
    pub fn why_withdrawn(&self, max_collateral: f64) -> Option<NotEnforced> {
        match self.collateral.judge(max_collateral) {
            Judgement::Stay(why @ (NotEnforced::TooMany { .. } | NotEnforced::Unrecorded(_))) => Some(why),
            Judgement::Stay(NotEnforced::NobodyKnown) | Judgement::Enforce(_) => None,
        }
    }
}

impl Vigil {
    /// Looks in a row that may fail before the shield is taken back to shadow: under a flood one may.
    pub const MOST_FAILURES: u32 = 3;

    /// Begins to look, with a look at the table.
    pub fn begin(shielded: &Shielded) -> Result<Self, Error> {
        let peers = shielded.peers(&shielded.reading()?.hit_sources())?;
        Ok(Self { shielded: shielded.clone(), peers, due: Duration::ZERO })
    }

    /// The right to take the shield back, which one process has at a time.
    pub fn claim(&self) -> Result<Lock, Error> {
        self.shielded.vigil_lock(PATIENCE)
    }

    /// Looks once.
    pub fn look(&mut self, by: By) -> Result<Seen, Error> {
        let reading = self.shielded.reading()?;
        if by == By::Table {
            let began = boottime_now();
            self.peers = self.shielded.peers(&reading.hit_sources())?.and_before(&self.peers);
            let now = boottime_now();
            self.due = now + now.saturating_sub(began) * READING;
        }
        Ok(Seen { collateral: Collateral::of(&reading, &self.peers), reading })
    }

    /// Looks at what the rules count, and at the table where that is due, or something speaks for taking the shield back: what is remembered
    /// does not tell a flooder that has completed a flow once, the table does.
    pub fn look_again(&mut self, max_collateral: f64) -> Result<Seen, Error> {
        let by = if boottime_now() >= self.due { By::Table } else { By::Memory };
        let seen = self.look(by)?;
        if by == By::Memory && seen.why_withdrawn(max_collateral).is_some() {
            return Ok(self.look(By::Table).unwrap_or(seen));
        }
        Ok(seen)
    }
}
