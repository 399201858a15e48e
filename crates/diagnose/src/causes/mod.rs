//! What fills a table: the entries are told apart by what their flows do, each part is weighed, and those that matter
//! are named.

mod gc;
mod half_closed;
mod half_open;
mod helpers;
mod idle;
mod named;
mod nat_ports;
pub(crate) mod part;
mod pods;
mod probes;
mod scraped;
mod short;
mod table;
mod tenant;
mod udp;
mod whose;

use plimsoll_model::{Census, Entry, Finding, FindingId, Snapshot};

use self::half_open::Scanners;
use self::table::Table;

pub(crate) fn findings(snapshot: &Snapshot) -> Vec<Finding> {
    snapshot.namespaces.iter().filter_map(|ns| Table::of(snapshot, ns)).flat_map(|table| of_table(&table)).collect()
}

/// The drawn entries that a finding about floods or scans is about, whether or not they are enough to be named.
pub(crate) fn entries_of(id: FindingId, census: &Census) -> Vec<&Entry> {
    let scanners = Scanners::of(census);
    let is_meant = |entry: &&Entry| match id {
        FindingId::SynFlood => half_open::is_half_open(entry) && !scanners.sent(entry),
        FindingId::OutboundScan => scanners.sent(entry),
        FindingId::UdpUnreplied => udp::is_unreplied(entry) && !scanners.sent(entry),
        _ => false,
    };
    census.drawn.iter().map(|drawn| &drawn.entry).filter(is_meant).collect()
}

fn of_table(table: &Table<'_>) -> Vec<Finding> {
    let mut findings = short::findings(table);
    let scanners = Scanners::of(table.census);
    findings.extend(half_open::findings(table, &scanners));
    findings.extend(udp::finding(table, &scanners));
    findings.extend(idle::finding(table));
    findings.extend(half_closed::finding(table));
    findings.extend(helpers::finding(table));
    findings.extend(nat_ports::finding(table));
    findings.extend(gc::finding(table));
    findings.extend(tenant::finding(table, &findings));
    findings
}
