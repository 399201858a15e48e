//! Entries by who opened them: a client's port is translated in one way for all that it calls
//! (`nf_nat_bysource` in `nf_nat_core.c`).

use std::collections::HashMap;

use crate::aside::Aside;

/// Lists of entries whose sources have the same hash, the newest first.
#[derive(Debug, Default)]
pub(crate) struct BySource {
    newest: HashMap<u32, u32>,
    neighbours: Aside<Neighbours>,
}

/// Who is beside a slot in its list; the slot itself where nobody is.
#[derive(Clone, Copy, Debug)]
struct Neighbours {
    older: u32,
    newer: u32,
}

impl Default for Neighbours {
    /// Of a slot that is in no list.
    fn default() -> Self {
        Self { older: u32::MAX, newer: u32::MAX }
    }
}

impl BySource {
    /// The slots under a hash.
    pub(crate) fn with(&self, hash: u32) -> impl Iterator<Item = u32> {
        std::iter::successors(self.newest.get(&hash).copied(), |slot| {
            let Neighbours { older, .. } = self.neighbours.get(*slot);
            (older != *slot).then_some(older)
        })
    }

    pub(crate) fn put(&mut self, hash: u32, slot: u32) {
        let older = self.newest.insert(hash, slot);
        if let Some(older) = older {
            let beside = self.neighbours.get(older);
            self.neighbours.put(older, Neighbours { newer: slot, ..beside });
        }
        self.neighbours.put(slot, Neighbours { older: older.unwrap_or(slot), newer: slot });
    }

    /// Whether a slot is in a list.
    pub(crate) fn has(&self, slot: u32) -> bool {
        self.neighbours.get(slot).older != u32::MAX
    }

    /// Takes a slot out of the list of its hash.
    pub(crate) fn forget(&mut self, hash: u32, slot: u32) {
        if !self.has(slot) {
            return;
        }
        let Neighbours { older, newer } = self.neighbours.get(slot);
        self.neighbours.forget(slot);
        let (is_oldest, is_newest) = (older == slot, newer == slot);
        if !is_oldest {
            let beside = self.neighbours.get(older);
            self.neighbours.put(older, Neighbours { newer: if is_newest { older } else { newer }, ..beside });
        }
        if !is_newest {
            let beside = self.neighbours.get(newer);
            self.neighbours.put(newer, Neighbours { older: if is_oldest { newer } else { older }, ..beside });
        } else if is_oldest {
            self.newest.remove(&hash);
        } else {
            self.newest.insert(hash, older);
        }
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
        assert!(sources.newest.is_empty() && !sources.has(8));
    }
}
