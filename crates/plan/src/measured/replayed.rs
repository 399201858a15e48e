//! What came of values, and of whole sets of settings, when the recording was replayed through the twin.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use plimsoll_model::{Sysctl, Timeout};
use plimsoll_simulate::{Harm, NotSimulated, Outcome, Replay, Setup, Workload, sweep};
use plimsoll_twin::Capabilities;
use serde::Serialize;

use super::{Measured, MeasuredTimeout, Silences};
use crate::{FalseKillsByHarm, Profile};

/// Values of one timeout that are replayed, beside those that matter most.
const VALUES: usize = 6;

/// What came of settings when the recording was replayed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Replayed {
    /// Entries that the kernel counts, on the average.
    pub mean_entries: f64,
    /// The most at a time.
    pub peak_entries: f64,
    /// False kills, by what they do to their flow.
    pub false_kills: FalseKillsByHarm,
}

/// Settings, and what came of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// What they are called.
    pub name: String,
    /// The timeouts that are other than those that were in force.
    pub timeouts: Vec<(Sysctl, u32)>,
    /// What came of them.
    pub replayed: Replayed,
}

/// The settings under which a recording was made.
pub fn recorded_setup(silences: &Silences, capabilities: Capabilities, seed: u64) -> Setup {
    let mut setup = Setup::stock(capabilities, seed);
    for sysctl in Setup::sysctls() {
        // What the twin cannot be set to stays as it is by itself.
        let _ = silences.setting(sysctl).map(|value| setup.set(sysctl, value));
    }
    setup
}

impl Measured {
    /// Replays the recording under the settings that were in force (`setup`), under values that were judged, and under what
    /// the profiles, the kernel, and the recommendation set.
    pub fn replay(&mut self, replay: &Replay, setup: &Setup, threads: NonZeroUsize) -> Result<(), NotSimulated> {
        let mut sets: Vec<(String, Vec<(Sysctl, u32)>)> = vec![("in force".to_string(), Vec::new())];
        sets.extend(self.compared_sets());
        let compared = sets.len();
        let values = self.values_to_replay();
        sets.extend(values.iter().map(|(_, sysctl, secs)| (String::new(), vec![(*sysctl, *secs)])));
        let setups: Vec<_> = sets.iter().map(|(_, set)| with(setup, set)).collect();
        let outcomes = sweep(&|| Workload::Replayed(replay), &setups, threads, &|_, _| ControlFlow::Continue(()))?;
        let stands_for = replay.stands_for();
        let mut replayed = outcomes.iter().map(|outcome| figures(outcome, stands_for));
        self.compared = sets
            .into_iter()
            .take(compared)
            .zip(replayed.by_ref())
            .map(|((name, timeouts), replayed)| Compared { name, timeouts, replayed })
            .collect();
        for ((timeout, _, secs), replayed) in values.into_iter().zip(replayed) {
            let of_it = self.timeouts.iter_mut().filter(|of| of.timeout == timeout).flat_map(|of| &mut of.values);
            for value in of_it.filter(|value| value.secs == secs) {
                value.replayed = Some(replayed);
            }
        }
        Ok(())
    }

    /// The recommendation, what the kernel has compiled in, and the profiles.
    fn compared_sets(&self) -> Vec<(String, Vec<(Sysctl, u32)>)> {
        let set = |of: &mut dyn Iterator<Item = (Timeout, u32)>| -> Vec<(Sysctl, u32)> {
            of.filter_map(|(timeout, secs)| Some((Sysctl::of_timeout(timeout)?, secs))).collect()
        };
        let recommended = set(&mut self.timeouts.iter().filter_map(|of| Some((of.timeout, of.recommended.secs?))));
        let defaults = set(
            &mut Timeout::all_with_sysctl().filter_map(|timeout| Some((timeout, timeout.compiled_default_secs()?)))
        );
        let profiles = Profile::ALL
            .into_iter()
            .map(|profile| (format!("profile {profile}"), set(&mut profile.timeouts().iter().copied())));
        let recommended = (!recommended.is_empty()).then(|| ("recommended".to_string(), recommended));
        recommended.into_iter().chain([("kernel defaults".to_string(), defaults)]).chain(profiles).collect()
    }

    /// Of each timeout some of the values that save anything, and the one that is recommended.
    fn values_to_replay(&self) -> Vec<(Timeout, Sysctl, u32)> {
        let of = |timeout: &MeasuredTimeout| {
            let sysctl = Sysctl::of_timeout(timeout.timeout)?;
            let saving: Vec<_> =
                timeout.values.iter().filter(|value| value.saved_entries >= 1.0).map(|value| value.secs).collect();
            let step = saving.len().div_ceil(VALUES).max(1);
            let mut chosen: Vec<_> = saving.into_iter().rev().step_by(step).collect();
            chosen.extend(timeout.recommended.secs.into_iter().chain(timeout.recommended.lowest_secs));
            chosen.sort_unstable();
            chosen.dedup();
            Some(chosen.into_iter().map(move |secs| (timeout.timeout, sysctl, secs)).collect::<Vec<_>>())
        };
        self.timeouts.iter().filter_map(of).flatten().collect()
    }
}

fn with(setup: &Setup, set: &[(Sysctl, u32)]) -> Setup {
    let mut setup = setup.clone();
    for (sysctl, value) in set {
        // What is not simulated changes nothing here.
        let _ = setup.set(*sysctl, *value);
    }
    setup
}

fn figures(outcome: &Outcome, stands_for: f64) -> Replayed {
    let kills = |harm| plimsoll_diagnose::words::rounded(outcome.false_kills.by(harm) as f64 * stands_for);
    Replayed {
        mean_entries: outcome.mean_occupancy().counted * stands_for,
        peak_entries: f64::from(outcome.peak.occupancy) * stands_for,
        false_kills: FalseKillsByHarm {
            picked_up: kills(Harm::PickedUp),
            reset: kills(Harm::Reset),
            black_holed: kills(Harm::BlackHoled),
        },
    }
}
