//! The part of a packet's way on which rules are followed.

use plimsoll_model::Bypass;

use crate::class::Route;
use crate::model::Hook;
use crate::state::Bits;

/// Which hooks packets go through, and what is known of them when they come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course {
    /// The hooks, in order.
    pub(crate) hooks: &'static [Hook],
    /// In the last of them only what comes before this priority.
    pub(crate) until: Option<i32>,
    /// From which priority on what is not tracked is so.
    pub(crate) untracked_from: i32,
    /// Whether the rules are asked for a translation.
    pub(crate) translation: Translation,
    /// The packet's mark.
    pub(crate) mark: Bits,
    /// Flags of TCP, where they are known.
    pub(crate) tcp_flags: Option<u8>,
}

/// Whether rules are asked for a translation (`nf_nat_inet_fn` in `nf_nat_core.c`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Translation {
    /// Of the first packet of a flow they are.
    ByRules,
    /// It has been settled on an earlier hook.
    Settled,
}

impl Course {
    /// All of the way, of packets of which nothing is known.
    pub(crate) fn whole(route: Route) -> Self {
        let hooks: &[Hook] = match route {
            Route::ToHost => &[Hook::Ingress, Hook::Prerouting, Hook::Input],
            Route::FromHost => &[Hook::Output, Hook::Postrouting, Hook::Egress],
            Route::Forwarded => &[Hook::Ingress, Hook::Prerouting, Hook::Forward, Hook::Postrouting, Hook::Egress],
        };
        Self {
            hooks,
            until: None,
            untracked_from: Bypass::PRIORITY,
            translation: Translation::ByRules,
            mark: Bits::default(),
            tcp_flags: None,
        }
    }
}
