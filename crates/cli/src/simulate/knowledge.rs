//! How well the twin knows the kernel: by a guess from its version, or as measured.

use anyhow::{Context, anyhow, bail};
use plimsoll_diagnose::words::grouped;
use plimsoll_model::Untrusted;
use plimsoll_twin::{Capabilities, Version};
use serde::Deserialize;

use crate::files::read_small;

/// What `lab conform --json` calls its document.
const SCHEMA: &str = "plimsoll.conform/1";

/// By what it is known how the kernel behaves.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Knowledge {
    /// By its version, which is a guess: this preset's.
    Version(Version),
    /// By what `plimsoll lab conform` measured.
    Measured(Measured),
}

/// What `plimsoll lab conform` measured.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Measured {
    /// On which kernel.
    release: Untrusted,
    pub(crate) capabilities: Capabilities,
    /// Capabilities that could not be asked for.
    guessed: usize,
    flows: u64,
    /// Share of flows in which twin and kernel agreed.
    agreement: f64,
    /// The least share of such flows in which they agree, with 95 % confidence, where none differed.
    pub(super) agreement_at_least: Option<f64>,
}

#[derive(Deserialize)]
struct Document {
    schema: String,
    release: String,
    capabilities: Vec<Capability>,
    flows: u64,
    agreement: f64,
    agreement_at_least: Option<f64>,
}

#[derive(Deserialize)]
struct Capability {
    name: String,
    way: String,
    measured: bool,
}

impl Measured {
    /// Reads what `lab conform --json` wrote.
    pub(crate) fn read(file: &str) -> anyhow::Result<Self> {
        let reading = || format!("reading {}", Untrusted::from(file));
        Self::parse(&read_small(file).with_context(reading)?).with_context(reading)
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let wanted = "it is not what `plimsoll lab conform --json` writes";
        let document: Document = serde_json::from_str(text).context(wanted)?;
        if document.schema != SCHEMA {
            bail!("{wanted}: its schema is \"{}\", not {SCHEMA}", Untrusted::from(document.schema.as_str()))
        }
        let release = Untrusted::from(document.release.as_str());
        // What is not measured, as the size of an entry, follows from the version.
        let version =
            Version::of_release(&document.release).ok_or_else(|| anyhow!("{release} begins with no version"))?;
        let mut capabilities = Capabilities::guess(version);
        for Capability { name, way, .. } in &document.capabilities {
            let known = capabilities.with(name, way);
            capabilities = known.ok_or_else(|| {
                let (name, way) = (Untrusted::from(name.as_str()), Untrusted::from(way.as_str()));
                anyhow!(
                    "the capability \"{name}\": \"{way}\" is not known: measure it again with this version of plimsoll"
                )
            })?;
        }
        Ok(Self {
            release,
            capabilities,
            guessed: document.capabilities.iter().filter(|capability| !capability.measured).count(),
            flows: document.flows,
            agreement: document.agreement,
            agreement_at_least: document.agreement_at_least,
        })
    }
}

impl Knowledge {
    /// For people.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Version(version) => {
                format!("as Linux {version}, guessed from the version; `plimsoll lab conform` measures it")
            }
            Self::Measured(measured) => {
                let agreement = match measured.agreement_at_least {
                    Some(least) => {
                        format!("agreed in all, with 95% confidence in {:.2}% of such or more", least * 100.0)
                    }
                    None => format!("agreed in {:.2}%", measured.agreement * 100.0),
                };
                let guessed = match measured.guessed {
                    0 => String::new(),
                    number => format!("; {number} capabilities are guessed from the version"),
                };
                let flows = grouped(measured.flows);
                format!(
                    "as measured on Linux {}: of {flows} flows twin and kernel {agreement}{guessed}",
                    measured.release
                )
            }
        }
    }

    /// For programs: what it behaves as.
    pub(super) fn behaves_as(&self) -> Untrusted {
        match self {
            Self::Version(version) => Untrusted::from(version.to_string().as_str()),
            Self::Measured(measured) => measured.release.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(capability: &str, way: &str) -> String {
        format!(
            r#"{{"schema": "plimsoll.conform/1", "release": "5.15.0-x", "flows": 1000, "agreement": 1.0,
            "agreement_at_least": 0.997, "capabilities": [{{"name": "{capability}", "way": "{way}", "measured": false}}]}}"#
        )
    }

    #[test]
    fn what_was_measured_stands_over_the_guess() {
        let measured = Measured::parse(&document("chain_cap", "as long as it will")).map_err(|error| error.to_string());
        assert!(measured.is_err_and(|error| error.contains("measure it again")));
        let measured = Measured::parse(&document("window_excess", "passed")).unwrap();
        let guess = Capabilities::LINUX_5_15;
        assert_eq!(measured.capabilities, guess.with("window_excess", "passed").unwrap());
        assert_ne!(measured.capabilities, guess);
        let words = Knowledge::Measured(measured).words();
        assert!(
            words.contains("Linux 5.15.0-x") && words.contains("99.70%") && words.contains("1 capabilities"),
            "{words}"
        );
    }

    #[test]
    fn what_is_no_such_document_is_refused() {
        for wrong in ["", "{}", "[]", &document("window_excess", "passed").replace("conform/1", "check/1")] {
            assert!(Measured::parse(wrong).is_err(), "{wrong}");
        }
    }
}
