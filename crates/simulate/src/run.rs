//! One simulation.

use std::ops::ControlFlow;
use std::time::Duration;

use plimsoll_scenario::{Size, TooManyEntries};

use crate::{Outcome, Setup, Workload, played, recorded, replay};

/// How far a simulation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Simulated time.
    pub at: Duration,
    /// How long the workload lasts; `None` where only its end will tell.
    pub lasts: Option<Duration>,
    /// Packets so far.
    pub packets: u64,
    /// Entries that the kernel counts.
    pub occupancy: u32,
}

/// Why a workload is not simulated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSimulated {
    /// Its packets are those of real TCP stacks.
    #[error("it has a `proxy`, whose packets only real TCP stacks make: play it with `plimsoll lab run`")]
    Proxy,
    /// Entries cannot be told apart.
    #[error(transparent)]
    TooManyEntries(#[from] TooManyEntries),
}

/// Simulates a workload. The observer is told now and then how far it has come, many times a second, and can stop it.
pub fn run(
    workload: Workload<'_>,
    setup: &Setup,
    observer: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Outcome, NotSimulated> {
    match workload {
        Workload::Scenario { scenario, seed, size } => played::play(&[], scenario, seed, size, setup, observer),
        Workload::Continued { standing, scenario, seed } => {
            played::play(standing, scenario, seed, Size::default(), setup, observer)
        }
        Workload::Recorded(mut datagrams) => Ok(recorded::play(&mut *datagrams, setup, observer)),
        Workload::Replayed(replay) => Ok(replay::play(replay, setup, observer)),
    }
}
