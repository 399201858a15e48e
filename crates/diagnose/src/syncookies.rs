//! `syncookies-off`.

use plimsoll_model::{
    Confidence, Finding, FindingId, NamespaceSnapshot, Protocol, ProtocolState, Severity, Snapshot, StateKey, TcpState,
};

use crate::evidence::{advice, in_namespace, number};
use crate::thresholds::{HALF_OPEN_ENTRIES, HALF_OPEN_SHARE};
use crate::words::{grouped, percent};

/// Whether a listener in this namespace has no cookies to answer a flood with.
pub(crate) fn are_off(ns: &NamespaceSnapshot) -> bool {
    ns.settings.syncookies == Some(0)
}

pub(crate) fn findings(snapshot: &Snapshot) -> Vec<Finding> {
    snapshot.namespaces.iter().filter(|ns| are_off(ns)).map(finding).collect()
}

fn finding(ns: &NamespaceSnapshot) -> Finding {
    let mut evidence = vec![number("syncookies", 0.0, "net.ipv4.tcp_syncookies is 0".to_string())];
    let half_open = HalfOpen::of(ns);
    if let Some(half_open) = &half_open {
        evidence.push(number(
            "half_open_entries",
            half_open.entries as f64,
            format!(
                "at least {} entries are half-open ({} of the table)",
                grouped(half_open.entries),
                percent(half_open.share)
            ),
        ));
    }
    let (severity, title) = if half_open.is_some_and(|half_open| half_open.are_many()) {
        (Severity::Warning, "SYN cookies are off, and many connections are half-open")
    } else {
        (Severity::Info, "SYN cookies are off")
    };
    let turn_on = "Turn them on: the kernel uses them only while a listener's backlog overflows.";
    let mut remedy = advice(turn_on);
    remedy.command = in_namespace(ns, "sysctl -w net.ipv4.tcp_syncookies=1");
    Finding {
        id: FindingId::SyncookiesOff,
        severity,
        confidence: Confidence::Certain,
        namespace: Some(ns.namespace.name.clone()),
        holds: None,
        whose: Vec::new(),
        title: title.to_string(),
        evidence,
        meaning: "A listener whose backlog is full of half-open connections drops every further SYN, those of real \
                  clients too. SYN cookies keep the listener reachable; they save no entry of the tracking table."
            .to_string(),
        remedies: vec![remedy],
    }
}

/// Handshakes that are not done.
struct HalfOpen {
    entries: u64,
    share: f64,
}

impl HalfOpen {
    /// `None` where the entries were not read.
    fn of(ns: &NamespaceSnapshot) -> Option<Self> {
        let census = ns.census.as_ref()?;
        let states = [TcpState::SynSent, TcpState::SynRecv].map(ProtocolState::Tcp);
        let counts =
            || states.iter().filter_map(|state| census.state(StateKey { protocol: Protocol::TCP, state: *state }));
        Some(Self {
            entries: counts().map(|count| count.entries.low).sum(),
            share: counts().map(|count| count.share.value).sum(),
        })
    }

    fn are_many(&self) -> bool {
        self.entries >= HALF_OPEN_ENTRIES && self.share >= HALF_OPEN_SHARE
    }
}
