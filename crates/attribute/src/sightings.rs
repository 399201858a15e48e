//! What sockets are looked for, and what was seen of them.

use std::collections::HashMap;
use std::net::IpAddr;

use plimsoll_model::{Entry, Layer4, Protocol, Side, SocketFamily, SocketState};

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
    pub(crate) protocol: Protocol,
    pub(crate) local: IpAddr,
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

/// A connection over a link, and in which of the looks at its namespace it was there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Linked {
    pub(crate) sighting: Sighting,
    family: SocketFamily,
    first: u32,
    last: u32,
}

/// A connection over a link that asked flows took, by its inode, as a look meets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    /// It has come since the look before: it may be gone in a moment.
    Now(u64),
    /// It was there in a look before.
    Before(u64),
}

/// What became of a connection within the looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// It came, or went: it is one of those that come and go.
    Short,
    /// It was there in every look. That says nothing of flows that are over.
    Kept,
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
    linked: HashMap<Link, HashMap<u64, Linked>>,
    waiting: HashMap<Port, Vec<Waiting>>,
    /// Looks at a namespace's sockets of a kind that saw all of them.
    whole_looks: HashMap<(Location, Protocol, SocketFamily), u32>,
}

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

    /// A socket that was seen before is as it was seen last. The answer is which look has met it first, if it is a connection over a link that
    /// asked flows took.
    pub(crate) fn see(&mut self, ends: Ends, family: SocketFamily, sighting: Sighting) -> Option<Met> {
        let has_peer = ends.remote.1 != 0;
        if !has_peer {
            if let Some(waiting) = self.waiting.get_mut(&ends.port()).filter(|waiting| waiting.len() < MOST_WAITING) {
                waiting.retain(|seen| seen.sighting != sighting);
                waiting.push(Waiting { address: ends.local.0, sighting });
            }
            return None;
        }
        if let Some(own) = self.own.get_mut(&ends) {
            own.retain(|seen| seen.at != sighting.at);
            own.push(sighting);
        }
        let look = self.whole_looks(sighting.at, ends.protocol, family) + 1;
        // What nobody holds tells of nobody.
        let linked = self.linked.get_mut(&ends.link()).filter(|_| sighting.inode != 0)?;
        let seen = linked.entry(sighting.inode).or_insert(Linked { sighting, family, first: look, last: look });
        *seen = Linked { sighting, last: look, ..*seen };
        match seen.first {
            first if first < look => Some(Met::Before(sighting.inode)),
            _ => (look > 1).then_some(Met::Now(sighting.inode)),
        }
    }

    /// All sockets of a kind there were seen since the last time that this was said.
    pub(crate) fn saw_all(&mut self, at: Location, protocol: Protocol, family: SocketFamily) {
        *self.whole_looks.entry((at, protocol, family)).or_default() += 1;
    }

    pub(crate) fn whole_looks(&self, at: Location, protocol: Protocol, family: SocketFamily) -> u32 {
        self.whole_looks.get(&(at, protocol, family)).copied().unwrap_or(0)
    }

    pub(crate) fn own(&self, ends: Ends) -> &[Sighting] {
        self.own.get(&ends).map_or(&[], Vec::as_slice)
    }

    /// The connections over a link, with what became of them, in no order.
    pub(crate) fn linked(&self, link: Link) -> impl Iterator<Item = (Life, Sighting)> + Clone {
        self.linked.get(&link).into_iter().flat_map(HashMap::values).map(move |linked| {
            let whole = self.whole_looks(linked.sighting.at, link.protocol, linked.family);
            let life = if linked.first > 1 || linked.last < whole { Life::Short } else { Life::Kept };
            (life, linked.sighting)
        })
    }

    pub(crate) fn links(&self) -> impl Iterator<Item = Link> {
        self.linked.keys().copied()
    }

    pub(crate) fn waiting(&self, ends: Ends) -> &[Waiting] {
        self.waiting.get(&ends.port()).map_or(&[], Vec::as_slice)
    }
}
