//! "Table full" in the kernel's log: whose table it was.

use plimsoll_model::{
    Confidence, CounterReading, Evidence, Finding, FindingId, LogOccurrences, NamespaceSnapshot, Reading, Scope,
    Severity, Snapshot, Untrusted,
};

use crate::evidence::{advice, number};
use crate::thresholds::{FILLING, LOG_IS_RECENT_SECS};
use crate::words::duration;

pub(crate) fn evidence(logged: &LogOccurrences) -> Evidence {
    number(
        "log_last_secs_ago",
        logged.last_secs_ago as f64,
        format!(
            "the kernel logged \"table full\" {} ago, for the first time {} ago (its log is limited: the number of lines \
             says nothing)",
            duration(logged.last_secs_ago),
            duration(logged.first_secs_ago)
        ),
    )
}

fn is_recent(logged: &LogOccurrences) -> bool {
    logged.last_secs_ago <= LOG_IS_RECENT_SECS
}

/// The recent line of the kernel's log that speaks of this namespace.
pub(crate) fn of_namespace(snapshot: &Snapshot, ns: &NamespaceSnapshot) -> Option<LogOccurrences> {
    let log = snapshot.log.as_ref()?;
    if !may_have_dropped(ns) {
        return None;
    }
    let named = log.named.iter().find(|(inode, _)| Some(*inode) == ns.namespace.inode).map(|(_, logged)| *logged);
    let unnamed = log.unnamed.filter(|_| is_likeliest(snapshot, ns));
    named.into_iter().chain(unnamed).filter(is_recent).min_by_key(|logged| logged.last_secs_ago)
}

/// Inodes are used again and old lines name none, but a namespace whose table has never dropped a packet cannot be the
/// one.
fn may_have_dropped(ns: &NamespaceSnapshot) -> bool {
    ns.counters.as_ref().and_then(CounterReading::full_table_drops) != Some(0)
}

/// Whether a line that names no namespace is as likely about this one as about any: those that drop now come before
/// those that are nearly full, and these before those that have dropped at some time.
fn is_likeliest(snapshot: &Snapshot, ns: &NamespaceSnapshot) -> bool {
    let likelihood = |ns: &NamespaceSnapshot| {
        let drops = ns.change.as_ref().and_then(|change| change.counters.full_table_drops());
        (drops.is_some_and(|drops| drops > 0), ns.utilization().is_some_and(|utilization| utilization >= FILLING))
    };
    let suspects = snapshot.namespaces.iter().filter(|suspect| may_have_dropped(suspect));
    suspects.map(likelihood).max() == Some(likelihood(ns))
}

/// A recent line that no namespace we looked at can have caused: the namespace is gone, or out of sight.
pub(crate) fn findings(snapshot: &Snapshot) -> Option<Finding> {
    if snapshot.scope != Scope::All {
        return None;
    }
    let log = snapshot.log.as_ref()?;
    let explained = snapshot.namespaces.iter().any(|ns| of_namespace(snapshot, ns).is_some());
    let latest = log
        .named
        .iter()
        .map(|(inode, logged)| (Some(*inode), logged))
        .chain(log.unnamed.as_ref().map(|logged| (None, logged)))
        .filter(|(_, logged)| is_recent(logged))
        .min_by_key(|(_, logged)| logged.last_secs_ago)?;
    let all_seen =
        !snapshot.unseen.iter().any(|unseen| matches!(unseen.reading, Reading::Namespaces | Reading::Namespace));
    let (inode, logged) = latest;
    (!explained).then(|| Finding {
        id: FindingId::NamespaceFull,
        severity: if all_seen { Severity::Info } else { Severity::Unknown },
        confidence: Confidence::Possible,
        namespace: inode.map(|inode| Untrusted::from(format!("net:[{inode}]").as_str())),
        holds: None,
        whose: Vec::new(),
        title: "the kernel logged a full table, in a namespace that is not to be seen".to_string(),
        evidence: vec![evidence(logged)],
        meaning: if all_seen {
            "No namespace that is there now has dropped a packet: the one that did is gone, or only an open file \
             keeps it."
        } else {
            "No namespace that could be read has dropped a packet. One that could not be read may be dropping them now."
        }
        .to_string(),
        remedies: if all_seen { Vec::new() } else { vec![advice("Run as root, so that every namespace can be read.")] },
    })
}
