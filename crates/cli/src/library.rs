//! The scenarios that the program carries, and those in files.

use std::path::Path;

use anyhow::Context;
use plimsoll_model::Untrusted;
use plimsoll_scenario::Scenario;

use crate::files::read_small;

#[derive(Debug)]
struct Embedded {
    /// The file's, under `scenarios/`, without its ending. What lies in a folder is called by the last part.
    name: &'static str,
    text: &'static str,
}

macro_rules! embedded {
    ($($name:literal,)*) => {
        &[$(Embedded { name: $name, text: include_str!(concat!("../../../scenarios/", $name, ".toml")) },)*]
    };
}

/// Scenarios that the lab plays and a simulation too: name and text, in the order in which they are listed.
const FOR_THE_LAB: &[Embedded] = embedded![
    "healthy-web",
    "idle",
    "loadtest-keepalive",
    "burst-that-ends",
    "big-but-stable",
    "full-of-half-open",
    "http-churn",
    "syn-flood",
    "syn-flood-few-sources",
    "scan",
    "dns-unreplied",
    "idle-established",
    "half-closed",
    "proxy-without-keepalive",
    "proxy-with-keepalive",
    "kubernetes",
    "snat-ports",
    "ftp-helper",
    "namespace-full",
    "gc-pressure",
    "flood-and-churn",
    "scan-and-idle",
    "chain-cap",
];

/// Scenarios that are only simulated: they take long, or set what the lab does not.
const SIMULATED: &[Embedded] = embedded![
    "simulated/founding-short-requests",
    "simulated/founding-short-requests-30",
    "simulated/founding-syn-flood",
    "simulated/founding-dns",
    "simulated/founding-probes",
    "simulated/founding-nodeport",
    "simulated/founding-sip",
];

/// Who is going to play a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Player {
    /// The lab: those that it can play.
    Lab,
    /// A simulation: all.
    Simulation,
}

impl Player {
    fn plays(self) -> impl Iterator<Item = &'static Embedded> {
        let simulated = match self {
            Self::Lab => &[],
            Self::Simulation => SIMULATED,
        };
        FOR_THE_LAB.iter().chain(simulated)
    }
}

impl Embedded {
    fn called(&self) -> &'static str {
        self.name.rsplit('/').next().unwrap_or(self.name)
    }

    fn parse(&self) -> anyhow::Result<Scenario> {
        Ok(Scenario::parse(&format!("scenarios/{}.toml", self.name), self.text)?)
    }
}

/// Every scenario that the program carries for a player.
pub(crate) fn all(player: Player) -> anyhow::Result<Vec<Scenario>> {
    player.plays().map(Embedded::parse).collect()
}

/// The names of those.
pub(crate) fn names(player: Player) -> Vec<&'static str> {
    player.plays().map(Embedded::called).collect()
}

/// The scenario of a name; `None` if the program carries none that is called so.
pub(crate) fn named(name: &str, player: Player) -> anyhow::Result<Option<Scenario>> {
    player.plays().find(|known| known.called() == name).map(Embedded::parse).transpose()
}

/// The scenario in a file.
pub(crate) fn in_file(name: &str) -> anyhow::Result<Scenario> {
    let text = read_small(name).with_context(|| format!("reading {}", Untrusted::from(name)))?;
    Ok(Scenario::parse(name, &text)?)
}

/// A line for each scenario, for people.
pub(crate) fn listed(scenarios: &[Scenario]) -> String {
    let width = scenarios.iter().map(|scenario| scenario.name.as_str().len()).max().unwrap_or(0);
    let mut text = String::new();
    for scenario in scenarios {
        text.push_str(&format!("  {:<width$}  {}\n", scenario.name, scenario.title));
    }
    text
}

/// Whether a name is that of a file with such an ending.
pub(crate) fn ends_in(name: &str, ending: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == ending)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;

    #[test]
    fn every_scenario_is_carried_and_called_as_its_file() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
        let files_in = |folder: &Path| -> BTreeSet<String> {
            let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).filter(|file| file.is_file());
            files.map(|file| file.file_stem().unwrap().to_str().unwrap().to_string()).collect()
        };
        let (playable, simulated) = (files_in(&folder), files_in(&folder.join("simulated")));
        for (player, files) in [(Player::Lab, playable.clone()), (Player::Simulation, &playable | &simulated)] {
            let scenarios = all(player).unwrap();
            let carried: BTreeSet<_> = scenarios.iter().map(|scenario| scenario.name.to_string()).collect();
            assert_eq!(carried, files);
            assert_eq!(carried, names(player).into_iter().map(str::to_string).collect());
        }
    }

    /// At most half a minute for a person, room for twice the size, and nothing that a run refuses.
    #[test]
    fn every_scenario_of_the_lab_can_be_played_at_half_and_at_twice_its_size() {
        for scenario in all(Player::Lab).unwrap() {
            assert!(scenario.play.check_at.as_secs() <= 20, "{}", scenario.name);
            assert!(
                scenario.about.iter().map(|line| line.as_str().len()).sum::<usize>() > 100,
                "{}: say more",
                scenario.name
            );
            for size in ["0.5", "1", "2"] {
                let volume = plimsoll_lab::volume(&scenario, 1, size.parse().unwrap());
                assert!(volume.is_ok(), "{} at {size}: {volume:?}", scenario.name);
            }
        }
    }
}
