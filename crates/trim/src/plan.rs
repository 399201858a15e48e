//! What would go: the dry run.

use crate::rule::{Certainty, Judgement};
use crate::tally::Tally;
use crate::walk::Walk;
use crate::{Error, Trimming};

/// What would go, and what would stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// By state, and by reason.
    pub tally: Tally,
    /// Of those that are stale: entries that would be looked at twice, and stay if a packet comes in between.
    pub ambiguous: u64,
}

impl Plan {
    /// Entries that would go.
    pub fn stale(&self) -> u64 {
        self.tally.stale()
    }
}

impl Trimming {
    /// Reads the table once, and changes nothing.
    pub fn plan(&self) -> Result<Plan, Error> {
        let mut plan = Plan::default();
        let mut walk = Walk::begin()?;
        while walk.next_batch(|dumped, moment| {
            let judgement = self.rule.judge(&dumped.entry, moment.unix_nanos);
            plan.tally.count(&dumped.entry, judgement);
            plan.ambiguous += u64::from(judgement == Judgement::Stale(Certainty::Ambiguous));
        })? {}
        Ok(plan)
    }
}
