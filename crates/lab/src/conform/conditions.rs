//! Under which settings a round is played.

use plimsoll_draw::Draw;
use plimsoll_model::{TcpState, Timeout, Timeouts};
use plimsoll_twin::Settings;

use super::ground::{Policies, Translation};

/// Settings of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "sysctls that are switches")]
pub(super) struct Conditions {
    pub(super) pace: Pace,
    pub(super) translation: Translation,
    pub(super) policies: Policies,
    tcp_loose: bool,
    tcp_be_liberal: bool,
    tcp_ignore_invalid_rst: bool,
    /// 1 in place of 3.
    gives_up_soon: bool,
}

/// Which timeouts there are, and whether they are crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// The kernel's own timeouts, one step after the other.
    Stock,
    /// The same, but that unacknowledged data have a minute, which is less than most states have.
    Impatient,
    /// Timeouts of seconds, and waits that cross them.
    Short,
}

const STOCK: Conditions = Conditions {
    pace: Pace::Stock,
    translation: Translation::None,
    policies: Policies::None,
    tcp_loose: true,
    tcp_be_liberal: false,
    tcp_ignore_invalid_rst: false,
    gives_up_soon: false,
};

/// Every setting in each way, alone first and then with others. What is played beyond these is drawn.
pub(super) const CONDITIONS: [Conditions; 9] = [
    STOCK,
    Conditions { translation: Translation::Both, ..STOCK },
    Conditions { pace: Pace::Short, policies: Policies::OnLowPorts, ..STOCK },
    Conditions { policies: Policies::OnLowPorts, tcp_loose: false, ..STOCK },
    Conditions { tcp_be_liberal: true, ..STOCK },
    Conditions { tcp_ignore_invalid_rst: true, ..STOCK },
    Conditions { pace: Pace::Impatient, gives_up_soon: true, ..STOCK },
    Conditions { pace: Pace::Impatient, ..STOCK },
    Conditions {
        pace: Pace::Impatient,
        translation: Translation::Both,
        policies: Policies::OnLowPorts,
        tcp_be_liberal: true,
        tcp_ignore_invalid_rst: true,
        gives_up_soon: true,
        ..STOCK
    },
];

impl Conditions {
    /// Any.
    pub(super) fn drawn(draw: &mut Draw) -> Self {
        let mut one_in = |of| draw.below(of) == 0;
        Self {
            pace: match (one_in(6), one_in(3)) {
                (true, _) => Pace::Short,
                (false, true) => Pace::Impatient,
                (false, false) => Pace::Stock,
            },
            translation: if one_in(3) { Translation::Both } else { Translation::None },
            policies: if one_in(3) { Policies::OnLowPorts } else { Policies::None },
            tcp_loose: !one_in(4),
            tcp_be_liberal: one_in(4),
            tcp_ignore_invalid_rst: one_in(4),
            gives_up_soon: one_in(4),
        }
    }

    pub(super) fn settings(self) -> Settings {
        Settings {
            timeouts: match self.pace {
                Pace::Stock => Timeouts::default(),
                Pace::Impatient => impatient_timeouts(),
                Pace::Short => short_timeouts(),
            },
            tcp_loose: self.tcp_loose,
            tcp_be_liberal: self.tcp_be_liberal,
            tcp_ignore_invalid_rst: self.tcp_ignore_invalid_rst,
            tcp_max_retrans: self.max_retrans(),
            ..Settings::default()
        }
    }

    const fn max_retrans(self) -> u32 {
        if self.gives_up_soon { 1 } else { 3 }
    }

    /// What is not the kernel's default, in words.
    pub(super) fn describe(self) -> String {
        let mut parts = Vec::new();
        match self.pace {
            Pace::Stock => {}
            Pace::Impatient => parts.push("a minute for unacknowledged data".to_string()),
            Pace::Short => parts.push("timeouts of seconds".to_string()),
        }
        if self.translation == Translation::Both {
            parts.push("source and destination translated".to_string());
        }
        if self.policies == Policies::OnLowPorts {
            parts.push("timeout policies on ports below 500".to_string());
        }
        for (name, value, stock) in [
            ("loose", u32::from(self.tcp_loose), 1),
            ("be_liberal", u32::from(self.tcp_be_liberal), 0),
            ("ignore_invalid_rst", u32::from(self.tcp_ignore_invalid_rst), 0),
            ("max_retrans", self.max_retrans(), 3),
        ] {
            if value != stock {
                parts.push(format!("net.netfilter.nf_conntrack_tcp_{name} = {value}"));
            }
        }
        parts.join(", ")
    }
}

/// No two alike where one could be taken for another.
fn impatient_timeouts() -> Timeouts {
    let own = [
        (Timeout::TcpUnacknowledged, 60),
        (Timeout::TcpMaxRetrans, 58),
        (Timeout::Tcp(TcpState::FinWait), 100),
        (Timeout::Tcp(TcpState::CloseWait), 90),
        (Timeout::Tcp(TcpState::SynRecv), 62),
        (Timeout::Udp, 31),
    ];
    own.into_iter().collect()
}

/// Timeouts that a test can wait for, no two alike where one could be taken for another.
fn short_timeouts() -> Timeouts {
    let tcp = |state| Timeout::Tcp(state);
    let own = [
        (tcp(TcpState::SynSent), 3),
        (tcp(TcpState::SynRecv), 4),
        (tcp(TcpState::Established), 11),
        (tcp(TcpState::FinWait), 6),
        (tcp(TcpState::CloseWait), 5),
        (tcp(TcpState::LastAck), 3),
        (tcp(TcpState::TimeWait), 4),
        (tcp(TcpState::Close), 2),
        (Timeout::TcpMaxRetrans, 7),
        (Timeout::TcpUnacknowledged, 8),
        (Timeout::Udp, 3),
        (Timeout::UdpStream, 6),
        (Timeout::Icmp, 3),
        (Timeout::Icmpv6, 4),
        (Timeout::Gre, 3),
        (Timeout::GreStream, 6),
        (Timeout::Generic, 5),
    ];
    own.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// However short a run is, it plays every setting in each way.
    #[test]
    fn every_setting_is_played_in_each_way() {
        let ways = |of: fn(&Conditions) -> String| CONDITIONS.iter().map(of).collect::<BTreeSet<_>>().len();
        assert_eq!(ways(|one| format!("{:?}", one.pace)), 3);
        assert_eq!(ways(|one| format!("{:?}", one.translation)), 2);
        assert_eq!(ways(|one| format!("{:?}", one.policies)), 2);
        assert_eq!(ways(|one| one.tcp_loose.to_string()), 2);
        assert_eq!(ways(|one| one.tcp_be_liberal.to_string()), 2);
        assert_eq!(ways(|one| one.tcp_ignore_invalid_rst.to_string()), 2);
        assert_eq!(ways(|one| one.gives_up_soon.to_string()), 2);
    }
}
