//! How low a timeout may go, and what going lower costs.

use plimsoll_diagnose::thresholds::{NAT_ESTABLISHED_SECS, SHORT_TIME_WAIT_SECS};
use plimsoll_diagnose::words::duration;
use plimsoll_model::{NamespaceSnapshot, NetworkSettings, TcpState, Timeout};
use serde::Serialize;

/// What the host is to the flows that it tracks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It translates addresses: when an entry goes, so does the translation.
    Nat,
    /// It does not.
    Plain,
}

impl Role {
    /// By the entries that are there. Where none were read, translation is not ruled out.
    pub fn of(ns: &NamespaceSnapshot) -> Self {
        match &ns.census {
            Some(census) if census.source_nat.seen + census.destination_nat.seen == 0 => Self::Plain,
            _ => Self::Nat,
        }
    }
}

/// A value below which a timeout does harm that is known beforehand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rail {
    /// The value, in seconds.
    pub least_secs: u32,
    /// What it leans on.
    pub source: &'static str,
    /// What happens below it.
    pub because: String,
    /// Whether Plimsoll proposes values below it.
    pub holds: Holds,
}

/// Whether a rail may be crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Holds {
    /// No value below it is proposed.
    Binding,
    /// A value below it has this price.
    Price,
}

/// The rails of a timeout on this host, the binding ones first.
pub fn rails(timeout: Timeout, settings: &NetworkSettings, role: Role) -> Vec<Rail> {
    let own = own_rail(timeout, settings);
    let standard = standard_rail(timeout, role);
    let mut rails: Vec<_> = own.into_iter().chain(standard).collect();
    rails.sort_by_key(|rail| rail.holds == Holds::Price);
    rails
}

/// The least that may be proposed: the highest binding rail.
pub(crate) fn least_secs(timeout: Timeout, settings: &NetworkSettings, role: Role) -> Option<Rail> {
    rails(timeout, settings, role)
        .into_iter()
        .filter(|rail| rail.holds == Holds::Binding)
        .max_by_key(|rail| rail.least_secs)
}

/// `TCP_KEEPALIVE_TIME` and `TCP_KEEPALIVE_INTVL` of `include/net/tcp.h`.
const KEEPALIVE_NEEDS_SECS: u32 = 7200 + 75;

fn own_rail(timeout: Timeout, settings: &NetworkSettings) -> Option<Rail> {
    let binding = |least_secs, source, because| Some(Rail { least_secs, source, because, holds: Holds::Binding });
    match timeout {
        Timeout::Tcp(TcpState::TimeWait) => binding(
            SHORT_TIME_WAIT_SECS,
            "the founding guide; TCP's own retransmissions, which take 13 s for six",
            "late retransmissions on slow paths are answered with resets".to_string(),
        ),
        Timeout::Tcp(TcpState::Established) => {
            let (least, source) = match settings.keepalive_needs_secs() {
                Some(least) => (least, "this host's keepalive settings"),
                None => (KEEPALIVE_NEEDS_SECS, "the kernel's own keepalive settings; this host's could not be read"),
            };
            let because = format!(
                "a connection that keeps itself alive is silent for up to {} (net.ipv4.tcp_keepalive_time and \
                 tcp_keepalive_intvl), and its entry would be gone before the probe",
                duration(least.into())
            );
            binding(least, source, because)
        }
        _ => None,
    }
}

/// What RFCs ask of a NAT. They do not ask it of others: there the entry comes back with the next packet.
fn standard_rail(timeout: Timeout, role: Role) -> Option<Rail> {
    let (least_secs, source, what) = match timeout {
        Timeout::Tcp(TcpState::Established) => {
            (NAT_ESTABLISHED_SECS, "RFC 5382, REQ-5", "an established connection is kept for 2 h 4 min at least")
        }
        // "Partially open or partially closed"; TIME_WAIT it leaves open.
        Timeout::Tcp(
            TcpState::SynSent | TcpState::SynRecv | TcpState::FinWait | TcpState::CloseWait | TcpState::LastAck,
        ) => (240, "RFC 5382, REQ-5", "a connection that opens or closes is kept for 4 min at least"),
        Timeout::Udp | Timeout::UdpStream => {
            (120, "RFC 4787, REQ-5", "a UDP mapping is kept for 2 min at least; for a well-known port it may be less")
        }
        Timeout::Icmp | Timeout::Icmpv6 => (60, "RFC 5508, REQ-2", "an ICMP query is kept for 60 s at least"),
        _ => return None,
    };
    let holds = match role {
        Role::Nat => Holds::Binding,
        Role::Plain => Holds::Price,
    };
    Some(Rail { least_secs, source, because: what.to_string(), holds })
}
