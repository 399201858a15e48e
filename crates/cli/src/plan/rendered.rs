//! A plan in the formats of others.

use plimsoll_diagnose::in_force;
use plimsoll_host::HostFs;
use plimsoll_model::{NamedBy, NamespaceSnapshot, Snapshot, Sysctl};
use plimsoll_plan::Plan;
use plimsoll_render::{Format, Place, Reasoned, Target, diff, render};

/// All that the plan changes, as a format has it.
pub(super) fn formatted(format: Format, snapshot: &Snapshot, ns: &NamespaceSnapshot, plan: &Plan) -> String {
    render(format, &reasoned(plan), &target(snapshot, ns)).to_string()
}

/// What the plan changes of today's values, as `diff -u` has it.
pub(super) fn as_diff(snapshot: &Snapshot, ns: &NamespaceSnapshot, plan: &Plan) -> String {
    diff(&reasoned(plan), &values(snapshot, ns))
}

fn reasoned(plan: &Plan) -> Vec<Reasoned> {
    plan.changes.iter().map(|change| Reasoned { edit: change.edit.clone(), why: change.why.clone() }).collect()
}

fn target(snapshot: &Snapshot, ns: &NamespaceSnapshot) -> Target {
    let place = match ns.namespace.named_by {
        NamedBy::Host => Place::Host,
        _ => Place::Other(ns.namespace.name.clone()),
    };
    // Without it a profile of tuned's includes none, and says so.
    let tuned_profile = HostFs::new().tuned_profile().ok().flatten();
    Target { module: snapshot.module, place, limits: snapshot.limits, tuned_profile }
}

fn values(snapshot: &Snapshot, ns: &NamespaceSnapshot) -> Vec<(Sysctl, u32)> {
    if ns.namespace.named_by == NamedBy::Host {
        return in_force(snapshot);
    }
    let timeouts = ns.timeouts.iter_secs();
    timeouts.filter_map(|(timeout, secs)| Some((Sysctl::of_timeout(timeout)?, secs))).collect()
}
