//! `half-closed-leak`.

use plimsoll_model::{
    Confidence, End, Entry, Finding, FindingId, Program, ProtocolState, Side, SocketState, TcpState, Timeout,
};

use super::part::{Part, Said, tally};
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
    let open = left_open(&part);
    let (what, first_remedy) = match &open {
        Some(open) if open.share >= MOSTLY => (
            format!("connections that {} does not close", open.program),
            advice(format!(
                "Its sockets are in CLOSE_WAIT: the peer has closed, the kernel has told it so (a read gives end of file), and it keeps them \
                 open. Look there for connections that are taken from a pool and never given back, or read from no more; restarting {} \
                 closes them all.",
                open.program.owner.command
            )),
        ),
        Some(_) | None => (format!("connections of which {who}"), advice(look)),
    };
    let held = table.ns.timeouts.get_secs(Timeout::Tcp(TcpState::CloseWait));
    let held = held.map_or("its timeout".to_string(), |secs| duration(secs.into()));
    Some(part.finding(Said {
        id: FindingId::HalfClosedLeak,
        confidence: Confidence::Certain,
        what,
        evidence: [
            number("client_first_ratio", by_client, format!("the client closed first in {} of them", percent(by_client))),
            number("server_first_ratio", by_server, format!("the server closed first in {} of them", percent(by_server))),
            part.services(),
            part.most("sources", "sources", |entry| Some(entry.original.source)),
        ]
        .into_iter()
        .chain(open.map(|open| {
            let words = "of them have a socket of this machine in CLOSE_WAIT: a program here has not closed";
            number("close_wait_ratio", open.share, format!("{} {words}", percent(open.share)))
        }))
        .collect(),
        meaning: format!(
            "An entry stays in CLOSE_WAIT for {held} after its last packet (kube-proxy sets an hour). So many at once come \
             from programs that leave their side open, or from one-way streams that are meant to be so."
        ),
        remedies: vec![
            first_remedy,
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

/// The program of this machine that leaves connections open, and the share of them that programs here do. conntrack's `CLOSE_WAIT` says only
/// that one side has closed; a socket's says that its own program has not.
struct LeftOpen<'a> {
    program: &'a Program,
    share: f64,
}

fn left_open<'a>(part: &Part<'a>) -> Option<LeftOpen<'a>> {
    let asked: Vec<_> = part.drawn.iter().filter_map(|drawn| drawn.ends).collect();
    let waits = |end: &End| end.state() == Some(SocketState::CloseWait);
    let open: Vec<_> = asked.iter().flat_map(|ends| [ends.client, ends.server]).filter(waits).collect();
    let (id, _) = tally(open.iter().filter_map(|end| end.by())).into_iter().next()?;
    Some(LeftOpen { program: part.table.census.program(id)?, share: open.len() as f64 / asked.len() as f64 })
}
