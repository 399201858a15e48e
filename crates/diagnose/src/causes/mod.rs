//! What fills a table: the entries are told apart by what their flows do, each part is weighed, and those that matter
//! are named.

mod gc;
mod half_closed;
mod half_open;
mod helpers;
mod idle;
mod nat_ports;
mod part;
mod short;
mod table;
mod udp;

use plimsoll_model::{Finding, Snapshot};

use self::half_open::Scanners;
use self::table::Table;

pub(crate) fn findings(snapshot: &Snapshot) -> Vec<Finding> {
    snapshot.namespaces.iter().filter_map(|ns| Table::of(snapshot, ns)).flat_map(|table| of_table(&table)).collect()
}

fn of_table(table: &Table<'_>) -> Vec<Finding> {
    let mut findings = short::findings(table);
    let scanners = Scanners::of(table);
    findings.extend(half_open::findings(table, &scanners));
    findings.extend(udp::finding(table, &scanners));
    findings.extend(idle::finding(table));
    findings.extend(half_closed::finding(table));
    findings.extend(helpers::finding(table));
    findings.extend(nat_ports::finding(table));
    findings.extend(gc::finding(table));
    findings
}
