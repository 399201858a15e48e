//! The scenarios that the program carries, and those in files.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};
use plimsoll_model::Untrusted;
use plimsoll_scenario::Scenario;

/// Far more than a scenario has.
const MOST_BYTES: u64 = 1 << 20;

macro_rules! embedded {
    ($($name:literal,)*) => {
        &[$(($name, include_str!(concat!("../../../../scenarios/", $name, ".toml"))),)*]
    };
}

/// Name and text of each scenario, in the order in which they are listed.
const EMBEDDED: &[(&str, &str)] = embedded![
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

/// Every scenario that the program carries.
pub(crate) fn all() -> anyhow::Result<Vec<Scenario>> {
    let parsed = EMBEDDED.iter().map(|(name, text)| Scenario::parse(&format!("scenarios/{name}.toml"), text));
    Ok(parsed.collect::<Result<_, _>>()?)
}

/// The scenario of a name, or that in a file if the name ends in `.toml`.
pub(crate) fn find(name: &str) -> anyhow::Result<Scenario> {
    if Path::new(name).extension().is_some_and(|extension| extension == "toml") {
        let text = read(name).with_context(|| format!("reading {}", Untrusted::from(name)))?;
        return Ok(Scenario::parse(name, &text)?);
    }
    let Some((_, text)) = EMBEDDED.iter().find(|(known, _)| *known == name) else {
        let known: Vec<_> = EMBEDDED.iter().map(|(known, _)| *known).collect();
        bail!("there is no scenario {name:?}: name one of {}, or a file that ends in .toml", known.join(", "))
    };
    Ok(Scenario::parse(&format!("scenarios/{name}.toml"), text)?)
}

/// The text of a file. What is no regular file may have no end, or be silent for ever.
fn read(name: &str) -> anyhow::Result<String> {
    // Opening a FIFO waits for a writer: asked before.
    if !fs::metadata(name)?.is_file() {
        bail!("it is no regular file: a scenario is read from a TOML file")
    }
    let mut text = String::new();
    if File::open(name)?.take(MOST_BYTES + 1).read_to_string(&mut text)? as u64 > MOST_BYTES {
        bail!("it is larger than a scenario may be: 1 MiB")
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_scenario_is_carried_and_called_as_its_file() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios");
        let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        // Those of a folder below are only simulated.
        let files = files.filter(|file| file.is_file());
        let files: BTreeSet<_> = files.map(|file| file.file_stem().unwrap().to_str().unwrap().to_string()).collect();
        let carried: BTreeSet<_> = all().unwrap().into_iter().map(|scenario| scenario.name.to_string()).collect();
        assert_eq!(carried, files);
        assert_eq!(carried, EMBEDDED.iter().map(|(name, _)| (*name).to_string()).collect());
    }

    /// At most half a minute for a person, room for twice the size, and nothing that a run refuses.
    #[test]
    fn every_scenario_can_be_played_at_half_and_at_twice_its_size() {
        for scenario in all().unwrap() {
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
