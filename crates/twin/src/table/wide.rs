//! The addresses of IPv6 tuples, which have no room in an entry's line.

use super::key::Words;
use super::room::Room;

/// An arena of them.
#[derive(Debug)]
pub(super) struct Wide {
    addresses: Room<[Words; 2]>,
    free: Vec<u32>,
}

impl Wide {
    pub(super) fn new() -> Self {
        Self { addresses: Room::for_about(0), free: Vec::new() }
    }

    pub(super) fn keep(&mut self, addresses: [Words; 2]) -> u32 {
        if let Some(at) = self.free.pop() {
            self.addresses[at] = addresses;
            return at;
        }
        self.addresses.push(addresses)
    }

    pub(super) fn at(&self, at: u32) -> [Words; 2] {
        self.addresses[at]
    }

    pub(super) fn give_back(&mut self, at: u32) {
        self.free.push(at);
    }
}
