//! `half-closed-leak`.

use plimsoll_model::{Confidence, Entry, Finding, FindingId, ProtocolState, Side, TcpState, Timeout};

use super::part::{Part, Said};
use super::table::Table;
use crate::evidence::{advice, number};
use crate::thresholds::MOSTLY;
use crate::words::{duration, percent};

pub(super) fn finding(table: &Table<'_>) -> Option<Finding> {
    let part = table.entries(is_half_closed).filter(Part::is_worth_naming)?;
    let by = |side| part.drawn.iter().filter(|drawn| drawn.entry.closed_first == Some(side)).count() as f64;
    let by_client = by(Side::Client) / part.drawn.len() as f64;
    let by_server = by(Side::Server) / part.drawn.len() as f64;
    let (who, look) = if by_client >= MOSTLY {
        (
            "the client has closed and the server has not",
            "Look at the servers: on the server's host `ss -tnp state close-wait` names the process. Only CLOSE_WAIT of a \
             socket there is a program that does not close; conntrack's says no more than that one side has.",
        )
    } else if by_server >= MOSTLY {
        (
            "the server has closed and the client has not",
            "Look at the clients: on a client's host `ss -tnp state close-wait` names the process that does not close, often \
             a pool that keeps connections whose server has given up.",
        )
    } else {
        (
            "one side has closed and the other has not",
            "On the hosts at either end `ss -tnp state close-wait` names the process that does not close. conntrack's \
             CLOSE_WAIT alone does not say which side it is.",
        )
    };
    let held = table.ns.timeouts.get_secs(Timeout::Tcp(TcpState::CloseWait));
    let held = held.map_or("its timeout".to_string(), |secs| duration(secs.into()));
    Some(part.finding(Said {
        id: FindingId::HalfClosedLeak,
        confidence: Confidence::Certain,
        what: format!("connections of which {who}"),
        evidence: vec![
            number("client_first_ratio", by_client, format!("the client closed first in {} of them", percent(by_client))),
            number("server_first_ratio", by_server, format!("the server closed first in {} of them", percent(by_server))),
            part.most("services", "services", |entry| entry.original.service()),
            part.most("sources", "sources", |entry| Some(entry.original.source)),
        ],
        meaning: format!(
            "An entry stays in CLOSE_WAIT for {held} after its last packet (kube-proxy sets an hour). So many at once come \
             from programs that leave their side open, or from one-way streams that are meant to be so."
        ),
        remedies: vec![
            advice(look),
            advice(
                "gc under pressure removes such entries when the table is 95% full and refuses flows; before that they wait \
                 for their timeout.",
            ),
        ],
    }))
}

/// One FIN was seen, and acknowledged or not.
fn is_half_closed(entry: &Entry) -> bool {
    matches!(entry.state, ProtocolState::Tcp(TcpState::CloseWait | TcpState::FinWait))
}
