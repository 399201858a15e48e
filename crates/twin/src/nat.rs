//! Translation: which reply tuple a flow gets (`nf_nat_core.c`).

use std::net::IpAddr;

use plimsoll_model::{Counter, Layer4, Protocol, Status, TcpState, Tuple};

use crate::capabilities::PortReuse;
use crate::counters::RemovedBy;
use crate::memory::Extension;
use crate::rules::Ruling;
use crate::table::{Key, Node};
use crate::tick::Tick;
use crate::tracker::Memory;
use crate::tuple::inverted;
use crate::{Direction, Twin};

/// Where a flow's destination or source is translated to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NatRange {
    /// The address.
    pub address: IpAddr,
    /// Ports, or ICMP identifiers; where none are named, the packet's own if it is free, else another of its kind.
    pub ports: Option<PortRange>,
    /// Whether it is the address of the interface by which the flow leaves.
    pub is_masquerade: bool,
}

/// Ports from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// The first.
    pub first: u16,
    /// The last, no less than the first.
    pub last: u16,
}

impl PortRange {
    const fn contains(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }

    const fn count(self) -> u32 {
        self.last.saturating_sub(self.first) as u32 + 1
    }
}

/// The most ports that are tried in a row (`NF_NAT_MAX_ATTEMPTS`).
const MOST_ATTEMPTS: u32 = 128;
/// Below so many, another look begins no more.
const LEAST_ATTEMPTS: u32 = 16;
/// For the last so many of a row, a closed connection's port may be taken (`NF_NAT_HARDER_THRESH`).
const HARDER: u32 = MOST_ATTEMPTS / 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manipulation {
    Destination,
    Source,
}

impl Twin {
    /// Translates a new flow as the rules say. Where translation is at work, flows that no rule translates get another
    /// port if their own tuple is taken.
    #[inline]
    pub(crate) fn translate(&mut self, slot: u32, now: Tick, ruling: &Ruling) {
        let namespace = self.table.entry(slot).namespace;
        let is_asked_for = ruling.destination.is_some() || ruling.source.is_some();
        if is_asked_for || self.namespace(namespace).settings.translates {
            self.translate_or_find_free(slot, now, ruling);
        }
    }

    #[inline(never)]
    fn translate_or_find_free(&mut self, slot: u32, now: Tick, ruling: &Ruling) {
        if let Some(range) = &ruling.destination {
            self.set_up(slot, now, range, Manipulation::Destination);
        }
        let unchanged = NatRange { address: self.outgoing(slot).source, ports: None, is_masquerade: false };
        let range = ruling.source.unwrap_or(unchanged);
        self.set_up(slot, now, &range, Manipulation::Source);
        if range.is_masquerade {
            self.extend(slot, Extension::Masquerade);
        }
        let source = self.source_key(slot, &self.table.tuple(slot, Direction::Original));
        self.by_source.put(self.table.hash(&source), slot);
    }

    /// Forgets an entry that was translated.
    pub(crate) fn forget_source(&mut self, slot: u32) {
        if !self.by_source.has(slot) {
            return;
        }
        let source = self.source_key(slot, &self.table.tuple(slot, Direction::Original));
        self.by_source.forget(self.table.hash(&source), slot);
    }

    /// A flow as it leaves: what answers to it answer to.
    fn outgoing(&self, slot: u32) -> Tuple {
        let reply = self.table.tuple(slot, Direction::Reply);
        inverted(&reply).unwrap_or(reply)
    }

    fn set_up(&mut self, slot: u32, now: Tick, range: &NatRange, manipulation: Manipulation) {
        let before = self.outgoing(slot);
        let after = self.unique(slot, now, before, range, manipulation);
        let Some(reply) = inverted(&after).filter(|_| after != before) else { return };
        let entry = self.table.entry_mut(slot);
        let bit = match manipulation {
            Manipulation::Destination => Status::DST_NAT,
            Manipulation::Source => Status::SRC_NAT,
        };
        entry.add_status(bit);
        let place = entry.place();
        self.table.set_reply(slot, &Key::new(&reply, place));
    }

    /// A tuple within the range that nobody has, if one can be found (`get_unique_tuple`).
    fn unique(&mut self, slot: u32, now: Tick, before: Tuple, range: &NatRange, manipulation: Manipulation) -> Tuple {
        if manipulation == Manipulation::Source {
            let is_within = before.source == range.address
                && range.ports.is_none_or(|ports| port(&before, manipulation).is_none_or(|port| ports.contains(port)));
            if is_within {
                if !self.is_taken(slot, now, &before) {
                    return before;
                }
            } else if let Some(found) = self.mapped_before(slot, &before, range)
                && !self.is_taken(slot, now, &found)
            {
                return found;
            }
        }
        let mut tuple = before;
        match manipulation {
            Manipulation::Destination => tuple.destination = range.address,
            Manipulation::Source => tuple.source = range.address,
        }
        match range.ports {
            Some(ports) => {
                let is_within = port(&tuple, manipulation).is_none_or(|port| ports.contains(port));
                if is_within && (ports.count() == 1 || !self.is_taken(slot, now, &tuple)) {
                    return tuple;
                }
            }
            None if !self.is_taken(slot, now, &tuple) => return tuple,
            None => {}
        }
        self.with_free_port(slot, now, tuple, range, manipulation)
    }

    /// What this source was translated to for another destination (`find_appropriate_src`).
    fn mapped_before(&self, slot: u32, tuple: &Tuple, range: &NatRange) -> Option<Tuple> {
        let source = self.source_key(slot, tuple);
        let others = self
            .by_source
            .with(self.table.hash(&source))
            .filter(|other| self.source_key(*other, &self.table.tuple(*other, Direction::Original)) == source);
        let mut translated = others.map(|other| {
            let outgoing = self.outgoing(other);
            let layer4 = match (outgoing.layer4, tuple.layer4) {
                (Layer4::Ports { source, .. }, Layer4::Ports { destination, .. }) => {
                    Layer4::Ports { source, destination }
                }
                (layer4, _) => layer4,
            };
            Tuple { source: outgoing.source, layer4, ..*tuple }
        });
        translated.find(|tuple| {
            tuple.source == range.address
                && range
                    .ports
                    .is_none_or(|ports| port(tuple, Manipulation::Source).is_none_or(|port| ports.contains(port)))
        })
    }

    /// Looks for a free port (`nf_nat_l4proto_unique_tuple`). Where none is found, the last that was tried stays, and the
    /// packet is dropped when its entry is to be inserted.
    fn with_free_port(
        &mut self,
        slot: u32,
        now: Tick,
        mut tuple: Tuple,
        range: &NatRange,
        manipulation: Manipulation,
    ) -> Tuple {
        let Some(own) = port(&tuple, manipulation) else { return tuple };
        let is_icmp = matches!(tuple.layer4, Layer4::Icmp { .. });
        if tuple.protocol == Protocol::GRE || (manipulation == Manipulation::Destination && range.ports.is_none()) {
            return tuple;
        }
        let ports = range.ports.unwrap_or(match own {
            _ if is_icmp => PortRange { first: 0, last: u16::MAX },
            // Ports below 512 once said that root was calling.
            ..=511 => PortRange { first: 1, last: 511 },
            512..=1023 => PortRange { first: 600, last: 1023 },
            _ => PortRange { first: 1024, last: u16::MAX },
        });
        let count = ports.count();
        let mut attempts = count.min(MOST_ATTEMPTS);
        let mut offset = match manipulation {
            Manipulation::Destination => 0,
            Manipulation::Source => self.draw.below(1 << 16),
        };
        loop {
            for attempt in 0..attempts {
                let port = u16::try_from(u32::from(ports.first) + offset % count).unwrap_or(ports.first);
                set_port(&mut tuple, manipulation, port);
                if !self.is_taken_harder(slot, now, &tuple, attempts - attempt) {
                    return tuple;
                }
                offset = (offset + 1) & 0xffff;
            }
            if attempts >= count || attempts < LEAST_ATTEMPTS {
                return tuple;
            }
            attempts /= 2;
            offset = self.draw.below(1 << 16);
        }
    }

    /// Whether answers to this tuple would be another entry's (`nf_conntrack_tuple_taken`). Not another's is one that has the
    /// same original tuple: that is a clash, which is resolved at insertion.
    fn is_taken(&mut self, slot: u32, now: Tick, tuple: &Tuple) -> bool {
        let Some(key) = self.reply_key(slot, tuple) else { return false };
        let Some(Node { slot: other, .. }) = self.find(&self.table.asked(key), now) else { return false };
        if self.table.key(other, Direction::Original) == self.table.key(slot, Direction::Original) {
            return false;
        }
        let namespace = self.table.entry(slot).namespace;
        self.namespace_mut(namespace).counters.count(Counter::Found);
        true
    }

    /// The same; but in the end a closed connection's port is taken.
    fn is_taken_harder(&mut self, slot: u32, now: Tick, tuple: &Tuple, attempts_left: u32) -> bool {
        let Memory::Tcp(new) = *self.table.memory(slot) else { return self.is_taken(slot, now, tuple) };
        if attempts_left > HARDER
            || self.host.capabilities.port_reuse == PortReuse::Never
            || new.state() != TcpState::SynSent
        {
            return self.is_taken(slot, now, tuple);
        }
        let Some(key) = self.reply_key(slot, tuple) else { return false };
        let Some(Node { slot: other, direction }) = self.find(&self.table.asked(key), now) else { return false };
        let entry = self.table.entry(other);
        let Memory::Tcp(old) = self.table.memory(other) else { return true };
        let client_end = |slot| self.table.windows(slot).client_end();
        let may_go = direction == Direction::Reply
            && matches!(old.state(), TcpState::TimeWait | TcpState::Close | TcpState::SynSent2)
            && !entry.status().has(Status::FIXED_TIMEOUT)
            && entry.status().has(Status::SRC_NAT)
            // The other side must be able to tell the two connections apart.
            && client_end(slot).wrapping_sub(client_end(other)).cast_signed() > 0;
        if may_go {
            self.remove(other, RemovedBy::PortTaken);
        }
        !may_go
    }

    fn reply_key(&self, slot: u32, tuple: &Tuple) -> Option<Key> {
        let entry = self.table.entry(slot);
        inverted(tuple).map(|reply| Key::new(&reply, entry.place()))
    }

    fn source_key(&self, slot: u32, tuple: &Tuple) -> Key {
        let entry = self.table.entry(slot);
        let layer4 = match tuple.layer4 {
            Layer4::Ports { source, .. } => Layer4::Ports { source, destination: 0 },
            Layer4::Icmp { id, .. } => Layer4::Icmp { id, kind: 0, code: 0 },
            Layer4::None => Layer4::None,
        };
        Key::new(&Tuple { destination: tuple.source, layer4, ..*tuple }, entry.place())
    }
}

/// The port that is changed; an ICMP identifier is both sides'.
const fn port(tuple: &Tuple, manipulation: Manipulation) -> Option<u16> {
    match (tuple.layer4, manipulation) {
        (Layer4::Ports { source, .. }, Manipulation::Source) => Some(source),
        (Layer4::Ports { destination, .. }, Manipulation::Destination) => Some(destination),
        (Layer4::Icmp { id, .. }, _) => Some(id),
        (Layer4::None, _) => None,
    }
}

const fn set_port(tuple: &mut Tuple, manipulation: Manipulation, port: u16) {
    match (&mut tuple.layer4, manipulation) {
        (Layer4::Ports { source, .. }, Manipulation::Source) => *source = port,
        (Layer4::Ports { destination, .. }, Manipulation::Destination) => *destination = port,
        (Layer4::Icmp { id, .. }, _) => *id = port,
        (Layer4::None, _) => {}
    }
}
