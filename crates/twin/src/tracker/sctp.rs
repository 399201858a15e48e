//! SCTP (`nf_conntrack_proto_sctp.c`).
//!
//! The facts are those of `sctp_conntracks`:
//!
//! - An INIT begins an association, and a COOKIE-ECHO, a COOKIE-ACK lead it to ESTABLISHED, in either direction.
//! - A SHUTDOWN leads to `SHUTDOWN_SENT` or `SHUTDOWN_RECD`, by who sends it; a SHUTDOWN-ACK from the other side to
//!   `SHUTDOWN_ACK_SENT`; a SHUTDOWN-COMPLETE to CLOSED.
//! - An ABORT leads to CLOSED from anywhere.
//! - A HEARTBEAT on a path of which nothing is known begins an entry in `HEARTBEAT_SENT`, which a HEARTBEAT-ACK from the
//!   other side takes to ESTABLISHED: another path of an association (RFC 9260, section 5.4).
//! - Each direction has a verification tag, which INIT and INIT-ACK announce and all that follows must carry (section 8.5).

use plimsoll_model::{SctpState, Status};

use super::{Context, Handled};
use crate::Direction;
use crate::packet::Chunks;

/// What the tracker keeps of an association (`struct ip_ct_sctp`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sctp {
    state: SctpState,
    /// By direction; 0 where it is not known.
    tags: [u32; 2],
    /// Whether an INIT of this direction waits to be acknowledged.
    init: [bool; 2],
    /// Who sent the last heartbeat whose tag did not fit.
    strange_heartbeat: Option<Direction>,
    last_direction: Direction,
}

impl Default for Sctp {
    fn default() -> Self {
        Self {
            state: SctpState::None,
            tags: [0; 2],
            init: [false; 2],
            strange_heartbeat: None,
            last_direction: Direction::Original,
        }
    }
}

/// Types of chunks that tracking knows (RFC 9260, section 3.2).
mod chunk {
    pub(super) const DATA: u8 = 0;
    pub(super) const INIT: u8 = 1;
    pub(super) const INIT_ACK: u8 = 2;
    pub(super) const HEARTBEAT: u8 = 4;
    pub(super) const HEARTBEAT_ACK: u8 = 5;
    pub(super) const ABORT: u8 = 6;
    pub(super) const SHUTDOWN: u8 = 7;
    pub(super) const SHUTDOWN_ACK: u8 = 8;
    pub(super) const ERROR: u8 = 9;
    pub(super) const COOKIE_ECHO: u8 = 10;
    pub(super) const COOKIE_ACK: u8 = 11;
    pub(super) const SHUTDOWN_COMPLETE: u8 = 14;
}

/// Packets with one of these are judged chunk by chunk, for their tag may be another (RFC 9260, section 8.5.1).
const CARRY_OTHER_TAGS: [u8; 7] = [
    chunk::INIT,
    chunk::SHUTDOWN_COMPLETE,
    chunk::COOKIE_ECHO,
    chunk::ABORT,
    chunk::SHUTDOWN_ACK,
    chunk::HEARTBEAT,
    chunk::HEARTBEAT_ACK,
];

impl Sctp {
    pub(crate) const fn state(&self) -> SctpState {
        self.state
    }

    /// Takes a packet of the association (`nf_conntrack_sctp_packet`).
    #[inline(never)]
    pub(crate) fn take(&mut self, context: &mut Context<'_>, packet: &Chunks<'_>) -> Handled {
        let Some(present) = Present::of(packet) else { return Handled::Invalid };
        if !context.is_confirmed() {
            let closes = [chunk::ABORT, chunk::SHUTDOWN_COMPLETE, chunk::COOKIE_ACK];
            if closes.into_iter().any(|kind| present.has(kind)) {
                return Handled::Invalid;
            }
            match Self::begun_by(packet) {
                Some(begun) => *self = begun,
                None => return Handled::Invalid,
            }
        }
        let direction = context.direction;
        let may_differ = CARRY_OTHER_TAGS.into_iter().any(|kind| present.has(kind));
        if !may_differ && packet.tag != self.tags[direction as usize] {
            return Handled::Invalid;
        }
        let mut keeps_timeout = false;
        let mut new = SctpState::None;
        for chunk in Chunk::all(packet) {
            match self.check(context, packet.tag, &chunk, present, keeps_timeout) {
                Checked::Invalid => return Handled::Invalid,
                Checked::Passed => {
                    keeps_timeout = true;
                    continue;
                }
                Checked::Fits => {}
            }
            let old = self.state;
            let Some(to) = step(direction, chunk.kind, old) else { return Handled::Invalid };
            new = to;
            if !self.note_tags(direction, &chunk, old) {
                return Handled::Invalid;
            }
            let is_repeated_init = chunk.kind == chunk::INIT
                && (old, new) == (SctpState::Closed, SctpState::Closed)
                && context.is_confirmed();
            // Else a client that uses its port again and again would keep the entry for ever.
            keeps_timeout |= is_repeated_init;
            self.state = new;
            if old != new && new == SctpState::Established {
                context.set(Status::ASSURED);
            }
        }
        if !keeps_timeout {
            context.refresh(context.timeouts.sctp[new as usize]);
        }
        Handled::Accepted
    }

    /// The association that a packet begins, if it can begin one (`sctp_new`).
    fn begun_by(packet: &Chunks<'_>) -> Option<Self> {
        let mut begun = Self::default();
        for chunk in Chunk::all(packet) {
            let to = step(Direction::Original, chunk.kind, SctpState::None)?;
            if to == SctpState::None {
                return None;
            }
            match chunk.kind {
                chunk::INIT => {
                    if packet.tag != 0 {
                        return None;
                    }
                    begun.tags[Direction::Reply as usize] = chunk.init_tag()?;
                }
                chunk::HEARTBEAT => begun.tags[Direction::Original as usize] = packet.tag,
                chunk::SHUTDOWN_ACK => begun.tags[Direction::Reply as usize] = packet.tag,
                _ => {}
            }
        }
        Some(begun)
    }

    /// The special cases of a verification tag (RFC 9260, section 8.5.1).
    fn check(
        &mut self,
        context: &Context<'_>,
        tag: u32,
        chunk: &Chunk<'_>,
        present: Present,
        keeps_timeout: bool,
    ) -> Checked {
        let direction = context.direction;
        let (own, other) = (self.tags[direction as usize], self.tags[direction.other() as usize]);
        let fits = |fits| if fits { Checked::Fits } else { Checked::Invalid };
        match chunk.kind {
            chunk::INIT => fits(tag == 0),
            chunk::ABORT | chunk::SHUTDOWN_COMPLETE => {
                const REFLECTED: u8 = 1;
                fits(tag == if chunk.flags & REFLECTED == 0 { own } else { other })
            }
            chunk::COOKIE_ECHO => fits(tag == own),
            chunk::COOKIE_ACK => {
                self.init = [false; 2];
                Checked::Fits
            }
            chunk::HEARTBEAT | chunk::HEARTBEAT_ACK if own == 0 => {
                self.tags[direction as usize] = tag;
                Checked::Fits
            }
            chunk::HEARTBEAT | chunk::HEARTBEAT_ACK if tag == own => {
                self.strange_heartbeat = None;
                Checked::Fits
            }
            chunk::HEARTBEAT | chunk::HEARTBEAT_ACK if present.has(chunk::DATA) || keeps_timeout => Checked::Invalid,
            chunk::HEARTBEAT => {
                self.strange_heartbeat = Some(direction);
                self.last_direction = direction;
                Checked::Passed
            }
            chunk::HEARTBEAT_ACK => {
                if self.strange_heartbeat.is_none() || self.last_direction == direction {
                    return Checked::Invalid;
                }
                self.strange_heartbeat = None;
                self.tags[direction as usize] = tag;
                self.tags[direction.other() as usize] = 0;
                Checked::Fits
            }
            _ => Checked::Fits,
        }
    }

    /// Takes note of the tags that INIT and INIT-ACK announce, and says whether they may.
    fn note_tags(&mut self, direction: Direction, chunk: &Chunk<'_>, old: SctpState) -> bool {
        let (own, other) = (direction as usize, direction.other() as usize);
        match chunk.kind {
            chunk::INIT => {
                let Some(announced) = chunk.init_tag() else { return false };
                if old == SctpState::None || self.tags[other] != announced {
                    if self.init == [true; 2] {
                        self.init[other] = false;
                    }
                    self.init[own] = true;
                }
                self.tags[other] = announced;
            }
            chunk::INIT_ACK => {
                let Some(announced) = chunk.init_tag() else { return false };
                let known = self.tags[other];
                let is_late = !self.init[other] && known != 0 && known != announced;
                let collides = self.init == [true; 2] && known != announced;
                if is_late || collides {
                    return false;
                }
                self.tags[other] = announced;
            }
            _ => {}
        }
        true
    }
}

enum Checked {
    Fits,
    /// It changes nothing, and neither does it arm the entry.
    Passed,
    Invalid,
}

/// A chunk: its header, and what of its value was captured.
struct Chunk<'a> {
    kind: u8,
    flags: u8,
    length: u16,
    value: &'a [u8],
}

impl<'a> Chunk<'a> {
    fn all(packet: &Chunks<'a>) -> impl Iterator<Item = Self> + use<'a> {
        let mut rest = packet.bytes;
        std::iter::from_fn(move || {
            let [kind, flags, high, low, value @ ..] = rest else { return None };
            let length = u16::from_be_bytes([*high, *low]);
            // Padded to words; one without a length would never end.
            let step = usize::from(length).next_multiple_of(4).max(4);
            rest = rest.get(step..).unwrap_or_default();
            Some(Self { kind: *kind, flags: *flags, length, value })
        })
    }

    /// What INIT and INIT-ACK announce: 16 bytes, of which the first four are the tag (section 3.3.2).
    fn init_tag(&self) -> Option<u32> {
        const INIT_BYTES: usize = 16;
        let value: &[u8; INIT_BYTES] = self.value.first_chunk()?;
        value.first_chunk().map(|tag| u32::from_be_bytes(*tag))
    }
}

/// Which of the first 64 types of chunks are in a packet.
#[derive(Clone, Copy)]
struct Present(u64);

impl Present {
    /// `None` for chunks that may not stand together, or where there is none (`do_basic_checks`).
    fn of(packet: &Chunks<'_>) -> Option<Self> {
        let mut present = 0;
        let mut must_be_alone = false;
        let mut count = 0;
        for chunk in Chunk::all(packet) {
            must_be_alone |= matches!(chunk.kind, chunk::INIT | chunk::INIT_ACK | chunk::SHUTDOWN_COMPLETE);
            let must_be_first = must_be_alone || matches!(chunk.kind, chunk::COOKIE_ACK | chunk::COOKIE_ECHO);
            if (must_be_first && count != 0) || chunk.length == 0 {
                return None;
            }
            present |= 1_u64.checked_shl(chunk.kind.into()).unwrap_or(0);
            count += 1;
        }
        (count > 0).then_some(Self(present))
    }

    const fn has(self, kind: u8) -> bool {
        self.0 >> kind & 1 == 1
    }
}

/// Where a chunk leads from a state; `None` if it is invalid. Those that have no row change nothing.
const fn step(direction: Direction, kind: u8, from: SctpState) -> Option<SctpState> {
    let row = match kind {
        chunk::INIT => 0,
        chunk::INIT_ACK => 1,
        chunk::ABORT => 2,
        chunk::SHUTDOWN => 3,
        chunk::SHUTDOWN_ACK => 4,
        chunk::ERROR => 5,
        chunk::COOKIE_ECHO => 6,
        chunk::COOKIE_ACK => 7,
        chunk::SHUTDOWN_COMPLETE => 8,
        chunk::HEARTBEAT => 9,
        chunk::HEARTBEAT_ACK => 10,
        _ => return Some(from),
    };
    // Kernels from 6.3 on have no HEARTBEAT_ACKED, and ESTABLISHED in its place.
    let column = match from {
        SctpState::HeartbeatAcked => SctpState::Established,
        other => other,
    };
    let table = match direction {
        Direction::Original => &ORIGINAL,
        Direction::Reply => &REPLY,
    };
    table[row][column as usize]
}

const CL: Option<SctpState> = Some(SctpState::Closed);
const CW: Option<SctpState> = Some(SctpState::CookieWait);
const CE: Option<SctpState> = Some(SctpState::CookieEchoed);
const ES: Option<SctpState> = Some(SctpState::Established);
const SS: Option<SctpState> = Some(SctpState::ShutdownSent);
const SR: Option<SctpState> = Some(SctpState::ShutdownRecd);
const SA: Option<SctpState> = Some(SctpState::ShutdownAckSent);
const HS: Option<SctpState> = Some(SctpState::HeartbeatSent);
const IV: Option<SctpState> = None;

type Table = [[Option<SctpState>; 9]; 11];

const ORIGINAL: Table = [
    // NONE, CLOSED, COOKIE_WAIT, COOKIE_ECHOED, ESTABLISHED, SHUTDOWN_SENT, _RECD, _ACK_SENT, HEARTBEAT_SENT
    [CL, CL, CW, CE, ES, CL, CL, SA, CW], // INIT
    [CL, CL, CW, CE, ES, SS, SR, SA, CL], // INIT-ACK
    [CL, CL, CL, CL, CL, CL, CL, CL, CL], // ABORT
    [CL, CL, CW, CE, SS, SS, SR, SA, CL], // SHUTDOWN
    [SA, CL, CW, CE, ES, SA, SA, SA, SA], // SHUTDOWN-ACK
    [CL, CL, CW, CE, ES, SS, SR, SA, CL], // ERROR
    [CL, CL, CE, CE, ES, SS, SR, SA, CL], // COOKIE-ECHO
    [CL, CL, CW, ES, ES, SS, SR, SA, CL], // COOKIE-ACK
    [CL, CL, CW, CE, ES, SS, SR, CL, CL], // SHUTDOWN-COMPLETE
    [HS, CL, CW, CE, ES, SS, SR, SA, HS], // HEARTBEAT
    [CL, CL, CW, CE, ES, SS, SR, SA, HS], // HEARTBEAT-ACK
];

const REPLY: Table = [
    // NONE, CLOSED, COOKIE_WAIT, COOKIE_ECHOED, ESTABLISHED, SHUTDOWN_SENT, _RECD, _ACK_SENT, HEARTBEAT_SENT
    [IV, CL, CW, CE, ES, SS, SR, SA, IV], // INIT
    [IV, CW, CW, CE, ES, SS, SR, SA, IV], // INIT-ACK
    [IV, CL, CL, CL, CL, CL, CL, CL, IV], // ABORT
    [IV, CL, CW, CE, SR, SS, SR, SA, IV], // SHUTDOWN
    [IV, CL, CW, CE, ES, SA, SA, SA, IV], // SHUTDOWN-ACK
    [IV, CL, CW, CL, ES, SS, SR, SA, IV], // ERROR
    [IV, CL, CE, CE, ES, SS, SR, SA, IV], // COOKIE-ECHO
    [IV, CL, CW, ES, ES, SS, SR, SA, IV], // COOKIE-ACK
    [IV, CL, CW, CE, ES, SS, SR, CL, IV], // SHUTDOWN-COMPLETE
    [IV, CL, CW, CE, ES, SS, SR, SA, HS], // HEARTBEAT
    [IV, CL, CW, CE, ES, SS, SR, SA, ES], // HEARTBEAT-ACK
];

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    #[test]
    fn every_state_and_every_event() {
        let events = [
            ("INIT", chunk::INIT),
            ("INIT-ACK", chunk::INIT_ACK),
            ("ABORT", chunk::ABORT),
            ("SHUTDOWN", chunk::SHUTDOWN),
            ("SHUTDOWN-ACK", chunk::SHUTDOWN_ACK),
            ("ERROR", chunk::ERROR),
            ("COOKIE-ECHO", chunk::COOKIE_ECHO),
            ("COOKIE-ACK", chunk::COOKIE_ACK),
            ("SHUTDOWN-COMPLETE", chunk::SHUTDOWN_COMPLETE),
            ("HEARTBEAT", chunk::HEARTBEAT),
            ("HEARTBEAT-ACK", chunk::HEARTBEAT_ACK),
            ("DATA", chunk::DATA),
        ];
        let mut text = String::new();
        for direction in [Direction::Original, Direction::Reply] {
            for (name, kind) in events {
                for from in &SctpState::ALL[..9] {
                    let to = step(direction, kind, *from).map_or("INVALID", SctpState::name);
                    writeln!(text, "{direction:?} {name} in {}: {to}", from.name()).unwrap();
                }
            }
        }
        crate::testing::is_as_in("sctp_states.txt", &text);
    }
}
