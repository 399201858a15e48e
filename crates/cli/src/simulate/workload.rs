//! What is simulated, as it was asked for.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use plimsoll_capture::is_capture;
use plimsoll_diagnose::words::{duration, grouped, rounded};
use plimsoll_model::Untrusted;
use plimsoll_scenario::{Scenario, Size};
use plimsoll_simulate::{Outcome, Setup, Workload};

use super::captured::Captured;
use super::replayed::Replayed;
use super::report::time;
use super::synthetic::Synthetic;
use crate::arguments::SimulateArguments;
use crate::files::open_regular;
use crate::library::{self, Player};
use crate::nearest::nearest;

/// How long a workload from flags lasts if nothing else is said.
const LASTS: Duration = Duration::from_mins(5);

/// The most flows of one run, with the entries that are there before: each has a number of 32 bits.
const MOST_FLOWS: f64 = 1e9;

/// What is simulated.
#[derive(Debug)]
pub(super) enum Source {
    Scenario { scenario: Box<Scenario>, seed: u64, size: Size },
    Capture { captured: Captured, seed: u64 },
    Recording { recording: Box<Replayed>, seed: u64 },
}

impl Source {
    /// What the command line asks for.
    pub(super) fn of(arguments: &SimulateArguments) -> anyhow::Result<Self> {
        if let Some(path) = &arguments.from {
            return Self::recording(path, arguments);
        }
        match (&arguments.input, arguments.new_per_sec) {
            (Some(_), Some(_)) => bail!("name a workload or give --new-per-sec, not both"),
            (None, None) => bail!(
                "name a workload: a scenario ({}), a FILE.toml, a capture (pcap or pcapng) or a recording (a directory), or \
                 --new-per-sec N",
                library::names(Player::Simulation).join(", ")
            ),
            (None, Some(new_per_sec)) => {
                let synthetic = Synthetic {
                    new_per_sec,
                    mix: arguments.mix.clone(),
                    lifetime: arguments.lifetime,
                    lasts: arguments.lasts.unwrap_or(LASTS),
                };
                Ok(Self::scenario(synthetic.scenario()?, arguments))
            }
            (Some(input), None) => match library::named(input, Player::Simulation)? {
                Some(scenario) => Ok(Self::scenario(scenario, arguments)),
                None if Path::new(input).is_dir() => Self::recording(Path::new(input), arguments),
                None if is_meant_as_a_file(input) => Self::in_file(input, arguments),
                None => bail!(
                    "there is no scenario \"{}\" (the nearest is {}), and no such file: `plimsoll simulate --list` has all \
                     scenarios",
                    Untrusted::from(input.as_str()),
                    nearest(input, library::names(Player::Simulation).into_iter()).unwrap_or_default()
                ),
            },
        }
    }

    /// What a file holds is told by how it begins, whatever it is called.
    fn in_file(name: &str, arguments: &SimulateArguments) -> anyhow::Result<Self> {
        if library::ends_in(name, "toml") && !begins_as_a_capture(name)? {
            return Ok(Self::scenario(library::in_file(name)?, arguments));
        }
        if arguments.size != Size::default() {
            bail!("--size is for scenarios: a capture is played as it was recorded")
        }
        Ok(Self::Capture { captured: Captured::open(name, arguments.lasts)?, seed: arguments.seed })
    }

    fn recording(path: &Path, arguments: &SimulateArguments) -> anyhow::Result<Self> {
        if arguments.size != Size::default() {
            bail!("--size is for scenarios: a recording is played as it was recorded")
        }
        let recording = Box::new(Replayed::open(path, arguments.lasts, arguments.seed)?);
        Ok(Self::Recording { recording, seed: arguments.seed })
    }

    fn scenario(scenario: Scenario, arguments: &SimulateArguments) -> Self {
        let scenario = match arguments.lasts {
            Some(lasts) => scenario.lasting(lasts),
            None => scenario,
        };
        Self::Scenario { scenario: Box::new(scenario), seed: arguments.seed, size: arguments.size }
    }

    /// Refuses what is too much for one run under any of these settings: a limit decides how many entries stand.
    pub(super) fn refuse_too_much(&self, setups: &[Setup]) -> anyhow::Result<()> {
        let Self::Scenario { scenario, size, .. } = self else { return Ok(()) };
        let standing = |setup: &Setup| -> u64 {
            scenario.standing.iter().map(|standing| u64::from(standing.count(*size, setup.host.capacity.0))).sum()
        };
        let standing = setups.iter().map(standing).max().unwrap_or(0);
        let flows = scenario.flows_about(*size);
        if flows + standing as f64 > MOST_FLOWS {
            bail!(
                "{}: it has about {} flows and {} entries at its begin, and a simulation at most {} of both: shorten it with \
                 --for, or lower its rates and counts",
                scenario.name,
                grouped(rounded(flows)),
                grouped(standing),
                grouped(rounded(MOST_FLOWS))
            )
        }
        Ok(())
    }

    /// For one run.
    pub(super) fn workload(&self) -> Workload<'_> {
        match self {
            Self::Scenario { scenario, seed, size } => Workload::Scenario { scenario, seed: *seed, size: *size },
            Self::Capture { captured, .. } => Workload::Recorded(captured.packets()),
            Self::Recording { recording, .. } => Workload::Replayed(recording.replay()),
        }
    }

    /// The scenario, if it is one.
    pub(super) fn as_scenario(&self) -> Option<&Scenario> {
        match self {
            Self::Scenario { scenario, .. } => Some(scenario),
            Self::Capture { .. } | Self::Recording { .. } => None,
        }
    }

    /// The recording, if it is one.
    pub(super) fn as_recording(&self) -> Option<&Replayed> {
        match self {
            Self::Recording { recording, .. } => Some(recording),
            Self::Scenario { .. } | Self::Capture { .. } => None,
        }
    }

    /// What came of it under a setup, in the numbers of the world that it is of.
    pub(super) fn enlarged(&self, outcome: Outcome, setup: &Setup) -> Outcome {
        match self.as_recording() {
            Some(recording) => recording.replay().enlarge(&outcome, setup),
            None => outcome,
        }
    }

    /// How long all of it is, as far as that is known before its end.
    pub(super) fn lasts(&self) -> Option<Duration> {
        match self {
            Self::Scenario { scenario, .. } => Some(scenario.play.lasts),
            Self::Recording { recording, .. } => Some(recording.replay().lasts()),
            Self::Capture { .. } => None,
        }
    }

    /// What it is, in a line.
    pub(super) fn title(&self) -> String {
        match self {
            Self::Scenario { scenario, seed, size } => {
                let size = if *size == Size::default() { String::new() } else { format!(", size {size}") };
                let lasts = duration(rounded(scenario.play.lasts.as_secs_f64()));
                format!("{}: {} ({lasts}, seed {seed}{size})", scenario.name, scenario.title)
            }
            Self::Capture { captured, seed } => {
                let only = captured.only().map(|only| format!("the first {}, ", time(only))).unwrap_or_default();
                format!("{} ({only}seed {seed})", captured.name())
            }
            Self::Recording { recording, seed } => {
                let lasts = time(recording.replay().lasts());
                let lasts = if recording.only().is_some() { format!("the first {lasts} of it") } else { lasts };
                format!("{}: a recording, replayed ({lasts}, seed {seed})", recording.name())
            }
        }
    }

    /// What it is called.
    pub(super) fn name(&self) -> Untrusted {
        match self {
            Self::Scenario { scenario, .. } => scenario.name.clone(),
            Self::Capture { captured, .. } => captured.name(),
            Self::Recording { recording, .. } => recording.name(),
        }
    }
}

/// Whether it is meant as a file: one that is there, or what no scenario is called.
fn is_meant_as_a_file(name: &str) -> bool {
    name.contains(['/', '.']) || Path::new(name).exists()
}

fn begins_as_a_capture(name: &str) -> anyhow::Result<bool> {
    let reading = || format!("reading {}", Untrusted::from(name));
    let mut begin = Vec::new();
    open_regular(name).with_context(reading)?.take(4).read_to_end(&mut begin).with_context(reading)?;
    Ok(begin.first_chunk().is_some_and(|magic| is_capture(*magic)))
}
