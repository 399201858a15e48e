//! The settings from which a simulation starts: this host's, a recorded host's, or what a kernel sets by itself.

use std::collections::BTreeSet;
use std::str::FromStr;

use plimsoll_host::{HostFs, Partial};
use plimsoll_model::{Host, SizeRule, TableSize, Timeout, Untrusted};
use plimsoll_simulate::Setup;
use plimsoll_twin::{Capabilities, Version};

use super::amounts::Ram;
use super::knowledge::{Knowledge, Measured};
use super::replayed::Replayed;
use super::sysctl::Sysctl;

/// Where it starts.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) setup: Setup,
    pub(super) origin: Origin,
    /// The kernel: this host's release, the recorded host's, or the version that was named. Escaped.
    pub(super) kernel: String,
    /// By what it is known how that kernel behaves.
    pub(super) knowledge: Knowledge,
    pub(super) ram: Option<Ram>,
    /// What was read of this host, or is in the recording.
    pub(super) read: BTreeSet<Sysctl>,
    /// What could not be read, and what was taken instead.
    pub(super) notes: Vec<String>,
}

/// Whose settings they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    ThisHost,
    /// Those in force when a recording ended.
    Recording,
    KernelDefaults,
}

/// A kernel by its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kernel(pub(crate) Version);

impl FromStr for Kernel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = "must be a kernel's version, as 5.10 or 6.1";
        Version::of_release(text).map(Self).ok_or(wrong.to_string())
    }
}

impl Base {
    /// What a kernel sets by itself; what of both is not named is this host's.
    pub(super) fn of_kernel(kernel: Option<Kernel>, ram: Option<Ram>, seed: u64) -> Self {
        let host = HostFs::new().host().read;
        let mut base = Self::by_itself(&host, kernel, ram, seed);
        if let Some(Kernel(version)) = kernel {
            base.kernel = version.to_string();
        }
        base
    }

    /// This host's, as its network namespace shows them.
    pub(super) fn of_this_host(seed: u64) -> Self {
        let fs = HostFs::new();
        let Partial { read: host, .. } = fs.host();
        let mut base = Self::by_itself(&host, None, None, seed);
        let mut missing = Vec::new();
        for sysctl in Sysctl::all() {
            match fs.sysctl(sysctl.known()) {
                Ok(value) => match sysctl.set(&mut base.setup, value) {
                    Ok(()) => drop(base.read.insert(sysctl)),
                    Err(error) => base.notes.push(format!("{error}; taken as by default")),
                },
                Err(error) if error.is_absent() => missing.push(sysctl),
                Err(error) => base.notes.push(format!("{error}; {sysctl} is taken as by default")),
            }
        }
        if base.read.is_empty() {
            base.notes.push(format!(
                "this host shows no settings of conntrack, as where nf_conntrack is not loaded: those that Linux {} sets by \
                 itself are taken",
                base.kernel
            ));
        } else {
            base.origin = Origin::ThisHost;
            let missing: Vec<_> =
                missing.iter().filter(|sysctl| is_everywhere(sysctl)).map(|sysctl| sysctl.known().name()).collect();
            if !missing.is_empty() {
                base.notes.push(format!("not to be read here, and taken as by default: {}", missing.join(", ")));
            }
        }
        base
    }

    /// Those in force when the recording ended; its kernel behaves as its release lets guess.
    pub(super) fn of_recording(recording: &Replayed, seed: u64) -> Self {
        let mut notes = Vec::new();
        let release = Some(recording.release()).filter(|release| !release.is_empty());
        let version = version_or_newest(release, "the recorded", &mut notes);
        let mut setup = recording.setup(Capabilities::guess(version), seed);
        let mut read = BTreeSet::new();
        let mut missing = Vec::new();
        for sysctl in Sysctl::all() {
            let Some(taken) = setup.get(sysctl.known()) else { continue };
            match recording.setting(sysctl) {
                Some(recorded) if recorded == taken => drop(read.insert(sysctl)),
                Some(recorded) => notes.push(format!("{sysctl} is {recorded} in the recording; taken as {taken}")),
                None if is_everywhere(&sysctl) => missing.push(sysctl.known().name()),
                None => {}
            }
        }
        let origin = if read.is_empty() { Origin::KernelDefaults } else { Origin::Recording };
        if read.is_empty() {
            setup = by_default(version, None, seed);
            notes.push("the recording holds no settings: those that its kernel sets by itself are taken".to_string());
        } else if !missing.is_empty() {
            notes.push(format!("not in the recording, and taken as by default: {}", missing.join(", ")));
        }
        for sysctl in recording.changed() {
            notes.push(format!("{sysctl} was changed while it was recorded: its value at the end is taken"));
        }
        if recording.has_several_kernels() {
            notes.push("it was recorded on several kernels: the last one's behaviour is taken".to_string());
        }
        Self {
            setup,
            origin,
            kernel: release.map_or_else(|| version.to_string(), |release| Untrusted::from(release).to_string()),
            knowledge: Knowledge::Version(preset(version)),
            ram: None,
            read,
            notes,
        }
    }

    /// Has the kernel behave as it was measured.
    pub(super) fn measured(mut self, measured: Measured) -> Self {
        self.setup.host.capabilities = measured.capabilities;
        self.knowledge = Knowledge::Measured(measured);
        self
    }

    fn by_itself(host: &Host, kernel: Option<Kernel>, ram: Option<Ram>, seed: u64) -> Self {
        let mut notes = Vec::new();
        let release = host.kernel.as_ref().map(|kernel| kernel.as_str().trim());
        let named = kernel.map(|Kernel(version)| version);
        let version = named.unwrap_or_else(|| version_or_newest(release, "this host's", &mut notes));
        let ram = ram.or(host.ram_bytes.map(|bytes| Ram { bytes }));
        if ram.is_none() {
            notes.push("how much memory this host has cannot be read: taken as more than 4 GiB".to_string());
        }
        Self {
            setup: by_default(version, ram, seed),
            origin: Origin::KernelDefaults,
            kernel: release.map_or_else(|| version.to_string(), str::to_string),
            knowledge: Knowledge::Version(preset(version)),
            ram,
            read: BTreeSet::new(),
            notes,
        }
    }
}

/// What a kernel sets by itself.
fn by_default(version: Version, ram: Option<Ram>, seed: u64) -> Setup {
    let mut setup = Setup::stock(Capabilities::guess(version), seed);
    let rule = if version < Version::new(5, 15, 0) { SizeRule::UpTo5_10 } else { SizeRule::Since5_15 };
    let size = TableSize::by_ram(ram.map_or(u64::MAX, |ram| ram.bytes), rule);
    setup.host.buckets = size.buckets;
    setup.host.capacity = size.capacity;
    setup.host.expect_max = size.expect_max();
    if version < Version::new(5, 0, 0) {
        // nf_conntrack_proto_udp.c
        setup.settings.timeouts = [(Timeout::UdpStream, 180)].into_iter().collect();
    }
    setup
}

/// A release's version; `whose` kernel it is goes into the note where it has none.
fn version_or_newest(release: Option<&str>, whose: &str, notes: &mut Vec<String>) -> Version {
    release.and_then(Version::of_release).unwrap_or_else(|| {
        notes.push(format!("{whose} kernel has no version that is known: taken as {}", newest()));
        newest()
    })
}

fn newest() -> Version {
    Capabilities::PRESETS.last().map_or(Version::new(6, 18, 44), |(version, _)| *version)
}

/// The version whose behaviour is the guess for this one.
fn preset(version: Version) -> Version {
    let oldest = Capabilities::PRESETS.first();
    let preset = Capabilities::PRESETS.iter().rev().find(|(from, _)| *from <= version).or(oldest);
    preset.map_or(version, |(version, _)| *version)
}

/// Whether every kernel shows it: the others depend on how it was built, or on its version.
fn is_everywhere(sysctl: &Sysctl) -> bool {
    const SOME: [&str; 4] = ["tcp_ignore_invalid_rst", "acct", "timestamp", "events"];
    let of_some = sysctl.known().timeout();
    of_some.is_none_or(Timeout::is_on_every_kernel) && !SOME.contains(&sysctl.short())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_follow_the_version_and_the_memory() {
        let sizes = |kernel: &str, ram: &str| {
            let base = Base::of_kernel(Some(kernel.parse().unwrap()), Some(ram.parse().unwrap()), 1);
            (base.setup.host.capacity.0, base.setup.host.buckets.0, base.knowledge.behaves_as().to_string())
        };
        assert_eq!(sizes("5.10", "16G"), (262_144, 65_536, "5.10".to_string()));
        assert_eq!(sizes("6.8.0-45-generic", "16G"), (262_144, 262_144, "6.1".to_string()));
        assert_eq!(sizes("6.18", "2G"), (65_536, 65_536, "6.18.44".to_string()));
        let old = Base::of_kernel(Some("4.19".parse().unwrap()), None, 1);
        assert_eq!(old.setup.get("nf_conntrack_udp_timeout_stream".parse().unwrap()), Some(180));
        assert_eq!((old.kernel.as_str(), old.knowledge.behaves_as().to_string()), ("4.19", "5.4".to_string()));
    }
}
