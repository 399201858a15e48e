//! Plans of snapshots, and what is in them.
#![allow(dead_code, reason = "each file of tests uses a part")]

use std::num::NonZeroUsize;

use plimsoll_diagnose::diagnose;
use plimsoll_model::{Edit, Snapshot, Sysctl};
use plimsoll_plan::{BypassGround, Bypasses, FOUNDING_SHARE, Plan, Planned, Request, Situation, TimeoutsBy, plan};
use plimsoll_twin::Capabilities;

pub(crate) fn planned(snapshot: &Snapshot, timeouts: TimeoutsBy) -> Plan {
    planned_beside(snapshot, timeouts, Bypasses::WhereShort, Err("not asked"))
}

pub(crate) fn planned_beside(
    snapshot: &Snapshot,
    timeouts: TimeoutsBy,
    bypasses: Bypasses,
    bypass: Result<BypassGround<'_>, &str>,
) -> Plan {
    let findings = diagnose(snapshot);
    let situation = Situation {
        snapshot,
        namespace: &snapshot.namespaces[0],
        findings: &findings,
        capabilities: Capabilities::LINUX_6_18,
        is_replicated: None,
        bypass,
        measured: None,
    };
    let request = Request {
        growth: 2.0,
        memory_share: FOUNDING_SHARE,
        timeouts,
        bypasses,
        seed: 1,
        threads: NonZeroUsize::new(2).unwrap(),
    };
    plan(situation, request)
}

pub(crate) fn auto(snapshot: &Snapshot) -> Plan {
    planned(snapshot, TimeoutsBy::Auto)
}

pub(crate) fn named(name: &str) -> Sysctl {
    name.parse().unwrap()
}

pub(crate) fn of(plan: &Plan, sysctl: Sysctl) -> Option<&Planned> {
    plan.changes.iter().find(|change| matches!(change.edit, Edit::Sysctl { sysctl: of, .. } if of == sysctl))
}

pub(crate) fn to(plan: &Plan, sysctl: Sysctl) -> Option<u32> {
    of(plan, sysctl).map(|change| match change.edit {
        Edit::Sysctl { to, .. } => to,
        Edit::Policy(_) | Edit::Bypass(_) | Edit::Shield(_) | Edit::XdpStage(_) => 0,
    })
}

pub(crate) const TIME_WAIT: &str = "nf_conntrack_tcp_timeout_time_wait";
pub(crate) const ESTABLISHED: &str = "nf_conntrack_tcp_timeout_established";
pub(crate) const SYN_SENT: &str = "nf_conntrack_tcp_timeout_syn_sent";
pub(crate) const UDP: &str = "nf_conntrack_udp_timeout";
