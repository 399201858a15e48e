//! Which states arm their timeout once, on entering, so that the time left tells when that was.
//!
//! Facts from `nf_conntrack_proto_*.c`, checked on Linux 6.18.

use plimsoll_model::{Entry, Protocol, ProtocolState, SctpState, Status, TcpState, Timeout};
use serde::Serialize;

use crate::Series;

/// How a state's timeout comes to be armed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Arming {
    /// Once, on entering: what is left of the timeout dates that.
    Once {
        /// What entering the state is.
        series: Series,
        /// The timeout that is armed.
        #[serde(skip)]
        timeout: Timeout,
        /// Why.
        because: &'static str,
    },
    /// By every packet: what is left dates the last one.
    Again {
        /// Why.
        because: &'static str,
    },
    /// It is not known.
    Unknown {
        /// Why.
        because: &'static str,
    },
}

impl Arming {
    /// How the timeout of an entry's state is armed.
    pub fn of(entry: &Entry) -> Self {
        if entry.is_offloaded() {
            return Self::Unknown { because: "an offloaded entry shows neither state nor timeout" };
        }
        match (entry.original.protocol, entry.state) {
            (_, ProtocolState::Tcp(state)) => tcp(state),
            (_, ProtocolState::Sctp(state)) => sctp(state),
            (Protocol::TCP | Protocol::SCTP | Protocol::DCCP, _) | (_, ProtocolState::Dccp(_)) => {
                Self::Unknown { because: "the entry shows no state, or one that is not known" }
            }
            (Protocol::UDP | Protocol::UDPLITE, _) => udp(entry),
            (Protocol::ICMP | Protocol::ICMPV6, _) => {
                Self::Again { because: "every echo of one ping has one identifier, and each arms again" }
            }
            (Protocol::GRE, _) => Self::Again { because: "every packet of a tunnel arms again" },
            _ => Self::Again { because: "without a tracker, every packet between two addresses arms again" },
        }
    }
}

fn tcp(state: TcpState) -> Arming {
    let once = |series, because| Arming::Once { series, timeout: Timeout::Tcp(state), because };
    match state {
        TcpState::SynSent => once(Series::HalfOpen, "without an answer, a SYN sent again does not arm again (5.12)"),
        TcpState::SynRecv => once(Series::Answered, "a SYN or SYN-ACK sent again is ignored"),
        TcpState::FinWait => Arming::Unknown { because: "lasts until the FIN is acknowledged: too short to see" },
        TcpState::TimeWait => once(Series::Closes, "the last ACK arms; only a FIN or ACK sent again does so once more"),
        TcpState::Close => once(Series::Resets, "the RST arms; only what comes after it does so once more"),
        TcpState::Established => Arming::Again { because: "every packet arms again" },
        TcpState::CloseWait => {
            Arming::Again { because: "the side that is still open sends, and each packet arms again" }
        }
        TcpState::LastAck => Arming::Again { because: "the FIN is sent again until it is acknowledged" },
        TcpState::SynSent2 => Arming::Unknown { because: "simultaneous opens were not measured" },
        TcpState::None => Arming::Unknown { because: "no packet that opens a flow has been seen" },
    }
}

fn sctp(state: SctpState) -> Arming {
    match state {
        SctpState::Established => Arming::Again { because: "every packet arms again" },
        SctpState::HeartbeatSent | SctpState::HeartbeatAcked => Arming::Again { because: "every heartbeat arms again" },
        _ => Arming::Unknown { because: "SCTP was not measured" },
    }
}

fn udp(entry: &Entry) -> Arming {
    let once = |series, because| Arming::Once { series, timeout: Timeout::Udp, because };
    match (entry.packets.map(std::num::NonZeroU64::get), entry.status) {
        (_, status) if status.has(Status::ASSURED) => Arming::Again { because: "a stream: every packet arms again" },
        (None, status) if status.has(Status::SEEN_REPLY) => {
            once(Series::UdpExchanges, "a question and its answer, by all that shows: the answer arms")
        }
        (Some(..=2), status) if status.has(Status::SEEN_REPLY) => {
            once(Series::UdpExchanges, "a question and its answer: the answer arms")
        }
        (None, _) => once(Series::OneWayUdp, "one packet, by all that shows: nobody has answered"),
        (Some(..=1), _) => once(Series::OneWayUdp, "one packet"),
        (Some(_), _) => Arming::Again { because: "more packets than a question and its answer, and each arms again" },
    }
}
