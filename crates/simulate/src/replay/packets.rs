//! The packets that lead from state to state.

use plimsoll_model::TcpState;
use plimsoll_scenario::{Side, WINDOW};
use plimsoll_twin::packet::{Content, Segment, flags};

/// What both ends have sent, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    client: u32,
    server: u32,
}

impl Sent {
    /// Nothing; counted from numbers that follow from this one.
    pub(super) const fn from_number(number: u32) -> Self {
        Self { client: number, server: !number }
    }

    /// A segment that acknowledges all.
    pub(super) const fn segment(&mut self, from: Side, with: u8, payload_bytes: u32) -> Content<'static> {
        let (own, other) = match from {
            Side::Client => (&mut self.client, self.server),
            Side::Server => (&mut self.server, self.client),
        };
        let acknowledgement = if with & flags::ACK == 0 { 0 } else { other };
        let mut segment = Segment::new(with, *own, acknowledgement, WINDOW);
        segment.payload_bytes = payload_bytes;
        *own = segment.end();
        Content::Tcp(segment)
    }
}

/// A segment, and the state it leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hop {
    pub(super) from: Side,
    pub(super) flags: u8,
    pub(super) to: TcpState,
}

const SYN_ACK: u8 = flags::SYN | flags::ACK;
const FIN_ACK: u8 = flags::FIN | flags::ACK;
const RST_ACK: u8 = flags::RST | flags::ACK;

/// Whether a connection was ever established.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handshake {
    /// It was.
    Whole,
    /// It was not, as far as is known.
    NotKnown,
}

/// The next segment on the way from a state to another; `None` where there is no way. A recording does not tell who closed
/// first, nor who reset: here the client does both, but for a reset that answers a handshake.
pub(super) const fn hop(state: TcpState, to: TcpState, handshake: Handshake) -> Option<Hop> {
    use Side::{Client, Server};
    use TcpState as S;
    let (from, flags, leads_to) = match (state, to) {
        (S::None | S::TimeWait | S::Close, S::SynSent) => (Client, flags::SYN, S::SynSent),
        (S::SynSent | S::SynSent2 | S::SynRecv, S::Close) => (Server, RST_ACK, S::Close),
        (_, S::Close) if !matches!(state, S::None | S::Close) => (Client, RST_ACK, S::Close),
        _ if rank(state) >= rank(to) && !matches!(state, S::TimeWait | S::Close) => return None,
        (S::None | S::TimeWait | S::Close, _) => (Client, flags::SYN, S::SynSent),
        (S::SynSent, S::SynSent2) => (Server, flags::SYN, S::SynSent2),
        (S::SynSent, _) => (Server, SYN_ACK, S::SynRecv),
        (S::SynSent2, _) => (Client, SYN_ACK, S::SynRecv),
        (S::SynRecv, S::Established) => (Client, flags::ACK, S::Established),
        // A FIN in place of the handshake's last segment: such an entry is never assured.
        (S::SynRecv, _) if matches!(handshake, Handshake::NotKnown) => (Client, FIN_ACK, S::FinWait),
        (S::SynRecv, _) => (Client, flags::ACK, S::Established),
        (S::Established, _) => (Client, FIN_ACK, S::FinWait),
        (S::FinWait, S::CloseWait) => (Server, flags::ACK, S::CloseWait),
        (S::FinWait | S::CloseWait, _) => (Server, FIN_ACK, S::LastAck),
        (S::LastAck, _) => (Client, flags::ACK, S::TimeWait),
    };
    Some(Hop { from, flags, to: leads_to })
}

const fn rank(state: TcpState) -> u8 {
    match state {
        TcpState::None => 0,
        TcpState::SynSent => 1,
        TcpState::SynSent2 => 2,
        TcpState::SynRecv => 3,
        TcpState::Established => 4,
        TcpState::FinWait => 5,
        TcpState::CloseWait => 6,
        TcpState::LastAck => 7,
        TcpState::TimeWait => 8,
        TcpState::Close => 9,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From each state to each other a way ends, at the state or nowhere.
    #[test]
    fn every_way_ends() {
        for handshake in [Handshake::Whole, Handshake::NotKnown] {
            for (from, to) in TcpState::ALL.iter().flat_map(|from| TcpState::ALL.iter().map(move |to| (*from, *to))) {
                let mut state = from;
                let mut hops = 0;
                while state != to {
                    let Some(hop) = hop(state, to, handshake) else { break };
                    state = hop.to;
                    hops += 1;
                    assert!(hops < 12, "{from:?} to {to:?}");
                }
                let is_ahead = rank(to) > rank(from) || matches!(from, TcpState::TimeWait | TcpState::Close);
                if is_ahead && to != TcpState::None {
                    assert_eq!(state, to, "from {from:?}");
                }
            }
        }
    }
}
