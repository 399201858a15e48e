//! What is simulated, as it was asked for.

use std::time::Duration;

use anyhow::{Context, bail};
use plimsoll_diagnose::words::{duration, grouped, rounded};
use plimsoll_model::Untrusted;
use plimsoll_scenario::{Scenario, Size};
use plimsoll_simulate::Workload;

use super::recorded::Recording;
use super::synthetic::Synthetic;
use crate::arguments::SimulateArguments;
use crate::library::{self, Player};
use crate::nearest::nearest;

/// How long a workload from flags lasts if nothing else is said.
const LASTS: Duration = Duration::from_mins(5);

/// The most flows of one run: each has a number of 32 bits.
const MOST_FLOWS: f64 = 1e9;

/// What is simulated.
#[derive(Debug)]
pub(super) enum Source {
    Scenario { scenario: Box<Scenario>, seed: u64, size: Size },
    Recording(Recording),
}

impl Source {
    /// What the command line asks for.
    pub(super) fn of(arguments: &SimulateArguments) -> anyhow::Result<Self> {
        match (&arguments.input, arguments.new_per_sec) {
            (Some(_), Some(_)) => bail!("name a workload or give --new-per-sec, not both"),
            (None, None) => bail!(
                "name a workload: a scenario ({}), a FILE.toml, FILE.pcap or FILE.pcapng, or --new-per-sec N",
                library::names(Player::Simulation).join(", ")
            ),
            (None, Some(new_per_sec)) => {
                let synthetic = Synthetic {
                    new_per_sec,
                    mix: arguments.mix.clone(),
                    lifetime: arguments.lifetime,
                    lasts: arguments.lasts.unwrap_or(LASTS),
                };
                Self::scenario(synthetic.scenario()?, arguments)
            }
            (Some(input), None) if ["pcap", "pcapng"].iter().any(|ending| library::ends_in(input, ending)) => {
                if arguments.size != Size::default() {
                    bail!("--size is for scenarios: a capture is played as it was recorded")
                }
                Ok(Self::Recording(Recording::open(input, arguments.lasts)?))
            }
            (Some(input), None) => {
                let scenario = find(input)?;
                let scenario = match arguments.lasts {
                    Some(lasts) => scenario.lasting(lasts),
                    None => scenario,
                };
                Self::scenario(scenario, arguments).with_context(|| Untrusted::from(input.as_str()).to_string())
            }
        }
    }

    fn scenario(scenario: Scenario, arguments: &SimulateArguments) -> anyhow::Result<Self> {
        let flows = scenario.flows_about(arguments.size);
        if flows > MOST_FLOWS {
            bail!(
                "it has about {} flows, and a simulation at most {}: shorten it with --for, or lower its rate",
                grouped(rounded(flows)),
                grouped(rounded(MOST_FLOWS))
            )
        }
        Ok(Self::Scenario { scenario: Box::new(scenario), seed: arguments.seed, size: arguments.size })
    }

    /// For one run.
    pub(super) fn workload(&self) -> Workload<'_> {
        match self {
            Self::Scenario { scenario, seed, size } => Workload::Scenario { scenario, seed: *seed, size: *size },
            Self::Recording(recording) => Workload::Recorded(recording.packets()),
        }
    }

    /// The scenario, if it is one.
    pub(super) fn as_scenario(&self) -> Option<&Scenario> {
        match self {
            Self::Scenario { scenario, .. } => Some(scenario),
            Self::Recording(_) => None,
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
            Self::Recording(recording) => recording.name().to_string(),
        }
    }

    /// What it is called.
    pub(super) fn name(&self) -> Untrusted {
        match self {
            Self::Scenario { scenario, .. } => scenario.name.clone(),
            Self::Recording(recording) => recording.name(),
        }
    }
}

fn find(input: &str) -> anyhow::Result<Scenario> {
    if library::ends_in(input, "toml") {
        return library::in_file(input);
    }
    let names = library::names(Player::Simulation);
    library::named(input, Player::Simulation)?.with_context(|| {
        let near = nearest(input, names.into_iter()).unwrap_or_default();
        format!(
            "there is no scenario \"{}\" (the nearest is {near}): `plimsoll simulate --list` has all; or name a file that ends \
             in .toml, .pcap or .pcapng",
            Untrusted::from(input),
        )
    })
}
