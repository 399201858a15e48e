//! `invalid-packets`.

use plimsoll_model::{Confidence, Counter, Finding, FindingId, NamespaceSnapshot, Remedy, Severity, Snapshot};

use crate::evidence::{advice, fact, in_namespace, number};
use crate::thresholds::{INVALID_NOTED_PER_SEC, INVALID_PER_SEC, INVALID_SHARE};
use crate::words::{grouped, percent, rate};

pub(crate) fn findings(snapshot: &Snapshot) -> Vec<Finding> {
    snapshot.namespaces.iter().filter_map(finding).collect()
}

fn finding(ns: &NamespaceSnapshot) -> Option<Finding> {
    let change = ns.change.as_ref()?;
    let invalid = change.counters.get(Counter::Invalid)?;
    let secs = change.over.as_secs_f64();
    let per_sec = invalid as f64 / secs;
    if per_sec < INVALID_NOTED_PER_SEC {
        return None;
    }
    let share = ns.packets.filter(|packets| *packets > 0).map(|packets| invalid as f64 / packets as f64);
    let hits_flows = per_sec >= INVALID_PER_SEC && share.is_some_and(|share| share >= INVALID_SHARE);
    let mut evidence = vec![
        number("invalid_packets", invalid as f64, format!("{} invalid packets within {secs:.1} s", grouped(invalid))),
        number("invalid_per_sec", per_sec, format!("{} a second", rate(per_sec))),
    ];
    if let Some(share) = share {
        evidence.push(number("invalid_ratio", share, format!("{} of the packets that passed", percent(share))));
    }
    if let Some(liberal) = ns.settings.tcp_be_liberal {
        let text = if liberal {
            "1: TCP outside of its window is let pass"
        } else {
            "0: TCP outside of its window is invalid"
        };
        evidence.push(fact("tcp_be_liberal", format!("nf_conntrack_tcp_be_liberal is {text}")));
    }
    if let Some(loose) = ns.settings.tcp_loose {
        let text = if loose { "1: connections are picked up in the middle" } else { "0: connections begin with a SYN" };
        evidence.push(fact("tcp_loose", format!("nf_conntrack_tcp_loose is {text}")));
    }
    Some(Finding {
        id: FindingId::InvalidPackets,
        severity: if hits_flows { Severity::Warning } else { Severity::Info },
        confidence: Confidence::Certain,
        namespace: Some(ns.namespace.name.clone()),
        holds: None,
        whose: Vec::new(),
        title: format!("{} packets a second belong to no flow as the tracker sees it", rate(per_sec)),
        evidence,
        meaning: "The tracker lets them pass as INVALID; rules often drop them, and NAT does not translate them. They come \
                  from routes on which the tracker sees one direction only, from packets that come after their entry has \
                  expired or was evicted, and from strangers. Packets under notrack are not among them: those are UNTRACKED."
            .to_string(),
        remedies: remedies(ns),
    })
}

fn remedies(ns: &NamespaceSnapshot) -> Vec<Remedy> {
    let mut remedies = vec![Remedy {
        action: "See which and why: the kernel's log then names each TCP packet and the reason (0 turns it off again; it is \
                 many lines)."
            .to_string(),
        command: in_namespace(ns, "sysctl -w net.netfilter.nf_conntrack_log_invalid=6"),
    }];
    if ns.settings.tcp_be_liberal == Some(false) {
        remedies.push(Remedy {
            action:
                "Where routes are asymmetric on purpose: let TCP outside of its window pass. Resets outside of it stay \
                     invalid, and forged segments get further."
                    .to_string(),
            command: in_namespace(ns, "sysctl -w net.netfilter.nf_conntrack_tcp_be_liberal=1"),
        });
    }
    remedies.push(advice(
        "Where they come after a timeout: see `timeout-risky`, and gc-pressure and early-drop for evicted flows.",
    ));
    remedies
}
