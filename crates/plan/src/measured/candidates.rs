//! Which values of a timeout are judged.

use std::collections::BTreeSet;

use plimsoll_model::{NetworkSettings, Timeout};

use crate::rails::least_secs;
use crate::{Profile, Rail, Role};

/// Values that people write, in seconds.
const ROUND: [u32; 29] = [
    345_600, 259_200, 172_800, 86_400, 43_200, 28_800, 21_600, 14_400, 10_800, 7200, 5400, 3600, 2700, 1800, 1200, 900,
    600, 450, 300, 240, 180, 120, 90, 60, 45, 30, 20, 15, 10,
];

/// Whether values below the guard rails may be recommended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rails {
    /// They may not.
    Hold,
    /// They may: whoever asks for it answers for it.
    AreCrossed,
}

/// The silence beyond which a flow counts.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Guard {
    /// Seconds.
    pub secs: u32,
    /// The rail that it is; `None` where none binds, and it is the least value that is judged.
    pub rail: Option<Rail>,
}

impl Guard {
    pub(crate) fn of(timeout: Timeout, settings: &NetworkSettings, role: Role) -> Self {
        match least_secs(timeout, settings, role) {
            Some(rail) => Self { secs: rail.least_secs, rail: Some(rail) },
            None => Self { secs: ROUND.into_iter().min().unwrap_or(0), rail: None },
        }
    }
}

/// The values below the one in force, the gentlest first: round ones, the guard, and what profiles and the kernel have.
pub(crate) fn candidates(timeout: Timeout, in_force_secs: u32, guard: &Guard, rails: Rails) -> Vec<u32> {
    let of_profiles = Profile::ALL.into_iter().flat_map(Profile::timeouts).filter(|(of, _)| *of == timeout);
    let round = ROUND.into_iter().filter(|secs| rails == Rails::AreCrossed || *secs >= guard.secs);
    let values =
        round.chain([guard.secs]).chain(of_profiles.map(|(_, secs)| *secs)).chain(timeout.compiled_default_secs());
    let below: BTreeSet<u32> = values.filter(|secs| *secs < in_force_secs && *secs > 0).collect();
    below.into_iter().rev().collect()
}

impl Rails {
    /// Whether a value may be recommended.
    pub(crate) const fn allow(self, secs: u32, guard: &Guard) -> bool {
        matches!(self, Self::AreCrossed) || secs >= guard.secs
    }
}
