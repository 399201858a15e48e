//! What SCTP endpoints tell each other, and what they never would.

use plimsoll_draw::Draw;
use plimsoll_scenario::Side;

/// An association's story.
#[derive(Debug)]
pub(crate) struct SctpTale {
    story: &'static [(Side, u8)],
    next: usize,
    /// The tag that each side's packets carry.
    tags: [u32; 2],
}

/// An SCTP packet behind its ports.
pub(crate) struct SctpPacket {
    pub(crate) tag: u32,
    pub(crate) chunks: Vec<u8>,
}

const DATA: u8 = 0;
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
const SACK: u8 = 3;
const HEARTBEAT: u8 = 4;
const HEARTBEAT_ACK: u8 = 5;
const ABORT: u8 = 6;
const SHUTDOWN: u8 = 7;
const SHUTDOWN_ACK: u8 = 8;
const ERROR: u8 = 9;
const COOKIE_ECHO: u8 = 10;
const COOKIE_ACK: u8 = 11;
const SHUTDOWN_COMPLETE: u8 = 14;

const KINDS: [u8; 13] = [
    DATA,
    INIT,
    INIT_ACK,
    SACK,
    HEARTBEAT,
    HEARTBEAT_ACK,
    ABORT,
    SHUTDOWN,
    SHUTDOWN_ACK,
    ERROR,
    COOKIE_ECHO,
    COOKIE_ACK,
    SHUTDOWN_COMPLETE,
];

use Side::{Client as C, Server as S};

const WHOLE: &[(Side, u8)] = &[
    (C, INIT),
    (S, INIT_ACK),
    (C, COOKIE_ECHO),
    (S, COOKIE_ACK),
    (C, DATA),
    (S, SACK),
    (S, HEARTBEAT),
    (C, HEARTBEAT_ACK),
    (C, SHUTDOWN),
    (S, SHUTDOWN_ACK),
    (C, SHUTDOWN_COMPLETE),
    (C, INIT),
    (S, INIT_ACK),
];
const CLOSED_BY_SERVER: &[(Side, u8)] = &[
    (C, INIT),
    (S, INIT_ACK),
    (C, COOKIE_ECHO),
    (S, COOKIE_ACK),
    (S, DATA),
    (S, SHUTDOWN),
    (C, SHUTDOWN_ACK),
    (S, SHUTDOWN_COMPLETE),
];
const ABORTED: &[(Side, u8)] =
    &[(C, INIT), (S, INIT_ACK), (C, COOKIE_ECHO), (S, COOKIE_ACK), (C, DATA), (S, ABORT), (C, INIT), (C, INIT)];
const OTHER_PATH: &[(Side, u8)] =
    &[(C, HEARTBEAT), (S, HEARTBEAT_ACK), (C, DATA), (S, SACK), (C, HEARTBEAT), (S, HEARTBEAT_ACK), (S, SHUTDOWN)];
const COLLISION: &[(Side, u8)] =
    &[(C, INIT), (S, INIT), (C, INIT_ACK), (S, INIT_ACK), (C, COOKIE_ECHO), (S, COOKIE_ACK)];
const OUT_OF_THE_BLUE: &[(Side, u8)] = &[(C, SHUTDOWN_ACK), (S, SHUTDOWN_COMPLETE), (C, DATA), (C, INIT)];

impl SctpTale {
    pub(crate) fn new(draw: &mut Draw) -> Self {
        let stories = [WHOLE, WHOLE, CLOSED_BY_SERVER, ABORTED, OTHER_PATH, COLLISION, OUT_OF_THE_BLUE];
        let story = stories[draw.below(7) as usize];
        // What each side has announced: the other side's packets carry it.
        Self { story, next: 0, tags: [0x1000_0000 | draw.below(1 << 16), 0x2000_0000 | draw.below(1 << 16)] }
    }

    pub(crate) fn next(&mut self, draw: &mut Draw) -> (Side, SctpPacket) {
        let told = self.story.get(self.next).copied();
        let is_mischief = draw.below(100) < 25;
        let (from, kind) = match told {
            Some(step) if !is_mischief => {
                self.next += 1;
                step
            }
            _ => {
                let from = if draw.below(2) == 0 { C } else { S };
                (from, KINDS[draw.below(13) as usize])
            }
        };
        let announced_by_other = self.tags[1 - from as usize];
        let own = self.tags[from as usize];
        let tag = match (is_mischief, draw.below(6)) {
            (true, 0) => 0,
            (true, 1) => own,
            (true, 2) => draw.below(u32::MAX),
            _ if kind == INIT => 0,
            _ => announced_by_other,
        };
        let mut chunks = Vec::new();
        add(&mut chunks, draw, kind, own);
        if kind != INIT && draw.below(6) == 0 {
            let more = if is_mischief { KINDS[draw.below(13) as usize] } else { DATA };
            add(&mut chunks, draw, more, own);
        }
        if is_mischief && draw.below(12) == 0 {
            // A chunk without a length.
            chunks.extend_from_slice(&[DATA, 0, 0, 0]);
        }
        if is_mischief && draw.below(12) == 0 {
            chunks.clear();
        }
        (from, SctpPacket { tag, chunks })
    }
}

fn add(chunks: &mut Vec<u8>, draw: &mut Draw, kind: u8, own_tag: u32) {
    let flags = u8::from(matches!(kind, ABORT | SHUTDOWN_COMPLETE) && draw.below(3) == 0);
    let value: Vec<u8> = match kind {
        INIT | INIT_ACK => {
            let announced = if draw.below(12) == 0 { own_tag + 1 } else { own_tag };
            let mut value = announced.to_be_bytes().to_vec();
            value.extend_from_slice(&[0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1]);
            if draw.below(24) == 0 {
                value.truncate(8);
            }
            value
        }
        DATA => vec![1; 16],
        HEARTBEAT | HEARTBEAT_ACK => vec![0, 1, 0, 8, 0, 0, 0, 0],
        _ => vec![0; 4],
    };
    let length = u16::try_from(4 + value.len()).unwrap_or(4);
    chunks.extend_from_slice(&[kind, flags]);
    chunks.extend_from_slice(&length.to_be_bytes());
    chunks.extend_from_slice(&value);
    while !chunks.len().is_multiple_of(4) {
        chunks.push(0);
    }
}
