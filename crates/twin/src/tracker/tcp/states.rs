//! TCP's states: which packet leads from which to which.
//!
//! The facts are those of `tcp_conntracks` in `nf_conntrack_proto_tcp.c`, read and then measured cell by cell.
//!
//! - A SYN from the client begins a flow, and begins it anew once both sides have closed or one has reset it. In between it
//!   may be a forged one, or the two sides may know more than the tracker: it passes and changes nothing.
//! - A SYN-ACK from the server answers a SYN. Anywhere else it may answer a SYN that was let through, and so it passes too. From
//!   the client it is valid only where both opened at once.
//! - A SYN from the server is valid while the client's own is unanswered: both opened at once. In `TIME_WAIT` it opens a new flow.
//! - The first FIN leads to `FIN_WAIT`, whoever sends it; its acknowledgement to `CLOSE_WAIT`; the second FIN to `LAST_ACK`; and
//!   its acknowledgement to `TIME_WAIT`. "The second" is any further FIN: the table does not know who sent the first.
//! - An acknowledgement of no known flow picks it up in the middle. One from the client that answers no SYN-ACK is invalid; one from the
//!   server in its place may be a half-open connection's, and passes.
//! - An RST closes.

use plimsoll_model::TcpState;

use crate::Direction;
use crate::packet::{Segment, flags};

/// What a segment is to the tracker: its flags in this order of precedence (`get_conntrack_index`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Syn,
    SynAck,
    Fin,
    Ack,
    Rst,
    None,
}

impl Kind {
    #[cfg(test)]
    const ALL: [Self; 6] = [Self::Syn, Self::SynAck, Self::Fin, Self::Ack, Self::Rst, Self::None];

    /// What a segment is; `None` where its flags mean nothing together.
    #[inline]
    pub(crate) const fn of(segment: &Segment) -> Option<Self> {
        BY_FLAGS[segment.flags as usize]
    }

    const fn by(flags: u8) -> Option<Self> {
        if !are_valid(flags) {
            None
        } else if flags & flags::RST != 0 {
            Some(Self::Rst)
        } else if flags & flags::SYN != 0 {
            Some(if flags & flags::ACK != 0 { Self::SynAck } else { Self::Syn })
        } else if flags & flags::FIN != 0 {
            Some(Self::Fin)
        } else {
            Some(Self::Ack)
        }
    }
}

/// What a segment is by its flags, which mean nothing if none is set.
const BY_FLAGS: [Option<Kind>; 256] = {
    let mut kinds = [None; 256];
    let mut flags = u8::MAX;
    while flags > 0 {
        kinds[flags as usize] = Kind::by(flags);
        flags -= 1;
    }
    kinds
};

/// Where a segment leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// To this state, if it lies within the window.
    To(TcpState),
    /// Nowhere: it passes, for the two sides may know better.
    Ignore,
    /// It is invalid.
    Invalid,
}

/// Where a segment leads from a state.
pub(crate) const fn step(direction: Direction, kind: Kind, from: TcpState) -> Step {
    let row = match direction {
        Direction::Original => &ORIGINAL,
        Direction::Reply => &REPLY,
    };
    row[kind as usize][from as usize]
}

const SS: Step = Step::To(TcpState::SynSent);
const SR: Step = Step::To(TcpState::SynRecv);
const ES: Step = Step::To(TcpState::Established);
const FW: Step = Step::To(TcpState::FinWait);
const CW: Step = Step::To(TcpState::CloseWait);
const LA: Step = Step::To(TcpState::LastAck);
const TW: Step = Step::To(TcpState::TimeWait);
const CL: Step = Step::To(TcpState::Close);
const S2: Step = Step::To(TcpState::SynSent2);
const IG: Step = Step::Ignore;
const IV: Step = Step::Invalid;

type Table = [[Step; 10]; 6];

const ORIGINAL: Table = [
    // NONE, SYN_SENT, SYN_RECV, ESTABLISHED, FIN_WAIT, CLOSE_WAIT, LAST_ACK, TIME_WAIT, CLOSE, SYN_SENT2
    [SS, SS, IG, IG, IG, IG, IG, SS, SS, S2], // SYN
    [IV, IV, SR, IV, IV, IV, IV, IV, IV, SR], // SYN-ACK
    [IV, IV, FW, FW, LA, LA, LA, TW, CL, IV], // FIN
    [ES, IV, ES, ES, CW, CW, TW, TW, CL, IV], // ACK
    [IV, CL, CL, CL, CL, CL, CL, CL, CL, CL], // RST
    [IV, IV, IV, IV, IV, IV, IV, IV, IV, IV], // none of these
];

const REPLY: Table = [
    // NONE, SYN_SENT, SYN_RECV, ESTABLISHED, FIN_WAIT, CLOSE_WAIT, LAST_ACK, TIME_WAIT, CLOSE, SYN_SENT2
    [IV, S2, IV, IV, IV, IV, IV, SS, IV, S2], // SYN
    [IV, SR, IG, IG, IG, IG, IG, IG, IG, SR], // SYN-ACK
    [IV, IV, FW, FW, LA, LA, LA, TW, CL, IV], // FIN
    [IV, IG, SR, ES, CW, CW, TW, TW, CL, IG], // ACK
    [IV, CL, CL, CL, CL, CL, CL, CL, CL, CL], // RST
    [IV, IV, IV, IV, IV, IV, IV, IV, IV, IV], // none of these
];

/// Whether a combination of flags means anything; PSH, ECE and CWR go with any (`tcp_valid_flags`).
const fn are_valid(flags: u8) -> bool {
    use crate::packet::flags::{ACK, CWR, ECE, FIN, PSH, RST, SYN, URG};
    const SYN_URG: u8 = SYN | URG;
    const SYN_ACK: u8 = SYN | ACK;
    const RST_ACK: u8 = RST | ACK;
    const FIN_ACK: u8 = FIN | ACK;
    const FIN_ACK_URG: u8 = FIN | ACK | URG;
    const ACK_URG: u8 = ACK | URG;
    matches!(
        flags & !(PSH | ECE | CWR),
        SYN | SYN_URG | SYN_ACK | RST | RST_ACK | FIN_ACK | FIN_ACK_URG | ACK | ACK_URG
    )
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    #[test]
    fn every_state_and_every_event() {
        let mut text = String::new();
        for direction in [Direction::Original, Direction::Reply] {
            for kind in Kind::ALL {
                for from in TcpState::ALL {
                    let to = match step(direction, kind, *from) {
                        Step::To(state) => state.name(),
                        Step::Ignore => "passes",
                        Step::Invalid => "INVALID",
                    };
                    writeln!(text, "{direction:?} {kind:?} in {}: {to}", from.name()).unwrap();
                }
            }
        }
        crate::testing::is_as_in("tcp_states.txt", &text);
    }

    #[test]
    fn nine_combinations_of_flags_are_valid_with_three_that_do_not_matter() {
        assert_eq!((0..=255).filter(|flags| are_valid(*flags)).count(), 9 * 8);
    }
}
