//! `timeout-risky`: timeouts in force that end flows which live.

use plimsoll_model::{
    Confidence, Drawn, Finding, FindingId, NamespaceSnapshot, Protocol, ProtocolState, Remedy, Severity, Snapshot,
    StateKey, TcpState, Timeout,
};

use crate::evidence::{advice, in_namespace, number};
use crate::thresholds::{NAT_ESTABLISHED_SECS, SHORT_TIME_WAIT_SECS, SILENT_SHARE};
use crate::words::{duration, grouped, rounded};

const TIME_WAIT: Timeout = Timeout::Tcp(TcpState::TimeWait);
const ESTABLISHED: Timeout = Timeout::Tcp(TcpState::Established);

pub(crate) fn findings(snapshot: &Snapshot) -> Vec<Finding> {
    snapshot.namespaces.iter().flat_map(|ns| [short_time_wait(ns), short_established(ns)]).flatten().collect()
}

fn short_time_wait(ns: &NamespaceSnapshot) -> Option<Finding> {
    let secs = ns.timeouts.get_secs(TIME_WAIT).filter(|secs| *secs < SHORT_TIME_WAIT_SECS)?;
    let key = StateKey { protocol: Protocol::TCP, state: ProtocolState::Tcp(TcpState::TimeWait) };
    let closed = ns.census.as_ref().and_then(|census| census.state(key)).map_or(0, |count| count.entries.low);
    Some(Finding {
        id: FindingId::TimeoutRisky,
        severity: if closed > 0 { Severity::Warning } else { Severity::Info },
        confidence: Confidence::Likely,
        namespace: Some(ns.namespace.name.clone()),
        holds: None,
        whose: Vec::new(),
        title: format!("TIME_WAIT's timeout of {secs} s is too short for late retransmissions"),
        evidence: vec![
            number("time_wait_timeout_secs", secs.into(), format!("connections that are over are kept for {secs} s")),
            number(
                "time_wait_entries",
                closed as f64,
                format!("at least {} entries are in TIME_WAIT", grouped(closed)),
            ),
        ],
        meaning: format!(
            "A FIN that is sent again after the entry is gone is invalid, and late data may begin an entry of its own; \
             behind NAT neither is translated, and the port is given to another flow sooner. Below {SHORT_TIME_WAIT_SECS} s \
             that happens on slow paths. RFC 5382 asks NATs for 4 minutes while a connection opens or closes."
        ),
        remedies: vec![set(
            ns,
            TIME_WAIT,
            30,
            "Set 30 s: a quarter of the default's entries, and room for retransmissions.",
        )],
    })
}

fn short_established(ns: &NamespaceSnapshot) -> Option<Finding> {
    let secs = ns.timeouts.get_secs(ESTABLISHED)?;
    let keepalive = ns.settings.keepalive_time_secs?;
    let needed = ns.settings.keepalive_needs_secs()?;
    if secs >= needed {
        return None;
    }
    let silent = ns.census.as_ref().map(|census| {
        let struck = census.drawn.iter().filter(|drawn| may_be_struck(drawn, secs)).count();
        census.count_drawn(struck).entries.low
    });
    let silent = silent.unwrap_or(0);
    let half = duration(rounded(f64::from(secs) * SILENT_SHARE));
    let mut remedies = vec![set(
        ns,
        ESTABLISHED,
        needed.max(NAT_ESTABLISHED_SECS),
        "Set a timeout that outlives the first probes. Entries that are there take it up with their next packet.",
    )];
    remedies.push(advice(
        "Or let programs probe sooner: TCP_KEEPIDLE on their sockets, or net.ipv4.tcp_keepalive_time below the timeout on \
         both ends' hosts. It does nothing for sockets that have not asked for keepalive.",
    ));
    Some(Finding {
        id: FindingId::TimeoutRisky,
        severity: if silent > 0 { Severity::Warning } else { Severity::Info },
        confidence: Confidence::Likely,
        namespace: Some(ns.namespace.name.clone()),
        holds: None,
        whose: Vec::new(),
        title: format!(
            "ESTABLISHED's timeout of {} ends connections before their keepalive is sent",
            duration(secs.into())
        ),
        evidence: vec![
            number("established_timeout_secs", secs.into(), format!("an entry lives {} without a packet", duration(secs.into()))),
            number(
                "keepalive_needs_secs",
                needed.into(),
                format!(
                    "sockets here send their first probe after {}, and one that is lost again by {}",
                    duration(keepalive.into()),
                    duration(needed.into())
                ),
            ),
            number(
                "silent_entries",
                silent as f64,
                format!("at least {} established connections have been silent for {half} and more", grouped(silent)),
            ),
        ],
        meaning: "An idle connection that both ends still hold loses its entry. Its next packet begins a new one where no rule \
                  forbids it (tcp_loose); a rule that accepts only known flows drops it, and behind NAT it is not translated: \
                  the connection hangs or is reset. RFC 5382 asks NATs for at least 2 h 4 min."
            .to_string(),
        remedies,
    })
}

/// Silent for much of the timeout, and armed by it: with more time left than it gives, an entry outlives it.
fn may_be_struck(drawn: &Drawn, timeout_secs: u32) -> bool {
    drawn.entry.state == ProtocolState::Tcp(TcpState::Established)
        && drawn.entry.remaining_secs.is_some_and(|left| left <= timeout_secs)
        && f64::from(drawn.idle.low_secs) >= SILENT_SHARE * f64::from(timeout_secs)
}

fn set(ns: &NamespaceSnapshot, timeout: Timeout, secs: u32, why: &str) -> Remedy {
    let command = timeout.sysctl().and_then(|name| in_namespace(ns, &format!("sysctl -w net.netfilter.{name}={secs}")));
    Remedy { action: why.to_string(), command }
}
