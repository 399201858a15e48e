//! `idle-established`.

use plimsoll_model::{Confidence, Drawn, Finding, FindingId, ProtocolState, TcpState, Timeout};

use super::part::{Part, Said};
use super::table::Table;
use crate::evidence::{advice, number};
use crate::thresholds::LONG_IDLE_SECS;
use crate::words::{duration, percent};

pub(super) fn finding(table: &Table<'_>) -> Option<Finding> {
    let part = table.part(is_long_idle).filter(Part::is_worth_naming)?;
    let established = table.entries(|entry| entry.state == ProtocolState::Tcp(TcpState::Established))?;
    let of_established = part.drawn.len() as f64 / established.drawn.len() as f64;
    let mut idle: Vec<_> = part.drawn.iter().map(|drawn| drawn.idle.low_secs).collect();
    idle.sort_unstable();
    let median = idle.get(idle.len() / 2).copied().unwrap_or(0);
    let held = table.ns.timeouts.get_secs(Timeout::Tcp(TcpState::Established));
    let held = held.map_or("its timeout".to_string(), |secs| duration(secs.into()));
    Some(part.finding(Said {
        id: FindingId::IdleEstablished,
        // A timeout that was in force for a while and is neither today's nor the default would mislead.
        confidence: Confidence::Likely,
        what: format!("established connections without a packet for {} and more", duration(LONG_IDLE_SECS.into())),
        evidence: vec![
            number(
                "idle_median_secs",
                median.into(),
                format!("half of them have been silent for at least {}", duration(median.into())),
            ),
            number(
                "of_established_ratio",
                of_established,
                format!("{} of all established connections", percent(of_established)),
            ),
            part.services(),
            part.most("sources", "sources", |entry| Some(entry.original.source)),
        ],
        meaning: format!(
            "An established connection keeps its entry for {held} after its last packet, also when both ends have gone \
             without a word. They are assured: neither early_drop nor gc under pressure removes them, so a table that is \
             full of them refuses new connections until they expire."
        ),
        remedies: vec![
            advice(
                "Let one end find out that the other is gone: TCP keepalive on the service's sockets, idle timeouts in \
                 pools and proxies. Connections that close properly leave the table by themselves.",
            ),
            advice(
                "A shorter nf_conntrack_tcp_timeout_established does nothing for these: an entry keeps its time until it \
                 sees another packet. It keeps new ones from piling up; keep it above the keepalive time of whoever uses \
                 the host (two hours by default), or living connections are cut.",
            ),
        ],
    }))
}

/// Told by the lower bound: whatever armed the entry, it has seen no packet for so long.
fn is_long_idle(drawn: &Drawn) -> bool {
    drawn.entry.state == ProtocolState::Tcp(TcpState::Established) && drawn.idle.low_secs >= LONG_IDLE_SECS
}
