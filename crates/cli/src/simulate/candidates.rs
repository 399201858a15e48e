//! The settings that are compared.

use std::collections::BTreeMap;

use anyhow::{anyhow, bail};
use plimsoll_plan::Profile;
use plimsoll_scenario::Scenario;
use plimsoll_simulate::Setup;
use serde::Serialize;

use super::base::{Base, Origin};
use super::sysctl::{Assignment, Swept, Sysctl};

/// The most that are compared at once.
const MOST: usize = 64;

/// The most buckets for which there is room: half a gibibyte for each run.
const MOST_BUCKETS: u32 = 1 << 27;

/// Settings, and what was swept to come to them.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// In which they differ from the others.
    pub(super) swept: Vec<(Sysctl, u32)>,
    pub(super) setup: Setup,
    whence: BTreeMap<Sysctl, Whence>,
}

/// Where a setting comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Whence {
    Host,
    Recording,
    KernelDefault,
    Scenario,
    Profile,
    Set,
    Sweep,
}

/// What is laid over the base, the lowest first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layers<'a> {
    pub(super) scenario: Option<&'a Scenario>,
    pub(super) profile: Option<Profile>,
    pub(super) set: &'a [Assignment],
    pub(super) sweep: &'a [Swept],
}

impl Candidate {
    /// Every setting in force, its value and where it comes from.
    pub(super) fn settings(&self, base: &Base) -> impl Iterator<Item = (Sysctl, u32, Whence)> {
        Sysctl::all().filter_map(|sysctl| {
            let value = self.setup.get(sysctl.known())?;
            let of_base = match base.origin {
                Origin::ThisHost if base.read.contains(&sysctl) => Whence::Host,
                Origin::Recording if base.read.contains(&sysctl) => Whence::Recording,
                Origin::ThisHost | Origin::Recording | Origin::KernelDefaults => Whence::KernelDefault,
            };
            let whence = self.whence.get(&sysctl).copied().unwrap_or(of_base);
            Some((sysctl, value, whence))
        })
    }

    /// What it is called beside others: `udp_timeout=30 max=65536`.
    pub(super) fn label(&self) -> String {
        let value = |(sysctl, value): &(Sysctl, u32)| match self.in_force_instead(sysctl, *value) {
            Some(there) => format!("{}={value} (in force: {there})", sysctl.short()),
            None => format!("{}={value}", sysctl.short()),
        };
        let values: Vec<_> = self.swept.iter().map(value).collect();
        if values.is_empty() { "as set".to_string() } else { values.join(" ") }
    }

    /// What is in force in place of a value that was set: the kernel rounds buckets up.
    pub(super) fn in_force_instead(&self, sysctl: &Sysctl, set: u32) -> Option<u32> {
        self.setup.get(sysctl.known()).filter(|there| *there != set)
    }

    fn set(&mut self, sysctl: &Sysctl, value: u32, whence: Whence) -> anyhow::Result<()> {
        sysctl.set(&mut self.setup, value).map_err(|error| anyhow!(error))?;
        self.whence.insert(*sysctl, whence);
        Ok(())
    }
}

/// Every combination of what is swept, in the order in which it was written.
pub(super) fn candidates(base: &Base, layers: Layers<'_>) -> anyhow::Result<Vec<Candidate>> {
    for (number, swept) in layers.sweep.iter().enumerate() {
        let before = layers.sweep.iter().take(number);
        if before.map(|swept| &swept.sysctl).any(|before| *before == swept.sysctl) {
            bail!("{} is swept twice: write all values into one --sweep", swept.sysctl)
        }
        if layers.set.iter().any(|set| set.sysctl == swept.sysctl) {
            bail!("{} is both set and swept: leave out one of them", swept.sysctl)
        }
    }
    let number = layers.sweep.iter().try_fold(1_usize, |number, swept| number.checked_mul(swept.values.len()));
    if number.is_none_or(|number| number > MOST) {
        bail!("more than {MOST} combinations are swept: sweep fewer values")
    }
    let mut candidates = vec![below(base, layers)?];
    for swept in layers.sweep {
        let mut wider = Vec::new();
        for candidate in candidates {
            for value in &swept.values {
                let mut candidate = candidate.clone();
                candidate.set(&swept.sysctl, *value, Whence::Sweep)?;
                candidate.swept.push((swept.sysctl, *value));
                wider.push(candidate);
            }
        }
        candidates = wider;
    }
    if let Some(candidate) = candidates.iter().find(|candidate| candidate.setup.host.buckets.0 > MOST_BUCKETS) {
        let buckets = candidate.setup.host.buckets;
        bail!("net.netfilter.nf_conntrack_buckets is {buckets}, and a simulation has room for {MOST_BUCKETS}")
    }
    Ok(candidates)
}

/// All but what is swept.
fn below(base: &Base, layers: Layers<'_>) -> anyhow::Result<Candidate> {
    let mut candidate = Candidate { swept: Vec::new(), setup: base.setup.clone(), whence: BTreeMap::new() };
    let own = layers.scenario.and_then(|scenario| scenario.simulate.as_ref()).map(|simulate| &simulate.sysctls);
    for (name, value) in own.into_iter().flatten() {
        let sysctl: Sysctl = name.as_str().parse().map_err(|error| anyhow!("[simulate] of the scenario: {error}"))?;
        candidate.set(&sysctl, *value, Whence::Scenario)?;
    }
    if let Some(profile) = layers.profile {
        for (sysctl, value) in profile.settings(candidate.setup.host.buckets.0) {
            let Some(sysctl) = Sysctl::simulated(sysctl) else { continue };
            candidate.set(&sysctl, value, Whence::Profile)?;
        }
    }
    for Assignment { sysctl, value } in layers.set {
        candidate.set(sysctl, *value, Whence::Set)?;
    }
    Ok(candidate)
}

impl Base {
    /// In a few words.
    pub(super) fn words(&self) -> String {
        match (self.origin, self.ram) {
            (Origin::ThisHost, _) => format!("this host's (Linux {})", self.kernel),
            (Origin::Recording, _) => format!("those in force when it was recorded (Linux {})", self.kernel),
            (Origin::KernelDefaults, Some(ram)) => {
                format!("those that Linux {} sets by itself with {ram} of RAM", self.kernel)
            }
            (Origin::KernelDefaults, None) => format!("those that Linux {} sets by itself", self.kernel),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Base {
        Base::of_kernel(Some("6.1".parse().unwrap()), Some("16G".parse().unwrap()), 1)
    }

    fn layers<'a>(set: &'a [Assignment], sweep: &'a [Swept]) -> Layers<'a> {
        Layers { scenario: None, profile: Some(Profile::Dns), set, sweep }
    }

    #[test]
    fn the_upper_layer_wins_and_all_combinations_are_there() {
        let set = ["nf_conntrack_udp_timeout=7".parse().unwrap()];
        let sweep = ["nf_conntrack_max=1,2".parse().unwrap(), "nf_conntrack_buckets=512,1024".parse().unwrap()];
        let base = base();
        let candidates = candidates(&base, layers(&set, &sweep)).unwrap();
        let labels: Vec<_> = candidates.iter().map(Candidate::label).collect();
        assert_eq!(labels, ["max=1 buckets=512", "max=1 buckets=1024", "max=2 buckets=512", "max=2 buckets=1024"]);
        for candidate in &candidates {
            let of = |name: &str| {
                let mut settings = candidate.settings(&base).filter(|(sysctl, ..)| sysctl.short() == name);
                settings.next().map(|(_, value, whence)| (value, whence))
            };
            assert_eq!(of("udp_timeout"), Some((7, Whence::Set)));
            assert_eq!(of("udp_timeout_stream"), Some((60, Whence::Profile)));
            assert_eq!(of("icmp_timeout"), Some((30, Whence::KernelDefault)));
            assert_eq!(of("max").map(|(_, whence)| whence), Some(Whence::Sweep));
        }
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let parsed = |sweep: &[&str]| sweep.iter().map(|swept| swept.parse().unwrap()).collect::<Vec<Swept>>();
        let many = (1..=65).map(|value| value.to_string()).collect::<Vec<_>>().join(",");
        for (sweep, problem) in [
            (parsed(&["nf_conntrack_max=1", "nf_conntrack_max=2"]), "swept twice"),
            (parsed(&["nf_conntrack_udp_timeout=1"]), "both set and swept"),
            (parsed(&[&format!("nf_conntrack_max={many}")]), "more than 64"),
            (parsed(&["nf_conntrack_tcp_loose=0,2"]), "cannot be 2"),
            (parsed(&["nf_conntrack_buckets=536870912"]), "has room for"),
        ] {
            let set = ["nf_conntrack_udp_timeout=7".parse().unwrap()];
            let error = candidates(&base(), layers(&set, &sweep)).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
