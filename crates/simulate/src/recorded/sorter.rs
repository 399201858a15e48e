//! Says what recorded packets are, and to which flows they belong.

use std::time::Duration;

use plimsoll_model::Tuple;
use plimsoll_twin::packet::{Content, Packet};
use plimsoll_twin::parse::{self, Checksums};
use plimsoll_twin::{Asker, Capabilities};

use super::flows::{Flows, Sought};
use super::heard::{Heard, Kept, Kind, OfFlow};
use super::key::Which;
use crate::Datagram;

/// Packets are heard first, some of them, and then their flows are looked up, whose memory has come meanwhile.
pub(super) struct Sorter {
    capabilities: Capabilities,
    asker: Asker,
    pub(super) flows: Flows,
    /// Of the packets that were heard, beside what lies in the batch itself.
    pub(super) kept_bytes: usize,
    /// The places in the batch of the packets that were heard last, and which flows are sought for them.
    sought: Vec<(usize, Sought, Which)>,
    /// When the first came.
    begin: Option<Duration>,
    now: Duration,
}

impl Sorter {
    /// Of packets that come to the asker's place.
    pub(super) fn new(capabilities: Capabilities, asker: Asker) -> Self {
        Self {
            capabilities,
            asker,
            flows: Flows::new(),
            kept_bytes: 0,
            sought: Vec::new(),
            begin: None,
            now: Duration::ZERO,
        }
    }

    /// Puts a packet behind those that are in the batch, and begins to look for its flow.
    #[inline]
    pub(super) fn hear(&mut self, datagram: Datagram<'_>, batch: &mut Vec<Heard>) {
        let Datagram { at, bytes } = datagram;
        let begin = *self.begin.get_or_insert(at);
        if let Some(since) = at.checked_sub(begin)
            && since > self.now
        {
            self.now = since;
        }
        match parse::segment(bytes, Checksums::Ignored) {
            Some((tuple, segment)) => self.ask(&tuple, Kept::Content(Content::Tcp(segment)), batch),
            None => self.hear_another(bytes, batch),
        }
    }

    /// By itself, so that beside it there is room for what comes most often.
    #[inline(never)]
    fn hear_another(&mut self, bytes: &[u8], batch: &mut Vec<Heard>) {
        let stray = match parse::packet(bytes, Checksums::Ignored, &self.capabilities) {
            Packet::Flow { tuple, content } => {
                let kept = Kept::of(&content);
                self.kept_bytes += kept.bytes();
                return self.ask(&tuple, kept, batch);
            }
            Packet::IcmpError(error) => Packet::IcmpError(error),
            Packet::Unwatched => Packet::Unwatched,
            Packet::Unreadable => Packet::Unreadable,
        };
        batch.push(Heard { at: self.now, packet: Kind::Stray(stray) });
    }

    #[inline]
    fn ask(&mut self, tuple: &Tuple, content: Kept, batch: &mut Vec<Heard>) {
        let is_malformed = matches!(content, Kept::Content(Content::Malformed));
        if !is_malformed && let Some((sought, which)) = self.flows.ask(tuple) {
            self.sought.push((batch.len(), sought, which));
        }
        let asked = self.asker.ask(tuple);
        batch.push(Heard { at: self.now, packet: Kind::Asks { asked, content, flow: None } });
    }

    /// Says of the packets that were heard since to which flows they belong.
    #[inline(never)]
    pub(super) fn number(&mut self, batch: &mut [Heard]) {
        for (_, sought, _) in &self.sought {
            self.flows.ask_on(sought);
        }
        for (place, sought, which) in self.sought.drain(..) {
            if let Some(Heard { packet: Kind::Asks { flow, .. }, .. }) = batch.get_mut(place) {
                *flow = Some(OfFlow { number: self.flows.number(&sought), which });
            }
        }
    }
}
