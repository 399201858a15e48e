//! Counts and counters alone, for whoever looks each second.

use plimsoll_host::{Found, HostFs, allow_many_open_files};
use plimsoll_model::Pulse;

use crate::find::targeted;
use crate::place::Place;
use crate::{Error, Target, reading};

/// Namespaces whose pulse is taken. Two files are read of each: neither entries nor sockets, and nothing of the host but its limit.
#[derive(Debug)]
pub struct Pulses {
    host: HostFs,
    found: Vec<Found>,
}

impl Pulses {
    /// Of the namespaces that are there now.
    pub fn of(target: &Target) -> Result<Self, Error> {
        allow_many_open_files();
        let host = HostFs::new();
        let discovery = host.namespaces();
        let found = targeted(discovery.found, target)?;
        Ok(Self { host, found })
    }

    /// Reads them. What cannot be read is missing; a whole reading says why.
    pub fn read(&self) -> Vec<Pulse> {
        // One limit holds for all.
        let capacity = self.host.capacity().ok();
        self.found
            .iter()
            .map(|found| {
                let (at, occupancy, counters) = reading::counts(&self.host, Place::of(found));
                Pulse { namespace: found.namespace.clone(), at, occupancy, capacity, counters }
            })
            .collect()
    }
}
