//! What there is to tell of a shield.

use plimsoll_apply::{By, Rehearsed, RolledBack, Seen, Shielded, Stage, Vigil};
use plimsoll_model::{Shield, Untrusted};
use plimsoll_shield::{Collateral, Judgement, NotEnforced, Reading};

use super::ShieldArguments;
use super::made::Made;

/// What was asked for, and what came of it.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) netns: Untrusted,
    pub(super) outcome: Outcome,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Outcome {
    /// No shield is there.
    None,
    /// Nothing calls for one.
    Nothing,
    /// What would be put up.
    Planned { made: Made, rehearsed: Rehearsed },
    /// How it is.
    Status(State),
    /// It ends later, or sooner.
    Extended(State),
    /// It was removed.
    Stopped(Box<RolledBack>),
    /// It was in shadow, and stays there.
    Judged { made: Option<Made>, state: State, judgement: Judgement },
    /// It drops.
    Enforced { made: Option<Made>, state: State },
    /// It dropped, and hit too many: it is in shadow again.
    Withdrawn { made: Option<Made>, state: State, why: NotEnforced },
    /// Its time was over while it was watched.
    Over(u32),
}

/// How a shield is.
#[derive(Debug)]
pub(super) struct State {
    pub(super) application: u32,
    pub(super) shield: Shield,
    /// The XDP stages before its rules.
    pub(super) stages: Vec<Stage>,
    /// How long it has been there, in seconds.
    pub(super) age_secs: u64,
    /// Why it was taken back to shadow, if it was, and has not been enforced since.
    pub(super) withdrawn: Option<String>,
    pub(super) reading: Reading,
    pub(super) collateral: Collateral,
}

impl State {
    /// As it is now.
    pub(super) fn of(shielded: &Shielded) -> anyhow::Result<Self> {
        Self::with(shielded, Vigil::begin(shielded)?.look(By::Memory)?)
    }

    /// As it was seen.
    pub(super) fn with(shielded: &Shielded, seen: Seen) -> anyhow::Result<Self> {
        Ok(Self {
            application: shielded.id(),
            shield: shielded.shield().clone(),
            stages: shielded.stages()?,
            age_secs: shielded.age_and_rest()?.0.as_secs(),
            withdrawn: shielded.application()?.withdrawn,
            collateral: seen.collateral,
            reading: seen.reading,
        })
    }
}

impl Report {
    pub(super) fn new(arguments: &ShieldArguments, outcome: Outcome) -> Self {
        Self { netns: Untrusted::from(arguments.netns.as_str()), outcome }
    }
}
