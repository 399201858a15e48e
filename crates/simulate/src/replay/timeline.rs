//! What is to be done for a life, and when.

use std::time::Duration;

use plimsoll_model::Tuple;
use plimsoll_recording::{FlowKey, State};

use crate::replay::pattern::Armed;
use crate::replay::stays::Start;

/// A life that is played.
#[derive(Clone, Copy, Debug)]
pub(super) struct Played {
    pub(super) key: FlowKey,
    pub(super) original: Tuple,
    pub(super) reply: Tuple,
    /// Its first copy's; each further copy has the next.
    pub(super) zone: u16,
    pub(super) copies: u32,
    /// Copies come within so long behind the first.
    pub(super) spread: Duration,
    /// Its place in [`Replay::called`].
    pub(super) called: u32,
    pub(super) starts: Duration,
    pub(super) start: Start,
    pub(super) first: State,
    pub(super) then: Meanwhile,
    pub(super) is_assured: bool,
    /// What follows the start.
    pub(super) first_mark: u32,
    pub(super) marks: u32,
    pub(super) longest_silence: Duration,
}

/// Something that happens to a flow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    pub(super) at: Duration,
    pub(super) does: Does,
    pub(super) then: Meanwhile,
}

/// What.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Does {
    /// It comes to a state.
    Comes(State),
    /// It says something, for the last time; its entry is armed so by it.
    Rests(Armed),
    /// Nothing more is known of it.
    Ends,
    /// It is reset.
    Resets,
    /// Its entry goes.
    Leaves,
}

/// What a flow does until something happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meanwhile {
    /// Nothing.
    Silent,
    /// It talks.
    Busy,
    /// It talks, and is silent as this pattern says.
    Like(u32),
}
