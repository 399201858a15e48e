//! A recorded flow's translation as a ruleset.

use plimsoll_model::{Layer4, Tuple};
use plimsoll_twin::{NatRange, NewFlow, PortRange, Rules, Ruling};

use crate::replay::timeline::Played;

/// Translates the client's packet as it was recorded, and nothing else.
#[derive(Debug)]
pub(super) struct AsRecorded<'a> {
    pub(super) flow: &'a Played,
    pub(super) port: Port,
}

/// Which port a translated source gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Port {
    /// The one that it had.
    Recorded,
    /// Any: another entry has that one.
    Any,
}

impl Rules for AsRecorded<'_> {
    fn rule(&mut self, new: &NewFlow) -> Ruling {
        if new.tuple() != self.flow.original {
            return Ruling::default();
        }
        let reply = &self.flow.reply;
        let only = |port| PortRange { first: port, last: port };
        let destination = (self.flow.translates_destination()).then(|| NatRange {
            address: reply.source,
            ports: ports(reply).map(|(source, _)| only(source)),
            is_masquerade: false,
        });
        let source = (self.flow.translates_source()).then(|| NatRange {
            address: reply.destination,
            ports: ports(reply).map(|(_, destination)| only(destination)).filter(|_| self.port == Port::Recorded),
            is_masquerade: false,
        });
        Ruling { destination, source, ..Ruling::default() }
    }
}

impl Played {
    /// Whether the side that was called is another than the one that answers.
    pub(super) fn translates_destination(&self) -> bool {
        let [called, answers] = [ports(&self.original).map(|both| both.1), ports(&self.reply).map(|both| both.0)];
        let is_icmp = matches!(self.original.layer4, Layer4::Icmp { .. });
        self.original.destination != self.reply.source || (!is_icmp && called != answers)
    }

    /// Whether the side that calls is hidden behind another.
    pub(super) fn translates_source(&self) -> bool {
        let [calls, answered] = [ports(&self.original).map(|both| both.0), ports(&self.reply).map(|both| both.1)];
        self.original.source != self.reply.destination || calls != answered
    }
}

/// Source and destination; ICMP has one identifier for both.
const fn ports(tuple: &Tuple) -> Option<(u16, u16)> {
    match tuple.layer4 {
        Layer4::Ports { source, destination } => Some((source, destination)),
        Layer4::Icmp { id, .. } => Some((id, id)),
        Layer4::None => None,
    }
}
