//! What there is to tell of a shield.

use plimsoll_apply::{Rehearsed, RolledBack, Shielded, Stage};
use plimsoll_model::{Shield, Untrusted};
use plimsoll_shield::{Collateral, Judgement, NotEnforced, Peers, Reading};

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
    pub(super) reading: Reading,
    pub(super) collateral: Collateral,
}

impl State {
    /// As it is now.
    pub(super) fn of(shielded: &Shielded) -> anyhow::Result<Self> {
        let reading = shielded.reading()?;
        let peers = shielded.peers(&reading.hit_sources())?;
        Self::with(shielded, reading, &peers)
    }

    /// As it is by a reading, and by what is known of who has completed flows.
    pub(super) fn with(shielded: &Shielded, reading: Reading, peers: &Peers) -> anyhow::Result<Self> {
        Ok(Self {
            application: shielded.id(),
            shield: shielded.shield().clone(),
            stages: shielded.stages()?,
            age_secs: shielded.age_and_rest()?.0.as_secs(),
            collateral: Collateral::of(&reading, peers),
            reading,
        })
    }
}

impl Report {
    pub(super) fn new(arguments: &ShieldArguments, outcome: Outcome) -> Self {
        Self { netns: Untrusted::from(arguments.netns.as_str()), outcome }
    }
}
