//! What sockets are looked for, and what was seen of them.

use std::collections::HashMap;
use std::net::IpAddr;

use plimsoll_model::{Entry, Layer4, Protocol, Side, SocketState};

use crate::Location;

/// One end of a flow, as a socket there has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ends {
    pub(crate) protocol: Protocol,
    pub(crate) local: (IpAddr, u16),
    pub(crate) remote: (IpAddr, u16),
}

/// Connections from one address to one service, whatever their own port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Link {
    protocol: Protocol,
    local: IpAddr,
    remote: (IpAddr, u16),
}

/// Where a server waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Port {
    protocol: Protocol,
    port: u16,
}

/// A socket that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sighting {
    pub(crate) at: Location,
    pub(crate) state: SocketState,
    pub(crate) inode: u64,
}

/// One that is bound and has no peer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    pub(crate) address: IpAddr,
    pub(crate) sighting: Sighting,
}

impl Ends {
    /// `None` for protocols whose sockets are not told.
    pub(crate) fn of(entry: &Entry, side: Side) -> Option<Self> {
        let tuple = match side {
            Side::Client => entry.original,
            Side::Server => entry.reply,
        };
        let Layer4::Ports { source, destination } = tuple.layer4 else { return None };
        matches!(tuple.protocol, Protocol::TCP | Protocol::UDP).then_some(Self {
            protocol: tuple.protocol,
            local: (tuple.source, source),
            remote: (tuple.destination, destination),
        })
    }

    pub(crate) const fn link(self) -> Link {
        Link { protocol: self.protocol, local: self.local.0, remote: self.remote }
    }

    pub(crate) const fn port(self) -> Port {
        Port { protocol: self.protocol, port: self.local.1 }
    }
}

/// Sockets by what is asked of them. A key that is there is looked for; its list is what was seen.
#[derive(Debug, Default)]
pub(crate) struct Sightings {
    own: HashMap<Ends, Vec<Sighting>>,
    linked: HashMap<Link, Vec<Sighting>>,
    waiting: HashMap<Port, Vec<Waiting>>,
}

/// Of one service so many other connections are kept, the last ones: enough to tell whose they are.
const MOST_LINKED: usize = 64;
/// Of one port, so many sockets in all namespaces.
const MOST_WAITING: usize = 1024;

impl Sightings {
    pub(crate) fn look_for(&mut self, entry: &Entry) {
        for side in [Side::Client, Side::Server] {
            let Some(ends) = Ends::of(entry, side) else { continue };
            self.own.entry(ends).or_default();
            self.waiting.entry(ends.port()).or_default();
            if side == Side::Client {
                self.linked.entry(ends.link()).or_default();
            }
        }
    }

    /// A socket that was seen before is as it was seen last.
    pub(crate) fn see(&mut self, ends: Ends, sighting: Sighting) {
        let has_peer = ends.remote.1 != 0;
        if !has_peer {
            if let Some(waiting) = self.waiting.get_mut(&ends.port()).filter(|waiting| waiting.len() < MOST_WAITING) {
                waiting.retain(|seen| seen.sighting != sighting);
                waiting.push(Waiting { address: ends.local.0, sighting });
            }
            return;
        }
        if let Some(own) = self.own.get_mut(&ends) {
            own.retain(|seen| seen.at != sighting.at);
            own.push(sighting);
        }
        // What nobody holds tells of nobody.
        if let Some(linked) = self.linked.get_mut(&ends.link()).filter(|_| sighting.inode != 0) {
            linked.retain(|seen| seen.inode != sighting.inode);
            if linked.len() == MOST_LINKED {
                linked.remove(0);
            }
            linked.push(sighting);
        }
    }

    pub(crate) fn own(&self, ends: Ends) -> &[Sighting] {
        self.own.get(&ends).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn linked(&self, ends: Ends) -> &[Sighting] {
        self.linked.get(&ends.link()).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn waiting(&self, ends: Ends) -> &[Waiting] {
        self.waiting.get(&ends.port()).map_or(&[], Vec::as_slice)
    }
}
