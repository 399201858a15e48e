//! What is told of a trim, whether it was done or not.

use std::collections::BTreeMap;

use plimsoll_model::{Namespace, Occupancy, StateKey};
use plimsoll_trim::{Acted, Ended, Ground, Left, Manner, OfState, Plan, Settled};

use super::arguments::TrimArguments;
use super::names::TimeoutSetting;

/// Everything that is told.
#[derive(Debug)]
pub(super) struct Report<'a> {
    pub(super) namespace: &'a Namespace,
    pub(super) ground: &'a Ground,
    pub(super) manner: Manner,
    pub(super) as_if: &'a [TimeoutSetting],
    pub(super) armed: &'a [TimeoutSetting],
    pub(super) plan: Option<Plan>,
    pub(super) done: Option<Done>,
}

/// What was done, and what came of it.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) acted: Acted,
    pub(super) settled: Settled,
    pub(super) until: Option<Occupancy>,
    pub(super) wait: Wait,
}

/// The wait for entries that were left ten seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// It is over, or there was none.
    Over,
    /// It was interrupted: they are counted still.
    CutShort,
}

/// A state's line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) state: StateKey,
    pub(super) counts: OfState,
    /// Entries that were changed; `None` in a dry run.
    pub(super) changed: Option<u64>,
}

impl<'a> Report<'a> {
    pub(super) fn new(
        arguments: &'a TrimArguments,
        armed: &'a [TimeoutSetting],
        namespace: &'a Namespace,
        ground: &'a Ground,
    ) -> Self {
        Self {
            namespace,
            ground,
            manner: super::manner(arguments),
            as_if: &arguments.as_if,
            armed,
            plan: None,
            done: None,
        }
    }

    pub(super) fn planned(&mut self, plan: Plan) {
        self.plan = Some(plan);
    }

    pub(super) fn done(&mut self, done: Done) {
        self.done = Some(done);
    }

    /// The counts of what was done, or of what would be.
    fn tally(&self) -> Option<&plimsoll_trim::Tally> {
        let of_act = self.done.as_ref().map(|done| &done.acted.tally);
        of_act.or_else(|| self.plan.as_ref().map(|plan| &plan.tally))
    }

    pub(super) fn stale(&self) -> u64 {
        self.tally().map_or(0, plimsoll_trim::Tally::stale)
    }

    pub(super) fn read(&self) -> u64 {
        self.tally().map_or(0, plimsoll_trim::Tally::read)
    }

    /// Entries that stay, by why.
    pub(super) fn left(&self) -> BTreeMap<Left, u64> {
        self.tally().map(|tally| tally.left.clone()).unwrap_or_default()
    }

    /// The states, those first that lose most.
    pub(super) fn rows(&self) -> Vec<Row> {
        let changed = self.done.as_ref().map(|done| &done.acted.changed);
        let states = self.tally().into_iter().flat_map(|tally| &tally.states);
        let row = |(state, counts): (&StateKey, &OfState)| {
            let changed = changed.map(|changed| changed.get(state).copied().unwrap_or(0));
            Row { state: *state, counts: *counts, changed }
        };
        let mut rows: Vec<_> = states.map(row).collect();
        rows.sort_by_key(|row| (std::cmp::Reverse(row.counts.stale), std::cmp::Reverse(row.counts.read)));
        rows
    }

    /// Whether more is left than was asked for.
    pub(super) fn falls_short(&self) -> bool {
        let short = |done: &Done| {
            let too_many = done.until.is_some_and(|until| done.settled.occupancy > until);
            too_many || done.wait == Wait::CutShort || matches!(done.acted.ended, Ended::Stopped | Ended::Deadline)
        };
        self.done.as_ref().is_some_and(short)
    }
}
