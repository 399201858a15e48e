//! What became of packets.

/// What became of a packet. Each is counted once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It passed.
    Passed(Passed),
    /// It passed, and would have been dropped but for [`crate::Action::Shadow`].
    WouldDrop(Reason),
    /// It was dropped.
    Dropped(Reason),
}

/// Why a packet passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passed {
    /// The time of [`crate::Config::until`] was over.
    Disarmed,
    /// It was neither IPv4 nor IPv6, behind at most two VLAN tags.
    NotIp,
    /// It broke off, or was not what its headers say: the kernel decides.
    Malformed,
    /// Its source is allowed.
    Allowed,
    /// It was a fragment, not the first: there are no ports in it.
    Fragment,
    /// Nothing limits its like.
    Unlimited,
    /// It was within its limit.
    WithinLimit,
}

/// Why a packet was dropped, or would have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Its source is listed.
    Listed,
    /// Its source sent too many.
    OverSource,
    /// Its source's prefix sent too many.
    OverPrefix,
}

/// How many packets each outcome had, since the program was attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([u64; Outcome::ALL.len()]);

impl Outcome {
    /// All, in the order in which the program counts them.
    pub const ALL: [Self; 13] = [
        Self::Passed(Passed::Disarmed),
        Self::Passed(Passed::NotIp),
        Self::Passed(Passed::Malformed),
        Self::Passed(Passed::Allowed),
        Self::Passed(Passed::Fragment),
        Self::Passed(Passed::Unlimited),
        Self::Passed(Passed::WithinLimit),
        Self::WouldDrop(Reason::Listed),
        Self::WouldDrop(Reason::OverSource),
        Self::WouldDrop(Reason::OverPrefix),
        Self::Dropped(Reason::Listed),
        Self::Dropped(Reason::OverSource),
        Self::Dropped(Reason::OverPrefix),
    ];
}

impl Counts {
    pub(crate) const fn new(by_outcome: [u64; Outcome::ALL.len()]) -> Self {
        Self(by_outcome)
    }

    /// Packets with an outcome.
    pub fn of(&self, outcome: Outcome) -> u64 {
        self.all().find(|(other, _)| *other == outcome).map_or(0, |(_, packets)| packets)
    }

    /// Every outcome with its packets.
    pub fn all(&self) -> impl Iterator<Item = (Outcome, u64)> {
        Outcome::ALL.into_iter().zip(self.0)
    }

    /// Packets that were seen.
    pub fn seen(&self) -> u64 {
        self.sum(|_| true)
    }

    /// Packets that passed, for whatever reason.
    pub fn passed(&self) -> u64 {
        self.sum(|outcome| !matches!(outcome, Outcome::Dropped(_)))
    }

    /// Packets that passed and would have been dropped.
    pub fn would_drop(&self) -> u64 {
        self.sum(|outcome| matches!(outcome, Outcome::WouldDrop(_)))
    }

    /// Packets that were dropped.
    pub fn dropped(&self) -> u64 {
        self.sum(|outcome| matches!(outcome, Outcome::Dropped(_)))
    }

    fn sum(&self, which: impl Fn(Outcome) -> bool) -> u64 {
        self.all().filter(|(outcome, _)| which(*outcome)).map(|(_, packets)| packets).sum()
    }
}
