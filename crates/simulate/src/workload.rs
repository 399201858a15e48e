//! What is simulated.

use std::fmt;
use std::time::Duration;

use plimsoll_model::NewEntry;
use plimsoll_scenario::{Scenario, Size};

use crate::Replay;

/// Where packets come from.
pub enum Workload<'a> {
    /// A scenario, played as the lab plays it: the same packets at the same times.
    Scenario {
        /// Which.
        scenario: &'a Scenario,
        /// What its flows are drawn from.
        seed: u64,
        /// How large.
        size: Size,
    },
    /// Entries that are there, and a scenario's flows that come to them.
    Continued {
        /// What is there at the begin.
        standing: &'a [NewEntry],
        /// What comes; its own standing entries are there too.
        scenario: &'a Scenario,
        /// What its flows are drawn from.
        seed: u64,
    },
    /// Packets that somebody recorded.
    Recorded(Box<dyn Datagrams + 'a>),
    /// The flows of a recording.
    Replayed(&'a Replay),
}

impl fmt::Debug for Workload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scenario { scenario, seed, size } => {
                write!(f, "Scenario {{ {}, seed {seed}, size {size} }}", scenario.name)
            }
            Self::Continued { standing, scenario, seed } => {
                write!(f, "Continued {{ {} entries, {}, seed {seed} }}", standing.len(), scenario.name)
            }
            Self::Recorded(_) => f.write_str("Recorded"),
            Self::Replayed(replay) => write!(f, "Replayed {{ {} flows }}", replay.flows()),
        }
    }
}

/// A packet that somebody recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// When, by any clock. One that seems to come before its predecessor is taken to come with it.
    pub at: Duration,
    /// An IPv4 or IPv6 packet, whole as it was behind defragmentation.
    pub bytes: &'a [u8],
}

/// Recorded packets, in the order in which they came. A thread of its own reads them, some thousand packets ahead of what is played;
/// once they have come to their end they are not asked for more.
pub trait Datagrams: Send {
    /// The next one; `None` at the end. Whoever reads from where reading can fail keeps the failure, and ends.
    fn next_datagram(&mut self) -> Option<Datagram<'_>>;
}

/// Packets that are held in memory, with their times.
impl Datagrams for std::slice::Iter<'_, (Duration, Vec<u8>)> {
    fn next_datagram(&mut self) -> Option<Datagram<'_>> {
        self.next().map(|(at, bytes)| Datagram { at: *at, bytes })
    }
}
