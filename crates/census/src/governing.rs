//! Which timeouts govern the entries of a state.

use plimsoll_model::{Entry, Protocol, ProtocolState, Status, TcpState, Timeout, Timeouts};

/// What arms entries of one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Governing {
    /// One timeout.
    Own(Timeout),
    /// One timeout, of which caps may leave less.
    Capped {
        /// The state's own.
        own: Timeout,
        /// What it may be cut to.
        caps: &'static [Timeout],
    },
    /// One, or another for a flow that goes both ways.
    OrStream {
        /// While it is not known to.
        own: Timeout,
        /// Once it is.
        stream: Timeout,
    },
}

/// What arms entries of a state; `None` where that is not known: a state of a protocol that has states, but none is shown
/// or it is not known; and DCCP, whose sysctls are not read.
pub(crate) fn governing(protocol: Protocol, state: ProtocolState) -> Option<Governing> {
    const CAPS: &[Timeout] = &[Timeout::TcpMaxRetrans, Timeout::TcpUnacknowledged];
    const CAPS_OF_ESTABLISHED: &[Timeout] =
        &[Timeout::TcpMaxRetrans, Timeout::TcpUnacknowledged, Timeout::Tcp(TcpState::Close)];
    let timeout = match (protocol, state) {
        (_, ProtocolState::Tcp(state)) => {
            let caps = if state == TcpState::Established { CAPS_OF_ESTABLISHED } else { CAPS };
            return Some(Governing::Capped { own: Timeout::Tcp(state), caps });
        }
        (_, ProtocolState::Sctp(state)) => Timeout::Sctp(state),
        (_, ProtocolState::Dccp(_) | ProtocolState::Unknown(_))
        | (Protocol::TCP | Protocol::SCTP | Protocol::DCCP, ProtocolState::None) => return None,
        (Protocol::UDP | Protocol::UDPLITE, ProtocolState::None) => {
            return Some(Governing::OrStream { own: Timeout::Udp, stream: Timeout::UdpStream });
        }
        (Protocol::GRE, ProtocolState::None) => {
            return Some(Governing::OrStream { own: Timeout::Gre, stream: Timeout::GreStream });
        }
        (Protocol::ICMP, ProtocolState::None) => Timeout::Icmp,
        (Protocol::ICMPV6, ProtocolState::None) => Timeout::Icmpv6,
        (_, ProtocolState::None) => Timeout::Generic,
    };
    Some(Governing::Own(timeout))
}

/// The longest time in seconds that a packet gives an entry in its present state, under these timeouts; `None` where one
/// of them was not read, or it is not known what arms such entries.
#[inline]
pub fn longest_secs(timeouts: &Timeouts, entry: &Entry) -> Option<u32> {
    match governing(entry.original.protocol, entry.state)? {
        Governing::Own(own) | Governing::Capped { own, .. } => timeouts.get_secs(own),
        Governing::OrStream { own, stream } => {
            let own = || timeouts.get_secs(own);
            let stream = || timeouts.get_secs(stream);
            if entry.status.has(Status::ASSURED) {
                stream()
            } else if entry.status.has(Status::SEEN_REPLY) {
                Some(own()?.max(stream()?))
            } else {
                own()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use plimsoll_model::{Layer4, Tuple};

    use super::*;

    #[test]
    fn a_flow_that_may_be_a_stream_has_the_longer_of_both() {
        let address = Ipv4Addr::LOCALHOST.into();
        let layer4 = Layer4::Ports { source: 1, destination: 2 };
        let tuple = Tuple { source: address, destination: address, protocol: Protocol::UDP, layer4 };
        let of = |status| Entry { status, ..Entry::of(tuple) };
        let (replied, assured) = (Status::SEEN_REPLY, Status::SEEN_REPLY.and(Status::ASSURED));
        for (udp, stream) in [(30, 120), (120, 30)] {
            let timeouts: Timeouts = [(Timeout::Udp, udp), (Timeout::UdpStream, stream)].into_iter().collect();
            assert_eq!(longest_secs(&timeouts, &of(Status::default())), Some(udp));
            assert_eq!(longest_secs(&timeouts, &of(replied)), Some(120));
            assert_eq!(longest_secs(&timeouts, &of(assured)), Some(stream));
        }
        assert_eq!(longest_secs(&Timeouts::default(), &of(replied)), None);
    }
}
