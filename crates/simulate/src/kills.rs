//! Entries that were gone too early.

/// What a false kill does to its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// None: the packet makes a new entry, by which the flow goes on as before.
    PickedUp,
    /// It ends: the packet comes to somebody who knows nothing of the flow, and answers so.
    Reset,
    /// It stalls: the packet is lost, and nobody is told.
    BlackHoled,
}

impl Harm {
    /// Every harm.
    pub const ALL: [Self; 3] = [Self::PickedUp, Self::Reset, Self::BlackHoled];
}

/// How many entries were gone before their flow's next packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FalseKills {
    by_harm: [u64; Harm::ALL.len()],
    /// Flows that it happened to, once or more often.
    pub flows_hit: u64,
}

impl FalseKills {
    /// How many did this harm.
    pub const fn by(&self, harm: Harm) -> u64 {
        self.by_harm[harm as usize]
    }

    /// Each count as something makes it.
    pub(crate) fn map(self, mut count: impl FnMut(u64) -> u64) -> Self {
        Self { by_harm: self.by_harm.map(&mut count), flows_hit: count(self.flows_hit) }
    }

    pub(crate) const fn count(&mut self, harm: Harm) {
        self.by_harm[harm as usize] += 1;
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.by_harm.iter().sum()
    }
}
