//! Entries by who opened them: a client's port is translated in one way for all that it calls
//! (`nf_nat_bysource` in `nf_nat_core.c`).

use std::collections::HashMap;

/// Lists of entries whose sources have the same hash, the newest first.
#[derive(Debug, Default)]
pub(crate) struct BySource {
    newest: HashMap<u32, u32>,
    neighbours: Vec<Neighbours>,
}

/// Who is beside a slot in its list; the slot itself where nobody is.
#[derive(Clone, Copy, Debug)]
struct Neighbours {
    older: u32,
    newer: u32,
}

impl Neighbours {
    /// Of a slot that is in no list.
    const NONE: Self = Self { older: u32::MAX, newer: u32::MAX };
}

impl BySource {
    /// The slots under a hash.
    pub(crate) fn with(&self, hash: u32) -> impl Iterator<Item = u32> {
        std::iter::successors(self.newest.get(&hash).copied(), |slot| {
            let older = self.neighbours[*slot as usize].older;
            (older != *slot).then_some(older)
        })
    }

    pub(crate) fn put(&mut self, hash: u32, slot: u32) {
        let place = slot as usize;
        if self.neighbours.len() <= place {
            self.neighbours.resize(place + 1, Neighbours::NONE);
        }
        let older = self.newest.insert(hash, slot);
        if let Some(older) = older {
            self.neighbours[older as usize].newer = slot;
        }
        self.neighbours[place] = Neighbours { older: older.unwrap_or(slot), newer: slot };
    }

    /// Whether a slot is in a list.
    pub(crate) fn has(&self, slot: u32) -> bool {
        self.neighbours.get(slot as usize).is_some_and(|beside| beside.older != u32::MAX)
    }

    /// Takes a slot out of the list of its hash.
    pub(crate) fn forget(&mut self, hash: u32, slot: u32) {
        if !self.has(slot) {
            return;
        }
        let Neighbours { older, newer } = std::mem::replace(&mut self.neighbours[slot as usize], Neighbours::NONE);
        let (is_oldest, is_newest) = (older == slot, newer == slot);
        if !is_oldest {
            self.neighbours[older as usize].newer = if is_newest { older } else { newer };
        }
        if !is_newest {
            self.neighbours[newer as usize].older = if is_oldest { newer } else { older };
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
