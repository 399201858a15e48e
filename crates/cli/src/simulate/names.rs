//! What is counted, by name: for programs, and as the head of a column.

use plimsoll_simulate::{Harm, Outcome};
use plimsoll_twin::{DropReason, RemovedBy};

/// A number of an outcome's.
pub(super) struct Counted {
    /// Its key in JSON.
    pub(super) key: &'static str,
    /// Its column's head.
    pub(super) head: &'static str,
    pub(super) of: fn(&Outcome) -> u64,
}

macro_rules! counted {
    ($($of:ident { $($what:expr => $key:literal, $head:literal;)* })*) => {
        &[$($(Counted { key: $key, head: $head, of: |outcome| outcome.$of.by($what) },)*)*]
    };
}

/// Packets that were dropped, by why.
pub(super) const DROPS: &[Counted] = counted! { drops {
    DropReason::TableFull => "table_full", "dropped: full";
    DropReason::ChainTooLong => "chain_too_long", "dropped: chain";
    DropReason::Clash => "clash", "dropped: clash";
    DropReason::Untranslatable => "untranslatable", "dropped: NAT";
    DropReason::Ruleset => "ruleset", "dropped: rule";
} };

/// Entries that were removed before their time, by what.
pub(super) const EVICTIONS: &[Counted] = counted! { removals {
    RemovedBy::EarlyDrop => "early_drop", "early_drop";
    RemovedBy::PressureUnassured => "gc_unassured", "gc: unassured";
    RemovedBy::PressureClosing => "gc_closing", "gc: closing";
    RemovedBy::PortTaken => "port_taken", "port taken";
} };

/// Entries that were removed in the course of things.
pub(super) const ENDS: &[Counted] = counted! { removals {
    RemovedBy::Expiry => "expired", "expired";
    RemovedBy::Reset => "reset", "reset";
    RemovedBy::OpenedAgain => "opened_again", "opened again";
    RemovedBy::Deletion => "deleted", "deleted";
} };

/// Entries that were gone before their flow's next packet, by what became of the flow.
pub(super) const FALSE_KILLS: &[Counted] = counted! { false_kills {
    Harm::PickedUp => "picked_up", "kill: picked up";
    Harm::Reset => "reset", "kill: reset";
    Harm::BlackHoled => "black_holed", "kill: black hole";
} };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_uncounted() {
        assert_eq!(DROPS.len(), DropReason::ALL.len());
        assert_eq!(EVICTIONS.len() + ENDS.len(), RemovedBy::ALL.len());
        assert_eq!(FALSE_KILLS.len(), Harm::ALL.len());
    }
}
