//! Why a scenario is not played.

use plimsoll_host::{HostFs, in_namespace};
use plimsoll_scenario::{Scenario, Schedule, Size, TooManyEntries};

use crate::claim::is_of_a_lab;

/// The most that a run may take.
const MOST_FLOWS: u32 = 2_000_000;
const MOST_PACKETS: usize = 5_000_000;
const MOST_SECS: u64 = 300;

/// Entries of others from which the lab would be a burden to them, and they to it.
const MOST_ENTRIES_OF_OTHERS: u64 = 1_000;

/// Why a scenario is not played; nothing has been made yet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It has helpers listen in on a protocol that the lab does not speak.
    #[error("its flows announce media as SIP does, and the lab does not speak SIP: simulate it")]
    Sip,
    /// It takes too long.
    #[error("it lasts {secs} s, and a run takes {MOST_SECS} s at most")]
    TooLong {
        /// How long it lasts.
        secs: u64,
    },
    /// It is too large.
    #[error("at this size it has more than {MOST_FLOWS} flows or {MOST_PACKETS} packets: give a smaller --size")]
    TooLarge,
    /// It begins with too many entries.
    #[error("it begins with {entries} entries, and a run makes {MOST_FLOWS} at most: give a smaller --size")]
    TooFull {
        /// How many.
        entries: u64,
    },
    /// Entries cannot be told apart.
    #[error(transparent)]
    TooManyEntries(#[from] TooManyEntries),
    /// The host has another hash.
    #[error(
        "it needs a hash of at most {wanted} buckets, which is one for the whole host and here has {there}; the lab \
         changes nothing global, so it can be played only where that is so, as in a virtual machine of its own"
    )]
    Buckets {
        /// What it needs.
        wanted: u32,
        /// What is there.
        there: u32,
    },
    /// This host has something else to do.
    #[error(
        "this host tracks {entries} entries ({namespaces}), and shares the kernel's hash, gc and log with the lab: play \
         it elsewhere, or say --on-this-host"
    )]
    HostIsBusy {
        /// How many, in all namespaces but the lab's.
        entries: u64,
        /// The fullest of them.
        namespaces: String,
    },
    /// The kernel has no connection tracking, or does not say.
    #[error("connection tracking of this kernel: {answer}")]
    NoTracking {
        /// What was answered.
        answer: String,
    },
}

/// What a run will send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Flows.
    pub flows: u32,
    /// Packets.
    pub packets: usize,
}

/// Counts what a run will send, or refuses it for its size.
pub fn volume(scenario: &Scenario, seed: u64, size: Size) -> Result<Volume, Refusal> {
    if scenario.router.sip_port.is_some() || scenario.announces_media() {
        return Err(Refusal::Sip);
    }
    let secs = scenario.play.lasts.as_secs();
    if secs > MOST_SECS {
        return Err(Refusal::TooLong { secs });
    }
    if let Some(proxy) = &scenario.proxy {
        let requests = proxy.requests_per_sec(size) * scenario.play.lasts.as_secs_f64();
        if requests > f64::from(MOST_FLOWS) {
            return Err(Refusal::TooLarge);
        }
    }
    let mut schedule = Schedule::new(scenario, seed, size);
    let packets = schedule.by_ref().take(MOST_PACKETS + 1).count();
    let flows = schedule.flows_begun();
    if packets > MOST_PACKETS || flows > MOST_FLOWS {
        return Err(Refusal::TooLarge);
    }
    Ok(Volume { flows, packets })
}

/// Refuses to make too many entries.
pub(crate) fn refuse_many(entries: u64) -> Result<(), Refusal> {
    if entries > MOST_FLOWS.into() { Err(Refusal::TooFull { entries }) } else { Ok(()) }
}

/// Refuses where others would be disturbed.
pub fn refuse_on_a_busy_host() -> Result<(), Refusal> {
    let mut others: Vec<(u64, String)> = Vec::new();
    for found in HostFs::new().namespaces().found {
        let name = found.namespace.name.to_string();
        let Some(file) = found.file.filter(|_| !is_of_a_lab(&name)) else { continue };
        // A namespace that is gone by now has no entries.
        if let Ok(Ok(occupancy)) = in_namespace(&file, || HostFs::new().occupancy()) {
            others.push((occupancy.0.into(), name));
        }
    }
    others.sort_by(|a, b| b.cmp(a));
    let entries = others.iter().map(|(entries, _)| entries).sum();
    if entries <= MOST_ENTRIES_OF_OTHERS {
        return Ok(());
    }
    let fullest = others.iter().take(3).map(|(entries, name)| format!("{name}: {entries}"));
    Err(Refusal::HostIsBusy { entries, namespaces: fullest.collect::<Vec<_>>().join(", ") })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLS: &str = r#"
name = "calls"
title = "Calls"
about = "Two announcements."
[play]
secs = 10
[helper]
sip_port = 5060
[[traffic]]
name = "calls"
count = 1
clients = { in = "10.1.0.1" }
servers = { in = "192.0.2.1", ports = 5060 }
script = "call"
[scripts.call]
packets = """
> announce 2
< announce 2
"""
[simulate]
"#;

    #[test]
    fn what_the_lab_does_not_speak_is_refused() {
        let refused = |text: &str| volume(&Scenario::parse("x", text).unwrap(), 1, Size::default());
        assert_eq!(refused(CALLS), Err(Refusal::Sip));
        assert_eq!(refused(&CALLS.replace("[helper]\nsip_port = 5060", "")), Err(Refusal::Sip));
        let spoken = CALLS.replace("[helper]\nsip_port = 5060", "").replace("announce 2", "udp 2");
        assert_eq!(refused(&spoken), Ok(Volume { flows: 1, packets: 2 }));
    }
}
