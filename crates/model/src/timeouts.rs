//! The timeouts in force in a namespace.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::{SctpState, TcpState};

/// One of the kernel's conntrack timeouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timeout {
    /// A TCP state's own.
    Tcp(TcpState),
    /// TCP after three identical retransmissions, and after a zero window.
    TcpMaxRetrans,
    /// TCP with data that is not acknowledged.
    TcpUnacknowledged,
    /// UDP, one direction or too young to be a stream.
    Udp,
    /// UDP streams.
    UdpStream,
    /// ICMP queries.
    Icmp,
    /// `ICMPv6` queries.
    Icmpv6,
    /// GRE, one direction.
    Gre,
    /// GRE, both directions.
    GreStream,
    /// An SCTP state's own.
    Sctp(SctpState),
    /// Protocols without a tracker.
    Generic,
}

impl Timeout {
    /// Every timeout that has a sysctl. `SYN_SENT2`'s has none (its value is compiled in).
    pub fn all_with_sysctl() -> impl Iterator<Item = Self> {
        let tcp = TcpState::ALL.iter().copied().map(Self::Tcp);
        let sctp = SctpState::ALL.iter().copied().map(Self::Sctp);
        let rest = [
            Self::TcpMaxRetrans,
            Self::TcpUnacknowledged,
            Self::Udp,
            Self::UdpStream,
            Self::Icmp,
            Self::Icmpv6,
            Self::Gre,
            Self::GreStream,
            Self::Generic,
        ];
        tcp.chain(sctp).chain(rest).filter(|timeout| timeout.sysctl().is_some())
    }

    /// The sysctl's name below `net.netfilter.`.
    pub const fn sysctl(self) -> Option<&'static str> {
        Some(match self {
            Self::Tcp(state) => match state {
                TcpState::SynSent => "nf_conntrack_tcp_timeout_syn_sent",
                TcpState::SynRecv => "nf_conntrack_tcp_timeout_syn_recv",
                TcpState::Established => "nf_conntrack_tcp_timeout_established",
                TcpState::FinWait => "nf_conntrack_tcp_timeout_fin_wait",
                TcpState::CloseWait => "nf_conntrack_tcp_timeout_close_wait",
                TcpState::LastAck => "nf_conntrack_tcp_timeout_last_ack",
                TcpState::TimeWait => "nf_conntrack_tcp_timeout_time_wait",
                TcpState::Close => "nf_conntrack_tcp_timeout_close",
                TcpState::None | TcpState::SynSent2 => return None,
            },
            Self::TcpMaxRetrans => "nf_conntrack_tcp_timeout_max_retrans",
            Self::TcpUnacknowledged => "nf_conntrack_tcp_timeout_unacknowledged",
            Self::Udp => "nf_conntrack_udp_timeout",
            Self::UdpStream => "nf_conntrack_udp_timeout_stream",
            Self::Icmp => "nf_conntrack_icmp_timeout",
            Self::Icmpv6 => "nf_conntrack_icmpv6_timeout",
            Self::Gre => "nf_conntrack_gre_timeout",
            Self::GreStream => "nf_conntrack_gre_timeout_stream",
            Self::Generic => "nf_conntrack_generic_timeout",
            Self::Sctp(state) => match state {
                SctpState::Closed => "nf_conntrack_sctp_timeout_closed",
                SctpState::CookieWait => "nf_conntrack_sctp_timeout_cookie_wait",
                SctpState::CookieEchoed => "nf_conntrack_sctp_timeout_cookie_echoed",
                SctpState::Established => "nf_conntrack_sctp_timeout_established",
                SctpState::ShutdownSent => "nf_conntrack_sctp_timeout_shutdown_sent",
                SctpState::ShutdownRecd => "nf_conntrack_sctp_timeout_shutdown_recd",
                SctpState::ShutdownAckSent => "nf_conntrack_sctp_timeout_shutdown_ack_sent",
                SctpState::HeartbeatSent => "nf_conntrack_sctp_timeout_heartbeat_sent",
                SctpState::HeartbeatAcked => "nf_conntrack_sctp_timeout_heartbeat_acked",
                SctpState::None => return None,
            },
        })
    }

    /// The value that is compiled in, in seconds, and in force until somebody sets another (`nf_conntrack_proto_*.c`).
    /// UDP streams had 180 before 5.0.
    pub const fn compiled_default_secs(self) -> Option<u32> {
        Some(match self {
            Self::Tcp(state) => match state {
                TcpState::None => return None,
                TcpState::SynSent | TcpState::FinWait | TcpState::TimeWait | TcpState::SynSent2 => 120,
                TcpState::SynRecv | TcpState::CloseWait => 60,
                TcpState::Established => 432_000,
                TcpState::LastAck => 30,
                TcpState::Close => 10,
            },
            Self::TcpMaxRetrans | Self::TcpUnacknowledged => 300,
            Self::Udp | Self::Icmp | Self::Icmpv6 | Self::Gre => 30,
            Self::UdpStream => 120,
            Self::GreStream => 180,
            Self::Generic => 600,
            Self::Sctp(state) => match state {
                SctpState::None => return None,
                SctpState::Closed => 10,
                SctpState::Established | SctpState::HeartbeatAcked => 210,
                SctpState::HeartbeatSent => 30,
                _ => 3,
            },
        })
    }

    /// Whether every kernel that has the table shows this sysctl. GRE's, SCTP's and `ICMPv6`'s depend on how the
    /// kernel was built, `heartbeat_acked` on its version.
    pub const fn is_on_every_kernel(self) -> bool {
        !matches!(self, Self::Gre | Self::GreStream | Self::Sctp(_) | Self::Icmpv6)
    }
}

/// The timeouts in force, in seconds: those that were read, and no others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timeouts(BTreeMap<Timeout, u32>);

impl Timeouts {
    /// Those that are compiled in.
    pub fn compiled_defaults() -> Self {
        Timeout::all_with_sysctl().filter_map(|timeout| Some((timeout, timeout.compiled_default_secs()?))).collect()
    }

    /// The timeout in seconds; `None` where it was not read.
    pub fn get_secs(&self, timeout: Timeout) -> Option<u32> {
        match timeout {
            // tcp_timeouts[] in nf_conntrack_proto_tcp.c: 2 minutes, and nothing to set it with.
            Timeout::Tcp(TcpState::SynSent2) => Some(120),
            _ => self.0.get(&timeout).copied(),
        }
    }

    /// Every timeout that was read.
    pub fn iter_secs(&self) -> impl Iterator<Item = (Timeout, u32)> {
        self.0.iter().map(|(timeout, secs)| (*timeout, *secs))
    }

    /// Whether none was read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(Timeout, u32)> for Timeouts {
    fn from_iter<I: IntoIterator<Item = (Timeout, u32)>>(read: I) -> Self {
        Self(read.into_iter().collect())
    }
}

impl Serialize for Timeouts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().filter_map(|(timeout, secs)| timeout.sysctl().map(|name| (name, secs))))
    }
}
