//! Configurations for tests.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::{Action, Config, Dropped, Room, Scope};

/// In force for as long as a test may take.
pub(crate) fn empty() -> Config {
    Config {
        until: plimsoll_host::boottime_now() + Duration::from_hours(1),
        action: Action::Enforce,
        owner: 7,
        allowed: Vec::new(),
        dropped: Vec::new(),
        scope: Scope::All,
        tcp: None,
        udp: None,
        room: Room { sources: number(4096), listed: number(1024), hits: number(1024) },
    }
}

/// Networks that are allowed, and that are dropped until so many seconds after boot.
pub(crate) fn lists(allowed: &[&str], dropped: &[(&str, u64)]) -> Config {
    let dropped = dropped.iter().map(|(network, until_secs)| Dropped {
        network: network.parse().unwrap(),
        until: Duration::from_secs(*until_secs),
    });
    let allowed = allowed.iter().map(|network| network.parse().unwrap());
    Config { allowed: allowed.collect(), dropped: dropped.collect(), ..empty() }
}

pub(crate) fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}
