//! Entries by who opened them: a client's port is translated in one way for all that it calls
//! (`nf_nat_bysource` in `nf_nat_core.c`).

use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Lists of entries whose sources have the same hash, the newest first.
#[derive(Debug, Default)]
pub(crate) struct BySource {
    newest: HashMap<u32, u32>,
    /// By slot: the one before, or the slot itself where there is none.
    before: Vec<u32>,
}

impl BySource {
    pub(crate) fn is_empty(&self) -> bool {
        self.newest.is_empty()
    }

    /// The slots under a hash.
    pub(crate) fn with(&self, hash: u32) -> impl Iterator<Item = u32> {
        std::iter::successors(self.newest.get(&hash).copied(), |slot| self.before(*slot))
    }

    pub(crate) fn put(&mut self, hash: u32, slot: u32) {
        let before = self.newest.insert(hash, slot).unwrap_or(slot);
        let place = slot as usize;
        if self.before.len() <= place {
            self.before.resize(place + 1, 0);
        }
        self.before[place] = before;
    }

    /// Takes a slot out that may be there.
    pub(crate) fn forget(&mut self, hash: u32, slot: u32) {
        let before = self.before(slot);
        let Entry::Occupied(mut newest) = self.newest.entry(hash) else { return };
        if *newest.get() == slot {
            match before {
                Some(before) => *newest.get_mut() = before,
                None => drop(newest.remove()),
            }
            return;
        }
        let after = self.with(hash).find(|after| self.before(*after) == Some(slot));
        if let Some(after) = after {
            self.before[after as usize] = before.unwrap_or(after);
        }
    }

    fn before(&self, slot: u32) -> Option<u32> {
        self.before.get(slot as usize).copied().filter(|before| *before != slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_come_first_whoever_leaves() {
        let mut sources = BySource::default();
        let all = |sources: &BySource, hash| sources.with(hash).collect::<Vec<_>>();
        for (hash, slot) in [(7, 0), (7, 5), (8, 1), (7, 2)] {
            sources.put(hash, slot);
        }
        assert_eq!((all(&sources, 7), all(&sources, 8), all(&sources, 9)), (vec![2, 5, 0], vec![1], vec![]));
        sources.forget(7, 5);
        sources.forget(7, 4);
        assert_eq!(all(&sources, 7), [2, 0]);
        sources.forget(7, 0);
        sources.forget(7, 2);
        assert_eq!(all(&sources, 7), []);
        sources.forget(8, 1);
        assert!(sources.is_empty());
    }
}
