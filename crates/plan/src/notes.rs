//! What else whoever carries a plan out must know.

use plimsoll_diagnose::words::{duration, grouped, rate, rounded};
use plimsoll_model::{Edit, FindingId, NamedBy, NamespaceSnapshot, Reach, Sysctl};

use crate::changes::named;
use crate::growth::unexplained_per_sec;
use crate::{Planned, Situation};

pub(crate) fn notes(situation: Situation<'_>, changes: &[Planned]) -> Vec<String> {
    let Situation { snapshot, namespace, findings, is_replicated, .. } = situation;
    let sysctls: Vec<_> = changes
        .iter()
        .filter_map(|change| match &change.edit {
            Edit::Sysctl { sysctl, .. } => Some(*sysctl),
            Edit::Policy(_) | Edit::Bypass(_) | Edit::Shield(_) | Edit::XdpStage(_) => None,
        })
        .collect();
    let mut notes = Vec::new();
    if namespace.namespace.named_by != NamedBy::Host && sysctls.iter().any(|sysctl| sysctl.reach() == Reach::Host) {
        notes.push("limits and buckets are one value for all namespaces, and are set in the host's own".to_string());
    }
    if sysctls.iter().any(|sysctl| sysctl.timeout().is_some()) {
        notes.push(format!(
            "timeouts are set in {} alone: other namespaces, containers that are started later among them, have the kernel's own",
            namespace.namespace.name
        ));
    }
    if is_replicated == Some(true) {
        notes.push(
            "conntrackd replicates entries here: the peer needs the same capacity and timeouts, and what is deleted here is \
             deleted there"
                .to_string(),
        );
    }
    if snapshot.namespaces.iter().any(|ns| ns.occupancy.is_none()) {
        notes.push("not every namespace could be counted: what those hold is in no sum".to_string());
    }
    if let Some(finding) = findings.iter().find(|finding| finding.id == FindingId::CannotSee) {
        let needs: Vec<_> = finding.remedies.iter().map(|remedy| remedy.action.trim_end_matches('.')).collect();
        notes.push(format!(
            "not all could be read, and the plan rests on the rest ({}); `plimsoll check` says what",
            needs.join("; ")
        ));
    }
    if !changes.is_empty() {
        notes.extend(not_foretold(namespace));
    }
    if let [one, _, ..] = changes {
        notes.push(format!("one at a time: begin with the first ({}), and look before the next", named(&one.edit)));
    }
    if sysctls.contains(&Sysctl::BUCKETS) && sysctls.contains(&Sysctl::CAPACITY) {
        notes.push("more buckets are for the new limit: at the old one they only weaken early_drop".to_string());
    }
    notes
}

/// What is in no prediction.
fn not_foretold(ns: &NamespaceSnapshot) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(per_sec) = unexplained_per_sec(ns) {
        notes.push(format!(
            "nothing is predicted: the table gains {} entries a second more than come in states that tell when, so what comes is \
             not known",
            rate(per_sec)
        ));
    }
    let refused = ns.change.as_ref().and_then(|change| {
        let drops = change.counters.full_table_drops().filter(|drops| *drops > 0)?;
        Some((drops, change.over.as_secs_f64()))
    });
    if let Some((drops, over_secs)) = refused {
        notes.push(format!(
            "{} packets of new flows were refused within {}: they are in no prediction, and how far they fill new room is not \
             known; plan again once there is some",
            grouped(drops),
            duration(rounded(over_secs).max(1))
        ));
    }
    notes
}
