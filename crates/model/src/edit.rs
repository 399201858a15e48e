//! What a plan writes: the least that is needed to do it, and to undo it.

use serde::{Deserialize, Serialize};

use crate::{Bypass, Protocol, Shield, Sysctl, Timeout, XdpStage};

/// One thing that is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Edit {
    /// A sysctl.
    Sysctl {
        /// Which.
        sysctl: Sysctl,
        /// What it is now. Whoever writes makes sure that it still is.
        from: u32,
        /// What it becomes.
        to: u32,
    },
    /// Timeouts for one service alone, by rules in an nft table of Plimsoll's own. They are not there before.
    Policy(ServicePolicy),
    /// No tracking for one service, by rules in the same table.
    Bypass(Bypass),
    /// A filter before tracking, by rules in another nft table of Plimsoll's own. No plan holds one: `plimsoll shield` makes it, in
    /// shadow first and never without an end.
    Shield(Shield),
    /// The same filter on an interface, before there is an skb. It goes with the shield of the same application.
    XdpStage(XdpStage),
}

/// Timeouts for the new flows of one service (an nft `ct timeout` object).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServicePolicy {
    /// The service's protocol.
    pub protocol: PolicyProtocol,
    /// The service's port.
    pub port: u16,
    /// What each timeout is for it, in seconds; those that are not named stay as the kernel compiled them in, whatever the
    /// sysctls say (`nft` fills them in).
    pub timeouts: Vec<PolicyTimeout>,
}

/// A timeout of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyTimeout {
    /// Which, by its sysctl.
    pub sysctl: Sysctl,
    /// Its value in seconds.
    pub secs: u32,
}

impl PolicyTimeout {
    /// The timeout; `None` where the sysctl sets none.
    pub fn timeout(&self) -> Option<Timeout> {
        self.sysctl.timeout()
    }
}

/// A protocol that policies are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PolicyProtocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl PolicyProtocol {
    /// As nft and iptables write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }

    /// The protocol itself.
    pub const fn protocol(self) -> Protocol {
        match self {
            Self::Tcp => Protocol::TCP,
            Self::Udp => Protocol::UDP,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_is_read_back_as_it_was_written() {
        let edit = Edit::Sysctl { sysctl: Sysctl::CAPACITY, from: 262_144, to: 524_288 };
        let text = serde_json::to_string(&edit).unwrap();
        assert_eq!(text, r#"{"kind":"sysctl","sysctl":"net.netfilter.nf_conntrack_max","from":262144,"to":524288}"#);
        assert_eq!(serde_json::from_str::<Edit>(&text).unwrap(), edit);
        let secs = PolicyTimeout { sysctl: Sysctl::of_timeout(Timeout::Udp).unwrap(), secs: 10 };
        let policy = ServicePolicy { protocol: PolicyProtocol::Udp, port: 53, timeouts: vec![secs] };
        let text = serde_json::to_string(&Edit::Policy(policy.clone())).unwrap();
        assert_eq!(serde_json::from_str::<Edit>(&text).unwrap(), Edit::Policy(policy));
        assert!(serde_json::from_str::<Edit>(&text.replace("nf_conntrack_udp", "../x")).is_err());
    }
}
