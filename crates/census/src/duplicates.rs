//! Entries that a dump shows twice.

use plimsoll_model::{Entry, Tuple};

/// How many entries back a repetition is looked for. A dump that cannot find the entry it stopped at walks that bucket
/// again (`ctnetlink_dump_table`), so a repetition is as far back as a chain is long: at most 79 entries since the
/// chain cap of 5.15; before it as long as entries per bucket allow.
const WINDOW: usize = 128;

/// Remembers the last entries of a dump. An id alone does not tell an entry: it is a 32-bit hash, and among a million
/// entries over a hundred pairs share one. So id and tuple are compared.
#[derive(Debug)]
pub struct Duplicates {
    ids: [u32; WINDOW],
    tuples: [Option<Tuple>; WINDOW],
    next: usize,
}

impl Duplicates {
    /// Remembers nothing yet.
    pub const fn new() -> Self {
        Self { ids: [0; WINDOW], tuples: [None; WINDOW], next: 0 }
    }

    /// Whether the entry was seen just before; remembers it if not.
    #[inline]
    pub fn is_repeated(&mut self, entry: &Entry) -> bool {
        // One pass without branches over the ids, which fit a few cache lines; tuples only where an id matches. Summed in
        // the ids' own width, which takes half as many instructions as a count.
        let same_id: u32 = self.ids.iter().map(|id| u32::from(*id == entry.id)).sum();
        if same_id > 0 && self.holds(entry) {
            return true;
        }
        self.ids[self.next] = entry.id;
        self.tuples[self.next] = Some(entry.original);
        self.next = (self.next + 1) % WINDOW;
        false
    }

    #[cold]
    fn holds(&self, entry: &Entry) -> bool {
        self.ids.iter().zip(&self.tuples).any(|(id, tuple)| *id == entry.id && *tuple == Some(entry.original))
    }
}

impl Default for Duplicates {
    fn default() -> Self {
        Self::new()
    }
}
