//! How long chains are.

/// How long the hash's chains are, in nodes; each entry has two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainLengths {
    /// By a number of nodes, how many buckets have at least as many; up to what the longest has.
    at_least: Vec<u32>,
}

impl ChainLengths {
    pub(super) fn of_empty(buckets: u32) -> Self {
        Self { at_least: vec![buckets] }
    }

    /// A chain has grown by a node, to this many.
    #[inline]
    pub(super) fn grown(&mut self, nodes: u32) {
        match self.at_least.get_mut(nodes as usize) {
            Some(buckets) => *buckets += 1,
            None => self.at_least.push(1),
        }
    }

    /// A chain of this many has lost one.
    #[inline]
    pub(super) fn shrunk(&mut self, nodes: u32) {
        let nodes = nodes as usize;
        self.at_least[nodes] -= 1;
        if self.at_least[nodes] == 0 {
            self.at_least.truncate(nodes);
        }
    }

    /// How many buckets have a chain of this length.
    pub fn with(&self, nodes: usize) -> u32 {
        let at_least = |nodes: usize| self.at_least.get(nodes).copied().unwrap_or(0);
        at_least(nodes) - at_least(nodes.saturating_add(1))
    }

    /// The longest.
    pub fn longest(&self) -> usize {
        self.at_least.len().saturating_sub(1)
    }

    /// How many nodes a look-up for a tuple that is there passes, on the average.
    pub fn mean_lookup(&self) -> f64 {
        // As many buckets have a node at this place as have one there or behind it.
        let places = self.at_least.iter().map(|buckets| u64::from(*buckets)).zip(0_u64..).skip(1);
        let (nodes, passed) =
            places.fold((0, 0), |(nodes, passed), (buckets, place)| (nodes + buckets, passed + buckets * place));
        if nodes == 0 { 0.0 } else { passed as f64 / nodes as f64 }
    }
}
