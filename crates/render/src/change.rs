//! What is rendered, and for which host.

use plimsoll_model::{Bypass, Edit, Limits, ModuleState, PolicyProtocol, ServicePolicy, Sysctl, Untrusted};

/// An edit, and why it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reasoned {
    /// What is written.
    pub edit: Edit,
    /// Why, in a sentence or two; it becomes a comment.
    pub why: String,
}

/// The host that the edits are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whether `nf_conntrack` is a module: what is built in has no file that loads it, nor options of one.
    pub module: ModuleState,
    /// The namespace that the edits are for.
    pub place: Place,
    /// Limits in force.
    pub limits: Limits,
    /// Tuned's active profile, which another one has to include.
    pub tuned_profile: Option<Untrusted>,
}

/// A network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The one that the host boots with; the only one that files of settings reach.
    Host,
    /// Another, by its name.
    Other(Untrusted),
}

/// A sysctl that is to be set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting<'a> {
    pub(crate) sysctl: Sysctl,
    pub(crate) from: u32,
    /// What it reads as once it is written.
    pub(crate) to: u32,
    pub(crate) why: &'a str,
}

/// A policy that is to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy<'a> {
    pub(crate) policy: &'a ServicePolicy,
    pub(crate) why: &'a str,
}

/// A service that is not to be tracked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BypassChange<'a> {
    pub(crate) bypass: &'a Bypass,
    pub(crate) why: &'a str,
}

pub(crate) fn settings(changes: &[Reasoned]) -> impl Iterator<Item = Setting<'_>> {
    changes.iter().filter_map(|Reasoned { edit, why }| match edit {
        Edit::Sysctl { sysctl, from, to } => {
            Some(Setting { sysctl: *sysctl, from: *from, to: sysctl.as_read(*to), why })
        }
        Edit::Policy(_) | Edit::Bypass(_) | Edit::Shield(_) | Edit::XdpStage(_) => None,
    })
}

pub(crate) fn policies(changes: &[Reasoned]) -> impl Iterator<Item = Policy<'_>> {
    changes.iter().filter_map(|Reasoned { edit, why }| match edit {
        Edit::Policy(policy) => Some(Policy { policy, why }),
        Edit::Sysctl { .. } | Edit::Bypass(_) | Edit::Shield(_) | Edit::XdpStage(_) => None,
    })
}

pub(crate) fn bypasses(changes: &[Reasoned]) -> impl Iterator<Item = BypassChange<'_>> {
    changes.iter().filter_map(|Reasoned { edit, why }| match edit {
        Edit::Bypass(bypass) => Some(BypassChange { bypass, why }),
        Edit::Sysctl { .. } | Edit::Policy(_) | Edit::Shield(_) | Edit::XdpStage(_) => None,
    })
}

impl Setting<'_> {
    /// `net.netfilter.nf_conntrack_max = 524288`, as sysctl.d(5) has it.
    pub(crate) fn line(&self) -> String {
        sysctl_line(self.sysctl, self.to)
    }
}

pub(crate) fn sysctl_line(sysctl: Sysctl, value: u32) -> String {
    format!("{sysctl} = {value}\n")
}

/// A policy in words: `timeouts of tcp port 443`.
pub(crate) fn named(policy: &ServicePolicy) -> String {
    format!("timeouts of {} port {}", policy.protocol.name(), policy.port)
}

/// The words that nft and nfct have for timeouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Nft,
    Nfct,
}

/// A policy's timeouts in a dialect, each with its seconds, and the sysctls of which a policy of its protocol has none.
pub(crate) fn timeouts(policy: &ServicePolicy, dialect: Dialect) -> (Vec<(&'static str, u32)>, Vec<Sysctl>) {
    let mut known = Vec::new();
    let mut unknown = Vec::new();
    for timeout in &policy.timeouts {
        match word(policy.protocol, timeout.sysctl, dialect) {
            Some(word) => known.push((word, timeout.secs)),
            None => unknown.push(timeout.sysctl),
        }
    }
    (known, unknown)
}

/// What nft calls a timeout of a policy; `None` where a policy of the protocol has none such.
pub fn name_in_nft(protocol: PolicyProtocol, sysctl: Sysctl) -> Option<&'static str> {
    word(protocol, sysctl, Dialect::Nft)
}

/// `timeout_state_to_name` of nft's `src/datatype.c` and nfct's `src/nfct-extensions/timeout.c` are named as the sysctls are, but for
/// these.
fn word(protocol: PolicyProtocol, sysctl: Sysctl, dialect: Dialect) -> Option<&'static str> {
    match protocol {
        PolicyProtocol::Udp => match sysctl.name() {
            "nf_conntrack_udp_timeout" => Some("unreplied"),
            "nf_conntrack_udp_timeout_stream" => Some("replied"),
            _ => None,
        },
        PolicyProtocol::Tcp => match (sysctl.name().strip_prefix("nf_conntrack_tcp_timeout_")?, dialect) {
            ("max_retrans", _) => Some("retrans"),
            ("unacknowledged", Dialect::Nft) => Some("unack"),
            (state, _) => Some(state),
        },
    }
}
