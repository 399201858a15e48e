//! What TCP endpoints tell each other, and what they never would.

use plimsoll_draw::Draw;
use plimsoll_scenario::Side;
use plimsoll_twin::Edges;
use plimsoll_twin::packet::flags::{ACK, CWR, ECE, FIN, PSH, RST, SYN, URG};

use crate::wire::TcpHeader;

/// A connection's story.
#[derive(Debug)]
pub(crate) struct TcpTale {
    story: &'static [(Side, Move)],
    next: usize,
    ends: [End; 2],
}

/// A segment behind its ports.
pub(crate) struct TcpSegment {
    pub(crate) header: TcpHeader,
    pub(crate) options: Vec<u8>,
    pub(crate) payload_bytes: usize,
    pub(crate) is_broken: bool,
}

#[derive(Clone, Copy, Debug)]
struct End {
    /// The next sequence number.
    sends: u32,
    window: u16,
    scale: Option<u8>,
    permits_sack: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Syn,
    /// A SYN of a new connection, further on.
    SynAnew,
    SynAck,
    Ack,
    Data,
    Fin,
    Rst,
    /// The same, acknowledging nothing.
    BareRst,
    /// Both far outside the window.
    FinAstray,
    RstAstray,
    /// A keepalive: the byte before the next.
    Keepalive,
    ZeroWindow,
}

use Move::{Ack, BareRst, Data, Fin, FinAstray, Keepalive, Rst, RstAstray, Syn, SynAck, SynAnew, ZeroWindow};
use Side::{Client as C, Server as S};

const STORIES: [&[(Side, Move)]; 21] = [
    // Closed by the client, and opened again.
    &[
        (C, Syn),
        (S, SynAck),
        (C, Ack),
        (C, Data),
        (S, Ack),
        (S, Data),
        (C, Ack),
        (C, Fin),
        (S, Ack),
        (S, Fin),
        (C, Ack),
        (C, SynAnew),
        (S, SynAck),
        (C, Ack),
        (C, Data),
    ],
    // Closed by the server, at once.
    &[(C, Syn), (S, SynAck), (C, Ack), (C, Data), (S, Data), (S, Fin), (C, Fin), (S, Ack), (C, SynAnew), (S, SynAck)],
    // Reset by either.
    &[(C, Syn), (S, SynAck), (C, Ack), (C, Data), (S, Ack), (S, Rst), (C, SynAnew), (S, SynAck), (C, Ack)],
    &[(C, Syn), (S, SynAck), (C, Ack), (C, Data), (C, Rst), (C, SynAnew), (S, SynAck), (C, Ack)],
    &[(C, Syn), (S, SynAck), (C, BareRst), (C, SynAnew)],
    // Refused.
    &[(C, Syn), (S, Rst), (C, SynAnew), (S, Rst)],
    // Never answered.
    &[(C, Syn), (C, Syn), (C, Syn), (C, SynAnew), (C, Syn)],
    // Never finished.
    &[(C, Syn), (S, SynAck), (S, SynAck), (C, Syn), (S, SynAck), (S, Rst)],
    // Picked up in the middle, from either side.
    &[(C, Data), (S, Ack), (S, Data), (C, Ack), (C, Data), (S, Fin), (C, Ack), (C, Fin), (S, Ack)],
    &[(S, Data), (C, Ack), (C, Data), (S, Ack), (C, Rst)],
    &[(C, Ack), (C, Data), (C, Data), (S, Rst)],
    // Both open at once.
    &[(C, Syn), (S, Syn), (C, SynAck), (S, SynAck), (C, Ack), (S, Ack), (C, Data), (S, Data)],
    &[(C, Syn), (S, Syn), (S, SynAck), (C, SynAck), (S, Ack), (C, Data)],
    // The client has forgotten a connection that stands.
    &[
        (C, Syn),
        (S, SynAck),
        (C, Ack),
        (C, Data),
        (S, Data),
        (C, SynAnew),
        (S, Ack),
        (C, BareRst),
        (C, SynAnew),
        (S, SynAck),
        (C, Ack),
    ],
    &[(C, Syn), (S, SynAck), (C, Ack), (C, Data), (S, Data), (C, SynAnew), (S, SynAck), (C, Ack), (S, Data)],
    // …and one that is closing.
    &[(C, Syn), (S, SynAck), (C, Ack), (C, Fin), (S, Fin), (C, SynAnew), (S, Ack), (S, Ack), (C, Ack), (S, Rst)],
    // Closes that nobody takes for valid.
    &[(C, Syn), (S, SynAck), (C, Ack), (C, Data), (S, Ack), (C, FinAstray), (S, FinAstray), (C, RstAstray), (S, Data)],
    &[(C, Syn), (S, SynAck), (C, Ack), (S, Data), (C, Ack), (S, RstAstray), (C, FinAstray), (C, Data), (S, RstAstray)],
    &[(C, Syn), (S, SynAck), (C, Ack), (C, Fin), (S, Ack), (C, FinAstray), (S, FinAstray), (C, RstAstray), (S, Data)],
    // The server still has a connection that the client has forgotten.
    &[(C, Syn), (S, Ack), (C, BareRst), (C, Syn), (S, SynAck), (C, Ack), (C, Data)],
    // Keepalives, zero windows, data that nobody acknowledges.
    &[
        (C, Syn),
        (S, SynAck),
        (C, Ack),
        (C, Data),
        (S, ZeroWindow),
        (C, Keepalive),
        (S, ZeroWindow),
        (S, Ack),
        (C, Data),
        (C, Data),
        (C, Keepalive),
        (S, Ack),
    ],
];

impl TcpTale {
    pub(crate) fn new(draw: &mut Draw) -> Self {
        let mut end = || End {
            // Near the end of the numbers a quarter of the time: they wrap.
            sends: if draw.below(4) == 0 { u32::MAX - draw.below(3000) } else { draw.below(u32::MAX) },
            window: [65_535, 29_200, 500, 1, 0][draw.below(5) as usize % 5],
            scale: (draw.below(5) < 3).then(|| byte(draw, 16)),
            permits_sack: draw.below(2) == 0,
        };
        let ends = [end(), end()];
        let story = STORIES[draw.below(21) as usize];
        Self { story, next: 0, ends }
    }

    pub(crate) fn next(&mut self, draw: &mut Draw, edges: impl Fn(Side) -> Option<Edges>) -> (Side, TcpSegment) {
        let is_mischief = draw.below(100) < 30;
        match self.story.get(self.next).copied() {
            Some((from, step)) if !is_mischief => {
                self.next += 1;
                (from, self.told(draw, from, step))
            }
            _ => {
                let from = if draw.below(2) == 0 { C } else { S };
                (from, self.mischief(draw, from, edges(from)))
            }
        }
    }

    fn told(&mut self, draw: &mut Draw, from: Side, step: Move) -> TcpSegment {
        let other = self.ends[1 - from as usize];
        let end = &mut self.ends[from as usize];
        if step == SynAnew {
            end.sends = end.sends.wrapping_add(70_000);
        }
        let (flags, of_its_own) = match step {
            Syn | SynAnew => (SYN, 1),
            SynAck => (SYN | ACK, 1),
            Ack | Keepalive | ZeroWindow => (ACK, 0),
            Data => (PSH | ACK, 0),
            Fin => (FIN | ACK, 1),
            FinAstray => (FIN | ACK, 0),
            Rst | RstAstray => (RST | ACK, 0),
            BareRst => (RST, 0),
        };
        let payload_bytes = if step == Data { 1 + draw.below(1200) as usize } else { 0 };
        let header = TcpHeader {
            flags,
            sequence: match step {
                Keepalive => end.sends.wrapping_sub(1),
                FinAstray | RstAstray => end.sends.wrapping_add(9_000_000),
                _ => end.sends,
            },
            acknowledgement: if flags & ACK == 0 { 0 } else { other.sends },
            window: if step == ZeroWindow { 0 } else { end.window },
        };
        let options = if flags & SYN == 0 { ordinary_options(draw) } else { syn_options(end) };
        if step == Syn {
            // Sent again, it is the same; the number goes on when it is answered.
            let is_answered = self.story.get(self.next).is_some_and(|(side, step)| *side != from || *step != Syn);
            end.sends = end.sends.wrapping_add(u32::from(is_answered));
        } else {
            end.sends = end.sends.wrapping_add(of_its_own).wrapping_add(u32::try_from(payload_bytes).unwrap_or(0));
        }
        TcpSegment { header, options, payload_bytes, is_broken: false }
    }

    /// A segment with numbers at the edges of what is accepted.
    fn mischief(&mut self, draw: &mut Draw, from: Side, edges: Option<Edges>) -> TcpSegment {
        const LEAST_ACK_WINDOW: u32 = 66_000;
        const LIKELY: [u8; 12] =
            [ACK, ACK, ACK, PSH | ACK, PSH | ACK, FIN | ACK, FIN | ACK, RST, RST | ACK, SYN, SYN | ACK, URG | ACK];
        let own = self.ends[from as usize].sends;
        let others = self.ends[1 - from as usize].sends;
        let edges = edges.unwrap_or(Edges {
            sent_end: own,
            allowed_end: own,
            received_end: others,
            receiver_window: 0,
            acknowledged_by_receiver: own,
        });
        let flags = match draw.below(10) {
            0 => byte(draw, 256),
            1 => LIKELY[draw.below(12) as usize] | [ECE, CWR, PSH, URG][draw.below(4) as usize],
            _ => LIKELY[draw.below(12) as usize],
        };
        let nudge = [0_u32, 0, 1, u32::MAX, 2, u32::MAX - 1][draw.below(6) as usize];
        let payload_bytes = [0, 0, 1, 100, 1000, 1400][draw.below(6) as usize];
        let payload = u32::try_from(payload_bytes).unwrap_or(0);
        let sequence = match draw.below(12) {
            0..4 => own,
            4 => edges.sent_end,
            5 => edges.allowed_end,
            6 => edges.allowed_end.wrapping_add(edges.receiver_window).wrapping_sub(payload),
            7 => edges.sent_end.wrapping_sub(edges.receiver_window).wrapping_sub(payload),
            8 => edges.acknowledged_by_receiver,
            9 => edges.allowed_end.wrapping_sub(payload),
            10 => 0,
            _ => draw.below(u32::MAX),
        };
        let acknowledgement = match draw.below(10) {
            0..4 => others,
            4 | 5 => edges.received_end,
            6 => edges.received_end.wrapping_sub(LEAST_ACK_WINDOW),
            7 => 0,
            8 => edges.received_end.wrapping_add(1),
            _ => draw.below(u32::MAX),
        };
        let on_sequence = draw.below(2) == 0;
        let header = TcpHeader {
            flags,
            sequence: if on_sequence { sequence.wrapping_add(nudge) } else { sequence },
            acknowledgement: if on_sequence { acknowledgement } else { acknowledgement.wrapping_add(nudge) },
            window: [0, 1, 500, 65_535][draw.below(4) as usize],
        };
        let options = match draw.below(4) {
            0 => syn_options(&self.ends[from as usize]),
            1 => sack_options(draw, edges.received_end),
            _ => ordinary_options(draw),
        };
        TcpSegment { header, options, payload_bytes, is_broken: draw.below(40) == 0 }
    }
}

fn byte(draw: &mut Draw, below: u32) -> u8 {
    u8::try_from(draw.below(below)).unwrap_or(u8::MAX)
}

const NOTHING: u8 = 1;

fn syn_options(end: &End) -> Vec<u8> {
    let mut options = Vec::new();
    if let Some(scale) = end.scale {
        options.extend_from_slice(&[NOTHING, 3, 3, scale]);
    }
    if end.permits_sack {
        options.extend_from_slice(&[NOTHING, NOTHING, 4, 2]);
    }
    // A scale that is longer than it may be.
    if end.scale == Some(15) {
        options = vec![3, 4, 7, 0];
    }
    options
}

/// Timestamps, or none.
fn ordinary_options(draw: &mut Draw) -> Vec<u8> {
    if draw.below(4) > 0 { Vec::new() } else { vec![NOTHING, NOTHING, 8, 10, 0, 0, 0, 1, 0, 0, 0, 1] }
}

/// A selective acknowledgement about where something can be acknowledged, or one that is not whole.
fn sack_options(draw: &mut Draw, edge: u32) -> Vec<u8> {
    let right = edge.wrapping_add([0, 1, u32::MAX, 1000, u32::MAX - 999][draw.below(5) as usize]);
    let mut options = vec![NOTHING, NOTHING, 5, 10];
    options.extend_from_slice(&right.wrapping_sub(100).to_be_bytes());
    options.extend_from_slice(&right.to_be_bytes());
    match draw.below(12) {
        0 | 1 => options[3] = 13,
        // A second block, further on.
        2 | 3 => {
            options[3] = 18;
            options.extend_from_slice(&right.wrapping_add(10).to_be_bytes());
            options.extend_from_slice(&right.wrapping_add(100).to_be_bytes());
        }
        // A second option, further on.
        4 => {
            options.extend_from_slice(&[NOTHING, NOTHING, 5, 10]);
            options.extend_from_slice(&right.wrapping_add(10).to_be_bytes());
            options.extend_from_slice(&right.wrapping_add(100).to_be_bytes());
        }
        // Behind the end of the options.
        5 => options[0] = 0,
        _ => {}
    }
    options
}
