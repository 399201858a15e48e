//! What an entry's age can be the age of.

use serde::Serialize;

/// A kind of event that entries date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Series {
    /// TCP connections that closed (`TIME_WAIT`).
    Closes,
    /// TCP connections that were reset (`CLOSE`).
    Resets,
    /// SYNs that nobody has answered (`SYN_SENT`).
    HalfOpen,
    /// SYN-ACKs that nobody has acknowledged (`SYN_RECV`).
    Answered,
    /// UDP that nobody has answered; one packet where the kernel counts packets.
    OneWayUdp,
    /// UDP questions that were answered.
    UdpExchanges,
    /// Entries of every kind, by the time at which they were made (`nf_conntrack_timestamp`).
    NewFlows,
}

impl Series {
    /// Words for it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Closes => "closes",
            Self::Resets => "resets",
            Self::HalfOpen => "unanswered SYNs",
            Self::Answered => "unacknowledged SYN-ACKs",
            Self::OneWayUdp => "unanswered UDP",
            Self::UdpExchanges => "answered UDP",
            Self::NewFlows => "new flows",
        }
    }

    /// The age from which an entry is counted. The timeout left is in whole seconds, and an answer that is under way
    /// takes an entry out of the state again: the youngest are too young to tell.
    pub(crate) const fn youngest_secs(self) -> u32 {
        match self {
            Self::Closes | Self::Resets => 0,
            Self::HalfOpen | Self::Answered | Self::OneWayUdp | Self::UdpExchanges | Self::NewFlows => 1,
        }
    }
}
