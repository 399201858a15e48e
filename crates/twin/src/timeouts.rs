//! Timeouts in jiffies, as trackers look them up.

use plimsoll_model::{SctpState, TcpState, Timeout, Timeouts};

use crate::Hz;

/// Every timeout of a namespace, or of a timeout policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spans {
    pub(crate) tcp: TcpTimeouts,
    pub(crate) sctp: [u32; SctpState::ALL.len()],
    pub(crate) udp: u32,
    pub(crate) udp_stream: u32,
    pub(crate) icmp: u32,
    pub(crate) icmpv6: u32,
    pub(crate) gre: u32,
    pub(crate) gre_stream: u32,
    pub(crate) generic: u32,
}

/// TCP's: one a state, and two for what may come in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TcpTimeouts([u32; TcpState::ALL.len() + 2]);

impl TcpTimeouts {
    const MAX_RETRANS: usize = TcpState::ALL.len();
    const UNACKNOWLEDGED: usize = TcpState::ALL.len() + 1;

    pub(crate) const fn of(&self, state: TcpState) -> u32 {
        self.0[state as usize]
    }

    pub(crate) const fn max_retrans(&self) -> u32 {
        self.0[Self::MAX_RETRANS]
    }

    pub(crate) const fn unacknowledged(&self) -> u32 {
        self.0[Self::UNACKNOWLEDGED]
    }
}

impl Spans {
    /// Those that were read; for the others, those that are compiled in.
    pub(crate) fn of(timeouts: &Timeouts, hz: Hz) -> Self {
        let span = |timeout: Timeout| {
            // NONE is never armed; the kernel has SYN_SENT's in its place (nf_conntrack_tcp_init_net).
            let timeout = match timeout {
                Timeout::Tcp(TcpState::None) => Timeout::Tcp(TcpState::SynSent),
                other => other,
            };
            hz.jiffies(timeouts.get_secs(timeout).or(timeout.compiled_default_secs()).unwrap_or(0))
        };
        let mut tcp = [0; TcpState::ALL.len() + 2];
        for state in TcpState::ALL {
            tcp[*state as usize] = span(Timeout::Tcp(*state));
        }
        tcp[TcpTimeouts::MAX_RETRANS] = span(Timeout::TcpMaxRetrans);
        tcp[TcpTimeouts::UNACKNOWLEDGED] = span(Timeout::TcpUnacknowledged);
        let mut sctp = [0; SctpState::ALL.len()];
        for state in SctpState::ALL {
            sctp[*state as usize] = span(Timeout::Sctp(*state));
        }
        Self {
            tcp: TcpTimeouts(tcp),
            sctp,
            udp: span(Timeout::Udp),
            udp_stream: span(Timeout::UdpStream),
            icmp: span(Timeout::Icmp),
            icmpv6: span(Timeout::Icmpv6),
            gre: span(Timeout::Gre),
            gre_stream: span(Timeout::GreStream),
            generic: span(Timeout::Generic),
        }
    }

    /// What a new entry of a protocol is armed with when a policy is set on it (`nft_ct_timeout_obj_eval`).
    pub(crate) const fn of_new(&self, tracker: super::tracker::Kind) -> u32 {
        use super::tracker::Kind;
        match tracker {
            Kind::Tcp => self.tcp.of(TcpState::SynSent),
            Kind::Udp | Kind::UdpLite => self.udp,
            Kind::Icmp => self.icmp,
            Kind::Icmpv6 => self.icmpv6,
            Kind::Gre => self.gre,
            Kind::Sctp => self.sctp[SctpState::Closed as usize],
            Kind::Generic => self.generic,
        }
    }
}
