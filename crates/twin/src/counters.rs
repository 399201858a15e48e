//! What is counted.

use plimsoll_model::Counter;

/// A namespace's counters, as the kernel counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters([u64; Counter::ALL.len()]);

impl Counters {
    /// How often it was counted.
    pub const fn get(&self, counter: Counter) -> u64 {
        self.0[counter as usize]
    }

    /// Each count as something makes it.
    #[must_use]
    pub fn map(self, count: impl FnMut(u64) -> u64) -> Self {
        Self(self.0.map(count))
    }

    pub(crate) const fn count(&mut self, counter: Counter) {
        self.add(counter, 1);
    }

    pub(crate) const fn add(&mut self, counter: Counter, more: u64) {
        self.0[counter as usize] += more;
    }
}

/// What removed an entry. The kernel counts only early drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemovedBy {
    /// It had expired, and gc, a look-up or a dump came by.
    Expiry,
    /// It was killed to make room for a new one.
    EarlyDrop,
    /// gc killed it under pressure: it was not assured.
    PressureUnassured,
    /// gc killed it under pressure though it was assured: it was closing.
    PressureClosing,
    /// A reset was the first answer.
    Reset,
    /// A SYN opened the flow again.
    OpenedAgain,
    /// A translation needed its port.
    PortTaken,
    /// Somebody asked for it.
    Deletion,
}

impl RemovedBy {
    /// Every way.
    pub const ALL: [Self; 8] = [
        Self::Expiry,
        Self::EarlyDrop,
        Self::PressureUnassured,
        Self::PressureClosing,
        Self::Reset,
        Self::OpenedAgain,
        Self::PortTaken,
        Self::Deletion,
    ];
}

/// How many entries of a namespace were removed, by what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removals([u64; RemovedBy::ALL.len()]);

impl Removals {
    /// How many.
    pub const fn by(&self, by: RemovedBy) -> u64 {
        self.0[by as usize]
    }

    /// Each count as something makes it.
    #[must_use]
    pub fn map(self, count: impl FnMut(u64) -> u64) -> Self {
        Self(self.0.map(count))
    }

    pub(crate) const fn count(&mut self, by: RemovedBy) {
        self.0[by as usize] += 1;
    }
}
