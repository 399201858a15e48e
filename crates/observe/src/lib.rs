//! One reading of a host: every network namespace's limits and counters, and a census of those tables where there is much
//! to see, as a [`Snapshot`]. Nothing is written, nothing subscribed to, nothing loaded or registered.

mod capabilities;
mod choice;
mod find;
mod openers;
mod place;
mod proxies;
mod pulse;
mod reader;
mod reading;
mod resolvers;
mod services;
mod session;
mod whose;

use std::num::NonZeroU64;
use std::time::Duration;

use plimsoll_model::{Snapshot, Untrusted};

pub use capabilities::needed_to_ask_conntrack;
pub use choice::walk_is_cheap;
pub use find::find;
pub use place::{Place, Unvisited};
pub use proxies::advise_on_proxies;
pub use pulse::Pulses;
pub use reading::policies;
pub use whose::{Asked, Bounds, Rules, ask_whose};

/// What to read.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which namespaces.
    pub target: Target,
    /// Time between two readings of the counters; zero for one reading. Entries are counted meanwhile, and read after it.
    pub interval: Duration,
    /// How many entries to read.
    pub depth: Depth,
    /// When to stop reading entries, counted from the end of the interval.
    pub timeout: Duration,
}

/// Which namespaces to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// All that may be seen; entries only where there is much to see.
    All,
    /// One by its name, its inode, or `this`, its entries whatever their number.
    Named(String),
}

/// How many entries to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Until every share is known to a point either way; all where the table is nearly full or drops.
    Precise,
    /// This many.
    Sample(NonZeroU64),
    /// All.
    Exact,
}

/// Why there is no snapshot at all. What is missing *in* a snapshot is among its `unseen`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No namespace has the name.
    #[error("there is no network namespace {name:?}; those that may be seen are: {known}")]
    NoSuchNamespace {
        /// What was asked for.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// Not even Plimsoll's own namespace could be found.
    #[error("cannot find any network namespace: {tried}: {answered}")]
    NoNamespaces {
        /// What was tried.
        tried: Untrusted,
        /// What the system answered.
        answered: Untrusted,
    },
}

/// Reads the host. `provisional` is called with what is known so far where a sample already tells enough to act on but
/// the whole table is still to be read.
pub fn observe(options: &Options, provisional: &mut dyn FnMut(&Snapshot)) -> Result<Snapshot, Error> {
    Observer::default().observe(options, provisional)
}

/// Reads the host again and again: what was counted while a reading was under way is told by the next.
#[derive(Debug, Default)]
pub struct Observer {
    last: session::LastMoments,
}

impl Observer {
    /// As [`observe`], but counters go on from the reading before.
    pub fn observe(&mut self, options: &Options, provisional: &mut dyn FnMut(&Snapshot)) -> Result<Snapshot, Error> {
        let (snapshot, last) = session::Session::begin(options, &self.last)?.run(provisional);
        self.last = last;
        Ok(snapshot)
    }
}
