//! How true a replay is: under the settings in force while it was recorded it should be as full as the table was.

use plimsoll_simulate::{Completeness, Outcome, Setup};

use super::base::Base;
use super::replayed::Replayed;

/// Entries on the average, played and counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fidelity {
    /// Those of the replay; `None` if it was not played to its end.
    pub(super) replayed: Option<f64>,
    /// Those that the kernel counted meanwhile.
    pub(super) recorded: f64,
}

/// The run that is compared with the kernel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Comparison {
    place: usize,
    recorded: f64,
}

impl Comparison {
    /// Sees to it that the recorded settings are among those that are played; `None` where there is nothing to compare with.
    pub(super) fn begin(recording: &Replayed, base: &Base, setups: &mut Vec<Setup>) -> Option<Self> {
        let recorded = recording.replay().recorded_mean_occupancy()?;
        let setup = recording.setup(base.setup.host.capabilities, base.setup.host.seed);
        let place = setups.iter().position(|there| *there == setup).unwrap_or_else(|| {
            setups.push(setup);
            setups.len() - 1
        });
        Some(Self { place, recorded })
    }

    /// What came of it.
    pub(super) fn end(self, outcomes: &[Outcome]) -> Fidelity {
        let whole = outcomes.get(self.place).filter(|outcome| outcome.completeness == Completeness::Whole);
        Fidelity { replayed: whole.map(|outcome| outcome.mean_occupancy().counted), recorded: self.recorded }
    }
}
