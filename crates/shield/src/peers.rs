//! Who has completed flows, as the table shows.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use plimsoll_model::{Class, Entry, Protocol, ProtocolState, Shield, Status, TcpState};

/// The flows of one source that are of a shield's class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flows {
    /// With a handshake that is done; of UDP, with an answer.
    pub done: u64,
    /// Without. They are counted of sources alone that were hit.
    pub open: u64,
}

impl Flows {
    /// Whether they look like those of somebody who means to talk: no more are half-open than have come about. What floods, and has
    /// completed a handshake now and then, does not.
    pub const fn are_meant(self) -> bool {
        self.done > 0 && self.done >= self.open
    }
}

/// The sources of a table's flows, as far as they matter to a shield.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peers {
    sources: HashMap<IpAddr, Flows>,
}

/// Sources that are kept; those that come later are not counted, neither as hit nor as spared.
const MOST_SOURCES: usize = 1 << 20;

impl Peers {
    /// Counts an entry. A flood leaves entries of a million sources of which nothing is to be known but that they came: half-open flows
    /// are counted of those sources alone that were hit.
    pub fn count(&mut self, entry: &Entry, shield: &Shield, hit: &HashSet<IpAddr>) {
        if !is_of(entry, &shield.class) {
            return;
        }
        let source = entry.original.source;
        let is_done = is_done(entry);
        if (is_done || hit.contains(&source))
            && (self.sources.len() < MOST_SOURCES || self.sources.contains_key(&source))
        {
            let flows = self.sources.entry(source).or_default();
            if is_done { flows.done += 1 } else { flows.open += 1 }
        }
    }

    /// Keeps what was known before: whom a shield keeps out has no new flows, and must not be forgotten for it.
    #[must_use]
    pub fn and_before(mut self, before: &Self) -> Self {
        for (source, flows) in &before.sources {
            if flows.are_meant() && (self.sources.len() < MOST_SOURCES || self.sources.contains_key(source)) {
                let now = self.sources.entry(*source).or_default();
                now.done = now.done.max(flows.done);
            }
        }
        self
    }

    /// The sources, and what is known of each.
    pub fn iter(&self) -> impl Iterator<Item = (IpAddr, Flows)> {
        self.sources.iter().map(|(source, flows)| (*source, *flows))
    }

    /// Those of a source.
    pub fn of(&self, source: IpAddr) -> Flows {
        self.sources.get(&source).copied().unwrap_or_default()
    }
}

/// Whether a flow's first packet was of the class, as the rules before tracking see it: before any translation.
fn is_of(entry: &Entry, class: &Class) -> bool {
    let protocol = match class {
        Class::Syns { .. } | Class::Handshakes { .. } => Protocol::TCP,
        Class::Datagrams { .. } => Protocol::UDP,
    };
    let port = entry.original.service().map(|service| service.port);
    entry.original.protocol == protocol
        && class.ports().is_none_or(|ports| port.is_some_and(|port| ports.contains(port)))
}

/// A TCP handshake that is done has made the entry assured, or has come further than half-open. UDP has no handshake: an answer is all
/// that shows that somebody talks.
fn is_done(entry: &Entry) -> bool {
    match entry.state {
        ProtocolState::Tcp(TcpState::SynSent | TcpState::SynRecv | TcpState::SynSent2 | TcpState::None) => false,
        ProtocolState::Tcp(_) => entry.status.has(Status::ASSURED),
        _ => entry.status.has(Status::SEEN_REPLY),
    }
}
