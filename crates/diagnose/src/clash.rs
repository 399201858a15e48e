//! `insert-clash`.

use plimsoll_model::{Confidence, Counter, Finding, FindingId, NamespaceSnapshot, Severity, Snapshot};

use crate::evidence::{advice, number};
use crate::thresholds::CLASHES_PER_SEC;
use crate::words::{grouped, rate};

pub(crate) fn findings(snapshot: &Snapshot) -> Vec<Finding> {
    snapshot.namespaces.iter().filter_map(finding).collect()
}

fn finding(ns: &NamespaceSnapshot) -> Option<Finding> {
    let change = ns.change.as_ref()?;
    let failed = change.counters.get(Counter::InsertFailed)?;
    // A chain that is too long raises both, and is another finding. Kernels before 5.15 have no such limit.
    let clashes = failed.saturating_sub(change.counters.get(Counter::ChainTooLong).unwrap_or(0));
    if clashes == 0 {
        return None;
    }
    let secs = change.over.as_secs_f64();
    let per_sec = clashes as f64 / secs;
    let mut evidence = vec![
        number(
            "clashes",
            clashes as f64,
            format!("{} entries refused by a clash within {secs:.1} s", grouped(clashes)),
        ),
        number("clashes_per_sec", per_sec, format!("{} a second", rate(per_sec))),
    ];
    if let Some(resolved) = change.counters.get(Counter::ClashResolved) {
        evidence.push(number(
            "clashes_resolved",
            resolved as f64,
            format!("{} more were resolved, and cost nothing", grouped(resolved)),
        ));
    }
    Some(Finding {
        id: FindingId::InsertClash,
        severity: if per_sec >= CLASHES_PER_SEC { Severity::Warning } else { Severity::Info },
        // Only the entries tell whether source translation has ports left.
        confidence: if ns.census.is_some() { Confidence::Likely } else { Confidence::Possible },
        namespace: Some(ns.namespace.name.clone()),
        holds: None,
        title: format!("{} first packets a second are dropped because another flow took their tuple", rate(per_sec)),
        evidence,
        meaning: "Two packets raced to make an entry with the same tuple, and the kernel dropped the later one. Usually a \
                  resolver sends two queries (A and AAAA) from one UDP socket at once and a service's address is translated, or \
                  two flows are given the same port by source NAT. A resolver tries again after 5 s. The drop counter counts \
                  these too; the table need not be full."
            .to_string(),
        remedies: vec![
            advice(
                "DNS: let the resolver ask one after the other (`options single-request-reopen` in resolv.conf, glibc), or \
                 answer on the node, without NAT (NodeLocal DNSCache).",
            ),
            advice(
                "Look whether source NAT has used up its ports: `plimsoll check --netns` with this namespace's name reads its \
                 entries. Each flow without a port fails so too.",
            ),
            advice(
                "Source NAT: choose ports at random (iptables `--random-fully` on MASQUERADE and SNAT; nft \
                 `masquerade fully-random`), so that two flows rarely try the same one.",
            ),
        ],
    })
}
